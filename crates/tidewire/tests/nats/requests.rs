//! Commands and queries.

use std::time::Duration;

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidewire::{AskError, async_nats::Client, prelude::*};

use crate::support::{ParcelBooked, PaymentProcessed, Seen, connect, eventually, jetstream, server};

#[derive(Command, Serialize, Deserialize, JsonSchema, Clone)]
#[command(subject = "orders.payments.payment.process", key = payment_id, reply = Receipt)]
struct ProcessPayment {
    payment_id: String,
    how: String,
}

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "orders.payments.payment.get", key = payment_id, reply = Option<Receipt>)]
struct GetPayment {
    payment_id: String,
}

#[derive(Serialize, Deserialize, JsonSchema, Debug, PartialEq)]
struct Receipt {
    payment_id: String,
}

async fn process(
    State(seen): State<Seen>,
    paid: Emit<PaymentProcessed>,
    Command(command): Command<ProcessPayment>,
) -> Result<Receipt, Failure> {
    let payment_id = command.payment_id;
    paid.emit(PaymentProcessed {
        payment_id: payment_id.clone(),
        note: command.how.clone(),
    });
    match command.how.as_str() {
        "decline" => Err("no money").or_decline("insufficient_funds")?,
        "reject" => Err("nonsense").or_reject()?,
        "retry" => Err("later").or_retry()?,
        "down" => Err("gateway is down").or_unavailable()?,
        "panic" => panic!("as a test does"),
        "hang" => std::future::pending().await,
        "much" => {
            return Ok(Receipt {
                payment_id: "x".repeat(2 << 20),
            });
        }
        _ => {}
    }
    seen.note(payment_id.clone());
    Ok(Receipt { payment_id })
}

async fn get(Query(query): Query<GetPayment>) -> Option<Receipt> {
    (query.payment_id != "none").then_some(Receipt {
        payment_id: query.payment_id,
    })
}

fn service(seen: &Seen) -> Service<Seen> {
    Service::new("payments", "1.2.3")
        .state(seen.clone())
        .context(Context::new("orders.payments"))
        .command(process)
        .query(get)
}

fn till() -> Service {
    Service::new("till", "1.0.0")
        .asks::<ProcessPayment>()
        .asks::<GetPayment>()
}

fn payment(how: &str) -> ProcessPayment {
    ProcessPayment {
        payment_id: "p.1".into(),
        how: how.into(),
    }
}

#[tokio::test]
async fn answers_and_refusals_are_typed() {
    let server = server();
    let client = connect(&server).await;
    let _payments = service(&Seen::default()).start(client.clone()).await.unwrap();
    let till = till().start(connect(&server).await).await.unwrap();
    let bus = till.bus();
    assert_eq!(
        bus.ask(&payment("well")).await.unwrap(),
        Receipt {
            payment_id: "p.1".into()
        }
    );
    assert_eq!(
        bus.ask(&GetPayment {
            payment_id: "none".into()
        })
        .await
        .unwrap(),
        None
    );
    let refusals = [
        ("decline", "insufficient_funds", false),
        ("reject", "rejected", false),
        ("retry", "failed", true),
        ("down", "unavailable", true),
        ("panic", "panicked", true),
        ("much", "rejected", false),
    ];
    for (how, code, retryable) in refusals {
        let error = bus.ask(&payment(how)).await.unwrap_err();
        assert_eq!(
            (error.code(), error.is_transient()),
            (Some(code), retryable),
            "{how}: {error}"
        );
    }
    let large = ProcessPayment {
        payment_id: "p".into(),
        how: "x".repeat(2 << 20),
    };
    let error = bus.ask(&large).await.unwrap_err();
    assert!(
        matches!(error, AskError::TooLarge { .. }) && !error.is_transient(),
        "{error}"
    );
    // What was emitted left only where the handler succeeded, and where only the answer was too large.
    let stored = jetstream(&client).get_stream("ORDERS__PAYMENTS").await.unwrap();
    assert_eq!(stored.cached_info().state.messages, 2);
}

