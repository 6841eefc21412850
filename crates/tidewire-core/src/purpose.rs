//! Purpose prefixes: under which subject a message is kept, and to which one it was sent.

use tidewire_subject::Subject;

use crate::{DecodeError, wire};

/// Prefixes of copies whose own subject stands in [`wire::TW_SUBJECT`] alone.
const PARKED: [&str; 4] = ["retry.", "timer.", "due.", "park."];

/// The subject that a message was sent to, by the one it was `delivered` on and by its header [`wire::TW_SUBJECT`].
///
/// A message's own subject never changes; where a copy of it is kept, a prefix says why:
///
/// | delivered on | its own subject |
/// |---|---|
/// | `queue.<subject>` | the rest; a header must say the same, and may be missing |
/// | `retry.…`, `timer.…`, `due.…`, `park.…` | what the header says; the rest is no subject |
/// | anything else | that one, whatever the header says |
///
/// The header alone does not count in a queue: who may send one command there could make it pass for another.
///
/// # Errors
/// [`DecodeError::SubjectMismatch`] and [`DecodeError::NoRealSubject`]; both are `malformed`.
pub fn real_subject<'a>(delivered: &'a str, header: Option<&'a str>) -> Result<&'a str, DecodeError> {
    if let Some(queued) = delivered.strip_prefix(wire::QUEUE_PREFIX) {
        return match header {
            Some(header) if header != queued => Err(DecodeError::SubjectMismatch {
                queued: queued.into(),
                header: Subject::parse(header).is_ok().then(|| header.into()),
            }),
            _ => Ok(queued),
        };
    }
    match PARKED.into_iter().find(|prefix| delivered.starts_with(prefix)) {
        Some(prefix) => header.ok_or(DecodeError::NoRealSubject { prefix }),
        None => Ok(delivered),
    }
}

/// As [`real_subject`], for messages of any program: the one it was `delivered` on where that is none of Tidewire's
/// parked copies, such as `queue.jobs.7` of somebody else.
pub fn real_subject_or_own<'a>(delivered: &'a str, header: Option<&'a str>) -> &'a str {
    let is_ours = |real: &&str| header.is_some() || Subject::parse(real).is_ok();
    let real = real_subject(delivered, header).ok();
    real.filter(is_ours).unwrap_or(delivered)
}

/// The first value of [`wire::TW_SUBJECT`], whatever the case in which the name was written.
pub fn tw_subject<'a>(mut headers: impl Iterator<Item = (&'a str, &'a str)>) -> Option<&'a str> {
    let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wire::TW_SUBJECT));
    found.map(|(_, value)| value)
}

/// Whether the header has a say.
pub(crate) fn is_parked(delivered: &str) -> bool {
    delivered.starts_with(wire::QUEUE_PREFIX) || PARKED.iter().any(|prefix| delivered.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESS: &str = "orders.payments.payment.process.p-42";
    const REFUND: &str = "orders.payments.payment.refund.p-42";
    const QUEUED: &str = "queue.orders.payments.payment.process.p-42";

    fn class(delivered: &str, header: Option<&str>) -> &'static str {
        real_subject(delivered, header).unwrap_err().class()
    }

    #[test]
    fn without_a_prefix_the_header_says_nothing() {
        for header in [None, Some(REFUND), Some("")] {
            assert_eq!(real_subject(PROCESS, header).unwrap(), PROCESS);
        }
        // A word that only begins like a prefix is somebody's domain.
        assert_eq!(real_subject("queues.a.b", Some(REFUND)).unwrap(), "queues.a.b");
    }

    #[test]
    fn a_queued_command_is_what_it_was_queued_as() {
        for header in [None, Some(PROCESS)] {
            assert_eq!(real_subject(QUEUED, header).unwrap(), PROCESS);
        }
        for header in [REFUND, "", "orders.payments.payment.process.p-43", "ORDERS"] {
            assert_eq!(class(QUEUED, Some(header)), "malformed");
        }
    }

    #[test]
    fn a_header_that_is_no_subject_is_not_shown() {
        let error = real_subject(QUEUED, Some("a secret\u{7}"))
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secret") && error.contains(PROCESS), "{error}");
        let error = real_subject(QUEUED, Some(REFUND)).unwrap_err().to_string();
        assert!(error.contains(REFUND), "{error}");
    }

    #[test]
    fn a_parked_message_needs_its_header() {
        for parked in [
            "retry.payments.charge.l-1",
            "park.payments.charge.p-42",
            "due.payments.x",
        ] {
            assert_eq!(real_subject(parked, Some(REFUND)).unwrap(), REFUND);
            assert_eq!(class(parked, None), "malformed");
        }
    }

    #[test]
    fn subjects_of_other_programs_are_left_alone() {
        assert_eq!(real_subject_or_own("queue.jobs.7", None), "queue.jobs.7");
        assert_eq!(real_subject_or_own("retry.jobs", None), "retry.jobs");
        assert_eq!(real_subject_or_own(QUEUED, None), PROCESS);
        assert_eq!(real_subject_or_own(QUEUED, Some(REFUND)), QUEUED);
        // A replayed message of another program has a subject of its own kind.
        assert_eq!(real_subject_or_own("retry.a.b.c", Some("LEGACY.7")), "LEGACY.7");
    }

    #[test]
    fn the_header_is_found_in_any_case() {
        let headers = [("a", "b"), ("tw-subject", "x"), ("Tw-Subject", "y")];
        assert_eq!(tw_subject(headers.into_iter()), Some("x"));
        assert_eq!(tw_subject(std::iter::empty()), None);
    }
}
