//! What a reader must know to read the figures rightly, derived from what was measured.

use super::{Heading, Measured};
use crate::context::broker::TargetFacts;
use crate::context::durability::Promise;
use crate::measure::OthersSource;
use crate::outcome::Outcome;

/// The notes of a report, the weightiest first.
pub(super) fn of(heading: &Heading, measured: &Measured) -> Vec<String> {
    let mut notes: Vec<String> = unequal_promises(&heading.targets).into_iter().collect();
    if heading.harness.is_dirty {
        notes.push("the harness was built from sources that differ from the commit that it names".to_owned());
    }
    if heading.machine.reports_free_pages {
        notes.push(
            "this machine gives free memory back to its host, so fresh page cache costs a broker CPU time \
             that it would not cost elsewhere; `steady-memory` beside the run prevents it"
                .to_owned(),
        );
    }
    if !heading.targets.is_empty() && heading.targets.iter().all(|target| target.address.ip().is_loopback()) {
        notes.push("client and brokers spoke over loopback: no network card, no real round trip".to_owned());
    }
    notes.extend(cache_without_flush(&heading.targets));
    let first = match measured {
        Measured::Outcome(outcome) => Some(outcome),
        Measured::Comparison(comparison) => {
            comparison.rounds.first().and_then(|round| round.outcomes.first())
        }
    };
    if first.is_some_and(are_others_guessed) {
        notes.push(
            "not all processes are seen from here, so what others used is the machine's busy time without the \
             broker's and the client's; where the kernel samples that at clock ticks, it is wrong at rates in step \
             with them, and its own threads count as others"
                .to_owned(),
        );
    }
    let has_rate = heading.workload.lines().any(|line| line.starts_with("rate"));
    if !heading.targets.is_empty() && first.is_some_and(has_latency) && !has_rate {
        notes.push(
            "latencies are those of a closed loop at full load: they tell how long the queue was, not how \
             fast the broker answers at a given rate; give a rate for that"
                .to_owned(),
        );
    }
    notes
}

/// Says if brokers were compared that do not promise the same.
fn unequal_promises(targets: &[TargetFacts]) -> Option<String> {
    let first = targets.first()?.durability.promise;
    let is_equal = targets.iter().all(|target| target.durability.promise == first);
    if targets.len() < 2 || is_equal && first != Promise::Unknown {
        return None;
    }
    let each = targets.iter().map(|target| format!("{}: {}", target.name, target.durability.sentence));
    Some(format!("an acknowledgement may not be worth the same: {}", each.collect::<Vec<_>>().join("; ")))
}

/// Says if the kernel sends no flushes to a device, so that a flush costs nearly nothing.
fn cache_without_flush(targets: &[TargetFacts]) -> Option<String> {
    let mut devices = targets.iter().filter_map(|target| target.disk.as_ref()?.device.as_ref());
    let name = &devices.find(|device| device.write_cache.as_deref() == Some("write through"))?.name;
    Some(format!(
        "the kernel takes {name} for a device without a volatile cache and sends it no flushes: what a flush \
         costs elsewhere cannot be seen here"
    ))
}

/// Whether others' share is what the clock ticks left.
fn are_others_guessed(outcome: &Outcome) -> bool {
    let mut sources = outcome.phases.iter().map(|phase| phase.figures.others_source);
    sources.any(|source| source == OthersSource::ClockTicks)
}

/// Whether latencies were taken.
fn has_latency(outcome: &Outcome) -> bool {
    outcome.phases.iter().any(|phase| !phase.latencies.is_empty())
}
