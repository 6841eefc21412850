//! What belongs to a trace that is not sampled where it begins.

use crate::{World, collector::hex};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// What a role of these tests printed.
struct Printed(String);

impl Printed {
    /// The contexts of what was sent: the lines that are one.
    fn contexts(&self) -> Vec<&str> {
        let contexts = self.0.lines().filter(|line| line.starts_with("00-"));
        contexts.collect()
    }

    /// How often the baggage of the message went on.
    fn baggage(&self) -> usize {
        self.0.lines().filter(|line| *line == "tenant=a%20b").count()
    }

    fn line(&self, wanted: &str) -> &str {
        let line = self.0.lines().find(|line| line.contains(wanted));
        line.unwrap_or_else(|| panic!("{}", self.0))
    }
}

/// What ran while an event of such a trace was handled: a failed attempt, another one, an event that it emits, and a span of
/// its own in a task of its own, which publishes.
async fn handled(settings: &[(&str, &str)]) -> (World, Printed) {
    let world = World::start().await;
    let printed = world.role_to_its_end_with("unsampled", settings).await;
    (world, Printed(printed))
}

/// Nothing was exported, and whoever comes after is told so.
fn is_left_out(world: &World, printed: &Printed) {
    let spans = world.collector.spans();
    assert!(spans.is_empty(), "{}: {spans:#?}", printed.0);
    let contexts = printed.contexts();
    assert_eq!((contexts.len(), printed.baggage()), (2, 2), "{}", printed.0);
    for context in contexts {
        assert!(context.starts_with(&format!("00-{TRACE}-")), "{}", printed.0);
        assert!(context.ends_with("-00"), "{}", printed.0);
    }
}

/// Nothing is exported, a span of the handler's own neither; and nobody looks at what is below INFO.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_exported_and_what_follows_is_told_so() {
    let (world, printed) = handled(&[]).await;
    is_left_out(&world, &printed);
    assert_eq!(printed.0.lines().next(), Some("info"), "{}", printed.0);
}

/// The same, whoever listens beside the exporter.
#[tokio::test(flavor = "multi_thread")]
async fn other_layers_change_nothing_of_it() {
    for others in [
        "a log",
        "a log at INFO",
        "a log at WARN",
        "a filter for all",
        "a filter of its own",
        "a layer that is none",
    ] {
        let (world, printed) = handled(&[("TIDEWIRE_TEST_OTHERS", others)]).await;
        is_left_out(&world, &printed);
    }
}

/// Lines of the log have the ids that they always have.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_says_of_it_what_it_says_of_others() {
    let (_world, printed) = handled(&[("TIDEWIRE_TEST_OTHERS", "a log at INFO")]).await;
    let line = printed.line("no box is free");
    for said in [
        &format!("trace_id={TRACE}"),
        "span_id=",
        "messaging.message.id=\"evt_1\"",
        "tidewire.attempt=1",
    ] {
        assert!(line.contains(said), "{said}: {line}");
    }
}

/// A service whose sampler asks nobody exports all of it, with a log or without.
#[tokio::test(flavor = "multi_thread")]
async fn a_sampler_that_asks_nobody_has_it_exported() {
    for (sampler, others) in [("always_on", ""), ("traceidratio", "a log at INFO")] {
        let settings = [("OTEL_TRACES_SAMPLER", sampler), ("TIDEWIRE_TEST_OTHERS", others)];
        let (world, printed) = handled(&settings).await;
        let spans = world.collector.spans();
        let mut names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "packing",
                "process shop.checkout.order.placed",
                "process shop.checkout.order.placed",
                "send shop.depot.parcel.left",
                "send shop.shipping.parcel.booked",
            ]
        );
        assert!(spans.iter().all(|span| hex(&span.trace) == TRACE));
        let contexts = printed.contexts();
        assert_eq!((contexts.len(), printed.baggage()), (2, 2), "{}", printed.0);
        assert!(
            contexts.iter().all(|context| context.ends_with("-01")),
            "{}",
            printed.0
        );
    }
}

/// Where the edge samples nothing, all that follows from what it publishes is told so.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_edge_does_not_sample_is_left_out_by_all() {
    let world = World::start().await;
    let nothing = [
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ];
    let printed = Printed(world.role_to_its_end_with("edge", &nothing).await);
    assert!(
        world.collector.spans().is_empty(),
        "{:#?}",
        world.collector.spans()
    );
    let contexts = printed.contexts();
    let [order, parcel] = contexts[..] else {
        panic!("{}", printed.0);
    };
    // The version, and the trace.
    assert_eq!(order[..36], parcel[..36], "{}", printed.0);
    assert!(
        contexts.iter().all(|context| context.ends_with("-00")),
        "{}",
        printed.0
    );
}
