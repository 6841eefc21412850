//! Making a context's stream what its services declare.

use async_nats::jetstream::Context as JetStream;

use super::{
    lease::Lease,
    lookup::find,
    plan::{Plan, missing, plan},
};
use crate::{context::Context, start_error::StartError};

/// Makes the context's stream, or adds to it.
///
/// The server updates a stream as a whole and compares nothing, so that of two services that add at the same moment
/// one would undo the other: under a lease the stream is read again, updated, and read back.
pub(crate) async fn ensure(
    js: &JetStream,
    context: &Context,
    stream: &str,
    subjects: &[String],
    service: &str,
) -> Result<(), StartError> {
    if planned(js, context, stream, subjects).await? == Plan::Nothing {
        return Ok(());
    }
    let lease = Lease::acquire(js, &format!("stream.{stream}"), service).await?;
    let done = apply(js, context, stream, subjects).await;
    let released = lease.release().await;
    done.and(released)
}

async fn planned(
    js: &JetStream,
    context: &Context,
    stream: &str,
    subjects: &[String],
) -> Result<Plan, StartError> {
    let found = find(js, stream).await?;
    plan(stream, context, subjects, found.as_ref()).map_err(|differences| StartError::StreamDiffers {
        stream: stream.into(),
        differences,
    })
}

async fn apply(
    js: &JetStream,
    context: &Context,
    stream: &str,
    subjects: &[String],
) -> Result<(), StartError> {
    let wanted = match planned(js, context, stream, subjects).await? {
        Plan::Nothing => return Ok(()),
        Plan::Create(config) => {
            js.create_stream((*config).clone())
                .await
                .map_err(|error| refused(stream, error))?;
            config
        }
        Plan::Update(config) => {
            js.update_stream(&*config)
                .await
                .map_err(|error| refused(stream, error))?;
            config
        }
    };
    // A server that does not know a setting may drop it without a word.
    let found = find(js, stream).await?.unwrap_or_default();
    let missing = missing(&wanted, &found);
    if missing.is_empty() {
        tracing::info!(%stream, ?subjects, "the stream has the declared subjects");
        return Ok(());
    }
    let differences = missing
        .into_iter()
        .map(|what| format!("{what} was asked for and is not there"))
        .collect();
    Err(StartError::StreamDiffers {
        stream: stream.into(),
        differences,
    })
}

fn refused(stream: &str, error: impl std::error::Error + Send + Sync + 'static) -> StartError {
    StartError::StreamRefused {
        stream: stream.into(),
        source: error.into(),
    }
}
