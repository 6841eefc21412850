//! Why a connection could not be made.

use std::{error::Error, io, path::PathBuf};

use async_nats::{ConnectErrorKind, rustls};
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
    /// The two do not trust each other's certificates.
    #[error(
        "{address} and this client do not agree on TLS: {source}; give the authority that signed the server's \
         certificate as `root_certificates`, and where the server asks for one a `client_certificate`"
    )]
    Tls {
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
    #[error("{what} {path} cannot be read: {source}; name one that is there and may be read")]
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
    #[error("{what} is not understood: {reason}; see that it is whole, and what it should be")]
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

impl ConnectError {
    /// Why the client could not connect to `address` with credentials of the kind `how`.
    pub(super) fn of_client(source: async_nats::ConnectError, address: String, how: &'static str) -> Self {
        match source.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                Self::Refused { address, how }
            }
            ConnectErrorKind::Tls => Self::Tls { address, source },
            _ if is_tls(&source) => Self::Tls { address, source },
            _ => Self::Unreachable { address, source },
        }
    }
}

/// A handshake that fails is an error of I/O to the client.
fn is_tls(error: &async_nats::ConnectError) -> bool {
    let source = error.source();
    let io = source.and_then(|source| source.downcast_ref::<io::Error>());
    matches!(io.and_then(io::Error::get_ref), Some(inner) if inner.is::<rustls::Error>())
}
