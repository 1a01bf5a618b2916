//! The bytes of a journal: the header of a file, and the frames behind it. All integers little-endian.
//!
//! ```text
//! file    | header, in the frame of small files, one block | frame | frame | ... | block kept free |
//! header  | generation u64 | first sequence u64 |
//!
//! frame    0 magic "RMframe\x01"   8 version u32      12 checksum u32 of bytes 0..12 and 16..head length
//!         16 generation u64       24 sequence u64     32 live from u64        40 flushed sequence u64
//!         48 head length u32      52 entry count u32  56 frame length u64, a multiple of a block
//!         64 entries of 64 bytes, then their payloads one after the other, then zeros
//! entry    0 topic id 16          16 partition i32    20 payload checksum u32 24 incarnation u64
//!         32 base offset i64      40 next offset i64  48 flushed offset i64
//!         56 leader epoch i32     60 payload length u32
//! ```
//! A payload is a run of whole record batches, as in the segment. Zero bytes are never a frame.
use alloc::vec::Vec;

use crate::codec::{Put, Take, checksum};
use crate::disk::{AlignedBuffer, BUFFER_BYTES_MAX};
use crate::error::Corruption;
use crate::identity::{LogKey, TopicId};
use crate::offset::Offset;
use crate::small_file::{self, Kind};

const FILE_HEADER: Kind = Kind { magic: *b"RMjournl", version: 1 };
const FRAME_MAGIC: [u8; 8] = *b"RMframe\x01";
const FRAME_VERSION: u32 = 1;

/// Bytes of a frame before its entries.
pub(crate) const FRAME_HEAD_BYTES: usize = 64;
/// Where a head says how long it is.
const HEAD_LENGTH_AT: usize = 48;
/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 64;

/// The first block of a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    /// Counts how often any file of this journal was entered.
    pub(crate) generation: u64,
    /// Sequence of the first frame in it.
    pub(crate) first_sequence: u64,
}

impl FileHeader {
    /// Bytes of a header.
    pub(crate) const BYTES: usize = 36;

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_u64(self.generation);
        body.put_u64(self.first_sequence);
        small_file::seal(&FILE_HEADER, &body)
    }

    pub(crate) fn from_bytes(path: &str, block: &[u8]) -> Result<FileHeader, Corruption> {
        let bytes = block.get(..FileHeader::BYTES).unwrap_or(block);
        let mut body = Take(small_file::open(&FILE_HEADER, path, bytes)?);
        let header = (|| Some(FileHeader { generation: body.u64()?, first_sequence: body.u64()? }))();
        header.ok_or_else(|| Corruption {
            file: path.into(),
            position: 20,
            expected: "generation and first sequence".into(),
            got: "less".into(),
        })
    }
}

/// The head of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) generation: u64,
    /// Counts the frames of the journal.
    pub(crate) sequence: u64,
    /// Frames before this one are not needed: all they hold is durable in the segments.
    pub(crate) live_from: u64,
    /// Frames up to this one were durable when this one was written.
    pub(crate) flushed_sequence: u64,
    pub(crate) entries: Vec<Entry>,
    /// Bytes of the whole frame.
    pub(crate) length: usize,
}

/// A run of batches of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: LogKey,
    pub(crate) payload_checksum: u32,
    pub(crate) incarnation: u64,
    pub(crate) base_offset: Offset,
    pub(crate) next_offset: Offset,
    /// Below it the log was durable when the frame was written.
    pub(crate) flushed_offset: Offset,
    pub(crate) leader_epoch: i32,
    pub(crate) payload_bytes: usize,
}

impl Frame {
    /// Bytes of a frame with so many entries and bytes of payload.
    pub(crate) fn length_of(entries: usize, payload_bytes: usize, block_bytes: usize) -> usize {
        (FRAME_HEAD_BYTES + entries * ENTRY_BYTES + payload_bytes).next_multiple_of(block_bytes)
    }

