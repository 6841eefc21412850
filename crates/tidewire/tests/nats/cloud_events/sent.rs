//! Questions and durable commands that we write as `CloudEvents`, byte by byte.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tidewire::{
    AskError, Format, Running,
    async_nats::{Client, HeaderMap, Message},
    prelude::*,
};

use super::{Attributes, BOOK, BookParcel, GET, GetParcel, attributes, read, written};
use crate::support::{connect, jetstream, server};

const CLOUD_EVENTS: [Format; 2] = [Format::CloudEventsBinary, Format::CloudEventsStructured];

async fn work(_: Command<BookParcel>) {}

async fn till(client: &Client, format: Format) -> Running {
    let till = Service::new("till", "1.0.0").format(format);
    let till = till
        .asks::<BookParcel>()
        .asks::<GetParcel>()
        .sends::<BookParcel>();
    till.start(client.clone()).await.unwrap()
}

/// Works the queue, so that there is one.
async fn carrier(client: &Client) -> Running {
    let carrier = Service::new("carrier", "1.0.0").context(Context::new("orders.shipping"));
    let carrier = carrier.on(durable("book", work));
    carrier.start(client.clone()).await.unwrap()
}

/// All that a message of ours must say, and nothing else; gives back its id.
fn assert_written(format: Format, headers: &HeaderMap, payload: &[u8], name: &str, kind: &str) -> String {
    let (mut found, data) = read(format, headers, payload);
    assert_eq!(data, json!({"payment_id": "p 1"}));
    let id = found.remove("id").unwrap();
    assert_eq!(found.remove("correlationid").as_ref(), Some(&id));
    let time = found.remove("time").unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    let key = match format {
        Format::CloudEventsBinary => "p%201",
        _ => "p 1",
    };
    let expected = [
        ("specversion", "1.0"),
        ("type", name),
        ("source", "till"),
        ("subject", key),
        ("twkind", kind),
        ("twversion", "1"),
        ("datacontenttype", "application/json"),
    ];
    assert_eq!(found, attributes(expected));
    let header = |name: &str| headers.get(name).unwrap().as_str();
    assert_eq!((header("Nats-Msg-Id"), header("Tw-Name")), (id.as_str(), name));
    id
}

/// A program that answers and knows the specification alone, but for the kind of its answer.
async fn answer(client: &Client, question: Message, format: Format, kind: &str, data: &Value) {
    let mut given: Attributes = attributes([
        ("specversion", "1.0"),
        ("id", "answer-1"),
        ("source", "/carrier"),
        ("type", "com.example.answered"),
    ]);
    given.insert("twkind".into(), kind.into());
    let (headers, body) = written(format, &given, data);
    let answered = client.publish_with_headers(question.reply.unwrap(), headers, body.into());
    answered.await.unwrap();
}

#[tokio::test]
async fn a_question_that_we_write_is_a_cloud_event_and_so_may_its_answer_be() {
    let server = server();
    let client = connect(&server).await;
    let _carrier = carrier(&client).await;
    let mut heard = client.subscribe("orders.shipping.>").await.unwrap();
    client.flush().await.unwrap();
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(30), heard.next()).await;
        next.unwrap().unwrap()
    };
    for format in CLOUD_EVENTS {
        let till = till(&client, format).await;
        let bus = till.bus();
        let payment_id = || "p 1".to_owned();
        let command = BookParcel {
            payment_id: payment_id(),
        };
        let query = GetParcel {
            payment_id: payment_id(),
        };
        let within = Duration::from_secs(60);
        let told = |message: &Message, name, kind| {
            assert_eq!(message.subject.as_str(), format!("{name}.p=201"));
            let headers = message.headers.as_ref().unwrap();
            let id = assert_written(format, headers, &message.payload, name, kind);
            assert!(id.starts_with(if kind == "command" { "cmd_" } else { "qry_" }));
        };
        for answers in CLOUD_EVENTS {
            let (booked, ()) = tokio::join!(bus.ask_within(&command, within), async {
                let question = next().await;
                told(&question, BOOK, "command");
                answer(&client, question, answers, "reply", &json!(7)).await;
            });
            assert_eq!(booked.unwrap(), 7);
            let (refused, ()) = tokio::join!(bus.ask_within(&query, within), async {
                let question = next().await;
                told(&question, GET, "query");
                let error = json!({"code": "lost", "message": "nobody knows", "retryable": true});
                answer(&client, question, answers, "error", &error).await;
            });
            let refused = refused.unwrap_err();
            assert!(matches!(refused, AskError::Refused { .. }), "{refused}");
            assert_eq!((refused.code(), refused.is_transient()), (Some("lost"), true));
        }
    }
}

#[tokio::test]
async fn a_durable_command_that_we_write_is_a_cloud_event_in_its_queue() {
    let server = server();
    let client = connect(&server).await;
    let _carrier = carrier(&client).await;
    for format in CLOUD_EVENTS {
        let till = till(&client, format).await;
        let payment_id = "p 1".to_owned();
        let stored = till.bus().send(&BookParcel { payment_id }).await.unwrap();
        let queue = jetstream(&client).get_stream(&stored.stream).await.unwrap();
        let message = queue.get_raw_message(stored.sequence).await.unwrap();
        assert_eq!(message.subject.as_str(), format!("queue.{BOOK}.p=201"));
        assert_written(format, &message.headers, &message.payload, BOOK, "command");
        let real = message.headers.get("Tw-Subject").unwrap().as_str();
        assert_eq!(real, format!("{BOOK}.p=201"));
    }
}
