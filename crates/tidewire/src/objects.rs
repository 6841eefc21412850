//! Data that is an object of its own: each context has a bucket for it.

use std::time::Duration;

use async_nats::jetstream::{
    ErrorCode,
    object_store::{Config, ObjectInfo, ObjectMetadata},
    stream::{DirectGetErrorKind, LastRawMessageErrorKind, Stream},
};
use base64::{Engine, prelude::BASE64_URL_SAFE};
use bytes::Bytes;
use tidewire_core::{BoxError, Claim, Class, ContextName, Failure, wire};
use tokio::time::timeout;

use crate::{connection::Connection, start_error::StartError, stream::find};

/// How long storing or fetching one object may take.
const MOVED_WITHIN: Duration = Duration::from_secs(60);
/// How often an object is looked up that is replaced while it is read.
const REPLACED: usize = 3;
/// Room that is made for an object before it comes.
const ROOM: usize = 16 << 20;
/// The client's own size of a chunk; no larger than half of what the server takes.
const CHUNK: usize = 128 << 10;

/// The data of a message is not where the message says: the object was deleted, or a mirror does not have it yet.
///
/// The message is tried again as its durable's policy says; a rule (`.on_error::<DataMissing>(…)`) may say otherwise.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the data of the message is missing: the bucket {bucket} has no object `{object}`, or not all of it; put it back and \
     replay the message"
)]
#[non_exhaustive]
pub struct DataMissing {
    /// The bucket of the message's context.
    pub bucket: String,
    /// The object's name.
    pub object: String,
}

/// The bucket of a context, made where there is none, with as many replicas and on such servers as the stream of its
/// messages. Nothing ages in it.
pub(crate) async fn ensure(nats: &Connection, stream: &str, context: &ContextName) -> Result<(), StartError> {
    let messages = find(nats, stream).await?.unwrap_or_default();
    let config = Config {
        bucket: wire::data_bucket(context),
        description: Some(format!("data of {context} that is too large for its messages")),
        num_replicas: messages.num_replicas.max(1),
        placement: messages.placement,
        ..Config::default()
    };
    ensure_bucket(nats, config).await
}

/// A bucket for objects, made where there is none, and given the replicas that it lacks.
pub(crate) async fn ensure_bucket(nats: &Connection, config: Config) -> Result<(), StartError> {
    let (js, objects) = (nats.jetstream(), wire::object_stream(&config.bucket));
    let refused = |source: BoxError| StartError::StreamRefused {
        stream: objects.clone(),
        source,
    };
    match find(nats, &objects).await? {
        Some(found) if found.num_replicas >= config.num_replicas => Ok(()),
        Some(mut found) => {
            found.num_replicas = config.num_replicas;
            let updating = js.update_stream(&found);
            let asked = [format!("$JS.API.STREAM.UPDATE.{objects}")];
            let updated = nats.unless_refused(&asked, updating);
            updated.await?.map(drop).map_err(|error| refused(error.into()))
        }
        None => {
            // Boxed: the client's futures are large.
            let making = Box::pin(js.create_object_store(config));
            let asked = [format!("$JS.API.STREAM.CREATE.{objects}")];
            let made = nats.unless_refused(&asked, making);
            match made.await? {
                Ok(_) => Ok(()),
                // Another service made it at the same moment.
                Err(_) if find(nats, &objects).await?.is_some() => Ok(()),
                Err(error) => Err(refused(error.into())),
            }
        }
    }
}

/// Stores an object, and returns once the bucket has confirmed all of it. One that is there already is left as it is: to
/// write it anew would take it from whoever reads it.
pub(crate) async fn put(nats: &Connection, claim: &Claim, data: &Bytes) -> Result<(), BoxError> {
    let storing = async {
        let js = nats.jetstream();
        let stream = js.get_stream_no_info(wire::object_stream(&claim.bucket)).await?;
        let found = info(&stream, &claim.bucket, &claim.object).await?;
        if found.is_some_and(|found| found.size == claim.size) {
            return Ok(());
        }
        let bucket = js.get_object_store(&claim.bucket).await?;
        let meta = ObjectMetadata {
            name: claim.object.clone(),
            chunk_size: Some(CHUNK.min(nats.client().max_payload() / 2)),
            ..ObjectMetadata::default()
        };
        bucket.put(meta, &mut data.as_ref()).await?;
        Ok::<_, BoxError>(())
    };
    within(nats, &claim.bucket, Box::pin(storing)).await
}

