//! Record batches that are encoded once, before anything is measured.
//!
//! Values are the same in each run, so that runs compare. By default they are pseudo-random, so that
//! neither a broker nor a disk gains by compressing them; where batches are compressed they are lines
//! of an event log, with a stated share of random bytes.

use ringmain_protocol::codec::{varint_size, write_varint, write_varlong};
use ringmain_protocol::records::{
    Attributes, BATCH_HEADER_BYTES, Compression, MAGIC, RecordBatchHeader, checksum, compress,
};

use crate::driver::wire::payload::Payload;

/// What the records of a batch are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RecordSettings {
    /// Size of a record's value.
    pub(crate) record_size_bytes: usize,
    /// Share of random bytes in a value.
    pub(crate) random_share: f64,
    /// How the records are compressed.
    pub(crate) compression: Compression,
}

#[cfg(test)]
impl RecordSettings {
    /// Random bytes, not compressed.
    pub(crate) fn random(record_size_bytes: usize) -> Self {
        Self { record_size_bytes, random_share: 1.0, compression: Compression::None }
    }
}

/// A record batch as it goes on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The whole batch, header included.
    pub(crate) bytes: Vec<u8>,
    /// Records in it.
    pub(crate) record_count: u32,
    /// Size of the whole batch before compression.
    pub(crate) uncompressed_bytes: usize,
}

impl Batch {
    /// A batch of so many records.
    pub(crate) fn of_count(
        record_count: u32,
        settings: RecordSettings,
        now_ms: i64,
    ) -> Result<Self, BatchTooLarge> {
        let mut bytes = vec![0; BATCH_HEADER_BYTES];
        let mut payload = Payload::new(settings.random_share);
        for offset_delta in 0..record_count {
            append_record(&mut bytes, offset_delta, settings.record_size_bytes, &mut payload)?;
        }
        let uncompressed_bytes = bytes.len();
        if settings.compression != Compression::None {
            let records = compress(settings.compression, &bytes[BATCH_HEADER_BYTES..]);
            bytes.truncate(BATCH_HEADER_BYTES);
            bytes.extend_from_slice(&records);
        }
        stamp_header(&mut bytes, record_count, settings.compression, now_ms)?;
        Ok(Self { bytes, record_count, uncompressed_bytes })
    }

    /// A batch of as many records as `batch_size_bytes` hold before compression; of one at least.
    pub(crate) fn of_size(
        batch_size_bytes: usize,
        settings: RecordSettings,
        now_ms: i64,
    ) -> Result<Self, BatchTooLarge> {
        let mut size = BATCH_HEADER_BYTES;
        let mut record_count = 0;
        loop {
            size += record_size(record_count, settings.record_size_bytes)?;
            if size > batch_size_bytes {
                break;
            }
            record_count += 1;
        }
        Self::of_count(record_count.max(1), settings, now_ms)
    }
}

/// Who sent a batch, and its place among those that this producer sends to the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbering {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// Number of the first record.
    pub(crate) base_sequence: i32,
}

impl Batch {
    /// The bytes of this batch as an idempotent producer sends them.
    pub(crate) fn numbered(&self, numbering: Numbering) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let header = RecordBatchHeader::peek_mut(&mut bytes).expect("a batch begins with its header");
        header.producer_id = numbering.producer_id.into();
        header.producer_epoch = numbering.producer_epoch.into();
        header.base_sequence = numbering.base_sequence.into();
        let crc = checksum(&bytes);
        RecordBatchHeader::peek_mut(&mut bytes).expect("as above").crc = crc.into();
        bytes
    }
}

/// The batch would not fit the wire's 32-bit lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchTooLarge;

impl std::fmt::Display for BatchTooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a batch of that many bytes does not fit Kafka's 32-bit lengths")
    }
}

impl std::error::Error for BatchTooLarge {}

/// Length of a record without the varint that says it: attributes, timestamp delta, offset delta,
/// null key, value, no headers.
fn record_body_size(offset_delta: u32, value_size: usize) -> Result<(i32, i32, usize), BatchTooLarge> {
    let value = i32::try_from(value_size).map_err(|_| BatchTooLarge)?;
    let delta = i32::try_from(offset_delta).map_err(|_| BatchTooLarge)?;
    let body =
        1 + 1 + varint_size(delta) + varint_size(-1) + varint_size(value) + value_size + varint_size(0);
    Ok((value, delta, body))
}

fn record_size(offset_delta: u32, value_size: usize) -> Result<usize, BatchTooLarge> {
    let (_, _, body) = record_body_size(offset_delta, value_size)?;
    Ok(varint_size(i32::try_from(body).map_err(|_| BatchTooLarge)?) + body)
}

