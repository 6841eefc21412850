//! Data that is not JSON.
#![cfg_attr(
    not(all(feature = "msgpack", feature = "protobuf")),
    allow(unused_imports, reason = "what the tests of a feature need")
)]

use std::{collections::BTreeMap, net::Ipv4Addr};

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use tidewire_core::{
    Any, DecodeError, Envelope, Event, EventSet, Extras, Format, Message, MessageId, Outgoing, Stamp,
    Timestamp, TraceContext,
};

fn stamp(format: Format) -> Stamp {
    Stamp {
        id: MessageId::from_text("evt_1").unwrap(),
        timestamp: Timestamp::default(),
        source: "plant".into(),
        correlation_id: None,
        causation_id: None,
        trace: TraceContext::default(),
        format,
    }
}

fn written<M: Message>(message: &M) -> Outgoing {
    Outgoing::message(message, stamp(Format::Tidewire), Extras::new()).unwrap()
}

fn headers(outgoing: &Outgoing) -> Vec<(String, String)> {
    let headers = outgoing.headers.iter();
    headers
        .map(|(name, value)| (name.to_string(), value.clone()))
        .collect()
}

fn read(headers: &[(String, String)], body: &[u8]) -> Result<Envelope, DecodeError> {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Envelope::decode(
        "plant.hall.sensor.measured.s",
        headers,
        body,
        Timestamp::default(),
    )
}

fn back<M: Message>(message: &M) -> M {
    let outgoing = written(message);
    let envelope = read(&headers(&outgoing), &outgoing.body).unwrap();
    envelope.encoded().decode().unwrap()
}

/// A foreign message with data in this media type.
fn foreign(media_type: &str, data: &[u8]) -> Result<Envelope, DecodeError> {
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/python"),
        ("ce-type", "plant.hall.sensor.measured"),
        ("Content-Type", media_type),
    ];
    let headers = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    read(&headers, data)
}

/// As others write it, who know nothing of codecs.
#[derive(Event, Serialize, Deserialize, JsonSchema, Debug, PartialEq)]
#[event(subject = "plant.hall.sensor.measured", key = sensor)]
struct Plain {
    sensor: String,
    celsius: f64,
}

#[cfg(feature = "msgpack")]
mod msgpack {
    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema, Debug, PartialEq, Clone)]
    enum State {
        Idle,
        Failed { code: i64 },
        Moved(u8, String),
    }

    #[derive(Event, Serialize, Deserialize, JsonSchema, Debug, PartialEq, Clone)]
    #[event(subject = "plant.hall.sensor.measured", key = sensor, codec = msgpack)]
    struct Measured {
        sensor: String,
        celsius: f64,
        single: f32,
        big: u64,
        none: Option<u8>,
        address: Ipv4Addr,
        #[schemars(with = "String")]
        time: Timestamp,
        states: Vec<State>,
        by_number: BTreeMap<u32, Option<()>>,
        bytes: Vec<u8>,
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(
            celsius in prop::num::f64::NORMAL | prop::num::f64::ZERO,
            single in prop::num::f32::NORMAL,
            big: u64,
            none: Option<u8>,
            address: u32,
            seconds in 0_u64..4_000_000_000,
            code: i64,
            text in ".{0,40}",
            bytes: Vec<u8>,
        ) {
            let measured = Measured {
                sensor: "s".into(),
                celsius,
                single,
                big,
                none,
                address: address.into(),
                time: Timestamp::from_unix(std::time::Duration::from_secs(seconds)),
                states: vec![State::Idle, State::Failed { code }, State::Moved(7, text)],
                by_number: BTreeMap::from([(1, None), (2, None)]),
                bytes,
            };
            prop_assert_eq!(back(&measured), measured);
        }

        #[test]
        fn no_bytes_are_more_than_an_error(bytes: Vec<u8>) {
            let read = foreign("application/msgpack", &bytes);
            prop_assert!(read.is_ok() || read.unwrap_err().class() == "malformed");
        }
    }

    #[derive(Event, Serialize, Deserialize, JsonSchema)]
    #[event(subject = "plant.hall.sensor.measured", key = sensor, codec = msgpack)]
    struct Same {
        sensor: String,
        celsius: f64,
    }

    #[test]
    fn it_travels_as_a_binary_cloud_event_and_is_small() {
        let plain = Plain {
            sensor: "s".into(),
            celsius: 21.5,
        };
        let mut bytes = vec![0x82];
        bytes.extend(b"\xa6sensor\xa1s\xa7celsius\xcb");
        bytes.extend(21.5_f64.to_be_bytes());
        // A foreign producer's, and read by a type that says nothing of it.
        let envelope = foreign("application/msgpack", &bytes).unwrap();
        assert_eq!(envelope.encoded().decode::<Plain>().unwrap(), plain);
        let any = Any::decode(envelope.encoded()).unwrap();
        assert_eq!(any.data.get(), r#"{"sensor":"s","celsius":21.5}"#);

        let same = Same {
            sensor: "s".into(),
            celsius: 21.5,
        };
        let outgoing = written(&same);
        assert_eq!(outgoing.body, bytes);
        let type_of = headers(&outgoing)
            .into_iter()
            .filter(|(name, _)| name == "Content-Type");
        let type_of: Vec<_> = type_of.map(|(_, value)| value).collect();
        assert_eq!(type_of, ["application/msgpack"]);
    }

    #[test]
    fn what_is_malformed_says_so_and_shows_nothing() {
        let deep = [vec![0x91; 10_000], vec![0xc0]].concat();
        for bytes in [
            &b"\xc1"[..],
            b"\xa6sec",
            b"\x01secret",
            b"\xdf\xff\xff\xff\xff",
            &deep,
        ] {
            let error = foreign("application/msgpack", bytes).unwrap_err();
            assert_eq!(error.class(), "malformed", "{error}");
            assert!(!error.to_string().contains("sec"), "{error}");
        }
        let error = foreign("application/xml", b"<a/>").unwrap_err();
        assert!(error.to_string().contains("application/xml"), "{error}");
    }

    #[test]
    fn data_that_does_not_fit_its_type_is_invalid() {
        let envelope = foreign("application/x-msgpack", b"\x81\xa6sensor\x07").unwrap();
        let error = envelope.encoded().decode::<Plain>().unwrap_err();
        assert_eq!(error.class(), "invalid", "{error}");
    }
}

