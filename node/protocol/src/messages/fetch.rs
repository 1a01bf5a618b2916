//! Fetch: reads record batches from partitions, waiting for them if there are none yet.
//!
//! The response carries records by reference: see [`frame`](crate::frame) for how it is sent.
//! Fetch sessions (KIP-227) are in `session_id` and `session_epoch`; a response with session id 0
//! tells the client to go on without a session.

use alloc::vec::Vec;

use super::table::{message, row};
use super::{CarriesPayloads, LeaderIdAndEpoch, NodeEndpoint};
use crate::ErrorCode;
use crate::codec::{Payload, Text, Uuid};

message! {
    /// Asks for records.
    struct FetchRequest<'a>, request of Fetch {
        cluster_id:       Option<&'a str>         [12..] tag(0) ignorable;
        /// -1 from a consumer.
        replica_id:       i32                     [0..=14] default(-1) ignorable;
        replica_state:    ReplicaOfFetch          [15..] tag(1) ignorable;
        max_wait_ms:      i32                     [0..];
        min_bytes:        i32                     [0..];
        max_bytes:        i32                     [3..] default(i32::MAX) ignorable;
        isolation_level:  i8                      [4..] ignorable;
        session_id:       i32                     [7..] ignorable;
        session_epoch:    i32                     [7..] default(-1) ignorable;
        topics:           Vec<FetchTopic<'a>>     [0..];
        forgotten_topics: Vec<ForgottenTopic<'a>> [7..];
        rack_id:          &'a str                 [11..] ignorable;
    }
}

message! {
    /// The replica that asks.
    struct ReplicaOfFetch {
        /// -1 from a consumer.
        replica_id:    i32 [15..] default(-1);
        replica_epoch: i64 [15..] default(-1);
    }
}

message! {
    /// Partitions of one topic: by its name, from version 13 on by its id.
    struct FetchTopic<'a> {
        topic:      &'a str             [0..=12] ignorable;
        topic_id:   Uuid                [13..] ignorable;
        partitions: Vec<FetchPartition> [0..];
    }
}

message! {
    /// A partition and where to read in it.
    struct FetchPartition {
        partition:            i32 [0..];
        current_leader_epoch: i32 [9..] default(-1) ignorable;
        fetch_offset:         i64 [0..];
        last_fetched_epoch:   i32 [12..] default(-1);
        log_start_offset:     i64 [5..] default(-1) ignorable;
        partition_max_bytes:  i32 [0..];
        /// The directory of the replica that asks.
        replica_directory_id: Uuid [17..] tag(0) ignorable;
    }
}

message! {
    /// Partitions to be taken out of the session.
    struct ForgottenTopic<'a> {
        topic:      &'a str  [7..=12] ignorable;
        topic_id:   Uuid     [13..] ignorable;
        partitions: Vec<i32> [7..];
    }
}

message! {
    /// Records, and how far each partition reaches.
    struct FetchResponse<'a, R>, response of Fetch {
        throttle_time_ms: i32                               [1..] ignorable;
        error_code:       ErrorCode                         [7..] ignorable;
        session_id:       i32                               [7..];
        responses:        Vec<FetchTopicResponse<'a, R>>    [0..];
        /// Where clients reach the leaders that `current_leader` names (KIP-951).
        node_endpoints:   Vec<NodeEndpoint<'a>>             [16..] tag(0) ignorable;
    }
}

message! {
    /// Records of one topic.
    struct FetchTopicResponse<'a, R> {
        topic:      Text<'a>                       [0..=12] ignorable;
        topic_id:   Uuid                           [13..] ignorable;
        partitions: Vec<FetchPartitionResponse<R>> [0..];
    }
}

message! {
    /// Records of one partition.
    struct FetchPartitionResponse<R> {
        partition_index:        i32              [0..];
        error_code:             ErrorCode        [0..];
        high_watermark:         i64              [0..];
        last_stable_offset:     i64              [4..] default(-1) ignorable;
        log_start_offset:       i64              [5..] default(-1) ignorable;
        diverging_epoch:        EpochAndOffset   [12..] tag(0) ignorable;
        current_leader:         LeaderIdAndEpoch [12..] tag(1) ignorable;
        snapshot_id:            SnapshotId       [12..] tag(2) ignorable;
        aborted_transactions:   Option<Vec<AbortedTransaction>> [4..] ignorable;
        preferred_read_replica: i32              [11..] default(-1);
        /// Never null on the wire, though the schema allows it: librdkafka refuses such a response.
        records:                Option<R>        [0..] payload null_as_empty;
    }
}

message! {
    /// The end of the largest epoch not above the one asked for.
    struct EpochAndOffset {
        epoch:      i32 [0..] default(-1);
        end_offset: i64 [0..] default(-1);
    }
}

message! {
    /// A snapshot to be fetched in place of records; only in the metadata quorum of Kafka itself.
    struct SnapshotId {
        end_offset: i64 [0..] default(-1);
        epoch:      i32 [0..] default(-1);
    }
}

message! {
    /// A transaction whose records in the response must be dropped by the reader.
    struct AbortedTransaction {
        producer_id:  i64 [4..];
        first_offset: i64 [4..];
    }
}

impl FetchRequest<'_> {
    /// Who asks, in whichever field the version has it: -1 is a consumer.
    #[must_use]
    pub fn asking_replica_id(&self) -> i32 {
        if self.replica_state.replica_id == -1 { self.replica_id } else { self.replica_state.replica_id }
    }
}

impl<R: Payload> CarriesPayloads<R> for FetchResponse<'_, R> {
    fn into_payloads(self) -> impl Iterator<Item = R> {
        let partitions = self.responses.into_iter().flat_map(|topic| topic.partitions);
        partitions.filter_map(|partition| partition.records)
    }
}
