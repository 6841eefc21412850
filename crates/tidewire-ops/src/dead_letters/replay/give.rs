//! A letter on its way to the handler that failed on it.

use std::borrow::Cow;

use tidewire::{
    Operation,
    dead_letter::{Act, Letter, LetterState, Original},
    wire,
};

use super::{Given, ReplayEnd};
use crate::{
    api,
    dead_letters::{
        DeadLetters, LetterError, Listed,
        append::{Sending, Sent},
        is_there,
    },
    error::OpsError,
};

/// How long a service's stream keeps a letter for its handler.
const KEPT: &str = "604800s";
/// What the reason of a claim begins with where the message goes to its subject.
pub(super) const TO_SUBJECT: &str = "to the subject ";

/// A letter that is claimed for us, or was by somebody who did not come to the end.
pub(super) struct Claimed {
    pub(super) letter: Letter,
    pub(super) message: Original,
    /// The place of the claim.
    pub(super) record: u64,
    /// Whether it was made before.
    pub(super) before: bool,
}

impl DeadLetters {
    /// Claims a letter and sends its message to the handler alone; what was done before is not done again.
    pub(super) async fn give(&self, listed: &Listed) -> Result<Given, OpsError> {
        let stream = wire::service_stream(&listed.service);
        if !is_there(&self.nats, &stream).await? {
            let service = listed.service.clone();
            return Ok(refused(&LetterError::NoServiceStream { service, stream }));
        }
        let claimed = match self.claim(listed, None).await? {
            Ok(claimed) => claimed,
            Err(end) => return Ok(Given::Ended(end)),
        };
        let record = claimed.record;
        let subject = wire::retry_subject(&listed.service, &listed.durable, listed.letter.as_str());
        let handle = api::handle(&self.nats, &stream).await?;
        let last = self.last(&handle, &stream, &subject).await?;
        let is_ours = |headers: &tidewire::async_nats::HeaderMap| {
            headers
                .get(wire::TW_RECORD)
                .is_some_and(|found| found.as_str() == record.to_string())
        };
        if last.as_ref().is_some_and(|(_, headers)| is_ours(headers)) {
            return Ok(Given::UnderWay { record });
        }
        let beside = beside(&claimed);
        let wrapped = claimed.message.wrap(beside, "", self.nats.client().max_payload());
        let (headers, body) = self.lighten(listed.letter.as_str(), wrapped).await?;
        let sending = Sending {
            id: format!("{}.{record}", listed.letter),
            after: Some(last.map_or(0, |(sequence, _)| sequence)),
            subject: subject.clone(),
            stream: stream.clone(),
            headers,
            body,
        };
        let sent = match self.send(sending).await {
            Ok(sent) => sent,
            Err(OpsError::Letter(error)) => return Ok(refused(&error)),
            Err(error) => {
                let refusal = self.not_permitted(listed, &claimed, &subject, error).await?;
                return Ok(refused(&refusal));
            }
        };
        if matches!(sent, Sent::Stored { .. }) {
            return Ok(Given::UnderWay { record });
        }
        // Somebody else completed the same claim meanwhile, or something foreign is on the subject.
        let last = self.last(&handle, &stream, &subject).await?;
        if last.is_some_and(|(_, headers)| is_ours(&headers)) {
            return Ok(Given::UnderWay { record });
        }
        let reason = "something else was stored there meanwhile".into();
        Ok(refused(&LetterError::NotStored { subject, reason }))
    }

    /// Opens a letter again that was claimed here and then not sent, for this user may not publish to `subject`. Any other
    /// error is given back.
    pub(super) async fn not_permitted(
        &self,
        listed: &Listed,
        claimed: &Claimed,
        subject: &str,
        error: OpsError,
    ) -> Result<LetterError, OpsError> {
        let refusal = match error {
            OpsError::NotPermitted(refusal)
                if refusal.operation == Operation::Publish && refusal.subject == subject =>
            {
                refusal
            }
            other => return Err(other),
        };
        let error = LetterError::NotPermitted {
            letter: listed.letter.clone(),
            refusal,
        };
        // Who claimed it before us may still send it.
        if !claimed.before {
            let reason = format!("not sent: this user may not publish to `{subject}`");
            let act = self.act(Act::Failed, &listed.consumer, Some(&reason));
            // Whoever was faster has said what became of it.
            self.append(listed, &act, claimed.record).await?;
        }
        Ok(error)
    }

