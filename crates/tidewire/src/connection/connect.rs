//! How to connect.

use std::{env, io, path::PathBuf, sync::Arc, time::Duration};

use async_nats::{ConnectErrorKind, ConnectOptions, ServerAddr};
use secrecy::SecretString;

use super::{
    API_PREFIX, ConnectError, Connection, Refusals,
    connect_error::shown,
    credentials::Credentials,
    nats_context::{NatsContext, Source},
};

/// How often the connection is probed; the client gives a connection up at the third probe without an answer.
const PING: Duration = Duration::from_secs(4);
/// How long one try to connect may take.
const TRY: Duration = Duration::from_secs(5);
/// The longest pause between two tries, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const DEFAULT_ADDRESS: &str = "nats://localhost:4222";

/// Connects to `address`, such as `nats://localhost:4222`, or several with commas between them.
///
/// The connection comes back by itself after it was lost. For credentials, TLS, domains and contexts there is [`Connect`].
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
    address: String,
    name: Option<String>,
    inbox_prefix: Option<String>,
    api_prefix: String,
    credentials: Vec<Credentials>,
    root_certificates: Option<PathBuf>,
    client_certificate: Option<(PathBuf, PathBuf)>,
    require_tls: bool,
    tls_first: bool,
}

impl Connect {
    /// To `address`, such as `nats://localhost:4222` or `tls://…`; several with commas between them.
    pub fn to(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            name: None,
            inbox_prefix: None,
            api_prefix: API_PREFIX.to_owned(),
            credentials: Vec::new(),
            root_certificates: None,
            client_certificate: None,
            require_tls: false,
            tls_first: false,
        }
    }

    /// As a context of the NATS tools says: by its name (`nats context ls`) or the path of its file.
    ///
    /// A secret in it may stand elsewhere: `env://NAME`, `file://PATH` or `data:;base64,…`.
    ///
    /// # Errors
    /// [`ConnectError::File`] or [`ConnectError::Malformed`] names the file.
    pub fn context(name: &str) -> Result<Self, ConnectError> {
        let found = NatsContext::load(name)?;
        let url = if found.url.is_empty() {
            DEFAULT_ADDRESS
        } else {
            &found.url
        };
        let mut connect = Self::to(url);
        let credentials = match Source::of("creds", &found.creds)? {
            Some(Source::Path(path)) => Some(Credentials::File(path)),
            Some(Source::Text(text)) => Some(Credentials::Text(text)),
            None => None,
        };
        let nkey = match Source::of("nkey", &found.nkey)? {
            Some(Source::Path(path)) => Some(Credentials::NkeyFile(path)),
            Some(Source::Text(seed)) => Some(Credentials::Nkey(seed)),
            None => None,
        };
        connect.credentials.extend(credentials.into_iter().chain(nkey));
        let jwt =
            Source::text("user_jwt", &found.user_jwt)?.zip(Source::text("user_seed", &found.user_seed)?);
        connect
            .credentials
            .extend(jwt.map(|(jwt, seed)| Credentials::Jwt { jwt, seed }));
        connect
            .credentials
            .extend(Source::text("token", &found.token)?.map(Credentials::Token));
        if !found.user.is_empty() {
            let password = Source::text("password", &found.password)?;
            connect.credentials.push(match password {
                Some(password) => Credentials::User {
                    name: found.user,
                    password,
                },
                // The tools take a user without a password for a token.
                None => Credentials::Token(found.user.into()),
            });
        }
        connect.root_certificates = path(found.ca);
        connect.client_certificate = path(found.cert).zip(path(found.key));
        connect.tls_first = found.tls_first;
        connect.inbox_prefix = Some(found.inbox_prefix).filter(|prefix| !prefix.is_empty());
        if !found.jetstream_domain.is_empty() {
            connect = connect.jetstream_domain(&found.jetstream_domain);
        }
        if !found.jetstream_api_prefix.is_empty() {
            connect = connect.jetstream_api_prefix(found.jetstream_api_prefix);
        }
        Ok(connect)
    }

    /// As the variables of the NATS tools say: `NATS_CONTEXT`, else the selected context, and over that `NATS_URL`,
    /// `NATS_USER`, `NATS_PASSWORD`, `NATS_TOKEN`, `NATS_CREDS`, `NATS_NKEY`, `NATS_CERT`, `NATS_KEY`, `NATS_CA`,
    /// `NATS_INBOX_PREFIX` and `NATS_JS_DOMAIN`. `nats://localhost:4222` where nothing says otherwise.
    ///
    /// # Errors
    /// [`ConnectError`] names the context or the file that cannot be read.
    pub fn from_env() -> Result<Self, ConnectError> {
        Self::from_variables(variable("NATS_URL"))
    }

    /// As [`from_env`](Self::from_env) where `NATS_URL` is `address`: for a program with a flag of its own.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_env_to(address: impl Into<String>) -> Result<Self, ConnectError> {
        Self::from_variables(Some(address.into()))
    }

    fn from_variables(address: Option<String>) -> Result<Self, ConnectError> {
        let context = variable("NATS_CONTEXT").or_else(|| {
            // An address that was given says everything; the selected context might be another system's.
            if address.is_some() {
                None
            } else {
                NatsContext::selected()
            }
        });
        let mut connect = match context {
            Some(name) => Self::context(&name)?,
            None => Self::to(DEFAULT_ADDRESS),
        };
        if let Some(address) = address {
            connect.address = address;
        }
        let given: Vec<_> = [
            variable("NATS_CREDS").map(|file| Credentials::File(file.into())),
            variable("NATS_NKEY").map(|file| Credentials::NkeyFile(file.into())),
            variable("NATS_TOKEN").map(|token| Credentials::Token(token.into())),
            variable("NATS_USER").map(|name| Credentials::User {
                name,
                password: variable("NATS_PASSWORD").unwrap_or_default().into(),
            }),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !given.is_empty() {
            connect.credentials = given;
        }
        if let Some(certificates) = variable("NATS_CA") {
            connect.root_certificates = Some(certificates.into());
        }
        if let Some((certificate, key)) = variable("NATS_CERT").zip(variable("NATS_KEY")) {
            connect.client_certificate = Some((certificate.into(), key.into()));
        }
        if let Some(prefix) = variable("NATS_INBOX_PREFIX") {
            connect.inbox_prefix = Some(prefix);
        }
        if let Some(domain) = variable("NATS_JS_DOMAIN") {
            connect = connect.jetstream_domain(&domain);
        }
        Ok(connect)
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

    /// Trusts the certificates in this PEM file, beside the system's.
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

    /// Connects; afterwards the connection comes back by itself, for as long as it takes.
    ///
    /// # Errors
    /// [`ConnectError`] says what to change.
    pub async fn connect(self) -> Result<Connection, ConnectError> {
        let refusals = Refusals::default();
        let servers = self.servers()?;
        let (address, how) = (
            shown(&self.address),
            self.credentials.first().map_or("none", Credentials::kind),
        );
        let client = self
            .options(refusals.clone())?
            .connect(servers)
            .await
            .map_err(|source| match source.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    ConnectError::Refused { address, how }
                }
                _ => ConnectError::Unreachable { address, source },
            })?;
        Ok(Connection {
            client,
            api_prefix: self.api_prefix.into(),
            refusals,
        })
    }

    fn servers(&self) -> Result<Vec<ServerAddr>, ConnectError> {
        let parsed: io::Result<Vec<_>> = self
            .address
            .split(',')
            .map(|one| one.trim().parse::<ServerAddr>())
            .collect();
        parsed.map_err(|source| ConnectError::Address {
            address: shown(&self.address),
            source,
        })
    }

    fn options(&self, refusals: Refusals) -> Result<ConnectOptions, ConnectError> {
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
            options = options.add_root_certificates(path.clone());
        }
        if let Some((certificate, key)) = &self.client_certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options)
    }
}

/// What a variable says; an empty one says nothing.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(text: String) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
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
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let connect = Connect::to("localhost")
            .nkey("CANARY-1")
            .jwt("CANARY-2", "CANARY-3")
            .token("CANARY-4")
            .user("ann", "CANARY-5");
        let text = format!("{connect:?}");
        assert!(!text.contains("CANARY") && text.contains("ann"), "{text}");
    }

    #[test]
    fn pauses_grow_to_their_limit() {
        assert_eq!(pause(1), Duration::ZERO);
        for attempt in 2..40 {
            assert!(pause(attempt) >= Duration::from_millis(10) && pause(attempt) <= LONGEST_PAUSE * 3 / 2);
        }
        assert!(pause(40) >= LONGEST_PAUSE);
    }
}
