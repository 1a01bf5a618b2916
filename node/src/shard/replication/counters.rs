//! What a shard counts of replication.

use ringmain_replication::quic::EndpointCounters;

use super::super::{Shard, counters::Counter};

/// Events of one shard.
#[derive(Debug, Default)]
pub(crate) struct ReplicationCounters {
    /// Record bytes that followers sent for here.
    pub(crate) bytes_sent: Counter,
    /// Of those, the ones that were read from disk.
    pub(crate) catch_up_bytes_sent: Counter,
    /// Record bytes that leaders sent here.
    pub(crate) bytes_received: Counter,
    /// Batches that were appended as a follower.
    pub(crate) batches_appended: Counter,
    /// Answers for partitions, whatever they say.
    pub(crate) answers_sent: Counter,
    pub(crate) answers_received: Counter,
    /// Fetches of followers for partitions.
    pub(crate) fetches_received: Counter,
    /// Answers whose records were damaged, or could not be appended.
    pub(crate) answers_failed: Counter,
    /// In-sync sets that the controller changed for leaders of this shard.
    pub(crate) in_sync_changes: Counter,
    /// Logs that were cut because the leader's history is another one.
    pub(crate) truncations: Counter,
    /// Logs that began anew because the leader's begins later.
    pub(crate) restarts: Counter,
}

/// The numbers of one shard at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReplicationValues {
    pub(crate) bytes_sent: u64,
    pub(crate) catch_up_bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) batches_appended: u64,
    pub(crate) answers_sent: u64,
    pub(crate) answers_received: u64,
    pub(crate) fetches_received: u64,
    pub(crate) answers_failed: u64,
    pub(crate) in_sync_changes: u64,
    pub(crate) truncations: u64,
    pub(crate) restarts: u64,
    pub(crate) partitions_led: u64,
    pub(crate) partitions_followed: u64,
    /// Partitions led here of which some replica is not in sync.
    pub(crate) partitions_under_replicated: u64,
    /// The most records that a follower lacks of a partition led here.
    pub(crate) follower_lag_records_max: u64,
    /// The longest time that a follower which lacks some has not had everything.
    pub(crate) follower_lag_ms_max: u64,
    pub(crate) quic: EndpointCounters,
}

impl Shard {
    /// What replication counts.
    pub(crate) fn replication_counters(&self) -> &ReplicationCounters {
        &self.replication_counters
    }

    /// All numbers of replication, for whoever exports them.
    pub(crate) fn replication_values(&self) -> ReplicationValues {
        let counters = &self.replication_counters;
        let mut values = ReplicationValues {
            bytes_sent: counters.bytes_sent.get(),
            catch_up_bytes_sent: counters.catch_up_bytes_sent.get(),
            bytes_received: counters.bytes_received.get(),
            batches_appended: counters.batches_appended.get(),
            answers_sent: counters.answers_sent.get(),
            answers_received: counters.answers_received.get(),
            fetches_received: counters.fetches_received.get(),
            answers_failed: counters.answers_failed.get(),
            in_sync_changes: counters.in_sync_changes.get(),
            truncations: counters.truncations.get(),
            restarts: counters.restarts.get(),
            quic: self.replication().map(|it| it.endpoint_counters()).unwrap_or_default(),
            ..ReplicationValues::default()
        };
        for partition in self.all_partitions() {
            values.partitions_led += u64::from(partition.is_leading());
            values.partitions_followed += u64::from(partition.is_following());
            let replicas = partition.replica_lags();
            values.partitions_under_replicated += u64::from(replicas.iter().any(|it| !it.is_in_sync));
            let lag = replicas.iter().map(|it| it.lag_records).max().unwrap_or(0);
            values.follower_lag_records_max = values.follower_lag_records_max.max(lag);
            // Who has everything now is not late, however long nothing was written.
            let late = replicas.iter().filter(|it| it.lag_records > 0);
            let since_ms = late.filter_map(|it| it.since_caught_up_ms).max().unwrap_or(0);
            values.follower_lag_ms_max = values.follower_lag_ms_max.max(since_ms.unsigned_abs());
        }
        values
    }
}
