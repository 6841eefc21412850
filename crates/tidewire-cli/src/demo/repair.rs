//! What is done about the dead letters: they are looked at, their causes mended, and all of them replayed.

use std::time::Duration;

use tidewire::Connection;
use tidewire_ops::{DeadLetters, Group, Replay, Selection, groups};
use tidewire_shop::payments::{Faults, Gateway};

use super::{error::DemoError, screen::Screen};
use crate::{actor::actor, escape, shorten::shorten};

/// How long the handler may take for one letter: what `tidewire dlq replay` gives it too.
const WITHIN: Duration = Duration::from_secs(60);
/// How much of an error a line shows.
const ERROR: usize = 58;

/// Mends the gateway and its client, and gives every letter back to its handler: what `tidewire dlq replay --all` does.
pub(super) async fn repair(nats: &Connection, gateway: &Gateway, screen: &Screen) -> Result<(), DemoError> {
    let dead = DeadLetters::open(nats, actor()).await?;
    let letters = dead.list(&Selection::default()).await?.letters;
    let count = letters.len();
    if count == 0 {
        gateway.set(Faults::default()).await?;
        return Ok(());
    }
    screen.say(format_args!(
        "\n{count} payments are dead letters, and their orders wait. `tidewire dlq ls` says:"
    ));
    for group in groups(&letters) {
        screen.say(format_args!("  {}", line(&group)));
    }
    gateway.set(Faults::default()).await?;
    screen.say("Both bugs are mended. Now what `tidewire dlq replay --all` does:\n");
    let how = Replay {
        to_subject: false,
        rate: None,
        within: WITHIN,
    };
    let mut good = 0;
    let replaying = dead.replay(letters, how, |replayed| {
        if replayed.end.is_good() {
            good += 1;
        } else {
            let end = escape::line(&replayed.end.to_string());
            screen.say(format_args!("  {}  {end}", replayed.letter));
        }
    });
    replaying.await?;
    screen.say(format_args!("{good} of {count} letters are handled now."));
    Ok(())
}

/// A group on a line. The error is what a service made of a message, so nothing of it reaches a terminal as it came.
fn line(group: &Group) -> String {
    let error = shorten(&escape::line(&group.error), ERROR);
    let open = group.open + group.replaying;
    format!("{open:>4}  {:<9}  {error}", group.class)
}
