//! What the figures of a device mean for those who produce and consume. Pure.

use std::time::Duration;

use ringmain_storage::disk::direct::DiskFacts;

use super::measure::{Measured, Row};
use super::milliseconds;
use crate::cli::output::grouped;

/// A drive without a cache that survives a loss of power cannot flush faster than this.
const SUSPICIOUS: Duration = Duration::from_micros(30);
/// A flush that takes so long is one of a turning disk, or of storage far away.
const SLOW: Duration = Duration::from_millis(5);
/// Producers notice pauses from here on.
const PAUSE: Duration = Duration::from_millis(100);

/// Sentences, the most important first.
pub(super) fn sentences(rows: &[Measured], facts: DiskFacts) -> Vec<String> {
    let find = |wanted: Row| rows.iter().find(|measured| measured.row == wanted);
    let mut sentences = Vec::new();
    if let Some(small) = find(Row::DurableWrite(4 << 10)) {
        let [middle, last] = [50.0, 99.0].map(|percent| milliseconds(small.percentile(percent)));
        sentences.push(format!(
            "A record that is produced alone with acks=all waits {middle} ms for this disk, 1 of 100 waits {last} ms or \
             longer; network and other replicas come on top."
        ));
        let rounds = grouped(small.per_second() as u64);
        sentences.push(if facts.one_flush_covers_all() {
            format!(
                "About {rounds} flushes in a second, each for all that came meanwhile in all partitions: more producers or \
                 partitions need no more of them."
            )
        } else {
            format!("About {rounds} flushes in a second, and each partition needs its own: put data_dir on ext4 or XFS.")
        });
    }
    let durable = rows.iter().filter(|measured| matches!(measured.row, Row::DurableWrite(_)));
    if let Some(most) = durable.map(Measured::bytes_per_second).reduce(f64::max) {
        sentences.push(format!(
            "Up to about {} MB/s can be written and acknowledged.",
            grouped((most / 1e6) as u64)
        ));
    }
    if let Some(flush) = find(Row::Flush) {
        let middle = flush.percentile(50.0);
        if middle < SUSPICIOUS {
            sentences.push(format!(
                "A flush takes {} ms: the device has a cache that survives a loss of power, or it does not do what it is \
                 told. Only a loss of power tells which.",
                milliseconds(middle)
            ));
        } else if middle > SLOW {
            sentences.push(format!(
                "A flush takes {} ms, as on a turning disk or on storage far away: let producers send batches, or set \
                 write.caching=true for topics that may lose the last second with the power.",
                milliseconds(middle)
            ));
        }
    }
    if let Some(longest) = rows.iter().map(Measured::longest).max().filter(|longest| *longest > PAUSE) {
        sentences.push(format!(
            "The longest operation took {} ms: producers see such pauses.",
            milliseconds(longest)
        ));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use ringmain_storage::disk::Alignment;
    use ringmain_storage::disk::direct::FileSystem;

    use super::super::measure::tests::row;
    use super::*;

    #[test]
    fn slow_and_suspicious_flushes_are_told() {
        let alignment = Alignment { memory_bytes: 4096, position_bytes: 4096 };
        let facts = DiskFacts { file_system: FileSystem::Ext4, alignment, direct_io: true };
        let say = |flush: Duration| {
            let rows = [row(Row::DurableWrite(4 << 10), Duration::from_millis(1)), row(Row::Flush, flush)];
            sentences(&rows, facts).join("\n")
        };
        let usual = say(Duration::from_micros(500));
        assert!(usual.contains("waits 1.000 ms") && usual.contains("About 1,000 flushes"), "{usual}");
        assert!(!usual.contains("A flush takes"), "{usual}");
        assert!(say(Duration::from_micros(10)).contains("does not do what it is told"));
        assert!(say(Duration::from_millis(12)).contains("write.caching"));
        assert!(say(Duration::from_millis(200)).contains("such pauses"));
    }
}
