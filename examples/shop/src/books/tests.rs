use super::*;
use crate::{messages::PlaceOrder, payments::Charge};

/// One order that is paid, one that is out of stock.
fn balanced() -> (Records, Ledger) {
    let ledger = Ledger::default();
    let mut records = Records::default();
    for (order_id, end) in [("a", OrderStatus::Paid), ("b", OrderStatus::OutOfStock)] {
        let order = PlaceOrder {
            order_id: order_id.into(),
            sku: "tea".into(),
            units: 2,
            card: "4242".into(),
        };
        ledger.asked(&order);
        ledger.answered(order_id, Answer::Accepted);
        ledger.finished(order_id, end);
        records.placed.push(OrderPlaced {
            order_id: order_id.into(),
            sku: "tea".into(),
            units: 2,
            total: 900,
        });
        records.mail.push(order_id.into());
    }
    records.reserved.push(ItemReserved {
        sku: "tea".into(),
        order_id: "a".into(),
        units: 2,
    });
    records.rejected.push(ItemRejected {
        sku: "tea".into(),
        order_id: "b".into(),
    });
    records.processed.push(PaymentProcessed {
        payment_id: "pay-a".into(),
        order_id: "a".into(),
        amount: 900,
    });
    records.charges.push(charge("pay-a"));
    records.decisions = vec![
        ("a".into(), Decision::Reserved { units: 2 }),
        ("b".into(), Decision::Rejected),
    ];
    let [(tea, filled), ..] = SHELVES;
    records.shelves.insert(tea.into(), filled - 2);
    (records, ledger)
}

fn charge(payment_id: &str) -> (String, Charge) {
    let charge = Charge {
        payment_id: payment_id.into(),
        order_id: "a".into(),
        amount: 900,
    };
    (payment_id.into(), charge)
}

/// The differences after a change for the worse.
fn differences(change: impl FnOnce(&mut Records)) -> Vec<String> {
    let (mut records, ledger) = balanced();
    change(&mut records);
    let books = Books::compare(&records, &ledger);
    assert!(!books.balance());
    books
        .checks
        .into_iter()
        .flat_map(|check| check.differences)
        .collect()
}

#[test]
fn books_that_balance_have_no_differences() {
    let (mut records, ledger) = balanced();
    assert!(Books::compare(&records, &ledger).balance());
    // At least once: the same event stored twice is no fault.
    records.processed.push(records.processed[0].clone());
    assert!(Books::compare(&records, &ledger).balance());
}

#[test]
fn an_order_that_is_lost_or_made_up_is_found() {
    let lost = differences(|records| drop(records.placed.remove(0)));
    assert_eq!(
        lost,
        [
            "1 accepted, and no event says so: a",
            "1 ended, and never placed: a"
        ]
    );
    let made_up = differences(|records| records.placed[0].order_id = "x".into());
    assert!(
        made_up.contains(&"1 placed, and not accepted: x".to_owned()),
        "{made_up:?}"
    );
}

#[test]
fn an_order_with_two_ends_is_found() {
    let two = differences(|records| {
        records.rejected.push(ItemRejected {
            sku: "tea".into(),
            order_id: "a".into(),
        });
    });
    assert_eq!(two, ["1 ended in two ways: a"]);
}

#[test]
fn money_taken_twice_or_for_nothing_is_found() {
    let twice = differences(|records| records.charges.push(charge("pay-a")));
    assert_eq!(twice, ["1 charged twice: pay-a"]);
    let again = differences(|records| records.charges.push(charge("pay-b")));
    assert_eq!(
        again,
        [
            "1 two payments for the order: a",
            "1 charged, and not processed: pay-b"
        ]
    );
    let unpaid = differences(|records| records.charges.clear());
    assert_eq!(unpaid, ["1 processed, and not charged: pay-a"]);
}

#[test]
fn stock_that_went_astray_is_found() {
    let astray = differences(|records| {
        records.shelves.insert("tea".into(), 5);
    });
    assert_eq!(astray, ["tea: 1000000 at first, 2 reserved, 5 left"]);
}

#[test]
fn a_message_that_is_missing_or_written_twice_is_found() {
    let missing = differences(|records| drop(records.mail.pop()));
    assert_eq!(missing, ["1 ended, and not told: b"]);
    let twice = differences(|records| records.mail.push("a".into()));
    assert_eq!(twice, ["1 told twice: a"]);
}

#[test]
fn a_dead_letter_accounts_for_its_order_while_it_waits_and_not_after() {
    let (mut records, ledger) = balanced();
    // The money was taken, the answer got lost until no attempt was left.
    records.processed.clear();
    records.mail.retain(|order_id| order_id != "a");
    records.dead.insert("a".into(), DeadLetter::Open);
    let told = "1 the orders service tells another end than the events: a";
    let wrong = |records: &Records| -> Vec<_> {
        let checks = Books::compare(records, &ledger).checks;
        checks.into_iter().flat_map(|check| check.differences).collect()
    };
    assert_eq!(wrong(&records), [told]);
    records.dead.insert("a".into(), DeadLetter::Handled);
    assert_eq!(
        wrong(&records),
        [
            "1 placed, and without an end: a",
            told,
            "1 charged, and not processed: pay-a",
            "1 a dead letter that was handled, and without an end: a",
        ]
    );
    let both = differences(|records| {
        records.dead.insert("a".into(), DeadLetter::Open);
    });
    assert_eq!(both, ["1 a dead letter that waits, and ended all the same: a"]);
}
