//! Each example prints what its header says, and fits on a page.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helper fails the test")]

#[path = "examples/check.rs"]
mod check;

use std::{collections::BTreeSet, fs};

use check::{folder, prints_what_its_header_says};

/// A page.
const MOST_LINES: usize = 60;
/// Those that need another package, or a feature, whose tests run them.
const ELSEWHERE: [&str; 2] = ["dead_letters", "tracing"];

macro_rules! examples {
    ($($name:ident),* $(,)?) => {
        const EXAMPLES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                prints_what_its_header_says(stringify!($name));
            }
        )*
    };
}

examples! {
    axum_edge,
    batch,
    breaker,
    claim_check,
    durable_command,
    effectively_once,
    hello,
    layer_concurrency,
    layer_time_limit,
    layers,
    live,
    metrics,
    ordered_by_key,
    queue_group,
    raw_async_nats,
    request_reply,
    retry,
    testing,
    versions,
    wildcard,
}

#[test]
fn every_example_is_run_here_and_fits_on_a_page() {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
            found.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    let run = EXAMPLES.iter().chain(&ELSEWHERE);
    assert_eq!(found, run.copied().map(str::to_owned).collect());
}
