//! ListOffsets: the offset that belongs to a time, or to an end of the log.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

/// Asks for the end of what the isolation level lets be read.
pub const LATEST_TIMESTAMP: i64 = -1;
/// Asks for the log start offset.
pub const EARLIEST_TIMESTAMP: i64 = -2;
/// Asks for the record with the largest timestamp (from version 7).
pub const MAX_TIMESTAMP: i64 = -3;
/// Asks for the start of what lies on the leader's own disks (from version 8).
pub const EARLIEST_LOCAL_TIMESTAMP: i64 = -4;
/// Asks for the end of what lies in remote storage (from version 9).
pub const LATEST_TIERED_TIMESTAMP: i64 = -5;

message! {
    /// Asks for offsets by time.
    struct ListOffsetsRequest<'a>, request of ListOffsets {
        /// -1 from a consumer.
        replica_id:      i32                        [0..] default(-1);
        isolation_level: i8                         [2..];
        topics:          Vec<ListOffsetsTopic<'a>>  [0..];
        /// How long the leader may look for an offset in remote storage.
        timeout_ms:      i32                        [10..] ignorable;
    }
}

message! {
    /// Partitions of one topic.
    struct ListOffsetsTopic<'a> {
        name:       &'a str                   [0..];
        partitions: Vec<ListOffsetsPartition> [0..];
    }
}

message! {
    /// A partition and the time asked for.
    struct ListOffsetsPartition {
        partition_index:      i32 [0..];
        current_leader_epoch: i32 [4..] default(-1) ignorable;
        /// Milliseconds, or one of the constants below zero.
        timestamp:            i64 [0..];
    }
}

message! {
    /// The offsets found.
    struct ListOffsetsResponse<'a>, response of ListOffsets {
        throttle_time_ms: i32                               [2..] ignorable;
        topics:           Vec<ListOffsetsTopicResponse<'a>> [0..];
    }
}

message! {
    /// The offsets of one topic's partitions.
    struct ListOffsetsTopicResponse<'a> {
        name:       Text<'a>                          [0..];
        partitions: Vec<ListOffsetsPartitionResponse> [0..];
    }
}

message! {
    /// The first record at or after the time asked for; -1 and -1 where there is none.
    struct ListOffsetsPartitionResponse {
        partition_index: i32       [0..];
        error_code:      ErrorCode [0..];
        timestamp:       i64       [1..] default(-1);
        offset:          i64       [1..] default(-1);
        leader_epoch:    i32       [4..] default(-1) ignorable;
    }
}
