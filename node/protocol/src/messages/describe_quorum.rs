//! DescribeQuorum: who keeps the cluster's metadata, who leads them, and how far each of them is (KIP-595).

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::{Text, Uuid};

/// The name under which clients know the log of the metadata.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

message! {
    /// Asks for the quorum of partitions; there is one, of the metadata.
    struct DescribeQuorumRequest<'a>, request of DescribeQuorum {
        topics: Vec<DescribeQuorumTopic<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct DescribeQuorumTopic<'a> {
        topic_name: &'a str                      [0..];
        partitions: Vec<DescribeQuorumPartition> [0..];
    }
}

message! {
    /// A partition.
    struct DescribeQuorumPartition {
        partition_index: i32 [0..];
    }
}

message! {
    /// The quorum.
    struct DescribeQuorumResponse<'a>, response of DescribeQuorum {
        error_code:    ErrorCode                            [0..];
        error_message: Option<Text<'a>>                     [2..] default(Some(Text::Borrowed(""))) ignorable;
        topics:        Vec<DescribeQuorumTopicResponse<'a>> [0..];
        nodes:         Vec<QuorumNode<'a>>                  [2..] ignorable;
    }
}

message! {
    /// Partitions of one topic.
    struct DescribeQuorumTopicResponse<'a> {
        topic_name: Text<'a>                                 [0..];
        partitions: Vec<DescribeQuorumPartitionResponse<'a>> [0..];
    }
}

message! {
    /// Who keeps a partition.
    struct DescribeQuorumPartitionResponse<'a> {
        partition_index: i32               [0..];
        error_code:      ErrorCode         [0..];
        error_message:   Option<Text<'a>>  [2..] default(Some(Text::Borrowed(""))) ignorable;
        /// -1 where there is none.
        leader_id:       i32               [0..];
        leader_epoch:    i32               [0..];
        high_watermark:  i64               [0..];
        current_voters:  Vec<ReplicaState> [0..];
        observers:       Vec<ReplicaState> [0..];
    }
}

message! {
    /// How far a member of the quorum is.
    struct ReplicaState {
        replica_id:               i32  [0..];
        replica_directory_id:     Uuid [2..] ignorable;
        log_end_offset:           i64  [0..];
        /// When the leader heard of it last, by the leader's clock; -1 where it has not.
        last_fetch_timestamp:     i64  [1..] default(-1) ignorable;
        /// When it had everything that the leader had.
        last_caught_up_timestamp: i64  [1..] default(-1) ignorable;
    }
}

message! {
    /// A member of the quorum and where the others reach it.
    struct QuorumNode<'a> {
        node_id:   i32                     [2..];
        listeners: Vec<QuorumListener<'a>> [2..];
    }
}

message! {
    /// An endpoint.
    struct QuorumListener<'a> {
        name: Text<'a> [2..];
        host: Text<'a> [2..];
        port: u16      [2..];
    }
}
