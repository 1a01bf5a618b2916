//! A Produce request that is encoded once and changed in place, and what its answer must look like.
//!
//! Where the changing fields lie is found by encoding the message twice with other values; so this
//! file knows no layout, and a version's layout may differ.

use std::io;

use ringmain_protocol::ApiKey;
use ringmain_protocol::ErrorCode;
use ringmain_protocol::codec::Reader;
use ringmain_protocol::frame::{Chunk, FRAME_LENGTH_BYTES, request_chunks, response_frame};
use ringmain_protocol::header::{RequestHeader, ResponseHeader};
use ringmain_protocol::messages::{
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic,
    ProduceTopicResponse, decode_response,
};

use crate::driver::wire::client::{CLIENT_ID, check, other, read_header};

/// The newest version that brokers without flexible versions serve too.
pub(crate) const PRODUCE_VERSION: i16 = 7;

/// How long a broker may wait for its replicas.
const REQUEST_TIMEOUT_MS: i32 = 30_000;

/// Two values of which no byte is the same.
const PROBE_VALUES: (i32, i32) = (0, -1);

/// A request for one batch to one partition.
#[derive(Debug, Clone)]
pub(crate) struct ProduceFrame {
    bytes: Vec<u8>,
    correlation_id_at: usize,
    partition_at: usize,
    /// Size of what comes before the batch; all that changes lies in it.
    head_size: usize,
}

impl ProduceFrame {
    /// Encodes the request for `batch`.
    pub(crate) fn new(topic: &str, acks: i16, batch: &[u8]) -> io::Result<Self> {
        let (first, second) = PROBE_VALUES;
        let bytes = encode_request(topic, acks, batch, first, first)?;
        let correlation_id_at =
            first_difference(&bytes, &encode_request(topic, acks, batch, second, first)?)?;
        let partition_at = first_difference(&bytes, &encode_request(topic, acks, batch, first, second)?)?;
        // The batch is the last field of a request.
        let head_size = bytes.len() - batch.len();
        let last_change = correlation_id_at.max(partition_at) + size_of::<i32>();
        if !bytes.ends_with(batch) || last_change > head_size {
            return Err(other("a Produce request does not end with its batch".into()));
        }
        Ok(Self { bytes, correlation_id_at, partition_at, head_size })
    }

    /// The request.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Size of what comes before the batch.
    pub(crate) fn head_size(&self) -> usize {
        self.head_size
    }

    /// Makes `frame`, a copy of [`bytes`](Self::bytes) or of its head, the request with this id to this partition.
    pub(crate) fn patch(&self, frame: &mut [u8], correlation_id: i32, partition: i32) {
        set_i32(frame, self.correlation_id_at, correlation_id);
        set_i32(frame, self.partition_at, partition);
    }
}

/// The form of the answers to one kind of request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProduceAnswer {
    size: usize,
    correlation_id_at: usize,
    error_code_at: usize,
}

impl ProduceAnswer {
    /// The form of answers about `topic`.
    pub(crate) fn new(topic: &str) -> io::Result<Self> {
        let (first, second) = PROBE_VALUES;
        let bytes = encode_answer(topic, first, 0, ErrorCode::NONE, 0)?;
        let other_id = encode_answer(topic, second, 0, ErrorCode::NONE, 0)?;
        let other_code = encode_answer(topic, first, 0, ErrorCode(-1), 0)?;
        Ok(Self {
            size: bytes.len(),
            correlation_id_at: first_difference(&bytes, &other_id)?,
            error_code_at: first_difference(&bytes, &other_code)?,
        })
    }

    /// Fails unless `frame` acknowledges the request with that id.
    pub(crate) fn check(&self, frame: &[u8], correlation_id: i32) -> io::Result<()> {
        let is_expected = frame.len() == self.size
            && frame[self.correlation_id_at..].starts_with(&correlation_id.to_be_bytes())
            && frame[self.error_code_at..].starts_with(&ErrorCode::NONE.0.to_be_bytes());
        if is_expected { Ok(()) } else { check_in_full(frame, correlation_id) }
    }
}

