//! Frames: a message with the four bytes before it that say how long it is.
//!
//! A frame with records is a list of chunks: bytes of ours, and payloads that are sent from where
//! they are (memory or a file). The length covers both. No payload is ever copied here.

use alloc::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use crate::codec::{Encode, EncodeError, ErrorTally, Payload, Writer};
use crate::header::{RequestHeader, ResponseHeader};
use crate::messages::{self, CarriesPayloads, Request, Response};

/// Size of the length that begins a frame.
pub const FRAME_LENGTH_BYTES: usize = 4;

/// Most answers without records fit, so that their buffer is allocated once.
const FRAME_CAPACITY_BYTES: usize = 256;

/// The length that begins a frame is not acceptable; the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a frame of {length} bytes, where 0 to {limit} are accepted")]
pub struct FrameLengthError {
    /// What the peer claims.
    pub length: i32,
    /// What is accepted.
    pub limit: usize,
}

/// Length of the message that follows `prefix`, if it is at most `limit`.
pub fn parse_frame_length(prefix: [u8; FRAME_LENGTH_BYTES], limit: usize) -> Result<usize, FrameLengthError> {
    let length = i32::from_be_bytes(prefix);
    match usize::try_from(length) {
        Ok(size) if size <= limit => Ok(size),
        _ => Err(FrameLengthError { length, limit }),
    }
}

/// A piece of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk<P> {
    /// Bytes made by the encoder.
    Bytes(Bytes),
    /// Records, from where they are.
    Payload(P),
}

impl<P: Payload> Payload for Chunk<P> {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Payload(payload) => payload.size_bytes(),
        }
    }
}

/// A frame with a request that carries no records.
pub fn request_frame<R: Request + Encode>(
    header: &RequestHeader<'_>,
    request: &R,
) -> Result<Bytes, EncodeError> {
    Ok(contiguous(write_request(header, request)?))
}

/// A frame with a response that carries no records.
pub fn response_frame<R: Response + Encode>(
    header: &ResponseHeader,
    response: &R,
) -> Result<Bytes, EncodeError> {
    Ok(contiguous(write_response(header, response)?))
}

/// The same, with the error codes that it has.
pub fn tallied_response_frame<R: Response + Encode>(
    header: &ResponseHeader,
    response: &R,
) -> Result<(Bytes, ErrorTally), EncodeError> {
    let mut writer = write_response(header, response)?;
    let errors = writer.take_errors();
    Ok((contiguous(writer), errors))
}

/// A frame with a request that carries records.
pub fn request_chunks<P: Payload, R: Request + Encode + CarriesPayloads<P>>(
    header: &RequestHeader<'_>,
    request: R,
) -> Result<Vec<Chunk<P>>, EncodeError> {
    let writer = write_request(header, &request)?;
    Ok(chunks(writer, request.into_payloads()))
}

/// A frame with a response that carries records.
pub fn response_chunks<P: Payload, R: Response + Encode + CarriesPayloads<P>>(
    header: &ResponseHeader,
    response: R,
) -> Result<Vec<Chunk<P>>, EncodeError> {
    Ok(tallied_response_chunks(header, response)?.0)
}

/// The same, with the error codes that it has.
pub fn tallied_response_chunks<P: Payload, R: Response + Encode + CarriesPayloads<P>>(
    header: &ResponseHeader,
    response: R,
) -> Result<(Vec<Chunk<P>>, ErrorTally), EncodeError> {
    let mut writer = write_response(header, &response)?;
    let errors = writer.take_errors();
    Ok((chunks(writer, response.into_payloads()), errors))
}

fn write_request<R: Request + Encode>(
    header: &RequestHeader<'_>,
    request: &R,
) -> Result<Writer, EncodeError> {
    assert_eq!(header.api_key, R::API_KEY, "the header announces the request");
    let mut writer = Writer::with_capacity(FRAME_CAPACITY_BYTES);
    writer.raw(&[0; FRAME_LENGTH_BYTES]);
    header.encode(&mut writer)?;
    messages::encode_request(request, &mut writer, header.api_version)?;
    writer.patch_length(0)?;
    Ok(writer)
}

