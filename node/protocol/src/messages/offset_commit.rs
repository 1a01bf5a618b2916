//! OffsetCommit: a group's progress in each partition.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Stores how far a group is.
    struct OffsetCommitRequest<'a>, request of OffsetCommit {
        group_id:                      &'a str         [0..];
        /// -1, and an empty member id, from a client that is no member.
        generation_id_or_member_epoch: i32             [1..] default(-1) ignorable;
        member_id:                     &'a str         [1..] ignorable;
        group_instance_id:             Option<&'a str> [7..];
        /// -1 for what the broker is set to.
        retention_time_ms:             i64             [2..=4] default(-1) ignorable;
        topics:                        Vec<OffsetCommitRequestTopic<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct OffsetCommitRequestTopic<'a> {
        name:       &'a str                               [0..];
        partitions: Vec<OffsetCommitRequestPartition<'a>> [0..];
    }
}

message! {
    /// The offset of the record that the group reads next.
    struct OffsetCommitRequestPartition<'a> {
        partition_index:        i32             [0..];
        committed_offset:       i64             [0..];
        committed_leader_epoch: i32             [6..] default(-1) ignorable;
        committed_metadata:     Option<&'a str> [0..] default(Some(""));
    }
}

message! {
    /// What became of each partition.
    struct OffsetCommitResponse<'a>, response of OffsetCommit {
        throttle_time_ms: i32                            [3..] ignorable;
        topics:           Vec<OffsetCommitResponseTopic<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct OffsetCommitResponseTopic<'a> {
        name:       Text<'a>                           [0..];
        partitions: Vec<OffsetCommitResponsePartition> [0..];
    }
}

message! {
    /// What became of one partition.
    struct OffsetCommitResponsePartition {
        partition_index: i32       [0..];
        error_code:      ErrorCode [0..];
    }
}
