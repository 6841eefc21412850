//! Older versions of a message, and how they become the newest.

use std::{fmt, sync::OnceLock};

use json_patch::Patch;
use serde_json::Value;

use crate::{
    DecodeError, Encoded, Message, MessageType, OlderForm, OlderManifest, event_set::same, manifest::schema,
    unique::UniqueValue,
};

/// How older versions of a message become an `M`: what [`Message::older`] gives.
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// use tidewire_core::{Event, Message};
///
/// #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// #[event(
///     subject = "orders.payments.payment.processed",
///     version = 2,
///     patch(1 = [{"op": "move", "from": "/sum", "path": "/euros"}]),
/// )]
/// struct PaymentProcessedV2 {
///     euros: u64,
/// }
///
/// // Where a patch cannot say it, a version has a type and code.
/// #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// #[event(subject = "orders.payments.payment.processed", version = 3, from = PaymentProcessedV2)]
/// struct PaymentProcessed {
///     cents: u64,
/// }
///
/// impl From<PaymentProcessedV2> for PaymentProcessed {
///     fn from(old: PaymentProcessedV2) -> Self {
///         Self { cents: old.euros * 100 }
///     }
/// }
///
/// let read: Vec<_> = PaymentProcessed::older().manifest().iter().map(|older| older.version).collect();
/// assert_eq!(read, [1, 2]);
/// ```
pub struct Older<M>(Way<M>);

enum Way<M> {
    /// None is read.
    None,
    /// The version before has a type of its own, which may read older ones itself.
    Typed {
        read: fn(Encoded<'_>) -> Result<M, DecodeError>,
        manifest: fn() -> Vec<OlderManifest>,
    },
    Patched(&'static Patches),
}

impl<M: Message> Older<M> {
    /// No older version is read.
    pub const fn none() -> Self {
        Self(Way::None)
    }

    /// The version before is an `O`; and what becomes an `O` is read too.
    pub const fn of<O: Message>() -> Self
    where
        M: From<O>,
    {
        Self(Way::Typed {
            read: |encoded| encoded.decode::<O>().map(M::from),
            manifest: || {
                let mut versions = O::older().manifest();
                versions.push(OlderManifest {
                    version: O::TYPE.version,
                    form: OlderForm::Schema(schema::<O>()),
                });
                versions
            },
        })
    }

    /// The data of older versions is patched until it is that of an `M`.
    pub const fn patched(patches: &'static Patches) -> Self {
        Self(Way::Patched(patches))
    }

    /// The message in `encoded`, whose version is older than that of `M`.
    pub(crate) fn read(&self, encoded: Encoded<'_>) -> Result<M, DecodeError> {
        let outdated = |oldest| DecodeError::Outdated {
            name: encoded.name.into(),
            found: encoded.version,
            oldest,
        };
        match &self.0 {
            Way::None => Err(outdated(M::TYPE.version)),
            Way::Typed { read, .. } => read(encoded),
            Way::Patched(patches) => {
                if encoded.version < patches.oldest() {
                    return Err(outdated(patches.oldest()));
                }
                let invalid = |error: serde_json::Error| DecodeError::Invalid {
                    name: encoded.name.into(),
                    source: error.into(),
                };
                let data = encoded.data.get();
                if patches.change_nothing_from(encoded.version) {
                    return serde_json::from_str(data).map_err(invalid);
                }
                let UniqueValue(data) = serde_json::from_str(data).map_err(invalid)?;
                let data = patches.apply(encoded.name, encoded.version, data)?;
                serde_json::from_value(data).map_err(invalid)
            }
        }
    }

    /// The older versions as plain data, oldest first.
    pub fn manifest(&self) -> Vec<OlderManifest> {
        match &self.0 {
            Way::None => Vec::new(),
            Way::Typed { manifest, .. } => manifest(),
            Way::Patched(patches) => patches.manifest(),
        }
    }
}

impl<M> fmt::Debug for Older<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.0 {
            Way::None => "none",
            Way::Typed { .. } => "typed",
            Way::Patched(_) => "patched",
        };
        f.debug_tuple("Older").field(&way).finish()
    }
}

/// JSON patches (RFC 6902), each of which makes the data of one version that of the next.
///
/// Data that is patched has no number of more than 64 bits.
#[derive(Debug)]
pub struct Patches {
    steps: &'static [(u32, &'static str)],
    /// Read at the first message that needs them.
    read: OnceLock<Vec<Result<Patch, String>>>,
}

impl Patches {
    /// Versions and their patches as JSON text, oldest first and without a gap; the last one makes the newest version.
    pub const fn new(steps: &'static [(u32, &'static str)]) -> Self {
        let read = OnceLock::new();
        Self { steps, read }
    }

    /// The oldest version that has a patch.
    fn oldest(&self) -> u32 {
        self.steps.first().map_or(u32::MAX, |(version, _)| *version)
    }

    /// Whether the data of `version` is that of the newest as it is.
    fn change_nothing_from(&self, version: u32) -> bool {
        let mut steps = self.steps.iter().filter(|(from, _)| *from >= version);
        steps.all(|(_, patch)| *patch == "[]")
    }

    /// `data`, of `version`, as that of the newest.
    fn apply(&self, name: &str, version: u32, mut data: Value) -> Result<Value, DecodeError> {
        let read = || {
            let patches = self.steps.iter();
            let patches =
                patches.map(|(_, patch)| serde_json::from_str(patch).map_err(|error| error.to_string()));
            patches.collect()
        };
        let steps = self.steps.iter().zip(self.read.get_or_init(read));
        for ((from, _), patch) in steps.skip_while(|((from, _), _)| *from < version) {
            let patched = match patch {
                Ok(patch) => json_patch::patch(&mut data, patch).map_err(|error| error.to_string()),
                Err(reason) => Err(format!("it is no JSON patch: {reason}")),
            };
            patched.map_err(|reason| DecodeError::Unpatched {
                name: name.into(),
                version: *from,
                reason,
            })?;
        }
        Ok(data)
    }

    fn manifest(&self) -> Vec<OlderManifest> {
        let older = |(version, patch): &(u32, &'static str)| OlderManifest {
            version: *version,
            form: OlderForm::Patch(
                serde_json::from_str(patch).unwrap_or_else(|_| Value::String((*patch).to_owned())),
            ),
        };
        self.steps.iter().map(older).collect()
    }
}

/// Whether both are on one subject, and of one kind.
pub const fn is_same_message(old: &MessageType, new: &MessageType) -> bool {
    old.kind as u8 == new.kind as u8 && same(old.name.as_bytes(), new.name.as_bytes())
}

#[cfg(test)]
mod tests;
