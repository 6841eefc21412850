//! What an operator asks of an instance: to pause a durable, to resume it, to set a breaker, to read data.

use std::{panic::catch_unwind, time::Duration};

use async_nats::{Message, datetime::parse_rfc3339};
use serde::de::DeserializeOwned;
use serde_json::value::to_raw_value;
use tidewire_core::{
    BoxError, Timestamp,
    operation::{
        AskBreakers, BreakerSetting, BreakerView, DecodeData, Done, Operated, PauseDurable, ResumeDurable,
    },
    wire,
};

use crate::{
    breaker::Breaker,
    checkup::{pause_text, paused},
    clock,
    hearing::{Heard, Hearing},
    route::ToJson,
    start_error::StartError,
    wiring::Wiring,
};

/// A durable without an end to its pause: longer than anybody waits.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What an instance does for an operator.
#[derive(Debug)]
pub(crate) struct Operations {
    pub(crate) wiring: Wiring,
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) durables: Vec<Operable>,
}

/// A durable, as an operator sees it.
#[derive(Debug)]
pub(crate) struct Operable {
    pub(crate) name: String,
    /// Its consumers, each with its stream.
    pub(crate) consumers: Vec<(String, String)>,
    pub(crate) breaker: Breaker,
    pub(crate) json: ToJson,
}

impl Operations {
    /// Hears what is asked of the service; every instance hears all of it.
    pub(crate) async fn hear(&self) -> Result<Hearing, StartError> {
        let heard = Heard {
            subject: wire::operation_subject(&self.service, "*"),
            queue_group: None,
        };
        Hearing::begin(&self.wiring, vec![heard])
            .await
            .map_err(StartError::connection)
    }

    /// Answers until the service stops.
    pub(crate) async fn answer(self, mut requests: Hearing) {
        loop {
            let request = tokio::select! {
                () = self.wiring.stop.cancelled() => return,
                request = requests.next() => request,
            };
            let Some(request) = request else { return };
            let Some(inbox) = request.reply.clone() else {
                continue;
            };
            let done = self
                .operate(&request)
                .await
                .unwrap_or_else(|error| Done::Refused(error.to_string()));
            let operated = Operated {
                instance: self.instance.clone(),
                done,
            };
            let Ok(mut answer) = serde_json::to_vec(&operated) else {
                continue;
            };
            let most = self.wiring.sender.connection().max_payload();
            if answer.len() > most {
                let done = Done::Refused(format!(
                    "the answer has more than the {most} bytes that the server takes"
                ));
                answer = serde_json::to_vec(&Operated { done, ..operated }).unwrap_or_default();
            }
            if let Err(error) = self.wiring.sender.client().publish(inbox, answer.into()).await {
                tracing::warn!(%error, "an operator could not be answered");
            }
        }
    }

    async fn operate(&self, request: &Message) -> Result<Done, BoxError> {
        match request.subject.rsplit('.').next().unwrap_or_default() {
            "pause" => {
                let PauseDurable { durable, seconds } = read(request)?;
                // Whatever the request says: a time that no clock reaches is for ever.
                let until = seconds.unwrap_or(FOR_EVER).min(FOR_EVER);
                let until = Timestamp::from_unix(clock::since_epoch() + until);
                Ok(Done::Paused(self.pause(&durable, Some(until)).await?))
            }
            "resume" => {
                let ResumeDurable { durable } = read(request)?;
                Ok(Done::Resumed(self.pause(&durable, None).await?))
            }
            "breaker" => {
                let AskBreakers { set } = if request.payload.is_empty() {
                    AskBreakers::default()
                } else {
                    read(request)?
                };
                if let Some(set) = set {
                    self.set(&set.name, set.to)?;
                }
                Ok(Done::Breakers(self.breakers()))
            }
            "decode" => {
                let asked = read(request)?;
                Ok(Done::Decoded(self.decode(&asked)?))
            }
            verb => Err(format!("`{verb}` is nothing that this version does; upgrade the service").into()),
        }
    }

    /// Pauses the durable's consumers on the server, for all instances; resumes them where there is no time.
    async fn pause(&self, durable: &str, until: Option<Timestamp>) -> Result<Vec<String>, BoxError> {
        let found = self.durable(durable)?;
        let nats = self.wiring.sender.connection();
        let js = nats.jetstream();
        let mut done = Vec::new();
        for (stream, consumer) in &found.consumers {
            let at = js.get_stream_no_info(stream).await?;
            let asked = [format!("$JS.API.CONSUMER.PAUSE.{stream}.{consumer}")];
            let _paused = match until {
                Some(until) => {
                    let pausing = at.pause_consumer(consumer, parse_rfc3339(&until.to_string())?);
                    nats.unless_refused(&asked, pausing).await??
                }
                None => {
                    nats.unless_refused(&asked, at.resume_consumer(consumer))
                        .await??
                }
            };
            done.push(format!("{stream} {consumer}"));
        }
        let (health, name) = (&self.wiring.health, paused(durable));
        match until {
            Some(_) => health.degrades(&name, pause_text(durable)),
            None => health.goes_on(&name),
        }
        tracing::warn!(
            durable,
            until = until.map(|until| until.to_string()),
            "paused or resumed by an operator"
        );
        Ok(done)
    }

    fn durable(&self, name: &str) -> Result<&Operable, BoxError> {
        let found = self.durables.iter().find(|found| found.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.durables.iter().map(|found| found.name.as_str()).collect();
            format!("the service has no durable `{name}`; it has {}", names.join(", ")).into()
        })
    }

    /// What data says, by the type that the durable takes it as.
    fn decode(&self, asked: &DecodeData) -> Result<String, BoxError> {
        let json = self.durable(&asked.durable)?.json;
        let data = to_raw_value(&asked.data)?;
        // A panic of the type's own code would end what answers operators.
        let decoded = catch_unwind(|| json(asked.encoded(&data))).map_err(|_| {
            BoxError::from("the type panicked as it was written as JSON; mend its `Serialize`")
        })?;
        Ok(decoded?.get().to_owned())
    }

    fn set(&self, name: &str, to: BreakerSetting) -> Result<(), BoxError> {
        let Some(found) = self.durables.iter().find(|found| found.breaker.name() == name) else {
            let names: Vec<_> = self.breakers().into_iter().map(|breaker| breaker.name).collect();
            return Err(format!("the service has no breaker `{name}`; it has {}", names.join(", ")).into());
        };
        match to {
            BreakerSetting::Open => found.breaker.open(),
            BreakerSetting::Closed => found.breaker.close(),
            BreakerSetting::Auto => found.breaker.release(),
        }
        Ok(())
    }

    fn breakers(&self) -> Vec<BreakerView> {
        let mut views: Vec<BreakerView> = Vec::new();
        for durable in &self.durables {
            let name = durable.breaker.name();
            match views.iter_mut().find(|view| view.name == name) {
                Some(view) => view.durables.push(durable.name.clone()),
                None => views.push(BreakerView {
                    name: name.to_owned(),
                    durables: vec![durable.name.clone()],
                    state: durable.breaker.state(),
                }),
            }
        }
        views
    }
}

fn read<T: DeserializeOwned>(request: &Message) -> Result<T, BoxError> {
    serde_json::from_slice(&request.payload)
        .map_err(|error| format!("the request cannot be read: {error}").into())
}
