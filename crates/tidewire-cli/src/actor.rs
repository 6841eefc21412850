//! Who does what is done, for the records of it.

/// `user@host` with this program and its version.
pub(crate) fn actor() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    format!(
        "{}@{} with tidewire {}",
        user.as_deref().unwrap_or("somebody"),
        host(),
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(unix)]
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "somewhere".into())
}
