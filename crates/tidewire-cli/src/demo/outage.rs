//! The gateway's bad hour: down for a while in the middle of the demo.

use std::{cell::Cell, time::Duration};

use tidewire_shop::{
    BucketError,
    payments::{Faults, Gateway},
};
use tokio::time::sleep;

use super::screen::Screen;

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
    pub(super) fn new(gateway: &'a Gateway, screen: &'a Screen) -> Self {
        Self {
            gateway,
            screen,
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
        sleep(outage.lasts).await;
        self.end().await
    }

    /// The gateway is up again, if it is not.
    pub(super) async fn end(&self) -> Result<(), BucketError> {
        if self.down.replace(false) {
            self.gateway.set(Faults::bugs()).await?;
            self.screen.say(self.screen.green("The payment gateway is back."));
        }
        Ok(())
    }
}
