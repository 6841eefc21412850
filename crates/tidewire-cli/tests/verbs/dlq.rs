//! `tidewire dlq ls` and `show`.

use insta::assert_snapshot;
use serde_json::json;
use tidewire::dead_letter::{Act, LetterId, OriginalHeaders};
use tidewire_server::Server;

use crate::{
    letters::{Failed, Service, World, failed},
    run::{Ran, run},
};

const PROCESSED: &str = "orders.payments.payment.processed.p-1";
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{202e}gnirts\u{9b}31m";

/// A group of two, a hostile one, and one that was handled.
async fn world() -> (World, Vec<LetterId>) {
    let world = World::start().await;
    let envelope = json!({"type": "event", "id": "evt_1", "timestamp": "2026-03-20T10:00:00Z",
        "data": {"payment_id": "p-1", "amount": 18_446_744_073_709_551_615_u64},
        "metadata": {"name": "orders.payments.payment.processed"}});
    let hostile = Failed {
        class: "malformed",
        error: HOSTILE,
        payload: format!("just text {HOSTILE}\nforged  line").into(),
        headers: OriginalHeaders::Parsed(vec![("x-note".into(), HOSTILE.into())]),
        ..failed(3, "plain")
    };
    let ids = vec![
        world
            .letter(&Failed {
                payload: envelope.to_string().into(),
                ..failed(1, PROCESSED)
            })
            .await,
        world.letter(&failed(2, PROCESSED)).await,
        world.letter(&hostile).await,
        world
            .letter(&Failed {
                durable: "bill",
                payload: vec![0xff, 0, 0x1b].into(),
                ..failed(4, PROCESSED)
            })
            .await,
    ];
    let of = Failed {
        durable: "bill",
        ..failed(4, PROCESSED)
    };
    let claim = world
        .record(&of, &ids[3], &of.after_replay(Act::Replayed, None), 4)
        .await;
    world
        .record(&of, &ids[3], &of.after_replay(Act::Handled, None), claim)
        .await;
    (world, ids)
}

fn assert_harmless(ran: &Ran) {
    let obeyed = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{2069}').contains(&c));
    assert!(
        !ran.stdout.chars().any(obeyed) && !ran.stderr.chars().any(obeyed),
        "{ran:?}"
    );
}

#[tokio::test]
async fn letters_are_listed_by_what_they_failed_of() {
    let (world, ids) = world().await;
    for (name, args) in [
        ("dlq_ls", &["dlq", "ls"][..]),
        ("dlq_ls_all", &["dlq", "ls", "--all"]),
        ("dlq_ls_letters", &["dlq", "ls", "--letters", "--all"]),
        (
            "dlq_ls_filtered",
            &[
                "dlq",
                "ls",
                "--letters",
                "--durable",
                "payments__ship",
                "--class",
                "exhausted",
            ],
        ),
        ("dlq_ls_none", &["dlq", "ls", "--service", "shipping"]),
    ] {
        let ran = run(&world.server, args).await;
        assert_harmless(&ran);
        assert_snapshot!(name, ran.shown(&[]));
    }
    let groups = run(&world.server, &["dlq", "ls", "--json"]).await;
    assert_harmless(&groups);
    let groups = groups.json_lines();
    assert_eq!(
        (groups.len(), &groups[0]["open"], &groups[0]["error"]),
        (2, &json!(2), &json!("no gateway"))
    );
    let letters = run(
        &world.server,
        &["dlq", "ls", "--letters", "--json", "--key", "p-1"],
    )
    .await
    .json_lines();
    let found: Vec<_> = letters
        .iter()
        .map(|letter| letter["letter"].as_str().unwrap())
        .collect();
    assert_eq!(found, [ids[0].as_str(), ids[1].as_str()]);
    assert_eq!(letters[0]["group"], groups[0]["group"]);
}

