//! The 61 bytes that begin a record batch, as a view over the bytes themselves.

use core::mem::{offset_of, size_of};

use zerocopy::byteorder::big_endian::{I16, I32, I64, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Attributes;

/// The only format that is accepted. Older ones are message sets, not batches.
pub const MAGIC: i8 = 2;

/// Size of the header.
pub const BATCH_HEADER_BYTES: usize = size_of::<RecordBatchHeader>();

/// Bytes before those that `batch_length` counts: the offset and the length itself.
pub(super) const LENGTH_PREFIX_BYTES: usize = offset_of!(RecordBatchHeader, partition_leader_epoch);

/// Where the bytes begin that the checksum covers; they reach to the end of the batch.
pub(super) const CHECKSUMMED_FROM: usize = offset_of!(RecordBatchHeader, attributes);

const _: () = {
    assert!(BATCH_HEADER_BYTES == 61);
    assert!(LENGTH_PREFIX_BYTES == 12);
    assert!(CHECKSUMMED_FROM == 21);
    assert!(offset_of!(RecordBatchHeader, crc) == 17);
};

/// The header of a record batch, as it lies in the bytes. See [`records`](super) for the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RecordBatchHeader {
    /// Offset of the first record that the batch had when it was written.
    pub base_offset: I64,
    /// Bytes of the batch after this field.
    pub batch_length: I32,
    /// Epoch of the leader that appended the batch.
    pub partition_leader_epoch: I32,
    /// Version of the format.
    pub magic: i8,
    /// CRC-32C of the bytes from `attributes` to the end.
    pub crc: U32,
    /// See [`Attributes`].
    pub attributes: I16,
    /// Offset of the last record, less the base offset.
    pub last_offset_delta: I32,
    /// Timestamp that the records' are relative to.
    pub base_timestamp: I64,
    /// Largest timestamp of the records.
    pub max_timestamp: I64,
    /// The producer, or -1 if it is not idempotent.
    pub producer_id: I64,
    /// The producer's epoch, or -1.
    pub producer_epoch: I16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: I32,
    /// Records in the batch.
    pub record_count: I32,
}

impl RecordBatchHeader {
    /// The header at the beginning of `bytes`, unchecked; `None` if they are too few.
    #[must_use]
    pub fn peek(bytes: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(bytes).ok().map(|(header, _)| header)
    }

    /// As [`peek`](Self::peek), to be changed.
    pub fn peek_mut(bytes: &mut [u8]) -> Option<&mut Self> {
        Self::mut_from_prefix(bytes).ok().map(|(header, _)| header)
    }

    /// The attribute bits.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        Attributes(self.attributes.get())
    }

    /// Size of the whole batch that the header claims; `None` if it is less than a header's.
    #[must_use]
    pub fn size_bytes(&self) -> Option<usize> {
        let size = usize::try_from(self.batch_length.get()).ok()? + LENGTH_PREFIX_BYTES;
        (size >= BATCH_HEADER_BYTES).then_some(size)
    }
}