    /// Says in the stream that a letter is replayed now; `to_subject` is the subject where it does not go to its handler.
    pub(super) async fn claim(
        &self,
        listed: &Listed,
        to_subject: Option<&str>,
    ) -> Result<Result<Claimed, ReplayEnd>, OpsError> {
        let letter = self.read(listed).await?;
        if let Some(standing) = standing(&letter, listed, to_subject) {
            return Ok(standing);
        }
        let Some(message) = letter.message().cloned() else {
            let what = listed.letter.to_string();
            return Err(LetterError::Unknown { what }.into());
        };
        let reason = to_subject.map(|subject| format!("{TO_SUBJECT}{subject}"));
        let act = self.act(Act::Replayed, &listed.consumer, reason.as_deref());
        if let Some(record) = self.append(listed, &act, letter.last_sequence()).await? {
            return Ok(Ok(Claimed {
                letter,
                message,
                record,
                before: false,
            }));
        }
        // Whoever replays it too is awaited, so that the next letter of its key does not overtake it.
        let letter = self.read(listed).await?;
        Ok(standing(&letter, listed, to_subject).unwrap_or_else(|| {
            let error = LetterError::Outrun {
                letter: letter.id.clone(),
                state: letter.state(),
            };
            Err(ReplayEnd::Refused {
                reason: error.to_string(),
            })
        }))
    }
}

/// What there is to do with a letter that cannot be claimed as it stands; `None` where it can.
fn standing(
    letter: &Letter,
    listed: &Listed,
    to_subject: Option<&str>,
) -> Option<Result<Claimed, ReplayEnd>> {
    let state = letter.state();
    match state {
        LetterState::Open => None,
        // One that was discarded may be replayed by who names it; not by who listed it while it was open.
        LetterState::Discarded if listed.state == LetterState::Discarded => None,
        LetterState::Handled | LetterState::Discarded => Some(Err(ReplayEnd::Closed { state })),
        LetterState::Replaying => {
            let claim = letter.records().last()?;
            let reason = claim.record.reason.as_deref();
            let claimed_to = reason.and_then(|reason| reason.strip_prefix(TO_SUBJECT));
            if claimed_to == to_subject {
                return Some(Ok(Claimed {
                    message: letter.message()?.clone(),
                    record: claim.sequence,
                    letter: letter.clone(),
                    before: true,
                }));
            }
            let error = LetterError::ClaimedOtherwise {
                letter: letter.id.clone(),
                to_subject: claimed_to.is_some(),
            };
            Some(Err(ReplayEnd::Refused {
                reason: error.to_string(),
            }))
        }
    }
}

pub(super) fn refused(error: &LetterError) -> Given {
    Given::Ended(ReplayEnd::Refused {
        reason: error.to_string(),
    })
}

/// What the service needs beside the message, to write what came of it.
fn beside(claimed: &Claimed) -> Vec<(Cow<'static, str>, String)> {
    let consumer = claimed
        .letter
        .records()
        .first()
        .map(|first| first.record.consumer.clone());
    let mut beside = vec![
        (wire::TW_LETTER.into(), claimed.letter.id.to_string()),
        (wire::TW_RECORD.into(), claimed.record.to_string()),
        (wire::TW_CONSUMER.into(), consumer.unwrap_or_default()),
        (wire::TTL.into(), KEPT.into()),
    ];
    if let Some(trouble) = claimed.letter.trouble() {
        beside.push((wire::TW_ATTEMPTS.into(), trouble.attempts.to_string()));
        beside.push((wire::TW_FIRST_FAILED.into(), trouble.first_failed.to_string()));
        if let Some(parent) = &trouble.traceparent {
            beside.push((wire::TRACEPARENT.into(), parent.clone()));
        }
    }
    beside
}
