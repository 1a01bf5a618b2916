//! DescribeLogDirs: the folders that partitions lie in, and how large they are there.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for partitions; null asks for all.
    struct DescribeLogDirsRequest<'a>, request of DescribeLogDirs {
        topics: Option<Vec<DescribableLogDirTopic<'a>>> [0..] default(Some(Vec::new()));
    }
}

message! {
    /// Partitions of one topic.
    struct DescribableLogDirTopic<'a> {
        topic:      &'a str  [0..];
        partitions: Vec<i32> [0..];
    }
}

message! {
    /// The folders.
    struct DescribeLogDirsResponse<'a>, response of DescribeLogDirs {
        throttle_time_ms: i32                            [0..];
        error_code:       ErrorCode                      [3..] ignorable;
        results:          Vec<DescribeLogDirsResult<'a>> [0..];
    }
}

message! {
    /// A folder, and the volume that it lies on.
    struct DescribeLogDirsResult<'a> {
        error_code:   ErrorCode                     [0..];
        log_dir:      Text<'a>                      [0..];
        topics:       Vec<DescribeLogDirsTopic<'a>> [0..];
        total_bytes:  i64                           [4..] default(-1) ignorable;
        usable_bytes: i64                           [4..] default(-1) ignorable;
    }
}

message! {
    /// Partitions of one topic.
    struct DescribeLogDirsTopic<'a> {
        name:       Text<'a>                      [0..];
        partitions: Vec<DescribeLogDirsPartition> [0..];
    }
}

message! {
    /// A partition's log in a folder.
    struct DescribeLogDirsPartition {
        partition_index: i32  [0..];
        /// Bytes of all segments.
        partition_size:  i64  [0..];
        /// How far the log is behind: of a future log behind the one that it will replace.
        offset_lag:      i64  [0..];
        /// Whether this log is being filled to replace one in another folder.
        is_future_key:   bool [0..];
    }
}
