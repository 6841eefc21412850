//! What the NATS tools know of where to connect: contexts and variables.

use std::{env, path::PathBuf};

use secrecy::SecretString;

use super::{
    Connect, ConnectError,
    address::Addresses,
    credentials::Credentials,
    nats_context::{NatsContext, Source},
};

const DEFAULT_ADDRESS: &str = "nats://localhost:4222";

impl Connect {
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
            connect.credentials.push(user(found.user, password));
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
    /// `NATS_INBOX_PREFIX` and `NATS_JS_DOMAIN`. A user, password or token in `NATS_URL` goes before those of the other
    /// variables. `nats://localhost:4222` where nothing says otherwise.
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
        let mut in_address = Vec::new();
        if let Some(address) = address {
            (connect.addresses, in_address) = Addresses::read(&address);
        }
        let given: Vec<_> = [
            variable("NATS_CREDS").map(|file| Credentials::File(file.into())),
            variable("NATS_NKEY").map(|file| Credentials::NkeyFile(file.into())),
            variable("NATS_TOKEN").map(|token| Credentials::Token(token.into())),
            variable("NATS_USER").map(|name| user(name, variable("NATS_PASSWORD").map(Into::into))),
        ]
        .into_iter()
        .flatten()
        .collect();
        // As in the tools: who stands in an address is who one is there.
        let credentials = if in_address.is_empty() { given } else { in_address };
        if !credentials.is_empty() {
            connect.credentials = credentials;
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
}

/// The tools take a user without a password for a token.
fn user(name: String, password: Option<SecretString>) -> Credentials {
    match password {
        Some(password) => Credentials::User { name, password },
        None => Credentials::Token(name.into()),
    }
}

fn path(text: String) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

/// What a variable says; an empty one says nothing.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