/// Decodes an answer of another form, to say what is wrong with it if anything is.
fn check_in_full(frame: &[u8], correlation_id: i32) -> io::Result<()> {
    let mut reader = Reader::new(&frame[FRAME_LENGTH_BYTES..]);
    read_header(&mut reader, ApiKey::Produce, PRODUCE_VERSION, correlation_id)?;
    let response: ProduceResponse<'_> =
        decode_response(&mut reader, PRODUCE_VERSION).map_err(io::Error::other)?;
    let mut partitions =
        response.responses.iter().flat_map(|topic| topic.partitions.iter().map(move |found| (topic, found)));
    let (topic, partition) = partitions.next().ok_or_else(|| other("an answer names no partition".into()))?;
    check(partition.error_code, || format!("cannot produce to {}-{}", topic.name, partition.index))
}

/// Encodes an answer as a broker does.
pub(crate) fn encode_answer(
    topic: &str,
    correlation_id: i32,
    index: i32,
    error_code: ErrorCode,
    base_offset: i64,
) -> io::Result<Vec<u8>> {
    let header = ResponseHeader { api_key: ApiKey::Produce, api_version: PRODUCE_VERSION, correlation_id };
    let partition = ProducePartitionResponse { index, error_code, base_offset, ..Default::default() };
    let topic = ProduceTopicResponse { name: topic.into(), partitions: vec![partition] };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    Ok(response_frame(&header, &response).map_err(io::Error::other)?.to_vec())
}

/// Encodes a request.
pub(super) fn encode_request(
    topic: &str,
    acks: i16,
    batch: &[u8],
    correlation_id: i32,
    index: i32,
) -> io::Result<Vec<u8>> {
    let header = RequestHeader {
        api_key: ApiKey::Produce,
        api_version: PRODUCE_VERSION,
        correlation_id,
        client_id: Some(CLIENT_ID),
    };
    let partitions = vec![ProducePartition { index, records: Some(batch) }];
    let topics = vec![ProduceTopic { name: topic, partitions }];
    let request = ProduceRequest { transactional_id: None, acks, timeout_ms: REQUEST_TIMEOUT_MS, topics };
    let mut frame = Vec::new();
    for chunk in request_chunks(&header, request).map_err(io::Error::other)? {
        match chunk {
            Chunk::Bytes(bytes) => frame.extend_from_slice(&bytes),
            Chunk::Payload(batch) => frame.extend_from_slice(batch),
        }
    }
    Ok(frame)
}

/// Where two encodings begin to differ.
fn first_difference(left: &[u8], right: &[u8]) -> io::Result<usize> {
    let differs = left.iter().zip(right).position(|(left, right)| left != right);
    differs.ok_or_else(|| other("a field of the request has no place in its bytes".into()))
}

fn set_i32(bytes: &mut [u8], at: usize, value: i32) {
    bytes[at..at + size_of::<i32>()].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringmain_protocol::messages::decode_request;

    #[test]
    fn patched_request_is_the_one_that_would_be_encoded() {
        let frame = ProduceFrame::new("topic", -1, b"records").expect("encodes");
        let mut patched = frame.bytes().to_vec();
        frame.patch(&mut patched, 0x0102_0304, 999);
        let encoded = encode_request("topic", -1, b"records", 0x0102_0304, 999).expect("encodes");
        assert_eq!(patched, encoded);

        let mut reader = Reader::new(&patched[FRAME_LENGTH_BYTES..]);
        let header = RequestHeader::decode(&mut reader).expect("decodes");
        let request: ProduceRequest<'_, &[u8]> =
            decode_request(&mut reader, header.api_version).expect("decodes");
        assert_eq!((header.correlation_id, request.acks), (0x0102_0304, -1));
        assert_eq!(request.topics[0].partitions[0].index, 999);
        assert_eq!(request.topics[0].partitions[0].records, Some(&b"records"[..]));
    }

    #[test]
    fn only_the_acknowledgement_of_the_request_passes() {
        let answer = ProduceAnswer::new("topic").expect("encodes");
        let frame = |topic, id, code| encode_answer(topic, id, 3, code, 12).expect("encodes");
        assert!(answer.check(&frame("topic", 7, ErrorCode::NONE), 7).is_ok());
        assert!(answer.check(&frame("topic", 8, ErrorCode::NONE), 7).is_err());
        let refused = answer.check(&frame("topic", 7, ErrorCode::CORRUPT_MESSAGE), 7);
        let sentence = refused.expect_err("an error code is an error").to_string();
        assert!(sentence.contains("topic-3") && sentence.contains("CORRUPT_MESSAGE"), "{sentence}");
        assert!(answer.check(&frame("topic", 7, ErrorCode::NONE)[..20], 7).is_err());
    }
}
