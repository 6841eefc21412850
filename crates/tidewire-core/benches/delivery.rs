//! What one delivery costs before and after its handler, without a server: reading the envelope, finding whom it is for,
//! making it a type, and deciding what is said to the stream.

#![expect(
    missing_docs,
    reason = "the macro of criterion writes a function that is public"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_core::{
    Envelope, Event, EventSet, Extras, Format, Kind, MessageId, Outgoing, Stamp, Timestamp, TraceContext,
    Verdict,
    settlement::{Input, State},
};
use tidewire_subject::SubjectFilter;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "tidewire-bench.orders.order.placed", key = order)]
struct Placed {
    order: String,
    customer: String,
    amount: u64,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "tidewire-bench.orders.order.paid", key = order)]
struct Paid {
    order: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "tidewire-bench.orders.order.packed", key = order)]
struct Packed {
    order: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "tidewire-bench.orders.order.sent", key = order)]
struct Sent {
    order: String,
}

/// What a handler of four events takes; that which comes is the last one to be looked for.
#[derive(EventSet)]
#[expect(dead_code, reason = "nobody looks into what was read")]
enum News {
    Paid(Paid),
    Packed(Packed),
    Sent(Sent),
    Placed(Placed),
}

/// The handlers' filters; what comes is for the last one.
fn filters() -> Vec<SubjectFilter> {
    let texts = [
        "tidewire-bench.orders.order.paid.*",
        "tidewire-bench.orders.parcel.>",
        "tidewire-bench.stock.*.*.*",
        "tidewire-bench.orders.>",
    ];
    let filters = texts.iter().map(|text| SubjectFilter::parse(text));
    filters.filter_map(Result::ok).collect()
}

fn stamp() -> Stamp {
    Stamp {
        id: MessageId::new(Kind::Event, uuid::Uuid::from_u128(7 << 76)),
        timestamp: Timestamp::default(),
        source: "shop".into(),
        correlation_id: None,
        causation_id: None,
        trace: TraceContext::default(),
        format: Format::Tidewire,
    }
}

fn placed() -> Placed {
    Placed {
        order: "o-4711".into(),
        customer: "c-4711".into(),
        amount: 1999,
    }
}

fn outgoing() -> Option<Outgoing> {
    Outgoing::message(&placed(), stamp(), Extras::default()).ok()
}

fn settle() -> State {
    let (state, _) = State::Arrived.step(Input::Came { delivery: 1 });
    let ended = Input::Ended {
        verdict: Verdict::Done,
        since: std::time::Duration::ZERO,
        random: 0.5,
    };
    state.step(black_box(ended)).0
}

#[expect(
    clippy::expect_used,
    reason = "a benchmark of a message that cannot be written or read measures nothing"
)]
fn delivery(criterion: &mut Criterion) {
    let written = outgoing().expect("it can be written");
    let headers = || written.headers.iter().map(|(name, value)| (&**name, &**value));
    let (subject, body, received) = (written.subject.as_str(), &written.body, Timestamp::default());
    let envelope = || Envelope::decode(black_box(subject), headers(), black_box(body), received);
    criterion.bench_function("write", |bencher| bencher.iter(outgoing));
    criterion.bench_function("read the envelope", |bencher| bencher.iter(envelope));
    let filters = filters();
    criterion.bench_function("route by filter", |bencher| {
        bencher.iter(|| {
            filters
                .iter()
                .position(|filter| filter.matches(black_box(subject)))
        });
    });
    let read = envelope().expect("it can be read");
    criterion.bench_function("route by name and make it a type", |bencher| {
        bencher.iter(|| News::decode(black_box(&read).encoded()));
    });
    criterion.bench_function("make it a type", |bencher| {
        bencher.iter(|| black_box(&read).encoded().decode::<Placed>());
    });
    criterion.bench_function("settle", |bencher| bencher.iter(settle));
}

criterion_group!(benches, delivery);
criterion_main!(benches);