    /// Writes the head into the space kept for it at the front of `buffer`, whose payloads are in place.
    pub(crate) fn encode_head(&self, buffer: &mut AlignedBuffer) {
        let head_length = FRAME_HEAD_BYTES + self.entries.len() * ENTRY_BYTES;
        let mut head = Vec::with_capacity(head_length);
        head.put(&FRAME_MAGIC);
        head.put_u32(FRAME_VERSION);
        head.put_u32(0);
        head.put_u64(self.generation);
        head.put_u64(self.sequence);
        head.put_u64(self.live_from);
        head.put_u64(self.flushed_sequence);
        head.put_u32(u32::try_from(head_length).expect("a frame has at most 2 MiB"));
        head.put_u32(u32::try_from(self.entries.len()).expect("a frame has at most 2 MiB"));
        head.put_u64(self.length as u64);
        for entry in &self.entries {
            head.put(&entry.key.topic_id.0);
            head.put_i32(entry.key.partition);
            head.put_u32(entry.payload_checksum);
            head.put_u64(entry.incarnation);
            head.put_i64(entry.base_offset.value());
            head.put_i64(entry.next_offset.value());
            head.put_i64(entry.flushed_offset.value());
            head.put_i32(entry.leader_epoch);
            head.put_u32(u32::try_from(entry.payload_bytes).expect("a frame has at most 2 MiB"));
        }
        let found = head_checksum(&head);
        head[12..16].copy_from_slice(&found.to_le_bytes());
        buffer.unfrozen_mut(0..head_length).copy_from_slice(&head);
    }

    /// Reads the head of a frame at the beginning of `bytes`, which hold all of it; `None` when no frame begins there.
    pub(crate) fn decode(bytes: &[u8], block_bytes: usize) -> Option<Frame> {
        Frame::decode_head(bytes, bytes.len() as u64, block_bytes)
    }

    /// Bytes of the head that begins here, if it is one; the rest of it may say that it is none.
    pub(crate) fn head_bytes(start: &[u8]) -> Option<usize> {
        let field = start.get(HEAD_LENGTH_AT..)?.first_chunk()?;
        let head_bytes = usize::try_from(u32::from_le_bytes(*field)).ok()?;
        (FRAME_HEAD_BYTES..=BUFFER_BYTES_MAX).contains(&head_bytes).then_some(head_bytes)
    }

    /// Reads the head of a frame of which `bytes` hold at least the head, where `room` bytes are left for all of it.
    pub(crate) fn decode_head(bytes: &[u8], room: u64, block_bytes: usize) -> Option<Frame> {
        let mut fields = Take(bytes);
        (fields.bytes(8)? == FRAME_MAGIC && fields.u32()? == FRAME_VERSION).then_some(())?;
        let stated = fields.u32()?;
        let (generation, sequence) = (fields.u64()?, fields.u64()?);
        let (live_from, flushed_sequence) = (fields.u64()?, fields.u64()?);
        let head_length = usize::try_from(fields.u32()?).ok()?;
        let entry_count = usize::try_from(fields.u32()?).ok()?;
        let length = usize::try_from(fields.u64()?).ok()?;
        (head_length == FRAME_HEAD_BYTES + entry_count.checked_mul(ENTRY_BYTES)?).then_some(())?;
        (head_checksum(bytes.get(..head_length)?) == stated).then_some(())?;
        let mut entries = Vec::with_capacity(entry_count);
        for _ in 0..entry_count {
            entries.push(Entry {
                key: LogKey { topic_id: TopicId(fields.id()?), partition: fields.i32()? },
                payload_checksum: fields.u32()?,
                incarnation: fields.u64()?,
                base_offset: Offset::try_new(fields.i64()?)?,
                next_offset: Offset::try_new(fields.i64()?)?,
                flushed_offset: Offset::try_new(fields.i64()?)?,
                leader_epoch: fields.i32()?,
                payload_bytes: usize::try_from(fields.u32()?).ok()?,
            });
        }
        let payloads: usize = entries.iter().map(|entry| entry.payload_bytes).sum();
        let fits = length == Frame::length_of(entry_count, payloads, block_bytes) && length as u64 <= room;
        fits.then_some(Frame { generation, sequence, live_from, flushed_sequence, entries, length })
    }

    /// The payloads of a frame whose head was read from these bytes, each with whether its checksum holds.
    pub(crate) fn payloads<'a>(
        &'a self,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = (&'a Entry, &'a [u8], bool)> {
        let mut position = FRAME_HEAD_BYTES + self.entries.len() * ENTRY_BYTES;
        self.entries.iter().map(move |entry| {
            let payload = &bytes[position..position + entry.payload_bytes];
            position += entry.payload_bytes;
            (entry, payload, checksum(payload) == entry.payload_checksum)
        })
    }
}

/// Whether a frame of any generation may begin here; cheap, for a search block by block.
pub(crate) fn may_be_frame(bytes: &[u8]) -> bool {
    bytes.starts_with(&FRAME_MAGIC)
}

/// Checksum of a head: everything but the field of the checksum itself.
fn head_checksum(head: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..12]);
    hasher.update(&head[16..]);
    hasher.finalize()
}
