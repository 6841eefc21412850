//! A question ends by what is refused to it, and not by what is refused to others on the same connection.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidewire::{Connect, Connection, async_nats::jetstream::kv, wire};
use tidewire_ops::{
    Consumers, DeadLetters, History, Manifests, OpsError, Scope, Selection, Tail, breakers, explain,
    instances,
};
use tidewire_server::Server;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::letters::{World, connected, failed};

const NAMED_WITHIN: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(60);
const LETTERS: &str = "orders.payments.payment.processed.p-1";

/// Where others send, very like what is asked here.
const PUBLISHED: [&str; 10] = [
    "others.published",
    "$SRV.INFO.others",
    "$JS.API.STREAM.INFO.OTHERS",
    "$JS.API.CONSUMER.LIST.OTHERS",
    "$JS.API.CONSUMER.CREATE.TIDEWIRE_DLQ.others",
    "$JS.API.CONSUMER.MSG.NEXT.TIDEWIRE_DLQ.others",
    "$JS.API.STREAM.MSG.GET.OTHERS",
    "$KV.TIDEWIRE_MANIFESTS.others",
    "tidewire.ops.others.breaker",
    "_INBOX.others",
];
/// What others hear.
const HEARD: [&str; 2] = ["dlq.others.>", "_INBOX.others"];

fn user(name: &str, publish: &[&str], subscribe: &[&str]) -> String {
    let denied = |others: &[&str], more: &[&str]| {
        let all: Vec<_> = others
            .iter()
            .chain(more)
            .map(|subject| format!("{subject:?}"))
            .collect();
        format!("{{ deny: [{}] }}", all.join(", "))
    };
    let (publish, subscribe) = (denied(&PUBLISHED, publish), denied(&HEARD, subscribe));
    format!(
        "{{ user: {name}, password: {name}, permissions: {{ publish: {publish}, subscribe: {subscribe} }} }}\n"
    )
}

/// A server with these users and one who may do everything, with a letter and a bucket of manifests.
async fn world(users: &str) -> World {
    let config =
        format!("authorization {{ timeout: 30, users: [ {{ user: admin, password: admin }}\n{users} ] }}");
    let server = Server::builder().config(config).start().unwrap();
    let nats = connect_as(&server, "admin").await;
    let world = World { server, nats };
    world.stream(wire::DLQ_STREAM, &["dlq.>"]).await;
    world.letter(&failed(1, LETTERS)).await;
    let config = kv::Config {
        bucket: wire::MANIFESTS_BUCKET.into(),
        ..kv::Config::default()
    };
    let bucket = world.nats.jetstream().create_key_value(config).await.unwrap();
    bucket.put("payments", "{}".into()).await.unwrap();
    world
}

async fn connect_as(server: &Server, user: &str) -> Connection {
    connected(Connect::to(server.url()).user(user, user.to_owned())).await
}

