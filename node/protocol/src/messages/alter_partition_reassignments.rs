//! AlterPartitionReassignments: moves partitions to other brokers, or stops such a move (KIP-455).

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for moves.
    struct AlterPartitionReassignmentsRequest<'a>, request of AlterPartitionReassignments {
        timeout_ms:                      i32                        [0..] default(60_000);
        allow_replication_factor_change: bool                       [1..] default(true);
        topics:                          Vec<ReassignableTopic<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct ReassignableTopic<'a> {
        name:       &'a str                    [0..];
        partitions: Vec<ReassignablePartition> [0..];
    }
}

message! {
    /// A partition and who is to keep it.
    struct ReassignablePartition {
        partition_index: i32              [0..];
        /// Null stops the move that is under way.
        replicas:        Option<Vec<i32>> [0..];
    }
}

message! {
    /// Which moves began.
    struct AlterPartitionReassignmentsResponse<'a>, response of AlterPartitionReassignments {
        throttle_time_ms:                i32                                [0..];
        allow_replication_factor_change: bool                               [1..] default(true) ignorable;
        error_code:                      ErrorCode                          [0..];
        error_message:                   Option<Text<'a>>                   [0..] default(Some(Text::Borrowed("")));
        responses:                       Vec<ReassignableTopicResponse<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct ReassignableTopicResponse<'a> {
        name:       Text<'a>                               [0..];
        partitions: Vec<ReassignablePartitionResponse<'a>> [0..];
    }
}

message! {
    /// Whether a partition moves.
    struct ReassignablePartitionResponse<'a> {
        partition_index: i32              [0..];
        error_code:      ErrorCode        [0..];
        error_message:   Option<Text<'a>> [0..] default(Some(Text::Borrowed("")));
    }
}
