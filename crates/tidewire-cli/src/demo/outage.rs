//! The gateway's bad hour: down for a while in the middle of the demo.

use std::{cell::Cell, time::Duration};

use tidewire_shop::{
    BucketError,
    payments::{Faults, Gateway},
};
use tokio::time::{sleep, timeout};

use super::{breakers::Breakers, screen::Screen};

/// How long every breaker is open at least, so that a line tells of it: there is one a second.
const SHOWN: Duration = Duration::from_secs(1);
/// How much longer than it is announced it lasts at most until that is so: a process that has nothing to charge finds out
/// nothing.
const LATE: Duration = Duration::from_secs(15);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// When the gateway is down, from the first order on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) after: Duration,
    pub(super) lasts: Duration,
}

/// The gateway, and whether this file has brought it down.
#[derive(Debug)]
pub(super) struct Play<'a> {
    gateway: &'a Gateway,
    screen: &'a Screen,
    breakers: Breakers,
    down: Cell<bool>,
}

impl Outage {
    /// A fourth of the time, after the first third.
    pub(super) fn within(length: Duration) -> Self {
        Self {
            after: length * 7 / 20,
            lasts: length / 4,
        }
    }
}

impl<'a> Play<'a> {
    pub(super) fn new(gateway: &'a Gateway, screen: &'a Screen, breakers: Breakers) -> Self {
        Self {
            gateway,
            screen,
            breakers,
            down: Cell::new(false),
        }
    }

    /// Plays it; may be dropped at any time, if `end` follows.
    pub(super) async fn play(&self, outage: Outage) -> Result<(), BucketError> {
        sleep(outage.after).await;
        self.down.set(true);
        let down = Faults {
            down: true,
            ..Faults::bugs()
        };
        self.gateway.set(down).await?;
        self.screen.say(self.screen.red("The payment gateway goes down."));
        let shown = timeout(outage.lasts + LATE, self.shown());
        let ((), _is_late) = tokio::join!(sleep(outage.lasts), shown);
        self.end().await
    }

    /// Returns when each process has found out, also on a machine that is slow, and a line has told of it.
    async fn shown(&self) {
        while !self.breakers.are_all_open() {
            sleep(PAUSE).await;
        }
        sleep(SHOWN).await;
    }

    /// Whether the gateway is down.
    pub(super) fn is_down(&self) -> bool {
        self.down.get()
    }

    /// The gateway is up again, if it is not.
    pub(super) async fn end(&self) -> Result<(), BucketError> {
        if self.down.get() {
            self.gateway.set(Faults::bugs()).await?;
            self.down.set(false);
            self.screen.say(self.screen.green("The payment gateway is back."));
        }
        Ok(())
    }
}
