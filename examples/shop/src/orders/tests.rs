use std::sync::{Arc, Mutex};

use tidewire::{Class, ErrorBody};
use tidewire_server::Server;

use super::*;

fn placing(sku: &str) -> PlaceOrder {
    PlaceOrder {
        order_id: "o-1".into(),
        sku: sku.into(),
        units: 2,
        card: "4242".into(),
    }
}

fn placed() -> OrderPlaced {
    OrderPlaced {
        order_id: "o-1".into(),
        sku: "tea".into(),
        units: 2,
        total: 900,
    }
}

#[tokio::test]
async fn a_placed_order_asks_for_its_units() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    let reserve = Ask::answering(move |command: ReserveItem| {
        heard.lock().unwrap().push(command);
        Ok(())
    });
    reserve_on_placed(reserve, Event(placed())).await.unwrap();
    let expected = ReserveItem {
        sku: "tea".into(),
        order_id: "o-1".into(),
        units: 2,
    };
    assert_eq!(*asked.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn an_order_whose_units_cannot_be_asked_for_comes_again() {
    let busy = ErrorBody {
        code: "unavailable".into(),
        message: "not now".into(),
        retryable: true,
        details: serde_json::Value::Null,
    };
    let reserve = Ask::<ReserveItem>::answering(move |_| Err(busy.clone()));
    let failure = reserve_on_placed(reserve, Event(placed())).await.unwrap_err();
    assert_eq!(failure.class(), &Class::Retry(None));
}

#[tokio::test]
async fn an_order_placed_twice_is_one_order_and_what_is_not_sold_is_declined() {
    let server = Server::start().unwrap();
    let nats = tidewire::connect(server.url()).await.unwrap();
    let orders = Orders::open(&nats).await.unwrap();
    for sku in ["tea", "coffee"] {
        let (emit, emitted) = Emit::recording();
        let receipt = place(State(orders.clone()), emit, Command(placing(sku)))
            .await
            .unwrap();
        assert_eq!(receipt.total, 900);
        assert_eq!(emitted.take(), [placed()]);
    }
    let (emit, emitted) = Emit::recording();
    let refused = place(State(orders.clone()), emit, Command(placing("toaster"))).await;
    assert_eq!(refused.unwrap_err().class(), &Class::Decline("unknown_item"));
    assert_eq!(emitted.take(), []);

    let paid = PaymentProcessed {
        payment_id: "pay-o-1".into(),
        order_id: "o-1".into(),
        amount: 900,
    };
    let late = ItemReserved {
        sku: "tea".into(),
        order_id: "o-1".into(),
        units: 2,
    };
    for progress in [Progress::Processed(paid), Progress::Reserved(late)] {
        track(State(orders.clone()), Event(progress)).await.unwrap();
    }
    let order_id = "o-1".to_owned();
    let view = get(State(orders), Query(GetOrder { order_id }))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((view.status, view.total), (OrderStatus::Paid, 900));
}
