//! Consumes through librdkafka: all partitions of a topic, from the start to the end that it has.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::{Driven, config, consumer_settings, failed};
use crate::measure::{Figures, Sample, Work, latency_histogram};

/// Silence that ends the run.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Reads `ends`, the offset behind the last record of each partition, which all begin at 0.
pub(crate) fn consume(
    address: SocketAddr,
    broker_pid: Option<u32>,
    topic: &str,
    ends: &[i64],
    processor_count: usize,
) -> io::Result<Driven> {
    let mut config = config(address, consumer_settings());
    let consumer: BaseConsumer =
        config.set("enable.partition.eof", "false").create().map_err(|error| failed(&error))?;
    let mut partitions = TopicPartitionList::new();
    for index in 0..ends.len() {
        let index = i32::try_from(index).map_err(io::Error::other)?;
        partitions.add_partition_offset(topic, index, Offset::Beginning).map_err(|error| failed(&error))?;
    }
    let mut missing = ends.iter().filter(|end| **end > 0).count();
    let mut work = Work::default();
    let start = Sample::take(broker_pid)?;
    consumer.assign(&partitions).map_err(|error| failed(&error))?;
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
        if ends.get(partition) == Some(&(record.offset() + 1)) {
            missing -= 1;
        }
    }
    let end = Sample::take(broker_pid)?;
    let expected: i64 = ends.iter().sum();
    if u64::try_from(expected) != Ok(work.records) {
        return Err(io::Error::other(format!("{} of {expected} records came", work.records)));
    }
    work.requests = work.records;
    let figures = Figures::new(work, &start, &end, processor_count);
    Ok(Driven { figures, latencies: latency_histogram(), records: work.records, records_per_batch: None })
}
