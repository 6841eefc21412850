//! The oldest message that a consumer has not settled.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use serde::Deserialize;
use serde_json::json;
use tidewire_core::Timestamp;

use crate::connection::{ApiError, Connection};

/// How long one answer is awaited.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// When a stream stored the first message behind `settled` that one of a consumer's filters lets through; `None` where
/// there is none. Without a filter every message counts.
///
/// `settled` is the consumer's ack floor: the server moves it up to the first message that is delivered and not settled,
/// however long its redelivery is put off. Where nothing is unacknowledged it is what was delivered last. For a consumer
/// that begins with the last message of each subject the answer may be a message that it skips.
///
/// It takes one question for each filter, to `STREAM.MSG.GET`: its answer is JSON, so a message whose headers no client
/// can read is a message like any other here.
///
/// # Errors
/// [`ApiError`], as soon as one question is not answered.
pub async fn oldest_unsettled(
    nats: &Connection,
    stream: &str,
    filters: &[String],
    settled: u64,
) -> Result<Option<Timestamp>, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        message: Found,
    }
    /// The rest, which may be long, is not read.
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "seq")]
        sequence: u64,
        time: Timestamp,
    }
    let everything = [">".to_owned()];
    let filters = if filters.is_empty() { &everything } else { filters };
    let question = format!("STREAM.MSG.GET.{stream}");
    let mut first: Option<Found> = None;
    for filter in filters {
        let request = json!({ "seq": settled + 1, "next_by_subj": filter });
        let found = match nats.api::<Answer>(&question, &request, ANSWERED_WITHIN).await {
            Ok(answer) => answer.message,
            Err(ApiError::Answered(error)) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => continue,
            Err(error) => return Err(error),
        };
        if first.as_ref().is_none_or(|first| found.sequence < first.sequence) {
            first = Some(found);
        }
    }
    Ok(first.map(|found| found.time))
}
