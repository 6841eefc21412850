//! Every error that the command prints says what to do.

use std::io;

use tidewire::ConnectError;
use tidewire_ops::OpsError;
use tidewire_server::ServerError;

use crate::{
    error::{CliError, SHORT},
    lag,
};

#[path = "../../tidewire/tests/support/remedies.rs"]
mod support;

fn denied() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "permission denied")
}

#[test]
fn of_verbs() {
    support::remedies!("verbs", CliError,
        CliError::Connect(_) => ConnectError::TwoCredentials { first: "a token", second: "a credentials file" }.into(),
            "give one kind of credentials";
        CliError::Ops(_) => OpsError::NobodyRuns { service: "payments".into() }.into(),
            "start one, or mind the name: `tidewire manifest show` lists them";
        CliError::Server(_) => CliError::Server(ServerError::PortTaken { port: 4222 }),
            "choose another, or none for a free one";
        CliError::File { .. } => CliError::File { path: "old.json".into(), source: denied() },
            "name a file that is there and may be read";
        CliError::Unwritten { .. } => CliError::Unwritten { path: "letters".into(), source: denied() },
            "name a file that may be written";
        CliError::System { .. } => CliError::System { what: "start the runtime", source: denied(), remedy: SHORT },
            "see that it has files, memory and threads left";
        // Each text is its verb's own, with a snapshot in `tests/verbs`; where nobody reads, nothing is said.
        CliError::Usage(_) | CliError::Fault(_) | CliError::Closed(_) => lag::unknown("payments"),
            "see `tidewire consumers`, and whether this is the right server";
    );
}

#[cfg(feature = "demo")]
#[test]
fn of_the_demo() {
    use std::time::Duration;

    use crate::demo::DemoError;

    let missing = || vec!["payments".to_owned(), "orders".to_owned()];
    support::remedies!("demo", DemoError,
        DemoError::Server(_) => ServerError::PortTaken { port: 4222 }.into(), "choose another, or none for a free one";
        DemoError::Connect(_) => ConnectError::TwoCredentials { first: "a token", second: "a credentials file" }.into(),
            "give one kind of credentials";
        DemoError::System { .. } => DemoError::system("make a folder", denied()),
            "see that there is room, and that this user may write there";
        DemoError::NotUp { .. } => DemoError::NotUp {
            missing: missing(),
            within: Duration::from_secs(30),
            logs: "logs".into(),
        }, "see logs";
        DemoError::Died { .. } => DemoError::Died {
            name: "payments".into(),
            how: "signal: 9".into(),
            log: "payments.log".into(),
            tail: "out of memory".into(),
        }, "read the end of payments.log:\nout of memory";
        DemoError::BadEnd { .. } => DemoError::BadEnd {
            name: "payments".into(),
            how: "exit status: 1".into(),
            log: "payments.log".into(),
            tail: "a task hangs".into(),
        }, "read the end of payments.log:\na task hangs";
        DemoError::Connection(_) => DemoError::Connection("no answer within 5s".into()),
            "see that this machine is not overloaded, and run the demo again";
        DemoError::Interrupted => DemoError::Interrupted, "let the demo end, or interrupt it once";
        // What the shop meets when it starts, runs and stops is of other crates.
        DemoError::Start(_)
        | DemoError::Run(_)
        | DemoError::Stop(_)
        | DemoError::Bucket(_)
        | DemoError::Read(_)
        | DemoError::Letters(_) => OpsError::NobodyRuns { service: "payments".into() }.into(),
            "start one, or mind the name: `tidewire manifest show` lists them";
    );
}
