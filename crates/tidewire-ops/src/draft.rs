//! A message that a person writes.

use serde_json::value::RawValue;
use tidewire::{
    Extras, Format, Key, Kind, MessageId, MessageManifest, MessageName, Outgoing, Stamp, Subject,
    TraceContext,
};
use uuid::Uuid;

use crate::{api, error::OpsError, manifests::Manifests, schema};

/// A message as a person gives it: a name, perhaps a key, and data as JSON text.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The subject without the key.
    pub name: String,
    /// The key's text, not escaped.
    pub key: Option<String>,
    /// JSON text; it is sent as it is.
    pub data: Box<RawValue>,
    /// Headers beside those that the framework writes.
    pub headers: Vec<(String, String)>,
    /// How it is written.
    pub format: Format,
    /// Who sends it, for its metadata.
    pub source: String,
}

/// A draft that is ready to leave.
pub(crate) struct Ready {
    pub(crate) outgoing: Outgoing,
    /// The services whose schemas its data fits.
    pub(crate) checked: Vec<String>,
}

/// The kinds that a draft may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Event,
    /// A command or query; of the given kind where there is one.
    Request(Option<Kind>),
}

impl Wanted {
    fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Event => kind == Kind::Event,
            Self::Request(Some(asked)) => kind == asked,
            Self::Request(None) => matches!(kind, Kind::Command | Kind::Query),
        }
    }
}

impl Draft {
    /// Checks the draft against the `manifests`, where there are some that know it, and writes it.
    pub(crate) fn ready(self, wanted: Wanted, manifests: Option<&Manifests>) -> Result<Ready, OpsError> {
        let name = MessageName::parse(&self.name)?;
        let declared = manifests.map(|manifests| manifests.message(&self.name));
        let declared = declared.unwrap_or_default();
        if let Some((service, message)) = declared.first() {
            self.agrees(wanted, service, message)?;
        }
        schema::check(&self.name, &self.data, &declared)?;
        let kind = match (declared.first(), wanted) {
            (Some((_, message)), _) => message.kind,
            (None, Wanted::Event) => Kind::Event,
            (None, Wanted::Request(asked)) => asked.unwrap_or(Kind::Command),
        };
        let version = declared.first().map_or(1, |(_, message)| message.version);
        let key = self.key.as_deref().map(Key::new).transpose()?;
        let subject = Subject::new(&name, key)?;
        let stamp = Stamp {
            id: MessageId::new(kind, Uuid::now_v7()),
            timestamp: api::now(),
            source: self.source,
            correlation_id: None,
            causation_id: None,
            trace: TraceContext::default(),
            format: self.format,
        };
        let extras = self
            .headers
            .into_iter()
            .fold(Extras::new(), |extras, (name, value)| extras.header(name, value));
        Ok(Ready {
            outgoing: Outgoing::untyped(kind, subject, version, &self.data, stamp, extras)?,
            checked: declared
                .iter()
                .map(|(service, _)| (*service).to_owned())
                .collect(),
        })
    }

    fn agrees(&self, wanted: Wanted, service: &str, message: &MessageManifest) -> Result<(), OpsError> {
        let (name, service) = (self.name.clone(), service.to_owned());
        if !wanted.takes(message.kind) {
            let found = message.kind;
            return Err(OpsError::WrongKind { name, found, service });
        }
        match &self.key {
            None if message.keyed => Err(OpsError::KeyMissing { name, service }),
            Some(key) if !message.keyed => {
                let key = key.clone();
                Err(OpsError::KeyGiven { name, key, service })
            }
            _ => Ok(()),
        }
    }
}
