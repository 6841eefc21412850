//! Making a context's stream what its services declare.

use tidewire_core::wire::LEASES_BUCKET;

use super::{
    api::ANSWERED_WITHIN,
    lease::Lease,
    lookup::find,
    plan::{Plan, missing, plan},
};
use crate::{
    connection::{Connection, Operation, Refusal},
    context::Context,
    election::Patience,
    start_error::StartError,
};

/// Makes the context's stream, or adds to it.
///
/// The server updates a stream as a whole and compares nothing, so that of two services that add at the same moment
/// one would undo the other: under a lease the stream is read again, updated, and read back.
pub(crate) async fn ensure(
    nats: &Connection,
    context: &Context,
    stream: &str,
    subjects: &[String],
    service: &str,
) -> Result<(), StartError> {
    let patience = Patience::begins();
    loop {
        match ensure_now(nats, context, stream, subjects, service).await {
            Err(error) => patience.with(error).await?,
            done => return done,
        }
    }
}

async fn ensure_now(
    nats: &Connection,
    context: &Context,
    stream: &str,
    subjects: &[String],
    service: &str,
) -> Result<(), StartError> {
    if planned(nats, context, stream, subjects).await? == Plan::Nothing {
        return Ok(());
    }
    // The lease and the stream take permissions that a service does not need once its stream is as declared.
    let needed = needed_for(stream);
    let concerns =
        |refusal: &Refusal| refusal.operation == Operation::Publish && nats.concerns(refusal, &needed);
    let doing = under_lease(nats, context, stream, subjects, service);
    let done = nats.refusals().or_refused(concerns, doing).await;
    done.map_err(|refusal| StartError::StreamNotPermitted {
        stream: stream.into(),
        subjects: subjects.to_vec(),
        refusal,
    })?
}

/// What making a stream, or adding to it, publishes to: questions about the stream, and its lease.
fn needed_for(stream: &str) -> Vec<String> {
    let key = format!("$KV.{LEASES_BUCKET}.{}", lease_of(stream));
    let bucket = format!("KV_{LEASES_BUCKET}");
    vec![
        format!("$JS.API.STREAM.*.{stream}"),
        format!("$JS.API.STREAM.*.{bucket}"),
        format!("$JS.API.STREAM.MSG.GET.{bucket}"),
        // In another domain it is written through its API.
        format!("$JS.API.{key}"),
        key,
    ]
}

fn lease_of(stream: &str) -> String {
    format!("stream.{stream}")
}

async fn under_lease(
    nats: &Connection,
    context: &Context,
    stream: &str,
    subjects: &[String],
    service: &str,
) -> Result<(), StartError> {
    let (name, replicas) = (lease_of(stream), context.replicas.unwrap_or(1));
    // Boxed: the client's futures are large.
    let lease = Box::pin(Lease::acquire(nats, &name, service, replicas)).await?;
    let done = apply(nats, context, stream, subjects).await;
    let released = lease.release().await;
    done.and(released)
}

async fn planned(
    nats: &Connection,
    context: &Context,
    stream: &str,
    subjects: &[String],
) -> Result<Plan, StartError> {
    let found = find(nats, stream).await?;
    plan(stream, context, subjects, found.as_ref()).map_err(|differences| StartError::StreamDiffers {
        stream: stream.into(),
        differences,
    })
}

async fn apply(
    nats: &Connection,
    context: &Context,
    stream: &str,
    subjects: &[String],
) -> Result<(), StartError> {
    let mut js = nats.jetstream();
    js.set_timeout(ANSWERED_WITHIN);
    let wanted = match planned(nats, context, stream, subjects).await? {
        Plan::Nothing => return Ok(()),
        Plan::Create(config) => {
            js.create_stream((*config).clone())
                .await
                .map_err(|error| StartError::of_stream(stream, error))?;
            config
        }
        Plan::Update(config) => {
            js.update_stream(&*config)
                .await
                .map_err(|error| StartError::of_stream(stream, error))?;
            config
        }
    };
    // A server that does not know a setting may drop it without a word.
    let found = find(nats, stream).await?.unwrap_or_default();
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
