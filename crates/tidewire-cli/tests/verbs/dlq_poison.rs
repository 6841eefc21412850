//! Letters of messages whose headers no client can take: shown, exported byte for byte, imported elsewhere.

use insta::assert_snapshot;
use serde_json::json;
use tidewire::{
    dead_letter::{Original, OriginalHeaders, Record},
    wire,
};

use crate::{
    letters::{Stored, World},
    raw::publish_raw,
    run::{Ran, run, run_with_input, within},
    services::{connect, world},
};

const SUBJECT: &str = "orders.payments.payment.processed.p-1";
/// Each kind of poison, with a body that is text and one that is not.
const POISONS: [(&str, &[u8], &[u8]); 4] = [
    (
        "a_bare_carriage_return",
        b"NATS/1.0\r\nx-note: a\rb\r\n\r\n",
        b"{\"kept\": \"\xc3\xa9\"}",
    ),
    (
        "a_bad_name",
        b"NATS/1.0\r\nx note: \x1b[31m\r\n\r\n",
        b"text \x1b[31m",
    ),
    ("not_text", b"NATS/1.0\r\nx-note: \xff\xfe\r\n\r\n", b"{}"),
    (
        "a_wrong_version",
        b"NATS/9.0\r\nx-note: a\r\n\r\n",
        b"{\"kept\":\0\xff}",
    ),
];

fn original(stored: &Stored) -> Original {
    let pairs = stored.headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(move |value| (name, value.as_str()))
    });
    let record = Record::read(&pairs, &stored.body).unwrap();
    record.original.unwrap()
}

#[tokio::test]
async fn poison_is_shown_exported_byte_for_byte_and_imported_elsewhere() {
    let (server, _services) = world().await;
    for (_, block, payload) in POISONS {
        publish_raw(server.port(), SUBJECT, block, payload);
    }
    let mut listed = Vec::new();
    within("all are in the dead letters", async || {
        listed = run(&server, &["dlq", "ls", "--letters", "--json"])
            .await
            .json_lines();
        listed.len() == POISONS.len()
    })
    .await;
    for ((name, ..), listed) in POISONS.iter().zip(&listed) {
        let letter = listed["letter"].as_str().unwrap();
        assert_eq!(listed["class"], "poison");
        let json = run(&server, &["dlq", "show", letter, "--json"]).await.json();
        assert_eq!((&json["headers"], &json["tries"]), (&json!({}), &json!([])));
        let by = json["history"][0]["by"].as_str().unwrap();
        let group = json["group"].as_str().unwrap();
        let ran = run(&server, &["dlq", "show", letter]).await;
        assert_harmless(&ran);
        let also = [(letter, "LETTER"), (group, "GROUP"), (by, "SERVICE")];
        assert_snapshot!(format!("dlq_show_poison_{name}"), ran.shown(&also));
    }

    let exported = run(&server, &["dlq", "export"]).await;
    assert_harmless(&exported);
    assert_eq!(exported.json_lines().len(), POISONS.len());
    let here = World {
        nats: connect(&server).await,
        server,
    };
    let there = World::start().await;
    for counts in [
        "stored: 4; there before, and left as they were: 0\n",
        "stored: 0; there before, and left as they were: 4\n",
    ] {
        let ran = run_with_input(&there.server, &["dlq", "import", "-"], &exported.stdout).await;
        assert_eq!(ran.stdout, counts, "{ran:?}");
    }
    let again = run(&there.server, &["dlq", "export"]).await;
    assert_eq!(again.stdout, exported.stdout);
    for world in [here, there] {
        let stored = world.stored(wire::DLQ_STREAM).await;
        assert_eq!(stored.len(), POISONS.len());
        for (stored, (name, block, payload)) in stored.iter().zip(POISONS) {
            assert_eq!(stored.body, [block, payload].concat(), "{name}");
            let original = original(stored);
            assert_eq!(original.headers, OriginalHeaders::Broken(block.into()), "{name}");
            assert_eq!(
                (&*original.payload, &*original.subject),
                (payload, SUBJECT),
                "{name}"
            );
        }
    }
}

fn assert_harmless(ran: &Ran) {
    let obeyed = |c: char| c != '\n' && c.is_control();
    assert!(!ran.stdout.chars().any(obeyed), "{ran:?}");
}
