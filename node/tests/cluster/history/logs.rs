//! The logs of the replicas after healing: equal, without holes, and what they agree on.

use super::{AgreedLog, Anomaly, FinalLog};
use std::collections::BTreeMap;

/// Compares the replicas of each partition; the log that is taken for the partition's.
pub(super) fn compare(logs: &[FinalLog], found: &mut Vec<Anomaly>) -> BTreeMap<i32, AgreedLog> {
    let mut partitions: BTreeMap<i32, Vec<&FinalLog>> = BTreeMap::new();
    for log in logs {
        holes(log, found);
        partitions.entry(log.partition).or_default().push(log);
    }
    partitions
        .into_iter()
        .map(|(partition, replicas)| {
            let first = replicas[0];
            for other in &replicas[1..] {
                found.extend(divergence(first, other));
            }
            (partition, agreed(first))
        })
        .collect()
}

fn holes(log: &FinalLog, found: &mut Vec<Anomaly>) {
    let mut expected = log.start;
    for (offset, _) in &log.records {
        if *offset != expected {
            found.push(Anomaly::Hole { node: log.node, partition: log.partition, offset: expected });
        }
        expected = offset + 1;
    }
    if expected != log.end {
        found.push(Anomaly::Hole { node: log.node, partition: log.partition, offset: expected });
    }
}

/// The first offset at which two replicas differ. Each may have deleted another part of the head.
fn divergence(one: &FinalLog, other: &FinalLog) -> Option<Anomaly> {
    let from = one.start.max(other.start);
    let tail = |log: &FinalLog| {
        let kept = log.batches.iter().filter(|batch| batch.base_offset >= from);
        kept.copied().collect::<Vec<_>>()
    };
    let (left, right) = (tail(one), tail(other));
    let unequal = left.iter().zip(&right).find(|(left, right)| left != right);
    let longer = if left.len() >= right.len() { &left } else { &right };
    let surplus = longer.get(left.len().min(right.len()));
    let offset = match (unequal, surplus) {
        (Some((left, right)), _) => left.base_offset.min(right.base_offset),
        (None, Some(batch)) => batch.base_offset,
        (None, None) if one.end != other.end => one.end.min(other.end),
        (None, None) => return None,
    };
    Some(Anomaly::Diverged { partition: one.partition, nodes: [one.node, other.node], offset })
}

fn agreed(log: &FinalLog) -> AgreedLog {
    let mut places: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for (offset, record) in &log.records {
        places.entry(*record).or_default().push(*offset);
    }
    AgreedLog { start: log.start, end: log.end, records: log.records.iter().copied().collect(), places }
}
