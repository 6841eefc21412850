//! Letters of both kinds: dead ones, and those to customers.

use std::collections::BTreeMap;

use super::{Check, DeadLetter, Records};

/// A dead letter waits and its order has no end, or it was handled and its order has one: never both, and never neither.
pub(super) fn dead(records: &Records) -> Check {
    let ends = records.ends();
    let of = |wanted| {
        let found = records.dead.iter().filter(move |(_, state)| **state == wanted);
        found.map(|(order_id, _)| order_id)
    };
    let mut check = Check::new(
        "letters",
        format!(
            "{} dead letters: {} repaired, {} wait for somebody",
            records.dead.len(),
            of(DeadLetter::Handled).count(),
            of(DeadLetter::Open).count()
        ),
    );
    check.all(
        "a dead letter that waits, and ended all the same",
        of(DeadLetter::Open).filter(|id| ends.contains_key(id.as_str())),
    );
    check.all(
        "a dead letter that was handled, and without an end",
        of(DeadLetter::Handled).filter(|id| !ends.contains_key(id.as_str())),
    );
    check
}

/// The customer of each order that ended has one message.
pub(super) fn mail(records: &Records) -> Check {
    let ends = records.ends();
    let mut written: BTreeMap<&str, usize> = BTreeMap::new();
    for order_id in &records.mail {
        *written.entry(order_id).or_default() += 1;
    }
    let mut check = Check::new(
        "mail",
        format!(
            "{} messages to customers, {} orders ended",
            records.mail.len(),
            ends.len()
        ),
    );
    check.all(
        "ended, and not told",
        ends.keys().filter(|id| !written.contains_key(**id)),
    );
    check.all(
        "told, and not ended",
        written.keys().filter(|id| !ends.contains_key(**id)),
    );
    check.all(
        "told twice",
        written.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id),
    );
    check
}
