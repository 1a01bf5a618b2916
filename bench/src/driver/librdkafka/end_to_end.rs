//! Produces at a rate through librdkafka, and consumes at once in a thread of its own: the time from
//! when a record was due until the consumer has it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::produce::produce_since;
use super::{Driven, Fetching, Sending, config, consumer_settings, failed};
use crate::measure::{latency_histogram, nanoseconds};
use crate::processes::Processes;

/// While it is unknown how many records come.
const UNKNOWN: u64 = u64::MAX;

/// Silence that ends the run.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Produces to a topic that exists and is empty, and consumes it.
pub(crate) fn end_to_end(
    address: SocketAddr,
    broker: &Processes,
    topic: &str,
    sending: &Sending,
    fetching: &Fetching,
    processor_count: usize,
) -> io::Result<Driven> {
    if sending.rate.is_none() || sending.record_size_bytes < size_of::<u64>() {
        let words = "end-to-end needs a rate, and records that hold a time";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    let receiver = Receiver::connect(address, topic, sending.partitions, fetching)?;
    let expected = AtomicU64::new(UNKNOWN);
    let began = Instant::now();
    thread::scope(|scope| {
        let received = scope.spawn(|| receiver.receive(began, sending.warm_up, &expected));
        let driven = produce_since(began, address, broker, topic, sending, processor_count);
        // Without an answer to how many were sent, the receiver must still end.
        expected.store(driven.as_ref().map_or(0, |driven| driven.records), Ordering::Release);
        let latencies = received.join().map_err(|_| io::Error::other("the consumer's thread panicked"))?;
        Ok(Driven { latencies: latencies?, ..driven? })
    })
}

struct Receiver {
    consumer: BaseConsumer,
}

impl Receiver {
    fn connect(address: SocketAddr, topic: &str, partitions: u32, fetching: &Fetching) -> io::Result<Self> {
        let config = config(address, &consumer_settings(fetching));
        let consumer: BaseConsumer = config.create().map_err(|error| failed(&error))?;
        let mut all = TopicPartitionList::new();
        for index in 0..i32::try_from(partitions).map_err(io::Error::other)? {
            // The topic is new. A place that must be asked for first would be the end by then.
            all.add_partition_offset(topic, index, Offset::Offset(0)).map_err(|error| failed(&error))?;
        }
        consumer.assign(&all).map_err(|error| failed(&error))?;
        Ok(Self { consumer })
    }

    /// Latencies of the records that were due behind the warm-up.
    fn receive(&self, began: Instant, warm_up: Duration, expected: &AtomicU64) -> io::Result<Histogram<u64>> {
        let mut latencies = latency_histogram();
        let mut received = 0;
        let mut heard = Instant::now();
        while received < expected.load(Ordering::Acquire) {
            let Some(record) = self.consumer.poll(Duration::from_millis(100)) else {
                if heard.elapsed() > SILENCE_MAX {
                    return Err(io::Error::other(format!("{received} records came, and then no more")));
                }
                continue;
            };
            let record = record.map_err(|error| failed(&error))?;
            heard = Instant::now();
            received += 1;
            let time = record.payload().and_then(|value| value.first_chunk());
            let due = u64::from_le_bytes(*time.ok_or_else(|| io::Error::other("a record without its time"))?);
            if Duration::from_nanos(due) >= warm_up {
                latencies.saturating_record(nanoseconds(heard - began).saturating_sub(due));
            }
        }
        Ok(latencies)
    }
}
