//! Produce: appends record batches to partitions.
//!
//! Versions 0 to 2 are parsed only to be answered with `UNSUPPORTED_VERSION` for each partition
//! (their records are in older formats); the response's table covers them for that purpose.

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::CarriesPayloads;
use super::table::{message, row};
use crate::codec::{Payload, Text};
use crate::frame::FRAME_LENGTH_BYTES;
use crate::header::ResponseHeader;
use crate::{ApiKey, ErrorCode};

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

/// The answer that nearly every request gets: its one batch was appended. The same bytes as those of a [`ProduceResponse`],
/// without the lists that one is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendedAnswer<'a> {
    /// Name of the topic.
    pub topic: &'a str,
    /// The partition.
    pub index: i32,
    /// As in [`ProducePartitionResponse`].
    pub base_offset: i64,
    /// As in [`ProducePartitionResponse`].
    pub log_append_time_ms: i64,
    /// As in [`ProducePartitionResponse`].
    pub log_start_offset: i64,
}

impl AppendedAnswer<'_> {
    /// Adds the whole frame to `into`.
    ///
    /// # Panics
    /// If the header is another API's, or the name longer than any topic's.
    pub fn write_frame(&self, header: &ResponseHeader, into: &mut BytesMut) {
        assert_eq!(header.api_key, ApiKey::Produce, "the header announces the answer");
        let version = header.api_version;
        let is_flexible = ApiKey::Produce.is_flexible(version);
        let begin = into.len();
        into.put_i32(0);
        into.put_i32(header.correlation_id);
        if is_flexible {
            into.put_slice(&[NO_TAGS, ONE_COMPACT]);
            put_compact_length(into, self.topic.len());
            into.put_slice(self.topic.as_bytes());
            into.put_u8(ONE_COMPACT);
        } else {
            into.put_i32(1);
            into.put_i16(i16::try_from(self.topic.len()).expect("a topic's name has at most 249 bytes"));
            into.put_slice(self.topic.as_bytes());
            into.put_i32(1);
        }
        into.put_i32(self.index);
        into.put_i16(ErrorCode::NONE.0);
        into.put_i64(self.base_offset);
        if version >= 2 {
            into.put_i64(self.log_append_time_ms);
        }
        if version >= 5 {
            into.put_i64(self.log_start_offset);
        }
        if is_flexible {
            // No record errors, no message; the tags of the partition and of the topic.
            into.put_slice(&[1, 0, NO_TAGS, NO_TAGS]);
        } else if version >= 8 {
            into.put_i32(0);
            into.put_i16(-1);
        }
        if version >= 1 {
            into.put_i32(0);
        }
        if is_flexible {
            into.put_u8(NO_TAGS);
        }
        let length = i32::try_from(into.len() - begin - FRAME_LENGTH_BYTES).expect("a small frame");
        into[begin..begin + FRAME_LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    }
}

const NO_TAGS: u8 = 0;
/// The length of a compact list with one element.
const ONE_COMPACT: u8 = 2;

/// The length of a compact string that is shorter than two bytes of it can say.
fn put_compact_length(into: &mut BytesMut, length: usize) {
    let coded = u16::try_from(length + 1).expect("a topic's name has at most 249 bytes");
    assert!(coded < 1 << 14, "a topic's name has at most 249 bytes");
    if coded < 1 << 7 {
        into.put_u8(coded as u8);
    } else {
        into.put_slice(&[coded as u8 | 1 << 7, (coded >> 7) as u8]);
    }
}

impl<R: Payload> CarriesPayloads<R> for ProduceRequest<'_, R> {
    fn into_payloads(self) -> impl Iterator<Item = R> {
        let partitions = self.topics.into_iter().flat_map(|topic| topic.partitions);
        partitions.filter_map(|partition| partition.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::response_frame;

    #[test]
    fn an_appended_batch_is_answered_in_the_bytes_of_the_whole_message() {
        for api_version in ApiKey::Produce.versions().iter() {
            for name_length in [0, 1, 125, 126, 127, 128, 249] {
                let name = "n".repeat(name_length);
                let answer = AppendedAnswer {
                    topic: &name,
                    index: 7,
                    base_offset: 1 << 40,
                    log_append_time_ms: 1_700_000_000_000,
                    log_start_offset: 12,
                };
                let partition = ProducePartitionResponse {
                    index: answer.index,
                    base_offset: answer.base_offset,
                    log_append_time_ms: answer.log_append_time_ms,
                    log_start_offset: answer.log_start_offset,
                    ..Default::default()
                };
                let topic =
                    ProduceTopicResponse { name: Text::Borrowed(&name), partitions: Vec::from([partition]) };
                let response = ProduceResponse { responses: Vec::from([topic]), ..Default::default() };
                let header = ResponseHeader { api_key: ApiKey::Produce, api_version, correlation_id: -9 };
                let mut frame = BytesMut::from(&b"before"[..]);
                answer.write_frame(&header, &mut frame);
                let expected = response_frame(&header, &response).expect("encodes");
                assert_eq!(&frame[6..], &expected[..], "version {api_version}, a name of {name_length}");
            }
        }
    }
}
