//! The name of a context.

use super::MessageName;
use super::scan::{Layout, Shape};
use crate::text::Text;

/// The bounded context that owns messages, `<domain>[.v<major>].<context>`; its events are one stream.
///
/// ```
/// use tidewire_subject::ContextName;
///
/// let profile = ContextName::parse("users.v2.profile")?;
/// assert_eq!(profile.stream_name(), "USERS__V2__PROFILE");
/// # Ok::<(), tidewire_subject::NameError>(())
/// ```
#[derive(Clone)]
pub struct ContextName {
    pub(super) text: Text,
    pub(super) layout: Layout,
}

super::name_type!(ContextName, Shape::Context);

impl ContextName {
    /// The stream of the context's events: `<DOMAIN>[__V<n>]__<CONTEXT>`.
    ///
    /// Words have no doubled `_`, so two contexts never have one stream.
    pub fn stream_name(&self) -> String {
        self.as_str().to_ascii_uppercase().replace('.', "__")
    }

    /// Whether the message is of this context: same domain, same major, same context.
    pub fn contains(&self, message: &MessageName) -> bool {
        message.context_text() == self.as_str()
    }
}
