//! Scenario `soak`: a steady load for minutes or hours, and what drifts meanwhile.
//!
//! A broker that leaks memory or slows down looks well in ten seconds. The slopes are those of a line
//! fitted to the timeline; the ratio of tails compares the last third to the first.

use std::io;

use crate::outcome::{Better, Fact, Interval, Outcome};
use crate::scenario::Context;
use crate::scenario::session::Session;
use crate::scenario::settings::Settings;
use crate::scenario::topic::with_topic;
use crate::target::Target;

const SECONDS_PER_HOUR: f64 = 3600.0;
const BYTES_PER_MEBIBYTE: f64 = (1_u64 << 20) as f64;

/// Runs the scenario against a broker.
pub(crate) fn run(target: &Target, settings: &Settings, context: &Context) -> io::Result<Outcome> {
    let batch = settings.encode_batch()?;
    with_topic(target, settings, settings.partitions, context, |topic| {
        let mut session = Session::new(context, target, topic, settings.partitions)?;
        session.produce(&batch, settings.producers())?;
        session.follow(1, settings.reading())?;
        session.warm_up(settings.warm_up)?;
        let window = session.measure("soak", settings.seconds)?;
        session.finish_and_verify()?;
        let phase = window.phase("soak", &window.consumed, Some(&window.produced));
        Ok(Outcome { facts: drift(&phase.timeline), phases: vec![phase] })
    })
}

fn drift(timeline: &[Interval]) -> Vec<Fact> {
    let fact = |name: &str, value: f64, unit| Fact { name: name.into(), value, unit, better: Better::Lower };
    let points = |of: &dyn Fn(&Interval) -> Option<f64>| -> Vec<(f64, f64)> {
        timeline.iter().filter_map(|slice| Some((slice.end_seconds, of(slice)?))).collect()
    };
    let memory = points(&|slice| Some(slice.broker_rss_bytes? as f64 / BYTES_PER_MEBIBYTE));
    let tail = points(&|slice| slice.p99_us);
    let mut facts = Vec::new();
    if let Some(slope) = slope(&memory) {
        facts.push(fact("slope of memory", slope * SECONDS_PER_HOUR, "MiB/h"));
    }
    if let Some(slope) = slope(&tail) {
        facts.push(fact("slope of p99", slope * SECONDS_PER_HOUR, "us/h"));
    }
    let third = tail.len() / 3;
    if third > 0 {
        let first = median(&tail[..third]);
        let last = median(&tail[tail.len() - third..]);
        facts.push(fact("p99 of the last third to the first", last / first.max(f64::MIN_POSITIVE), "ratio"));
    }
    facts
}

/// Slope of the line that fits the points best.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
    let covariance: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    (variance > 0.0).then(|| covariance / variance)
}

fn median(points: &[(f64, f64)]) -> f64 {
    let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_steadily_is_found() {
        let slice = |second: u64| Interval {
            end_seconds: second as f64,
            megabytes_per_second: 1.0,
            requests_per_second: 1.0,
            p99_us: Some(if second < 20 { 100.0 } else { 300.0 }),
            broker_busy_processors: None,
            broker_rss_bytes: Some((100 + second) << 20),
        };
        let facts = drift(&(1..=30).map(slice).collect::<Vec<_>>());
        let value = |name: &str| facts.iter().find(|fact| fact.name == name).expect("is there").value;
        assert!((value("slope of memory") - 3600.0).abs() < 1e-6);
        assert!(value("slope of p99") > 0.0);
        assert_eq!(value("p99 of the last third to the first"), 3.0);
        assert_eq!(drift(&[]), []);
    }
}
