//! Why a connection could not be made.

use std::path::PathBuf;

use tidewire_core::BoxError;

/// A connection that could not be made, and what to change. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing answered, or it was no NATS server.
    #[error("cannot connect to {address}: {source}; is a nats-server running there?")]
    Unreachable {
        /// Where it was tried, without user and password.
        address: String,
        /// What the client says.
        #[source]
        source: async_nats::ConnectError,
    },
    /// The server does not know these credentials.
    #[error(
        "{address} refused the credentials ({how}); see that they belong to this server and have not expired"
    )]
    Refused {
        /// Where it was tried, without user and password.
        address: String,
        /// Which kind of credentials.
        how: &'static str,
    },
    /// The address is none.
    #[error("`{address}` is no address of a NATS server ({source}); write for example nats://localhost:4222")]
    Address {
        /// What was given, without user and password.
        address: String,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
    /// A file of credentials, of a context or of TLS cannot be read.
    #[error("{what} {path} cannot be read: {source}")]
    File {
        /// What the file is.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Credentials or a context are not what they should be.
    #[error("{what} is not understood: {reason}")]
    Malformed {
        /// What it is, and where.
        what: String,
        /// What is wrong, without its content.
        reason: BoxError,
    },
    /// Two kinds of credentials were given.
    #[error("both {first} and {second} are given; give one kind of credentials")]
    TwoCredentials {
        /// One kind.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

/// An address as it may be shown: without user and password.
pub(super) fn shown(address: &str) -> String {
    let parts = address.split(',').map(|one| {
        let one = one.trim();
        match (one.find("://"), one.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &one[..scheme + 3], &one[at + 1..]),
            (None, Some(at)) => one[at + 1..].to_owned(),
            _ => one.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        assert_eq!(
            shown("nats://ann:secret@host:4222, token@other"),
            "nats://host:4222,other"
        );
        assert_eq!(shown("localhost"), "localhost");
    }
}
