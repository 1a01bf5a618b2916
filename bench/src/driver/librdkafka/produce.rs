//! Produces through librdkafka, as fast as it takes records or at a rate.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;

use super::{Driven, FLUSH_MAX, Sending, config, failed, producer_settings};
use crate::measure::{Clocks, Figures, Sample, Work, latency_histogram, nanoseconds};
use crate::processes::Processes;
use crate::schedule::Schedule;

/// Records handed over before deliveries are looked at again.
const BURST: usize = 256;

/// How long to wait for deliveries when no more records fit.
const WAIT: Duration = Duration::from_millis(1);

/// How long to sleep at most while no record is due: a delivery is noticed so late.
const NAP: Duration = Duration::from_micros(100);

/// What the library tells about records.
struct Deliveries {
    began: Instant,
    seen: Mutex<Seen>,
}

struct Seen {
    /// Acknowledged in all, and since the measurement began.
    total: u64,
    measured: u64,
    latencies: Histogram<u64>,
    failure: Option<KafkaError>,
    records_per_batch: Option<f64>,
}

impl Deliveries {
    fn new(began: Instant) -> Self {
        let seen = Seen {
            total: 0,
            measured: 0,
            latencies: latency_histogram(),
            failure: None,
            records_per_batch: None,
        };
        Self { began, seen: Mutex::new(seen) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A panic elsewhere left whole numbers behind.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {
    fn stats(&self, statistics: Statistics) {
        let batches = statistics.topics.values().map(|topic| topic.batchcnt.avg as f64);
        if let Some(records) = batches.reduce(f64::max).filter(|records| *records > 0.0) {
            self.seen().records_per_batch = Some(records);
        }
    }
}

impl ProducerContext for Deliveries {
    /// Nanoseconds from the run's begin to when the record was due.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due: usize) {
        let mut seen = self.seen();
        match result {
            Ok(_) => {
                seen.total += 1;
                seen.measured += 1;
                let now = nanoseconds(self.began.elapsed());
                seen.latencies.saturating_record(now.saturating_sub(due as u64));
            }
            Err((error, _)) => {
                seen.failure.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// Produces; the topic exists.
pub(crate) fn produce(
    address: SocketAddr,
    broker: &Processes,
    topic: &str,
    sending: &Sending,
    processor_count: usize,
) -> io::Result<Driven> {
    produce_since(Instant::now(), address, broker, topic, sending, processor_count)
}

/// As [`produce`]; the values begin with the nanoseconds from `began` to when their record was due.
pub(super) fn produce_since(
    began: Instant,
    address: SocketAddr,
    broker: &Processes,
    topic: &str,
    sending: &Sending,
    processor_count: usize,
) -> io::Result<Driven> {
    let mut senders = (0..sending.clients)
        .map(|_| Sender::connect(address, topic, sending, began))
        .collect::<io::Result<Vec<_>>>()?;
    let schedule = sending.rate.map(|rate| Schedule::new(began, rate));
    let begin = began + sending.warm_up;
    let end = begin + sending.duration;
    let mut start = None;
    let mut number = 0_u64;
    loop {
        let now = Instant::now();
        if start.is_none() && now >= begin {
            // Deliveries are told to this thread alone, so none comes between the two.
            start = Some(Sample::begin(broker)?);
            senders.iter().for_each(Sender::begin_measurement);
        }
        if now >= end {
            break;
        }
        let due = schedule.map_or(u64::MAX, |schedule| schedule.count_before(now));
        let mut is_stuck = true;
        for sender in &mut senders {
            let most = usize::try_from(due.saturating_sub(number)).unwrap_or(usize::MAX).min(BURST);
            let when = |index: u64| schedule.map_or(now, |schedule| schedule.due(index));
            let taken = sender.send(most, |index| nanoseconds(when(number + index) - began))?;
            number += taken as u64;
            is_stuck &= taken < BURST;
            sender.producer.poll(Duration::ZERO);
        }
        match schedule {
            // The library waits in whole milliseconds, which would be latency.
            Some(schedule) => {
                let next = schedule.due(number).saturating_duration_since(Instant::now());
                thread::sleep(next.min(NAP));
            }
            None if is_stuck => senders[0].producer.poll(WAIT),
            None => {}
        }
    }
    let finish = Clocks::read(broker)?;
    let start = start.ok_or_else(|| io::Error::other("the run ended before its measurement began"))?;
    // The histogram ends with the measurement; what is under way is awaited for the count alone.
    let measured: u64 = senders.iter().map(|sender| sender.deliveries().measured).sum();
    let mut latencies = latency_histogram();
    for sender in senders.iter().filter(|_| schedule.is_some()) {
        latencies.add(&sender.deliveries().latencies).map_err(io::Error::other)?;
    }
    let mut records = 0;
    for sender in &senders {
        sender.producer.flush(FLUSH_MAX).map_err(|error| failed(&error))?;
        let seen = sender.deliveries();
        if let Some(error) = &seen.failure {
            return Err(failed(error));
        }
        records += seen.total;
    }
    if records != number {
        return Err(io::Error::other(format!("{number} records were sent, {records} acknowledged")));
    }
    let records_per_batch = senders.iter().find_map(|sender| sender.deliveries().records_per_batch);
    let bytes = measured * sending.record_size_bytes as u64;
    let work = Work { requests: measured, records: measured, bytes };
    let figures = Figures::new(work, &start, &finish.complete(broker)?, processor_count);
    Ok(Driven { figures, latencies, records, records_per_batch })
}

/// A client of the library, and what it sends.
struct Sender<'a> {
    producer: BaseProducer<Deliveries>,
    topic: &'a str,
    value: Vec<u8>,
    partitions: i32,
    next_partition: i32,
}

impl<'a> Sender<'a> {
    fn connect(address: SocketAddr, topic: &'a str, sending: &Sending, began: Instant) -> io::Result<Self> {
        let config = config(address, &producer_settings(sending));
        let producer = config.create_with_context(Deliveries::new(began)).map_err(|error| failed(&error))?;
        let partitions = i32::try_from(sending.partitions).map_err(io::Error::other)?;
        Ok(Self {
            producer,
            topic,
            value: vec![b'r'; sending.record_size_bytes],
            partitions,
            next_partition: 0,
        })
    }

    fn deliveries(&self) -> MutexGuard<'_, Seen> {
        self.producer.context().seen()
    }

    fn begin_measurement(&self) {
        let mut seen = self.deliveries();
        seen.measured = 0;
        seen.latencies.reset();
    }

    /// Hands over at most so many records, and says how many the library took.
    fn send(&mut self, most: usize, due: impl Fn(u64) -> u64) -> io::Result<usize> {
        for index in 0..most {
            let due = due(index as u64);
            if let Some(place) = self.value.first_chunk_mut() {
                *place = due.to_le_bytes();
            }
            let record = BaseRecord::<(), [u8], usize>::with_opaque_to(self.topic, due as usize)
                .partition(self.next_partition)
                .payload(self.value.as_slice());
            match self.producer.send(record) {
                Ok(()) => self.next_partition = (self.next_partition + 1) % self.partitions,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => return Ok(index),
                Err((error, _)) => return Err(failed(&error)),
            }
        }
        Ok(most)
    }
}
