//! Circuit breakers of one process.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use metrics::Gauge;
use tidewire_core::{Admission, Circuit, CircuitState};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::health::Health;

/// Stops handling while what the handlers need is unavailable.
///
/// It opens when a handler says [`or_unavailable`](tidewire_core::OrFail::or_unavailable), or a rule says
/// [`Then::Pause`](tidewire_core::Then::Pause). Then nothing more is pulled; what is in hand is kept there, marked as in
/// progress, and spends no attempt. After a second one message probes; while probes fail the wait doubles, up to thirty
/// seconds. Each durable has a breaker of its own, unless it is given one that others share because they need the same
/// thing:
///
/// ```
/// # use std::time::Duration;
/// use tidewire::Breaker;
///
/// let gateway = Breaker::new("gateway").longest_wait(Duration::from_secs(10));
/// // .on(durable("charge", charge).circuit_breaker(&gateway))
/// // .on(durable("refund", refund).circuit_breaker(&gateway))
/// # drop(gateway);
/// ```
///
/// Each instance of a service finds out for itself. `tidewire breaker` opens and closes it by hand, in all of them.
#[derive(Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    settings: Mutex<Settings>,
    circuit: Mutex<Circuit>,
    began: Instant,
    /// Rings whenever it may have closed.
    changed: Notify,
    /// Where it stands, for those who show it.
    shown: watch::Sender<CircuitState>,
}

#[derive(Clone, Copy)]
struct Settings {
    threshold: u32,
    first: Duration,
    longest: Duration,
}

impl Breaker {
    /// A breaker by the name of what is behind it, such as `gateway`: it opens at the first message that finds it
    /// unavailable.
    pub fn new(name: impl Into<String>) -> Self {
        let settings = Settings {
            threshold: 1,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        };
        Self {
            shared: Arc::new(Shared {
                name: name.into(),
                settings: Mutex::new(settings),
                circuit: Mutex::new(settings.circuit()),
                began: Instant::now(),
                changed: Notify::new(),
                shown: watch::Sender::new(CircuitState::Closed),
            }),
        }
    }

    /// How many messages one after the other must find it unavailable before it opens; 1 by default.
    #[must_use]
    pub fn threshold(self, messages: u32) -> Self {
        self.with(|settings| settings.threshold = messages)
    }

    /// How long nothing is tried after it opened; one second by default.
    #[must_use]
    pub fn first_wait(self, wait: Duration) -> Self {
        self.with(|settings| settings.first = wait)
    }

    /// The longest wait between two probes; thirty seconds by default.
    #[must_use]
    pub fn longest_wait(self, wait: Duration) -> Self {
        self.with(|settings| settings.longest = wait)
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = lock(&self.shared.settings);
        change(&mut settings);
        *lock(&self.shared.circuit) = settings.circuit();
        drop(settings);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Where it stands.
    pub fn state(&self) -> CircuitState {
        self.circuit().state()
    }

    /// Opens it until it is closed or let go by hand.
    pub fn open(&self) {
        self.force(Some(true));
    }

    /// Closes it until it is opened or let go by hand: whatever is unavailable is tried all the same.
    pub fn close(&self) {
        self.force(Some(false));
    }

    /// Lets it decide for itself again, beginning closed.
    pub fn release(&self) {
        self.force(None);
    }

    fn force(&self, open: Option<bool>) {
        self.circuit().force(open);
        self.tell_state();
        tracing::warn!(breaker = self.name(), ?open, "the breaker was set by hand");
        self.shared.changed.notify_waiters();
    }

    /// Lets a message pass if the breaker is closed.
    pub(crate) fn admitted_at_once(&self) -> Option<Admitted> {
        let closed = self.state() == CircuitState::Closed;
        closed.then(|| Admitted {
            breaker: self.clone(),
            probe: false,
            told: false,
        })
    }

    /// Waits until a message may be handled.
    pub(crate) async fn admitted(&self) -> Admitted {
        loop {
            let changed = self.shared.changed.notified();
            let admission = self.circuit().admit(self.now());
            let probe = match admission {
                Admission::Admitted => false,
                Admission::Probe => {
                    self.tell_state();
                    true
                }
                Admission::NotBefore(until) => {
                    tokio::select! {
                        () = changed => {}
                        () = sleep_until(self.shared.began + until) => {}
                    }
                    continue;
                }
                Admission::NotYet => {
                    changed.await;
                    continue;
                }
            };
            return Admitted {
                breaker: self.clone(),
                probe,
                told: false,
            };
        }
    }

    /// Returns once it is closed.
    pub(crate) async fn closed(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.state() == CircuitState::Closed {
                return;
            }
            changed.await;
        }
    }

