//! Commands and queries of a foreign client, and what it reads in the answers.

use serde_json::{Value, json};

use crate::{
    messages::{GET, LIMIT, PROCESS, UNLUCKY},
    program::Foreign,
    report::{Outcome, Report},
    world::World,
};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A question, and what its answer must be, given the id of the question.
struct Case {
    what: &'static str,
    question: Value,
    answer: fn(&Value) -> Value,
}

pub(crate) async fn check(report: &mut Report, foreign: &Foreign, world: &World) -> Outcome {
    let groups = [answered(), refused(), not_understood()];
    let cases: Vec<_> = groups.into_iter().flatten().collect();
    let questions: Value = cases.iter().map(|case| case.question.clone()).collect();
    let input = json!({ "url": world.server.url(), "requests": questions });
    let said = foreign.run("request", &input).await?;
    for (index, case) in cases.iter().enumerate() {
        let answer = &said["answers"][index];
        let what = format!("{} {}", foreign.client, case.what);
        report.same(&what, &(case.answer)(&answer["id"]), answer);
    }
    Ok(())
}

fn answered() -> Vec<Case> {
    vec![
        Case {
            what: "calls a command and reads the reply's envelope",
            question: command("p.1", 42),
            answer: |id| reply(id, &json!({ "payment_id": "p.1", "amount": 42 })),
        },
        Case {
            what: "calls a query and reads the reply's envelope",
            question: json!({ "kind": "query", "name": GET, "key": "ü", "data": { "payment_id": "ü" } }),
            answer: |id| reply(id, &json!({ "payment_id": "ü", "amount": 42 })),
        },
        Case {
            what: "calls a query whose answer is nothing",
            question: json!({ "kind": "query", "name": GET, "key": "x", "data": { "payment_id": "nobody's" } }),
            answer: |id| reply(id, &Value::Null),
        },
        Case {
            what: "gives a correlation and a trace, and the answer has both",
            question: {
                let mut question = command("p-2", 42);
                question["metadata"] = json!({ "correlation_id": "order 7" });
                // Names of headers are read in any case.
                question["headers"] = json!({ "TraceParent": TRACE });
                question
            },
            answer: |id| {
                let metadata = json!({ "correlation_id": "order 7", "causation_id": id });
                json!({ "headers": { "traceparent": TRACE }, "body": { "type": "reply", "metadata": metadata } })
            },
        },
    ]
}

fn refused() -> Vec<Case> {
    vec![
        Case {
            what: "is declined, and reads code, retryable and the service error headers",
            question: command("p-3", LIMIT + 1),
            answer: |id| error(id, "422", "insufficient_funds", "there is less than that", false),
        },
        Case {
            what: "hears that it may try again where something is down",
            question: command("p-4", UNLUCKY),
            answer: |id| error(id, "503", "unavailable", "the gateway is down", true),
        },
        Case {
            what: "hears that its data does not fit",
            question: {
                let mut question = command("p-5", 1);
                question["data"]["amount"] = "many".into();
                question
            },
            answer: |id| {
                let mut error = error(id, "422", "invalid", "", false);
                forget_text(&mut error);
                error
            },
        },
        Case {
            what: "hears that its version is too new",
            question: {
                let mut question = command("p-6", 1);
                question["metadata"] = json!({ "version": 99 });
                question
            },
            answer: |id| {
                let text =
                    format!("`{PROCESS}` is version 99 and this service knows up to 1; upgrade the service");
                error(id, "422", "incompatible", &text, false)
            },
        },
    ]
}

/// What cannot be read has no id that the answer could name.
fn not_understood() -> Vec<Case> {
    vec![
        Case {
            what: "hears that its wire contract is unknown",
            question: {
                let mut question = command("p-7", 1);
                question["headers"] = json!({ "Tw-Contract": "2" });
                question
            },
            answer: |_| unread("incompatible"),
        },
        Case {
            what: "hears that its body is no envelope",
            question: json!({ "kind": "command", "name": PROCESS, "key": "p-8", "data": null, "raw": "nonsense" }),
            answer: |_| unread("malformed"),
        },
        Case {
            what: "hears that a command is no query",
            question: json!({ "kind": "command", "name": GET, "key": "p-9", "data": { "payment_id": "p-9" } }),
            answer: |_| unread("malformed"),
        },
        Case {
            what: "hears that it escaped what needs no escape",
            question: {
                let mut question = command("a", 1);
                question["subject"] = format!("{PROCESS}.=61").into();
                question
            },
            answer: |_| unread("malformed"),
        },
    ]
}

fn command(key: &str, amount: u64) -> Value {
    json!({ "kind": "command", "name": PROCESS, "key": key, "data": { "payment_id": key, "amount": amount } })
}

fn reply(question: &Value, data: &Value) -> Value {
    json!({
        "headers": { "Content-Type": "application/json", "Nats-Service-Error": null },
        "body": {
            "type": "reply",
            "data": data,
            "metadata": { "source": "payments", "correlation_id": question, "causation_id": question },
        },
    })
}

fn error(question: &Value, number: &str, code: &str, message: &str, retryable: bool) -> Value {
    json!({
        "headers": { "Nats-Service-Error": message, "Nats-Service-Error-Code": number },
        "body": {
            "type": "error",
            "data": { "code": code, "message": message, "retryable": retryable },
            "metadata": { "source": "payments", "correlation_id": question, "causation_id": question },
        },
    })
}

/// The text is the decoder's own, and tested there.
fn forget_text(error: &mut Value) {
    for (place, member) in [("/headers", "Nats-Service-Error"), ("/body/data", "message")] {
        let object = error.pointer_mut(place).and_then(Value::as_object_mut);
        object.and_then(|members| members.remove(member));
    }
}

fn unread(code: &str) -> Value {
    json!({
        "headers": { "Nats-Service-Error-Code": "422" },
        "body": { "type": "error", "data": { "code": code, "retryable": false }, "metadata": { "source": "payments" } },
    })
}
