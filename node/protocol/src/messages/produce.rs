//! Produce: appends record batches to partitions.
//!
//! Versions 0 to 2 are parsed only to be answered with `UNSUPPORTED_VERSION` for each partition
//! (their records are in older formats); the response's table covers them for that purpose.

use alloc::vec::Vec;

use super::CarriesPayloads;
use super::table::{message, row};
use crate::ErrorCode;
use crate::codec::{Payload, Text};

message! {
    /// Asks to append; the records stay where they are.
    struct ProduceRequest<'a, R>, request of Produce {
        transactional_id: Option<&'a str>               [3..];
        /// 0: no answer at all; 1: written by the leader; -1: by all in-sync replicas.
        acks:             i16                           [0..];
        timeout_ms:       i32                           [0..];
        topics:           Vec<ProduceTopic<'a, R>>      [0..];
    }
}

message! {
    /// Records for one topic.
    struct ProduceTopic<'a, R> {
        name:       &'a str                  [0..];
        partitions: Vec<ProducePartition<R>> [0..];
    }
}

message! {
    /// Records for one partition.
    struct ProducePartition<R> {
        index:   i32       [0..];
        records: Option<R> [0..] payload;
    }
}

message! {
    /// Where the records went.
    struct ProduceResponse<'a>, response of Produce {
        responses:        Vec<ProduceTopicResponse<'a>> [0..];
        throttle_time_ms: i32                           [1..] ignorable;
        node_endpoints:   Vec<NodeEndpoint<'a>>         [10..] tag(0) ignorable;
    }
}

message! {
    /// Results of one topic.
    struct ProduceTopicResponse<'a> {
        name:       Text<'a>                          [0..];
        partitions: Vec<ProducePartitionResponse<'a>> [0..];
    }
}

message! {
    /// The result of one partition.
    struct ProducePartitionResponse<'a> {
        index:              i32                   [0..];
        error_code:         ErrorCode             [0..];
        base_offset:        i64                   [0..] default(-1);
        /// -1 unless the topic's timestamps are those of the append.
        log_append_time_ms: i64                   [2..] default(-1) ignorable;
        log_start_offset:   i64                   [5..] default(-1) ignorable;
        record_errors:      Vec<RecordError<'a>>  [8..] ignorable;
        error_message:      Option<Text<'a>>      [8..] ignorable;
        current_leader:     LeaderIdAndEpoch      [10..] tag(0) ignorable;
    }
}

message! {
    /// A record that made the broker refuse its batch.
    struct RecordError<'a> {
        batch_index:               i32              [8..];
        batch_index_error_message: Option<Text<'a>> [8..];
    }
}

message! {
    /// The leader that the broker knows of, when it is not the leader itself.
    struct LeaderIdAndEpoch {
        leader_id:    i32 [0..] default(-1);
        leader_epoch: i32 [0..] default(-1);
    }
}

message! {
    /// Where clients reach a broker that is named as a leader.
    struct NodeEndpoint<'a> {
        node_id: i32              [0..];
        host:    Text<'a>         [0..];
        port:    i32              [0..];
        rack:    Option<Text<'a>> [0..];
    }
}

impl<R: Payload> CarriesPayloads<R> for ProduceRequest<'_, R> {
    fn into_payloads(self) -> impl Iterator<Item = R> {
        let partitions = self.topics.into_iter().flat_map(|topic| topic.partitions);
        partitions.filter_map(|partition| partition.records)
    }
}
