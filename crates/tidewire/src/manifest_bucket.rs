//! Where tools find what a service declares: its manifest in a bucket that all services share.

use std::time::Duration;

use async_nats::jetstream::{
    Context as JetStream, ErrorCode,
    context::AccountErrorKind,
    kv::{Config, Store},
};
use tidewire_core::{BoxError, Manifest, SubjectFilter, Transport, wire::MANIFESTS_BUCKET};
use tokio::time::timeout;

use crate::connection::Connection;

/// How long a start waits for it; three requests take milliseconds, and a service runs well without.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// Writes the manifest under the service's name, over that of an earlier start; where that fails it warns, naming the
/// permission that is needed. Without JetStream there is no bucket, and nothing to say.
pub(crate) async fn write(nats: &Connection, manifest: &Manifest) {
    let (service, api) = (&manifest.service, nats.api_prefix());
    match within(nats, service, Box::pin(try_write(nats, manifest))).await {
        Ok(Some(bucket)) => grow(nats, manifest, &bucket).await,
        Ok(None) => {}
        Err(error) => tracing::warn!(
            "the manifest of `{service}` is not in the bucket {MANIFESTS_BUCKET}, so tools will not know this service: \
             {error} (it takes the permission to publish to `{api}.STREAM.INFO.KV_{MANIFESTS_BUCKET}`, \
             `{api}.STREAM.CREATE.KV_{MANIFESTS_BUCKET}` and `$KV.{MANIFESTS_BUCKET}.{service}`)"
        ),
    }
}

/// Whether the instance of `service` that started last declares that `durable` reads `subject`; `false` where that
/// cannot be found out.
pub(crate) async fn is_declared(nats: &Connection, service: &str, durable: &str, subject: &str) -> bool {
    let reading = async {
        let js = nats.jetstream();
        let stream = js.get_stream_no_info(format!("KV_{MANIFESTS_BUCKET}")).await?;
        let key = format!("$KV.{MANIFESTS_BUCKET}.{service}");
        let found = stream.get_last_raw_message_by_subject(&key).await?;
        Ok(serde_json::from_slice::<Manifest>(&found.payload)?)
    };
    let Ok(manifest) = within(nats, service, Box::pin(reading)).await else {
        return false;
    };
    let mut handlers = manifest.handlers.iter();
    handlers.any(|handler| match &handler.transport {
        Transport::Durable { filters, .. } => {
            handler.name == durable
                && filters
                    .iter()
                    .any(|filter| SubjectFilter::parse(filter).is_ok_and(|filter| filter.matches(subject)))
        }
        _ => false,
    })
}

/// Waits for the bucket as long as a start does.
async fn within<T>(
    nats: &Connection,
    service: &str,
    doing: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let key = format!("$KV.{MANIFESTS_BUCKET}.{service}");
    let subjects = [
        "$JS.API.INFO".to_owned(),
        format!("$JS.API.STREAM.*.KV_{MANIFESTS_BUCKET}"),
        // In another domain it is written through its API.
        format!("$JS.API.{key}"),
        key,
    ];
    let done = nats.unless_refused(&subjects, timeout(WRITTEN_WITHIN, doing));
    match done.await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(format!("not done within {WRITTEN_WITHIN:?}").into()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// The bucket that has the manifest now.
async fn try_write(nats: &Connection, manifest: &Manifest) -> Result<Option<Store>, BoxError> {
    let js = nats.jetstream();
    if !is_on(&js).await {
        return Ok(None);
    }
    let written = serde_json::to_vec(manifest)?;
    let bucket = bucket(&js, manifest).await?;
    bucket.put(&manifest.service, written.into()).await?;
    Ok(Some(bucket))
}

/// Gives the bucket as many replicas as the streams of the service have: one that has no streams may have made it.
async fn grow(nats: &Connection, manifest: &Manifest, bucket: &Store) {
    let (service, api, replicas) = (&manifest.service, nats.api_prefix(), replicas(manifest));
    let mut config = bucket.stream.cached_info().config.clone();
    if config.num_replicas >= replicas {
        return;
    }
    config.num_replicas = replicas;
    let growing = async {
        nats.jetstream().update_stream(&config).await?;
        Ok(())
    };
    if let Err(error) = within(nats, service, growing).await {
        tracing::warn!(
            "the bucket {MANIFESTS_BUCKET} has fewer replicas than the streams of `{service}`, and is lost before them: \
             {error} (it takes the permission to publish to `{api}.STREAM.UPDATE.KV_{MANIFESTS_BUCKET}`)"
        );
    }
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
    let config = Config {
        bucket: MANIFESTS_BUCKET.into(),
        description: "what each Tidewire service declares, under its name".into(),
        history: 1,
        num_replicas: replicas(manifest),
        ..Config::default()
    };
    match js.create_key_value(config).await {
        Ok(made) => Ok(made),
        // Somebody else made it at the same moment.
        Err(error) => js.get_key_value(MANIFESTS_BUCKET).await.map_err(|_| error.into()),
    }
}

/// How many replicas the streams of the service have by its declaration.
fn replicas(manifest: &Manifest) -> usize {
    let replicas = manifest.contexts.iter().filter_map(|context| {
        let replicas = context.settings.get("replicas")?.as_u64()?;
        usize::try_from(replicas).ok()
    });
    replicas.max().unwrap_or(1)
}
