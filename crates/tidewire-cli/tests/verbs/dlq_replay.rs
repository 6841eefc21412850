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
use tidewire::{Running, dead_letter::Act, prelude::*};
use tidewire_server::Server;
use tokio::sync::mpsc;

use crate::{
    letters::{Service as Hearing, World, failed},
    run::{on, run},
    services::{PaymentProcessed, connect, payments},
};

/// How long a handler may take to hear something.
const BOUND: Duration = Duration::from_secs(20);

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
