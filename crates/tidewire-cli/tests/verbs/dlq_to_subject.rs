//! `tidewire dlq replay --to-subject`: in which order, and where it may not be.

use insta::assert_snapshot;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Connect, dead_letter::LetterId, prelude::*};
use tidewire_server::Server;

use crate::{
    letters::{World, connected, failed},
    run::{Ran, ended, on, run},
    services::connect,
};

const EVENTS: &str = "ORDERS__PAYMENTS";
const ONE: &str = "orders.payments.payment.processed.p-1";
const TWO: &str = "orders.payments.payment.processed.p-2";

/// The subjects and the bodies of a stream, in its order.
async fn stored(world: &World, stream: &str) -> Vec<String> {
    let stored = world.stored(stream).await;
    let shown = stored
        .iter()
        .map(|stored| format!("{} {}", stored.subject, String::from_utf8_lossy(&stored.body)));
    shown.collect()
}

#[tokio::test]
async fn the_letters_of_a_key_go_to_their_subject_in_the_order_of_their_messages() {
    let world = World::start().await;
    world.stream(EVENTS, &["orders.payments.>"]).await;
    // Not in the order in which their messages were stored.
    for (sequence, subject) in [(5, ONE), (2, TWO), (9, ONE), (1, ONE), (7, TWO)] {
        world.letter(&failed(sequence, subject)).await;
    }
    let replay = ["dlq", "replay", "--all", "--to-subject", "--yes"];
    let ran = run(&world.server, &replay).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let sent = stored(&world, EVENTS).await;
    assert_eq!(
        sent,
        [(1, ONE), (2, TWO), (5, ONE), (7, TWO), (9, ONE)]
            .map(|(number, subject)| format!(r#"{subject} {{"number":{number}}}"#))
    );
    // Once more is nothing more.
    let ran = run(&world.server, &replay).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stored(&world, EVENTS).await, sent);
}

#[tokio::test]
async fn of_a_key_nothing_overtakes_what_is_refused() {
    let world = World::start().await;
    world.stream(EVENTS, &["orders.payments.>"]).await;
    let large = vec![b'x'; world.nats.client().max_payload() - 100];
    let first = crate::letters::Failed {
        payload: large.into(),
        ..failed(1, ONE)
    };
    let mut ids = vec![world.letter(&first).await];
    for (sequence, subject) in [(2, ONE), (3, TWO)] {
        ids.push(world.letter(&failed(sequence, subject)).await);
    }
    let ran = run(
        &world.server,
        &["dlq", "replay", "--all", "--to-subject", "--yes"],
    )
    .await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let lines = [
        format!("{}  the letter {0} cannot be published", ids[0]),
        format!("{}  not sent, for {} before it", ids[1], ids[0]),
    ];
    for line in lines {
        assert!(ran.stdout.contains(&line), "no {line:?} in {ran:?}");
    }
    assert_eq!(stored(&world, EVENTS).await, [format!(r#"{TWO} {{"number":3}}"#)]);
}

/// The world of somebody who may do everything, on a server where `few` may not publish to `deny`.
async fn world_with_users(deny: &str) -> World {
    let users = format!(
        "authorization {{ timeout: 30, users: [
            {{ user: all, password: x }}
            {{ user: few, password: x, permissions: {{ publish: {{ deny: \"{deny}\" }} }} }}
        ] }}"
    );
    let server = Server::builder().config(&users).start().unwrap();
    let url = server.url().replace("nats://", "nats://all:x@");
    let nats = connected(Connect::to(&url)).await;
    let world = World { server, nats };
    world.stream("TIDEWIRE_DLQ", &["dlq.>"]).await;
    world.stream("TW_PAYMENTS", &["retry.payments.>"]).await;
    world.stream(EVENTS, &["orders.payments.>"]).await;
    world
}

async fn as_user(user: &str, world: &World, args: &[&str]) -> Ran {
    let mut command = on(&world.server, args);
    command.env("NATS_USER", user).env("NATS_PASSWORD", "x");
    ended(command).await
}

async fn state(world: &World, id: &LetterId) -> String {
    let shown = as_user("all", world, &["dlq", "show", id.as_str(), "--json"]).await;
    shown.json()["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_may_not_publish_there_is_told_so_and_the_letter_stays_open() {
    for (name, deny, flags) in [
        ("to_subject", "orders.>", &["--to-subject"][..]),
        ("to_handler", "retry.>", &[]),
    ] {
        let world = world_with_users(deny).await;
        let id = world.letter(&failed(1, ONE)).await;
        let replay = [&["dlq", "replay", id.as_str(), "--yes"], flags].concat();
        for _ in 0..2 {
            let ran = as_user("few", &world, &replay).await;
            assert_snapshot!(format!("dlq_replay_not_permitted_{name}"), ran.shown(&[]));
            assert_eq!(state(&world, &id).await, "open");
        }
        assert_eq!(
            world.acts(&id).await,
            ["failed", "replayed", "failed", "replayed", "failed"]
        );
        assert_eq!(stored(&world, EVENTS).await, [""; 0]);
        assert_eq!(stored(&world, "TW_PAYMENTS").await, [""; 0]);
        let shown = as_user("all", &world, &["dlq", "show", id.as_str(), "--json"])
            .await
            .json();
        let reason = format!(
            "not sent: this user may not publish to `{}`",
            where_to(&id, flags)
        );
        assert_eq!(shown["history"][2]["reason"], reason, "{shown:#}");
        assert_eq!(
            shown["error"], "no gateway",
            "what went wrong with it is not forgotten"
        );
        if !flags.is_empty() {
            let ran = as_user("all", &world, &replay).await;
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert_eq!(stored(&world, EVENTS).await, [format!(r#"{ONE} {{"number":1}}"#)]);
        }
    }
}

fn where_to(id: &LetterId, flags: &[&str]) -> String {
    if flags.is_empty() {
        format!("retry.payments.ship.{id}")
    } else {
        ONE.into()
    }
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.account.opened", key = account, family = AccountEvent)]
struct Opened {
    account: String,
}

#[derive(EventFamily)]
#[family(entity = "orders.payments.account")]
enum AccountEvent {
    Opened(Opened),
}

async fn greet(Event(event): Event<AccountEvent>) {
    let AccountEvent::Opened(opened) = event;
    drop(opened);
}

#[tokio::test]
async fn an_event_of_a_family_is_published_by_nobody_but_its_decider() {
    let world = World::start().await;
    world.stream(EVENTS, &["orders.payments.>"]).await;
    let greeter = Service::new("greeter", "1.0.0").on(durable("greet", greet));
    let _greeter = greeter.start(connect(&world.server).await).await.unwrap();
    let id = world
        .letter(&failed(1, "orders.payments.account.opened.a-1"))
        .await;
    for (name, args) in [
        (
            "replay",
            &["dlq", "replay", id.as_str(), "--to-subject", "--yes"][..],
        ),
        (
            "publish",
            &[
                "publish",
                "orders.payments.account.opened",
                "a-1",
                "--data",
                r#"{"account":"a-1"}"#,
            ],
        ),
    ] {
        let ran = run(&world.server, args).await;
        assert_snapshot!(format!("dlq_family_{name}"), ran.shown(&[]));
    }
    assert_eq!(stored(&world, EVENTS).await, [""; 0]);
    assert_eq!(world.acts(&id).await, ["failed"]);
    let shown = run(&world.server, &["manifest", "show", "greeter", "--json"])
        .await
        .json();
    let message = &shown["messages"]["orders.payments.account.opened"];
    assert_eq!(message["entity"], "orders.payments.account", "{shown:#}");
}
