//! A foreign client reads our events.

use serde_json::{Value, json};

use crate::{
    messages::{PROCESS, PROCESSED, STREAM},
    program::Foreign,
    report::{Outcome, Report},
    seen::sorted,
    world::World,
};

/// A key that needs no escape, and one that needs it, with what becomes of it.
const KEYS: [(&str, &str); 2] = [("read-1", "read-1"), ("read ü", "read=20=C3=BC")];

pub(crate) async fn check(report: &mut Report, foreign: &Foreign, world: &World) -> Outcome {
    let client = foreign.client;
    let command = |(key, _): &(&str, &str)| json!({ "name": PROCESS, "key": key, "data": { "payment_id": key, "amount": 7 } });
    let requests: Vec<_> = KEYS.iter().map(command).collect();
    let before = world.seen.by("ship").len();
    let stored = before + KEYS.len();
    let input = json!({
        "url": world.server.url(), "event": PROCESSED, "requests": requests, "stream": STREAM, "stored": stored,
    });
    let said = foreign.run("read", &input).await?;
    let shipped = world.seen.sorted("ship", stored, "id").await?;

    let passing = KEYS.iter().enumerate().map(|(index, (key, token))| {
        let ours = shipped.iter().find(|note| note["data"]["payment_id"] == **key);
        event(
            key,
            token,
            &said["commands"][index],
            &ours.cloned().unwrap_or_default()["id"],
        )
    });
    let passing: Value = passing.collect();
    report.same(
        &format!("{client} hears our events while they pass"),
        &passing,
        &said["passing"],
    );

    let all = said["stored"].as_array().cloned().unwrap_or_default();
    let latest: Value = all.iter().skip(before).cloned().collect();
    report.same(
        &format!("{client} reads the same from the stream, by a consumer of its own"),
        &passing,
        &latest,
    );
    let bodies: Vec<_> = all
        .iter()
        .map(|message| json!({ "id": message["body"]["id"], "data": message["body"]["data"] }))
        .collect();
    let ours: Value = shipped
        .iter()
        .map(|note| json!({ "id": note["id"], "data": note["data"] }))
        .collect();
    report.same(
        &format!("{client} reads what our own durable read"),
        &ours,
        &sorted(bodies, "id").into(),
    );
    Ok(())
}

/// Every field of the envelope, and the headers that are copies of some.
fn event(key: &str, token: &str, command: &Value, id: &Value) -> Value {
    json!({
        "subject": format!("{PROCESSED}.{token}"),
        "headers": {
            "Nats-Msg-Id": id, "Content-Type": "application/json", "Tw-Name": PROCESSED, "Tw-Version": "1",
            "Tw-Correlation-Id": command, "Tw-Causation-Id": command, "Nats-Expected-Stream": STREAM,
        },
        "body": {
            "type": "event",
            "id": id,
            "data": { "payment_id": key, "amount": 7 },
            "metadata": {
                "name": PROCESSED, "version": 1, "source": "payments", "key": key,
                "correlation_id": command, "causation_id": command,
            },
        },
    })
}
