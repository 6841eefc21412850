//! Events of a foreign client reach our handlers.

use serde_json::{Value, json};

use crate::{
    messages::{REQUESTED, STREAM},
    program::Foreign,
    report::{Outcome, Report},
    seen::sorted,
    world::World,
};

/// Keys that a subject cannot hold as they are, and one that is as long as a key may be.
const KEYS: [&str; 12] = [
    "a.b",
    "*",
    ">",
    "two words",
    " ",
    "a=2Eb",
    "line\nbreak",
    "\u{0}",
    "ünïçødé",
    "🌊",
    "/orders/7?q=\"x\"",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\
     0123456789012345678901234567",
];

pub(crate) async fn check(report: &mut Report, foreign: &Foreign, world: &World) -> Outcome {
    let client = foreign.client;
    let mut events = vec![
        event("p-1", 1, "with an ack", true),
        event(
            "p-2",
            foreign.largest,
            "\"quotes\", \\, \u{0}, a\nbreak, ü, 🌊",
            true,
        ),
        event("p-3", 0, "", false),
    ];
    events[0]["metadata"] = json!({ "source": "till-7", "mood": "good", "tags": ["a", { "b": null }] });
    let keys = KEYS.iter().enumerate();
    events.extend(keys.map(|(index, key)| event(key, index as u64, "its key is escaped", index % 2 == 0)));

    let input = json!({ "url": world.server.url(), "events": events });
    let said = foreign.run("publish", &input).await?;
    let recorded = world.seen.sorted("record", events.len(), "id").await?;
    let audited = world.seen.sorted("audit", events.len(), "id").await?;
    // What passes is not what is stored: an event that is sent twice passes twice.
    let passing = events
        .iter()
        .map(|event| if event["ack"] == true { 2 } else { 1 });
    let mut watched = world.seen.sorted("watch", passing.sum(), "id").await?;
    watched.dedup();

    let sent = expected(
        &events,
        &said,
        |event, id| json!({ "id": id, "data": event["data"] }),
    );
    report.same(
        &format!("{client} publishes five fields, and a durable handler sees its data"),
        &sent,
        &recorded.into(),
    );
    report.same(
        &format!("{client} publishes, and a live handler sees its data"),
        &sent,
        &watched.into(),
    );
    let keyed = expected(
        &events,
        &said,
        |event, id| json!({ "id": id, "name": REQUESTED, "key": event["key"], "version": 1, "data": event["data"] }),
    );
    report.same(
        &format!("{client} escapes keys, and our handler sees their text"),
        &keyed,
        &audited.into(),
    );

    let own = world
        .seen
        .by("record")
        .into_iter()
        .find(|note| note["data"]["payment_id"] == "p-1");
    report.same(
        &format!("{client} adds metadata of its own, and our handler sees it"),
        &events[0]["metadata"],
        &own.unwrap_or_default()["metadata"],
    );
    let acks = json!({ "stream": STREAM, "again": { "duplicate": true, "same": true } });
    let acks = events
        .iter()
        .map(|event| json!({ "acks": if event["ack"] == true { acks.clone() } else { Value::Null } }));
    report.same(
        &format!("{client} hears the stream's ack, and that an id sent twice is stored once"),
        &acks.collect(),
        &said["sent"],
    );
    Ok(())
}

fn event(key: &str, amount: u64, note: &str, ack: bool) -> Value {
    let data = json!({ "payment_id": key, "amount": amount, "note": note });
    json!({ "name": REQUESTED, "key": key, "data": data, "ack": ack })
}

/// What our side must have seen: the events by the ids that the program gave them.
fn expected(events: &[Value], said: &Value, note: impl Fn(&Value, &Value) -> Value) -> Value {
    let notes = events
        .iter()
        .enumerate()
        .map(|(index, event)| note(event, &said["sent"][index]["id"]));
    sorted(notes.collect(), "id").into()
}
