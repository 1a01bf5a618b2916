//! What a run of any scenario gave: figures, latencies, a timeline, and numbers of its own.
//!
//! Reports and comparisons know nothing of scenarios beyond this, so a new scenario is reported and
//! compared without a change to either.

use std::borrow::Cow;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::measure::{Figures, Latency};

/// Percentile points for each halving of the distance to 1.
const POINTS_PER_HALVING: u32 = 5;

/// What one run of one scenario against one broker gave.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    /// Its parts, in the order in which they ran.
    pub(crate) phases: Vec<Phase>,
    /// Numbers of the scenario's own.
    pub(crate) facts: Vec<Fact>,
}

/// One part of a run that has figures of its own: in `mixed`, "producers alone" and "producers
/// beside cold readers".
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Phase {
    /// As reports call it.
    pub(crate) name: Cow<'static, str>,
    /// Rates and costs.
    pub(crate) figures: Figures,
    /// Latencies of what was done in it.
    pub(crate) latencies: Vec<NamedLatency>,
    /// How it went over time.
    pub(crate) timeline: Vec<Interval>,
}

/// A latency and what it is from and to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NamedLatency {
    /// "acknowledgement", "end to end", "response".
    pub(crate) name: &'static str,
    /// The usual percentiles.
    pub(crate) summary: Latency,
    /// Quantiles, and microseconds within which that share lies: enough to plot on a log axis.
    pub(crate) percentiles: Vec<(f64, f64)>,
}

impl NamedLatency {
    /// From a histogram in nanoseconds; `None` if it is empty.
    pub(crate) fn of(name: &'static str, histogram: &Histogram<u64>) -> Option<Self> {
        let points = histogram.iter_quantiles(POINTS_PER_HALVING);
        Some(Self {
            name,
            summary: Latency::of(histogram)?,
            percentiles: points
                .map(|point| (point.quantile(), point.value_iterated_to() as f64 / 1e3))
                .collect(),
        })
    }
}

/// A slice of a phase.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Interval {
    /// Its end, from the phase's begin.
    pub(crate) end_seconds: f64,
    pub(crate) megabytes_per_second: f64,
    pub(crate) requests_per_second: f64,
    /// Of the phase's first latency.
    pub(crate) p99_us: Option<f64>,
    pub(crate) broker_busy_processors: Option<f64>,
    pub(crate) broker_rss_bytes: Option<u64>,
}

/// A number of the scenario's own: "time to connect", "slope of memory".
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

/// Which way a number should move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
    Neither,
}

/// Names of the numbers that are alike when a run is repeated.
pub(crate) const THROUGHPUT: &str = "throughput";
pub(crate) const CPU_A_GIGABYTE: &str = "broker CPU a gigabyte";
pub(crate) const MEDIAN: &str = "p50";

/// A percentile rests on so many samples beyond it at least.
pub(crate) const SAMPLES_BEYOND_MIN: u64 = 10;

/// A number of an outcome by which brokers are compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metric {
    /// Empty for a fact of the whole run.
    pub(crate) phase: Cow<'static, str>,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) value: f64,
    /// Samples without which it says nothing; 0 if it is not a percentile.
    pub(crate) samples_needed: u64,
}

impl Metric {
    /// Samples that this percentile rests on in an outcome.
    pub(crate) fn samples_in(&self, outcome: &Outcome) -> u64 {
        let phase = outcome.phases.iter().find(|phase| phase.name == self.phase);
        let latencies = phase.map_or(&[][..], |phase| &phase.latencies);
        let own = latencies.iter().find(|latency| self.name.starts_with(latency.name));
        own.map_or(0, |latency| latency.summary.samples)
    }
}

impl Outcome {
    /// All its numbers, in the order of a report.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let facts = self.facts.iter().map(|fact| Metric {
            phase: Cow::Borrowed(""),
            name: fact.name.clone(),
            unit: fact.unit,
            better: fact.better,
            value: fact.value,
            samples_needed: 0,
        });
        self.phases.iter().flat_map(Phase::metrics).chain(facts).collect()
    }
}

