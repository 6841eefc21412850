use tidewire::Class;
use tidewire_server::Server;

use super::*;
use crate::books::values;

fn payment(card: &str) -> PaymentRequested {
    PaymentRequested {
        payment_id: "pay-1".into(),
        order_id: "o-1".into(),
        amount: 450,
        card: card.into(),
    }
}

/// What the handler says, and what it would emit.
async fn ask(
    gateway: &Gateway,
    card: &str,
) -> (Result<(), Failure>, Vec<PaymentProcessed>, Vec<PaymentFailed>) {
    let (processed, charged) = Emit::recording();
    let (failed, declined) = Emit::recording();
    let done = charge(State(gateway.clone()), processed, failed, Event(payment(card)));
    (done.await, charged.take(), declined.take())
}

#[tokio::test]
async fn of_the_faults_of_a_call_each_is_its_own() {
    let (soon, slow) = (Duration::from_millis(50), Duration::from_millis(300));
    let errors = Faults {
        errors: 1.0,
        ..Faults::none()
    };
    assert!(matches!(errors.befall().await, Err(GatewayError::Internal)));
    let takes_its_time = Faults {
        slow: 1.0,
        ..Faults::none()
    };
    let began = std::time::Instant::now();
    takes_its_time.befall().await.unwrap();
    assert!(began.elapsed() >= slow, "{:?}", began.elapsed());
    let hangs = Faults {
        hangs: 1.0,
        ..Faults::none()
    };
    let hung = tokio::time::timeout(soon, hangs.befall()).await;
    assert!(hung.is_err(), "{hung:?}");
    Faults::none().befall().await.unwrap();
}

#[tokio::test]
async fn a_payment_is_charged_once_however_often_the_gateway_fails() {
    let server = Server::start().unwrap();
    let nats = tidewire::connect(server.url()).await.unwrap();
    let gateway = Gateway::open(&nats).await.unwrap();
    let errors = Faults {
        errors: 1.0,
        ..Faults::none()
    };
    gateway.set(errors).await.unwrap();
    for _ in 0..10 {
        let (done, charged, declined) = ask(&gateway, "4242").await;
        assert_eq!(done.unwrap_err().class(), &Class::Retry(None));
        assert_eq!((charged, declined), (vec![], vec![]));
    }
    gateway.set(Faults::none()).await.unwrap();
    for _ in 0..2 {
        let (done, charged, declined) = ask(&gateway, "4242").await;
        done.unwrap();
        assert_eq!((charged[0].amount, declined), (450, vec![]));
    }
    let ledger = values::<Charge>(&nats.jetstream(), "SHOP_CHARGES").await.unwrap();
    assert_eq!(ledger.len(), 1);
}

#[tokio::test]
async fn each_kind_of_failure_is_told_from_the_others() {
    let server = Server::start().unwrap();
    let nats = tidewire::connect(server.url()).await.unwrap();
    let gateway = Gateway::open(&nats).await.unwrap();
    let set = async |faults| gateway.set(faults).await.unwrap();

    set(Faults::none()).await;
    let (done, charged, declined) = ask(&gateway, "4000-0002").await;
    done.unwrap();
    assert_eq!(
        (charged, declined[0].reason.as_str()),
        (vec![], "insufficient funds")
    );

    set(Faults {
        blanks: true,
        ..Faults::none()
    })
    .await;
    let failure = ask(&gateway, "4242 4242").await.0.unwrap_err();
    let error = failure.cause().downcast_ref::<GatewayError>().unwrap();
    assert!(error.is_final(), "{error}");

    set(Faults {
        down: true,
        ..Faults::none()
    })
    .await;
    let failure = ask(&gateway, "4242").await.0.unwrap_err();
    assert_eq!(failure.class(), &Class::Unavailable);
    assert_eq!(
        failure.to_string(),
        "the payment gateway is unreachable: connection refused"
    );

    set(Faults {
        hangs: 1.0,
        ..Faults::none()
    })
    .await;
    let asked = tokio::time::timeout(Duration::from_millis(200), ask(&gateway, "4242"));
    asked.await.expect_err("it never answers");

    set(Faults::none()).await;
    for card in ["4242 4242", "G7"] {
        ask(&gateway, card).await.0.unwrap();
    }
}

#[tokio::test]
#[should_panic(expected = "a card has an issuer of four digits")]
async fn its_client_panics_at_a_gift_card() {
    let server = Server::start().unwrap();
    let nats = tidewire::connect(server.url()).await.unwrap();
    let gateway = Gateway::open(&nats).await.unwrap();
    let short = Faults {
        short: true,
        ..Faults::none()
    };
    gateway.set(short).await.unwrap();
    drop(ask(&gateway, "G7").await);
}
