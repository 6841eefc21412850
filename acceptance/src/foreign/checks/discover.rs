//! A foreign client lists our services.

use serde_json::{Value, json};

use crate::{
    messages::{GET, LIMIT, PROCESS, UNLUCKY},
    program::Foreign,
    report::{Outcome, Report},
    world::{INSTANCES, VERSION, World},
};

pub(crate) async fn check(report: &mut Report, foreign: &Foreign, world: &World) -> Outcome {
    let client = foreign.client;
    let command = |amount: u64| {
        let data = json!({ "payment_id": "p", "amount": amount });
        json!({ "kind": "command", "name": PROCESS, "key": "p", "data": data })
    };
    let mut requests: Vec<_> = (0..10).map(|_| command(1)).collect();
    requests.push(command(LIMIT + 1)); // an answer, and no error
    requests.push(command(UNLUCKY));
    let input = json!({
        "url": world.server.url(), "service": "payments", "instances": INSTANCES, "everybody": INSTANCES + 1,
        "requests": requests,
    });
    let said = foreign.run("discover", &input).await?;

    let mut names: Vec<_> = said["ping"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pong| pong["name"].clone())
        .collect();
    names.sort_by_key(ToString::to_string);
    let everybody = json!(["payments", "payments", "shipping"]);
    report.same(
        &format!("{client} pings all instances"),
        &everybody,
        &names.into(),
    );

    let instance = |kind: &str| json!({ "type": kind, "name": "payments", "version": VERSION });
    let mut info = instance("io.nats.micro.v1.info_response");
    info["metadata"] = json!({ "tidewire.contract": "1" });
    info["endpoints"] = json!([endpoint(PROCESS, "command"), endpoint(GET, "query")]);
    report.same(
        &format!("{client} asks for INFO and sees the endpoints"),
        &json!([info, info]),
        &said["info"],
    );
    report.same(
        &format!("{client} asks one instance by its id"),
        &json!([said["info"][0]]),
        &said["one"],
    );
    report.same(
        &format!("{client} reads the schemas of question and answer"),
        &json!({
            "schema.request": { "required": ["payment_id", "amount"], "type": "object" },
            "schema.response": { "required": ["payment_id", "amount"], "type": "object" },
        }),
        &schemas(&said["info"][0]["endpoints"][0]["metadata"]),
    );

    let stats = instance("io.nats.micro.v1.stats_response");
    report.same(
        &format!("{client} asks for STATS"),
        &json!([stats, stats]),
        &said["after"],
    );
    let grown = |figure| sum(&said["after"], figure) - sum(&said["before"], figure);
    report.same(
        &format!("{client} sees its requests counted, and the errors among them"),
        &json!({ "num_requests": 12, "num_errors": 1, "took": true }),
        &json!({
            "num_requests": grown("num_requests"), "num_errors": grown("num_errors"),
            "took": grown("processing_time") > 0,
        }),
    );
    let errors: Vec<_> = figures(&said["after"], "last_error")
        .filter(|error| *error != "")
        .collect();
    let last = errors
        .iter()
        .any(|error| **error == "unavailable:the gateway is down");
    report.same(
        &format!("{client} sees the last error"),
        &true.into(),
        &last.into(),
    );
    Ok(())
}

fn endpoint(name: &str, kind: &str) -> Value {
    json!({
        "name": name.replace('.', "-"), "subject": format!("{name}.*"), "queue_group": "payments",
        "metadata": { "tidewire.kind": kind, "tidewire.name": name, "tidewire.version": "1" },
    })
}

/// The schemas in an endpoint's metadata, whose values are text.
fn schemas(metadata: &Value) -> Value {
    let schema = |name: &str| -> Value {
        metadata[name]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    };
    json!({ "schema.request": schema("schema.request"), "schema.response": schema("schema.response") })
}

fn figures<'a>(stats: &'a Value, figure: &'a str) -> impl Iterator<Item = &'a Value> {
    let instances = stats.as_array().into_iter().flatten();
    let endpoints = instances.flat_map(|instance| instance["endpoints"].as_array().into_iter().flatten());
    endpoints.map(move |endpoint| &endpoint[figure])
}

fn sum(stats: &Value, figure: &str) -> i64 {
    figures(stats, figure).filter_map(Value::as_i64).sum()
}
