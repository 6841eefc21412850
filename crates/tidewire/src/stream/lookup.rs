//! Which stream has a subject.

use std::time::Duration;

use async_nats::jetstream::{ErrorCode, stream::Config};
use serde::Deserialize;
use serde_json::json;
use tidewire_core::{SubjectFilter, Timestamp};
use tokio::time::{Instant, sleep};

use super::api::ask;
use crate::{connection::Connection, health::Health, start_error::StartError};

/// How long a start waits for the streams of other services, which may be starting at the same moment.
const FED_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// A stream as it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    pub(crate) config: Config,
    /// When it was made: one that was deleted and made again is another one.
    pub(crate) created: Timestamp,
}

/// The settings of a stream; `None` where there is no such stream.
pub(crate) async fn find(nats: &Connection, stream: &str) -> Result<Option<Config>, StartError> {
    Ok(look_up(nats, stream).await?.map(|found| found.config))
}

/// A stream; `None` where there is no such stream.
pub(crate) async fn look_up(nats: &Connection, stream: &str) -> Result<Option<Found>, StartError> {
    match ask::<Found>(nats, &format!("STREAM.INFO.{stream}"), &()).await? {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
        Err(error) => Err(StartError::jetstream(error)),
    }
}

/// What a stream with these settings captures.
pub(crate) fn captured(config: &Config) -> Vec<SubjectFilter> {
    let subjects = config.subjects.iter();
    subjects
        .filter_map(|subject| SubjectFilter::parse(subject).ok())
        .collect()
}

/// What [`streams_overlapping`] asks.
const NAMES: &str = "STREAM.NAMES";

/// The names of the streams that have a subject in common with `filter`.
pub(crate) async fn streams_overlapping(nats: &Connection, filter: &str) -> Result<Vec<String>, StartError> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        streams: Option<Vec<String>>,
        #[serde(default)]
        total: usize,
    }
    let mut names = Vec::new();
    loop {
        let request = json!({"subject": filter, "offset": names.len()});
        let page: Page = ask(nats, NAMES, &request).await?.map_err(StartError::jetstream)?;
        let found = page.streams.unwrap_or_default();
        if found.is_empty() {
            return Ok(names);
        }
        names.extend(found);
        if names.len() >= page.total {
            return Ok(names);
        }
    }
}

/// Waits until `stream` captures all of `filter`, as it will once the service that declares the event, or works the command, has started.
/// `needs` says who needs it, for the error and for `health`.
pub(crate) async fn wait_for_subject(
    nats: &Connection,
    health: &Health,
    stream: &str,
    filter: &SubjectFilter,
    needs: &str,
) -> Result<(), StartError> {
    let cause = format!("stream-{stream}");
    let text = format!(
        "{stream} does not capture `{filter}` yet, which {needs} needs; start the service that keeps its context"
    );
    let deadline = Instant::now() + FED_WITHIN;
    loop {
        let found = match find(nats, stream).await {
            // A leader is being elected, say.
            Err(StartError::JetStream(_)) if Instant::now() < deadline => None,
            found => found?,
        };
        let covered =
            found.is_some_and(|found| captured(&found).iter().any(|captured| captured.covers(filter)));
        if covered {
            health.recovers(&cause);
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
        health.awaits(&cause, &text);
        sleep(PAUSE).await;
    }
}
