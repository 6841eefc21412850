//! The end of the demo: sums, and the books.

use std::time::Duration;

use tidewire::Message as _;
use tidewire_shop::{
    books::{Books, Check},
    load::Figures,
    messages::{PaymentFailed, PaymentProcessed},
};

use super::{
    breakers::Breakers,
    failures::Failures,
    screen::{EVENTS, Screen, took},
};

pub(super) fn show(
    screen: &Screen,
    figures: &Figures,
    elapsed: Duration,
    (breakers, failures): (&Breakers, &Failures),
    books: &Books,
) {
    screen.title(&format!("Summary of {:.0} s", elapsed.as_secs_f64()));
    let unknown = match figures.unknown {
        0 => String::new(),
        unknown => format!(", {unknown} never answered"),
    };
    screen.say(format_args!(
        "  orders     {} placed: {} accepted, {} not sold here{unknown}; {} ended",
        figures.asked, figures.accepted, figures.declined, figures.finished
    ));
    let stored = |name| books.events.get(name).copied().unwrap_or(0);
    screen.say(format_args!(
        "  payments   {} charged, {} declined by the card",
        stored(PaymentProcessed::TYPE.name),
        stored(PaymentFailed::TYPE.name)
    ));
    screen.say(format_args!("  retries    {}", retries(failures)));
    screen.say(format_args!("  breaker    {}", open(breakers)));
    let letters = failures.letters();
    screen.say(format_args!(
        "  letters    {letters} payments were put aside, {} of them repaired by the replay",
        letters - failures.open_letters()
    ));
    let percentiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("longest", 1.0)];
    let latency = percentiles.map(|(name, share)| format!("{name} {}", took(figures.percentile(share))));
    screen.say(format_args!("  latency    {}", latency.join(", ")));
    for (row, name) in EVENTS.into_iter().enumerate() {
        let head = if row == 0 { "events" } else { "" };
        screen.say(format_args!("  {head:<10} {:>6} {name}", stored(name)));
    }
    screen.title("Books: what each service wrote down, compared with what the others did");
    for check in &books.checks {
        show_check(screen, check);
    }
    let verdict = match failures.open_letters() {
        _ if !books.balance() => screen.red("The books do not balance."),
        0 => screen.green("The books balance."),
        open => screen.red(&format!(
            "The books balance, but {open} dead letters still wait: an order is not done."
        )),
    };
    screen.say(format_args!("\n{verdict}"));
}

/// What went wrong and was tried again, by the words of the error events.
fn retries(failures: &Failures) -> String {
    let retries = failures.retries();
    let words = [
        ("failed", "errors"),
        ("timed_out", "hangs"),
        ("panicked", "panics"),
    ];
    let known = words.map(|(class, word)| (retries.get(class).copied().unwrap_or(0), word));
    let all: u64 = retries.values().sum();
    let parts: Vec<_> = known
        .iter()
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!("{all} attempts were repeated: after {}", parts.join(", "))
}

/// How long each breaker was open.
fn open(breakers: &Breakers) -> String {
    let totals = breakers.totals();
    if totals.is_empty() {
        return "never open".into();
    }
    let parts: Vec<_> = totals
        .iter()
        .map(|(process, time)| format!("{} in {process}", took(Some(*time))))
        .collect();
    format!("open for {}", parts.join(", "))
}

fn show_check(screen: &Screen, check: &Check) {
    let mark = if check.differences.is_empty() {
        screen.green("ok  ")
    } else {
        screen.red("FAIL")
    };
    screen.say(format_args!("  {mark}  {:<8} {}", check.name, check.found));
    for difference in &check.differences {
        screen.say(format_args!("        - {difference}"));
    }
}
