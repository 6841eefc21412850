//! An operator with an account: who may connect is written in JWTs that keys sign.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// An operator, its system account and one account with JetStream.
pub(crate) struct Operator {
    root: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

/// A user of the account.
pub(crate) struct User {
    pub(crate) jwt: String,
    pub(crate) seed: String,
    pub(crate) public: String,
}

impl Operator {
    pub(crate) fn new() -> Self {
        Self {
            root: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
        }
    }

    /// The configuration of a server that trusts this operator; the account has revoked these users.
    pub(crate) fn config(&self, revoked: &[&User]) -> String {
        let (operator, system) = (self.root.public_key(), self.system.public_key());
        let account = self.account.public_key();
        let trusted = signed(
            &self.root,
            &operator,
            &json!({ "type": "operator", "version": 2, "system_account": system }),
        );
        let revocations: Value = revoked.iter().map(|user| (user.public.clone(), now())).collect();
        format!(
            "operator: {trusted}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{\n{system}: {}\n{account}: {}\n}}\n",
            signed(&self.root, &system, &account_claims(0, &json!({}))),
            signed(&self.root, &account, &account_claims(-1, &revocations)),
        )
    }

    pub(crate) fn user(&self) -> User {
        let key = KeyPair::new_user();
        let claims = json!({
            "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {},
        });
        User {
            jwt: signed(&self.account, &key.public_key(), &claims),
            seed: key.seed().unwrap(),
            public: key.public_key(),
        }
    }
}

impl User {
    /// As `nsc generate creds` writes it.
    pub(crate) fn file(&self) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\
             NKEY Seed printed below can be used to sign and prove identity.\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.jwt, self.seed
        )
    }
}

/// One time for all: a server that reloads its configuration takes no other operator, and the text tells them apart.
fn issued() -> u64 {
    static ISSUED: LazyLock<u64> = LazyLock::new(|| now() - 60);
    *ISSUED
}

fn now() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    since.as_secs()
}

fn account_claims(storage: i64, revocations: &Value) -> Value {
    let mut limits = json!({ "mem_storage": storage, "disk_storage": storage, "wildcards": true });
    for unlimited in [
        "subs", "data", "payload", "imports", "exports", "conn", "leaf", "streams", "consumer",
    ] {
        limits[unlimited] = json!(-1);
    }
    json!({ "type": "account", "version": 2, "limits": limits, "revocations": revocations })
}

fn signed(issuer: &KeyPair, subject: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let body = part(&json!({
        "jti": subject, "iat": issued(), "iss": issuer.public_key(), "name": "a test's", "sub": subject, "nats": claims,
    }));
    let text = format!("{header}.{body}");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}
