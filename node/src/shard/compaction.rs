//! Compaction by the clock: one log of the shard at a time, the one that needs it most, in small steps.
//!
//! What must hold: between two steps requests get their turn; what is read and written in a second stays within
//! `storage.compaction_bytes_per_second`. Logs that got no records since their last pass cost a look at a few fields.
//! Does not do: what a pass does to a log (`ringmain-storage`).

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use ringmain_storage::{Compaction, CompactionError, CompactionReport};

use super::{Partition, Shard};
use crate::runtime::{self, NodeDisk};

/// Partitions that are looked at before other tasks get their turn.
const PARTITIONS_IN_A_TURN: usize = 256;
/// Longest sleep of a pass that is ahead of its rate, so that a stop is noticed.
const PAUSE_MAX: Duration = Duration::from_millis(200);

impl Shard {
    /// Compacts logs until the node stops.
    pub(super) async fn keep_compacted(self: Rc<Self>) {
        let period = Duration::from_millis(self.config().storage.compaction_check_ms);
        while !self.is_stopping() {
            runtime::sleep(period).await;
            // After a pass that came to its end there may be others; after any other the next look is soon enough.
            while let Some(partition) = self.dirtiest().await {
                if !self.compact(&partition).await {
                    break;
                }
            }
        }
    }

    /// The partition that needs compaction most, if any does.
    async fn dirtiest(&self) -> Option<Rc<Partition>> {
        let now_ms = runtime::unix_ms();
        let mut dirtiest = None;
        for (index, partition) in self.all_partitions().into_iter().enumerate() {
            if index % PARTITIONS_IN_A_TURN == PARTITIONS_IN_A_TURN - 1 {
                runtime::yield_to_reactor().await;
            }
            let (log, high_watermark) = (partition.log(), partition.high_watermark());
            log.roll_for_compaction(now_ms, high_watermark);
            let Some(need) = log.compaction_need(now_ms, high_watermark) else { continue };
            if dirtiest.as_ref().is_none_or(|(most, _)| *most < need) {
                dirtiest = Some((need, partition));
            }
        }
        dirtiest.map(|(_, partition)| partition).filter(|_| !self.is_stopping())
    }

    /// Runs one pass. Says whether it came to its end.
    async fn compact(&self, partition: &Partition) -> bool {
        let pass = partition.log().begin_compaction(runtime::unix_ms(), partition.high_watermark());
        let Some(mut pass) = pass else { return false };
        let (topic, index, began) = (partition.topic(), partition.key().partition, Instant::now());
        match self.run_pass(&mut pass, began).await {
            Ok(Some(report)) if !report.is_abandoned => {
                self.counters().compaction_passes.increment();
                self.counters().compaction_records_removed.add(report.records_removed);
                tracing::debug!(
                    topic,
                    partition = index,
                    from = report.dirty_offset,
                    to = report.end_offset,
                    keys = report.keys,
                    bytes_read = report.bytes_read,
                    bytes_written = report.bytes_written,
                    records_read = report.records_read,
                    records_removed = report.records_removed,
                    records_without_key = report.records_without_key,
                    segments_replaced = report.segments_replaced,
                    milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "compacted a log"
                );
                true
            }
            Ok(_) => {
                tracing::debug!(topic, partition = index, "gave up compacting a log that was cut or deleted");
                false
            }
            Err(error) => {
                self.counters().compaction_failures.increment();
                if partition.log().is_uncleanable() {
                    tracing::error!(topic, partition = index, %error, "compact a log; not tried again until the next start");
                } else {
                    tracing::warn!(topic, partition = index, %error, "compact a log; tried again later");
                }
                false
            }
        }
    }

    /// The steps of a pass; `None` when the node stops first.
    async fn run_pass(
        &self,
        pass: &mut Compaction<NodeDisk>,
        began: Instant,
    ) -> Result<Option<CompactionReport>, CompactionError> {
        let bytes_per_second = self.config().storage.compaction_bytes_per_second;
        let mut moved_bytes = 0;
        while !self.is_stopping() {
            let step = pass.step().await?;
            self.counters().compaction_bytes_read.add(step.bytes_read);
            self.counters().compaction_bytes_written.add(step.bytes_written);
            if step.is_over {
                return Ok(Some(pass.report()));
            }
            moved_bytes += step.bytes_read + step.bytes_written;
            let due = Duration::from_micros(moved_bytes.saturating_mul(1_000_000) / bytes_per_second);
            runtime::yield_to_reactor().await;
            while let Some(ahead) = due.checked_sub(began.elapsed()).filter(|_| !self.is_stopping()) {
                runtime::sleep(ahead.min(PAUSE_MAX)).await;
            }
        }
        Ok(None)
    }

    /// Partitions that are not compacted any more until the next start.
    pub(super) fn uncleanable_partitions(&self) -> usize {
        self.all_partitions().iter().filter(|partition| partition.log().is_uncleanable()).count()
    }
}
