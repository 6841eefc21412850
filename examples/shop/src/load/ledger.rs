//! What the storefront was told, order by order.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::messages::{OrderStatus, PlaceOrder};

/// The storefront's own book, in memory: what the others are compared with.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    orders: BTreeMap<String, Entry>,
    events: BTreeMap<&'static str, u64>,
    asked_again: u64,
}

/// One order.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What was ordered.
    pub order: PlaceOrder,
    /// When it was asked for.
    pub asked: Instant,
    /// What the shop said.
    pub answer: Option<Answer>,
    /// How long after it was asked for its end was heard.
    pub took: Option<Duration>,
    /// The end that the orders service tells.
    pub end: Option<OrderStatus>,
}

/// What the shop said to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It will be done.
    Accepted,
    /// It will not be done, for the reason with this code.
    Declined(String),
    /// No answer came, however often it was asked for: the order may be done or not.
    Unknown(String),
}

/// Sums over the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Orders that were asked for.
    pub asked: usize,
    /// Orders that were accepted.
    pub accepted: usize,
    /// Orders that were declined.
    pub declined: usize,
    /// Orders without an answer.
    pub unknown: usize,
    /// Orders that have ended.
    pub finished: usize,
    /// How often an order was asked for again.
    pub asked_again: u64,
    /// Events that were heard, by name.
    pub events: BTreeMap<&'static str, u64>,
    /// From asking to the end, in growing order.
    pub took: Vec<Duration>,
}

impl Ledger {
    /// Every order, by id.
    pub fn entries(&self) -> BTreeMap<String, Entry> {
        self.pages().orders.clone()
    }

    /// The sums so far.
    pub fn figures(&self) -> Figures {
        let pages = self.pages();
        let answered = |wanted: fn(&Answer) -> bool| {
            let answers = pages.orders.values().filter_map(|entry| entry.answer.as_ref());
            answers.filter(|answer| wanted(answer)).count()
        };
        let mut took: Vec<_> = pages.orders.values().filter_map(|entry| entry.took).collect();
        took.sort_unstable();
        Figures {
            asked: pages.orders.len(),
            accepted: answered(|answer| *answer == Answer::Accepted),
            declined: answered(|answer| matches!(answer, Answer::Declined(_))),
            unknown: answered(|answer| matches!(answer, Answer::Unknown(_))),
            finished: pages.orders.values().filter(|entry| entry.has_ended()).count(),
            asked_again: pages.asked_again,
            events: pages.events.clone(),
            took,
        }
    }

    pub(crate) fn asked(&self, order: &PlaceOrder) {
        let entry = Entry {
            order: order.clone(),
            asked: Instant::now(),
            answer: None,
            took: None,
            end: None,
        };
        self.pages().orders.insert(order.order_id.clone(), entry);
    }

    pub(crate) fn asked_again(&self) {
        self.pages().asked_again += 1;
    }

    pub(crate) fn answered(&self, order_id: &str, answer: Answer) {
        self.change(order_id, |entry| entry.answer = Some(answer));
    }

    pub(crate) fn heard(&self, event: &'static str, order_id: &str, ended: bool) {
        *self.pages().events.entry(event).or_default() += 1;
        if ended {
            self.change(order_id, |entry| {
                entry.took.get_or_insert(entry.asked.elapsed());
            });
        }
    }

    pub(crate) fn finished(&self, order_id: &str, end: OrderStatus) {
        self.change(order_id, |entry| entry.end = Some(end));
    }

    /// The accepted orders whose end the orders service has not told yet.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let pages = self.pages();
        let open = pages.orders.iter().filter(|(_, entry)| {
            entry
                .answer
                .as_ref()
                .is_some_and(|answer| *answer == Answer::Accepted)
                && entry.end.is_none()
        });
        open.map(|(order_id, _)| order_id.clone()).collect()
    }

    fn change(&self, order_id: &str, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.pages().orders.get_mut(order_id) {
            change(entry);
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn has_ended(&self) -> bool {
        self.took.is_some() || self.end.is_some()
    }
}

impl Figures {
    /// The time within which the given share of the orders ended, such as 0.99; `None` before the first.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into the list, from a share between 0 and 1"
    )]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let last = self.took.len().checked_sub(1)?;
        let index = (last as f64 * share.clamp(0.0, 1.0)).round() as usize;
        self.took.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(order_id: &str) -> PlaceOrder {
        PlaceOrder {
            order_id: order_id.into(),
            sku: "tea".into(),
            units: 1,
            card: "4242".into(),
        }
    }

    #[test]
    fn only_accepted_orders_without_an_end_are_unfinished() {
        let ledger = Ledger::default();
        for id in ["a", "b", "c", "d"] {
            ledger.asked(&order(id));
        }
        ledger.answered("a", Answer::Accepted);
        ledger.answered("b", Answer::Accepted);
        ledger.answered("c", Answer::Declined("unknown_item".into()));
        ledger.finished("b", OrderStatus::Paid);
        assert_eq!(ledger.unfinished(), ["a"]);
        let figures = ledger.figures();
        assert_eq!(
            (
                figures.asked,
                figures.accepted,
                figures.declined,
                figures.finished
            ),
            (4, 2, 1, 1)
        );
    }

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let took = (0..=100).map(Duration::from_millis).collect();
        let figures = Figures {
            took,
            ..Figures::default()
        };
        assert_eq!(figures.percentile(0.5), Some(Duration::from_millis(50)));
        assert_eq!(figures.percentile(0.99), Some(Duration::from_millis(99)));
        assert_eq!(Figures::default().percentile(0.5), None);
    }
}
