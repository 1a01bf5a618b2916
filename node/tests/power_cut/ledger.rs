//! What was sent, what was acknowledged, and whether the log agrees.
//!
//! A record's value is its number, and bytes that follow from the number and the length: its content proves itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use ringmain_protocol::records::{RecordBatchBuilder, batches};
use ringmain_storage::disk::simulated::Random;

use super::client::Client;

/// Larger than any batch that is sent here.
const BATCH_BYTES_MAX: usize = 4 << 20;
const NUMBER_BYTES: usize = size_of::<u64>();

/// What is known about the partitions of one topic.
#[derive(Default)]
pub(crate) struct Ledger {
    partitions: Vec<PartitionLedger>,
    next_number: u64,
}

#[derive(Default, Clone)]
struct PartitionLedger {
    /// Numbers of all records that were ever sent there.
    sent: BTreeSet<u64>,
    /// What has to stay: acknowledged, or seen after a restart.
    kept: BTreeMap<i64, u64>,
}

/// A batch to be sent, and the numbers of its records.
pub(crate) struct Batch {
    pub(crate) partition: i32,
    pub(crate) bytes: Vec<u8>,
    numbers: Vec<u64>,
}

impl Ledger {
    /// A new topic.
    pub(crate) fn reset(&mut self, partition_count: usize) {
        self.partitions = vec![PartitionLedger::default(); partition_count];
    }

    pub(crate) fn kept(&self) -> usize {
        self.partitions.iter().map(|partition| partition.kept.len()).sum()
    }

    /// Makes up a batch for some partition and notes that it is sent.
    pub(crate) fn next_batch(&mut self, random: &mut Random) -> Batch {
        let at = random.below(self.partitions.len() as u64) as usize;
        // Mostly small ones, which share a journal write, and some that are written to their segment directly.
        let (records, value_bytes_max) = if random.chance(8) { (40, 8_000) } else { (10, 400) };
        let mut builder = RecordBatchBuilder::new();
        let mut numbers = Vec::new();
        for _ in 0..=random.below(records) {
            let length = NUMBER_BYTES + random.below(value_bytes_max) as usize;
            builder.push(1_700_000_000_000, None, Some(&value_of(self.next_number, length)));
            numbers.push(self.next_number);
            self.next_number += 1;
        }
        self.partitions[at].sent.extend(&numbers);
        let partition = i32::try_from(at).expect("a handful of partitions");
        Batch { partition, bytes: builder.finish(), numbers }
    }

    pub(crate) fn acknowledged(&mut self, batch: &Batch, base_offset: i64) {
        let kept = &mut self.partitions[batch.partition as usize].kept;
        for (offset, number) in (base_offset..).zip(&batch.numbers) {
            let before = kept.insert(offset, *number);
            assert!(before.is_none(), "offset {offset} of partition {} was given twice", batch.partition);
        }
    }

    /// Reads every partition whole and compares; the differences as sentences. What is there now has to stay.
    pub(crate) fn check(&mut self, client: &mut Client, topic: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for (index, partition) in (0..).zip(&mut self.partitions) {
            match read_partition(client, topic, index) {
                Ok(log) => {
                    partition.compare(index, &log, &mut problems);
                    partition.kept = log;
                }
                Err(error) => problems.push(format!("partition {index} cannot be read: {error}")),
            }
        }
        problems
    }
}

impl PartitionLedger {
    fn compare(&self, index: i32, log: &BTreeMap<i64, u64>, problems: &mut Vec<String>) {
        let lost: Vec<i64> = self
            .kept
            .iter()
            .filter(|(offset, number)| log.get(offset) != Some(number))
            .map(|(offset, _)| *offset)
            .collect();
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            let end = log.keys().next_back().map_or(0, |last| last + 1);
            problems.push(format!(
                "partition {index}: {} acknowledged records lost or changed, offsets {first} to {last}, the log ends at {end}",
                lost.len()
            ));
        }
        for (expected, offset) in (0..).zip(log.keys()) {
            if *offset != expected {
                problems.push(format!("partition {index}: offset {offset} follows {}", expected - 1));
                break;
            }
        }
        let mut seen = BTreeSet::new();
        for (offset, number) in log {
            if !self.sent.contains(number) {
                problems
                    .push(format!("partition {index}: nobody sent record {number} at offset {offset} there"));
            } else if !seen.insert(number) {
                problems.push(format!(
                    "partition {index}: record {number} is there twice, again at offset {offset}"
                ));
            }
        }
    }
}

/// The numbers of all records of a partition, by offset.
fn read_partition(client: &mut Client, topic: &str, partition: i32) -> io::Result<BTreeMap<i64, u64>> {
    let mut log = BTreeMap::new();
    let mut next = 0;
    loop {
        let fetched = client.fetch(topic, partition, next)?;
        if next >= fetched.high_watermark {
            return Ok(log);
        }
        let before = next;
        for batch in batches(&fetched.batches) {
            let batch = match batch {
                Ok(batch) => batch,
                // The last one may be cut off by the size limit of the answer.
                Err(_cut_off) if next > before => break,
                Err(error) => {
                    return Err(io::Error::other(format!("{topic}-{partition} at {next}: {error}")));
                }
            };
            batch.verify_checksum().map_err(io::Error::other)?;
            let uncompressed = batch.decompress(BATCH_BYTES_MAX).map_err(io::Error::other)?;
            for record in batch.records(&uncompressed) {
                let record = record.map_err(io::Error::other)?;
                let number = record.value.and_then(number_of);
                let number = number.ok_or_else(|| {
                    io::Error::other(format!("content of offset {} changed", record.offset))
                })?;
                log.insert(record.offset, number);
            }
            next = batch.last_offset() + 1;
        }
        if next == before {
            return Err(io::Error::other(format!(
                "{topic}-{partition} gives nothing at {next}, below its end"
            )));
        }
    }
}

fn value_of(number: u64, length: usize) -> Vec<u8> {
    let mut value = number.to_le_bytes().to_vec();
    let mut random = Random::new(number);
    while value.len() < length {
        value.extend(random.next_u64().to_le_bytes());
    }
    value.truncate(length);
    value
}

/// The number of a record whose content is what it was.
fn number_of(value: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*value.first_chunk()?);
    (value == value_of(number, value.len())).then_some(number)
}
