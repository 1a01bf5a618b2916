//! The records inside a batch, one after the other, once they are uncompressed.
//!
//! ```text
//! length           varint   of all that follows it
//! attributes       1 byte   unused
//! timestamp delta  varlong
//! offset delta     varint
//! key, value       varint length, or -1 for null, and the bytes
//! header count     varint
//! each header      key (never null, UTF-8) and value, as above
//! ```
//!
//! Every length is checked when a record is parsed, its headers included, so that what is lent out
//! can be used without further checks.

use crate::codec::{DecodeError, Reader};

use super::{BatchError, RecordBatch, RecordError, TimestampType};

/// A record, borrowed from the uncompressed bytes of its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset in the partition.
    pub offset: i64,
    /// Offset less the batch's base offset.
    pub offset_delta: i32,
    /// Milliseconds; the batch's append time if its timestamps are of that type.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: RecordHeaders<'a>,
}

/// The headers of a record: checked bytes, parsed again when they are iterated over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordHeaders<'a> {
    pub(super) count: i32,
    pub(super) bytes: &'a [u8],
}

/// One header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// The key. Kafka demands UTF-8 but does not check it.
    pub key: &'a [u8],
    /// The value, or null.
    pub value: Option<&'a [u8]>,
}

impl<'a> RecordHeaders<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count.unsigned_abs() as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each header.
    pub fn iter(&self) -> impl Iterator<Item = RecordHeader<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map(move |_| header(&mut reader).expect("headers are checked with their record"))
    }
}

/// The records of `batch`, whose uncompressed records are `bytes`. Ends after the first error.
#[must_use]
pub(super) fn records<'a>(batch: &RecordBatch<'_>, bytes: &'a [u8]) -> Records<'a> {
    records_from(batch, bytes, 0)
}

/// The records from the one at `index` on, which begins where `bytes` do.
#[must_use]
pub(super) fn records_from<'a>(batch: &RecordBatch<'_>, bytes: &'a [u8], index: i32) -> Records<'a> {
    let header = batch.header();
    let append_time = match batch.attributes().timestamp_type() {
        TimestampType::CreateTime => None,
        TimestampType::LogAppendTime => Some(header.max_timestamp.get()),
    };
    Records {
        reader: Reader::new(bytes),
        base_offset: header.base_offset.get(),
        base_timestamp: header.base_timestamp.get(),
        append_time,
        index,
        count: header.record_count.get(),
    }
}

/// Iterates over the records of a batch; after the last it checks that no byte is left.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    reader: Reader<'a>,
    base_offset: i64,
    base_timestamp: i64,
    append_time: Option<i64>,
    /// Of the next record.
    index: i32,
    /// What the batch claims.
    count: i32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return None;
        }
        let index = self.index;
        self.index += 1;
        let record = self.record().and_then(|record| {
            let left = self.reader.remaining();
            if self.index == self.count && left > 0 {
                return Err(RecordError::BytesAfterLast(left));
            }
            Ok(record)
        });
        Some(record.map_err(|error| {
            self.index = self.count;
            BatchError::InvalidRecord { index, error }
        }))
    }
}

impl<'a> Records<'a> {
    /// Bytes behind the last record that was taken.
    pub(super) const fn remaining(&self) -> usize {
        self.reader.remaining()
    }

    fn record(&mut self) -> Result<Record<'a>, RecordError> {
        let size = self.reader.varint()?;
        let size = usize::try_from(size).map_err(|_| RecordError::NegativeSize(size))?;
        let mut reader = Reader::new(self.reader.take(size)?);
        let _unused_attributes = reader.i8()?;
        let timestamp_delta = reader.varlong()?;
        let offset_delta = reader.varint()?;
        let key = nullable(&mut reader)?;
        let value = nullable(&mut reader)?;
        let count = reader.varint()?;
        if count < 0 || count as usize > reader.remaining() {
            return Err(RecordError::HeaderCount { count, remaining: reader.remaining() });
        }
        let bytes = reader.rest();
        for _ in 0..count {
            header(&mut reader)?;
        }
        if reader.remaining() > 0 {
            return Err(RecordError::BytesInside(reader.remaining()));
        }
        Ok(Record {
            // A batch that lies about its offsets or times must not make us panic.
            offset: self.base_offset.saturating_add(offset_delta.into()),
            offset_delta,
            timestamp: self
                .append_time
                .unwrap_or_else(|| self.base_timestamp.saturating_add(timestamp_delta)),
            key,
            value,
            headers: RecordHeaders { count, bytes },
        })
    }
}

/// Bytes after their length; any negative length is null, as Kafka reads it.
fn nullable<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, DecodeError> {
    match usize::try_from(reader.varint()?) {
        Ok(size) => reader.take(size).map(Some),
        Err(_) => Ok(None),
    }
}

fn header<'a>(reader: &mut Reader<'a>) -> Result<RecordHeader<'a>, RecordError> {
    let size = reader.varint()?;
    let size = usize::try_from(size).map_err(|_| RecordError::NegativeHeaderKeySize(size))?;
    let key = reader.take(size)?;
    Ok(RecordHeader { key, value: nullable(reader)? })
}
