//! Publishes that expect what they follow, confirmed by their stream.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use tidewire::{
    BoxError,
    async_nats::{
        HeaderMap, HeaderName, HeaderValue, Request,
        client::RequestErrorKind,
        jetstream::{object_store, stream::LastRawMessageErrorKind, stream::Stream},
    },
    dead_letter::{Record, Wrapped},
    wire,
};
use tokio::time::sleep;
use uuid::Uuid;

use super::{DeadLetters, LetterError, Listed, read::unread};
use crate::error::OpsError;

/// How long a stream may take to confirm one message.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);
/// How often a message is sent, always under one id, until it is confirmed.
const TRIES: u32 = 4;
/// Between two tries: a leader is elected meanwhile.
const PAUSE: Duration = Duration::from_millis(500);

/// A message on its way to a stream.
pub(super) struct Sending {
    pub(super) subject: String,
    /// The stream that must store it.
    pub(super) stream: String,
    /// By which the stream knows a repeat.
    pub(super) id: String,
    /// The place of the last message on the subject; without it none is expected, and none not.
    pub(super) after: Option<u64>,
    pub(super) headers: Vec<(Cow<'static, str>, String)>,
    pub(super) body: Bytes,
}

/// What a stream did with a message.
pub(super) enum Sent {
    /// It is stored there.
    Stored {
        sequence: u64,
        /// It was there before, under the same id.
        duplicate: bool,
    },
    /// Something else was stored on the subject first.
    Outrun,
}

#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    err_code: u64,
    description: String,
}

impl DeadLetters {
    /// Stores a record of a letter whose last one is at `after`; its place, or `None` where somebody else acted first.
    pub(super) async fn append(
        &self,
        letter: &Listed,
        record: &Record,
        after: u64,
    ) -> Result<Option<u64>, OpsError> {
        let written = record.write(self.nats.client().max_payload());
        let subject = letter.subject_of_records();
        self.store(&subject, letter.letter.as_str(), written, after).await
    }

    /// Stores a record that is written already.
    pub(super) async fn store(
        &self,
        subject: &str,
        letter: &str,
        written: Wrapped,
        after: u64,
    ) -> Result<Option<u64>, OpsError> {
        let (headers, body) = self.lighten(letter, written).await?;
        let sending = Sending {
            subject: subject.to_owned(),
            stream: wire::DLQ_STREAM.into(),
            id: Uuid::now_v7().to_string(),
            after: Some(after),
            headers,
            body,
        };
        match self.send(sending).await? {
            Sent::Stored { sequence, .. } => Ok(Some(sequence)),
            // The object stays: a lost confirmation looks the same, and then it is in use.
            Sent::Outrun => Ok(None),
        }
    }

    /// The message as a server takes it: what is too large for any is in the object store then.
    pub(super) async fn lighten(
        &self,
        letter: &str,
        written: Wrapped,
    ) -> Result<(Vec<(Cow<'static, str>, String)>, Bytes), OpsError> {
        let Wrapped {
            mut headers,
            body,
            oversized,
        } = written;
        if !oversized {
            return Ok((headers, body));
        }
        let object = format!("{letter}-{}", Uuid::now_v7().simple());
        let putting = async {
            let js = self.nats.jetstream();
            let store = if let Ok(store) = js.get_object_store(wire::LETTERS_BUCKET).await {
                store
            } else {
                let replicas = self.stream.get_info().await?.config.num_replicas;
                let config = object_store::Config {
                    bucket: wire::LETTERS_BUCKET.into(),
                    num_replicas: replicas,
                    ..object_store::Config::default()
                };
                js.create_object_store(config).await?
            };
            store.put(object.as_str(), &mut &body[..]).await?;
            Ok::<_, BoxError>(())
        };
        let (bucket, stream) = (wire::LETTERS_BUCKET, wire::object_stream(wire::LETTERS_BUCKET));
        let subjects = [
            format!("$O.{bucket}.>"),
            format!("$JS.API.STREAM.*.{stream}"),
            format!("$JS.API.STREAM.MSG.GET.{stream}"),
            format!("$JS.API.DIRECT.GET.{stream}.>"),
            format!("$JS.API.STREAM.INFO.{}", wire::DLQ_STREAM),
        ];
        let put = self.nats.unless_refused(&subjects, Box::pin(putting)).await?;
        put.map_err(|error| LetterError::Object {
            object: object.clone(),
            done: "stored",
            reason: error.to_string(),
        })?;
        headers.push((wire::TW_OBJECT.into(), object));
        Ok((headers, Bytes::new()))
    }

    /// Sends until a stream has confirmed.
    pub(super) async fn send(&self, sending: Sending) -> Result<Sent, OpsError> {
        let refused = |reason: String| LetterError::NotStored {
            subject: sending.subject.clone(),
            reason,
        };
        let mut headers = sending.headers;
        headers.push((wire::EXPECTED_STREAM.into(), sending.stream));
        headers.push((wire::MSG_ID.into(), sending.id));
        if let Some(after) = sending.after {
            headers.push((wire::EXPECTED_LAST_SUBJECT_SEQUENCE.into(), after.to_string()));
        }
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            let invalid = || refused(format!("the header `{name}` cannot hold {value:?}"));
            let header: HeaderName = name.parse().map_err(|_| invalid())?;
            let value: HeaderValue = value.parse().map_err(|_| invalid())?;
            map.append(header, value);
        }
        let mut tries = 0;
        loop {
            let request = Request::new()
                .headers(map.clone())
                .payload(sending.body.clone())
                .timeout(Some(CONFIRMED_WITHIN));
            let client = self.nats.client();
            let requesting = client.send_request(sending.subject.clone(), request);
            let failed = match self.nats.unless_refused(&[&sending.subject], requesting).await? {
                Ok(answer) => match serde_json::from_slice::<Ack>(&answer.payload) {
                    Ok(Ack {
                        error: None,
                        seq,
                        duplicate,
                    }) => {
                        return Ok(Sent::Stored {
                            sequence: seq,
                            duplicate,
                        });
                    }
                    Ok(Ack {
                        error: Some(error), ..
                    }) => match error.err_code {
                        10071 | 10164 => return Ok(Sent::Outrun),
                        // A leader is being elected, or an earlier try is still on its way to the replicas.
                        10008 | 10158 => error.description,
                        _ => return Err(refused(error.description).into()),
                    },
                    Err(error) => {
                        return Err(
                            refused(format!("something other than a stream answered ({error})")).into(),
                        );
                    }
                },
                Err(error) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                    return Err(refused("it is larger than the server takes".into()).into());
                }
                Err(error) => error.to_string(),
            };
            tries += 1;
            if tries == TRIES {
                return Err(refused(failed).into());
            }
            sleep(PAUSE).await;
        }
    }

    /// The last message on a subject of a stream: its place, and its headers.
    pub(super) async fn last(
        &self,
        stream: &Stream<()>,
        name: &str,
        subject: &str,
    ) -> Result<Option<(u64, HeaderMap)>, OpsError> {
        let asking = stream.raw_message_builder().last_by_subject(subject).send();
        let asked = format!("$JS.API.STREAM.MSG.GET.{name}");
        match self.nats.unless_refused(&[asked], asking).await? {
            Ok(message) => Ok(Some((message.sequence, message.headers))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unread(name, error)),
        }
    }
}
