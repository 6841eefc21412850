//! Which letters are meant.

use tidewire::{
    SubjectFilter, Timestamp,
    dead_letter::{LetterId, LetterState},
    wire,
};

use super::{LetterError, Listed};

/// Which letters are meant; what is left out means all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The service that could not handle them.
    pub service: Option<String>,
    /// The durable that could not: its name, or that of its consumer, `<service>__<durable>`.
    pub durable: Option<String>,
    /// The class of their last error.
    pub class: Option<String>,
    /// Their message: its name, its subject, or a filter of subjects.
    pub message: Option<String>,
    /// Their key, not escaped.
    pub key: Option<String>,
    /// Their last attempt failed then or later.
    pub since: Option<Timestamp>,
    /// Their last attempt failed before that.
    pub until: Option<Timestamp>,
    /// Their group.
    pub group: Option<String>,
    /// This one alone.
    pub letter: Option<LetterId>,
    /// Also those that were handled or discarded.
    pub closed: bool,
}

/// A group's name has this many digits.
const GROUP_DIGITS: usize = 8;

impl Selection {
    /// What somebody means by the id of a letter, in whatever state it is, or by that of a group.
    ///
    /// # Errors
    /// [`LetterError::Unknown`] where the text is neither.
    pub fn named(what: &str) -> Result<Self, LetterError> {
        let is_group = what.len() == GROUP_DIGITS && what.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_group {
            return Ok(Self {
                group: Some(what.to_ascii_lowercase()),
                ..Self::default()
            });
        }
        let letter = what
            .parse()
            .map_err(|_| LetterError::Unknown { what: what.into() })?;
        Ok(Self {
            letter: Some(letter),
            closed: true,
            ..Self::default()
        })
    }

    /// The subjects on which these letters can be.
    pub(super) fn subjects(&self) -> String {
        let (service, durable) = self.handler();
        let token = |text: Option<&str>| match text {
            // Anything else is no token, and matches nothing below.
            Some(text) if is_token(text) => text.to_owned(),
            _ => "*".to_owned(),
        };
        let letter = self.letter.as_ref().map(LetterId::as_str);
        match (service, durable, letter) {
            (None, None, None) => "dlq.>".into(),
            _ => wire::letter_subject(&token(service), &token(durable), &token(letter)),
        }
    }

    pub(super) fn has(&self, letter: &Listed) -> bool {
        let (service, durable) = self.handler();
        let is = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted == found);
        let is_open = matches!(letter.state, LetterState::Open | LetterState::Replaying);
        (self.closed || is_open)
            && is(service, &letter.service)
            && is(durable, &letter.durable)
            && is(self.class.as_deref(), &letter.class)
            && is(self.group.as_deref(), &letter.group)
            && self
                .key
                .as_ref()
                .is_none_or(|key| Some(key) == letter.key.as_ref())
            && self.letter.as_ref().is_none_or(|id| *id == letter.letter)
            && self.since.is_none_or(|since| letter.last_failed >= since)
            && self.until.is_none_or(|until| letter.last_failed < until)
            && self.message.as_ref().is_none_or(|message| is_of(letter, message))
    }

    /// Service and durable, of which a consumer's name tells both.
    fn handler(&self) -> (Option<&str>, Option<&str>) {
        let named = self
            .durable
            .as_deref()
            .and_then(|durable| durable.split_once("__"));
        match named {
            // One that says two services selects nothing, for no letter is of both.
            Some((service, durable)) if self.service.as_ref().is_none_or(|other| other == service) => {
                (Some(service), Some(durable))
            }
            _ => (self.service.as_deref(), self.durable.as_deref()),
        }
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || ".*>".contains(c))
}

fn is_of(letter: &Listed, message: &str) -> bool {
    letter.name.as_deref() == Some(message)
        || SubjectFilter::parse(message).is_ok_and(|filter| filter.matches(&letter.subject))
}
