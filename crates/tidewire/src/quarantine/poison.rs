//! What the client cannot take.

use std::fmt;

use async_nats::{HeaderName, HeaderValue, StatusCode};

use super::StoredMessage;

/// Why the client cannot take a message.
///
/// This follows the parser of async-nats 0.51 (`connection.rs`, `HMSG`) line by line, and asks its own types: what it
/// takes, however odd, is healthy and no matter of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poison {
    NotText,
    Version,
    Status,
    NoColon,
    Name,
    Value,
    Subject,
}

impl Poison {
    pub(super) fn of(message: &StoredMessage) -> Option<Self> {
        let block = &*message.headers;
        if block.is_empty() {
            return None;
        }
        // The line before the headers is split at any white space, and not only at those that end a subject.
        if message.subject.contains(char::is_whitespace) {
            return Some(Self::Subject);
        }
        Self::of_headers(block).err()
    }

    fn of_headers(block: &[u8]) -> Result<(), Self> {
        let text = std::str::from_utf8(block).map_err(|_| Self::NotText)?;
        let mut lines = text.lines().peekable();
        let version = lines.next().and_then(|line| line.strip_prefix("NATS/1.0"));
        let status = version.ok_or(Self::Version)?.trim();
        let status = status.split_once(' ').map_or(status, |(status, _)| status.trim());
        if !status.is_empty() {
            status.parse::<StatusCode>().map_err(|_| Self::Status)?;
        }
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once(':').ok_or(Self::NoColon)?;
            name.parse::<HeaderName>().map_err(|_| Self::Name)?;
            let mut value = value.trim_start().to_owned();
            while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
                value.push_str(more);
            }
            value.trim_end().parse::<HeaderValue>().map_err(|_| Self::Value)?;
        }
        Ok(())
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotText => "its headers are not UTF-8",
            Self::Version => "its headers do not begin with `NATS/1.0`",
            Self::Status => "its headers have a status that is no number of three digits",
            Self::NoColon => "a line of its headers has no colon",
            Self::Name => "a header's name has characters that no name may have",
            Self::Value => "a header's value has a bare carriage return",
            Self::Subject => "it has headers, and its subject has white space",
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tidewire_core::Timestamp;

    use super::*;

    fn of(subject: &str, block: &'static [u8]) -> Option<Poison> {
        Poison::of(&StoredMessage {
            subject: subject.into(),
            sequence: 1,
            time: Timestamp::default(),
            headers: Bytes::from_static(block),
            payload: Bytes::new(),
        })
    }

    #[test]
    fn what_kills_the_client_or_costs_it_its_connection() {
        for (block, poison) in [
            (&b"NATS/1.0\r\nx: a\rb\r\n\r\n"[..], Poison::Value),
            (b"NATS/1.0\r\nx y: a\r\n\r\n", Poison::Name),
            (b"NATS/1.0\r\nno colon\r\n\r\n", Poison::NoColon),
            (b"NATS/1.0\r\nx: \xff\r\n\r\n", Poison::NotText),
            (b"NATS/9.0\r\nx: a\r\n\r\n", Poison::Version),
            (b"NATS/1.0 abc\r\n\r\n", Poison::Status),
        ] {
            assert_eq!(of("a.b", block), Some(poison), "{block:?}");
        }
        assert_eq!(
            of("a.\u{a0}b", b"NATS/1.0\r\nx: a\r\n\r\n"),
            Some(Poison::Subject)
        );
    }

    /// However odd: the client takes it, so it is handled, and is no letter.
    #[test]
    fn what_the_client_takes() {
        for block in [
            &b""[..],
            b"NATS/1.0\r\n\r\n",
            b"NATS/1.0\nx: a\n\n",
            b"NATS/1.0\r\nx:a\r\n b\r\n\r\n",
            b"NATS/1.0\r\n: nameless\r\n\r\n",
            b"NATS/1.0\r\nx: a\r\r\n\r\n",
            b"NATS/1.0 503\r\n\r\n",
            b"NATS/1.0\r\nx: \0\r\n",
        ] {
            assert_eq!(of("a.b", block), None, "{block:?}");
        }
        assert_eq!(of("a.\u{a0}b", b""), None);
    }
}
