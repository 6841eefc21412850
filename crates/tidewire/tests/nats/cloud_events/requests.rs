//! Questions that come as `CloudEvents`, and what their answers look like.

use serde_json::{Value, json};
use tidewire::{
    AskError, Format, Running,
    async_nats::{Client, HeaderMap, Message},
    prelude::*,
};

use super::{BOOK, BookParcel, GET, GetParcel, attributes, read, written};
use crate::support::{connect, server};

const FORMATS: [Format; 3] = [
    Format::Tidewire,
    Format::CloudEventsBinary,
    Format::CloudEventsStructured,
];

async fn book(Command(book): Command<BookParcel>) -> Result<u32, Failure> {
    if book.payment_id == "none" {
        return Err(Failure::decline("sold_out", "nothing is left"));
    }
    Ok(7)
}

async fn get(Query(get): Query<GetParcel>) -> String {
    format!("parcel {}", get.payment_id)
}

fn booking(payment_id: &str) -> BookParcel {
    BookParcel {
        payment_id: payment_id.into(),
    }
}

async fn carrier(client: &Client, format: Format) -> Running {
    let carrier = Service::new("carrier", "1.0.0").format(format);
    let carrier = carrier.command(book).query(get);
    carrier.start(client.clone()).await.unwrap()
}

async fn ask(client: &Client, name: &str, key: &str, (headers, body): (HeaderMap, String)) -> Message {
    let subject = format!("{name}.{key}");
    let answer = client.request_with_headers(subject, headers, body.into());
    answer.await.unwrap()
}

/// A question of a foreign program; the kind is the one attribute of ours that it needs.
fn question(format: Format, name: &str, kind: Option<&str>, key: &str) -> (HeaderMap, String) {
    let mut attributes = attributes([
        ("specversion", "1.0"),
        ("id", "till 7"),
        ("source", "/till"),
        ("type", name),
    ]);
    if let Some(kind) = kind {
        attributes.insert("twkind".into(), kind.into());
    }
    if format == Format::CloudEventsBinary {
        attributes.insert("id".into(), "till%207".into());
    }
    written(format, &attributes, &json!({"payment_id": key}))
}

/// The kind of an answer and its data; all else about it is asserted.
fn answered(format: Format, name: &str, key: &str, answer: &Message) -> (String, Value) {
    let headers = answer.headers.as_ref().unwrap();
    if format == Format::Tidewire {
        assert_eq!(headers.get("Content-Type").unwrap().as_str(), "application/json");
        let mut body: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(body["metadata"]["causation_id"], "till 7");
        let kind = body["type"].as_str().unwrap().to_owned();
        return (kind, body["data"].take());
    }
    let (mut found, data) = read(format, headers, &answer.payload);
    assert!(found.remove("id").unwrap().starts_with("rpl_"));
    assert!(found.remove("time").unwrap().ends_with('Z'));
    let kind = found.remove("twkind").unwrap();
    let asked = match format {
        Format::CloudEventsBinary => "till%207",
        _ => "till 7",
    };
    let expected = [
        ("specversion", "1.0"),
        ("source", "carrier"),
        ("type", name),
        ("subject", key),
        ("causationid", asked),
        ("correlationid", asked),
        ("twversion", "1"),
        ("datacontenttype", "application/json"),
    ];
    assert_eq!(found, attributes(expected));
    (kind, data)
}

#[tokio::test]
async fn questions_that_come_as_cloud_events_are_answered_in_the_services_own_format() {
    let server = server();
    let client = connect(&server).await;
    for answers in FORMATS {
        let carrier = carrier(&client, answers).await;
        for asks in &FORMATS[1..] {
            let asked = async |name, kind, key| {
                let answer = ask(&client, name, key, question(*asks, name, Some(kind), key)).await;
                let header = answer.headers.as_ref().unwrap().get("Nats-Service-Error");
                let header = header.map(ToString::to_string);
                (answered(answers, name, key, &answer), header)
            };
            let reply = |data: Value| (("reply".to_owned(), data), None);
            assert_eq!(asked(BOOK, "command", "p").await, reply(json!(7)));
            assert_eq!(asked(GET, "query", "p").await, reply(json!("parcel p")));
            let ((kind, data), header) = asked(BOOK, "command", "none").await;
            assert_eq!((kind.as_str(), &data["code"]), ("error", &json!("sold_out")));
            assert_eq!(header.as_deref(), Some("nothing is left"));
            assert_eq!(data["message"], "nothing is left");
            assert_eq!(data["retryable"], false);
        }
        carrier.stop().await.unwrap();
    }
}

/// An event by default, as the specification's name is: a command says what it is.
#[tokio::test]
async fn a_cloud_event_that_does_not_say_it_is_a_question_is_refused_with_the_reason() {
    let server = server();
    let client = connect(&server).await;
    let _carrier = carrier(&client, Format::CloudEventsStructured).await;
    for asks in &FORMATS[1..] {
        for (name, kind) in [(BOOK, "command"), (GET, "query")] {
            let answer = ask(&client, name, "p", question(*asks, name, None, "p")).await;
            let (kind_of_answer, data) = answered(Format::CloudEventsStructured, name, "p", &answer);
            assert_eq!(
                (kind_of_answer.as_str(), &data["code"]),
                ("error", &json!("malformed"))
            );
            let said = format!("`{name}` came with type `event`, and the handler takes type `{kind}`");
            assert_eq!(data["message"], said);
        }
    }
}

#[tokio::test]
async fn whoever_asks_in_whichever_format_understands_whoever_answers() {
    let server = server();
    let client = connect(&server).await;
    for answers in FORMATS {
        let carrier = carrier(&client, answers).await;
        for asks in FORMATS {
            let till = Service::new("till", "1.0.0").format(asks);
            let till = till.asks::<BookParcel>().asks::<GetParcel>();
            let till = till.start(client.clone()).await.unwrap();
            let (bus, key) = (till.bus(), "p.é");
            assert_eq!(bus.ask(&booking(key)).await.unwrap(), 7);
            let payment_id = key.to_owned();
            let found = bus.ask(&GetParcel { payment_id }).await.unwrap();
            assert_eq!(found, "parcel p.é");
            let refused = bus.ask(&booking("none")).await.unwrap_err();
            assert!(matches!(refused, AskError::Refused { .. }), "{refused}");
            assert_eq!(
                (refused.code(), refused.is_transient()),
                (Some("sold_out"), false)
            );
        }
        carrier.stop().await.unwrap();
    }
}
