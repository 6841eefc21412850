//! How to connect.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions};
use secrecy::SecretString;
use tokio::sync::watch;

use super::{
    API_PREFIX, ConnectError, Connection, Refusals,
    address::Addresses,
    credentials::{Credentials, read},
    current::{Current, Life, Tell},
};

/// How often the connection is probed; the client gives a connection up at the third probe without an answer.
const PING: Duration = Duration::from_secs(5);
/// How long one try to connect may take.
const TRY: Duration = Duration::from_secs(3);
/// The longest pause between two tries, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Connects to `address`, such as `nats://localhost:4222`, or several with commas between them.
///
/// The connection comes back by itself after it was lost. For credentials, TLS, domains and contexts there is [`Connect`], and
/// for a service in production its [`service`](Connect::service): here answers come to `_INBOX`, as they do for everybody.
///
/// # Errors
/// [`ConnectError`] where nothing answers there.
pub async fn connect(address: impl AsRef<str>) -> Result<Connection, ConnectError> {
    Connect::to(address.as_ref()).connect().await
}

/// Where to connect to, and as whom.
///
/// ```no_run
/// use tidewire::Connect;
///
/// # async fn run() -> Result<(), tidewire::ConnectError> {
/// let nats = Connect::to("tls://nats.example.com:4222")
///     .service("payments") // its name on the server, and an inbox prefix of its own
///     .credentials_file("payments.creds") // read again at each connection
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
///
/// No secret is in its `Debug`, nor in an error or a log line.
#[derive(Clone, Debug)]
#[must_use = "nothing is connected until `.connect()`"]
pub struct Connect {
    pub(super) addresses: Addresses,
    name: Option<String>,
    pub(super) inbox_prefix: Option<String>,
    api_prefix: String,
    pub(super) credentials: Vec<Credentials>,
    pub(super) root_certificates: Option<PathBuf>,
    pub(super) client_certificate: Option<(PathBuf, PathBuf)>,
    require_tls: bool,
    pub(super) tls_first: bool,
}

impl Connect {
    /// To `address`, such as `nats://localhost:4222` or `tls://…`; several with commas between them. A user and password
    /// or a token may stand in it: `nats://ann:secret@localhost`.
    pub fn to(address: impl AsRef<str>) -> Self {
        let (addresses, credentials) = Addresses::read(address.as_ref());
        Self {
            addresses,
            name: None,
            inbox_prefix: None,
            api_prefix: API_PREFIX.to_owned(),
            credentials,
            root_certificates: None,
            client_certificate: None,
            require_tls: false,
            tls_first: false,
        }
    }

    /// For the service of this name: the server lists the connection under it, and answers come to inboxes below
    /// `_INBOX_<name>`, so that a service can be allowed to hear its own answers and nobody else's.
    pub fn service(mut self, name: &str) -> Self {
        self.inbox_prefix.get_or_insert_with(|| format!("_INBOX_{name}"));
        self.name = Some(name.to_owned());
        self
    }

