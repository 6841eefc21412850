//! Where tools find what a service declares: its manifest in a bucket that all services share.

use std::time::Duration;

use async_nats::jetstream::{
    Context as JetStream, ErrorCode,
    context::AccountErrorKind,
    kv::{Config, Store},
};
use tidewire_core::{BoxError, Manifest, wire::MANIFESTS_BUCKET};
use tokio::time::timeout;

use crate::connection::{Connection, Refusal};

/// How long a start waits for it; three requests take milliseconds, and a service runs well without.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// Whether a refusal is about the bucket and nothing else: no service needs it to run.
pub(crate) fn concerns(refusal: &Refusal) -> bool {
    refusal.subject.contains(MANIFESTS_BUCKET)
}

/// Writes the manifest under the service's name, over that of an earlier start; where that fails it warns, naming the
/// permission that is needed. Without JetStream there is no bucket, and nothing to say.
pub(crate) async fn write(nats: &Connection, manifest: &Manifest) {
    let writing = timeout(WRITTEN_WITHIN, try_write(nats, manifest));
    let info = format!("{}.INFO", nats.api_prefix());
    let concerns = |refusal: &Refusal| concerns(refusal) || refusal.subject == info;
    let error: BoxError = match nats.refusals().or_refused(concerns, writing).await {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(error))) => error,
        Ok(Err(_)) => format!("not done within {WRITTEN_WITHIN:?}").into(),
        Err(refusal) => refusal.into(),
    };
    let (service, api) = (&manifest.service, nats.api_prefix());
    tracing::warn!(
        "the manifest of `{service}` is not in the bucket {MANIFESTS_BUCKET}, so tools will not know this service: \
         {error} (it takes the permission to publish to `{api}.STREAM.INFO.KV_{MANIFESTS_BUCKET}`, \
         `{api}.STREAM.CREATE.KV_{MANIFESTS_BUCKET}` and `$KV.{MANIFESTS_BUCKET}.{service}`)"
    );
}

async fn try_write(nats: &Connection, manifest: &Manifest) -> Result<(), BoxError> {
    let js = nats.jetstream();
    if !is_on(&js).await {
        return Ok(());
    }
    let written = serde_json::to_vec(manifest)?;
    let bucket = bucket(&js, manifest).await?;
    bucket.put(&manifest.service, written.into()).await?;
    Ok(())
}

async fn is_on(js: &JetStream) -> bool {
    let Err(error) = js.query_account().await else {
        return true;
    };
    match error.kind() {
        AccountErrorKind::JetStreamUnavailable => false,
        AccountErrorKind::JetStream(api) => ![
            ErrorCode::JETSTREAM_NOT_ENABLED,
            ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
        ]
        .contains(&api.error_code()),
        _ => true,
    }
}

/// The bucket, made if need be: with as many replicas as the streams of the service that makes it.
async fn bucket(js: &JetStream, manifest: &Manifest) -> Result<Store, BoxError> {
    if let Ok(found) = js.get_key_value(MANIFESTS_BUCKET).await {
        return Ok(found);
    }
    let replicas = manifest.contexts.iter().filter_map(|context| {
        let replicas = context.settings.get("replicas")?.as_u64()?;
        usize::try_from(replicas).ok()
    });
    let config = Config {
        bucket: MANIFESTS_BUCKET.into(),
        description: "what each Tidewire service declares, under its name".into(),
        history: 1,
        num_replicas: replicas.max().unwrap_or(1),
        ..Config::default()
    };
    match js.create_key_value(config).await {
        Ok(made) => Ok(made),
        // Somebody else made it at the same moment.
        Err(error) => js.get_key_value(MANIFESTS_BUCKET).await.map_err(|_| error.into()),
    }
}
