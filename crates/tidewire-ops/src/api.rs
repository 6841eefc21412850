//! What the questions share: JetStream's listings, and times.

use std::{
    error::Error as StdError,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use tidewire::{
    BoxError, Connection, Timestamp,
    async_nats::{
        HeaderMap,
        datetime::DateTime,
        jetstream::{
            self, ErrorCode, consumer,
            context::{GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind},
            stream,
        },
    },
};
use tokio::time::timeout;

use crate::error::OpsError;

/// How long a message to ourselves may be under way.
const ROUND_TRIP: Duration = Duration::from_secs(5);

/// Whether an answer says that there is no JetStream here: nobody serves its API, or the account has it off.
pub(crate) fn is_without_jetstream(error: &(dyn StdError + 'static)) -> bool {
    const OFF: [ErrorCode; 2] = [
        ErrorCode::JETSTREAM_NOT_ENABLED,
        ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
    ];
    let mut next = Some(error);
    while let Some(error) = next {
        let is_off = if let Some(error) = error.downcast_ref::<RequestError>() {
            error.kind() == RequestErrorKind::NoResponders
        } else if let Some(error) = error.downcast_ref::<jetstream::Error>() {
            OFF.contains(&error.error_code())
        } else if let Some(error) = error.downcast_ref::<GetStreamError>() {
            matches!(error.kind(), GetStreamErrorKind::JetStream(api) if OFF.contains(&api.error_code()))
        } else {
            false
        };
        if is_off {
            return true;
        }
        next = error.source();
    }
    false
}

/// Every stream that this user can see, by name.
pub(crate) async fn streams(nats: &Connection) -> Result<Vec<stream::Info>, OpsError> {
    let js = nats.jetstream();
    let listing = nats
        .unless_refused(&["$JS.API.STREAM.LIST"], js.streams().try_collect::<Vec<_>>())
        .await?;
    let mut streams = listing.map_err(|error| OpsError::jetstream("list the streams", error))?;
    streams.sort_by(|one, other| one.config.name.cmp(&other.config.name));
    Ok(streams)
}

/// Every consumer of a stream, by name.
pub(crate) async fn consumers(nats: &Connection, stream: &str) -> Result<Vec<consumer::Info>, OpsError> {
    let what = || format!("list the consumers of the stream {stream}");
    let handle = handle(nats, stream).await?;
    let asked = format!("$JS.API.CONSUMER.LIST.{stream}");
    let listing = nats
        .unless_refused(&[asked], handle.consumers().try_collect::<Vec<_>>())
        .await?;
    let mut consumers = listing.map_err(|error| OpsError::jetstream(what(), error))?;
    consumers.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(consumers)
}

/// A stream without a question to the server.
pub(crate) async fn handle(nats: &Connection, stream: &str) -> Result<stream::Stream<()>, OpsError> {
    let js = nats.jetstream();
    js.get_stream_no_info(stream)
        .await
        .map_err(|error| OpsError::jetstream(format!("use the stream {stream}"), error))
}

/// What a filter of a consumer is: one or several, or all of the stream.
pub(crate) fn filters(config: &consumer::Config) -> Vec<String> {
    if config.filter_subject.is_empty() {
        config.filter_subjects.clone()
    } else {
        vec![config.filter_subject.clone()]
    }
}

/// Returns once the server has processed everything that was sent before: a message to ourselves came back, or was
/// refused, which takes the server as long.
pub(crate) async fn round_trip(nats: &Connection) -> Result<(), OpsError> {
    let client = nats.client();
    let inbox = client.new_inbox();
    let there_and_back = async {
        let mut echo = client.subscribe(inbox.clone()).await?;
        client.publish(inbox.clone(), Bytes::new()).await?;
        echo.next().await.ok_or("the connection is closed")?;
        Ok::<_, BoxError>(())
    };
    let heard = [&inbox];
    let round_trip = nats.unless_refused(&heard, timeout(ROUND_TRIP, there_and_back));
    match round_trip.await {
        Err(refusal) if refusal.subject == inbox => Ok(()),
        Err(refusal) => Err(refusal.into()),
        Ok(Err(_)) => Err(OpsError::Connection(
            format!("the server did not answer within {ROUND_TRIP:?}").into(),
        )),
        Ok(Ok(done)) => done.map_err(OpsError::Connection),
    }
}

/// The time by this machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_unix(since.unwrap_or_default())
}

/// A time of the client's as one of ours; what is before 1970 is 1970.
pub(crate) fn time(time: DateTime) -> Timestamp {
    let nanos = u64::try_from(time.unix_timestamp_nanos()).unwrap_or(0);
    Timestamp::from_unix(Duration::from_nanos(nanos))
}

/// Names and values, one by one and in an order that is always the same.
pub(crate) fn pairs(headers: Option<&HeaderMap>) -> Vec<(String, String)> {
    let all = headers.into_iter().flat_map(HeaderMap::iter);
    let mut pairs: Vec<_> = all
        .flat_map(|(name, values)| {
            values
                .iter()
                .map(move |value| (name.to_string(), value.as_str().to_owned()))
        })
        .collect();
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    pairs
}
