//! DeleteRecords: moves the log start offset of partitions forward.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

/// Asks for all records below the high watermark to be deleted.
pub const HIGH_WATERMARK_OFFSET: i64 = -1;

message! {
    /// Asks for the heads of partitions to be deleted.
    struct DeleteRecordsRequest<'a>, request of DeleteRecords {
        topics:     Vec<DeleteRecordsTopic<'a>> [0..];
        timeout_ms: i32                         [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct DeleteRecordsTopic<'a> {
        name:       &'a str                     [0..];
        partitions: Vec<DeleteRecordsPartition> [0..];
    }
}

message! {
    /// A partition and its new log start offset.
    struct DeleteRecordsPartition {
        partition_index: i32 [0..];
        offset:          i64 [0..];
    }
}

message! {
    /// Where the partitions begin now.
    struct DeleteRecordsResponse<'a>, response of DeleteRecords {
        throttle_time_ms: i32                               [0..];
        topics:           Vec<DeleteRecordsTopicResult<'a>> [0..];
    }
}

message! {
    /// Results of one topic.
    struct DeleteRecordsTopicResult<'a> {
        name:       Text<'a>                          [0..];
        partitions: Vec<DeleteRecordsPartitionResult> [0..];
    }
}

message! {
    /// Where one partition begins now.
    struct DeleteRecordsPartitionResult {
        partition_index: i32       [0..];
        low_watermark:   i64       [0..] default(-1);
        error_code:      ErrorCode [0..];
    }
}
