//! The audit: reads every stream and bucket of the shop from outside, and compares them with each other and with the
//! storefront's ledger.

mod letters;
mod records;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidewire::{Connection, Message};
use tokio::time::{Instant, sleep};

use crate::{
    inventory::{Decision, SHELVES},
    load::{Answer, Ledger},
    messages::{ItemRejected, ItemReserved, OrderPlaced, OrderStatus, PaymentFailed, PaymentProcessed},
};

#[cfg(test)]
pub(crate) use records::values;
pub use records::{DeadLetter, ReadError, Records};

/// How long between two audits.
const PAUSE: Duration = Duration::from_millis(200);

/// What the audit found.
#[derive(Clone, Debug)]
pub struct Books {
    /// Every comparison.
    pub checks: Vec<Check>,
    /// How many events the streams hold, by name.
    pub events: BTreeMap<&'static str, usize>,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was compared.
    pub name: &'static str,
    /// The figures.
    pub found: String,
    /// What differs, a line each; none where the books balance.
    pub differences: Vec<String>,
}

impl Books {
    /// Reads everything and compares. The services have stopped, or at least have nothing more to do.
    ///
    /// # Errors
    /// [`ReadError`] where a stream cannot be read.
    pub async fn audit(nats: &Connection, ledger: &Ledger) -> Result<Self, ReadError> {
        Ok(Self::compare(&Records::read(nats).await?, ledger))
    }

