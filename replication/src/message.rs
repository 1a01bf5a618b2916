//! What nodes say to each other about the data of partitions: fetches and their answers.
//!
//! A message is one frame of whatever carries it. It is made of a header of fixed length, a body of fixed-width fields, and
//! record batches as they are in the log:
//!
//! ```text
//! magic u32 | version u8 | kind u8 | zero u16 | body bytes u32 | record bytes u32 | CRC-32 of the body | CRC-32 of all before
//! ```
//!
//! What must hold: nothing is allocated for a number that came from outside before that many bytes are there; a message
//! that is not exactly of the form is refused as a whole; records are neither copied nor read here (they have a CRC of
//! their own, which the follower checks before it appends).
//!
//! All integers are big-endian. `-1` stands for "none" where a field may have none.

mod codec;
mod error;
mod fetch_answer;
mod fetch_request;
#[cfg(test)]
mod tests;

use alloc::vec;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use codec::Take;
pub use error::MessageError;
pub use fetch_answer::{FetchAnswers, PartitionAnswer};
pub use fetch_request::{FetchRequest, PartitionFetch};

/// First bytes of every message: "RMN1".
const MAGIC: u32 = 0x524d_4e31;
/// The only version so far. Another one is refused: nodes agree on versions before they replicate.
pub const VERSION: u8 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 24;
/// Largest body. A partition takes at most some 100 bytes of it, so a message can speak of all partitions of a shard.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Largest record bytes of one message: the largest batch that a topic can allow. Usually they are far less: a node
/// fills an answer up to a limit of its own, and only a batch that is larger alone goes beyond it.
pub const RECORDS_BYTES_MAX: usize = 128 << 20;
/// Largest message.
pub const MESSAGE_BYTES_MAX: usize = HEADER_BYTES + BODY_BYTES_MAX + RECORDS_BYTES_MAX;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A follower asks.
    FetchRequest(FetchRequest),
    /// A leader answers.
    FetchAnswers(FetchAnswers),
}

impl Message {
    fn kind(&self) -> u8 {
        match self {
            Self::FetchRequest(_) => 1,
            Self::FetchAnswers(_) => 2,
        }
    }

    /// The slices of the frame, in order; records are shared, not copied.
    pub fn encode(&self) -> Result<Vec<Bytes>, MessageError> {
        let mut frame = BytesMut::zeroed(HEADER_BYTES);
        let mut records = Vec::new();
        match self {
            Self::FetchRequest(request) => request.encode(&mut frame),
            Self::FetchAnswers(answers) => answers.encode(&mut frame, &mut records),
        }
        let record_bytes: usize = records.iter().map(Bytes::len).sum();
        let header = Header {
            kind: self.kind(),
            body_bytes: limited("body", frame.len() - HEADER_BYTES, BODY_BYTES_MAX)?,
            record_bytes: limited("records", record_bytes, RECORDS_BYTES_MAX)?,
            body_crc: crc32fast::hash(&frame[HEADER_BYTES..]),
        };
        frame[..HEADER_BYTES].copy_from_slice(&header.encode());
        let mut slices = vec![frame.freeze()];
        slices.append(&mut records);
        Ok(slices)
    }

    /// Reads a frame; records stay slices of it.
    pub fn decode(frame: &Bytes) -> Result<Self, MessageError> {
        let header = Header::decode(frame)?;
        let (body_bytes, record_bytes) = (header.body_bytes as usize, header.record_bytes as usize);
        if frame.len() != HEADER_BYTES + body_bytes + record_bytes {
            return Err(MessageError::Length {
                told: HEADER_BYTES + body_bytes + record_bytes,
                got: frame.len(),
            });
        }
        let body = frame.slice(HEADER_BYTES..HEADER_BYTES + body_bytes);
        if crc32fast::hash(&body) != header.body_crc {
            return Err(MessageError::Checksum("body"));
        }
        let records = frame.slice(HEADER_BYTES + body_bytes..);
        let mut take = Take::new(&body);
        let message = match header.kind {
            1 => Self::FetchRequest(FetchRequest::decode(&mut take)?),
            2 => return Ok(Self::FetchAnswers(FetchAnswers::decode(take, &records)?)),
            kind => return Err(MessageError::Kind(kind)),
        };
        take.end()?;
        if records.is_empty() { Ok(message) } else { Err(MessageError::Field("records")) }
    }
}

fn limited(what: &'static str, bytes: usize, max: usize) -> Result<u32, MessageError> {
    match u32::try_from(bytes) {
        Ok(fits) if bytes <= max => Ok(fits),
        _ => Err(MessageError::TooLarge { what, bytes, max }),
    }
}

/// What stands before the body.
struct Header {
    kind: u8,
    body_bytes: u32,
    record_bytes: u32,
    body_crc: u32,
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut rest = &mut bytes[..];
        rest.put_u32(MAGIC);
        rest.put_u8(VERSION);
        rest.put_u8(self.kind);
        rest.put_u16(0);
        rest.put_u32(self.body_bytes);
        rest.put_u32(self.record_bytes);
        rest.put_u32(self.body_crc);
        let crc = crc32fast::hash(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn decode(frame: &[u8]) -> Result<Self, MessageError> {
        let Some(header) = frame.get(..HEADER_BYTES) else {
            return Err(MessageError::Length { told: HEADER_BYTES, got: frame.len() });
        };
        let mut take = Take::new(header);
        let magic = take.u32()?;
        if magic != MAGIC {
            return Err(MessageError::Magic(magic));
        }
        let version = take.u8()?;
        if version != VERSION {
            return Err(MessageError::Version(version));
        }
        let (kind, zero) = (take.u8()?, take.u16()?);
        let (body_bytes, record_bytes, body_crc, crc) = (take.u32()?, take.u32()?, take.u32()?, take.u32()?);
        if crc != crc32fast::hash(&header[..HEADER_BYTES - 4]) {
            return Err(MessageError::Checksum("header"));
        }
        if zero != 0 {
            return Err(MessageError::Field("reserved"));
        }
        for (what, bytes, max) in
            [("body", body_bytes, BODY_BYTES_MAX), ("records", record_bytes, RECORDS_BYTES_MAX)]
        {
            limited(what, bytes as usize, max)?;
        }
        Ok(Self { kind, body_bytes, record_bytes, body_crc })
    }
}
