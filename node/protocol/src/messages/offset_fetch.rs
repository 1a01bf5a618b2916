//! OffsetFetch: the offsets that groups have committed.
//!
//! Up to version 7 a request asks for one group, from version 8 for several (KIP-709): the fields
//! of a group stand in the message itself or in its list of groups.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for committed offsets.
    struct OffsetFetchRequest<'a>, request of OffsetFetch {
        group_id: &'a str [..=7];
        /// Null asks for all topics.
        topics: Option<Vec<OffsetFetchRequestTopic<'a>>> [..=7] nullable(2..)
            default(Some(Vec::new()));
        groups:         Vec<OffsetFetchRequestGroup<'a>> [8..];
        require_stable: bool                             [7..];
    }
}

message! {
    /// Partitions of one topic.
    struct OffsetFetchRequestTopic<'a> {
        name:              &'a str  [0..];
        partition_indexes: Vec<i32> [0..];
    }
}

message! {
    /// A group, and what is asked for of it.
    struct OffsetFetchRequestGroup<'a> {
        group_id: &'a str                                  [8..];
        /// Null asks for all topics.
        topics:   Option<Vec<OffsetFetchRequestTopic<'a>>> [8..] default(Some(Vec::new()));
    }
}

message! {
    /// Committed offsets.
    struct OffsetFetchResponse<'a>, response of OffsetFetch {
        throttle_time_ms: i32                               [3..] ignorable;
        topics:           Vec<OffsetFetchResponseTopic<'a>> [..=7];
        error_code:       ErrorCode                         [2..=7] ignorable;
        groups:           Vec<OffsetFetchResponseGroup<'a>> [8..];
    }
}

message! {
    /// Partitions of one topic.
    struct OffsetFetchResponseTopic<'a> {
        name:       Text<'a>                              [0..];
        partitions: Vec<OffsetFetchResponsePartition<'a>> [0..];
    }
}

message! {
    /// The committed offset of one partition.
    struct OffsetFetchResponsePartition<'a> {
        partition_index:        i32              [0..];
        /// -1 where nothing is committed.
        committed_offset:       i64              [0..];
        committed_leader_epoch: i32              [5..] default(-1) ignorable;
        metadata:               Option<Text<'a>> [0..] default(Some(Text::Borrowed("")));
        error_code:             ErrorCode        [0..];
    }
}

message! {
    /// Committed offsets of one group.
    struct OffsetFetchResponseGroup<'a> {
        group_id:   Text<'a>                          [8..];
        topics:     Vec<OffsetFetchResponseTopic<'a>> [8..];
        error_code: ErrorCode                         [8..];
    }
}
