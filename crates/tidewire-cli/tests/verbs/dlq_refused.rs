//! What `tidewire dlq` says where nothing can be done about a letter, each provoked on a real server.

use std::fs;

use insta::assert_snapshot;
use tidewire::{
    async_nats::jetstream::stream,
    dead_letter::{Act, LetterId},
    wire,
};

use crate::{
    letters::{Failed, World, failed, map},
    run::run,
};

const SUBJECT: &str = "orders.payments.payment.processed.p-1";

async fn world() -> (World, LetterId) {
    let world = World::start().await;
    let id = world.letter(&failed(1, SUBJECT)).await;
    (world, id)
}

#[tokio::test]
async fn a_letter_that_is_not_open_is_neither_edited_nor_discarded() {
    let (world, id) = world().await;
    let folder = tempfile::tempdir().unwrap();
    let payload = folder.path().join("payload");
    fs::write(&payload, "{}").unwrap();
    let payload = payload.to_str().unwrap();
    let edit = ["dlq", "edit", id.as_str(), "--set", payload];
    let discard = ["dlq", "discard", id.as_str(), "--reason", "a test", "--yes"];

    let claim = failed(1, SUBJECT).after_replay(Act::Replayed, None);
    let claimed = world.record(&failed(1, SUBJECT), &id, &claim, 1).await;
    for (name, args) in [
        ("edit_replaying", &edit[..]),
        ("discard_replaying", &discard),
        (
            "replay_claimed_otherwise",
            &["dlq", "replay", id.as_str(), "--to-subject", "--yes"],
        ),
    ] {
        // It is there for the subject: what it is claimed for is told before that is looked for.
        if args[1] == "replay" {
            world.stream("ORDERS__PAYMENTS", &["orders.payments.>"]).await;
        }
        assert_snapshot!(
            format!("dlq_{name}"),
            run(&world.server, args).await.shown(&[(payload, "FILE")])
        );
    }
    let handled = failed(1, SUBJECT).after_replay(Act::Handled, None);
    world.record(&failed(1, SUBJECT), &id, &handled, claimed).await;
    for (name, args) in [("edit_handled", &edit[..]), ("discard_handled", &discard)] {
        assert_snapshot!(
            format!("dlq_{name}"),
            run(&world.server, args).await.shown(&[(payload, "FILE")])
        );
    }
    assert_eq!(world.acts(&id).await, ["failed", "replayed", "handled"]);
}

#[tokio::test]
async fn a_discarded_letter_is_not_edited() {
    let (world, id) = world().await;
    run(
        &world.server,
        &["dlq", "discard", id.as_str(), "--reason", "a test", "--yes"],
    )
    .await;
    let ran = run(&world.server, &["dlq", "edit", id.as_str(), "--set", "/dev/null"]).await;
    assert_snapshot!("dlq_edit_discarded", ran.shown(&[]));
    assert_eq!(world.acts(&id).await, ["failed", "discarded"]);
}

#[tokio::test]
async fn what_cannot_be_changed_is_not() {
    let (world, id) = world().await;
    let bytes = world
        .letter(&Failed {
            payload: vec![0xff, 0xfe].into(),
            ..failed(2, SUBJECT)
        })
        .await;
    let folder = tempfile::tempdir().unwrap();
    let group = run(&world.server, &["dlq", "ls", "--json"]).await.json_lines()[0]["group"]
        .as_str()
        .unwrap()
        .to_owned();
    for (name, what, patch) in [
        ("no_patch", id.as_str(), r#"{"number":2}"#),
        (
            "missing_path",
            id.as_str(),
            r#"[{"op":"remove","path":"/colour"}]"#,
        ),
        ("no_json", bytes.as_str(), "[]"),
        ("group", &group, "[]"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, patch).unwrap();
        let file = file.to_str().unwrap();
        let ran = run(&world.server, &["dlq", "edit", what, "--patch", file]).await;
        assert_snapshot!(
            format!("dlq_edit_{name}"),
            ran.shown(&[(file, "FILE"), (&group, "GROUP")])
        );
    }
    let ran = run(&world.server, &["dlq", "edit", bytes.as_str()]).await;
    assert_snapshot!("dlq_edit_no_text", ran.shown(&[]));
    assert_eq!(world.acts(&id).await, ["failed"]);
}

#[tokio::test]
async fn what_cannot_be_given_back_says_why() {
    let (world, id) = world().await;
    let unstarted = world
        .letter(&Failed {
            service: "shipping",
            ..failed(2, SUBJECT)
        })
        .await;
    let uncaptured = world.letter(&failed(3, "metrics.cpu")).await;
    world.stream("ORDERS__PAYMENTS", &["orders.payments.>"]).await;
    // Something else has the id under which it would be published.
    let taken = map(&[("Nats-Msg-Id", format!("{id}.4"))]);
    let js = world.nats.jetstream();
    let publish = js.publish_with_headers(SUBJECT, taken, "{}".into()).await;
    publish.unwrap().await.unwrap();
    for (name, args) in [
        ("no_service_stream", &[unstarted.as_str()][..]),
        ("not_for_its_subject", &[uncaptured.as_str(), "--to-subject"]),
        ("duplicate", &[id.as_str(), "--to-subject"]),
    ] {
        let args = [&["dlq", "replay", "--yes"], args].concat();
        assert_snapshot!(
            format!("dlq_replay_{name}"),
            run(&world.server, &args).await.shown(&[])
        );
    }
}

#[tokio::test]
async fn a_full_stream_and_a_missing_object_are_named() {
    let world = World::start().await;
    let large = Failed {
        payload: vec![b'x'; world.nats.client().max_payload() - 100].into(),
        ..failed(1, SUBJECT)
    };
    let id = world.letter(&large).await;
    let js = world.nats.jetstream();
    js.delete_object_store(wire::LETTERS_BUCKET).await.unwrap();
    let ran = run(&world.server, &["dlq", "replay", id.as_str(), "--yes"]).await;
    assert_snapshot!("dlq_replay_no_object", ran.shown(&[]));

    world
        .nats
        .jetstream()
        .publish("dlq.junk", "".into())
        .await
        .unwrap()
        .await
        .unwrap();
    assert_snapshot!("dlq_ls_junk", run(&world.server, &["dlq", "ls"]).await.shown(&[]));

    let stream = js.get_stream(wire::DLQ_STREAM).await.unwrap();
    let full = stream::Config {
        max_messages: 2,
        ..stream.cached_info().config.clone()
    };
    js.update_stream(full).await.unwrap();
    let discard = ["dlq", "discard", id.as_str(), "--reason", "a test", "--yes"];
    assert_snapshot!("dlq_discard_full", run(&world.server, &discard).await.shown(&[]));
}
