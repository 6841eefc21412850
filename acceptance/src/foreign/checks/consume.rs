//! A foreign client takes over a durable of ours while none of our services runs.

use serde_json::{Value, json};

use crate::{
    messages::{PROCESS, PROCESSED, PaymentProcessed, STREAM},
    program::Foreign,
    report::{Outcome, Report},
    world::World,
};

const WAITING: u64 = 4;
/// The durable `ship` of the service `shipping`.
const CONSUMER: &str = "shipping__ship";

pub(crate) async fn check(report: &mut Report, foreign: &Foreign, world: &mut World) -> Outcome {
    let client = foreign.client;
    if let Some(shipping) = world.shipping.take() {
        shipping.stop().await?;
    }
    let before = world.seen.by("ship").len();
    for amount in 0..WAITING {
        let payment_id = format!("waiting {amount}");
        let event = PaymentProcessed { payment_id, amount };
        world.payments[0].bus().publish(&event).await?;
    }
    for payments in world.payments.drain(..) {
        payments.stop().await?;
    }

    let question = json!({ "kind": "command", "name": PROCESS, "key": "p", "data": {} });
    let input = json!({ "url": world.server.url(), "requests": [question] });
    let said = foreign.run("request", &input).await?;
    report.same(
        &format!("{client} is told at once where nobody answers"),
        &json!([{ "nobody": true }]),
        &said["answers"],
    );

    let all = json!({ "pending": WAITING, "unacknowledged": 0 });
    let found = world.waiting(CONSUMER, &all).await?;
    report.same(
        &format!("all of it waits in our durable, for {client}"),
        &all,
        &found,
    );
    let input =
        json!({ "url": world.server.url(), "stream": STREAM, "consumer": CONSUMER, "count": WAITING });
    let said = foreign.run("consume", &input).await?;
    let waiting = |amount: u64| {
        json!({
            "subject": format!("{PROCESSED}.waiting=20{amount}"),
            "body": { "type": "event", "data": { "payment_id": format!("waiting {amount}"), "amount": amount } },
        })
    };
    let handled: Value = (0..WAITING - 1).map(waiting).collect();
    report.same(
        &format!("{client} pulls what waits in our durable, in its order"),
        &json!({ "handled": handled, "given_back": waiting(WAITING - 1) }),
        &said,
    );
    let one = json!({ "pending": 0, "unacknowledged": 1 });
    let left = world.waiting(CONSUMER, &one).await?;
    report.same(
        &format!("{client} acks what it handled, and the durable knows"),
        &one,
        &left,
    );

    world.start_shipping().await?;
    let shipped = world.seen.sorted("ship", before + 1, "id").await?;
    let given_back = &said["given_back"]["body"]["id"];
    let ours: Vec<_> = shipped
        .into_iter()
        .filter(|note| note["id"] == *given_back)
        .collect();
    report.same(
        &format!("{client} gives one back, and our handler goes on with that one alone"),
        // What somebody else was given and gave back is no attempt of ours.
        &json!([{ "id": given_back, "attempt": 1 }]),
        &ours.into(),
    );
    if let Some(shipping) = world.shipping.take() {
        shipping.stop().await?;
    }
    let nothing = json!({ "pending": 0, "unacknowledged": 0 });
    let left = world.waiting(CONSUMER, &nothing).await?;
    report.same(
        &format!("{client} leaves a durable in which nothing waits"),
        &json!({ "left": nothing, "seen": before + 1 }),
        &json!({ "left": left, "seen": world.seen.by("ship").len() }),
    );
    Ok(())
}