#[cfg(not(feature = "msgpack"))]
#[test]
fn without_the_feature_messagepack_is_incompatible_and_the_feature_is_named() {
    let error = foreign("application/msgpack", b"\x80").unwrap_err();
    assert_eq!(error.class(), "incompatible");
    assert!(error.to_string().contains("feature `msgpack`"), "{error}");
}

#[cfg(feature = "protobuf")]
mod protobuf {
    use super::*;

    #[derive(Event, prost::Message, Serialize, Deserialize, JsonSchema, PartialEq, Clone)]
    #[event(subject = "plant.hall.sensor.measured", key = sensor, codec = protobuf)]
    struct Measured {
        #[prost(string, tag = "1")]
        sensor: String,
        #[prost(double, repeated, tag = "2")]
        celsius: Vec<f64>,
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(sensor in "[a-z]{1,8}", celsius: Vec<f64>) {
            let measured = Measured { sensor, celsius };
            let outgoing = written(&measured);
            let name = |header: &(String, String)| header.0 == "Content-Type";
            let headers = headers(&outgoing);
            prop_assert_eq!(&headers.iter().find(|header| name(header)).unwrap().1, "application/protobuf");
            prop_assert_eq!(&outgoing.body[..], prost::Message::encode_to_vec(&measured));
            let envelope = read(&headers, &outgoing.body).unwrap();
            let back: Measured = envelope.encoded().decode().unwrap();
            prop_assert_eq!(prost::Message::encode_to_vec(&back), prost::Message::encode_to_vec(&measured));
        }
    }

    #[test]
    fn a_type_that_does_not_say_so_cannot_read_it_and_is_told_the_line() {
        let bytes = b"\x0a\x01s";
        let envelope = foreign("application/x-protobuf", bytes).unwrap();
        let error = envelope.encoded().decode::<Plain>().unwrap_err();
        assert_eq!(error.class(), "incompatible");
        assert!(error.to_string().contains("codec = protobuf"), "{error}");
        let any = Any::decode(envelope.encoded()).unwrap();
        assert_eq!(any.data.get(), r#""CgFz""#);
        assert_eq!(envelope.encoded().decode::<Measured>().unwrap().sensor, "s");
    }

    #[test]
    fn json_is_read_too_and_bytes_that_do_not_fit_are_invalid() {
        let json = json!({"sensor": "s", "celsius": [1.5]}).to_string();
        let envelope = foreign("application/json", json.as_bytes()).unwrap();
        assert_eq!(envelope.encoded().decode::<Measured>().unwrap().celsius, [1.5]);
        let envelope = foreign("application/protobuf", b"\x0a\xff").unwrap();
        let error = envelope.encoded().decode::<Measured>().unwrap_err();
        assert_eq!(error.class(), "invalid", "{error}");
    }
}
