//! OffsetDelete: deletes the committed offsets of partitions that a group does not read.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for offsets of one group to be deleted.
    struct OffsetDeleteRequest<'a>, request of OffsetDelete {
        group_id: &'a str                           [0..];
        topics:   Vec<OffsetDeleteRequestTopic<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct OffsetDeleteRequestTopic<'a> {
        name:       &'a str                           [0..];
        partitions: Vec<OffsetDeleteRequestPartition> [0..];
    }
}

message! {
    /// A partition.
    struct OffsetDeleteRequestPartition {
        partition_index: i32 [0..];
    }
}

message! {
    /// What became of each partition, or why nothing was done.
    struct OffsetDeleteResponse<'a>, response of OffsetDelete {
        error_code:       ErrorCode                          [0..];
        throttle_time_ms: i32                                [0..];
        topics:           Vec<OffsetDeleteResponseTopic<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct OffsetDeleteResponseTopic<'a> {
        name:       Text<'a>                           [0..];
        partitions: Vec<OffsetDeleteResponsePartition> [0..];
    }
}

message! {
    /// What became of one partition.
    struct OffsetDeleteResponsePartition {
        partition_index: i32       [0..];
        error_code:      ErrorCode [0..];
    }
}
