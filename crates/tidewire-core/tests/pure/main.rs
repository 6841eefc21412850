//! Messages as users declare them, written and read.

#![expect(clippy::unwrap_used, reason = "a test ends so where it fails")]

mod codecs;
