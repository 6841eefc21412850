//! What is done about the dead letters: they are looked at, their causes mended, and all of them replayed.

use std::time::Duration;

use tidewire::Connection;
use tidewire_ops::{DeadLetters, Group, Listed, Replay, Selection, groups};
use tidewire_shop::payments::{Faults, Gateway};

use super::{error::DemoError, screen::Screen};
use crate::{actor::actor, escape, shorten::shorten};

/// How long the handler may take for one letter: what `tidewire dlq replay` gives it too.
const WITHIN: Duration = Duration::from_secs(60);
/// How often letters are replayed.
const ROUNDS: usize = 5;
/// How much of an error a line shows.
const ERROR: usize = 58;

/// Mends the gateway and its client, and gives every letter back to its handler: what `tidewire dlq replay --all` does.
pub(super) async fn repair(nats: &Connection, gateway: &Gateway, screen: &Screen) -> Result<(), DemoError> {
    let dead = DeadLetters::open(nats, actor()).await?;
    let mut letters = dead.list(&Selection::default()).await?.letters;
    gateway.set(Faults::default()).await?;
    if letters.is_empty() {
        return Ok(());
    }
    screen.say(format_args!(
        "\n{} payments are dead letters, and their orders wait. `tidewire dlq ls` says:",
        letters.len()
    ));
    for group in groups(&letters) {
        screen.say(format_args!("  {}", line(&group)));
    }
    screen.say("Both bugs are mended. Now what `tidewire dlq replay --all` does:\n");
    // The gateway is still one that fails now and then: what has no luck five times is replayed again.
    for _ in 0..ROUNDS {
        replay(&dead, letters, screen).await?;
        letters = dead.list(&Selection::default()).await?.letters;
        if letters.is_empty() {
            break;
        }
    }
    Ok(())
}

async fn replay(dead: &DeadLetters, letters: Vec<Listed>, screen: &Screen) -> Result<(), DemoError> {
    let how = Replay {
        to_subject: false,
        rate: None,
        within: WITHIN,
    };
    let (mut good, all) = (0, letters.len());
    let replaying = dead.replay(letters, how, |replayed| {
        if replayed.end.is_good() {
            good += 1;
        } else {
            let end = escape::line(&replayed.end.to_string());
            screen.say(format_args!("{}  {end}", replayed.letter));
        }
    });
    replaying.await?;
    screen.say(format_args!("{good} of {all} letters are handled now."));
    Ok(())
}

/// A group on a line. The error is what a service made of a message, so nothing of it reaches a terminal as it came.
fn line(group: &Group) -> String {
    let error = shorten(&escape::line(&group.error), ERROR);
    let open = group.open + group.replaying;
    format!("{open:>4}  {:<9}  {error}", group.class)
}
