//! Data that only its own type can read.

use serde_json::value::RawValue;
use tidewire::operation::{DecodeData, Done};

use super::{DeadLetters, LetterView, Message};
use crate::{error::OpsError, operate};

impl DeadLetters {
    /// The letter with what its Protobuf data says, in the message and in those that it was before: an instance of its
    /// service is asked, for it has the type. Where none can tell, the data stays base64 and the message says why.
    pub async fn decoded(&self, mut view: LetterView) -> LetterView {
        let listed = &view.listed;
        let earlier = view
            .history
            .iter_mut()
            .filter_map(|record| record.message.as_mut());
        for message in [&mut view.message].into_iter().chain(earlier) {
            let Message::Known {
                kind,
                codec: Some(_),
                decoded_by,
                not_decoded,
                data,
                metadata,
                ..
            } = message
            else {
                continue;
            };
            let name = metadata.name.clone().or_else(|| listed.name.clone());
            let request = DecodeData {
                durable: listed.durable.clone(),
                kind: *kind,
                name: name.unwrap_or_default(),
                version: metadata.version.unwrap_or(1),
                data: serde_json::from_str(data.get()).unwrap_or_default(),
            };
            match self.ask(&listed.service, &request).await {
                Ok((instance, json)) => {
                    *data = json;
                    *decoded_by = Some(instance);
                }
                Err(reason) => *not_decoded = Some(reason),
            }
        }
        view
    }

    /// The instance that can read it, and what it reads; or why none does.
    async fn ask(&self, service: &str, request: &DecodeData) -> Result<(String, Box<RawValue>), String> {
        let answers = match operate::decode(&self.nats, service, request).await {
            Ok(answers) => answers,
            Err(OpsError::NobodyRuns { .. }) => {
                return Err(format!(
                    "no instance of {service} runs that could read it; start one, and look at the letter again"
                ));
            }
            Err(error) => return Err(format!("{service} could not be asked: {error}")),
        };
        match answers
            .into_iter()
            .next()
            .map(|answer| (answer.instance, answer.done))
        {
            Some((instance, Done::Decoded(json))) => match RawValue::from_string(json) {
                Ok(json) => Ok((instance, json)),
                Err(error) => Err(format!("what {service} answered is no JSON: {error}")),
            },
            Some((_, Done::Refused(reason))) => Err(format!("{service} could not read it: {reason}")),
            _ => Err(format!("{service} answered something else; upgrade this command")),
        }
    }
}
