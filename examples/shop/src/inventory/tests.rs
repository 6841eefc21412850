use std::collections::BTreeSet;

use futures_util::future::join_all;
use tidewire_server::Server;

use super::*;

#[tokio::test]
async fn orders_that_race_get_each_unit_once() {
    let server = Server::start().unwrap();
    let nats = tidewire::connect(server.url()).await.unwrap();
    // Two instances, as two processes would be.
    let stocks = [
        Stock::open(&nats).await.unwrap(),
        Stock::open(&nats).await.unwrap(),
    ];
    // Ten orders of two teapots, each asked for three times at once; there are twelve.
    let races = (0..30).map(|n| {
        let stock = stocks[n % 2].clone();
        async move {
            let order_id = format!("o-{}", n % 10);
            let command = ReserveItem {
                sku: "teapot".into(),
                order_id: order_id.clone(),
                units: 2,
            };
            let (reserved, given) = Emit::recording();
            let (rejected, refused) = Emit::recording();
            reserve(State(stock), reserved, rejected, Command(command))
                .await
                .unwrap();
            (order_id, given.take().len(), refused.take().len())
        }
    });
    let answers: BTreeSet<_> = join_all(races).await.into_iter().collect();
    assert_eq!(
        answers.len(),
        10,
        "an order gets the same answer each time: {answers:?}"
    );
    assert_eq!(answers.iter().map(|(_, given, _)| given).sum::<usize>(), 6);
    assert_eq!(answers.iter().map(|(_, _, refused)| refused).sum::<usize>(), 4);

    let unknown = stocks[0].reserve("toaster", "o-99", 1).await.unwrap();
    assert_eq!(unknown, Decision::Rejected);
}
