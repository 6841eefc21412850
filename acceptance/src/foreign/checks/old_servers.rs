//! A server that is too old is named at the start of a service, and is told nothing.

use std::{error::Error, time::Duration};

use futures_util::StreamExt;
use serde_json::json;
use tidewire::{
    Format,
    async_nats::{Client, Subscriber},
    prelude::*,
};
use tokio::time::timeout;

use crate::{
    connecting::connected,
    old_server::OldServer,
    report::{Outcome, Report},
    seen::Seen,
    world::{VERSION, payments},
};

/// How long a message may be under way.
const PASSES_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn check(report: &mut Report, old: &OldServer) -> Outcome {
    let folder = tempfile::tempdir()?;
    let (server, listener) = old.start(folder.path()).await?;
    let found = old.version;
    report.same(
        &format!("nats-server {found} is the one that runs, with JetStream"),
        &json!({ "version": found, "jetstream": true }),
        &json!({
            "version": listener.server_info().version,
            "jetstream": listener.server_info().jetstream,
        }),
    );
    // Whatever a client sends passes here, questions to JetStream too.
    let mut passing = listener.subscribe(">").await?;
    mark(&listener, &mut passing, "listening").await?;

    let nats = connected(&server.url).await?;
    let with_streams = payments(&Seen::default(), Format::Tidewire);
    let without = Service::new("shipping", VERSION)
        .on(durable("ship", async |Event(_): Event<Any>| {}).filter("a.b.c.d"));
    let said = [
        with_streams.start(nats.clone()).await.err(),
        without.start(nats.clone()).await.err(),
    ];
    let said = said.map(|error| error.map(|error| error.to_string()));
    let refusal =
        format!("the server is nats-server {found} and Tidewire needs 2.14.4 or newer; upgrade the server");
    report.same(
        &format!("nats-server {found} is refused by name"),
        &json!([refusal, refusal]),
        &json!(said),
    );
    // On the same connection, so it comes behind whatever was sent.
    let first = mark(&nats.client(), &mut passing, "alive").await?;
    report.same(
        &format!("nats-server {found} was sent nothing, and the connection lives"),
        &json!([]),
        &json!(first),
    );
    Ok(())
}

/// Sends a message, and returns the subjects of those that came before it.
async fn mark(
    from: &Client,
    passing: &mut Subscriber,
    subject: &'static str,
) -> Result<Vec<String>, Box<dyn Error>> {
    let mut before = Vec::new();
    from.publish(subject, "".into()).await?;
    loop {
        let message = timeout(PASSES_WITHIN, passing.next())
            .await?
            .ok_or("the connection is closed")?;
        if message.subject.as_str() == subject {
            return Ok(before);
        }
        before.push(message.subject.to_string());
    }
}
