use proptest::prelude::*;
use serde_json::json;
use tidewire::Timestamp;

use super::*;
use crate::consumers::Info;

/// A consumer after so many seconds, where the test says.
#[derive(Clone, Copy, Debug, Default)]
struct At {
    seconds: f64,
    /// Whether it is another consumer of the same name.
    anew: bool,
    deliveries: u64,
    delivered: u64,
    pending: u64,
    unacknowledged: u64,
}

impl At {
    fn state(self) -> ConsumerState {
        let time = Timestamp::from_unix(Duration::from_secs_f64(1_000_000.0 + self.seconds));
        let created = Timestamp::from_unix(Duration::from_secs(u64::from(self.anew)));
        let info = json!({
            "stream_name": "ORDERS__PAYMENTS",
            "name": "shipping__ship",
            "created": created,
            "config": {
                "ack_policy": "explicit", "deliver_policy": "all", "replay_policy": "instant", "num_replicas": 0,
            },
            "delivered": { "consumer_seq": self.deliveries, "stream_seq": self.delivered },
            "ack_floor": { "consumer_seq": 0, "stream_seq": 0 },
            "num_ack_pending": self.unacknowledged,
            "num_redelivered": 0,
            "num_waiting": 0,
            "num_pending": self.pending,
            "ts": time,
        });
        serde_json::from_value::<Info>(info).unwrap().into()
    }
}

fn of(before: At, after: At) -> Option<(f64, f64)> {
    rates(&before.state(), &after.state()).map(|rates| (rates.come, rates.gone))
}

#[test]
fn what_came_and_what_went_is_counted() {
    let before = At {
        deliveries: 100,
        delivered: 1000,
        pending: 50,
        unacknowledged: 10,
        ..At::default()
    };
    // 40 were delivered, of which 10 are not settled, and 20 came.
    let after = At {
        seconds: 2.0,
        deliveries: 140,
        delivered: 1500,
        pending: 30,
        unacknowledged: 20,
        ..before
    };
    assert_eq!(of(before, after), Some((10.0, 15.0)));
}

#[test]
fn a_redelivery_is_no_message() {
    let before = At {
        deliveries: 5,
        delivered: 9,
        unacknowledged: 1,
        ..At::default()
    };
    let after = At {
        seconds: 1.0,
        deliveries: 25,
        ..before
    };
    assert_eq!(of(before, after), Some((0.0, 0.0)));
}

#[test]
fn what_cannot_be_told_is_not_said() {
    let before = At {
        deliveries: 10,
        delivered: 10,
        pending: 100,
        ..At::default()
    };
    let later = At {
        seconds: 1.0,
        ..before
    };
    let cases = [
        ("no time has passed", before),
        (
            "the clock went back",
            At {
                seconds: -1.0,
                ..before
            },
        ),
        ("another consumer", At { anew: true, ..later }),
        (
            "a consumer that was reset",
            At {
                deliveries: 0,
                delivered: 0,
                ..later
            },
        ),
        (
            "a stream that was purged",
            At {
                pending: 0,
                delivered: 110,
                ..later
            },
        ),
    ];
    for (what, after) in cases {
        assert_eq!(of(before, after), None, "{what}");
    }
}

#[test]
fn it_drains_or_not() {
    let rates = |come, gone| {
        Some(Rates {
            come,
            gone,
            over: Duration::from_secs(1),
        })
    };
    let seconds = |count| Some(Duration::from_secs(count));
    for (waiting, parked, known, wanted) in [
        (0, 0, rates(5.0, 5.0), (Drain::Empty, seconds(0))),
        (0, 0, None, (Drain::Empty, seconds(0))),
        (100, 0, rates(10.0, 30.0), (Drain::Draining, seconds(5))),
        (100, 0, rates(30.0, 30.0), (Drain::Never, None)),
        (100, 0, rates(0.0, 0.0), (Drain::Never, None)),
        (1, 0, rates(31.0, 30.0), (Drain::Never, None)),
        (u64::MAX, 0, rates(0.0, 1e-300), (Drain::Never, None)),
        (7, 0, None, (Drain::Unknown, None)),
        (0, 7, rates(0.0, 1.0), (Drain::Unknown, None)),
    ] {
        assert_eq!(
            Drain::of(waiting, parked, known),
            wanted,
            "{waiting} {parked} {known:?}"
        );
    }
}

prop_compose! {
    fn at()(
        seconds in 0.0..1e6,
        anew in prop::bool::weighted(0.1),
        deliveries in 0..1_000_u64,
        delivered in 0..1_000_u64,
        pending in 0..1_000_u64,
        unacknowledged in 0..1_000_u64,
    ) -> At {
        At { seconds, anew, deliveries, delivered, pending, unacknowledged }
    }
}

proptest! {
    #[test]
    fn rates_are_numbers_and_their_difference_is_that_of_what_waits(before in at(), after in at()) {
        let (before, after) = (before.state(), after.state());
        if let Some(rates) = rates(&before, &after) {
            prop_assert!(rates.come >= 0.0 && rates.come.is_finite());
            prop_assert!(rates.gone >= 0.0 && rates.gone.is_finite());
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let more = after.waiting() as f64 - before.waiting() as f64;
            let measured = (rates.come - rates.gone) * rates.over.as_secs_f64();
            prop_assert!((more - measured).abs() < 1e-3, "{more} {measured}");
        }
    }

    #[test]
    fn whoever_simulates_a_consumer_finds_the_rates(
        steps in prop::collection::vec((any::<bool>(), 0..4_u8), 0..200),
    ) {
        let mut now = At { deliveries: 7, delivered: 40, ..At::default() };
        let before = now;
        let (mut last, mut waiting, mut come, mut gone) = (40_u64, std::collections::VecDeque::new(), 0, 0);
        for (ours, step) in steps {
            match step {
                // A message is stored, ours or not.
                0 | 1 => {
                    last += 1;
                    if ours {
                        waiting.push_back(last);
                        now.pending += 1;
                        come += 1;
                    }
                }
                // The first of ours is delivered.
                2 => if let Some(sequence) = waiting.pop_front() {
                    now.pending -= 1;
                    now.unacknowledged += 1;
                    now.deliveries += 1;
                    now.delivered = sequence;
                },
                _ => if now.unacknowledged > 0 {
                    now.unacknowledged -= 1;
                    gone += 1;
                },
            }
        }
        now.seconds = 1.0;
        prop_assert_eq!(of(before, now), Some((f64::from(come), f64::from(gone))));
    }
}
