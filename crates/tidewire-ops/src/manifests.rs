//! What services declare, from the bucket where each writes it when it starts.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use serde_json::Value;
use tidewire::{
    Connection, InvalidJson, Manifest, MessageManifest, Timestamp,
    async_nats::jetstream::{
        ErrorCode,
        context::{GetStreamError, GetStreamErrorKind, KeyValueError},
        kv::{Operation, Store},
    },
    wire::MANIFESTS_BUCKET,
};

use crate::{api, error::OpsError};

/// The manifests of all services that have started here, by service.
#[derive(Clone, Debug, Default)]
pub struct Manifests(BTreeMap<String, Written>);

/// The manifest of one service, as its last start wrote it.
#[derive(Clone, Debug)]
pub struct Written {
    /// When that start was.
    pub at: Timestamp,
    /// The text as JSON, with what this program does not know.
    pub json: Value,
    /// What this program understands of it; an error where a newer Tidewire wrote it.
    pub manifest: Result<Manifest, InvalidJson>,
}

impl Manifests {
    /// Reads the bucket; empty where no service has made it yet, and where there is no JetStream for it.
    ///
    /// # Errors
    /// [`OpsError::NotPermitted`] or [`OpsError::JetStream`].
    pub async fn read(nats: &Connection) -> Result<Self, OpsError> {
        let mut manifests = BTreeMap::new();
        let Some(bucket) = bucket(nats).await? else {
            return Ok(Self(manifests));
        };
        let all = format!("{}>", bucket.prefix);
        let listing = async {
            let subjects = bucket.stream.info_with_subjects(&all).await.map_err(failed)?;
            subjects.try_collect::<Vec<_>>().await.map_err(failed)
        };
        let info = format!("$JS.API.STREAM.INFO.KV_{MANIFESTS_BUCKET}");
        // A bucket that may be read from its replicas is.
        let gets = ["STREAM.MSG.GET", "DIRECT.GET"]
            .map(|verb| {
                [
                    format!("$JS.API.{verb}.KV_{MANIFESTS_BUCKET}"),
                    format!("$JS.API.{verb}.KV_{MANIFESTS_BUCKET}.>"),
                ]
            })
            .concat();
        for (subject, _) in nats.unless_refused(&[info], listing).await?? {
            let service = subject.strip_prefix(&bucket.prefix).unwrap_or(&subject);
            let entry = nats.unless_refused(&gets, bucket.entry(service)).await?;
            let entry = entry.map_err(failed)?;
            if let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) {
                manifests.insert(
                    service.to_owned(),
                    Written::of(&entry.value, api::time(entry.created)),
                );
            }
        }
        Ok(Self(manifests))
    }

    /// The manifest of a service.
    pub fn get(&self, service: &str) -> Option<&Written> {
        self.0.get(service)
    }

    /// All of them, by service.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Written)> {
        self.0.iter().map(|(service, written)| (&**service, written))
    }

    /// Those that this program understands.
    pub fn understood(&self) -> impl Iterator<Item = &Manifest> {
        self.0
            .values()
            .filter_map(|written| written.manifest.as_ref().ok())
    }

    /// Who declares a message, and how: every service in the newest version that one of them has.
    pub fn message(&self, name: &str) -> Vec<(&str, &MessageManifest)> {
        let declared: Vec<_> = self
            .understood()
            .filter_map(|manifest| Some((&*manifest.service, manifest.messages.get(name)?)))
            .collect();
        let newest = declared.iter().map(|(_, message)| message.version).max();
        let is_newest = |message: &MessageManifest| Some(message.version) == newest;
        declared
            .into_iter()
            .filter(|(_, message)| is_newest(message))
            .collect()
    }

    /// Who says that a message is an event of a family, and of which entity.
    pub(crate) fn family(&self, name: &str) -> Option<(&str, &str)> {
        self.understood().find_map(|manifest| {
            let entity = manifest.messages.get(name)?.entity.as_deref()?;
            Some((&*manifest.service, entity))
        })
    }

    #[cfg(test)]
    pub(crate) fn of(manifests: impl IntoIterator<Item = Manifest>) -> Self {
        let written = |manifest: Manifest| {
            let text = serde_json::to_vec(&manifest).unwrap();
            (manifest.service, Written::of(&text, api::now()))
        };
        Self(manifests.into_iter().map(written).collect())
    }
}

impl Written {
    fn of(text: &[u8], at: Timestamp) -> Self {
        Self {
            at,
            json: serde_json::from_slice(text).unwrap_or_default(),
            manifest: serde_json::from_slice(text).map_err(InvalidJson::from),
        }
    }
}

/// Reads a manifest from text, such as the reviewed file in git; `what` says where it was, for the error.
///
/// # Errors
/// [`OpsError::NotAManifest`].
pub fn read_manifest(what: &str, text: &[u8]) -> Result<Manifest, OpsError> {
    serde_json::from_slice(text).map_err(|error| OpsError::NotAManifest {
        what: what.into(),
        source: error.into(),
    })
}

/// The bucket; `None` where there is none yet.
async fn bucket(nats: &Connection) -> Result<Option<Store>, OpsError> {
    let js = nats.jetstream();
    let asked = format!("$JS.API.STREAM.INFO.KV_{MANIFESTS_BUCKET}");
    match nats
        .unless_refused(&[asked], js.get_key_value(MANIFESTS_BUCKET))
        .await?
    {
        Ok(bucket) => Ok(Some(bucket)),
        Err(error) if is_absent(&error) || api::is_without_jetstream(&error) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn is_absent(error: &KeyValueError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<GetStreamError>());
    source.is_some_and(|source| {
        matches!(source.kind(), GetStreamErrorKind::JetStream(api) if api.error_code() == ErrorCode::STREAM_NOT_FOUND)
    })
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> OpsError {
    OpsError::jetstream(
        format!("read the manifests of services in the bucket {MANIFESTS_BUCKET}"),
        error,
    )
}
