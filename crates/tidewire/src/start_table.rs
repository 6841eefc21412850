//! What a service says of its handlers when it has started.

use std::fmt;

use crate::{
    consumer::Depth,
    route::{Carrier, Route},
};

/// A table of the handlers: what each takes and sends, how it is fed, and what waits for it.
#[derive(Debug, Default)]
pub(crate) struct StartTable {
    rows: Vec<[String; 5]>,
}

const HEAD: [&str; 5] = ["handler", "takes", "sends", "fed by", "waiting"];

impl StartTable {
    pub(crate) fn add(&mut self, route: &Route, depth: Option<Depth>) {
        let takes: Vec<_> = route.takes.iter().map(|(contract, _)| contract.name).collect();
        let takes = route.filter.clone().unwrap_or_else(|| takes.join(", "));
        let sent = route
            .sends
            .emits
            .iter()
            .chain(&route.sends.asks)
            .chain(&route.sends.commands);
        let sends: Vec<_> = sent.map(|(contract, _)| contract.name).collect();
        let (name, fed_by) = match &route.carrier {
            Carrier::Durable(_) => (
                route.name.to_string(),
                format!(
                    "{}, {} at once",
                    if route.works_a_queue() { "queue" } else { "stream" },
                    route.concurrency
                ),
            ),
            Carrier::Live {
                queue_group: Some(group),
            } => ("live".into(), format!("live, group {group}")),
            Carrier::Live { queue_group: None } => ("live".into(), "live".into()),
            Carrier::Request { kind } => (
                kind.to_string(),
                format!("request, {} at once", route.concurrency),
            ),
        };
        let layers: Vec<_> = route.layers.names().collect();
        let fed_by = match layers.as_slice() {
            [] => fed_by,
            layers => format!("{fed_by}, through {}", layers.join(", ")),
        };
        let waiting = depth.map_or_else(String::new, |depth| {
            format!(
                "{} pending, {} unacknowledged",
                depth.pending, depth.unacknowledged
            )
        });
        self.rows.push([name, takes, sends.join(", "), fed_by, waiting]);
    }
}

impl fmt::Display for StartTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = HEAD.map(str::len);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.len());
            }
        }
        let head = HEAD.map(str::to_owned);
        for (index, row) in std::iter::once(&head).chain(&self.rows).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let line: Vec<_> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            f.write_str(line.join("  ").trim_end())?;
        }
        Ok(())
    }
}