    /// The prefix of the subjects on which answers come; `_INBOX` by default.
    pub fn inbox_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.inbox_prefix = Some(prefix.into());
        self
    }

    /// With a credentials file, as `nsc generate creds` makes it; it is read again at each connection.
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials.push(Credentials::File(path.into()));
        self
    }

    /// With the seed of an nkey.
    pub fn nkey(mut self, seed: impl Into<SecretString>) -> Self {
        self.credentials.push(Credentials::Nkey(seed.into()));
        self
    }

    /// With a user's JWT and the seed that belongs to it.
    pub fn jwt(mut self, jwt: impl Into<SecretString>, seed: impl Into<SecretString>) -> Self {
        self.credentials.push(Credentials::Jwt {
            jwt: jwt.into(),
            seed: seed.into(),
        });
        self
    }

    /// With a token.
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.credentials.push(Credentials::Token(token.into()));
        self
    }

    /// With a user's name and password.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<SecretString>) -> Self {
        self.credentials.push(Credentials::User {
            name: name.into(),
            password: password.into(),
        });
        self
    }

    /// Only over TLS, whatever the server offers. A `tls://` address says the same.
    pub fn require_tls(mut self) -> Self {
        self.require_tls = true;
        self
    }

    /// Trusts the certificates in this PEM file, and no longer those of the system.
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(path.into());
        self
    }

    /// Shows this certificate to the server; both are PEM files.
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.client_certificate = Some((certificate.into(), key.into()));
        self
    }

    /// To the JetStream of this domain.
    pub fn jetstream_domain(mut self, domain: &str) -> Self {
        self.api_prefix = format!("$JS.{domain}.API");
        self
    }

    /// To the JetStream whose API is imported under this prefix; `$JS.API` by default.
    pub fn jetstream_api_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.api_prefix = prefix.into();
        self
    }

    /// Connects, or fails after three seconds for each address; afterwards the connection comes back by itself, for as
    /// long as it takes.
    ///
    /// # Errors
    /// [`ConnectError`] says what to change.
    pub async fn connect(self) -> Result<Connection, ConnectError> {
        let refusals = Refusals::default();
        let (client, life) = self.client(&refusals).await?;
        Ok(Connection {
            api_prefix: self.api_prefix.as_str().into(),
            current: Current::new(client, Some(self), Some(life), &refusals),
            refusals,
        })
    }

    /// Makes a client, and what is closed when the client has ended.
    pub(super) async fn client(
        &self,
        refusals: &Refusals,
    ) -> Result<(Client, watch::Receiver<Life>), ConnectError> {
        let servers = self.addresses.servers()?;
        let (address, how) = (
            self.addresses.text().to_owned(),
            self.credentials.first().map_or("none", Credentials::kind),
        );
        let (tell, life) = Tell::new();
        let client = self
            .options(refusals.clone(), tell)?
            .connect(servers)
            .await
            .map_err(|source| ConnectError::of_client(source, address, how))?;
        Ok((client, life))
    }

    fn options(&self, refusals: Refusals, tell: Tell) -> Result<ConnectOptions, ConnectError> {
        let mut options = match self.credentials.as_slice() {
            [] => ConnectOptions::new(),
            [one] => {
                one.check()?;
                let credentials = Arc::new(one.clone());
                ConnectOptions::with_auth_callback(move |nonce| {
                    let credentials = credentials.clone();
                    async move { credentials.answer(&nonce) }
                })
            }
            [one, other, ..] => {
                return Err(ConnectError::TwoCredentials {
                    first: one.kind(),
                    second: other.kind(),
                });
            }
        };
        options = options
            .name(self.name.as_deref().unwrap_or("tidewire"))
            .ping_interval(PING)
            .connection_timeout(TRY)
            .reconnect_delay_callback(pause)
            .event_callback(move |event| {
                tell.hear(&event);
                refusals.hear(&event);
                async {}
            });
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        if self.require_tls {
            options = options.require_tls(true);
        }
        if self.tls_first {
            options = options.tls_first();
        }
        if let Some(path) = &self.root_certificates {
            read("the root certificates", path)?;
            options = options.add_root_certificates(path.clone());
        }
        if let Some((certificate, key)) = &self.client_certificate {
            read("the client certificate", certificate)?;
            read("the key of the client certificate", key)?;
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options)
    }
}

/// The pause before a try: none before the first, then doubled up to two seconds, and up to half as much more, so that
/// a thousand clients of a server that comes back do not come at once.
fn pause(attempt: usize) -> Duration {
    let doubled = u32::try_from(attempt.saturating_sub(2))
        .unwrap_or(u32::MAX)
        .min(8);
    let pause = match attempt {
        0 | 1 => return Duration::ZERO,
        _ => Duration::from_millis(10 << doubled).min(LONGEST_PAUSE),
    };
    pause + pause.mul_f64(fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let connect = Connect::to("bob:CANARY-6@localhost")
            .nkey("CANARY-1")
            .jwt("CANARY-2", "CANARY-3")
            .token("CANARY-4")
            .user("ann", "CANARY-5");
        let text = format!("{connect:?}");
        assert!(
            !text.contains("CANARY") && text.contains("ann") && text.contains("bob"),
            "{text}"
        );
    }

    #[test]
    fn pauses_grow_to_their_limit() {
        assert_eq!(pause(1), Duration::ZERO);
        for attempt in 2..40 {
            assert!(pause(attempt) >= Duration::from_millis(10) && pause(attempt) <= LONGEST_PAUSE * 3 / 2);
        }
        assert!(pause(40) >= LONGEST_PAUSE);
    }

    /// Clients that lost the same server do not come back together.
    #[test]
    fn pauses_before_the_same_try_differ() {
        for attempt in 2..40 {
            let drawn: BTreeSet<_> = (0..100).map(|_| pause(attempt)).collect();
            assert!(drawn.len() > 50, "try {attempt}: {drawn:?}");
        }
        // They are spread over all that is allowed: a quarter of it is left out once in a million millions.
        let spread = LONGEST_PAUSE / 8;
        let drawn: BTreeSet<_> = (0..100)
            .map(|_| pause(40).saturating_sub(LONGEST_PAUSE).as_micros() / spread.as_micros())
            .collect();
        assert!((0..4).all(|quarter| drawn.contains(&quarter)), "{drawn:?}");
    }
}
