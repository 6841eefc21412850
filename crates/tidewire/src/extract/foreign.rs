//! Messages that are not Tidewire's.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tidewire_core::DecodeError;

use super::{Delivery, FromMessage};
use crate::delivery::StoredAt;

/// A message as it is, whatever it is; the last argument of a handler with a `.filter(…)`.
///
/// For streams and messages of other programs, whose subjects need not follow our grammar.
///
/// ```
/// use tidewire::{
///     extract::{Json, Raw},
///     prelude::*,
/// };
///
/// async fn archive(message: Raw) {
///     println!("{} bytes on {}", message.payload.len(), message.subject);
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Reading {
///     celsius: f64,
/// }
///
/// async fn show(Json(reading): Json<Reading>) {
///     println!("{} °C", reading.celsius);
/// }
///
/// let service = Service::new("legacy", "1.0.0")
///     .on(durable("archive", archive).filter("LEGACY.>"))
///     .on(live(show).filter("sensors.*.Reading"));
/// # drop(service);
/// ```
///
/// Its body is as it came, too: compressed where `Content-Encoding` says so, and empty where `ce-dataref` says where it is.
///
/// With `durable` it reads every stream that has such subjects when the service starts. What it emits has ids that are
/// derived from the message's: its envelope's, or else its `Nats-Msg-Id`, or else its stream and sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Where it was sent to.
    pub subject: String,
    /// Names and values of the headers, as they were written; a name may stand more than once.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub payload: Bytes,
    /// Where it is stored; `None` for a live handler.
    pub stored: Option<StoredAt>,
}

impl Raw {
    /// A header's first value, whatever the case in which its name was written.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A message whose body is the JSON of a `T` and nothing around it; the last argument of a handler with a `.filter(…)`.
///
/// A body that is no JSON is `malformed`, and one that does not fit `T` `invalid`. See [`Raw`] for an example, and for
/// what else such a handler needs.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl FromMessage for Raw {
    const NEEDS_ENVELOPE: bool = false;
    const AS_IT_CAME: bool = true;

    fn from_message(delivery: &Delivery) -> Result<Self, DecodeError> {
        let headers = delivery.headers();
        Ok(Self {
            subject: delivery.subject().to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            payload: delivery.payload().clone(),
            stored: delivery.stored().cloned(),
        })
    }
}

impl<T: DeserializeOwned> FromMessage for Json<T> {
    const NEEDS_ENVELOPE: bool = false;

    fn from_message(delivery: &Delivery) -> Result<Self, DecodeError> {
        serde_json::from_slice(delivery.payload())
            .map(Self)
            .map_err(|error| DecodeError::of_json(delivery.subject(), error))
    }
}
