//! The `CloudEvents` SDK reads what we write, and we read what it writes.

use serde_json::{Value, json};
use tidewire::{Format, Timestamp};

use crate::{
    connecting::connected,
    messages::{PROCESS, PROCESSED, REQUESTED, STREAM},
    program::Foreign,
    report::{Outcome, Report},
    world::{World, payments},
};

/// A key with all that a header holds only escaped.
const KEY: &str = "p 42/ü%20\"x\"🌊";

pub(crate) async fn check(report: &mut Report, sdk: &Foreign) -> Outcome {
    for (mode, format) in [
        ("binary", Format::CloudEventsBinary),
        ("structured", Format::CloudEventsStructured),
    ] {
        reads(report, sdk, mode, format).await?;
    }
    writes(report, sdk).await
}

async fn reads(report: &mut Report, sdk: &Foreign, mode: &str, format: Format) -> Outcome {
    let mut world = World::empty()?;
    let nats = connected(&world.server.url()).await?;
    world
        .payments
        .push(payments(&world.seen, format).start(nats).await?);
    world.start_shipping().await?;
    let data = json!({ "payment_id": KEY, "amount": 7 });
    let input = json!({
        "url": world.server.url(), "command": PROCESS, "key": KEY, "data": data, "event": PROCESSED, "stream": STREAM,
    });
    let said = sdk.run("cloud_events_read", &input).await?;
    let shipped = world.seen.sorted("ship", 1, "id").await?;

    let content_type = if mode == "binary" {
        "application/json"
    } else {
        "application/cloudevents+json"
    };
    let attributes = json!({
        "specversion": "1.0", "source": "payments", "subject": KEY, "datacontenttype": "application/json",
        "twversion": "1", "correlationid": said["command"], "causationid": said["command"],
    });
    // The binding for NATS names the data's type like any attribute; that for HTTP does not.
    let data_type = (mode == "binary").then_some("application/json");
    let headers = json!({ "Content-Type": content_type, "ce-datacontenttype": data_type });
    let mut event = json!({ "headers": headers, "attributes": attributes, "data": data });
    let mut answer = event.clone();
    event["attributes"]["type"] = PROCESSED.into();
    event["attributes"]["twkind"] = "event".into();
    event["attributes"]["id"] = shipped[0]["id"].clone();
    answer["attributes"]["type"] = PROCESS.into();
    answer["attributes"]["twkind"] = "reply".into();
    let client = sdk.client;
    report.same(
        &format!("the {client} reads our events in {mode} mode"),
        &event,
        &said["event"],
    );
    report.same(
        &format!("the {client} reads our answers in {mode} mode"),
        &answer,
        &said["answer"],
    );
    Ok(())
}

async fn writes(report: &mut Report, sdk: &Foreign) -> Outcome {
    let mut world = World::empty()?;
    let nats = connected(&world.server.url()).await?;
    world
        .payments
        .push(payments(&world.seen, Format::Tidewire).start(nats).await?);
    let modes = ["binary", "structured", "nats", "bare"];
    let events: Vec<_> = modes.iter().map(|mode| event(mode)).collect();
    let data = json!({ "payment_id": KEY, "amount": 7 });
    let command = json!({ "name": PROCESS, "key": KEY, "attributes": { "source": "/till/7" }, "data": data });
    let input = json!({ "url": world.server.url(), "events": events, "command": command });
    let said = sdk.run("cloud_events_write", &input).await?;

    let client = sdk.client;
    // What is not understood is kept and never seen; the checks below then say which it was.
    let _ = world.seen.sorted("record", events.len(), "id").await;
    let (recorded, audited) = (world.seen.by("record"), world.seen.by("audit"));
    for (index, mode) in modes.iter().enumerate() {
        let (event, id) = (&events[index], &said["sent"][index]["id"]);
        let by_id = |notes: &[Value]| {
            notes
                .iter()
                .find(|note| note["id"] == *id)
                .cloned()
                .unwrap_or_default()
        };
        let expected = json!({
            "recorded": {
                "id": id,
                "time": in_utc(&said["sent"][index]["time"]),
                "data": event["data"],
                "metadata": {
                    "name": REQUESTED, "source": "/till/7", "tenant": "møre & \"romsdal\"", "dataschema": "urn:x:1",
                },
            },
            "audited": { "name": REQUESTED, "key": event["key"], "version": 1, "data": event["data"] },
        });
        let found = json!({ "recorded": by_id(&recorded), "audited": by_id(&audited) });
        report.same(
            &format!("we read what the {client} writes in {mode} mode"),
            &expected,
            &found,
        );
    }
    report.same(
        &format!("we answer a command that the {client} writes"),
        &json!({ "type": "reply", "data": data, "metadata": { "causation_id": said["command"] } }),
        &said["answer"],
    );
    Ok(())
}

/// A time as our side writes it.
fn in_utc(time: &Value) -> Option<String> {
    let time: Option<Timestamp> = time.as_str().and_then(|text| text.parse().ok());
    time.map(|time| time.to_string())
}

fn event(mode: &str) -> Value {
    let key = format!("{mode} {KEY}");
    let data = json!({ "payment_id": key, "amount": u64::MAX, "note": "ü, 🌊 and a\nbreak" });
    let attributes = json!({
        "source": "/till/7", "subject": key, "datacontenttype": "application/json", "tenant": "møre & \"romsdal\"",
        "dataschema": "urn:x:1",
    });
    json!({ "name": REQUESTED, "key": key, "mode": mode, "attributes": attributes, "data": data })
}