    /// Shows where it stands until the service is over.
    pub(crate) async fn show(self, gauge: Gauge, health: Health, over: CancellationToken) {
        let mut shown = self.shared.shown.subscribe();
        let name = format!("breaker-{}", self.name());
        loop {
            let state = *shown.borrow_and_update();
            gauge.set(match state {
                CircuitState::Closed => 0,
                CircuitState::HalfOpen => 1,
                CircuitState::Open => 2,
            });
            match state {
                CircuitState::Closed => health.goes_on(&name),
                CircuitState::HalfOpen | CircuitState::Open => {
                    let text = format!(
                        "the breaker `{}` is {state}: what it guards is unavailable, or somebody opened it; nothing is lost, and \
                         what waits is tried again when it closes",
                        self.name()
                    );
                    health.degrades(&name, text);
                }
            }
            tokio::select! {
                () = over.cancelled() => return gauge.set(0),
                changed = shown.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Under the lock of what is shown: of two changes at once the later one is seen last.
    fn tell_state(&self) {
        self.shared.shown.send_if_modified(|shown| {
            let now = self.state();
            std::mem::replace(shown, now) != now
        });
    }

    fn now(&self) -> Duration {
        self.shared.began.elapsed()
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        lock(&self.shared.circuit)
    }

    /// Changes the circuit, says so where it opened or closed, and wakes who waits.
    fn tell(&self, change: impl FnOnce(&mut Circuit, Duration)) {
        let now = self.now();
        let (before, after) = {
            let mut circuit = self.circuit();
            let before = circuit.state();
            change(&mut circuit, now);
            (before, circuit.state())
        };
        let breaker = self.name();
        match (before, after) {
            (CircuitState::Closed, CircuitState::Open) => {
                tracing::warn!(breaker, "what it guards is unavailable; the breaker opens");
            }
            (CircuitState::HalfOpen, CircuitState::Closed) => tracing::info!(breaker, "the breaker closes"),
            _ => {}
        }
        if before != after {
            self.tell_state();
            self.shared.changed.notify_waiters();
        }
    }
}

impl Settings {
    fn circuit(self) -> Circuit {
        Circuit::new(self.threshold, self.first, self.longest)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// One message that may be handled. Dropped without a word, a probe is somebody else's turn.
#[derive(Debug)]
pub(crate) struct Admitted {
    breaker: Breaker,
    probe: bool,
    told: bool,
}

impl Admitted {
    /// Whether what comes of it decides.
    pub(crate) fn is_probe(&self) -> bool {
        self.probe
    }

    /// What it needed was there, whatever else came of it.
    pub(crate) fn available(mut self) {
        self.told = true;
        if self.probe {
            self.breaker.tell(|circuit, _| circuit.available(true));
        } else {
            // It opens and closes nothing.
            self.breaker.circuit().available(false);
        }
    }

    /// What it needed was unavailable.
    pub(crate) fn unavailable(mut self, pause: Option<Duration>) {
        self.told = true;
        self.breaker
            .tell(|circuit, now| circuit.unavailable(now, self.probe, pause));
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.probe && !self.told {
            self.breaker.tell(Circuit::probe_lost);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