#[tokio::test]
async fn nobody_there_and_no_answer_are_told_apart() {
    let server = server();
    let till = till().start(connect(&server).await).await.unwrap();
    let error = till.bus().ask(&payment("well")).await.unwrap_err();
    assert!(matches!(error, AskError::NoResponders { .. }), "{error}");
    let _payments = service(&Seen::default())
        .start(connect(&server).await)
        .await
        .unwrap();
    let error = till
        .bus()
        .ask_within(&payment("hang"), Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(matches!(error, AskError::TimedOut { .. }), "{error}");
    let error = till
        .bus()
        .ask(&ProcessPayment {
            payment_id: String::new(),
            how: String::new(),
        })
        .await;
    assert!(matches!(error, Err(AskError::Encode(_))), "{error:?}");
}

async fn on_parcel(
    State(seen): State<Seen>,
    ask: Ask<ProcessPayment>,
    Event(parcel): Event<ParcelBooked>,
) -> Result<(), Failure> {
    let receipt = ask
        .ask(ProcessPayment {
            payment_id: parcel.payment_id,
            how: "well".into(),
        })
        .await?;
    seen.note(format!("receipt {}", receipt.payment_id));
    Ok(())
}

/// An event's handler asks a command whose handler emits an event: one conversation, one trace.
#[tokio::test]
async fn a_conversation_and_its_trace_go_through_requests() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let _payments = service(&seen).start(client.clone()).await.unwrap();
    let _shipping = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.shipping"))
        .publishes::<ParcelBooked>()
        .on(durable("pay", on_parcel))
        .start(client.clone())
        .await
        .unwrap();
    let mut headers = tidewire::async_nats::HeaderMap::new();
    headers.append(
        "TraceParent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    let body =
        r#"{"type":"event","id":"evt_1","timestamp":"2024-03-20T10:00:00Z","data":{"payment_id":"p"}}"#;
    let js = jetstream(&client);
    let subject = "orders.shipping.parcel.booked.p";
    js.publish_with_headers(subject, headers, body.into())
        .await
        .unwrap()
        .await
        .unwrap();
    seen.reaches(2).await;
    let stream = js.get_stream("ORDERS__PAYMENTS").await.unwrap();
    let paid = stream.get_raw_message(1).await.unwrap();
    let envelope: Value = serde_json::from_slice(&paid.payload).unwrap();
    assert_eq!(envelope["metadata"]["correlation_id"], "evt_1");
    assert!(
        envelope["metadata"]["causation_id"]
            .as_str()
            .unwrap()
            .starts_with("cmd_")
    );
    let trace = paid
        .headers
        .get("traceparent")
        .map(ToString::to_string)
        .unwrap_or_default();
    assert_eq!(trace, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
}

/// The answers of all instances to one question of the services protocol.
async fn service_protocol(client: &Client, question: &str, instances: usize) -> Vec<Value> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client
        .publish_with_reply(question.to_owned(), inbox, "".into())
        .await
        .unwrap();
    let mut found = Vec::new();
    while found.len() < instances {
        let answer = tokio::time::timeout(Duration::from_secs(60), answers.next()).await;
        found.push(serde_json::from_slice(&answer.unwrap().unwrap().payload).unwrap());
    }
    found
}

#[tokio::test]
async fn two_instances_share_commands_and_are_found_by_the_services_protocol() {
    let (server, one, two) = (server(), Seen::default(), Seen::default());
    let client = connect(&server).await;
    let first = service(&one).start(connect(&server).await).await.unwrap();
    let second = service(&two).start(connect(&server).await).await.unwrap();
    let till = till().start(client.clone()).await.unwrap();
    for _ in 0..100 {
        till.bus().ask(&payment("well")).await.unwrap();
    }
    till.bus().ask(&payment("down")).await.unwrap_err();
    assert!(
        one.len() > 10 && two.len() > 10,
        "both work: {} and {}",
        one.len(),
        two.len()
    );
    assert_eq!(one.len() + two.len(), 100);

    for question in ["$SRV.PING.payments", "$SRV.INFO.payments", "$SRV.STATS.payments"] {
        for answer in service_protocol(&client, question, 2).await {
            assert_eq!(
                (&answer["name"], &answer["version"]),
                (&"payments".into(), &"1.2.3".into())
            );
        }
    }
    let info = service_protocol(&client, "$SRV.INFO.payments", 2).await;
    assert_ne!(info[0]["id"], info[1]["id"]);
    let endpoint = &info[0]["endpoints"][0];
    assert_eq!(endpoint["name"], "orders-payments-payment-process");
    assert_eq!(endpoint["subject"], "orders.payments.payment.process.*");
    assert_eq!(endpoint["queue_group"], "payments");
    let schema: Value =
        serde_json::from_str(endpoint["metadata"]["schema.request"].as_str().unwrap()).unwrap();
    assert!(schema["properties"]["payment_id"].is_object(), "{schema}");
    let reply: Value =
        serde_json::from_str(endpoint["metadata"]["schema.response"].as_str().unwrap()).unwrap();
    assert!(reply["properties"]["payment_id"].is_object(), "{reply}");

    eventually("the figures are in", async || {
        let stats = service_protocol(&client, "$SRV.STATS.payments", 2).await;
        let sum = |figure: &str| -> u64 {
            stats
                .iter()
                .map(|answer| answer["endpoints"][0][figure].as_u64().unwrap())
                .sum()
        };
        assert!(
            stats
                .iter()
                .all(|answer| answer["endpoints"][0]["num_requests"].as_u64() > Some(10))
        );
        sum("num_requests") == 101 && sum("num_errors") == 1 && sum("processing_time") > 0
    })
    .await;

    first.stop().await.unwrap();
    for _ in 0..10 {
        till.bus().ask(&payment("well")).await.unwrap();
    }
    second.stop().await.unwrap();
    assert!(matches!(
        till.bus().ask(&payment("well")).await,
        Err(AskError::NoResponders { .. })
    ));
}

#[tokio::test]
async fn a_caller_who_is_not_understood_hears_why() {
    let server = server();
    let client = connect(&server).await;
    let _payments = service(&Seen::default()).start(client.clone()).await.unwrap();
    let subject = "orders.payments.payment.process.p";
    let event = r#"{"type":"event","id":"x","timestamp":"2024-03-20T10:00:00Z","data":{}}"#;
    for (body, says) in [
        ("nonsense", "not an envelope"),
        (event, "handler takes type `command`"),
    ] {
        let answer = client.request(subject, body.into()).await.unwrap();
        let envelope: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(
            (&envelope["type"], &envelope["data"]["code"]),
            (&"error".into(), &"malformed".into())
        );
        assert!(
            envelope["data"]["message"].as_str().unwrap().contains(says),
            "{envelope}"
        );
        let header = answer
            .headers
            .unwrap()
            .get("Nats-Service-Error-Code")
            .map(ToString::to_string);
        assert_eq!(header.as_deref(), Some("422"));
    }
    let answer = client
        .request("orders.payments.payment.process.a=2", "x".into())
        .await
        .unwrap();
    assert!(answer.headers.unwrap().get("Nats-Service-Error").is_some());
}
