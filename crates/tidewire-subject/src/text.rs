//! Text that is cheap to clone, and parts of it that share its allocation.

use std::fmt::Write as _;
use std::sync::Arc;

/// Offsets are `u16`: no text of the grammar is longer than `MAX_SUBJECT`.
#[derive(Clone)]
pub(crate) struct Text {
    source: Source,
    end: u16,
    start: u16,
}

#[derive(Clone)]
enum Source {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Text {
    /// The caller has checked the text: it is within the limits of the grammar.
    pub(crate) const fn from_static(text: &'static str) -> Self {
        Self {
            source: Source::Static(text),
            start: 0,
            end: offset(text.len()),
        }
    }

    /// The caller has checked the text: it is within the limits of the grammar.
    pub(crate) fn shared(text: &str) -> Self {
        Self {
            source: Source::Shared(Arc::from(text)),
            start: 0,
            end: offset(text.len()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.source()[usize::from(self.start)..usize::from(self.end)]
    }

    /// A part of this text, counted from its own start, in the same allocation.
    pub(crate) fn part(&self, start: usize, end: usize) -> Self {
        debug_assert!(
            start <= end && end <= self.as_str().len(),
            "a part lies within its text"
        );
        Self {
            source: self.source.clone(),
            start: self.start + offset(start),
            end: self.start + offset(end),
        }
    }

    /// From the start of this text to the end of a later part of the same allocation.
    pub(crate) fn up_to_end_of(&self, later: &Self) -> &str {
        &self.source()[usize::from(self.start)..usize::from(later.end)]
    }

    fn source(&self) -> &str {
        match &self.source {
            Source::Static(text) => text,
            Source::Shared(text) => text,
        }
    }
}

/// An offset into a text whose length was checked against the limits of the grammar.
#[expect(
    clippy::cast_possible_truncation,
    reason = "no text of the grammar is longer than MAX_SUBJECT"
)]
pub(crate) const fn offset(at: usize) -> u16 {
    debug_assert!(at <= u16::MAX as usize, "the length was checked before");
    at as u16
}

/// What an error quotes of a text that may be of any length and hold anything: at most 80 characters.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut out: String = text.chars().take(SHOWN).collect();
    if out.len() < text.len() {
        // Writing to a `String` cannot fail.
        let _ = write!(out, "… ({} bytes)", text.len());
    }
    out
}
