//! ListPartitionReassignments: which partitions are moving between brokers.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for partitions that move; null asks for all.
    struct ListPartitionReassignmentsRequest<'a>, request of ListPartitionReassignments {
        timeout_ms: i32                                               [0..] default(60_000);
        topics:     Option<Vec<ListPartitionReassignmentsTopics<'a>>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct ListPartitionReassignmentsTopics<'a> {
        name:              &'a str  [0..];
        partition_indexes: Vec<i32> [0..];
    }
}

message! {
    /// The partitions that move.
    struct ListPartitionReassignmentsResponse<'a>, response of ListPartitionReassignments {
        throttle_time_ms: i32                               [0..];
        error_code:       ErrorCode                         [0..];
        error_message:    Option<Text<'a>>                  [0..] default(Some(Text::Borrowed("")));
        topics:           Vec<OngoingTopicReassignment<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct OngoingTopicReassignment<'a> {
        name:       Text<'a>                          [0..];
        partitions: Vec<OngoingPartitionReassignment> [0..];
    }
}

message! {
    /// A partition that moves.
    struct OngoingPartitionReassignment {
        partition_index:   i32      [0..];
        replicas:          Vec<i32> [0..];
        adding_replicas:   Vec<i32> [0..];
        removing_replicas: Vec<i32> [0..];
    }
}
