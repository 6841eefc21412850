//! The ways of `tidewire dlq replay`: to the handler alone or to the subject, and how fast.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use insta::assert_snapshot;
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tidewire::{Running, dead_letter::Act, extract::Raw, prelude::*, wire};
use tidewire_server::Server;
use tokio::sync::mpsc;

use crate::{
    letters::{Failed, Service as Hearing, World, failed},
    run::{on, run, within},
    services::{PaymentProcessed, connect, payments},
};

/// How long a handler may take to hear something.
const BOUND: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Seen {
    is_broken: Arc<AtomicBool>,
    heard: mpsc::UnboundedSender<&'static str>,
}

async fn ship(State(seen): State<Seen>, Event(_): Event<PaymentProcessed>) -> Result<(), Failure> {
    if seen.is_broken.load(Ordering::SeqCst) {
        Err("nobody lives there").or_reject()?;
    }
    seen.heard.send("ship").unwrap();
    Ok(())
}

async fn audit(State(seen): State<Seen>, Event(_): Event<PaymentProcessed>) {
    seen.heard.send("audit").unwrap();
}

/// A server with a stream of payments and two durables of its events, one of which refuses what comes.
struct Warehouse {
    server: Server,
    seen: Seen,
    heard: mpsc::UnboundedReceiver<&'static str>,
    _running: [Running; 2],
}

impl Warehouse {
    async fn open() -> Self {
        let server = Server::start().unwrap();
        let (sender, heard) = mpsc::unbounded_channel();
        let seen = Seen {
            is_broken: Arc::new(true.into()),
            heard: sender,
        };
        let payments = payments().start(connect(&server).await).await.unwrap();
        let warehouse = Service::new("warehouse", "1.0.0")
            .state(seen.clone())
            .on(durable("ship", ship))
            .on(durable("audit", audit));
        let warehouse = warehouse.start(connect(&server).await).await.unwrap();
        Self {
            server,
            seen,
            heard,
            _running: [payments, warehouse],
        }
    }

