//! Parts that tests play in processes of their own: `test_role parent` and `test_role installing`.

use std::{
    env,
    error::Error,
    fs,
    process::{Command, Stdio, exit},
    thread,
};

use tidewire_server::{Installer, Server};

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        Some("parent") => parent(),
        Some("installing") => installing(),
        _ => exit(2),
    }
}

/// Starts a server, tells about it, and waits to be killed.
fn parent() -> Result<(), Box<dyn Error>> {
    let mut server = Server::start()?;
    if env::var_os("TIDEWIRE_TEST_PAUSED").is_some() {
        server.pause()?;
    }
    let mut bystander = None;
    if let Some(path) = env::var_os("TIDEWIRE_TEST_BYSTANDER") {
        let child = Command::new("sleep")
            .arg("30")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        fs::write(path, child.id().to_string())?;
        bystander = Some(child);
    }
    tell(&format!(
        "{} {}",
        server.pid().unwrap_or_default(),
        server.log_path().display()
    ));
    if env::var_os("TIDEWIRE_TEST_EXITS").is_some() {
        // Nothing is dropped.
        exit(0);
    }
    if let Some(mut child) = bystander {
        child.wait()?;
    }
    loop {
        thread::park();
    }
}

/// Installs a server as one of several processes, and starts it.
fn installing() -> Result<(), Box<dyn Error>> {
    let variable = |name| env::var(name).ok();
    let installer = Installer::from_env()
        .named(None)
        .search_path("")
        .cache_dir(variable("TIDEWIRE_TEST_CACHE").unwrap_or_default())
        .mirror(variable("TIDEWIRE_TEST_MIRROR"));
    let binary = installer.find_or_install()?;
    let server = Server::builder().binary(binary.clone()).start()?;
    tell(&format!("{:?} {}", binary.origin(), server.port()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is how the test hears of it")]
fn tell(line: &str) {
    println!("told: {line}");
}
