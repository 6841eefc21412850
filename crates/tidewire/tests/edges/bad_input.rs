//! Input that cannot be sent is a typed error; nothing is sent, and the connection lives on.

use std::{collections::BTreeSet, mem, time::Duration};

use tidewire::{
    AskError, Connection, EncodeError, Extras, PublishError, Running, StartError, Subject, SubjectError,
    SubjectFilter,
    async_nats::{HeaderMap, Message, jetstream::stream::Config},
    prelude::*,
    wire,
};
use tidewire_server::Server;

use crate::{
    overheard::Overheard,
    support::{
        COMES_WITHIN, PAYMENTS, PaymentFailed, PaymentProcessed, ProcessPayment, Seen, cashier, connect_to,
        make_stream, payments, process, processed, soon, stored, stream, till, within,
    },
};

const ANSWER: Duration = Duration::from_secs(5);

/// A server, a service that keeps events and answers commands, and one that asks.
struct World {
    server: Server,
    nats: Connection,
    payments: Running,
    till: Running,
    _cashier: Running,
    seen: Seen,
}

async fn world(config: &str) -> World {
    let server = Server::builder().config(config).start().unwrap();
    let (nats, seen) = (connect_to(server.url()).await, Seen::default());
    World {
        payments: payments().start(nats.clone()).await.unwrap(),
        _cashier: cashier(&seen).start(nats.clone()).await.unwrap(),
        till: till().start(nats.clone()).await.unwrap(),
        server,
        nats,
        seen,
    }
}

impl World {
    /// Nothing was stored or handled so far, and both go on over the same connection.
    async fn is_untouched(&self) {
        assert_eq!((stored(&self.nats, PAYMENTS).await, self.seen.len()), (0, 0));
        self.payments.bus().publish(&processed("well")).await.unwrap();
        self.till.bus().ask(&process("well")).await.unwrap();
        assert_eq!((stored(&self.nats, PAYMENTS).await, self.seen.len()), (1, 1));
        assert_eq!(self.connections(), 1, "the connection was never lost");
    }

    /// What another client hears of all that is sent here.
    async fn overheard(&self) -> Overheard {
        let other = connect_to(self.server.url()).await;
        Overheard::of(other, &["orders.>", "queue.>"]).await
    }

    /// From now on the stream of payments captures those alone that failed; gives back what makes it whole again.
    async fn stops_capturing(&self) -> Config {
        let whole = stream(&self.nats, PAYMENTS).await.config;
        let less = Config {
            subjects: vec!["orders.payments.payment.failed.*".into()],
            ..whole.clone()
        };
        self.nats.jetstream().update_stream(&less).await.unwrap();
        whole
    }

    fn connections(&self) -> u64 {
        let statistics = self.nats.client().statistics();
        statistics.connects.load(std::sync::atomic::Ordering::Relaxed)
    }
}

const BROKEN: [(&str, &str); 4] = [
    ("x-note", "a\r\nNats-Rollup: all"),
    ("x-note", "a\nb"),
    ("x note", "a"),
    ("x:note", "a"),
];
const OURS: [(&str, &str); 4] = [
    ("Nats-Msg-Id", "1"),
    ("nats-ttl", "1s"),
    ("Tw-Name", "a.b.c.d"),
    ("ce-id", "1"),
];

/// Headers that no caller may give, each with its value.
pub(crate) fn unsendable() -> Vec<(&'static str, String)> {
    let small = BROKEN.into_iter().chain(OURS);
    let small = small.map(|(name, value)| (name, value.to_owned()));
    small.chain([("x-large", "x".repeat(65 << 10))]).collect()
}

/// The error is the one that belongs to this header.
pub(crate) fn is_named(error: &EncodeError, name: &str, value: &str) {
    match error {
        EncodeError::ReservedHeader { name: found } => assert!(OURS.contains(&(found, value))),
        EncodeError::HeadersTooLarge { size, .. } => assert!(value.len() == 65 << 10 && *size > 65 << 10),
        EncodeError::Header { name: found } => assert!(BROKEN.contains(&(found, value))),
        other => panic!("{name}: {other}"),
    }
}

