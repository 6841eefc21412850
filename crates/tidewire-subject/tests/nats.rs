//! What a real nats-server says of filters, beside what `SubjectFilter` says.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream::{self, stream};
use futures_util::{FutureExt as _, StreamExt as _};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tidewire_server::Server;
use tidewire_subject::{Key, MessageName, Subject, SubjectFilter};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// No test runs longer: all of this takes a few seconds.
const BOUND: Duration = Duration::from_secs(60);

/// Wildcards stand in whole tokens only, so tokens that merely hold one are among the literals.
const LITERALS: [&str; 6] = ["a", "b", "ab", "a*", ">b", "é"];

/// What a client may still publish to: wildcards and empty tokens.
const ODD: [&str; 9] = ["*", ">", "a.*", "a.>", "*.b", "a..b", ".a", "a.", "a.b."];

fn subject() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&LITERALS[..]), 1..6)
        .prop_map(|tokens| tokens.join("."))
}

fn filter(literals: &'static [&'static str]) -> impl Strategy<Value = String> {
    let token = prop_oneof![1 => Just("*"), 1 => proptest::sample::select(literals)];
    let tokens = proptest::collection::vec(token, 1..6);
    (tokens, proptest::bool::weighted(0.3)).prop_map(|(mut tokens, tail)| {
        if tail {
            tokens.pop();
            tokens.push(">");
        }
        tokens.join(".")
    })
}

/// Distinct values: some hundreds, new ones in every run. A failure prints the pair, which is all it needs.
fn several(count: usize, strategy: &impl Strategy<Value = String>) -> Outcome<BTreeSet<String>> {
    let mut runner = TestRunner::default();
    let mut several = BTreeSet::new();
    for _ in 0..count {
        several.insert(
            strategy
                .new_tree(&mut runner)
                .map_err(|reason| reason.to_string())?
                .current(),
        );
    }
    Ok(several)
}

/// Waits until the server has handled all that this connection sent: `flush` only writes to the socket.
async fn round_trip(client: &async_nats::Client) -> Outcome {
    let inbox = client.new_inbox();
    let mut answer = client.subscribe(inbox.clone()).await?;
    client.publish(inbox, "".into()).await?;
    answer.next().await.ok_or("the connection ended")?;
    Ok(())
}

/// The subjects that have arrived by now. Unconstrained: tokio's budget would end the reading at 128.
async fn arrived(subscriber: &mut Subscriber) -> BTreeSet<String> {
    tokio::task::unconstrained(async {
        let mut subjects = BTreeSet::new();
        while let Some(Some(message)) = subscriber.next().now_or_never() {
            // `>` and `*.*` also get the inboxes of the round trips.
            if !message.subject.starts_with("_INBOX.") {
                subjects.insert(message.subject.to_string());
            }
        }
        subjects
    })
    .await
}

#[tokio::test]
async fn filters_match_exactly_as_the_server_matches() -> Outcome {
    let server = Server::start()?;
    tokio::time::timeout(BOUND, async {
        let client = async_nats::connect(server.url()).await?;
        let mut subjects = several(400, &subject())?;
        subjects.extend(ODD.map(str::to_owned));
        let mut subscribers = Vec::new();
        for text in several(400, &prop_oneof![4 => filter(&LITERALS), 1 => subject()])? {
            let filter = SubjectFilter::parse(&text)?;
            subscribers.push((filter, client.subscribe(text).await?));
        }
        round_trip(&client).await?;
        for subject in &subjects {
            client.publish(subject.clone(), "".into()).await?;
        }
        round_trip(&client).await?;

        let mut heard = Vec::new();
        for (filter, mut subscriber) in subscribers {
            heard.push((filter, arrived(&mut subscriber).await));
        }
        let (mut matched, mut missed) = (0, 0);
        for (filter, arrived) in &heard {
            for subject in &subjects {
                let ours = filter.matches(subject);
                assert_eq!(
                    ours,
                    arrived.contains(subject),
                    "filter `{filter}`, subject `{subject}`"
                );
                *(if ours { &mut matched } else { &mut missed }) += 1;
            }
        }
        for (one, of_one) in &heard {
            for (other, of_other) in &heard {
                assert!(
                    !one.covers(other) || of_other.is_subset(of_one),
                    "`{one}` covers `{other}`"
                );
                assert!(
                    one.overlaps(other) || of_other.is_disjoint(of_one),
                    "`{one}` overlaps `{other}`"
                );
            }
        }
        // A test that hears nothing would agree with a filter that matches nothing.
        assert!(
            heard.len() > 150 && subjects.len() > 150,
            "{} {}",
            heard.len(),
            subjects.len()
        );
        assert!(
            matched > 1000 && missed > 1000,
            "{matched} matched, {missed} did not"
        );
        Ok(())
    })
    .await?
}

/// Escaped on the wire, the same text on arrival, and the connection lives on.
#[tokio::test]
async fn every_key_arrives_as_the_text_it_was() -> Outcome {
    const UPDATED: MessageName = MessageName::from_static("inventory.v2.stock.item.updated");
    let server = Server::start()?;
    tokio::time::timeout(BOUND, async {
        let client = async_nats::connect(server.url()).await?;
        let filter = SubjectFilter::of_message(&UPDATED, true);
        let mut updates = client.subscribe(filter.to_string()).await?;
        for text in [
            "sku-9",
            "a.b",
            "*",
            ">",
            "\r\n",
            "x\r\nPUB y 0\r\n",
            "\0",
            "\u{a0}",
            " ",
            "=2E",
            "🦀",
        ] {
            let sent = Subject::new(&UPDATED, Some(Key::new(text)?))?;
            client.publish(sent.to_string(), "".into()).await?;
            let message = updates.next().await.ok_or("the connection ended")?;
            let received = Subject::parse(&message.subject)?;
            assert_eq!(received, sent);
            assert_eq!(received.key().map(Key::text).as_deref(), Some(text));
        }
        round_trip(&client).await
    })
    .await?
}

/// A server refuses a stream whose subjects overlap those of another.
#[tokio::test]
async fn filters_overlap_exactly_where_the_server_refuses_a_second_stream() -> Outcome {
    let server = Server::start()?;
    tokio::time::timeout(BOUND, async {
        let context = jetstream::new(async_nats::connect(server.url()).await?);
        let filters = several(24, &filter(&["a", "b"]))?;
        let (mut together, mut apart) = (0, 0);
        for one in &filters {
            context.create_stream(memory("ONE", one)).await?;
            for other in &filters {
                let ours = SubjectFilter::parse(one)?.overlaps(&SubjectFilter::parse(other)?);
                match context.create_stream(memory("OTHER", other)).await {
                    Ok(_) => {
                        assert!(!ours, "the server keeps `{one}` and `{other}` apart");
                        context.delete_stream("OTHER").await?;
                        apart += 1;
                    }
                    Err(error) => {
                        let text = error.to_string();
                        assert!(text.contains("overlap"), "`{one}` and `{other}`: {text}");
                        assert!(ours, "the server says that `{one}` and `{other}` overlap: {text}");
                        together += 1;
                    }
                }
            }
            context.delete_stream("ONE").await?;
        }
        assert!(together > 10 && apart > 10, "{together} overlap, {apart} do not");
        Ok(())
    })
    .await?
}

/// Without acks, since `>` would answer requests to the server's own interface.
fn memory(name: &str, subject: &str) -> stream::Config {
    stream::Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        storage: stream::StorageType::Memory,
        no_ack: true,
        ..stream::Config::default()
    }
}
