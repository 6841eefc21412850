//! What an operator asks of running instances, on `tidewire.ops.<service>.<verb>`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{CircuitState, Encoded, Kind, codec, seconds};

/// Asks that a durable be given no messages, by `pause`; those in hand are finished.
///
/// Every instance hears it and the server remembers it: instances that start later are given nothing either.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PauseDurable {
    /// The durable.
    pub durable: String,
    /// For how long; until it is resumed where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds::optional")]
    pub seconds: Option<Duration>,
}

/// Asks that a durable be given messages again, by `resume`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResumeDurable {
    /// The durable.
    pub durable: String,
}

/// Asks for the breakers, and sets one if it says so, by `breaker`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AskBreakers {
    /// Which one to set, and to what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetBreaker>,
}

/// How a breaker is to stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetBreaker {
    /// The breaker.
    pub name: String,
    /// How it is to stand.
    pub to: BreakerSetting,
}

/// How somebody sets a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BreakerSetting {
    /// Nothing is tried until somebody says otherwise.
    Open,
    /// All is tried, whatever is unavailable.
    Closed,
    /// It decides for itself again.
    Auto,
}

/// Asks what Protobuf data says, by `decode`: an instance has the types of what its durables take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeData {
    /// The durable that takes the message.
    pub durable: String,
    /// Event or command.
    pub kind: Kind,
    /// The message's name.
    pub name: String,
    /// The revision of the data.
    pub version: u32,
    /// The data, as base64.
    pub data: String,
}

impl DecodeData {
    /// The message, ready to become a type; `data` is the base64 as JSON text.
    pub fn encoded<'a>(&'a self, data: &'a RawValue) -> Encoded<'a> {
        Encoded {
            kind: self.kind,
            name: &self.name,
            key: None,
            version: self.version,
            data,
            binary: Some(codec::PROTOBUF),
        }
    }
}

/// What one instance says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operated {
    /// The instance, by the services protocol.
    pub instance: String,
    /// What was done.
    #[serde(flatten)]
    pub done: Done,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// The consumers that are given nothing now, as `<stream> <consumer>`.
    Paused(Vec<String>),
    /// The consumers that are given messages again.
    Resumed(Vec<String>),
    /// The breakers as they stand.
    Breakers(Vec<BreakerView>),
    /// The data, as JSON text.
    Decoded(String),
    /// It was not done, and why.
    Refused(String),
}

/// One breaker of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerView {
    /// Its name.
    pub name: String,
    /// The durables that it stops.
    pub durables: Vec<String>,
    /// How it stands.
    pub state: CircuitState,
}
