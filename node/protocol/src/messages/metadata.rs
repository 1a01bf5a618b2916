//! Metadata: the brokers of the cluster, the topics, and who leads their partitions.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::{Text, Uuid};

/// The value of an `authorized_operations` field that was not asked for.
pub const AUTHORIZED_OPERATIONS_OMITTED: i32 = i32::MIN;

message! {
    /// Asks for topics by name or id.
    struct MetadataRequest<'a>, request of Metadata {
        /// Null asks for all topics, and so does an empty list in version 0.
        topics: Option<Vec<MetadataRequestTopic<'a>>> [0..] nullable(1..) default(Some(Vec::new()));
        allow_auto_topic_creation:             bool [4..] default(true);
        include_cluster_authorized_operations: bool [8..=10];
        include_topic_authorized_operations:   bool [8..];
    }
}

message! {
    /// A topic that is asked for.
    struct MetadataRequestTopic<'a> {
        topic_id: Uuid            [10..] ignorable;
        name:     Option<&'a str> [0..] nullable(10..) default(Some(""));
    }
}

message! {
    /// The cluster as this broker knows it.
    struct MetadataResponse<'a>, response of Metadata {
        throttle_time_ms: i32                 [3..] ignorable;
        brokers:          Vec<MetadataBroker<'a>> [0..];
        cluster_id:       Option<Text<'a>>    [2..] ignorable;
        controller_id:    i32                 [1..] default(-1) ignorable;
        topics:           Vec<MetadataTopic<'a>> [0..];
        cluster_authorized_operations: i32    [8..=10] default(AUTHORIZED_OPERATIONS_OMITTED);
        error_code:       ErrorCode           [13..] ignorable;
    }
}

message! {
    /// A broker and where clients reach it.
    struct MetadataBroker<'a> {
        node_id: i32              [0..];
        host:    Text<'a>         [0..];
        port:    i32              [0..];
        rack:    Option<Text<'a>> [1..] ignorable;
    }
}

message! {
    /// A topic, or why it cannot be described.
    struct MetadataTopic<'a> {
        error_code:  ErrorCode              [0..];
        name:        Option<Text<'a>>       [0..] nullable(12..) default(Some(Text::Borrowed("")));
        topic_id:    Uuid                   [10..] ignorable;
        is_internal: bool                   [1..] ignorable;
        partitions:  Vec<MetadataPartition> [0..];
        topic_authorized_operations: i32    [8..] default(AUTHORIZED_OPERATIONS_OMITTED);
    }
}

message! {
    /// A partition and its replicas.
    struct MetadataPartition {
        error_code:       ErrorCode [0..];
        partition_index:  i32       [0..];
        /// -1 where there is none.
        leader_id:        i32       [0..];
        leader_epoch:     i32       [7..] default(-1) ignorable;
        replica_nodes:    Vec<i32>  [0..];
        isr_nodes:        Vec<i32>  [0..];
        offline_replicas: Vec<i32>  [5..] ignorable;
    }
}