fn write_response<R: Response + Encode>(
    header: &ResponseHeader,
    response: &R,
) -> Result<Writer, EncodeError> {
    assert_eq!(header.api_key, R::API_KEY, "the header announces the response");
    let mut writer = Writer::with_capacity(FRAME_CAPACITY_BYTES);
    writer.raw(&[0; FRAME_LENGTH_BYTES]);
    header.encode(&mut writer);
    messages::encode_response(response, &mut writer, header.api_version)?;
    writer.patch_length(0)?;
    Ok(writer)
}

fn contiguous(writer: Writer) -> Bytes {
    let (bytes, slots) = writer.into_parts();
    assert!(slots.is_empty(), "a message with records is sent as chunks");
    bytes.into()
}

/// Cuts the written bytes at each slot and puts the payload there.
fn chunks<P: Payload>(writer: Writer, payloads: impl Iterator<Item = P>) -> Vec<Chunk<P>> {
    let (bytes, slots) = writer.into_parts();
    let mut head = Bytes::from(bytes);
    let mut cut_at = 0;
    let mut chunks = Vec::with_capacity(2 * slots.len() + 1);
    let mut slots = slots.into_iter();
    for payload in payloads {
        let slot = slots.next().expect("each payload was encoded, in the same order");
        assert_eq!(slot.size_bytes, payload.size_bytes(), "a payload's size does not change");
        if slot.size_bytes == 0 {
            continue;
        }
        chunks.push(Chunk::Bytes(head.split_to(slot.position - cut_at)));
        chunks.push(Chunk::Payload(payload));
        cut_at = slot.position;
    }
    assert!(slots.next().is_none(), "each encoded payload is sent");
    if !head.is_empty() {
        chunks.push(Chunk::Bytes(head));
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiKey;
    use crate::codec::Reader;
    use crate::messages::{FetchPartitionResponse, FetchResponse, FetchTopicResponse};

    struct FileRange {
        bytes: usize,
    }

    impl Payload for FileRange {
        fn size_bytes(&self) -> usize {
            self.bytes
        }
    }

    fn partition<R>(partition_index: i32, records: Option<R>) -> FetchPartitionResponse<R> {
        FetchPartitionResponse { partition_index, records, ..Default::default() }
    }

    #[test]
    fn length_is_limited() {
        assert_eq!(parse_frame_length([0, 0, 1, 0], 256), Ok(256));
        assert!(parse_frame_length([0, 0, 1, 1], 256).is_err());
        assert!(parse_frame_length([0xff; 4], 256).is_err());
        // What a TLS client sends first reads as a length of 352,518,912.
        assert!(parse_frame_length([0x16, 0x03, 0x01, 0x00], 100 << 20).is_err());
    }

    #[test]
    fn records_are_sent_from_where_they_are() {
        for api_version in ApiKey::Fetch.versions().iter() {
            let ranges = [Some(300), None, Some(0), Some(7000)].into_iter().enumerate();
            let partitions = ranges
                .map(|(index, bytes)| partition(index as i32, bytes.map(|bytes| FileRange { bytes })))
                .collect();
            let responses =
                Vec::from([FetchTopicResponse { topic: "t".into(), partitions, ..Default::default() }]);
            let response = FetchResponse { responses, ..Default::default() };
            let header = ResponseHeader { api_key: ApiKey::Fetch, api_version, correlation_id: 3 };
            let chunks = response_chunks(&header, response).expect("encodes");

            let mut frame = Vec::new();
            let mut payloads = 0;
            for chunk in &chunks {
                match chunk {
                    Chunk::Bytes(bytes) => frame.extend_from_slice(bytes),
                    Chunk::Payload(range) => {
                        frame.resize(frame.len() + range.bytes, payloads);
                        payloads += 1;
                    }
                }
            }
            assert_eq!(payloads, 2, "an empty payload is no chunk");
            let (length, message) = frame.split_first_chunk().expect("has a length");
            assert_eq!(parse_frame_length(*length, usize::MAX), Ok(message.len()));
            let mut reader = Reader::new(message);
            ResponseHeader::decode(&mut reader, ApiKey::Fetch, api_version).expect("a header");
            let decoded: FetchResponse<'_, &[u8]> =
                messages::decode_response(&mut reader, api_version).expect("decodes");
            assert_eq!(reader.finish(), Ok(()));
            let records: Vec<_> =
                decoded.responses[0].partitions.iter().map(|partition| partition.records).collect();
            let expected = [Some(&[0; 300][..]), Some(&[]), Some(&[]), Some(&[1; 7000])];
            assert_eq!(records, expected, "version {api_version}");
        }
    }
}
