//! Consumes through librdkafka: all partitions of a topic, from the start to the end that it has.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::{Driven, Fetching, config, consumer_settings, failed};
use crate::measure::{Figures, Sample, Work, latency_histogram};
use crate::processes::Processes;

/// Silence that ends the run.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What to read, and how.
#[derive(Debug, Clone)]
pub(crate) struct Receiving {
    /// Of each partition the offsets of its first record, and behind its last.
    pub(crate) bounds: Vec<(i64, i64)>,
    /// How often all of it is read.
    pub(crate) passes: u32,
    pub(crate) fetching: Fetching,
}

/// Reads a topic whole.
pub(crate) fn consume(
    address: SocketAddr,
    broker: &Processes,
    topic: &str,
    receiving: &Receiving,
    processor_count: usize,
) -> io::Result<Driven> {
    let config = config(address, &consumer_settings(&receiving.fetching));
    let consumer: BaseConsumer = config.create().map_err(|error| failed(&error))?;
    let mut work = Work::default();
    let start = Sample::begin(broker)?;
    for _ in 0..receiving.passes {
        read_once(&consumer, topic, &receiving.bounds, &mut work)?;
    }
    let end = Sample::end(broker)?;
    let held: i64 = receiving.bounds.iter().map(|(first, behind)| behind - first).sum();
    let expected = held * i64::from(receiving.passes);
    if u64::try_from(expected) != Ok(work.records) {
        return Err(io::Error::other(format!("{} of {expected} records came", work.records)));
    }
    work.requests = work.records;
    let figures = Figures::new(work, &start, &end, processor_count);
    Ok(Driven { figures, latencies: latency_histogram(), records: work.records, records_per_batch: None })
}

fn read_once(consumer: &BaseConsumer, topic: &str, bounds: &[(i64, i64)], work: &mut Work) -> io::Result<()> {
    let mut partitions = TopicPartitionList::new();
    for (index, (first, _)) in bounds.iter().enumerate() {
        let index = i32::try_from(index).map_err(io::Error::other)?;
        let added = partitions.add_partition_offset(topic, index, Offset::Offset(*first));
        added.map_err(|error| failed(&error))?;
    }
    consumer.assign(&partitions).map_err(|error| failed(&error))?;
    let mut missing = bounds.iter().filter(|(first, behind)| behind > first).count();
    let mut heard = Instant::now();
    while missing > 0 {
        let Some(record) = consumer.poll(Duration::from_millis(100)) else {
            if heard.elapsed() > SILENCE_MAX {
                return Err(io::Error::other(format!("no record came for {} s", SILENCE_MAX.as_secs())));
            }
            continue;
        };
        let record = record.map_err(|error| failed(&error))?;
        // Reading the clock for each record would cost as much as the record.
        if work.records.is_multiple_of(1024) {
            heard = Instant::now();
        }
        work.records += 1;
        work.bytes += record.payload_len() as u64;
        let partition = usize::try_from(record.partition()).map_err(io::Error::other)?;
        if bounds.get(partition).is_some_and(|(_, behind)| *behind == record.offset() + 1) {
            missing -= 1;
        }
    }
    consumer.unassign().map_err(|error| failed(&error))
}