#[tokio::test]
async fn headers_that_cannot_be_sent() {
    let world = world("").await;
    let mut overheard = world.overheard().await;
    let (publish, ask) = (world.payments.bus(), world.till.bus());
    for (name, value) in unsendable() {
        let extras = || Extras::new().header(name, &value);
        let published = publish.publish_with(&processed("p"), extras()).await;
        let asked = ask.ask_with(&process("p"), extras(), ANSWER).await;
        let (Err(PublishError::Encode(published)), Err(AskError::Encode(asked))) = (published, asked) else {
            panic!("{name}: {value:.20}")
        };
        assert_eq!(mem::discriminant(&published), mem::discriminant(&asked));
        is_named(&published, name, &value);
    }
    assert_eq!(
        overheard.until_now(&world.nats).await.len(),
        0,
        "nothing was sent"
    );
    world.is_untouched().await;
}

/// An event with a note of this length.
fn noted(length: usize) -> PaymentProcessed {
    PaymentProcessed {
        note: "x".repeat(length),
        ..processed("p")
    }
}

fn asked(length: usize) -> ProcessPayment {
    ProcessPayment {
        note: "x".repeat(length),
        ..process("p")
    }
}

/// What the server counts of a message: its headers as they are written, and its body.
pub(crate) fn size(headers: &HeaderMap, body: &[u8]) -> usize {
    let lines = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values
            .iter()
            .map(move |value| name.len() + ": \r\n".len() + value.as_str().len())
    });
    "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>() + body.len()
}

const LIMIT: usize = 64 << 10;

#[tokio::test]
async fn a_message_of_exactly_the_servers_limit_and_one_byte_more() {
    let world = world(&format!("max_payload: {LIMIT}")).await;
    let bus = world.payments.bus();
    bus.publish(&noted(0)).await.unwrap();
    let stream = world.nats.jetstream().get_stream(PAYMENTS).await.unwrap();
    let first = stream.get_raw_message(1).await.unwrap();
    let room = LIMIT - size(&first.headers, &first.payload);

    let error = bus.publish(&noted(room + 1)).await.unwrap_err();
    assert!(
        matches!(error, PublishError::TooLarge { .. }) && !error.is_transient(),
        "{error}"
    );
    assert!(error.to_string().contains("65536"), "{error}");
    assert_eq!(bus.publish(&noted(room)).await.unwrap().sequence, 2);

    // A command of one length is refused, and a byte less is answered.
    let mut length = LIMIT;
    let error = loop {
        match world.till.bus().ask(&asked(length)).await {
            Err(error) => length = (length - 1).min(length - over(&error)),
            Ok(()) => break world.till.bus().ask(&asked(length + 1)).await.unwrap_err(),
        }
    };
    assert!(matches!(error, AskError::TooLarge { .. }), "{error}");
    assert_eq!(world.seen.len(), 1);
    assert_eq!(world.connections(), 1, "the connection was never lost");
}

/// How much too large it was.
fn over(error: &AskError) -> usize {
    match error {
        AskError::TooLarge { size, limit, .. } => size.saturating_sub(*limit),
        other => panic!("{other}"),
    }
}

/// The ids of these messages.
fn ids(messages: &[Message]) -> BTreeSet<String> {
    let headers = messages.iter().filter_map(|message| message.headers.as_ref());
    headers
        .map(|headers| headers.get(wire::MSG_ID).unwrap().to_string())
        .collect()
}

