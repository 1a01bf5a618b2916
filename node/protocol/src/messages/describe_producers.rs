//! DescribeProducers: the idempotent producers that a partition remembers.

use alloc::vec::Vec;

use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::Text;

message! {
    /// Asks for partitions.
    struct DescribeProducersRequest<'a>, request of DescribeProducers {
        topics: Vec<DescribeProducersTopic<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct DescribeProducersTopic<'a> {
        name:              &'a str  [0..];
        partition_indexes: Vec<i32> [0..];
    }
}

message! {
    /// The producers of each partition.
    struct DescribeProducersResponse<'a>, response of DescribeProducers {
        throttle_time_ms: i32                                     [0..];
        topics:           Vec<DescribeProducersTopicResponse<'a>> [0..];
    }
}

message! {
    /// Partitions of one topic.
    struct DescribeProducersTopicResponse<'a> {
        name:       Text<'a>                                    [0..];
        partitions: Vec<DescribeProducersPartitionResponse<'a>> [0..];
    }
}

message! {
    /// A partition, or why it cannot be described.
    struct DescribeProducersPartitionResponse<'a> {
        partition_index:  i32                [0..];
        error_code:       ErrorCode          [0..];
        error_message:    Option<Text<'a>>   [0..];
        active_producers: Vec<ProducerState> [0..];
    }
}

message! {
    /// A producer.
    struct ProducerState {
        producer_id:              i64 [0..];
        producer_epoch:           i32 [0..];
        last_sequence:            i32 [0..] default(-1);
        last_timestamp:           i64 [0..] default(-1);
        coordinator_epoch:        i32 [0..];
        /// -1 where no transaction is open.
        current_txn_start_offset: i64 [0..] default(-1);
    }
}