    /// Audits again and again until the books balance, for at most `within`: the last effects may be on their way.
    ///
    /// # Errors
    /// [`ReadError`] where a stream cannot be read.
    pub async fn once_balanced(
        nats: &Connection,
        ledger: &Ledger,
        within: Duration,
    ) -> Result<Self, ReadError> {
        let deadline = Instant::now() + within;
        loop {
            // A stream whose leader has died is not read either, until it has another one.
            match Self::audit(nats, ledger).await {
                Ok(books) if books.balance() => return Ok(books),
                found if Instant::now() >= deadline => return found,
                _ => {}
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether nothing differs.
    pub fn balance(&self) -> bool {
        self.checks.iter().all(|check| check.differences.is_empty())
    }

    /// Compares without reading.
    pub fn compare(records: &Records, ledger: &Ledger) -> Self {
        let checks = vec![
            placed(records, ledger),
            ends(records, ledger),
            money(records),
            stock(records),
            letters::dead(records),
            letters::mail(records),
        ];
        let events = BTreeMap::from([
            (OrderPlaced::TYPE.name, records.placed.len()),
            (ItemReserved::TYPE.name, records.reserved.len()),
            (ItemRejected::TYPE.name, records.rejected.len()),
            (PaymentProcessed::TYPE.name, records.processed.len()),
            (PaymentFailed::TYPE.name, records.failed.len()),
        ]);
        Self { checks, events }
    }
}

/// Every accepted order has its event, and no order has one that was not asked for.
fn placed(records: &Records, ledger: &Ledger) -> Check {
    let entries = ledger.entries();
    let accepted = |answer: &Option<Answer>| *answer == Some(Answer::Accepted);
    let unknown = |answer: &Option<Answer>| !matches!(answer, Some(Answer::Declined(_)));
    let told: BTreeSet<_> = entries
        .iter()
        .filter(|(_, entry)| accepted(&entry.answer))
        .map(|(id, _)| id)
        .collect();
    let allowed: BTreeSet<_> = entries
        .iter()
        .filter(|(_, entry)| unknown(&entry.answer))
        .map(|(id, _)| id)
        .collect();
    let events: BTreeSet<_> = records.placed.iter().map(|event| &event.order_id).collect();
    let mut check = Check::new(
        "orders",
        format!(
            "{} accepted, {} with the event `placed`",
            told.len(),
            events.len()
        ),
    );
    check.all("accepted, and no event says so", told.difference(&events));
    check.all("placed, and not accepted", events.difference(&allowed));
    check
}

/// Every order has one end, and the orders service tells that one; or its payment is a dead letter that waits.
fn ends(records: &Records, ledger: &Ledger) -> Check {
    let ends = records.ends();
    let placed: BTreeSet<_> = records
        .placed
        .iter()
        .map(|event| event.order_id.as_str())
        .collect();
    let of = |end| ends.values().filter(|found| found.as_slice() == [end]).count();
    let mut check = Check::new(
        "ends",
        format!(
            "{} orders ended: {} paid, {} out of stock, {} declined",
            ends.len(),
            of(OrderStatus::Paid),
            of(OrderStatus::OutOfStock),
            of(OrderStatus::PaymentFailed)
        ),
    );
    check.all(
        "placed, and without an end",
        placed
            .iter()
            .filter(|id| !ends.contains_key(**id) && !records.waits(id)),
    );
    check.all(
        "ended, and never placed",
        ends.keys().filter(|id| !placed.contains(**id)),
    );
    check.all(
        "ended in two ways",
        ends.iter().filter(|(_, found)| found.len() > 1).map(|(id, _)| id),
    );
    let entries = ledger.entries();
    let told = entries
        .iter()
        .filter(|(_, entry)| entry.answer == Some(Answer::Accepted));
    let differs = told.filter(|(id, entry)| {
        let events = ends.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        entry.end.map_or(!records.waits(id), |end| !events.contains(&end))
    });
    check.all(
        "the orders service tells another end than the events",
        differs.map(|(id, _)| id),
    );
    check
}

/// The gateway took money once for each processed payment, and for nothing else.
fn money(records: &Records) -> Check {
    let processed: BTreeMap<_, _> = records
        .processed
        .iter()
        .map(|event| (event.payment_id.as_str(), event.amount))
        .collect();
    let mut charged: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut paid_for: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut waiting = BTreeSet::new();
    for (_, charge) in &records.charges {
        charged.entry(&charge.payment_id).or_default().push(charge.amount);
        paid_for
            .entry(&charge.order_id)
            .or_default()
            .insert(&charge.payment_id);
        if records.waits(&charge.order_id) {
            waiting.insert(charge.payment_id.as_str()); // its answer got lost, and the replay will ask again
        }
    }
    let total: u64 = charged.values().flatten().sum();
    let mut check = Check::new(
        "money",
        format!(
            "{} charges of {}.{:02} in all, {} payments processed",
            records.charges.len(),
            total / 100,
            total % 100,
            processed.len()
        ),
    );
    check.all(
        "charged twice",
        charged
            .iter()
            .filter(|(_, amounts)| amounts.len() > 1)
            .map(|(id, _)| id),
    );
    check.all(
        "two payments for the order",
        paid_for.iter().filter(|(_, ids)| ids.len() > 1).map(|(id, _)| id),
    );
    check.all(
        "charged, and not processed",
        charged
            .keys()
            .filter(|id| !processed.contains_key(**id) && !waiting.contains(**id)),
    );
    check.all(
        "processed, and not charged",
        processed.keys().filter(|id| !charged.contains_key(**id)),
    );
    let wrong = processed
        .iter()
        .filter(|(id, amount)| charged.get(**id).is_some_and(|found| found[0] != **amount));
    check.all("charged another amount than processed", wrong.map(|(id, _)| id));
    check
}

/// What left the shelves is what orders got; the shelves never held less than nothing.
fn stock(records: &Records) -> Check {
    let events: BTreeMap<_, _> = records
        .reserved
        .iter()
        .map(|event| (event.order_id.as_str(), (event.sku.as_str(), event.units)))
        .collect();
    let units: u64 = events.values().map(|(_, units)| u64::from(*units)).sum();
    let mut check = Check::new(
        "stock",
        format!("{units} units reserved for {} orders", events.len()),
    );
    let decided: BTreeMap<_, _> = records
        .decisions
        .iter()
        .filter_map(|(order_id, decision)| match decision {
            Decision::Reserved { units } => Some((order_id.as_str(), *units)),
            Decision::Rejected => None,
        })
        .collect();
    check.all(
        "reserved, and not written down",
        events.keys().filter(|id| !decided.contains_key(**id)),
    );
    check.all(
        "written down, and not reserved",
        decided.keys().filter(|id| !events.contains_key(**id)),
    );
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for (order_id, _) in &records.decisions {
        *times.entry(order_id).or_default() += 1;
    }
    check.all(
        "decided twice",
        times.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id),
    );
    for (sku, filled) in SHELVES {
        let taken: u64 = events
            .values()
            .filter(|(of, _)| *of == sku)
            .map(|(_, units)| u64::from(*units))
            .sum();
        let left = records.shelves.get(sku).copied().unwrap_or(filled);
        if u64::from(left) + taken != u64::from(filled) {
            check
                .differences
                .push(format!("{sku}: {filled} at first, {taken} reserved, {left} left"));
        }
    }
    check
}

impl Check {
    fn new(name: &'static str, found: String) -> Self {
        Self {
            name,
            found,
            differences: Vec::new(),
        }
    }

    /// Notes a difference if there are any such ids, with the first few of them.
    fn all<I: AsRef<str>>(&mut self, what: &str, ids: impl Iterator<Item = I>) {
        let ids: Vec<_> = ids.collect();
        if ids.is_empty() {
            return;
        }
        let shown: Vec<_> = ids.iter().take(5).map(AsRef::as_ref).collect();
        let more = if ids.len() > shown.len() { ", …" } else { "" };
        self.differences
            .push(format!("{} {what}: {}{more}", ids.len(), shown.join(", ")));
    }
}

#[cfg(test)]
mod tests;
