//! A letter's message, published to its own subject again.

use std::borrow::Cow;

use tidewire::{
    async_nats::jetstream::context::GetStreamByNameErrorKind,
    dead_letter::{Act, OriginalHeaders},
    wire,
};

use super::{
    Given, ReplayEnd,
    give::{Claimed, refused},
};
use crate::{
    api,
    dead_letters::{
        DeadLetters, LetterError, Listed,
        append::{Sending, Sent},
        read::{Head, stored_since},
    },
    error::OpsError,
    manifests::Manifests,
};

/// First tokens of subjects that are not for people to publish to.
const RESERVED: [&str; 9] = [
    "retry", "timer", "due", "park", "process", "dlq", "errors", "tidewire", "",
];
/// What the server and its client add around headers, at most.
const FRAME: usize = 1 << 10;

impl DeadLetters {
    /// Publishes a letter's message to its own subject, and records that; what was done before is not done again.
    pub(super) async fn republish(&self, listed: &Listed, manifests: &Manifests) -> Result<Given, OpsError> {
        let subject = &listed.subject;
        let not = |reason: &str| {
            refused(&LetterError::NotForItsSubject {
                letter: listed.letter.clone(),
                subject: subject.clone(),
                reason: reason.to_owned(),
            })
        };
        let first = subject.split('.').next().unwrap_or_default();
        if RESERVED.contains(&first) || first.starts_with(['$', '_']) {
            return Ok(not("the subject is not one to publish to"));
        }
        let family = listed.name.as_deref().and_then(|name| manifests.family(name));
        if let Some((_, entity)) = family {
            let part =
                format!("it is part of the history of `{entity}`, to which the event store alone appends");
            return Ok(not(&part));
        }
        let message = self.read(listed).await?.message().cloned();
        let Some(OriginalHeaders::Parsed(headers)) = message.as_ref().map(|message| &message.headers) else {
            return Ok(not("its headers cannot be read, and would break readers"));
        };
        let payload = message.as_ref().map_or(0, |message| message.payload.len());
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4)
            .sum();
        if size + payload + FRAME > self.nats.client().max_payload() {
            return Ok(not("it is larger than the server takes"));
        }
        let Some(stream) = self.stream_of(subject).await? else {
            return Ok(not("no stream captures it, so nobody would have it for sure"));
        };
        let claimed = match self.claim(listed, Some(subject)).await? {
            Ok(claimed) => claimed,
            Err(end) => return Ok(Given::Ended(end)),
        };
        let id = format!("{}.{}", listed.letter, claimed.record);
        let earlier = if claimed.before {
            self.published(listed, &claimed, &stream, subject, &id).await?
        } else {
            None
        };
        let sequence = match earlier {
            Some(sequence) => sequence,
            None => match self
                .publish_again(listed, &claimed, &stream, subject, &id)
                .await?
            {
                Ok(sequence) => sequence,
                Err(error) => return Ok(refused(&error)),
            },
        };
        let reason = format!("republished to {subject} as {stream}:{sequence}");
        let act = self.act(Act::Handled, &listed.consumer, Some(&reason));
        if self.append(listed, &act, claimed.record).await?.is_none() {
            // Whoever completed the same claim has said so; anything else is told.
            let now = self.read(listed).await?;
            let said = now
                .records()
                .last()
                .and_then(|last| last.record.reason.as_deref());
            if said != Some(&*reason) {
                let reason = self.outrun(listed).await?.to_string();
                return Ok(Given::Ended(ReplayEnd::Refused { reason }));
            }
        }
        Ok(Given::Ended(ReplayEnd::Republished { stream, sequence }))
    }

    async fn publish_again(
        &self,
        listed: &Listed,
        claimed: &Claimed,
        stream: &str,
        subject: &str,
        id: &str,
    ) -> Result<Result<u64, LetterError>, OpsError> {
        // What told the server how to store the first one, such as what it had to follow, is not true of this one.
        let kept = |name: &str| {
            !name
                .get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("nats-"))
        };
        let headers = claimed
            .message
            .parsed_headers()
            .iter()
            .filter(|(name, _)| kept(name));
        let sending = Sending {
            subject: subject.to_owned(),
            stream: stream.to_owned(),
            id: id.to_owned(),
            after: None,
            headers: headers
                .map(|(name, value)| (Cow::Owned(name.clone()), value.clone()))
                .collect(),
            body: claimed.message.payload.clone(),
        };
        match self.send(sending).await {
            Ok(Sent::Stored {
                sequence,
                duplicate: false,
            }) => Ok(Ok(sequence)),
            // Who completes this very claim at the same time uses the same id; else nothing is stored, and that is told.
            Ok(Sent::Stored {
                sequence,
                duplicate: true,
            }) => {
                if self.published(listed, claimed, stream, subject, id).await? == Some(sequence) {
                    return Ok(Ok(sequence));
                }
                let (stream, id) = (stream.to_owned(), id.to_owned());
                Ok(Err(LetterError::Duplicate { stream, sequence, id }))
            }
            Ok(Sent::Outrun) => Ok(Err(LetterError::NotStored {
                subject: subject.to_owned(),
                reason: "its stream expects another message first".into(),
            })),
            Err(OpsError::Letter(error)) => Ok(Err(error)),
            Err(error) => Ok(Err(self.not_permitted(listed, claimed, subject, error).await?)),
        }
    }

    /// The place of a message that an earlier run published before it was killed.
    async fn published(
        &self,
        listed: &Listed,
        claimed: &Claimed,
        stream: &str,
        subject: &str,
        id: &str,
    ) -> Result<Option<u64>, OpsError> {
        let handle = api::handle(&self.nats, stream).await?;
        let letter = self.read(listed).await?;
        let mut records = letter.records().iter();
        let claim = records.find(|stored| stored.sequence == claimed.record);
        let since = claim.map(|claim| claim.time).unwrap_or_default();
        let heads = self
            .heads((&handle, stream), subject, stored_since(since))
            .await?;
        let has_id = |head: &&Head| {
            head.time >= since
                && head
                    .headers
                    .iter()
                    .any(|(name, value)| name == wire::MSG_ID && value == id)
        };
        let found = heads.iter().find(has_id);
        Ok(found.map(|head| head.sequence))
    }

    /// The stream that captures a subject.
    async fn stream_of(&self, subject: &str) -> Result<Option<String>, OpsError> {
        let js = self.nats.jetstream();
        let looking = js.stream_by_subject(subject);
        match self
            .nats
            .unless_refused(&["$JS.API.STREAM.NAMES"], looking)
            .await?
        {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpsError::jetstream(
                format!("look for the stream of {subject}"),
                error,
            )),
        }
    }
}
