//! JetStream's lists, page by page, with what is missing in them.
//!
//! The client's own iterators leave out what the server could not ask, and count pages without it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tidewire::{ApiError, Connection, async_nats::jetstream::ErrorCode, wire};

use super::{
    Unanswered,
    state::{ConsumerState, Info},
};
use crate::error::OpsError;

/// How long one page is awaited: a server waits four seconds itself for those that have what is listed.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// What was listed, and what did not answer.
pub(super) struct Listed<T> {
    pub(super) found: Vec<T>,
    pub(super) unanswered: Vec<Unanswered>,
}

/// One page of a list.
#[derive(Deserialize)]
struct Page<T> {
    total: usize,
    #[serde(alias = "streams", alias = "consumers")]
    items: Option<Vec<T>>,
    /// What has no leader.
    #[serde(default)]
    missing: Option<Vec<String>>,
    /// What no server here can run, with the reason.
    #[serde(default)]
    offline: Option<BTreeMap<String, String>>,
}

/// The names of all streams.
pub(super) async fn streams(nats: &Connection) -> Result<Listed<String>, OpsError> {
    #[derive(Deserialize)]
    struct Stream {
        config: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let listed = pages::<Stream>(nats, "STREAM.LIST", "list the streams").await?;
    let (found, missing) = listed.unwrap_or_default();
    let unanswered = missing.into_iter().map(|stream| Unanswered {
        stream,
        consumer: None,
    });
    Ok(Listed {
        found: found.into_iter().map(|stream| stream.config.name).collect(),
        unanswered: unanswered.collect(),
    })
}

/// The consumers of a stream; none where it is gone.
pub(super) async fn consumers_of(nats: &Connection, stream: &str) -> Result<Listed<ConsumerState>, OpsError> {
    let what = format!("list the consumers of the stream {stream}");
    let listed = pages::<Info>(nats, &format!("CONSUMER.LIST.{stream}"), &what).await?;
    let Some((found, missing)) = listed else {
        return Ok(Listed {
            found: Vec::new(),
            unanswered: vec![Unanswered {
                stream: stream.to_owned(),
                consumer: None,
            }],
        });
    };
    Ok(Listed {
        found: found.into_iter().map(ConsumerState::from).collect(),
        unanswered: missing
            .into_iter()
            .map(|consumer| Unanswered {
                stream: stream.to_owned(),
                consumer: Some(consumer),
            })
            .collect(),
    })
}

/// How many messages of each durable of a service are parked; none where the stream is gone.
pub(super) async fn parked(
    nats: &Connection,
    stream: &str,
    service: &str,
) -> Result<BTreeMap<String, u64>, OpsError> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        total: usize,
        state: State,
    }
    #[derive(Deserialize)]
    struct State {
        #[serde(default)]
        subjects: Option<BTreeMap<String, u64>>,
    }
    let filter = wire::park_subject(service, "*", "*");
    let question = format!("STREAM.INFO.{stream}");
    let mut counts = BTreeMap::new();
    let mut seen = 0;
    loop {
        let request = json!({ "subjects_filter": filter, "offset": seen });
        let page: Page = match nats.api(&question, &request, ANSWERED_WITHIN).await {
            Ok(page) => page,
            Err(ApiError::Answered(error)) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                return Ok(counts);
            }
            Err(ApiError::NotPermitted(refusal)) => return Err(refusal.into()),
            Err(error) => {
                let what = format!("count what is parked in the stream {stream}");
                return Err(OpsError::jetstream(what, error));
            }
        };
        let subjects = page.state.subjects.unwrap_or_default();
        let before = seen;
        seen += subjects.len();
        for (subject, count) in subjects {
            if let Some(durable) = subject.split('.').nth(2) {
                *counts.entry(durable.to_owned()).or_default() += count;
            }
        }
        if seen >= page.total || seen == before {
            return Ok(counts);
        }
    }
}

/// All items of a list and the names of those that did not answer; `None` where nobody answers for the list.
async fn pages<T: DeserializeOwned>(
    nats: &Connection,
    question: &str,
    what: &str,
) -> Result<Option<(Vec<T>, Vec<String>)>, OpsError> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    loop {
        let request: Value = json!({ "offset": found.len() + missing.len() });
        let page: Page<T> = match nats.api(question, &request, ANSWERED_WITHIN).await {
            Ok(page) => page,
            Err(ApiError::Answered(error)) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                return Ok(Some((found, missing)));
            }
            // Of the list of streams that is the whole answer, and of a stream it is that it has no leader.
            Err(ApiError::Unanswered { .. }) if question != "STREAM.LIST" => return Ok(None),
            Err(ApiError::NotPermitted(refusal)) => return Err(refusal.into()),
            Err(ApiError::Nobody { subject }) => {
                return Err(OpsError::jetstream(what, format!("nobody answers `{subject}`")));
            }
            Err(error) => return Err(OpsError::jetstream(what, error)),
        };
        let before = found.len() + missing.len();
        found.extend(page.items.unwrap_or_default());
        missing.extend(page.missing.unwrap_or_default());
        missing.extend(page.offline.unwrap_or_default().into_keys());
        let after = found.len() + missing.len();
        // Where something was removed meanwhile a page may be empty.
        if after >= page.total || after == before {
            return Ok(Some((found, missing)));
        }
    }
}
