//! Contexts of the NATS tools: named files that say where a server is and who one is there.
//!
//! They are where `nats context` keeps them: `$XDG_CONFIG_HOME/nats/context/NAME.json`, the selected one named by
//! `context.txt` beside that folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ConnectError;

/// What a context may say; fields that are not ours are left alone, and an empty text is no text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NatsContext {
    pub(super) url: String,
    pub(super) user: String,
    pub(super) password: SecretString,
    pub(super) token: SecretString,
    pub(super) creds: SecretString,
    pub(super) nkey: SecretString,
    pub(super) user_jwt: SecretString,
    pub(super) user_seed: SecretString,
    pub(super) cert: String,
    pub(super) key: String,
    pub(super) ca: String,
    pub(super) jetstream_domain: String,
    pub(super) jetstream_api_prefix: String,
    pub(super) inbox_prefix: String,
    pub(super) tls_first: bool,
}

impl NatsContext {
    /// Reads a context by its name, or by the path of its file.
    pub(super) fn load(name: &str) -> Result<Self, ConnectError> {
        let path = if name.contains('.') || name.contains('/') {
            PathBuf::from(name)
        } else {
            folder().join("context").join(format!("{name}.json"))
        };
        let text = read(&path)?;
        serde_json::from_str(&text).map_err(|error| ConnectError::Malformed {
            what: format!("the NATS context {}", path.display()),
            // serde's own words would show the value.
            reason: format!(
                "no JSON of a context, at line {} column {}",
                error.line(),
                error.column()
            )
            .into(),
        })
    }

    /// The name of the context that `nats context select` chose, if there is one.
    pub(super) fn selected() -> Option<String> {
        let name = fs::read_to_string(folder().join("context.txt")).ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }
}

fn read(path: &Path) -> Result<String, ConnectError> {
    let what = "the NATS context";
    fs::read_to_string(path).map_err(|source| ConnectError::File {
        what,
        path: path.to_owned(),
        source,
    })
}

fn folder() -> PathBuf {
    let config = env::var_os("XDG_CONFIG_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let config = config.or_else(|| env::home_dir().map(|home| home.join(".config")));
    config.unwrap_or_default().join("nats")
}

/// A value that may stand elsewhere: `env://NAME`, `file://PATH`, `data:[;base64],…`, or a path.
#[derive(Debug)]
pub(super) enum Source {
    Path(PathBuf),
    Text(SecretString),
}

impl Source {
    /// Where the value of a field is; `None` where the field is empty.
    pub(super) fn of(field: &'static str, value: &SecretString) -> Result<Option<Self>, ConnectError> {
        let text = value.expose_secret();
        let malformed = |reason: String| ConnectError::Malformed {
            what: format!("`{field}` of the NATS context"),
            reason: reason.into(),
        };
        Ok(if text.is_empty() {
            None
        } else if let Some(name) = text.strip_prefix("env://") {
            let found = env::var(name).map_err(|_| malformed(format!("the variable {name} is not set")))?;
            Some(Self::Text(found.into()))
        } else if let Some(data) = text.strip_prefix("data:") {
            let (header, body) = data
                .split_once(',')
                .ok_or_else(|| malformed("a data URI has a comma".into()))?;
            if header.ends_with(";base64") {
                let bytes = STANDARD
                    .decode(body)
                    .map_err(|_| malformed("it is no base64".into()))?;
                let text = String::from_utf8(bytes).map_err(|_| malformed("it is no text".into()))?;
                Some(Self::Text(text.into()))
            } else {
                Some(Self::Text(body.into()))
            }
        } else {
            let path = text.strip_prefix("file://").unwrap_or(text);
            Some(Self::Path(match (path.strip_prefix("~/"), env::home_dir()) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => path.into(),
            }))
        })
    }

    /// The value of a field that is a text itself unless it says that it stands elsewhere.
    pub(super) fn text(
        field: &'static str,
        value: &SecretString,
    ) -> Result<Option<SecretString>, ConnectError> {
        let text = value.expose_secret();
        if text.starts_with("env://") || text.starts_with("data:") || text.starts_with("file://") {
            return Ok(match Self::of(field, value)? {
                Some(Self::Text(text)) => Some(text),
                Some(Self::Path(path)) => Some(super::credentials::read(field, &path)?),
                None => None,
            });
        }
        Ok((!text.is_empty()).then(|| value.clone()))
    }
}
