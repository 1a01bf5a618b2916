//! What a log works with of a record batch, in numbers that were checked once.
//!
//! The format has one owner, `ringmain_protocol::records`. A log walks headers of bytes that came from a disk, so each field
//! that it computes with is checked here, before anything is believed.
use ringmain_protocol::records;
pub(crate) use ringmain_protocol::records::{BATCH_HEADER_BYTES, RecordBatchHeader};

/// The part of a batch that an append rewrites: base offset, length, leader epoch. All of it lies outside the checksum.
pub(crate) const STAMPED_BYTES: usize = 16;

/// The fields of a batch that a log works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) base_offset: i64,
    /// All bytes of the batch.
    pub(crate) length: usize,
    pub(crate) leader_epoch: i32,
    pub(crate) last_offset_delta: i32,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    /// Zero where compaction left nothing but offsets, or a producer.
    pub(crate) record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the beginning of `bytes`; says in a word what makes it impossible.
    pub(crate) fn parse(bytes: &[u8]) -> Result<BatchHeader, &'static str> {
        BatchHeader::check(RecordBatchHeader::peek(bytes).ok_or("less than a header")?)
    }

    /// Checks what a log computes with.
    pub(crate) fn check(header: &RecordBatchHeader) -> Result<BatchHeader, &'static str> {
        if header.magic != records::MAGIC {
            return Err("another magic");
        }
        let base_offset = header.base_offset.get();
        let last_offset_delta = header.last_offset_delta.get();
        if base_offset < 0 || last_offset_delta < 0 {
            return Err("a negative offset");
        }
        if base_offset.checked_add(i64::from(last_offset_delta) + 1).is_none() {
            return Err("offsets beyond their range");
        }
        let leader_epoch = header.partition_leader_epoch.get();
        if leader_epoch < -1 {
            return Err("a negative leader epoch");
        }
        Ok(BatchHeader {
            base_offset,
            length: header.size_bytes().ok_or("a length below the header's")?,
            leader_epoch,
            last_offset_delta,
            max_timestamp: header.max_timestamp.get(),
            producer_id: header.producer_id.get(),
            producer_epoch: header.producer_epoch.get(),
            base_sequence: header.base_sequence.get(),
            record_count: header.record_count.get(),
        })
    }

    /// Offset behind the last record.
    pub(crate) fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    /// Whether it holds records: its largest timestamp is one of theirs then.
    pub(crate) fn has_records(&self) -> bool {
        self.record_count > 0
    }

    /// Whether an idempotent producer wrote it.
    pub(crate) fn has_producer(&self) -> bool {
        self.producer_id >= 0 && self.base_sequence >= 0
    }

    /// Sequence number of the last record; the largest is followed by 0.
    pub(crate) fn last_sequence(&self) -> i32 {
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        i32::try_from(last % (i64::from(i32::MAX) + 1)).expect("a remainder below 2^31 fits")
    }
}

/// The checksum that the bytes of one whole batch have.
pub(crate) fn checksum_of(batch: &[u8]) -> u32 {
    records::checksum(batch)
}

/// The checksum that the header of one whole batch states.
pub(crate) fn checksum_stated(batch: &[u8]) -> u32 {
    RecordBatchHeader::peek(batch).expect("a whole batch has a header").crc.get()
}

/// Whether the checksum of one whole batch holds.
pub(crate) fn checksum_holds(batch: &[u8]) -> bool {
    checksum_stated(batch) == checksum_of(batch)
}
