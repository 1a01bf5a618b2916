//! CreateTopics: creates topics, or says what creating them would do.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::{Text, Uuid};

message! {
    /// Asks for topics to be created.
    struct CreateTopicsRequest<'a>, request of CreateTopics {
        topics:        Vec<CreatableTopic<'a>> [0..];
        timeout_ms:    i32                     [0..] default(60_000);
        validate_only: bool                    [1..];
    }
}

message! {
    /// A topic to create.
    struct CreatableTopic<'a> {
        name:               &'a str                         [0..];
        /// -1 means the broker's default (from version 4), or that `assignments` says it.
        num_partitions:     i32                             [0..];
        /// As `num_partitions`.
        replication_factor: i16                             [0..];
        assignments:        Vec<CreatableReplicaAssignment> [0..];
        configs:            Vec<CreatableTopicConfig<'a>>   [0..];
    }
}

message! {
    /// The brokers that shall hold a partition, the preferred leader first.
    struct CreatableReplicaAssignment {
        partition_index: i32      [0..];
        broker_ids:      Vec<i32> [0..];
    }
}

message! {
    /// A config that the topic shall have.
    struct CreatableTopicConfig<'a> {
        name:  &'a str         [0..];
        value: Option<&'a str> [0..];
    }
}

message! {
    /// What became of each topic.
    struct CreateTopicsResponse<'a>, response of CreateTopics {
        throttle_time_ms: i32                          [2..] ignorable;
        topics:           Vec<CreatableTopicResult<'a>> [0..];
    }
}

message! {
    /// What became of one topic.
    struct CreatableTopicResult<'a> {
        name:                    Text<'a>         [0..];
        topic_id:                Uuid             [7..] ignorable;
        error_code:              ErrorCode        [0..];
        error_message:           Option<Text<'a>> [1..] ignorable;
        topic_config_error_code: ErrorCode        [5..] tag(0) ignorable;
        num_partitions:          i32              [5..] default(-1) ignorable;
        replication_factor:      i16              [5..] default(-1) ignorable;
        configs: Option<Vec<CreatedTopicConfig<'a>>> [5..] default(Some(Vec::new())) ignorable;
    }
}

message! {
    /// A config of a created topic.
    struct CreatedTopicConfig<'a> {
        name:          Text<'a>         [5..];
        value:         Option<Text<'a>> [5..];
        read_only:     bool             [5..];
        config_source: i8               [5..] default(-1) ignorable;
        is_sensitive:  bool             [5..];
    }
}
