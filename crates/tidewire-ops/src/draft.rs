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
        if let (Wanted::Event, Some((service, entity))) = (
            wanted,
            manifests.and_then(|manifests| manifests.family(&self.name)),
        ) {
            return Err(OpsError::OfAFamily {
                name: self.name.clone(),
                entity: entity.to_owned(),
                service: service.to_owned(),
            });
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidewire::Manifest;

    use super::*;

    fn manifests() -> Manifests {
        let message = |kind: &str, keyed: bool, version: u32| json!({"kind": kind, "version": version, "keyed": keyed, "schema": {"required": ["id"]}});
        let manifest = |service: &str, messages| -> Manifest {
            let manifest = json!({"service": service, "version": "1.0.0", "contract": "1", "contexts": [],
                "handlers": [], "publishes": [], "asks": [], "messages": messages});
            serde_json::from_value(manifest).unwrap()
        };
        let old = json!({"a.b.c.done": message("event", true, 1)});
        let new = json!({"a.b.c.done": message("event", true, 2), "a.b.do": message("command", false, 1)});
        Manifests::of([manifest("old", old), manifest("new", new)])
    }

    fn draft(name: &str, key: Option<&str>, data: &str) -> Draft {
        Draft {
            name: name.into(),
            key: key.map(Into::into),
            data: RawValue::from_string(data.into()).unwrap(),
            headers: Vec::new(),
            format: Format::default(),
            source: "test".into(),
        }
    }

    fn refused(wanted: Wanted, name: &str, key: Option<&str>) -> OpsError {
        let ready = draft(name, key, r#"{"id":1}"#).ready(wanted, Some(&manifests()));
        ready.map(|_| ()).unwrap_err()
    }

    #[test]
    fn the_newest_declaration_counts_and_numbers_stay_as_they_came() {
        let draft = draft("a.b.c.done", Some("x.y"), r#"{"id": 18446744073709551616}"#);
        let ready = draft.ready(Wanted::Event, Some(&manifests())).unwrap();
        assert_eq!(ready.checked, ["new"]);
        let Outgoing { subject, body, .. } = ready.outgoing;
        assert_eq!(subject.as_str(), "a.b.c.done.x=2Ey");
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains(r#""data":{"id": 18446744073709551616}"#), "{body}");
        assert!(
            body.contains(r#""version":2"#) && body.contains(r#""key":"x.y""#),
            "{body}"
        );
    }

    #[test]
    fn kind_and_key_must_be_what_is_declared() {
        let asked = Wanted::Request(None);
        assert!(matches!(
            refused(Wanted::Event, "a.b.do", None),
            OpsError::WrongKind { .. }
        ));
        assert!(matches!(
            refused(asked, "a.b.c.done", None),
            OpsError::WrongKind { .. }
        ));
        let query = Wanted::Request(Some(Kind::Query));
        assert!(matches!(
            refused(query, "a.b.do", None),
            OpsError::WrongKind { .. }
        ));
        assert!(matches!(
            refused(Wanted::Event, "a.b.c.done", None),
            OpsError::KeyMissing { .. }
        ));
        assert!(matches!(
            refused(asked, "a.b.do", Some("k")),
            OpsError::KeyGiven { .. }
        ));
        assert!(matches!(refused(Wanted::Event, "a.B.c", None), OpsError::Name(_)));
    }

    #[test]
    fn an_event_of_a_family_is_published_by_nobody_here() {
        let message =
            json!({"kind": "event", "version": 1, "keyed": true, "schema": true, "entity": "a.b.c"});
        let manifest = json!({"service": "payments", "version": "1.0.0", "contract": "1", "contexts": [],
            "handlers": [], "publishes": [], "asks": [], "messages": {"a.b.c.done": message}});
        let manifests = Manifests::of([serde_json::from_value(manifest).unwrap()]);
        let refused = draft("a.b.c.done", Some("k"), "{}").ready(Wanted::Event, Some(&manifests));
        assert!(
            matches!(&refused.map(|_| ()), Err(OpsError::OfAFamily { entity, service, .. })
                if entity == "a.b.c" && service == "payments")
        );
    }

    #[test]
    fn what_nobody_declares_is_not_checked() {
        let ready = draft("a.b.unknown", None, "[]").ready(Wanted::Request(None), Some(&manifests()));
        assert_eq!(ready.unwrap().checked, [""; 0]);
        assert!(
            draft("a.b.c.done", Some("k"), "{}")
                .ready(Wanted::Event, None)
                .is_ok()
        );
    }
}
