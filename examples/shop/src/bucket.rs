//! State of a service: JSON values in a NATS key-value bucket.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};
use tidewire::{
    BoxError, Connection, Key,
    async_nats::jetstream::{
        kv::{self, CreateErrorKind, UpdateErrorKind},
        stream::LastRawMessageErrorKind,
    },
};

/// A bucket of values of one type.
///
/// Reads ask the bucket's leader. The client's own `get` may be answered by a replica that is behind, and an order that
/// was just placed would not be there.
pub struct Bucket<T> {
    store: kv::Store,
    values: PhantomData<fn() -> T>,
}

/// A bucket that could not be read or written; nothing is known about a write.
#[derive(Debug, thiserror::Error)]
#[error("the bucket {bucket} could not be {done}: {source}")]
pub struct BucketError {
    bucket: String,
    done: &'static str,
    source: BoxError,
}

impl<T: Serialize + DeserializeOwned> Bucket<T> {
    /// Opens the bucket, which is made where there is none. It keeps a key's last ten values, so that an audit sees
    /// what was written twice.
    ///
    /// # Errors
    /// [`BucketError`] where JetStream does not answer.
    pub async fn open(nats: &Connection, name: &str) -> Result<Self, BucketError> {
        let config = kv::Config {
            bucket: name.into(),
            history: 10,
            num_replicas: crate::replicas(),
            ..kv::Config::default()
        };
        let made = nats.jetstream().create_key_value(config).await;
        Ok(Self {
            store: made.map_err(|error| failed(name, "opened", error))?,
            values: PhantomData,
        })
    }

    /// The value of `id`, and the revision that [`update`](Self::update) takes.
    ///
    /// # Errors
    /// [`BucketError`]; try again later.
    pub async fn get(&self, id: &str) -> Result<Option<(T, u64)>, BucketError> {
        let read = |error| self.failed("read", error);
        let subject = format!("{}{}", self.store.prefix, key(id).map_err(read)?);
        let last = match self.store.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(last) => last,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(read(error.into())),
        };
        let value = serde_json::from_slice(&last.payload).map_err(|error| read(error.into()))?;
        Ok(Some((value, last.sequence)))
    }

    /// Writes the first value of `id`; `false`, and nothing is written, where it has one.
    ///
    /// # Errors
    /// [`BucketError`]; try again later.
    pub async fn create(&self, id: &str, value: &T) -> Result<bool, BucketError> {
        let (key, value) = self.entry(id, value)?;
        match self.store.create(key, value.into()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(self.failed("written", error.into())),
        }
    }

    /// Writes the next value of `id`; `false`, and nothing is written, where `revision` is no longer its last.
    ///
    /// # Errors
    /// [`BucketError`]; try again later.
    pub async fn update(&self, id: &str, value: &T, revision: u64) -> Result<bool, BucketError> {
        let (key, value) = self.entry(id, value)?;
        match self.store.update(key, value.into(), revision).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(self.failed("written", error.into())),
        }
    }

    /// Writes a value of `id`, whatever it has.
    ///
    /// # Errors
    /// [`BucketError`]; try again later.
    pub async fn put(&self, id: &str, value: &T) -> Result<(), BucketError> {
        let (key, value) = self.entry(id, value)?;
        let put = self.store.put(key, value.into()).await;
        put.map(drop)
            .map_err(|error| self.failed("written", error.into()))
    }

    fn entry(&self, id: &str, value: &T) -> Result<(String, Vec<u8>), BucketError> {
        let key = key(id).map_err(|error| self.failed("written", error))?;
        let value = serde_json::to_vec(value).map_err(|error| self.failed("written", error.into()))?;
        Ok((key, value))
    }

    fn failed(&self, done: &'static str, source: BoxError) -> BucketError {
        failed(&self.store.name, done, source)
    }
}

/// Any text as a bucket's key: escaped like the key of a subject.
fn key(id: &str) -> Result<String, BoxError> {
    Ok(Key::new(id)?.as_token().to_owned())
}

fn failed(bucket: &str, done: &'static str, source: impl Into<BoxError>) -> BucketError {
    BucketError {
        bucket: bucket.into(),
        done,
        source: source.into(),
    }
}

impl<T> Clone for Bucket<T> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            values: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Bucket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.store.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use tidewire_server::Server;

    use super::*;

    #[tokio::test]
    async fn any_text_is_an_id_and_a_stale_write_writes_nothing() {
        let server = Server::start().unwrap();
        let nats = tidewire::connect(server.url()).await.unwrap();
        let bucket = Bucket::<u32>::open(&nats, "TEST").await.unwrap();
        for id in ["plain", "a.b", "*", "a b", "ü\n"] {
            assert!(bucket.create(id, &1).await.unwrap());
            assert!(!bucket.create(id, &2).await.unwrap());
            let (value, revision) = bucket.get(id).await.unwrap().unwrap();
            assert_eq!(value, 1);
            assert!(bucket.update(id, &3, revision).await.unwrap());
            assert!(!bucket.update(id, &4, revision).await.unwrap());
            assert_eq!(bucket.get(id).await.unwrap().unwrap().0, 3);
            bucket.put(id, &5).await.unwrap();
            assert_eq!(bucket.get(id).await.unwrap().unwrap().0, 5);
        }
        assert!(bucket.get("").await.is_err());
    }
}
