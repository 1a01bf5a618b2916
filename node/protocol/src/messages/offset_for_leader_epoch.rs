//! OffsetForLeaderEpoch: where an epoch ended, so that a reader finds out whether its log was cut.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for the ends of epochs.
    struct OffsetForLeaderEpochRequest<'a>, request of OffsetForLeaderEpoch {
        /// -1 from a consumer; -2, before version 3, from a replica that does not say which.
        replica_id: i32                            [3..] default(-2) ignorable;
        topics:     Vec<OffsetForLeaderTopic<'a>>  [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct OffsetForLeaderTopic<'a> {
        topic:      &'a str                       [0..];
        partitions: Vec<OffsetForLeaderPartition> [0..];
    }
}

message! {
    /// A partition and the epoch asked for.
    struct OffsetForLeaderPartition {
        partition:            i32 [0..];
        current_leader_epoch: i32 [2..] default(-1) ignorable;
        leader_epoch:         i32 [0..];
    }
}

message! {
    /// The ends of the epochs.
    struct OffsetForLeaderEpochResponse<'a>, response of OffsetForLeaderEpoch {
        throttle_time_ms: i32                                   [2..] ignorable;
        topics:           Vec<OffsetForLeaderTopicResult<'a>>   [0..];
    }
}

message! {
    /// Results of one topic.
    struct OffsetForLeaderTopicResult<'a> {
        topic:      Text<'a>                             [0..];
        partitions: Vec<OffsetForLeaderPartitionResult>  [0..];
    }
}

message! {
    /// The largest epoch not above the one asked for, and the offset after its last record.
    struct OffsetForLeaderPartitionResult {
        error_code:   ErrorCode [0..];
        partition:    i32       [0..];
        leader_epoch: i32       [1..] default(-1) ignorable;
        end_offset:   i64       [0..] default(-1);
    }
}
