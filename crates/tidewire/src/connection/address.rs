//! Addresses, and what may stand in them beside host and port.

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::{ConnectError, credentials::Credentials};

/// Where servers are; without user and password, so that it may be shown.
#[derive(Clone, Debug)]
pub(super) struct Addresses(String);

impl Addresses {
    /// Takes apart `nats://user:password@host:4222,…`; the client itself would leave user and password aside, and log
    /// them.
    pub(super) fn read(text: &str) -> (Self, Vec<Credentials>) {
        let (mut bare, mut users): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
        for one in text.split(',').map(str::trim) {
            let (scheme, rest) = one.find("://").map_or(("", one), |at| one.split_at(at + 3));
            let (user, host) = rest
                .rsplit_once('@')
                .map_or((None, rest), |(user, host)| (Some(user), host));
            bare.push(format!("{scheme}{host}"));
            users.extend(user.filter(|user| !users.contains(user)));
        }
        let credentials = users.into_iter().map(credentials).collect();
        (Self(bare.join(",")), credentials)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn servers(&self) -> Result<Vec<ServerAddr>, ConnectError> {
        let servers: Result<_, _> = self.0.split(',').map(str::parse).collect();
        servers.map_err(|source| ConnectError::Address {
            address: self.0.clone(),
            source,
        })
    }
}

/// `user:password`, or a token alone; percent-encoded where it has to be.
fn credentials(text: &str) -> Credentials {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let secret = |text: &str| SecretString::from(decoded(text));
    match text.split_once(':') {
        Some((name, password)) => Credentials::User {
            name: decoded(name),
            password: secret(password),
        },
        None => Credentials::Token(secret(text)),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn users_are_taken_out() {
        let (addresses, credentials) =
            Addresses::read("nats://ann:se%20cret@host:4222, tls://ann:se%20cret@other");
        assert_eq!(addresses.text(), "nats://host:4222,tls://other");
        let [Credentials::User { name, password }] = &credentials[..] else {
            panic!("{credentials:?}")
        };
        assert_eq!((name.as_str(), password.expose_secret()), ("ann", "se cret"));
        let (addresses, credentials) = Addresses::read("token@host");
        assert_eq!(addresses.text(), "host");
        assert!(matches!(&credentials[..], [Credentials::Token(_)]));
        assert_eq!(Addresses::read("localhost").0.text(), "localhost");
        assert_eq!(Addresses::read("ann:a@one,bob:b@two").1.len(), 2);
    }
}