fn append_record(
    bytes: &mut Vec<u8>,
    offset_delta: u32,
    value_size: usize,
    payload: &mut Payload,
) -> Result<(), BatchTooLarge> {
    let (value, delta, body) = record_body_size(offset_delta, value_size)?;
    write_varint(bytes, i32::try_from(body).map_err(|_| BatchTooLarge)?);
    bytes.push(0);
    write_varlong(bytes, 0);
    write_varint(bytes, delta);
    write_varint(bytes, -1);
    write_varint(bytes, value);
    payload.append_value(bytes, value_size);
    write_varint(bytes, 0);
    Ok(())
}

fn stamp_header(
    bytes: &mut [u8],
    record_count: u32,
    compression: Compression,
    now_ms: i64,
) -> Result<(), BatchTooLarge> {
    let count = i32::try_from(record_count).map_err(|_| BatchTooLarge)?;
    // The length counts what follows the base offset and the length itself.
    let length =
        i32::try_from(bytes.len() - size_of::<i64>() - size_of::<i32>()).map_err(|_| BatchTooLarge)?;
    let header = RecordBatchHeader::peek_mut(bytes).expect("the buffer begins with room for a header");
    header.batch_length = length.into();
    header.partition_leader_epoch = (-1).into();
    header.magic = MAGIC;
    header.attributes = Attributes::default().with_compression(compression).0.into();
    header.last_offset_delta = (count - 1).into();
    header.base_timestamp = now_ms.into();
    header.max_timestamp = now_ms.into();
    header.producer_id = (-1).into();
    header.producer_epoch = (-1).into();
    header.base_sequence = (-1).into();
    header.record_count = count.into();
    let crc = checksum(bytes);
    RecordBatchHeader::peek_mut(bytes).expect("as above").crc = crc.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringmain_protocol::records::{RecordBatch, decompress};

    #[test]
    fn batch_is_what_a_broker_accepts() {
        let batch = Batch::of_size(65_536, RecordSettings::random(1024), 1_700_000_000_000).expect("fits");
        let (view, rest) = RecordBatch::parse(&batch.bytes).expect("parses");
        assert!(rest.is_empty());
        assert_eq!(view.verify_checksum(), Ok(()));
        assert_eq!(batch.record_count, 63);
        assert_eq!(view.header().record_count.get(), 63);
        assert_eq!(view.last_offset(), 62);
        assert!(batch.bytes.len() <= 65_536 && batch.bytes.len() + 1024 > 65_536 - 64);
    }

    #[test]
    fn lengths_of_records_lead_from_one_to_the_next() {
        let batch = Batch::of_count(300, RecordSettings::random(100), 0).expect("fits");
        let mut at = BATCH_HEADER_BYTES;
        let mut records = 0;
        while at < batch.bytes.len() {
            let size = record_size(records, 100).expect("fits");
            let mut prefix = Vec::new();
            write_varint(&mut prefix, (size - varint_size(size as i32 - 2)) as i32);
            assert_eq!(&batch.bytes[at..at + prefix.len()], prefix, "record {records}");
            at += size;
            records += 1;
        }
        assert_eq!((at, records), (batch.bytes.len(), 300));
    }

    #[test]
    fn every_codec_gives_back_the_records_and_the_event_log_shrinks() {
        let plain = RecordSettings { random_share: 0.2, ..RecordSettings::random(1024) };
        let records = Batch::of_size(65_536, plain, 0).expect("fits").bytes.split_off(BATCH_HEADER_BYTES);
        for compression in Compression::ALL {
            let settings = RecordSettings { compression, ..plain };
            let batch = Batch::of_size(65_536, settings, 0).expect("fits");
            let (view, _) = RecordBatch::parse(&batch.bytes).expect("parses");
            assert_eq!(view.verify_checksum(), Ok(()));
            assert_eq!(view.header().attributes().compression(), Ok(compression));
            let compressed = &batch.bytes[BATCH_HEADER_BYTES..];
            let found = decompress(compression, compressed, records.len()).expect("decompresses");
            assert_eq!(found, records, "{compression:?}");
            let share = batch.bytes.len() as f64 / batch.uncompressed_bytes as f64;
            let expected = if compression == Compression::None { 1.0..=1.0 } else { 0.2..=0.7 };
            assert!(expected.contains(&share), "{compression:?} leaves {share}");
        }
    }

    #[test]
    fn a_numbered_batch_is_whole() {
        let batch = Batch::of_count(3, RecordSettings::random(100), 0).expect("fits");
        let numbering = Numbering { producer_id: 77, producer_epoch: 2, base_sequence: 40 };
        let bytes = batch.numbered(numbering);
        let (view, _) = RecordBatch::parse(&bytes).expect("parses");
        assert_eq!(view.verify_checksum(), Ok(()));
        let header = view.header();
        assert_eq!((header.producer_id.get(), header.base_sequence.get()), (77, 40));
        assert_eq!(bytes[BATCH_HEADER_BYTES..], batch.bytes[BATCH_HEADER_BYTES..]);
    }

    #[test]
    fn one_record_is_never_left_out() {
        assert_eq!(Batch::of_size(1, RecordSettings::random(1024), 0).expect("fits").record_count, 1);
    }
}
