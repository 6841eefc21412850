//! The end of the demo: sums, and the books.

use std::time::Duration;

use tidewire_shop::{
    books::{Books, Check},
    load::Figures,
};

use super::{
    instances::Instances,
    screen::{EVENTS, Screen, took},
};

pub(super) fn show(
    screen: &Screen,
    figures: &Figures,
    elapsed: Duration,
    instances: &Instances,
    books: &Books,
) {
    screen.title(&format!("Summary of {:.0} s", elapsed.as_secs_f64()));
    let unknown = match figures.unknown {
        0 => String::new(),
        unknown => format!(", {unknown} never answered"),
    };
    screen.say(format_args!(
        "  orders     {} placed: {} accepted, {} declined (not sold here){unknown}; {} ended",
        figures.asked, figures.accepted, figures.declined, figures.finished
    ));
    let percentiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("longest", 1.0)];
    let latency = percentiles.map(|(name, share)| format!("{name} {}", took(figures.percentile(share))));
    screen.say(format_args!(
        "  latency    {}, from placing to the end",
        latency.join(", ")
    ));
    for (row, name) in EVENTS.into_iter().enumerate() {
        let head = if row == 0 { "events" } else { "" };
        let stored = books.events.get(name).copied().unwrap_or(0);
        screen.say(format_args!("  {head:<10} {stored:>6} {name}"));
    }
    for (row, (id, instance)) in instances.of("payments").enumerate() {
        let head = if row == 0 { "payments" } else { "" };
        let gone = if instance.answers { "" } else { ", then was gone" };
        let (requests, errors) = (instance.requests, instance.errors);
        let id = &id[id.len().saturating_sub(6)..];
        screen.say(format_args!(
            "  {head:<10} {requests:>6} requests to instance …{id}, {errors} of them failed{gone}"
        ));
    }
    screen.title(
        "Books: what the services wrote down, compared with each other and with the storefront's ledger",
    );
    for check in &books.checks {
        show_check(screen, check);
    }
    let verdict = if books.balance() {
        screen.green("The books balance.")
    } else {
        screen.red("The books do not balance.")
    };
    screen.say(format_args!("\n{verdict}"));
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
