//! From subscriptions to a crew.

use async_nats::Message;
use tokio_util::sync::CancellationToken;

use crate::{crew::Crew, hearing::Hearing};

/// Hands over what comes until `stop`, and then what has arrived; returns when all of it is done.
///
/// While more than `most` messages wait or run nothing is read: they wait in the subscriptions, whose capacity (65,536)
/// is the client's.
pub(crate) async fn feed(crew: Crew<Message>, most: usize, mut messages: Hearing, stop: CancellationToken) {
    let mut stopping = false;
    loop {
        let full = crew.len() > most;
        tokio::select! {
            biased;
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                messages.drain().await;
            }
            () = crew.at_most(most), if full => {}
            message = messages.next(), if !full => {
                let Some(message) = message else { break };
                crew.push(message);
                // Whatever has come already, as far as there is room.
                for _ in crew.len()..=most {
                    let Some(message) = messages.come() else { break };
                    crew.push(message);
                }
            }
        }
    }
    crew.at_most(0).await;
}
