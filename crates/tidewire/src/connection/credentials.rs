//! Who a connection is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use async_nats::{Auth, AuthError};
use nkeys::KeyPair;
use secrecy::{ExposeSecret, SecretString};

use super::ConnectError;

/// One kind of credentials. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub(super) enum Credentials {
    /// A file of a JWT and a seed, read again at each connection.
    File(PathBuf),
    /// The text of such a file.
    Text(SecretString),
    /// A seed.
    Nkey(SecretString),
    /// A file that holds a seed, read again at each connection.
    NkeyFile(PathBuf),
    /// A JWT and its seed.
    Jwt {
        jwt: SecretString,
        seed: SecretString,
    },
    Token(SecretString),
    User {
        name: String,
        password: SecretString,
    },
}

impl Credentials {
    /// What it is, for errors.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Text(_) => "a credentials file",
            Self::Nkey(_) | Self::NkeyFile(_) => "an nkey",
            Self::Jwt { .. } => "a JWT",
            Self::Token(_) => "a token",
            Self::User { .. } => "a user and password",
        }
    }

    /// What can be known before the first connection: that the file is there and can be understood.
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        self.auth(b"").map(drop)
    }

    /// The answer to a server that sent `nonce`.
    pub(super) fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        self.auth(nonce).map_err(|error| {
            // The client says only that it could not sign, and tries again.
            tracing::warn!(%error, "the credentials cannot be used");
            AuthError::new(error)
        })
    }

    fn auth(&self, nonce: &[u8]) -> Result<Auth, ConnectError> {
        let mut auth = Auth::new();
        match self {
            Self::File(path) => {
                let text = read("the credentials file", path)?;
                signed_jwt(&mut auth, &text, nonce, || path.display().to_string())?;
            }
            Self::Text(text) => signed_jwt(&mut auth, text, nonce, || "the credentials".into())?,
            Self::Nkey(seed) => signed_nkey(&mut auth, seed, nonce)?,
            Self::NkeyFile(path) => {
                let text = read("the nkey file", path)?;
                signed_nkey(&mut auth, &seed_in(&text), nonce)?;
            }
            Self::Jwt { jwt, seed } => {
                auth.signature = Some(sign(seed, nonce)?.1);
                auth.jwt = Some(jwt.expose_secret().to_owned());
            }
            Self::Token(token) => auth.token = Some(token.expose_secret().to_owned()),
            Self::User { name, password } => {
                auth.username = Some(name.clone());
                auth.password = Some(password.expose_secret().to_owned());
            }
        }
        Ok(auth)
    }
}

pub(super) fn read(what: &'static str, path: &Path) -> Result<SecretString, ConnectError> {
    let text = fs::read_to_string(path);
    text.map(Into::into).map_err(|source| ConnectError::File {
        what,
        path: path.to_owned(),
        source,
    })
}

/// The line of a file that is a seed: nkey files may hold comments and decoration beside it.
fn seed_in(text: &SecretString) -> SecretString {
    let text = text.expose_secret();
    let seed = text
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with('S') && line.len() > 50);
    seed.unwrap_or(text.trim()).into()
}

fn signed_nkey(auth: &mut Auth, seed: &SecretString, nonce: &[u8]) -> Result<(), ConnectError> {
    let (public, signature) = sign(seed, nonce)?;
    auth.nkey = Some(public);
    auth.signature = Some(signature);
    Ok(())
}

fn signed_jwt(
    auth: &mut Auth,
    text: &SecretString,
    nonce: &[u8],
    named: impl FnOnce() -> String,
) -> Result<(), ConnectError> {
    let mut blocks = text
        .expose_secret()
        .split("-----BEGIN ")
        .skip(1)
        .filter_map(|block| {
            let (_, rest) = block.split_once('\n')?;
            rest.lines()
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with('-'))
        });
    let (Some(jwt), Some(seed)) = (blocks.next(), blocks.next()) else {
        return Err(ConnectError::Malformed {
            what: named(),
            reason: "it has no JWT with a seed behind it; make it with `nsc generate creds`".into(),
        });
    };
    auth.signature = Some(sign(&seed.into(), nonce)?.1);
    auth.jwt = Some(jwt.to_owned());
    Ok(())
}

/// The public key and the signature of `nonce`.
fn sign(seed: &SecretString, nonce: &[u8]) -> Result<(String, Vec<u8>), ConnectError> {
    let malformed = |reason| ConnectError::Malformed {
        what: "the nkey seed".into(),
        reason,
    };
    let pair = KeyPair::from_seed(seed.expose_secret()).map_err(|error| malformed(error.into()))?;
    let signature = pair.sign(nonce).map_err(|error| malformed(error.into()))?;
    Ok((pair.public_key(), signature))
}
