use tidewire::Class;
use tidewire_server::Server;

use super::*;
use crate::{books::values, messages::ProcessPayment};

fn payment(card: &str) -> ProcessPayment {
    ProcessPayment {
        payment_id: "pay-1".into(),
        order_id: "o-1".into(),
        amount: 450,
        card: card.into(),
    }
}

#[tokio::test]
async fn a_payment_is_charged_once_however_often_the_gateway_fails() {
    let server = Server::start().unwrap();
    let nats = tidewire::connect(server.url()).await.unwrap();
    let gateway = Gateway::open(&nats).await.unwrap();
    let ask = async |failing, card| {
        let (processed, charged) = Emit::recording();
        let (failed, declined) = Emit::recording();
        let gateway = State(gateway.clone().failing(failing));
        let done = process(gateway, processed, failed, Command(payment(card))).await;
        (done, charged.take(), declined.take())
    };
    for _ in 0..10 {
        let (done, charged, declined) = ask(1.0, "4242").await;
        assert_eq!(done.unwrap_err().class(), &Class::Unavailable);
        assert_eq!((charged, declined), (vec![], vec![]));
    }
    for _ in 0..2 {
        let (done, charged, declined) = ask(0.0, "4242").await;
        done.unwrap();
        assert_eq!(charged[0].amount, 450);
        assert_eq!(declined, []);
    }
    let ledger = values::<Charge>(&nats.jetstream(), "SHOP_CHARGES").await.unwrap();
    assert_eq!(ledger.len(), 1);

    let (done, charged, declined) = ask(0.0, "4000-0002").await;
    done.unwrap();
    assert_eq!(charged, []);
    assert_eq!(declined[0].reason, "insufficient funds");
}
