//! What a shard counts of replication.

use super::super::{
    Shard,
    counters::{Counter, counted},
};

counted! {
    /// Events of one shard.
    ReplicationCounters, ReplicationValues {
        /// Record bytes that followers sent for here.
        bytes_sent,
        /// Of those, the ones that were read from disk.
        catch_up_bytes_sent,
        /// Record bytes that leaders sent here.
        bytes_received,
        /// Batches that were appended as a follower.
        batches_appended,
        /// Answers for partitions, whatever they say.
        answers_sent,
        answers_received,
        /// Fetches of followers for partitions.
        fetches_received,
        /// Answers whose records were damaged, or could not be appended.
        answers_failed,
        /// In-sync sets that the controller changed for leaders of this shard.
        in_sync_changes,
        /// Logs that were cut because the leader's history is another one.
        truncations,
        /// Logs that began anew because the leader's begins later.
        restarts,
    }
}

impl Shard {
    /// What replication counts.
    pub(crate) fn replication_counters(&self) -> &ReplicationCounters {
        &self.replication_counters
    }
}
