//! The first lines: what runs, where, and what the columns mean.

use std::time::Duration;

use super::{
    args::DemoArgs,
    children::{Child, Children},
    folder::Folder,
    outage::Outage,
    screen::Screen,
};

/// The columns of the live line.
const LEGEND: [(&str, &str); 6] = [
    (
        "placed, ended",
        "orders so far; they end paid, out of stock or declined",
    ),
    ("ended/s", "orders that ended in this second"),
    (
        "p50, p99",
        "from placing an order to its end, over all orders so far",
    ),
    ("retries", "attempts that failed so far and are made again"),
    (
        "letters",
        "dead letters: payments that no retry helps, and that wait",
    ),
    (
        "breakers",
        "of the payments processes: open while the gateway is down",
    ),
];

pub(super) fn show(
    screen: &Screen,
    args: &DemoArgs,
    url: &str,
    version: &str,
    children: &Children,
    folder: &Folder,
) {
    let row = |head: &str, text: &str| screen.say(format_args!("  {head:<9} {text}"));
    screen.say("");
    row("server", &format!("{url}, nats-server {version}"));
    let look_in = format!("look in from outside: tidewire dlq ls -s {url}");
    row("", &screen.dim(&look_in));
    row(
        "",
        &screen.dim("with tail 'orders.>' or breaker payments in place of dlq ls too"),
    );
    let alive = children.alive();
    let processes: Vec<_> = alive
        .iter()
        .map(|child| format!("{} {}", child.name, child.pid))
        .collect();
    // In two lines, so that 80 columns are enough.
    let (first, second) = processes.split_at(processes.len().min(3));
    row("processes", &format!("{},", first.join(", ")));
    row("", &second.join(", "));
    let twin = |child: &&Child| children.of(child.service).count() > 1;
    if let Some(child) = alive.iter().rfind(twin) {
        let hint = format!("try it out: kill -9 {}, and its twin takes over", child.pid);
        row("", &screen.dim(&hint));
    }
    row("logs", &folder.path().display().to_string());
    row("load", &format!("{}; Ctrl-C ends it early", load(args)));
    screen.say("");
    for (columns, meaning) in LEGEND {
        screen.say(screen.dim(&format!("  {columns:<14} {meaning}")));
    }
    let outage = Outage::within(args.length());
    screen.say(format_args!(
        "\nThe payment gateway fails as gateways do: one call in ten is an error, some are\n\
         slow, some are never answered. After {} it is down for {}. There are two\n\
         bugs as well: it understands no card number with a blank, and our client for it\n\
         panics at gift cards. At the end they are mended, and the dead letters replayed.\n",
        seconds(outage.after),
        seconds(outage.lasts)
    ));
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn load(args: &DemoArgs) -> String {
    let rate = format!("{} orders a second", args.rate);
    match (args.orders, args.limit()) {
        (Some(orders), Some(seconds)) => format!("{rate}, {orders} orders, {seconds} s at most"),
        (Some(orders), None) => format!("{rate}, {orders} orders"),
        (None, Some(seconds)) => format!("{rate} for {seconds} s"),
        (None, None) => rate,
    }
}
