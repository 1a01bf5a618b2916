//! DescribeTopicPartitions: topics and their partitions, a page at a time (KIP-966).

use alloc::vec::Vec;

use super::AUTHORIZED_OPERATIONS_OMITTED;
use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Text, Uuid, Version, Writer};

/// Before a structure that may be null and is.
const NULL: i8 = -1;
/// Before one that is there.
const PRESENT: i8 = 1;

message! {
    /// Asks for topics; none named asks for all.
    struct DescribeTopicPartitionsRequest<'a>, request of DescribeTopicPartitions {
        topics: Vec<DescribeTopicPartitionsTopic<'a>> [0..];
        response_partition_limit: i32                 [0..] default(2000);
        cursor: Option<TopicPartitionCursor<'a>>      [0..];
    }
}

message! {
    /// A topic that is asked for.
    struct DescribeTopicPartitionsTopic<'a> {
        name: &'a str [0..];
    }
}

message! {
    /// The first partition of a page.
    struct TopicPartitionCursor<'a> {
        topic_name:      Text<'a> [0..];
        partition_index: i32      [0..];
    }
}

message! {
    /// A page.
    struct DescribeTopicPartitionsResponse<'a>, response of DescribeTopicPartitions {
        throttle_time_ms: i32                        [0..] ignorable;
        topics:           Vec<DescribedTopic<'a>>    [0..];
        /// Where the next page begins, if there is one.
        next_cursor: Option<TopicPartitionCursor<'a>> [0..];
    }
}

message! {
    /// A topic, or why it cannot be described.
    struct DescribedTopic<'a> {
        error_code:  ErrorCode               [0..];
        name:        Option<Text<'a>>        [0..] default(Some(Text::Borrowed("")));
        topic_id:    Uuid                    [0..] ignorable;
        is_internal: bool                    [0..] ignorable;
        partitions:  Vec<DescribedPartition> [0..];
        topic_authorized_operations: i32     [0..] default(AUTHORIZED_OPERATIONS_OMITTED);
    }
}

message! {
    /// A partition and its replicas.
    struct DescribedPartition {
        error_code:               ErrorCode        [0..];
        partition_index:          i32              [0..];
        /// -1 where there is none.
        leader_id:                i32              [0..];
        leader_epoch:             i32              [0..] default(-1) ignorable;
        replica_nodes:            Vec<i32>         [0..];
        isr_nodes:                Vec<i32>         [0..];
        eligible_leader_replicas: Option<Vec<i32>> [0..];
        last_known_elr:           Option<Vec<i32>> [0..];
        offline_replicas:         Vec<i32>         [0..] ignorable;
    }
}

impl<'wire: 'a, 'a> Decode<'wire> for Option<TopicPartitionCursor<'a>> {
    fn decode(reader: &mut Reader<'wire>, version: Version) -> Result<Self, DecodeError> {
        if reader.i8()? < 0 { Ok(None) } else { TopicPartitionCursor::decode(reader, version).map(Some) }
    }
}

impl Encode for Option<TopicPartitionCursor<'_>> {
    fn encode(&self, writer: &mut Writer, version: Version) -> Result<(), EncodeError> {
        match self {
            None => {
                writer.i8(NULL);
                Ok(())
            }
            Some(cursor) => {
                writer.i8(PRESENT);
                cursor.encode(writer, version)
            }
        }
    }
}
