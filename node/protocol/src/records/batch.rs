//! A record batch in bytes that lie somewhere: parse, iterate, checksum, stamp.

use alloc::borrow::Cow;

use super::checksum::crc32c;
use super::header::CHECKSUMMED_FROM;
use super::record::{Records, records};
use super::{Attributes, BATCH_HEADER_BYTES, BatchError, Compression, MAGIC, RecordBatchHeader};

/// A batch whose length fits its bytes and whose format is known. Nothing else is checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordBatch<'a> {
    header: &'a RecordBatchHeader,
    /// The whole batch, header included.
    bytes: &'a [u8],
}

impl<'a> RecordBatch<'a> {
    /// The batch at the beginning of `bytes`, and the bytes after it.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let remaining = bytes.len();
        let header = RecordBatchHeader::peek(bytes)
            .ok_or(BatchError::Truncated { needed: BATCH_HEADER_BYTES, remaining })?;
        if header.magic != MAGIC {
            return Err(BatchError::UnsupportedMagic(header.magic));
        }
        let needed = header.size_bytes().ok_or(BatchError::InvalidLength(header.batch_length.get()))?;
        let (bytes, rest) =
            bytes.split_at_checked(needed).ok_or(BatchError::Truncated { needed, remaining })?;
        Ok((Self { header, bytes }, rest))
    }

    /// A batch of which only the header is known: enough to read records that lie elsewhere.
    pub(super) fn of_header(header: &'a RecordBatchHeader) -> Self {
        Self { header, bytes: zerocopy::IntoBytes::as_bytes(header) }
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &'a RecordBatchHeader {
        self.header
    }

    /// The whole batch.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records, as they are: compressed or not.
    #[must_use]
    pub fn records_bytes(&self) -> &'a [u8] {
        &self.bytes[BATCH_HEADER_BYTES..]
    }

    /// The attribute bits.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        self.header.attributes()
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(&self) -> i64 {
        self.header.base_offset.get()
    }

    /// Offset of the last record. Saturates: a header that lies must not make a reader panic.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(self.header.last_offset_delta.get().into())
    }

    /// The records, uncompressed, if they are at most `limit` bytes.
    pub fn decompress(&self, limit: usize) -> Result<Cow<'a, [u8]>, BatchError> {
        match self.attributes().compression().map_err(BatchError::UnsupportedCompression)? {
            Compression::None if self.records_bytes().len() > limit => {
                Err(BatchError::DecompressedTooLarge { limit })
            }
            Compression::None => Ok(Cow::Borrowed(self.records_bytes())),
            #[cfg(feature = "std")]
            codec => super::decompress(codec, self.records_bytes(), limit).map(Cow::Owned),
            #[cfg(not(feature = "std"))]
            _ => Err(BatchError::UnsupportedCompression(self.attributes().compression_code())),
        }
    }

    /// The records in `uncompressed`, which [`decompress`](Self::decompress) gave.
    #[must_use]
    pub fn records<'r>(&self, uncompressed: &'r [u8]) -> Records<'r> {
        records(self, uncompressed)
    }

    /// Fails unless the bytes are those that were checksummed.
    pub fn verify_checksum(&self) -> Result<(), BatchError> {
        let stored = self.header.crc.get();
        let computed = checksum(self.bytes);
        if stored == computed { Ok(()) } else { Err(BatchError::ChecksumMismatch { stored, computed }) }
    }
}

/// The checksum that belongs into the header of the batch that `batch` is, wholly.
///
/// # Panics
/// If `batch` is shorter than a header.
#[must_use]
pub fn checksum(batch: &[u8]) -> u32 {
    assert!(batch.len() >= BATCH_HEADER_BYTES, "a batch has a header");
    crc32c(&batch[CHECKSUMMED_FROM..])
}

/// Sets what the leader decides at append: twelve bytes outside the checksum.
///
/// # Panics
/// If `batch` is shorter than a header.
pub fn stamp(batch: &mut [u8], base_offset: i64, partition_leader_epoch: i32) {
    let header = RecordBatchHeader::peek_mut(batch).expect("a batch has a header");
    header.base_offset = base_offset.into();
    header.partition_leader_epoch = partition_leader_epoch.into();
}

