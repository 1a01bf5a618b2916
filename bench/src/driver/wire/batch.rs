//! Record batches that are encoded once, before anything is measured.
//!
//! Values are pseudo-random, so that neither a broker nor a disk gains by compressing them, and the
//! same in each run, so that runs compare.

use ringmain_protocol::codec::{varint_size, write_varint, write_varlong};
use ringmain_protocol::records::{BATCH_HEADER_BYTES, MAGIC, RecordBatchHeader, checksum};

/// What begins the pseudo-random values; any number but zero serves.
const VALUE_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// A record batch as it goes on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The whole batch, header included.
    pub(crate) bytes: Vec<u8>,
    /// Records in it.
    pub(crate) record_count: u32,
}

impl Batch {
    /// A batch of `record_count` records whose values have `record_size_bytes` each.
    pub(crate) fn of_count(
        record_count: u32,
        record_size_bytes: usize,
        now_ms: i64,
    ) -> Result<Self, BatchTooLarge> {
        let mut bytes = vec![0; BATCH_HEADER_BYTES];
        let mut state = VALUE_SEED;
        for offset_delta in 0..record_count {
            append_record(&mut bytes, offset_delta, record_size_bytes, &mut state)?;
        }
        stamp_header(&mut bytes, record_count, now_ms)?;
        Ok(Self { bytes, record_count })
    }

    /// A batch of as many records as `batch_size_bytes` hold; of one record at least.
    pub(crate) fn of_size(
        batch_size_bytes: usize,
        record_size_bytes: usize,
        now_ms: i64,
    ) -> Result<Self, BatchTooLarge> {
        let mut size = BATCH_HEADER_BYTES;
        let mut record_count = 0;
        loop {
            size += record_size(record_count, record_size_bytes)?;
            if size > batch_size_bytes {
                break;
            }
            record_count += 1;
        }
        Self::of_count(record_count.max(1), record_size_bytes, now_ms)
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
    state: &mut u64,
) -> Result<(), BatchTooLarge> {
    let (value, delta, body) = record_body_size(offset_delta, value_size)?;
    write_varint(bytes, i32::try_from(body).map_err(|_| BatchTooLarge)?);
    bytes.push(0);
    write_varlong(bytes, 0);
    write_varint(bytes, delta);
    write_varint(bytes, -1);
    write_varint(bytes, value);
    bytes.extend((0..value_size).map(|_| pseudo_random_byte(state)));
    write_varint(bytes, 0);
    Ok(())
}

/// The next byte of a xorshift generator.
fn pseudo_random_byte(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.to_le_bytes()[3]
}

fn stamp_header(bytes: &mut [u8], record_count: u32, now_ms: i64) -> Result<(), BatchTooLarge> {
    let count = i32::try_from(record_count).map_err(|_| BatchTooLarge)?;
    // The length counts what follows the base offset and the length itself.
    let length =
        i32::try_from(bytes.len() - size_of::<i64>() - size_of::<i32>()).map_err(|_| BatchTooLarge)?;
    let header = RecordBatchHeader::peek_mut(bytes).expect("the buffer begins with room for a header");
    header.batch_length = length.into();
    header.partition_leader_epoch = (-1).into();
    header.magic = MAGIC;
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
    use ringmain_protocol::records::RecordBatch;

    #[test]
    fn batch_is_what_a_broker_accepts() {
        let batch = Batch::of_size(65_536, 1024, 1_700_000_000_000).expect("fits");
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
        let batch = Batch::of_count(300, 100, 0).expect("fits");
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
    fn one_record_is_never_left_out() {
        assert_eq!(Batch::of_size(1, 1024, 0).expect("fits").record_count, 1);
    }
}
