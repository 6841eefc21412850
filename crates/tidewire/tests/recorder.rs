//! A process that has a metrics recorder of its own: it gets Tidewire's figures, and no second one beside it.
//!
//! The recorder is the process's, so this is a program of its own.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{StartError, prelude::*};
use tidewire_server::Server;
use tokio::sync::Notify;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.processed")]
struct Processed {}

async fn note(State(done): State<Arc<Notify>>, Event(_): Event<Processed>) {
    done.notify_one();
}

fn service(done: &Arc<Notify>) -> Service<Arc<Notify>> {
    Service::new("guest", "1.0.0")
        .state(done.clone())
        .context(Context::new("orders.payments"))
        .publishes::<Processed>()
        .on(durable("note", note))
}

#[tokio::test]
async fn a_recorder_that_is_there_is_used_and_a_second_one_is_refused() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let figures = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();
    let (server, done) = (Server::start().unwrap(), Arc::new(Notify::new()));
    let nats = tidewire::connect(server.url()).await.unwrap();
    let error = service(&done)
        .monitor(([127, 0, 0, 1], 0))
        .start(nats.clone())
        .await
        .unwrap_err();
    assert!(matches!(&error, StartError::Recorder(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("Remove the other one") && text.contains("remove `.monitor(…)`"),
        "{text}"
    );

    let guest = service(&done).start(nats).await.unwrap();
    guest.bus().publish(&Processed {}).await.unwrap();
    done.notified().await;
    guest.stop().await.unwrap();
    let text = figures.render();
    let consumed = r#"messaging_client_consumed_messages_total{service="guest",consumer="guest__note",message="orders.payments.payment.processed",outcome="handled"} 1"#;
    assert!(text.contains(consumed), "{text}");
}
