use bytes::Bytes;
use serde_json::{Value, json, value::to_raw_value};

use super::{Claim, Packing};
use crate::{
    DecodeError, Envelope, Extras, Format, Kind, MessageId, Outgoing, Stamp, Timestamp, TraceContext,
};

const LIMIT: usize = 1 << 20;

fn written(format: Format, data: &Value) -> Outgoing {
    let stamp = Stamp {
        id: MessageId::from_text("evt_1").unwrap(),
        timestamp: "2026-03-20T10:00:00.5Z".parse().unwrap(),
        source: "payments".into(),
        correlation_id: Some("cmd 1".into()),
        causation_id: None,
        trace: TraceContext::default(),
        format,
    };
    let extras = Extras::new().header("x-tenant", "acme").metadata("mood", "good");
    let subject = "orders.payments.payment.processed.p-1".parse().unwrap();
    let data = to_raw_value(data).unwrap();
    Outgoing::untyped(Kind::Event, subject, 2, &data, stamp, extras).unwrap()
}

fn pairs(headers: &[(impl AsRef<str>, String)]) -> impl Iterator<Item = (&str, &str)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_str()))
}

fn packing(outgoing: &Outgoing) -> Option<Packing> {
    Packing::of(pairs(&outgoing.headers), &outgoing.body).unwrap()
}

fn read(outgoing: &Outgoing, body: &[u8]) -> Envelope {
    let kept = pairs(&outgoing.headers).filter(|(name, _)| !Packing::is_header(name));
    Envelope::decode(outgoing.subject.as_str(), kept, body, Timestamp::default()).unwrap()
}

fn of(headers: &[(&str, &str)], body: &[u8]) -> Result<Option<Packing>, DecodeError> {
    Packing::of(headers.iter().copied(), body)
}

#[test]
fn a_claim_and_its_object_are_the_message_in_every_format() {
    for format in [
        Format::Tidewire,
        Format::CloudEventsBinary,
        Format::CloudEventsStructured,
    ] {
        let (data, plain) = (json!({"text": "long"}), written(format, &json!({"text": "long"})));
        let whole = read(&plain, &plain.body);
        let binary = plain.into_binary().unwrap();
        let object = binary.body.clone();
        assert_eq!(serde_json::from_slice::<Value>(&object).unwrap(), data);
        let claim = Claim::new("ORDERS__PAYMENTS__DATA".into(), &binary.id, &object);
        let claimed = binary.claimed(&claim).unwrap();
        assert!(claimed.body.is_empty());
        let packing = packing(&claimed).unwrap();
        assert_eq!(packing.claim(), Some(&claim));
        claim.check(&object).unwrap();
        let back = read(&claimed, &packing.unpack(object, LIMIT).unwrap());
        assert_eq!(format!("{back:?}"), format!("{whole:?}"));
        // Without the object all is known but the data.
        let alone = read(&claimed, b"");
        assert_eq!((alone.id, alone.metadata), (whole.id, whole.metadata));
    }
}

#[test]
fn the_object_of_a_message_is_named_after_it_and_after_what_it_holds() {
    let named = |id: &str, data: &[u8]| {
        let id = MessageId::from_text(id).unwrap();
        Claim::new("B".into(), &id, data).object
    };
    assert_eq!(named("evt_1", b"a"), named("evt_1", b"a"));
    assert_ne!(named("evt_1", b"a"), named("evt_1", b"b"));
    assert_ne!(named("evt_1", b"a"), named("evt_2", b"a"));
    assert!(
        named("a b/c", b"").starts_with("a%20b%2Fc."),
        "{}",
        named("a b/c", b"")
    );
}

#[test]
fn another_object_is_corrupt() {
    let claim = Claim::new("B".into(), &MessageId::from_text("evt_1").unwrap(), b"right");
    for other in [&b"wrong"[..], b"", b"righ", b"right!"] {
        let error = claim.check(other).unwrap_err();
        assert_eq!(error.class(), "corrupt", "{error}");
    }
}

#[test]
fn what_is_not_packed_is_not_looked_at() {
    assert_eq!(of(&[("Content-Type", "application/json")], b"{}").unwrap(), None);
    assert_eq!(of(&[("Content-Encoding", "identity")], b"{}").unwrap(), None);
    // Somebody else's `dataref`, beside the data.
    assert_eq!(of(&[("ce-dataref", "https://x/y")], b"{}").unwrap(), None);
}

