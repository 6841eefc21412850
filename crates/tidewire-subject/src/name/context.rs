//! The name of a context.

use super::MessageName;
use super::scan::{Layout, Shape};
use crate::text::Text;

const QUEUE_SUFFIX: &str = "__QUEUE";

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

    /// The stream of the context's durable commands: `<DOMAIN>[__V<n>]__<CONTEXT>__QUEUE`.
    ///
    /// It has a part more than the stream of any context, so that it is none.
    ///
    /// ```
    /// # use tidewire_subject::ContextName;
    /// assert_eq!(ContextName::parse("orders.payments")?.queue_stream_name(), "ORDERS__PAYMENTS__QUEUE");
    /// # Ok::<(), tidewire_subject::NameError>(())
    /// ```
    pub fn queue_stream_name(&self) -> String {
        self.stream_name() + QUEUE_SUFFIX
    }

    /// Whether a stream is some context's queue, by its name.
    ///
    /// ```
    /// # use tidewire_subject::ContextName;
    /// assert!(ContextName::is_queue_stream("ORDERS__PAYMENTS__QUEUE"));
    /// assert!(!ContextName::is_queue_stream("ORDERS__QUEUE")); // the events of `orders.queue`
    /// ```
    pub fn is_queue_stream(stream: &str) -> bool {
        let context = stream.strip_suffix(QUEUE_SUFFIX);
        context.is_some_and(|context| {
            !context.contains(|byte: char| byte.is_ascii_lowercase())
                && Self::parse(&context.to_ascii_lowercase().replace("__", ".")).is_ok()
        })
    }

    /// Whether the message is of this context: same domain, same major, same context.
    pub fn contains(&self, message: &MessageName) -> bool {
        message.context_text() == self.as_str()
    }
}