/// Which letters `tidewire dlq ls` lists, by the places of their messages.
async fn listed(world: &World, flags: &[&str]) -> Vec<u64> {
    let args = [&["dlq", "ls", "--letters", "--json"], flags].concat();
    let ran = run(&world.server, &args).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let letters = ran.json_lines();
    letters
        .iter()
        .map(|letter| letter["sequence"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn each_filter_leaves_out_what_is_not_meant_and_so_does_what_acts_on_them() {
    let world = World::start().await;
    let times = [
        "2026-03-20T10:00:00Z",
        "2026-03-20T11:00:00Z",
        "2026-03-20T12:00:00Z",
    ];
    for (sequence, subject, class, durable, at) in [
        (1, PROCESSED, "rejected", "ship", times[0]),
        (
            2,
            "orders.payments.payment.processed.p-2",
            "exhausted",
            "bill",
            times[1],
        ),
        (
            3,
            "orders.payments.payment.refunded.p-1",
            "exhausted",
            "ship",
            times[2],
        ),
        (4, "metrics.cpu", "malformed", "ship", times[2]),
    ] {
        world
            .letter(&Failed {
                class,
                durable,
                at,
                first: times[0],
                ..failed(sequence, subject)
            })
            .await;
    }
    for (flags, wanted) in [
        (
            &["--message", "orders.payments.payment.processed"][..],
            &[1, 2][..],
        ),
        (&["--message", "orders.payments.payment.*.p-1"], &[1, 3]),
        (&["--message", "metrics.cpu"], &[4]),
        (&["--message", "orders.payments.payment"], &[]),
        (&["--key", "p-1"], &[1, 3]),
        (&["--class", "exhausted"], &[2, 3]),
        (&["--durable", "bill"], &[2]),
        (&["--durable", "payments__ship"], &[1, 3, 4]),
        // From then on, and until before then.
        (&["--since", times[1]], &[2, 3, 4]),
        (&["--until", times[1]], &[1]),
        (&["--since", times[1], "--until", times[2]], &[2]),
        (&["--since", "20000d"], &[1, 2, 3, 4]),
        (&["--until", "20000d"], &[]),
        (
            &["--key", "p-1", "--class", "exhausted", "--since", times[2]],
            &[3],
        ),
    ] {
        assert_eq!(listed(&world, flags).await, wanted, "{flags:?}");
    }
    let discard = [
        "dlq", "discard", "--key", "p-1", "--since", times[1], "--reason", "a test", "--yes",
    ];
    let ran = run(&world.server, &discard).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(listed(&world, &[]).await, [1, 2, 4]);
    Service::start(&world).await.always(Act::Handled);
    let replay = [
        "dlq",
        "replay",
        "--message",
        "orders.>",
        "--until",
        times[1],
        "--yes",
    ];
    let ran = run(&world.server, &replay).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(listed(&world, &[]).await, [2, 4]);
}

#[tokio::test]
async fn a_letter_and_a_group_are_shown_whole_and_harmless() {
    let (world, ids) = world().await;
    for (name, id) in [
        ("dlq_show_known", &ids[0]),
        ("dlq_show_hostile", &ids[2]),
        ("dlq_show_bytes", &ids[3]),
    ] {
        let ran = run(&world.server, &["dlq", "show", id.as_str()]).await;
        assert_harmless(&ran);
        assert_snapshot!(name, ran.shown(&[]));
    }
    let groups = run(&world.server, &["dlq", "ls", "--json"]).await.json_lines();
    let group = groups[0]["group"].as_str().unwrap();
    assert_snapshot!(
        "dlq_show_group",
        run(&world.server, &["dlq", "show", group]).await.shown(&[])
    );
    let json = run(&world.server, &["dlq", "show", group, "--json"]).await.json();
    assert_eq!(
        (&json["letters"].as_array().unwrap().len(), &json["last"]["state"]),
        (&2, &json!("open"))
    );

    let ran = run(&world.server, &["dlq", "show", ids[2].as_str(), "--json"]).await;
    assert_harmless(&ran);
    let json = ran.json();
    assert_eq!(
        json["message"]["text"],
        format!("just text {HOSTILE}\nforged  line")
    );
    assert_eq!(json["headers"]["x-note"], json!([HOSTILE]));
    let json = run(&world.server, &["dlq", "show", ids[3].as_str(), "--json"])
        .await
        .json();
    assert_eq!(json["message"]["base64"], "/wAb");
    let acts: Vec<_> = json["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["act"].clone())
        .collect();
    assert_eq!(acts, ["failed", "replayed", "handled"]);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let world = World::start().await;
    for (name, args) in [
        (
            "dlq_show_unknown",
            &["dlq", "show", "6gmcpefvbqpvty17vpk2reygjz"][..],
        ),
        ("dlq_show_no_id", &["dlq", "show", "../etc"]),
        ("dlq_since_never", &["dlq", "ls", "--since", "yesterday"]),
    ] {
        assert_snapshot!(name, run(&world.server, args).await.shown(&[]));
    }
    let server = Server::start().unwrap();
    let ran = run(&server, &["dlq", "ls"]).await;
    assert_eq!(ran.code, Some(0));
    assert_snapshot!("dlq_ls_no_stream", ran.shown(&[]));
    assert_snapshot!(
        "dlq_show_no_stream",
        run(&server, &["dlq", "show", "00000000"]).await.shown(&[])
    );
}
