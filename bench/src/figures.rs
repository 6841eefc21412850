//! From rows to a table: medians, extremes, and the ratio pair by pair.

use std::fmt::Write as _;

use crate::{
    goal::{GOALS, Goal},
    row::{Row, Run},
};

/// The table as Markdown: goals that are missed first.
pub(crate) fn table(run: &Run) -> String {
    let machine = &run.machine;
    let mut text = format!(
        "{} processors, {}, nats-server {}, tokio {}, {}, commit {}.\n\n",
        machine.processors,
        machine.system,
        machine.server,
        machine.runtime.name(),
        machine.time.get(..10).unwrap_or_default(),
        machine.commit,
    );
    text += "| | workload | figure | who | beside whom | ratio | goal | |\n";
    text += "|---|---|---|---|---|---|---|---|\n";
    let mut lines: Vec<_> = GOALS.iter().filter_map(|goal| line(goal, &run.rows)).collect();
    lines.sort_by_key(|(met, _)| *met);
    lines.into_iter().fold(text, |text, (_, line)| text + &line)
}

/// Whether the goal is met, and its line; `None` where it was not measured.
fn line(goal: &Goal, rows: &[Row]) -> Option<(bool, String)> {
    let [side, beside] = goal.sides;
    let rows = rows.iter().filter(|row| row.workload == goal.workload);
    let pairs: Vec<(f64, f64)> = rows
        .clone()
        .filter(|row| row.side == side)
        .filter_map(|ours| {
            let other = rows
                .clone()
                .find(|row| row.round == ours.round && row.side == beside)?;
            Some(((goal.of)(ours)?, (goal.of)(other)?))
        })
        .collect();
    let ours = Spread::of(pairs.iter().map(|(ours, _)| *ours))?;
    let theirs = Spread::of(pairs.iter().map(|(_, theirs)| *theirs))?;
    let ratio = Spread::of(pairs.iter().map(|(ours, theirs)| ours / theirs))?;
    let met = goal.limit.is_met(ours.median, ratio.median);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "| {} | {} | {}, {} | {} {} | {} {} | {} | {} | {} |",
        goal.id,
        goal.workload.title(),
        goal.what,
        goal.unit,
        side.name(),
        ours.text(),
        beside.name(),
        theirs.text(),
        ratio.text(),
        goal.limit.text(goal.unit),
        if met { "met" } else { "**missed**" },
    );
    Some((met, text))
}

/// The middle and the extremes of what was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (
            values.get((values.len().checked_sub(1)?) / 2)?,
            values.get(values.len() / 2)?,
        );
        Some(Self {
            least: *values.first()?,
            median: f64::midpoint(*low, *high),
            most: *values.last()?,
        })
    }

    fn text(self) -> String {
        format!(
            "{} ({} – {})",
            short(self.median),
            short(self.least),
            short(self.most)
        )
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value {
        100_000.0.. => format!("{:.0} k", value / 1e3),
        10_000.0.. => format!("{:.1} k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use tidewire_ops::bench::{Measured, Usage, Workload};

    use super::*;
    use crate::row::{Flavor, Machine, Side};

    fn row(workload: Workload, round: u32, side: Side, seconds: f64) -> Row {
        Row {
            workload,
            round,
            side,
            measured: Measured {
                messages: 1_000_000,
                seconds,
                p50: None,
                p99: None,
            },
            usage: Usage {
                cpu: seconds,
                peak: 10_000,
            },
        }
    }

    fn run(rows: Vec<Row>) -> Run {
        let machine = Machine {
            processors: 2,
            system: "linux x86_64".into(),
            server: "2.15.1".into(),
            runtime: Flavor::CurrentThread,
            time: "2026-11-23T00:00:00Z".into(),
            commit: "0123abc".into(),
        };
        Run { machine, rows }
    }

    #[test]
    fn what_is_missed_stands_first_and_is_judged_pair_by_pair() {
        let mut rows = Vec::new();
        // The machine is twice as slow in every other round: the ratio is the same in each pair.
        for round in 1..=4 {
            let slow = f64::from(1 + round % 2);
            rows.push(row(Workload::Live, round, Side::Tidewire, slow));
            rows.push(row(Workload::Live, round, Side::Raw, slow));
            rows.push(row(Workload::Consume64, round, Side::Tidewire, 2.0 * slow));
            rows.push(row(Workload::Consume64, round, Side::Raw, slow));
        }
        let table = table(&run(rows));
        let lines: Vec<_> = table.lines().skip(4).collect();
        assert_eq!(lines.len(), 2, "{table}");
        assert!(
            lines[0].contains("64 at once") && lines[0].contains("0.50 (0.50 – 0.50)"),
            "{table}"
        );
        assert!(lines[0].ends_with("| **missed** |"), "{table}");
        assert!(
            lines[1].contains("1.00 (1.00 – 1.00)") && lines[1].ends_with("| met |"),
            "{table}"
        );
    }

    #[test]
    fn a_row_without_its_pair_does_not_count() {
        let table = table(&run(vec![row(Workload::Live, 1, Side::Tidewire, 1.0)]));
        assert_eq!(table.lines().count(), 4, "{table}");
    }

    #[test]
    fn figures_have_three_digits() {
        let shown = [0.951, 12.34, 123.4, 1234.0, 12_345.0, 123_456.0].map(short);
        assert_eq!(shown, ["0.95", "12.3", "123", "1234", "12.3 k", "123 k"]);
    }
}
