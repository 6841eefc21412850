//! Which lane a message belongs to.

use std::sync::Arc;

use async_nats::Message;
use tidewire_core::{Key, Subject, Timestamp, dead_letter::LetterId, wire};

use crate::headers::header;

/// The lane of a message, as a token of a subject: its key, or its name where it has none. Messages that are not ours
/// share a lane where they share a subject, and a replay takes the lane of what is replayed.
pub(in crate::consumer) fn lane_of(message: &Message) -> Arc<str> {
    let original = message.headers.as_ref().and_then(|headers| {
        let is_replay = message.subject.starts_with("retry.");
        header(headers, wire::TW_SUBJECT).filter(|_| is_replay)
    });
    lane_of_subject(original.unwrap_or(&message.subject))
}

fn lane_of_subject(subject: &str) -> Arc<str> {
    let text = match Subject::parse(subject) {
        Ok(parsed) => match parsed.key() {
            Some(key) => return key.as_token().into(),
            None => parsed.name().as_str().to_owned(),
        },
        Err(_) => subject.to_owned(),
    };
    match Key::new(&text) {
        Ok(key) => key.as_token().into(),
        // Too long for a token: its hash.
        Err(_) => LetterId::of(&text, Timestamp::default(), 0).as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_a_key_or_a_name_or_a_foreign_subject_and_always_one_token() {
        let lane = |subject: &str| lane_of_subject(subject).to_string();
        assert_eq!(lane("orders.payments.payment.processed.p-42"), "p-42");
        assert_eq!(lane("orders.payments.payment.processed.a=2Eb"), "a=2Eb");
        assert_eq!(lane("orders.payments.process"), "orders=2Epayments=2Eprocess");
        assert_eq!(lane("Sensors.7"), "Sensors=2E7");
        let long = lane(&format!("Sensors.{}", "x".repeat(200)));
        assert!(long.len() < 100 && !long.contains('.'));
    }
}