/// Waits until the service knows what the stream of payments lacks.
async fn is_known(world: &World) {
    within(COMES_WITHIN, "the service looks at its stream", async || {
        let causes = world.payments.not_ready();
        causes
            .get("stream-ORDERS__PAYMENTS")
            .is_some_and(|said| said.contains("`orders.payments.payment.processed.*`"))
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_does_not_capture_the_subject() {
    let world = world("").await;
    let js = world.nats.jetstream();
    let whole = world.stops_capturing().await;
    is_known(&world).await;
    let mut overheard = world.overheard().await;
    let bus = world.payments.bus();
    let told = soon(COMES_WITHIN, "it is told", bus.publish(&processed("p"))).await;
    let error = told.unwrap_err();
    assert!(
        matches!(error, PublishError::NoStream { .. }) && error.is_transient(),
        "{error}"
    );
    assert_eq!(
        overheard.until_now(&world.nats).await.len(),
        0,
        "nothing was sent"
    );
    // What is still captured is stored, and the rest once it is captured again.
    let other = PaymentFailed {
        payment_id: "f".into(),
    };
    bus.publish(&other).await.unwrap();
    let late = processed("late");
    let (stored, ()) = tokio::join!(bus.publish(&late), async {
        assert_eq!(overheard.until_now(&world.nats).await.len(), 1, "the other one");
        js.update_stream(&whole).await.unwrap();
    });
    assert_eq!(stored.unwrap().sequence, 2);
    assert_eq!(world.connections(), 1, "the connection was never lost");
}

#[tokio::test]
async fn a_stream_of_which_it_is_not_known_yet_that_it_does_not_capture_the_subject() {
    let world = world("").await;
    let js = world.nats.jetstream();
    let (bus, event, heard) = (world.payments.bus(), processed("p"), processed("heard"));
    let other = connect_to(world.server.url()).await;
    let mut overheard = Overheard::of(other, &["orders.payments.payment.processed.heard"]).await;
    // Only the server knows: until the service looks it is sent, again and again with one id, and stored nowhere.
    let whole = world.stops_capturing().await;
    let (unheard, told) = tokio::join!(
        soon(COMES_WITHIN, "it is told", bus.publish(&event)),
        soon(COMES_WITHIN, "it is told", bus.publish(&heard))
    );
    let error = unheard.unwrap_err();
    assert!(
        matches!(error, PublishError::NoStream { .. }) && error.is_transient(),
        "{error}"
    );
    // Where somebody hears it, the server does not say that nobody has it.
    let error = told.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let sent = overheard.until_now(&world.nats).await;
    assert!(ids(&sent).len() <= 1, "each try has the same id");
    is_known(&world).await;
    let told = soon(COMES_WITHIN, "it is told", bus.publish(&heard)).await;
    assert!(matches!(told, Err(PublishError::NoStream { .. })), "{told:?}");
    assert_eq!(
        overheard.until_now(&world.nats).await.len(),
        0,
        "and none is sent any more"
    );
    js.update_stream(&whole).await.unwrap();
    world.is_untouched().await;
}

#[tokio::test]
async fn a_stream_that_captures_the_subject_again_once_the_service_has_stopped() {
    let world = world("").await;
    let js = world.nats.jetstream();
    let whole = world.stops_capturing().await;
    is_known(&world).await;
    // Whoever has a bus keeps it, and nobody looks after the stream any more.
    let bus = world.payments.bus();
    world.payments.stop().await.unwrap();
    js.update_stream(&whole).await.unwrap();
    let published = soon(COMES_WITHIN, "it is sent", bus.publish(&processed("p"))).await;
    assert_eq!(published.unwrap().sequence, 1);
}

#[tokio::test]
async fn a_stream_of_which_it_is_not_known_yet_that_another_one_has_the_subject() {
    let world = world("").await;
    let js = world.nats.jetstream();
    let mut overheard = world.overheard().await;
    let whole = world.stops_capturing().await;
    make_stream(&js, "OTHER", "orders.payments.payment.processed.*").await;
    let error = world.payments.bus().publish(&processed("p")).await.unwrap_err();
    assert!(matches!(error, PublishError::OtherStream { .. }), "{error}");
    assert!(
        overheard.until_now(&world.nats).await.len() <= 1,
        "it is sent once at most"
    );
    assert_eq!(stored(&world.nats, "OTHER").await, 0, "and not stored");
    js.delete_stream("OTHER").await.unwrap();
    js.update_stream(&whole).await.unwrap();
    world.is_untouched().await;
}

/// A stream that captures a command.
const FOREIGN: &str = "FOREIGN";
const COMMANDS: &str = "orders.payments.payment.process.*";

async fn pay(ask: Ask<ProcessPayment>, Event(paid): Event<PaymentProcessed>) -> Result<(), Failure> {
    ask.ask(process(paid.payment_id)).await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_that_captures_what_a_service_asks() {
    let world = world("").await;
    let js = world.nats.jetstream();
    make_stream(&js, FOREIGN, COMMANDS).await;
    let clerk = Service::new("clerk", "1.0.0").on(durable("pay", pay));
    let starts = [
        till().start(world.nats.clone()).await,
        // What handlers ask counts as well.
        clerk.start(world.nats.clone()).await,
    ];
    for started in starts {
        let error = started.unwrap_err();
        let StartError::RequestCaptured { stream, subject } = &error else {
            panic!("{error}")
        };
        assert_eq!((stream.as_str(), subject.as_str()), (FOREIGN, COMMANDS));
        assert!(error.to_string().contains("narrow"), "{error}");
    }
    assert_eq!(stored(&world.nats, FOREIGN).await, 0, "nothing was sent");
    js.delete_stream(FOREIGN).await.unwrap();
    till().start(world.nats.clone()).await.unwrap();
    world.is_untouched().await;
}

#[tokio::test]
async fn a_stream_that_comes_later_and_captures_what_is_asked() {
    let server = Server::start().unwrap();
    let (nats, seen) = (connect_to(server.url()).await, Seen::default());
    let payments = payments().start(nats.clone()).await.unwrap();
    let till = till().start(nats.clone()).await.unwrap();
    let js = nats.jetstream();
    make_stream(&js, FOREIGN, COMMANDS).await;
    // No service answers yet: the stream's ack is all that comes.
    let (bus, question) = (till.bus(), process("p"));
    let error = soon(COMES_WITHIN, "it is told", bus.ask(&question))
        .await
        .unwrap_err();
    let AskError::Captured { subject, stream } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (stream.as_str(), subject.as_str()),
        (FOREIGN, "orders.payments.payment.process.p")
    );
    let text = error.to_string();
    assert!(
        text.contains("the stream FOREIGN captures") && text.contains("narrow the stream's subjects"),
        "{text}"
    );
    assert!(!error.is_transient() && error.code().is_none(), "{error}");
    assert_eq!(stored(&nats, FOREIGN).await, 1, "as the error says");
    js.delete_stream(FOREIGN).await.unwrap();
    let world = World {
        _cashier: cashier(&seen).start(nats.clone()).await.unwrap(),
        payments,
        till,
        server,
        nats,
        seen,
    };
    world.is_untouched().await;
}

#[tokio::test]
async fn a_subject_over_512_bytes_is_not_built() {
    let world = world("").await;
    // The words of a name and a key are limited so that together they make no subject that long.
    let key = "k".repeat(500);
    let error = world.payments.bus().publish(&processed(&key)).await.unwrap_err();
    assert!(
        matches!(&error, PublishError::Encode(EncodeError::Key { .. })),
        "{error}"
    );
    let error = world.till.bus().ask(&process(&key)).await.unwrap_err();
    assert!(
        matches!(&error, AskError::Encode(EncodeError::Key { .. })),
        "{error}"
    );
    let text = format!("orders.payments.payment.processed.{key}");
    assert_eq!(
        Subject::parse(&text).unwrap_err(),
        SubjectError::TooLong { length: text.len() }
    );
    SubjectFilter::parse(&text).unwrap_err();
    world.is_untouched().await;
}
