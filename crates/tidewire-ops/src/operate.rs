//! Asking running instances to do something: to pause a durable, to resume it, to set a breaker.

use std::{collections::BTreeSet, time::Duration};

use futures_util::StreamExt;
use serde::Serialize;
use tidewire::{
    BoxError, Connection,
    async_nats::StatusCode,
    operation::{
        AskBreakers, BreakerSetting, DecodeData, Done, Operated, PauseDurable, ResumeDurable, SetBreaker,
    },
    wire,
};
use tokio::time::{Instant, timeout_at};

use crate::{
    error::OpsError,
    instances::{FIRST_WITHIN, instances},
};

/// How long the instances of a service are waited for: what they do takes a few requests to the server.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Gives a durable no messages, in all instances, for a time or until it is resumed.
///
/// # Errors
/// [`OpsError::NobodyRuns`] where no instance of the service does; [`OpsError::NotPermitted`] or
/// [`OpsError::Connection`].
pub async fn pause(
    nats: &Connection,
    service: &str,
    durable: &str,
    time: Option<Duration>,
) -> Result<Vec<Operated>, OpsError> {
    let request = PauseDurable {
        durable: durable.to_owned(),
        seconds: time,
    };
    ask(nats, service, "pause", &request, |_| false).await
}

/// Gives a durable messages again.
///
/// # Errors
/// As [`pause`].
pub async fn resume(nats: &Connection, service: &str, durable: &str) -> Result<Vec<Operated>, OpsError> {
    let request = ResumeDurable {
        durable: durable.to_owned(),
    };
    ask(nats, service, "resume", &request, |_| false).await
}

/// The breakers of every instance of a service, one of them set before if `set` names it.
///
/// # Errors
/// As [`pause`].
pub async fn breakers(
    nats: &Connection,
    service: &str,
    set: Option<(&str, BreakerSetting)>,
) -> Result<Vec<Operated>, OpsError> {
    let set = set.map(|(name, to)| SetBreaker {
        name: name.to_owned(),
        to,
    });
    ask(nats, service, "breaker", &AskBreakers { set }, |_| false).await
}

/// What Protobuf data says, as JSON text, by the first instance that can read it; else what each says against it.
pub(crate) async fn decode(
    nats: &Connection,
    service: &str,
    request: &DecodeData,
) -> Result<Vec<Operated>, OpsError> {
    let is_read = |answer: &Operated| matches!(answer.done, Done::Decoded(_));
    let mut operated = ask(nats, service, "decode", request, is_read).await?;
    operated.sort_by_key(|answer| !is_read(answer));
    Ok(operated)
}

/// Asks every instance that runs, and returns when all of them have answered, or one has that is `enough`. Where none is
/// known to run one may all the same, which was late to say so; where none hears this either, the server says that at once.
async fn ask(
    nats: &Connection,
    service: &str,
    verb: &str,
    request: &impl Serialize,
    enough: impl Fn(&Operated) -> bool,
) -> Result<Vec<Operated>, OpsError> {
    let running = instances(nats)
        .await?
        .into_iter()
        .filter(|instance| instance.name == service);
    let mut awaited: BTreeSet<_> = running.map(|instance| instance.id).collect();
    let failed = |error: BoxError| OpsError::Connection(error);
    let subject = wire::operation_subject(service, verb);
    let asking = async {
        let client = nats.client();
        let inbox = client.new_inbox();
        let mut answers = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| failed(error.into()))?;
        let body = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
        let subject = subject.clone();
        let sent = client.publish_with_reply(subject, inbox, body.into()).await;
        sent.map_err(|error| failed(error.into()))?;
        let mut operated: Vec<Operated> = Vec::new();
        let none_is_known = awaited.is_empty();
        let within = if none_is_known {
            FIRST_WITHIN
        } else {
            ANSWERED_WITHIN
        };
        let deadline = Instant::now() + within;
        while !awaited.is_empty() || (none_is_known && operated.is_empty()) {
            let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await else {
                break;
            };
            if answer.status == Some(StatusCode::NO_RESPONDERS) {
                break;
            }
            if let Ok(answer) = serde_json::from_slice::<Operated>(&answer.payload) {
                awaited.remove(&answer.instance);
                operated.push(answer);
                if operated.last().is_some_and(&enough) {
                    break;
                }
            }
        }
        Ok::<_, OpsError>(operated)
    };
    let mut operated: Vec<Operated> = nats.unless_refused(&[&subject], asking).await??;
    if operated.is_empty() {
        return Err(OpsError::NobodyRuns {
            service: service.to_owned(),
        });
    }
    operated.sort_by(|one, other| one.instance.cmp(&other.instance));
    Ok(operated)
}