/// Fetches an object. What comes is at most a chunk larger than the claim says, and not compared with it.
pub(crate) async fn get(nats: &Connection, claim: &Claim) -> Result<Bytes, Failure> {
    let fetching = Box::pin(fetch(nats, &claim.bucket, &claim.object, claim.size));
    let fetched = within(nats, &claim.bucket, fetching).await;
    match fetched {
        Ok(Some(data)) => Ok(data),
        Ok(None) => {
            let missing = DataMissing {
                bucket: claim.bucket.clone(),
                object: claim.object.clone(),
            };
            Err(Failure::new(Class::Retry(None), missing))
        }
        // The message is not at fault.
        Err(error) => {
            let text = format!(
                "the bucket {} with the data of the message cannot be read: {error}",
                claim.bucket
            );
            Err(Failure::new(Class::Unavailable, text))
        }
    }
}

/// What an object holds; `None` where the bucket has no such object, or not all of it. For tools, as for services: the client's
/// own reader waits for ever on a part that is replaced while it is read.
///
/// # Errors
/// Where the bucket cannot be read, or does not answer within a minute.
pub async fn read_object(nats: &Connection, bucket: &str, object: &str) -> Result<Option<Bytes>, BoxError> {
    let reading = async {
        for _ in 0..REPLACED {
            let read = Box::pin(fetch(nats, bucket, object, usize::MAX)).await?;
            if read.is_some() {
                return Ok(read);
            }
        }
        Ok(None)
    };
    within(nats, bucket, reading).await
}

/// An object's parts, up to the one with which there are more than `most` bytes.
async fn fetch(
    nats: &Connection,
    bucket: &str,
    object: &str,
    most: usize,
) -> Result<Option<Bytes>, BoxError> {
    let js = nats.jetstream();
    let stream = js.get_stream_no_info(wire::object_stream(bucket)).await?;
    let Some(info) = info(&stream, bucket, object).await? else {
        return Ok(None);
    };
    let subject = format!("$O.{bucket}.C.{}", info.nuid);
    // It says its size itself, and need not say the truth.
    let (mut data, mut from) = (Vec::with_capacity(most.min(info.size).min(ROOM)), 1);
    for _ in 0..info.chunks {
        // Chunk by chunk, without a consumer: one that misses a chunk would wait for it for ever.
        let chunk = match stream.direct_get_next_for_subject(&*subject, Some(from)).await {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        from = chunk.sequence + 1;
        data.extend_from_slice(&chunk.payload);
        if data.len() > most {
            break;
        }
    }
    Ok(Some(data.into()))
}

/// What the bucket says of an object; `None` where it has none of the name. The leader is asked: a replica may
/// not know yet what was stored a moment ago.
async fn info(stream: &Stream<()>, bucket: &str, object: &str) -> Result<Option<ObjectInfo>, BoxError> {
    let name = BASE64_URL_SAFE.encode(object);
    let subject = format!("$O.{bucket}.M.{name}");
    let message = match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => message,
        Err(error) => {
            return match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(error.into()),
            };
        }
    };
    let info: ObjectInfo = serde_json::from_slice(&message.payload)?;
    Ok((!info.deleted).then_some(info))
}

async fn within<T>(
    nats: &Connection,
    bucket: &str,
    moving: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let stream = wire::object_stream(bucket);
    let subjects = [
        format!("$O.{bucket}.>"),
        format!("$JS.API.STREAM.*.{stream}"),
        format!("$JS.API.STREAM.MSG.GET.{stream}"),
        format!("$JS.API.DIRECT.GET.{stream}"),
        format!("$JS.API.DIRECT.GET.{stream}.>"),
    ];
    let moved = nats.unless_refused(&subjects, timeout(MOVED_WITHIN, moving));
    moved.await??
}
