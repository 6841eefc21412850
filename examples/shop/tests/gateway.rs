//! The gateway fails in each of its ways, and every payment comes to its end: an event, once, or a letter that a replay
//! repairs.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::{Duration, Instant};

use tidewire::{CircuitState, Connection, Running, prelude::*};
use tidewire_ops::{DeadLetters, Listed, Replay, ReplayEnd, Selection};
use tidewire_server::Server;
use tidewire_shop::{
    messages::PaymentRequested,
    payments::{Faults, Gateway, Limits, TIME_LIMIT, breaker, service_within},
};

/// The longest that anything here may take.
const BOUND: Duration = Duration::from_secs(60);
/// Longer than a machine stands still: what is slow here is the gateway.
const PATIENT: Limits = Limits {
    time: BOUND,
    ack_wait: BOUND,
};

/// The payments service, and somebody who wants money.
struct Till {
    _server: Server,
    nats: Connection,
    gateway: Gateway,
    breaker: Breaker,
    orders: Running,
    _payments: Running,
}

impl Till {
    async fn open(faults: Faults, limits: Limits) -> Self {
        let server = Server::start().unwrap();
        let nats = tidewire::connect(server.url()).await.unwrap();
        let orders = Service::new("orders", "1.0.0")
            .context(Context::new("orders.checkout"))
            .publishes::<PaymentRequested>();
        let (gateway, breaker) = (Gateway::open(&nats).await.unwrap(), breaker());
        gateway.set(faults).await.unwrap();
        Self {
            orders: orders.start(nats.clone()).await.unwrap(),
            _payments: service_within(gateway.clone(), &breaker, limits)
                .start(nats.clone())
                .await
                .unwrap(),
            nats,
            gateway,
            breaker,
            _server: server,
        }
    }

    async fn request(&self, payment_id: &str, card: &str) {
        let payment = PaymentRequested {
            payment_id: payment_id.into(),
            order_id: format!("order of {payment_id}"),
            amount: 450,
            card: card.into(),
        };
        self.orders.bus().publish(&payment).await.unwrap();
    }

    /// How many messages a stream has.
    async fn stored(&self, stream: &str) -> u64 {
        let stream = self.nats.jetstream().get_stream(stream).await.unwrap();
        stream.cached_info().state.messages
    }

    /// How many payments ended, and how many of them were charged.
    async fn ends(&self) -> (u64, u64) {
        (
            self.stored("ORDERS__PAYMENTS").await,
            self.stored("KV_SHOP_CHARGES").await,
        )
    }

    /// The open dead letters.
    async fn letters(&self) -> (DeadLetters, Vec<Listed>) {
        let dead = DeadLetters::open(&self.nats, "a test").await.unwrap();
        let listing = dead.list(&Selection::default()).await.unwrap();
        (dead, listing.letters)
    }
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_retry_helps_is_put_aside_and_repaired_by_a_replay() {
    let faults = Faults {
        errors: 0.3,
        hangs: 0.0,
        ..Faults::bugs()
    };
    let till = Till::open(faults, PATIENT).await;
    for number in 0..10 {
        till.request(&number.to_string(), "4242-4242").await;
    }
    till.request("poor", "4000-0002").await;
    till.request("blank", "4242 4242").await;
    till.request("gift", "G7").await;
    // An attempt in two goes wrong here, and one good payment in thirty has no luck five times.
    eventually("all end or are put aside", async || {
        till.ends().await.0 + till.letters().await.1.len() as u64 == 13
    })
    .await;
    let (dead, letters) = till.letters().await;
    let of = |key: &str| {
        let letter = letters.iter().find(|letter| letter.key.as_deref() == Some(key));
        let letter = letter.unwrap_or_else(|| panic!("no letter of {key}"));
        (letter.class.clone(), letter.attempts)
    };
    assert_eq!(of("blank"), ("rejected".into(), 1), "tried once, by the rule");
    assert_eq!(
        of("gift"),
        ("panicked".into(), 5),
        "tried as often as the policy says"
    );

    till.gateway.set(Faults::none()).await.unwrap();
    let how = Replay {
        to_subject: false,
        rate: None,
        within: BOUND,
    };
    let mut ends = Vec::new();
    dead.replay(letters, how, |replayed| ends.push(replayed.end.clone()))
        .await
        .unwrap();
    assert!(
        ends.iter().all(|end| matches!(end, ReplayEnd::Handled)),
        "{ends:?}"
    );
    assert_eq!(
        till.ends().await,
        (13, 12),
        "all ended, and all but one were charged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_slow_is_waited_for_and_nothing_fails() {
    let faults = Faults {
        slow: 1.0,
        ..Faults::none()
    };
    let till = Till::open(faults, PATIENT).await;
    let began = Instant::now();
    for number in 0..10 {
        till.request(&number.to_string(), "4242-4242").await;
    }
    eventually("all are charged", async || till.ends().await == (10, 10)).await;
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "each call takes as long: {:?}",
        began.elapsed()
    );
    assert_eq!(till.letters().await.1.len(), 0);
    assert_eq!(
        till.stored("TIDEWIRE_ERRORS").await,
        0,
        "what is slow is no failure"
    );
    assert_eq!(till.breaker.state(), CircuitState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_hangs_is_cut_off_and_charges_once() {
    let faults = Faults {
        hangs: 1.0,
        ..Faults::none()
    };
    let limits = Limits {
        time: TIME_LIMIT,
        ..PATIENT
    };
    let till = Till::open(faults, limits).await;
    till.request("a", "4242-4242").await;
    eventually("it is cut off", async || till.stored("TIDEWIRE_ERRORS").await > 0).await;
    till.gateway.set(Faults::none()).await.unwrap();
    eventually("it is charged", async || till.ends().await == (1, 1)).await;
    assert_eq!(till.letters().await.1.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_gateway_is_down_nothing_is_spent() {
    let faults = Faults {
        down: true,
        ..Faults::none()
    };
    let till = Till::open(faults, PATIENT).await;
    for number in 0..50 {
        till.request(&number.to_string(), "4242-4242").await;
    }
    eventually("the breaker opens", async || {
        till.breaker.state() == CircuitState::Open
    })
    .await;
    // Five attempts would be spent by now if each probe were one for all.
    eventually("it is probed again and again", async || {
        till.stored("TIDEWIRE_ERRORS").await > 3
    })
    .await;
    assert_eq!(till.ends().await, (0, 0));
    till.gateway.set(Faults::none()).await.unwrap();
    eventually("all are charged", async || till.ends().await == (50, 50)).await;
    assert_eq!(till.breaker.state(), CircuitState::Closed);
    assert_eq!(till.letters().await.1.len(), 0);
}