/// Others on a connection, to whom something is refused all the time; how often it was.
struct Others {
    refused: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Others {
    fn on(nats: &Connection) -> Self {
        let (client, listener, refused) = (nats.client(), nats.clone(), Arc::<AtomicUsize>::default());
        let (count, mut tasks) = (refused.clone(), JoinSet::new());
        tasks.spawn(async move {
            loop {
                for subject in PUBLISHED {
                    client.publish(subject, "".into()).await.unwrap();
                    sleep(Duration::from_millis(1)).await;
                }
                for subject in HEARD {
                    drop(client.subscribe(subject).await.unwrap());
                    sleep(Duration::from_millis(1)).await;
                }
            }
        });
        tasks.spawn(async move {
            loop {
                let refusal = listener.unless_refused(&["others.published"], pending::<()>());
                refusal.await.unwrap_err();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            refused,
            _tasks: tasks,
        }
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

async fn list(nats: &Connection) -> Result<usize, OpsError> {
    let dead = DeadLetters::open(nats, "ana@desk").await?;
    let listing = dead.list(&Selection::default()).await?;
    for letter in &listing.letters {
        dead.export(letter).await?;
    }
    Ok(listing.letters.len())
}

async fn consumers(nats: &Connection) -> Result<Consumers, OpsError> {
    Consumers::read(nats, &everybody()).await
}

async fn tail(nats: &Connection) -> Result<(), OpsError> {
    let mut tail = Tail::open(nats, "dlq.>", History::All).await?;
    tail.next().await?;
    Ok(())
}

fn everybody() -> Scope {
    Scope {
        foreign: true,
        ..Scope::default()
    }
}

#[tokio::test]
async fn what_is_refused_to_others_ends_no_question() {
    let world = world(&user("operator", &[], &[])).await;
    let nats = connect_as(&world.server, "operator").await;
    let others = Others::on(&nats);
    let until = Instant::now() + SOON;
    let mut rounds = 0;
    // Everything that others try was refused several times.
    while rounds < 5 || others.refused() < 20 {
        assert!(Instant::now() < until, "{} refusals", others.refused());
        instances(&nats).await.unwrap();
        assert!(Manifests::read(&nats).await.unwrap().get("payments").is_some());
        explain(&nats, &Manifests::default(), "orders.made")
            .await
            .unwrap();
        consumers(&nats).await.unwrap();
        assert_eq!(list(&nats).await.unwrap(), 1);
        tail(&nats).await.unwrap();
        let nobody = breakers(&nats, "payments", None).await.unwrap_err();
        assert!(matches!(nobody, OpsError::NobodyRuns { .. }), "{nobody}");
        rounds += 1;
    }
}

/// What is refused to a question while others are refused what they try.
async fn refused<T>(
    server: &Server,
    user: &str,
    question: impl AsyncFnOnce(&Connection) -> Result<T, OpsError>,
) -> String {
    let nats = connect_as(server, user).await;
    let _others = Others::on(&nats);
    let asked = timeout(NAMED_WITHIN, question(&nats)).await;
    match asked.unwrap() {
        Err(OpsError::NotPermitted(refusal)) => refusal.subject,
        Err(error) => unreachable!("{user}: {error}"),
        Ok(_) => unreachable!("{user}: nothing was refused"),
    }
}

#[tokio::test]
async fn a_question_names_what_is_refused_to_it_beside_what_is_refused_to_others() {
    let users = [
        user("instances", &["$SRV.INFO"], &[]),
        user("manifests", &["$JS.API.STREAM.INFO.KV_TIDEWIRE_MANIFESTS"], &[]),
        user("entries", &["$JS.API.DIRECT.GET.KV_TIDEWIRE_MANIFESTS.>"], &[]),
        user("streams", &["$JS.API.STREAM.LIST"], &[]),
        user("readers", &["$JS.API.CONSUMER.LIST.TIDEWIRE_DLQ"], &[]),
        user("letters", &["$JS.API.STREAM.INFO.TIDEWIRE_DLQ"], &[]),
        user("reads", &["$JS.API.CONSUMER.CREATE.TIDEWIRE_DLQ"], &[]),
        user("pulls", &["$JS.API.CONSUMER.MSG.NEXT.TIDEWIRE_DLQ.*"], &[]),
        user("records", &["$JS.API.STREAM.MSG.GET.TIDEWIRE_DLQ"], &[]),
        user("tails", &[], &["dlq.>"]),
    ];
    let world = world(&users.concat()).await;
    let server = &world.server;
    assert_eq!(refused(server, "instances", instances).await, "$SRV.INFO");
    let bucket = "$JS.API.STREAM.INFO.KV_TIDEWIRE_MANIFESTS";
    assert_eq!(refused(server, "manifests", Manifests::read).await, bucket);
    let entry = refused(server, "entries", Manifests::read).await;
    assert!(
        entry.starts_with("$JS.API.DIRECT.GET.KV_TIDEWIRE_MANIFESTS"),
        "{entry}"
    );
    assert_eq!(refused(server, "streams", consumers).await, "$JS.API.STREAM.LIST");
    let readers = "$JS.API.CONSUMER.LIST.TIDEWIRE_DLQ";
    assert_eq!(refused(server, "readers", consumers).await, readers);
    let stream = "$JS.API.STREAM.INFO.TIDEWIRE_DLQ";
    assert_eq!(refused(server, "letters", list).await, stream);
    let create = "$JS.API.CONSUMER.CREATE.TIDEWIRE_DLQ";
    assert_eq!(refused(server, "reads", list).await, create);
    let pull = refused(server, "pulls", list).await;
    let consumer = pull.strip_prefix("$JS.API.CONSUMER.MSG.NEXT.TIDEWIRE_DLQ.");
    assert!(consumer.is_some_and(|name| name != "others"), "{pull}");
    let record = "$JS.API.STREAM.MSG.GET.TIDEWIRE_DLQ";
    assert_eq!(refused(server, "records", list).await, record);
    assert_eq!(refused(server, "tails", tail).await, "dlq.>");
}
