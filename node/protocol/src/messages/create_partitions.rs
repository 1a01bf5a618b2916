//! CreatePartitions: raises the number of partitions of topics.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for more partitions.
    struct CreatePartitionsRequest<'a>, request of CreatePartitions {
        topics:        Vec<CreatePartitionsTopic<'a>> [0..];
        timeout_ms:    i32                            [0..];
        validate_only: bool                           [0..];
    }
}

message! {
    /// A topic and how many partitions it shall have in all.
    struct CreatePartitionsTopic<'a> {
        name:        &'a str                                 [0..];
        count:       i32                                     [0..];
        assignments: Option<Vec<CreatePartitionsAssignment>> [0..];
    }
}

message! {
    /// The brokers that shall hold a new partition, the preferred leader first.
    struct CreatePartitionsAssignment {
        broker_ids: Vec<i32> [0..];
    }
}

message! {
    /// What became of each topic.
    struct CreatePartitionsResponse<'a>, response of CreatePartitions {
        throttle_time_ms: i32                                  [0..];
        results:          Vec<CreatePartitionsTopicResult<'a>> [0..];
    }
}

message! {
    /// What became of one topic.
    struct CreatePartitionsTopicResult<'a> {
        name:          Text<'a>         [0..];
        error_code:    ErrorCode        [0..];
        error_message: Option<Text<'a>> [0..];
    }
}
