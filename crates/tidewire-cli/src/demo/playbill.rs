//! The first lines: what runs, where, and what the columns mean.

use super::{
    args::DemoArgs,
    children::{Child, Children},
    folder::Folder,
    screen::Screen,
};

/// The columns of the live line.
const LEGEND: [(&str, &str); 7] = [
    (
        "placed, ended",
        "orders so far; they end paid, out of stock or declined by the card",
    ),
    ("placed", "events of orders.checkout.order.placed in this second,"),
    (
        "reserved, rejected",
        "of inventory.stock.item.… (there are few teapots)",
    ),
    (
        "processed, failed",
        "and of orders.payments.payment.… (some cards have no money)",
    ),
    (
        "p50, p99",
        "the time from placing an order to its end, over all orders so far",
    ),
    (
        "failures",
        "requests answered with \"try again later\" so far: the payment gateway fails one",
    ),
    (
        "",
        "time in ten, and what asked for it is delivered again after 1 s, 2 s, 4 s, …",
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
    row(
        "",
        &screen.dim(&format!("look in from outside: nats -s {url} sub 'orders.>'")),
    );
    let alive = children.alive();
    let processes: Vec<_> = alive
        .iter()
        .map(|child| format!("{} {}", child.name, child.pid))
        .collect();
    row("processes", &processes.join(", "));
    let twin = |child: &&Child| children.of(child.service).count() > 1;
    if let Some(child) = alive.iter().rfind(twin) {
        let hint = format!("try it out: kill -9 {}, and its twin takes over", child.pid);
        row("", &screen.dim(&hint));
    }
    row("logs", &folder.path().display().to_string());
    row("load", &format!("{}; Ctrl-C ends it early", load(args)));
    screen.say("");
    for (columns, meaning) in LEGEND {
        screen.say(screen.dim(&format!("  {columns:<19} {meaning}")));
    }
    screen.say("");
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
