//! What Tidewire is to reach.

use tidewire_ops::bench::Workload;

use crate::row::{Row, Side};

/// A figure of a workload, and how good it is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// The number by which the goals are known.
    pub(crate) id: &'static str,
    pub(crate) workload: Workload,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) of: fn(&Row) -> Option<f64>,
    /// Who is to reach it, beside whom.
    pub(crate) sides: [Side; 2],
    pub(crate) limit: Limit,
}

/// How good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// At least so many times what the other side reaches.
    AtLeast(f64),
    /// At most so many times what the other side takes.
    AtMost(f64),
    /// At most this, whatever the other side takes.
    Under(f64),
}

pub(crate) const GOALS: [Goal; 18] = [
    rate("W1", Workload::Live, 0.95),
    rate("W2", Workload::Ask64, 1.1),
    p50("W2", Workload::Ask1, 1.05),
    rate("W3", Workload::Publish, 1.2),
    rate("W4", Workload::Consume1, 0.95),
    rate("W4", Workload::Consume64, 0.95),
    p50("W4", Workload::Latency, 1.1),
    Goal {
        id: "W4",
        workload: Workload::Latency,
        what: "99 of 100 within",
        unit: "µs",
        of: |row| row.measured.p99,
        sides: [Side::Tidewire, Side::Raw],
        limit: Limit::Under(1000.0),
    },
    Goal {
        id: "W7",
        workload: Workload::Consume1,
        what: "memory",
        unit: "MB",
        of: |row| Some(row.usage.peak_megabytes()),
        sides: [Side::Tidewire, Side::Raw],
        limit: Limit::Under(15.0),
    },
    cpu("W7", Workload::Consume1, [Side::Tidewire, Side::Raw], 1.1),
    cpu("W4", Workload::Consume1, [Side::Tidewire, Side::Silent], 1.05),
    cpu("W4", Workload::Consume64, [Side::Tidewire, Side::Silent], 1.05),
    cpu("W4", Workload::Consume1, [Side::Logged, Side::Silent], 1.05),
    cpu("W4", Workload::Consume1, [Side::Traced, Side::Silent], 1.05),
    cpu("W4", Workload::Consume64, [Side::Traced, Side::Silent], 1.05),
    cpu("W4", Workload::Consume1, [Side::Sampled, Side::Silent], 1.05),
    cpu("W4", Workload::Consume64, [Side::Sampled, Side::Silent], 1.05),
    cpu("W7", Workload::Consume1, [Side::Sampled, Side::Raw], 1.1),
];

const fn cpu(id: &'static str, workload: Workload, sides: [Side; 2], most: f64) -> Goal {
    Goal {
        id,
        workload,
        what: "processor time for a million",
        unit: "s",
        of: |row| Some(row.usage.cpu_for_a_million(row.measured.messages)),
        sides,
        limit: Limit::AtMost(most),
    }
}

const fn rate(id: &'static str, workload: Workload, least: f64) -> Goal {
    Goal {
        id,
        workload,
        what: "messages a second",
        unit: "/s",
        of: |row| Some(row.measured.rate()),
        sides: [Side::Tidewire, Side::Raw],
        limit: Limit::AtLeast(least),
    }
}

const fn p50(id: &'static str, workload: Workload, most: f64) -> Goal {
    Goal {
        id,
        workload,
        what: "half within",
        unit: "µs",
        of: |row| row.measured.p50,
        sides: [Side::Tidewire, Side::Raw],
        limit: Limit::AtMost(most),
    }
}

impl Limit {
    /// Whether it is reached, by the median of the figures and of the ratios.
    pub(crate) fn is_met(self, figure: f64, ratio: f64) -> bool {
        match self {
            Self::AtLeast(least) => ratio >= least,
            Self::AtMost(most) => ratio <= most,
            Self::Under(most) => figure <= most,
        }
    }

    pub(crate) fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least:.2} ×"),
            Self::AtMost(most) => format!("≤ {most:.2} ×"),
            Self::Under(most) => format!("≤ {most:.0} {unit}"),
        }
    }
}
