//! What a service makes smaller before it sends it, and what it undoes of what it receives.

use std::collections::BTreeMap;

use async_nats::Message;
use tidewire_core::{Claim, DecodeError, EncodeError, Outgoing, Packing, Subject, wire};

use crate::{
    delivery::Delivery, headers::header_map, layer::Unhandled, objects, publish_error::PublishError,
    sender::Sender,
};

/// Sizes in bytes from which on something is done about a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Larger ones are compressed when they are sent.
    pub(crate) compress_above: Option<usize>,
    /// The data of larger ones goes to the object store when they are sent.
    pub(crate) claim_check_above: Option<usize>,
    /// Larger ones are not taken, once they are unpacked.
    pub(crate) body_limit: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            compress_above: None,
            claim_check_above: None,
            body_limit: 16 << 20,
        }
    }
}

impl Sizes {
    /// Those that were given, by name, for the manifest.
    pub(crate) fn declared(&self) -> BTreeMap<String, usize> {
        let limit = (self.body_limit != Self::default().body_limit).then_some(self.body_limit);
        let all = [
            ("compress_above", self.compress_above),
            ("claim_check_above", self.claim_check_above),
            ("body_limit", limit),
        ];
        all.into_iter()
            .filter_map(|(name, size)| Some((name.to_owned(), size?)))
            .collect()
    }

    /// What to do about a message that the server does not take.
    pub(crate) fn remedy(&self) -> &'static str {
        match (self.claim_check_above, cfg!(feature = "zstd")) {
            (Some(_), _) => "its headers alone are too large: put what is large into the data",
            (None, true) => {
                "send less, or add `.claim_check_above(524288)` to the service, which stores large data beside its message, \
                 or `.compress_above(65536)`"
            }
            (None, false) => {
                "send less, or add `.claim_check_above(524288)` to the service, which stores large data beside its message"
            }
        }
    }
}

impl Sender {
    /// The message as it is sent, where it is sent otherwise than it was written. Its data is in the object store then,
    /// where it goes there: whoever sees the message finds it.
    pub(crate) async fn packed(&self, outgoing: &Outgoing) -> Result<Option<Outgoing>, PublishError> {
        let Sizes {
            compress_above,
            claim_check_above,
            ..
        } = *self.sizes();
        let is_over = |most: Option<usize>| most.is_some_and(|most| outgoing.body.len() > most);
        if is_over(compress_above) || claim_check_above.is_some() && self.is_claimed(outgoing) {
            // Boxed: nearly no message needs it, and each would hold the room for it.
            let packed = Box::pin(self.pack(outgoing)).await;
            return packed
                .map(Some)
                .inspect_err(|error| self.sends().unsent(outgoing.subject.name().as_str(), error));
        }
        Ok(None)
    }

    /// Whether the server takes the message by its size: to be known of all that go together before the first is sent.
    pub(crate) fn fits(&self, outgoing: &Outgoing) -> Result<(), PublishError> {
        if size(outgoing) <= self.connection().max_payload() {
            return Ok(());
        }
        let error = self.too_large(outgoing);
        self.sends().unsent(outgoing.subject.name().as_str(), &error);
        Err(error)
    }

    pub(crate) fn too_large(&self, outgoing: &Outgoing) -> PublishError {
        let (size, most) = (outgoing.body.len(), self.connection().max_payload());
        PublishError::TooLarge {
            subject: outgoing.published_to(),
            reason: format!(
                "{size} bytes, and the server takes {most}, headers included; {}",
                self.sizes().remedy()
            ),
        }
    }

    async fn pack(&self, outgoing: &Outgoing) -> Result<Outgoing, PublishError> {
        let message = self.compressed(outgoing.clone())?;
        if !self.is_claimed(&message) {
            return Ok(message);
        }
        let binary = self.compressed(outgoing.clone().into_binary()?)?;
        let bucket = wire::data_bucket(&binary.subject.name().context_name());
        let claim = Claim::new(bucket, &binary.id, &binary.body);
        objects::put(self.connection(), &claim, &binary.body)
            .await
            .map_err(|source| PublishError::Data {
                subject: binary.published_to(),
                bucket: claim.bucket.clone(),
                source,
            })?;
        tracing::trace!(target: "tidewire::walk", "data stored");
        Ok(binary.claimed(&claim)?)
    }

    /// Whether the data of a message goes to the object store: it is larger than the service sends it, or than the server
    /// takes it.
    fn is_claimed(&self, outgoing: &Outgoing) -> bool {
        let Some(most) = self.sizes().claim_check_above else {
            return false;
        };
        outgoing.body.len() > most || size(outgoing) > self.connection().max_payload()
    }

    #[cfg(feature = "zstd")]
    fn compressed(&self, outgoing: Outgoing) -> Result<Outgoing, EncodeError> {
        match self.sizes().compress_above {
            Some(most) if outgoing.body.len() > most => outgoing.compressed(),
            _ => Ok(outgoing),
        }
    }

    #[cfg(not(feature = "zstd"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with the feature it compresses, and may fail"
    )]
    fn compressed(&self, outgoing: Outgoing) -> Result<Outgoing, EncodeError> {
        Ok(outgoing)
    }
}

/// What the server counts of a message.
fn size(outgoing: &Outgoing) -> usize {
    let lines = outgoing
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + ": \r\n".len());
    let expected = wire::EXPECTED_STREAM.len() + outgoing.stream().len() + ": \r\n".len();
    "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>() + expected + outgoing.body.len()
}

impl Delivery {
    /// Whether its body is another one than that which was written, or its headers say so and are wrong.
    pub(crate) fn is_packed(&self) -> bool {
        !matches!(Packing::of(self.headers(), self.payload()), Ok(None))
    }

    /// The same message with its body as it was before it was packed, and without the headers that said how.
    pub(crate) async fn unpacked(self) -> Result<Self, Unhandled> {
        match Packing::of(self.headers(), self.payload())? {
            None => Ok(self),
            Some(packing) => Box::pin(self.unpack(&packing)).await,
        }
    }

    async fn unpack(self, packing: &Packing) -> Result<Self, Unhandled> {
        let sender = self.outbox.sender();
        let limit = sender.sizes().body_limit;
        let body = match packing.claim() {
            None => self.payload().clone(),
            Some(claim) => {
                self.may_claim(claim)?;
                if claim.size > limit {
                    return Err(DecodeError::TooLarge { limit }.into());
                }
                let object = objects::get(sender.connection(), claim).await?;
                claim.check(&object)?;
                object
            }
        };
        let payload = packing.unpack(body, limit)?;
        let headers = self.headers().filter(|(name, _)| !Packing::is_header(name));
        let headers = header_map(headers).map_err(tidewire_core::Failure::from)?;
        let message = Message {
            payload,
            headers: Some(headers),
            ..self.message().clone()
        };
        Ok(self.of(message))
    }

    /// A message names the bucket of its own context and no other: whoever may publish it could else have a service read
    /// what its publisher may not.
    fn may_claim(&self, claim: &Claim) -> Result<(), DecodeError> {
        let context = match self.envelope() {
            Some(envelope) => envelope.subject.name().context_name(),
            None => Subject::parse(self.subject())?.name().context_name(),
        };
        let bucket = wire::data_bucket(&context);
        if claim.bucket == bucket {
            return Ok(());
        }
        Err(DecodeError::DataRef(format!(
            "names another bucket than that of its context, which is {bucket}"
        )))
    }
}
