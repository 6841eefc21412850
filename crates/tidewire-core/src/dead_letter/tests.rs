use bytes::Bytes;
use proptest::prelude::*;

use super::{letter::StoredRecord, *};
use crate::{Timestamp, wire};

fn time() -> Timestamp {
    "2026-03-20T10:00:00Z".parse().unwrap()
}

fn original(headers: Vec<(String, String)>, payload: impl Into<Bytes>) -> Original {
    Original {
        stream: "ORDERS__PAYMENTS".into(),
        created: time(),
        sequence: 7,
        stored: time(),
        subject: "orders.payments.payment.processed.p-1".into(),
        headers: OriginalHeaders::Parsed(headers),
        payload: payload.into(),
    }
}

fn failed(original: Original) -> Record {
    Record {
        act: Act::Failed,
        by: "payments on host".into(),
        reason: None,
        consumer: "payments__ship".into(),
        service_version: Some("1.2.3".into()),
        trouble: Some(Trouble {
            class: "exhausted".into(),
            error: "no\r\ngateway".into(),
            chain: vec!["connection refused".into(), "os error 111".into()],
            attempts: 8,
            first_failed: time(),
            last_failed: time(),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        }),
        original: Some(original),
    }
}

fn read(written: &Wrapped) -> Record {
    let headers = written
        .headers
        .iter()
        .map(|(name, value)| (&**name, value.as_str()));
    Record::read(&headers, &written.body).unwrap()
}

fn header_bytes(written: &Wrapped) -> usize {
    written
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum()
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let record = failed(original(vec![("Nats-Msg-Id".into(), "evt_1".into())], "{}"));
    let written = record.write(1 << 20);
    let mut expected = record;
    // A header is one line.
    expected.trouble.as_mut().unwrap().error = "no  gateway".into();
    assert_eq!(read(&written), expected);
    assert!(
        written
            .headers
            .contains(&("Orig-Nats-Msg-Id".into(), "evt_1".into()))
    );
}

#[test]
fn the_chain_goes_first_then_the_headers_move_then_the_body() {
    let (limit, spare) = (1 << 20, 2000);
    let long = |bytes: usize| vec![("X".to_owned(), "x".repeat(bytes))];
    let whole = failed(original(long(100), "{}")).write(limit);
    assert!(whole.headers.iter().any(|(name, _)| name == wire::TW_ERROR_CHAIN));

    let mut record = failed(original(long((64 << 10) - spare), "{}"));
    record.trouble.as_mut().unwrap().chain = vec!["cause".repeat(400)];
    let cut = record.write(limit);
    assert!(cut.headers.iter().all(|(name, _)| name != wire::TW_ERROR_CHAIN));
    assert!(cut.headers.iter().any(|(name, _)| name == "Orig-X"));

    let moved = failed(original(long((64 << 10) - 10), "{}")).write(limit);
    assert!(moved.headers.contains(&(wire::TW_FORMAT.into(), "raw".into())));
    assert!(!moved.oversized && header_bytes(&moved) < 64 << 10);

    let large = failed(original(long(100), vec![b'x'; limit])).write(limit);
    assert!(large.oversized);
    assert_eq!(read(&large).original.unwrap().payload.len(), limit);
}

#[test]
fn broken_headers_are_kept_byte_for_byte() {
    for block in [
        "NATS/1.0\r\nA: b\rc\r\n\r\n",
        "NATS/9\r\n\r\n",
        "NATS/1.0\r\nno colon\r\n\r\n",
        "NATS/1.0\r\nB ad: x\r\n\r\n",
    ] {
        let broken = Original {
            headers: OriginalHeaders::Broken(Bytes::from_static(block.as_bytes())),
            ..original(Vec::new(), "{\"a\":1}")
        };
        let written = failed(broken.clone()).write(1 << 20);
        assert_eq!(read(&written).original, Some(broken), "{block:?}");
    }
}

#[test]
fn the_last_record_says_where_a_letter_stands() {
    let id = LetterId::of("S", time(), 1);
    let mut records = Vec::new();
    let mut after = |act, record: Record| {
        records.push(StoredRecord {
            sequence: records.len() as u64 + 1,
            time: time(),
            record: Record { act, ..record },
            imported: None,
        });
        Letter::of(id.clone(), "payments", "ship", records.clone())
            .unwrap()
            .state()
    };
    let first = failed(original(Vec::new(), "{}"));
    let bare = Record {
        trouble: None,
        original: None,
        ..first.clone()
    };
    assert_eq!(after(Act::Failed, first.clone()), LetterState::Open);
    assert_eq!(after(Act::Replayed, bare.clone()), LetterState::Replaying);
    assert_eq!(after(Act::Failed, first), LetterState::Open);
    assert_eq!(after(Act::Discarded, bare.clone()), LetterState::Discarded);
    assert_eq!(after(Act::Handled, bare), LetterState::Handled);
}

#[test]
fn a_letter_is_of_one_message_of_one_stream() {
    let later: Timestamp = "2026-03-21T10:00:00Z".parse().unwrap();
    let id = LetterId::of("S", time(), 1);
    assert_eq!(id, LetterId::of("S", time(), 1));
    assert_ne!(id, LetterId::of("S", later, 1), "a stream that was made again");
    assert_ne!(id, LetterId::of("S", time(), 2));
    assert_ne!(id, LetterId::of("T", time(), 1));
    assert_eq!(id.as_str().parse::<LetterId>().unwrap(), id);
    assert!("../etc".parse::<LetterId>().is_err());
}

#[test]
fn failures_that_differ_in_numbers_alone_are_one_group() {
    let of = |error| fingerprint("payments", "ship", "rejected", error);
    assert_eq!(
        of("order o-17 is unknown (code 4)"),
        of("order o-9000 is unknown (code 5)")
    );
    assert_ne!(of("order o-17 is unknown"), of("order o-17 is closed"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the message, the record is within the server's limits or says that it is not, and nothing is lost.
    #[test]
    fn every_message_can_be_stored(
        headers in prop::collection::vec(("[A-Za-z-]{1,20}", "[ -~]{0,3000}"), 0..4),
        payload in prop::collection::vec(any::<u8>(), 0..20_000),
        error in ".{0,3000}",
    ) {
        let limit = 10_000;
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect();
        let original = original(headers, payload);
        let mut record = failed(original.clone());
        record.trouble.as_mut().unwrap().error = error;
        let written = record.write(limit);
        prop_assert!(header_bytes(&written) <= 64 << 10, "{}", header_bytes(&written));
        prop_assert!(written.oversized || header_bytes(&written) + written.body.len() <= limit);
        prop_assert!(written.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
        prop_assert_eq!(read(&written).original, Some(original));
    }
}