#[test]
fn what_cannot_be_unpacked_says_why() {
    let error = of(&[("content-encoding", "GZIP")], b"x").unwrap_err();
    assert_eq!(error.class(), "incompatible");
    assert!(error.to_string().contains("`gzip`"), "{error}");
    let digest = "a".repeat(64);
    let dataref = |dataref, size, sha256| {
        let headers = [
            ("CE-DataRef", dataref),
            ("ce-twdatasize", size),
            ("ce-twdatasha256", sha256),
        ];
        of(&headers, b"")
    };
    assert!(dataref("nats-object:B/o", "1", &digest).unwrap().is_some());
    for (place, size, sha256) in [
        ("https://example.com/o", "1", &*digest),
        ("nats-object:B", "1", &digest),
        ("nats-object:B/o", "-1", &digest),
        ("nats-object:B/o", "1", "abc"),
    ] {
        let error = dataref(place, size, sha256).unwrap_err();
        assert_eq!(error.class(), "malformed", "{error}");
    }
}

#[cfg(not(feature = "zstd"))]
#[test]
fn without_the_feature_zstd_is_incompatible_and_the_feature_is_named() {
    let packing = of(&[("Content-Encoding", "zstd")], b"x").unwrap().unwrap();
    let error = packing.unpack(Bytes::from_static(b"x"), LIMIT).unwrap_err();
    assert_eq!(error.class(), "incompatible");
    assert!(error.to_string().contains("feature `zstd`"), "{error}");
}

#[cfg(feature = "zstd")]
mod zstd {
    use proptest::prelude::*;

    use super::*;

    /// A frame that says nothing of its size and whose every block stands for 128 KiB of zeros: four bytes each.
    fn bomb(blocks: usize) -> Bytes {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
        for block in 1..=blocks {
            let header = (0x20000_u32 << 3) | (1 << 1) | u32::from(block == blocks);
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(0);
        }
        frame.into()
    }

    fn compressed() -> Packing {
        of(&[("Content-Encoding", "zstd")], b"x").unwrap().unwrap()
    }

    #[test]
    fn a_bomb_is_a_valid_frame_and_ends_at_the_limit() {
        let (small, packing) = (bomb(2), compressed());
        assert_eq!(packing.unpack(small, LIMIT).unwrap().len(), 256 << 10);
        let ten_gib = bomb((10 << 30) / (128 << 10));
        assert!(ten_gib.len() < 400 << 10, "{}", ten_gib.len());
        let error = packing.unpack(ten_gib, LIMIT).unwrap_err();
        assert!(matches!(error, DecodeError::TooLarge { limit: LIMIT }), "{error}");
        assert_eq!(error.class(), "too_large");
    }

    #[test]
    fn a_frame_that_declares_more_than_the_limit_is_not_begun() {
        let whole = vec![7; LIMIT + 1];
        let body = Bytes::from(::zstd::bulk::compress(&whole, 3).unwrap());
        let error = compressed().unpack(body.clone(), LIMIT).unwrap_err();
        assert!(matches!(error, DecodeError::TooLarge { .. }), "{error}");
        assert_eq!(compressed().unpack(body, LIMIT + 1).unwrap(), whole);
    }

    #[test]
    fn what_is_no_zstd_is_malformed() {
        for body in [&b"no zstd"[..], b"", &bomb(2)[..9]] {
            let error = compressed()
                .unpack(Bytes::copy_from_slice(body), LIMIT)
                .unwrap_err();
            assert_eq!(error.class(), "malformed", "{error}");
        }
    }

    #[test]
    fn what_grows_by_it_is_not_compressed() {
        let small = written(Format::Tidewire, &json!(1));
        let tiny = Outgoing {
            body: Bytes::from_static(b"x"),
            ..small
        };
        let same = tiny.compressed().unwrap();
        assert_eq!((&*same.body, packing(&same)), (&b"x"[..], None));
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(text in ".{0,2000}", repeats in 1_usize..50) {
            let data = json!({"text": text.repeat(repeats)});
            for format in [Format::Tidewire, Format::CloudEventsBinary, Format::CloudEventsStructured] {
                let plain = written(format, &data);
                let packed = plain.clone().compressed().unwrap();
                let body = match packing(&packed) {
                    Some(packing) => packing.unpack(packed.body.clone(), plain.body.len()).unwrap(),
                    None => packed.body.clone(),
                };
                prop_assert_eq!(&body, &plain.body);
            }
        }

        #[test]
        fn no_body_unpacks_to_more_than_the_limit(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(body) = compressed().unpack(body.into(), 64) {
                prop_assert!(body.len() <= 64);
            }
        }
    }
}