    async fn publish(&self, payment_id: &str) {
        let data = format!(r#"{{"payment_id":"{payment_id}","amount":7}}"#);
        let publish = [
            "publish",
            "orders.payments.payment.processed",
            payment_id,
            "--data",
            &data,
        ];
        let ran = run(&self.server, &publish).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    /// Publishes a payment, and returns the letter that it becomes.
    async fn letter(&mut self) -> String {
        self.publish("p-1").await;
        assert_eq!(self.next().await, "audit");
        let deadline = Instant::now() + BOUND;
        loop {
            let listed = run(&self.server, &["dlq", "ls", "--letters", "--json"]).await;
            if let Some(letter) = listed.stdout.lines().next() {
                let letter: serde_json::Value = serde_json::from_str(letter).unwrap();
                return letter["letter"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < deadline, "no letter: {listed:?}");
        }
    }

    async fn next(&mut self) -> &'static str {
        tokio::time::timeout(BOUND, self.heard.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// One more message, which both durables take; nothing else was heard before it.
    async fn letter_is_none(&mut self) {
        self.publish("p-2").await;
        let mut heard = [self.next().await, self.next().await];
        heard.sort_unstable();
        assert_eq!(heard, ["audit", "ship"]);
        assert!(self.heard.try_recv().is_err());
    }
}

#[tokio::test]
async fn to_its_subject_every_durable_hears_it_again_and_else_the_one_that_failed() {
    for (flags, hear) in [(&[][..], &["ship"][..]), (&["--to-subject"], &["audit", "ship"])] {
        let mut warehouse = Warehouse::open().await;
        let letter = warehouse.letter().await;
        warehouse.seen.is_broken.store(false, Ordering::SeqCst);
        let replay = [&["dlq", "replay", &letter], flags].concat();

        // Asked about first.
        let ran = run(&warehouse.server, &replay).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert_snapshot!(
            format!("dlq_replay_ways_asked_{}", flags.len()),
            ran.shown(&[(&letter, "LETTER")])
        );
        assert!(warehouse.heard.try_recv().is_err());

        let ran = run(&warehouse.server, &[&replay[..], &["--yes"]].concat()).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_snapshot!(
            format!("dlq_replay_ways_{}", flags.len()),
            ran.shown(&[(&letter, "LETTER")])
        );
        let mut heard = Vec::new();
        for _ in hear {
            heard.push(warehouse.next().await);
        }
        heard.sort_unstable();
        assert_eq!(heard, hear);
        // What is heard of the next message comes behind whatever else is on its way.
        warehouse.letter_is_none().await;
    }
}

#[tokio::test]
async fn the_letters_of_a_group_go_and_no_others() {
    let world = World::start().await;
    for sequence in 1..=2 {
        world.letter(&failed(sequence, "metrics.cpu")).await;
    }
    let other = Failed {
        error: "nobody is there",
        ..failed(3, "metrics.cpu")
    };
    world.letter(&other).await;
    Hearing::start(&world).await.always(Act::Handled);
    let groups = run(&world.server, &["dlq", "ls", "--json"]).await.json_lines();
    let group = groups
        .iter()
        .find(|group| group["error"] == "no gateway")
        .unwrap();
    let group = group["group"].as_str().unwrap();
    let ran = run(&world.server, &["dlq", "replay", group, "--yes", "--json"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json_lines().len(), 2, "{ran:?}");
    let left = run(&world.server, &["dlq", "ls", "--json"]).await.json_lines();
    assert_eq!(
        (left.len(), &left[0]["error"], &left[0]["open"]),
        (1, &"nobody is there".into(), &1.into())
    );
}

/// What a handler was given that takes whatever there is, but not at first.
#[derive(Clone)]
struct Largest {
    is_broken: Arc<AtomicBool>,
    heard: mpsc::UnboundedSender<Vec<u8>>,
}

async fn keep(State(seen): State<Largest>, raw: Raw) -> Result<(), Failure> {
    if seen.is_broken.load(Ordering::SeqCst) {
        Err("it is too much").or_reject()?;
    }
    seen.heard.send(raw.payload.to_vec()).or_retry()
}

/// With the headers of its letter it would be too large for a message: it goes through the object store, both ways.
#[tokio::test]
async fn a_message_of_the_largest_size_is_given_back_whole() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let (heard, mut given) = mpsc::unbounded_channel();
    let is_broken = Arc::new(AtomicBool::new(true));
    let _payments = payments().start(nats.clone()).await.unwrap();
    let attic = Service::new("attic", "1.0.0").state(Largest {
        is_broken: is_broken.clone(),
        heard,
    });
    let attic = attic.on(durable("keep", keep).filter("orders.payments.payment.processed.*"));
    let _attic = attic.start(nats.clone()).await.unwrap();
    let largest: Vec<u8> = (0..=250).cycle().take(nats.client().max_payload()).collect();
    let js = nats.jetstream();
    let sent = js.publish("orders.payments.payment.processed.p", largest.clone().into());
    sent.await.unwrap().await.unwrap();
    within("its letter is there", async || {
        let listed = run(&server, &["dlq", "ls", "--json"]).await;
        !listed.json_lines().is_empty()
    })
    .await;
    is_broken.store(false, Ordering::SeqCst);
    let ran = run(&server, &["dlq", "replay", "--all", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let again = tokio::time::timeout(BOUND, given.recv()).await.unwrap().unwrap();
    assert!(again == largest);
    let copies = js.get_stream("TW_ATTIC").await.unwrap();
    let copy = copies.get_last_raw_message_by_subject("retry.>").await.unwrap();
    assert!(copy.payload.is_empty() && copy.headers.get(wire::TW_OBJECT).is_some());
}

#[tokio::test]
async fn no_more_letters_go_in_a_second_than_the_rate() {
    let world = World::start().await;
    for sequence in 1..=5 {
        world.letter(&failed(sequence, "metrics.cpu")).await;
    }
    Hearing::start(&world).await.always(Act::Handled);
    let began = Instant::now();
    let ran = run(
        &world.server,
        &["dlq", "replay", "--all", "--yes", "--rate", "2", "--json"],
    )
    .await;
    let took = began.elapsed();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json_lines().len(), 5);
    assert!(
        took >= Duration::from_secs(2),
        "5 letters, 2 in a second: {took:?}"
    );
    // By the server's clock, with what the first may have been late by.
    let stream = world.nats.jetstream().get_stream("TW_PAYMENTS").await.unwrap();
    let first = stream.get_raw_message(1).await.unwrap().time;
    let last = stream.get_raw_message(5).await.unwrap().time;
    let span = last - first;
    assert!(span.whole_milliseconds() >= 1_000, "{span}");
    assert_snapshot!(
        "dlq_replay_no_rate",
        run(&world.server, &["dlq", "replay", "--all", "--rate", "0"])
            .await
            .shown(&[])
    );
}

/// The two ends of a terminal of 80 columns: what draws it, and what a program writes to.
fn terminal() -> (File, File) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let path = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let line = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&line, size).unwrap();
    (screen.into(), line)
}

#[tokio::test]
async fn a_terminal_shows_how_far_it_is_and_nothing_of_it_remains() {
    let world = World::start().await;
    for sequence in 1..=3 {
        world.letter(&failed(sequence, "metrics.cpu")).await;
    }
    Hearing::start(&world).await.always(Act::Handled);
    let (mut screen, line) = terminal();
    let mut replay = on(&world.server, &["dlq", "replay", "--all", "--yes", "--rate", "2"]);
    replay.env("TERM", "xterm").stderr(line);
    let drawn = tokio::task::spawn_blocking(move || {
        let (mut drawn, mut part) = (Vec::new(), [0; 1024]);
        // Once the last one that writes to it is gone, reading is an error on Linux and the end elsewhere.
        while let Ok(length @ 1..) = screen.read(&mut part) {
            drawn.extend_from_slice(&part[..length]);
        }
        String::from_utf8(drawn).unwrap()
    });
    let replaying = replay.spawn().unwrap().wait_with_output();
    // Its end of the terminal.
    drop(replay);
    let ran = tokio::time::timeout(BOUND, replaying).await.unwrap().unwrap();
    assert!(
        ran.status.success() && ran.stdout.ends_with(b"3 of 3 are done\n"),
        "{ran:?}"
    );
    let drawn = tokio::time::timeout(BOUND, drawn).await.unwrap().unwrap();
    for state in ["1/3 ", "2/3 "] {
        assert!(drawn.contains(state) && drawn.contains(" left"), "{drawn:?}");
    }
    let remains = drawn.rsplit(['\r', '\n']).next();
    assert_eq!(remains, Some("\u{1b}[2K"), "{drawn:?}");
}
