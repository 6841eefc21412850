//! Hearing of new records as they are stored.

use futures_util::StreamExt;
use tidewire::async_nats::jetstream::consumer::{
    DeliverPolicy,
    pull::{Ordered, OrderedConfig},
};

use crate::{
    dead_letters::{DeadLetters, read::unread},
    error::OpsError,
};

/// The records that are stored from now on, their heads alone.
pub(super) struct Watch(Ordered);

impl Watch {
    pub(super) async fn open(dead: &DeadLetters) -> Result<Self, OpsError> {
        let opening = async {
            let last = dead.stream.get_info().await?.state.last_sequence;
            let config = OrderedConfig {
                description: Some("tidewire dlq replay".into()),
                filter_subject: "dlq.>".into(),
                headers_only: true,
                deliver_policy: DeliverPolicy::ByStartSequence {
                    start_sequence: last + 1,
                },
                ..OrderedConfig::default()
            };
            let consumer = dead.stream.create_consumer(config).await?;
            Ok::<_, tidewire::BoxError>(consumer.messages().await?)
        };
        let stream = tidewire::wire::DLQ_STREAM;
        let asked = [
            format!("$JS.API.STREAM.INFO.{stream}"),
            format!("$JS.API.CONSUMER.CREATE.{stream}"),
            format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
        ];
        let opened = dead.nats.unless_refused(&asked, Box::pin(opening)).await?;
        opened
            .map(Self)
            .map_err(|error| unread(tidewire::wire::DLQ_STREAM, error))
    }

    /// The subject of the next record.
    pub(super) async fn next(&mut self) -> Result<String, OpsError> {
        match self.0.next().await {
            Some(Ok(message)) => Ok(message.subject.to_string()),
            Some(Err(error)) => Err(unread(tidewire::wire::DLQ_STREAM, error)),
            None => Err(unread(tidewire::wire::DLQ_STREAM, "the connection is closed")),
        }
    }
}