impl Phase {
    fn metrics(&self) -> Vec<Metric> {
        let metric = |name: String, unit, better, value| Metric {
            phase: self.name.clone(),
            name,
            unit,
            better,
            value,
            samples_needed: 0,
        };
        let figures = &self.figures;
        let mut metrics = vec![
            metric(THROUGHPUT.into(), "MB/s", Better::Higher, figures.megabytes_per_second),
            metric("requests".into(), "1/s", Better::Higher, figures.requests_per_second),
        ];
        if let Some(broker) = figures.broker {
            let per_gigabyte = broker.cpu_seconds_per_gigabyte;
            metrics.push(metric(CPU_A_GIGABYTE.into(), "s/GB", Better::Lower, per_gigabyte));
            let per_request = broker.cpu_microseconds_per_request;
            metrics.push(metric("broker CPU a request".into(), "us", Better::Lower, per_request));
        }
        for latency in &self.latencies {
            let Latency { p50, p99, p999, .. } = latency.summary;
            for (percentile, value, one_in) in [(MEDIAN, p50, 2), ("p99", p99, 100), ("p99.9", p999, 1000)] {
                let name = format!("{} {percentile}", latency.name);
                let samples_needed = one_in * SAMPLES_BEYOND_MIN;
                metrics.push(Metric { samples_needed, ..metric(name, "us", Better::Lower, value) });
            }
        }
        metrics
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measure::{BrokerFigures, ClientFigures, NamedShare, OthersSource, latency_histogram};

    /// An outcome of one phase with the figures that comparisons look at.
    pub(crate) fn outcome(megabytes_per_second: f64, cpu_seconds_per_gigabyte: f64, others: f64) -> Outcome {
        let figures = Figures {
            seconds: 1.0,
            requests: 1,
            records: 1,
            payload_bytes: 1,
            megabytes_per_second,
            requests_per_second: 1.0,
            broker: Some(BrokerFigures {
                cpu_seconds: 1.0,
                user_seconds: 0.5,
                system_seconds: 0.5,
                cpu_seconds_per_gigabyte,
                cpu_microseconds_per_request: 1.0,
                busy_processors: 1.0,
            }),
            client: ClientFigures { cpu_seconds_per_gigabyte: 0.1, busy_processors: 0.1 },
            others_share: Some(others),
            others_source: OthersSource::Processes,
            others: vec![NamedShare { name: "java".into(), share: others }],
            kernel_share: 0.0,
            stolen_share: 0.0,
        };
        let mut histogram = latency_histogram();
        histogram.record(1_000_000).expect("within bounds");
        let latencies = NamedLatency::of("acknowledgement", &histogram).into_iter().collect();
        let phase = Phase { name: "produce".into(), figures, latencies, timeline: Vec::new() };
        let fact = Fact { name: "time to connect".into(), value: 2.0, unit: "ms", better: Better::Lower };
        Outcome { phases: vec![phase], facts: vec![fact] }
    }

    /// The same outcome, whose latencies rest on so many samples.
    pub(crate) fn with_samples(mut outcome: Outcome, samples: u64) -> Outcome {
        for latency in outcome.phases.iter_mut().flat_map(|phase| &mut phase.latencies) {
            latency.summary.samples = samples;
        }
        outcome
    }

    #[test]
    fn metrics_are_figures_latencies_and_facts() {
        let names: Vec<String> =
            outcome(1.0, 1.0, 0.0).metrics().into_iter().map(|metric| metric.name).collect();
        assert_eq!(
            names,
            [
                "throughput",
                "requests",
                "broker CPU a gigabyte",
                "broker CPU a request",
                "acknowledgement p50",
                "acknowledgement p99",
                "acknowledgement p99.9",
                "time to connect"
            ]
        );
    }

    #[test]
    fn percentile_points_rise_to_the_greatest() {
        let mut histogram = latency_histogram();
        for microseconds in 1..=10_000_u64 {
            histogram.record(microseconds * 1000).expect("within bounds");
        }
        let latency = NamedLatency::of("response", &histogram).expect("has samples");
        assert!(latency.percentiles.is_sorted_by(|left, right| left.1 <= right.1));
        let (quantile, greatest) = *latency.percentiles.last().expect("has points");
        assert_eq!(quantile, 1.0);
        assert!((greatest - 10_000.0).abs() < 10.0, "{greatest}");
        assert!(NamedLatency::of("response", &latency_histogram()).is_none());
    }
}
