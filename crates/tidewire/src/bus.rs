//! Sending from outside handlers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tidewire_core::{CommandMessage, Extras, FreeEvent, Outgoing, RequestMessage};

use crate::{
    ask::{ANSWER_WITHIN, AskError},
    publish_error::PublishError,
    sender::{Sender, Stored},
};

/// Publishes and asks in the name of a running service, from outside its handlers: a web server's routes, a timer, a
/// command line.
///
/// It sends what the service declared with `.publishes::<E>()`, `.asks::<M>()` and `.sends::<C>()` and refuses the rest,
/// naming the line to add. In a handler there are [`Emit`](crate::Emit), [`Ask`](crate::Ask) and
/// [`Dispatch`](crate::Dispatch), which carry correlation and trace on; what a bus sends begins a conversation of its own.
/// With the feature `otlp` it is in the trace of the span in which it is sent.
#[derive(Clone, Debug)]
pub struct Bus {
    sender: Sender,
    declared: Arc<Declared>,
}

#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) publishes: BTreeSet<&'static str>,
    pub(crate) asks: BTreeSet<&'static str>,
    pub(crate) sends: BTreeSet<&'static str>,
}

impl Bus {
    pub(crate) fn new(sender: Sender, declared: Declared) -> Self {
        Self {
            sender,
            declared: Arc::new(declared),
        }
    }

    /// Stores `event` in its context's stream, and returns once the stream has confirmed it. It is tried for 15 seconds:
    /// a stream whose leader died has a new one by then.
    ///
    /// # Errors
    /// [`PublishError`]; where [`is_transient`](PublishError::is_transient) says so, try again later. A second call is
    /// a second event, also where the first was stored and its confirmation got lost (`Unconfirmed`).
    pub async fn publish<E: FreeEvent>(&self, event: &E) -> Result<Stored, PublishError> {
        self.publish_with(event, Extras::default()).await
    }

    /// Stores `event` with headers and metadata of the caller's own.
    ///
    /// # Errors
    /// As [`Bus::publish`]; extras that cannot be sent are [`PublishError::Encode`], and nothing was sent.
    pub async fn publish_with<E: FreeEvent>(
        &self,
        event: &E,
        extras: Extras,
    ) -> Result<Stored, PublishError> {
        let name = E::TYPE.name;
        if !self.declared.publishes.contains(name) {
            let type_name = short_type_name::<E>();
            return Err(PublishError::Undeclared { name, type_name });
        }
        let stamp = self.sender.stamp(E::TYPE.kind);
        self.store(self.sender.write(event, stamp, extras)?).await
    }

    /// Stores `command` in the queue of its context, and returns once the queue has confirmed it; nobody answers. It is
    /// tried for 15 seconds. The service that works it may be down, once its queue is there.
    ///
    /// # Errors
    /// [`PublishError`]; where [`is_transient`](PublishError::is_transient) says so, try again later. A second call is
    /// a second command.
    pub async fn send<C: CommandMessage>(&self, command: &C) -> Result<Stored, PublishError> {
        self.send_with(command, Extras::default()).await
    }

    /// Stores `command` with headers and metadata of the caller's own.
    ///
    /// # Errors
    /// As [`Bus::send`]; extras that cannot be sent are [`PublishError::Encode`], and nothing was sent.
    pub async fn send_with<C: CommandMessage>(
        &self,
        command: &C,
        extras: Extras,
    ) -> Result<Stored, PublishError> {
        let name = C::TYPE.name;
        if !self.declared.sends.contains(name) {
            let type_name = short_type_name::<C>();
            return Err(PublishError::UndeclaredCommand { name, type_name });
        }
        let stamp = self.sender.stamp(C::TYPE.kind);
        let command = self.sender.write(command, stamp, extras)?;
        self.store(command.into_queue()?).await
    }

    async fn store(&self, outgoing: Outgoing) -> Result<Stored, PublishError> {
        let packed = self.sender.packed(&outgoing).await?;
        self.sender.publish(&packed.unwrap_or(outgoing)).await
    }

    /// Sends `message` and awaits the answer for up to five seconds.
    ///
    /// # Errors
    /// [`AskError`]; its [`is_transient`](AskError::is_transient) says whether to ask again.
    pub async fn ask<M: RequestMessage>(&self, message: &M) -> Result<M::Reply, AskError> {
        self.ask_with(message, Extras::default(), ANSWER_WITHIN).await
    }

    /// Sends `message` and awaits the answer for as long as `within`.
    ///
    /// # Errors
    /// [`AskError`]; its [`is_transient`](AskError::is_transient) says whether to ask again.
    pub async fn ask_within<M: RequestMessage>(
        &self,
        message: &M,
        within: Duration,
    ) -> Result<M::Reply, AskError> {
        self.ask_with(message, Extras::default(), within).await
    }

    /// Sends `message` with headers and metadata of the caller's own, and awaits the answer for as long as `within`.
    ///
    /// # Errors
    /// As [`Bus::ask`]; extras that cannot be sent are [`AskError::Encode`], and nothing was sent.
    pub async fn ask_with<M: RequestMessage>(
        &self,
        message: &M,
        extras: Extras,
        within: Duration,
    ) -> Result<M::Reply, AskError> {
        let name = M::TYPE.name;
        if !self.declared.asks.contains(name) {
            let type_name = short_type_name::<M>();
            return Err(AskError::Undeclared { name, type_name });
        }
        self.sender
            .request(
                &self
                    .sender
                    .write(message, self.sender.stamp(M::TYPE.kind), extras)?,
                within,
            )
            .await
    }
}

fn short_type_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}
