//! Which stream has a subject.

use std::time::Duration;

use async_nats::jetstream::{
    Context as JetStream, ErrorCode, context::GetStreamErrorKind, response::Response, stream::Config,
};
use serde::Deserialize;
use serde_json::json;
use tidewire_core::SubjectFilter;
use tokio::time::{Instant, sleep};

use crate::start_error::StartError;

/// How long a start waits for the streams of other services, which may be starting at the same moment.
const FED_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// The settings of a stream; `None` where there is no such stream.
pub(super) async fn find(js: &JetStream, stream: &str) -> Result<Option<Config>, StartError> {
    match js.get_stream(stream).await {
        Ok(found) => Ok(Some(found.cached_info().config.clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(api) if api.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(StartError::jetstream(error)),
        },
    }
}

/// The names of the streams that have a subject in common with `filter`.
pub(crate) async fn streams_overlapping(js: &JetStream, filter: &str) -> Result<Vec<String>, StartError> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        streams: Option<Vec<String>>,
        #[serde(default)]
        total: usize,
    }
    let mut names = Vec::new();
    loop {
        let page: Response<Page> = js
            .request("STREAM.NAMES", &json!({"subject": filter, "offset": names.len()}))
            .await
            .map_err(StartError::jetstream)?;
        match page {
            Response::Ok(page) => {
                let found = page.streams.unwrap_or_default();
                if found.is_empty() {
                    return Ok(names);
                }
                names.extend(found);
                if names.len() >= page.total {
                    return Ok(names);
                }
            }
            Response::Err { error } => {
                return Err(StartError::jetstream(error));
            }
        }
    }
}

/// Waits until `stream` captures all of `filter`, as it will once the service that declares the event has started.
/// `needs` says who needs it, for the error.
pub(crate) async fn wait_for_subject(
    js: &JetStream,
    stream: &str,
    filter: &SubjectFilter,
    needs: &str,
) -> Result<(), StartError> {
    let deadline = Instant::now() + FED_WITHIN;
    let mut said = false;
    loop {
        let covered =
            match js.get_stream(stream).await {
                Ok(found) => found.cached_info().config.subjects.iter().any(|subject| {
                    SubjectFilter::parse(subject).is_ok_and(|captured| captured.covers(filter))
                }),
                Err(_) => false,
            };
        if covered {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(StartError::NotFed {
                needs: needs.into(),
                filter: filter.to_string(),
                stream: stream.into(),
                within: FED_WITHIN,
            });
        }
        if !said {
            tracing::info!(%stream, %filter, "waiting until a service declares the events that {needs} needs");
            said = true;
        }
        sleep(PAUSE).await;
    }
}
