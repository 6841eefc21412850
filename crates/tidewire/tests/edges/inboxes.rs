//! The inbox prefix of a service.

use tidewire::{Connect, Connection};
use tidewire_server::Server;

use crate::support::{Log, payments};

async fn connect(server: &Server, service: &str) -> Connection {
    let connect = Connect::to(server.url()).service(service);
    connect.connect().await.unwrap()
}

/// It says so once at its start, with the line to write, and is ready all the same.
#[tokio::test]
async fn a_service_on_the_common_inbox_says_so() {
    const SAYS: &str = "come to `_INBOX`";
    let (log, _guard) = Log::listen();
    let server = Server::start().unwrap();
    let common = tidewire::connect(server.url()).await.unwrap();
    let first = payments().start(common).await.unwrap();
    let said = log.find(SAYS).unwrap();
    assert!(said.contains(r#"`.service("payments")`"#), "{said}");
    assert_eq!(log.count(SAYS), 1);
    assert!(first.not_ready().is_empty() && first.degraded().is_empty());
    log.forget();
    let own = connect(&server, "payments").await;
    let _second = payments().start(own).await.unwrap();
    assert_eq!(log.find(SAYS), None);
}
