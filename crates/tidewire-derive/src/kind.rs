//! What the three kinds of message have in common, and in what they differ.

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    Command,
    Query,
}

impl Kind {
    /// The name of its attribute.
    pub(crate) const fn attribute(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Command => "command",
            Self::Query => "query",
        }
    }

    /// With its article.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Event => "an event",
            Self::Command => "a command",
            Self::Query => "a query",
        }
    }

    /// What its attribute takes.
    pub(crate) const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Event => &["subject", "key", "version", "from", "patch", "codec", "family"],
            Self::Command | Self::Query => &["subject", "key", "version", "from", "patch", "codec", "reply"],
        }
    }
}
