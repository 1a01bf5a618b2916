//! What was measured, by target: one form for a single run and for the rounds of a comparison.

use super::{Measured, Report};
use crate::compare::Spread;
use crate::outcome::{Better, Interval, Metric, NamedLatency, Outcome, Phase};

/// The outcomes of one target, one for each round.
#[derive(Debug)]
pub(super) struct Column<'r> {
    pub(super) name: &'r str,
    pub(super) outcomes: Vec<&'r Outcome>,
}

/// A number that all targets have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Empty for a fact of the whole run.
    pub(super) phase: String,
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) better: Better,
}

impl Report {
    /// The targets in their order.
    pub(super) fn columns(&self) -> Vec<Column<'_>> {
        let outcomes = |index: usize| match &self.measured {
            Measured::Outcome(outcome) => vec![outcome],
            Measured::Comparison(comparison) => {
                comparison.rounds.iter().filter_map(|round| round.outcomes.get(index)).collect()
            }
        };
        if self.heading.targets.is_empty() {
            // The harness measured this machine, not a broker.
            return vec![Column { name: self.heading.scenario, outcomes: outcomes(0) }];
        }
        let targets = self.heading.targets.iter().enumerate();
        targets.map(|(index, target)| Column { name: &target.name, outcomes: outcomes(index) }).collect()
    }

    /// The baseline's second runs; `None` if nothing was compared.
    pub(super) fn control(&self) -> Option<Column<'_>> {
        let Measured::Comparison(comparison) = &self.measured else { return None };
        let outcomes = comparison.rounds.iter().map(|round| &round.control).collect();
        Some(Column { name: "control", outcomes })
    }

    /// The numbers that the first target has, in the order of its phases.
    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |metric: Metric| Row {
            phase: metric.phase.to_string(),
            name: metric.name,
            unit: metric.unit.to_string(),
            better: metric.better,
        };
        self.first_outcome().map(Outcome::metrics).unwrap_or_default().into_iter().map(row).collect()
    }

    /// The names of the phases of the first target.
    pub(super) fn phases(&self) -> Vec<String> {
        let phases = self.first_outcome().map(|outcome| &outcome.phases[..]).unwrap_or_default();
        phases.iter().map(|phase| phase.name.to_string()).collect()
    }

    fn first_outcome(&self) -> Option<&Outcome> {
        match &self.measured {
            Measured::Outcome(outcome) => Some(outcome),
            Measured::Comparison(comparison) => comparison.rounds.first()?.outcomes.first(),
        }
    }
}

impl<'r> Column<'r> {
    /// The values of a number, one a round; empty if a round lacks it.
    pub(super) fn values(&self, row: &Row) -> Vec<f64> {
        let value = |outcome: &&Outcome| {
            let mut metrics = outcome.metrics().into_iter();
            let found = metrics.find(|metric| metric.name == row.name && *metric.phase == *row.phase);
            found.map(|metric| metric.value)
        };
        self.outcomes.iter().map(value).collect::<Option<Vec<f64>>>().unwrap_or_default()
    }

    /// Their median, least and greatest.
    pub(super) fn spread(&self, row: &Row) -> Option<Spread> {
        Spread::of(self.values(row))
    }

    /// Ratios to the baseline within each round; empty if one cannot be taken.
    pub(super) fn ratios(&self, baseline: &Self, row: &Row) -> Vec<f64> {
        let ratios: Vec<f64> =
            self.values(row).iter().zip(baseline.values(row)).map(|(one, base)| one / base).collect();
        let is_ratio = |ratio: &f64| ratio.is_finite() && *ratio > 0.0;
        if ratios.iter().all(is_ratio) { ratios } else { Vec::new() }
    }

    /// The phase in each round that has it.
    pub(super) fn phase(&self, name: &str) -> Vec<&'r Phase> {
        let outcomes = self.outcomes.iter();
        outcomes.filter_map(|outcome| outcome.phases.iter().find(|phase| *phase.name == *name)).collect()
    }

    /// A latency of a phase in each round that has it.
    pub(super) fn latencies(&self, phase: &str, name: &str) -> Vec<&'r NamedLatency> {
        let phases = self.phase(phase).into_iter();
        phases.filter_map(|phase| phase.latencies.iter().find(|latency| latency.name == name)).collect()
    }

    /// A number of the timeline over the time measured, a list for each round; `starts` says where on
    /// the time axis each round begins.
    pub(super) fn over_time(
        &self,
        phase: &str,
        starts: &[f64],
        value: impl Fn(&Interval) -> Option<f64>,
    ) -> Vec<Vec<(f64, f64)>> {
        let of_round = |(phase, start): (&Phase, &f64)| {
            let mut began = 0.0;
            let mut points = Vec::with_capacity(phase.timeline.len());
            for interval in &phase.timeline {
                // A slice stands for its middle.
                let middle = f64::midpoint(began, interval.end_seconds);
                began = interval.end_seconds;
                points.extend(value(interval).map(|value| (start + middle, value)));
            }
            points
        };
        self.phase(phase).into_iter().zip(starts).map(of_round).collect()
    }
}

/// Where each round begins when rounds are shown one behind another, and where the last ends.
pub(super) fn round_starts(columns: &[Column<'_>], phase: &str) -> Vec<f64> {
    let lengths = |column: &Column<'_>| -> Vec<f64> {
        let phases = column.phase(phase).into_iter();
        phases.map(|phase| phase.timeline.last().map_or(0.0, |interval| interval.end_seconds)).collect()
    };
    let all: Vec<Vec<f64>> = columns.iter().map(lengths).collect();
    let rounds = all.iter().map(Vec::len).max().unwrap_or(0);
    let mut starts = vec![0.0];
    for round in 0..rounds {
        let longest = all.iter().filter_map(|lengths| lengths.get(round)).copied().fold(0.0, f64::max);
        starts.push(starts[round] + longest);
    }
    starts
}