/// Iterates over the batches that `bytes` are the concatenation of.
#[must_use]
pub const fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// See [`batches`]. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// The bytes not yet iterated over: none, or those at which the last item was an error.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<RecordBatch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = RecordBatch::parse(self.rest);
        self.rest = parsed.map_or(&[], |(_, rest)| rest);
        Some(parsed.map(|(batch, _)| batch))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use zerocopy::IntoBytes;

    /// A batch with these bytes for records; a header needs no records to be one.
    fn batch(records: &[u8]) -> Vec<u8> {
        let header = RecordBatchHeader {
            base_offset: 5.into(),
            batch_length: (49 + records.len() as i32).into(),
            partition_leader_epoch: 1.into(),
            magic: MAGIC,
            crc: 0.into(),
            attributes: 0.into(),
            last_offset_delta: 2.into(),
            base_timestamp: 1000.into(),
            max_timestamp: 1002.into(),
            producer_id: (-1).into(),
            producer_epoch: (-1).into(),
            base_sequence: (-1).into(),
            record_count: 3.into(),
        };
        let mut bytes = Vec::from(header.as_bytes());
        bytes.extend_from_slice(records);
        let crc = checksum(&bytes);
        RecordBatchHeader::peek_mut(&mut bytes).expect("a header").crc = crc.into();
        bytes
    }

    #[test]
    fn stamping_keeps_the_checksum() {
        let mut bytes = batch(b"records");
        stamp(&mut bytes, 1 << 40, 77);
        let (batch, rest) = RecordBatch::parse(&bytes).expect("a batch");
        assert_eq!(rest, b"");
        assert_eq!(batch.verify_checksum(), Ok(()));
        assert_eq!((batch.base_offset(), batch.last_offset()), (1 << 40, (1 << 40) + 2));
        assert_eq!(batch.header().partition_leader_epoch.get(), 77);
        assert_eq!(batch.records_bytes(), b"records");
    }

    #[test]
    fn every_flipped_bit_behind_the_checksum_is_found() {
        let bytes = batch(b"records");
        for bit in 17 * 8..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (batch, _) = RecordBatch::parse(&flipped).expect("a batch");
            let error = batch.verify_checksum().expect_err("a flipped bit");
            assert!(matches!(error, BatchError::ChecksumMismatch { .. }), "bit {bit}");
        }
    }

    #[test]
    fn iterates_to_the_first_that_is_none() {
        let mut bytes = [batch(b"a"), batch(b"bc"), batch(b"")].concat();
        fn records(bytes: &[u8]) -> Vec<Result<usize, BatchError>> {
            batches(bytes).map(|batch| batch.map(|batch| batch.records_bytes().len())).collect()
        }
        assert_eq!(records(&bytes), [Ok(1), Ok(2), Ok(0)]);
        bytes.pop();
        assert_eq!(records(&bytes), [Ok(1), Ok(2), Err(BatchError::Truncated { needed: 61, remaining: 60 })]);
    }

    #[test]
    fn lying_headers_are_refused() {
        type Lie = fn(&mut RecordBatchHeader);
        let lies: [(Lie, BatchError); 5] = [
            (|header| header.batch_length = 48.into(), BatchError::InvalidLength(48)),
            (|header| header.batch_length = (-1).into(), BatchError::InvalidLength(-1)),
            (
                |header| header.batch_length = i32::MAX.into(),
                BatchError::Truncated { needed: i32::MAX as usize + 12, remaining: 68 },
            ),
            (|header| header.magic = 1, BatchError::UnsupportedMagic(1)),
            (|header| header.magic = 3, BatchError::UnsupportedMagic(3)),
        ];
        for (lie, expected) in lies {
            let mut bytes = batch(b"records");
            lie(RecordBatchHeader::peek_mut(&mut bytes).expect("a header"));
            assert_eq!(RecordBatch::parse(&bytes), Err(expected));
        }
    }
}
