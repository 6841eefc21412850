//! Every call ends: here the server hangs, with its connections open.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all};
use serde_json::{json, value::to_raw_value};
use tidewire::{Connect, Format, async_nats::jetstream::consumer::pull, wire};
use tidewire_ops::{
    Consumers, DeadLetters, Draft, Edit, History, Lag, Manifests, OpsError, Scope, Selection, Tail,
    bench::{self, Telemetry, Workload},
    breakers, explain, instances, pause, publish, request, resume,
};
use tidewire_server::Server;
use tokio::time::{sleep, timeout};

use crate::{
    letters::{World, connected, failed},
    replay::{HOW, all},
};

/// What one question may take, as the crate says.
const QUESTION: Duration = Duration::from_secs(10);
/// What one record may take to be stored.
const RECORD: Duration = Duration::from_secs(22);
/// What a service may take to start, and a benchmark starts one.
const START: Duration = Duration::from_secs(60);
/// What is said for a call where the caller says it.
const GIVEN: Duration = Duration::from_secs(2);
/// What the clock may be late by: less than one more question would take.
const LATE: Duration = Duration::from_secs(9);

type Call<'a> = (&'static str, Duration, Pin<Box<dyn Future<Output = String> + 'a>>);

/// A call, its limit, and what it says in the end.
fn call<'a, T: fmt::Debug, E: fmt::Display>(
    name: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, E>> + 'a,
) -> Call<'a> {
    let said = async move {
        match call.await {
            Ok(done) => format!("no error but {done:?}"),
            Err(error) => error.to_string(),
        }
    };
    (name, limit, Box::pin(said))
}

fn draft(name: &str) -> Draft {
    Draft {
        name: name.into(),
        key: Some("p-1".into()),
        data: to_raw_value(&json!({})).unwrap(),
        headers: Vec::new(),
        format: Format::default(),
        source: "a test".into(),
    }
}

/// Everything that the streams have, and then what passes.
async fn to_the_end(mut tail: Tail) -> Result<(), OpsError> {
    while tail.next().await?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn every_call_returns_while_the_server_hangs() {
    let mut world = World::start().await;
    world
        .letter(&failed(1, "orders.payments.payment.processed.p-1"))
        .await;
    let (dead, letters) = all(&world).await;
    let letter = dead.read(&letters[0]).await.unwrap();
    let line = serde_json::to_string(&dead.export(&letters[0]).await.unwrap()).unwrap();
    let stream = world.nats.jetstream().get_stream(wire::DLQ_STREAM).await.unwrap();
    stream.create_consumer(pull::Config::default()).await.unwrap();
    let everybody = Scope {
        foreign: true,
        ..Scope::default()
    };
    let behind = Consumers::read(&world.nats, &everybody).await.unwrap();
    assert_eq!(behind.consumers[0].waiting(), 1);
    let tail = Tail::open(&world.nats, "dlq.>", History::All).await.unwrap();
    let none = Manifests::default();
    let selection = Selection::default();
    let edit = Edit::Payload("{}".into());

    world.server.pause().unwrap();
    let nats = &world.nats;
    let event = "orders.payments.payment.processed";
    let calls = vec![
        call("instances", QUESTION, instances(nats)),
        call("manifests", QUESTION, Manifests::read(nats)),
        call("explain", QUESTION, explain(nats, &none, "orders.made")),
        call("consumers", QUESTION, Consumers::read(nats, &everybody)),
        call("tail", QUESTION, Tail::open(nats, "orders.>", History::Nothing)),
        call(
            "tail with its past",
            QUESTION,
            Tail::open(nats, "orders.>", History::All),
        ),
        call("the next of a tail", QUESTION, to_the_end(tail)),
        call("publish", GIVEN, publish(nats, None, draft(event), GIVEN)),
        call("request", GIVEN, request(nats, None, draft(event), None, GIVEN)),
        call("pause", QUESTION, pause(nats, "payments", "ship", None)),
        call("resume", QUESTION, resume(nats, "payments", "ship")),
        call("breakers", QUESTION, breakers(nats, "payments", None)),
        call("dead letters", QUESTION, DeadLetters::open(nats, "ana@desk")),
        call("list", QUESTION, dead.list(&selection)),
        call("read", QUESTION, dead.read(&letters[0])),
        call("export", QUESTION, dead.export(&letters[0])),
        call("import", QUESTION, dead.import("a.ndjson", 1, &line)),
        call("replay", QUESTION, dead.replay(letters.clone(), HOW, |_| {})),
        call("edit", RECORD, dead.edit(&letter, &edit)),
        call("discard", RECORD, dead.discard(&letters[0], "a test")),
        call("prepare", START, bench::prepare(nats, Workload::Publish, 1)),
        call("remove", QUESTION, bench::remove(nats)),
    ];
    let attempts = timeout(QUESTION + LATE, dead.attempts(&letter));
    let lag = timeout(QUESTION + LATE, Lag::between(nats, &behind, &behind));
    let ended = join_all(calls.into_iter().map(async |(name, limit, call)| {
        let began = Instant::now();
        let said = timeout(limit + LATE, call).await;
        (name, limit, said, began.elapsed())
    }));
    let (ended, lag, attempts) = tokio::join!(ended, lag, attempts);
    let mut wrong = Vec::new();
    for (name, limit, said, took) in ended {
        match said {
            Err(_) => wrong.push(format!("`{name}` has no end within {limit:?}")),
            Ok(said) if ["within", "timed out"].iter().any(|word| said.contains(word)) => {}
            Ok(said) => wrong.push(format!(
                "`{name}` does not say that time ran out, after {took:?}: {said}"
            )),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What the letter itself tells is there, and that the rest is not.
    let attempts = format!("{:?}", attempts.unwrap());
    assert!(attempts.contains("not read: "), "{attempts}");
    // A stream without a leader looks the same, and hides nothing of the others.
    assert_eq!(lag.unwrap().unwrap().consumers[0].oldest_seconds, None);
}

/// More than are done before the server hangs.
const MANY: u64 = 1 << 40;
/// How long a benchmark waits for the next message.
const NEXT: Duration = Duration::from_secs(20);

/// Runs a benchmark on a server that hangs once it is under way, and gives back what it says.
async fn left(workload: Workload, at_work: &'static str) -> String {
    let mut server = Server::start().unwrap();
    let nats = connected(Connect::to(server.url())).await;
    bench::prepare(&nats, workload, 1000).await.unwrap();
    let mut under_way = nats.client().subscribe(at_work).await.unwrap();
    let running = bench::run(&nats, workload, MANY, Telemetry::Off);
    let hangs = async {
        under_way.next().await.unwrap();
        server.pause().unwrap();
        drop(under_way);
        sleep(NEXT + LATE).await;
    };
    tokio::select! {
        ended = running => match ended {
            Ok(measured) => format!("{workload} is done: {measured:?}"),
            Err(error) => error.to_string(),
        },
        () = hangs => format!("{workload} has no end"),
    }
}

#[tokio::test]
async fn a_benchmark_ends_whose_server_hangs_in_its_middle() {
    let (sent, acked) = ("tidewire-bench.>", "$JS.ACK.TIDEWIRE-BENCH__ORDERS.>");
    let said = join_all(vec![
        left(Workload::Live, sent),
        left(Workload::Ask64, sent),
        left(Workload::Ask1, sent),
        left(Workload::Publish, sent),
        left(Workload::Consume64, acked),
        left(Workload::Latency, acked),
    ]);
    for said in said.await {
        assert!(said.contains("within"), "{said}");
    }
}
