//! The producer of a kill through librdkafka: what a usual client makes of a failover.
//!
//! Idempotent, everything else as the library has it by default: it waits before it asks again, and
//! batches for 5 ms. Offsets are not looked at one by one here; that the log grew by exactly what was
//! acknowledged is.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use crate::driver::wire::stubborn::{Acknowledged, Sent, Work};
use crate::measure::{latency_histogram, nanoseconds};
use crate::schedule::Schedule;

/// How long everything that is under way may take to be acknowledged in the end.
const FLUSH_MAX: Duration = Duration::from_secs(120);
/// How long to sleep at most while no record is due: a delivery is noticed so late.
const NAP: Duration = Duration::from_millis(1);

/// What the library tells of records.
struct Deliveries {
    schedule: Schedule,
    told: Sender<Acknowledged>,
    acknowledged: AtomicU64,
    latencies: Mutex<Histogram<u64>>,
    failure: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    /// Number of the record.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, record: usize) {
        let at = Instant::now();
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                let late = at.saturating_duration_since(self.schedule.due(record as u64));
                let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
                latencies.saturating_record(nanoseconds(late).max(1));
                // Nobody listens any more if the run ends with an error.
                let _unheard = self.told.send(Acknowledged { at, records: 1 });
            }
            Err((error, _)) => {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// Sends until it is told to stop, and until everything is acknowledged.
pub(super) fn run(
    addresses: &[SocketAddr],
    work: &Work,
    told: Sender<Acknowledged>,
    is_over: &AtomicBool,
) -> io::Result<Sent> {
    let bootstrap = addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("client.id", "ringmain-bench");
    config.set("enable.idempotence", "true");
    let schedule = Schedule::new(Instant::now(), work.rate);
    let deliveries = Deliveries {
        schedule,
        told,
        acknowledged: AtomicU64::new(0),
        latencies: Mutex::new(latency_histogram()),
        failure: Mutex::new(None),
    };
    let failed = |error: &KafkaError| io::Error::other(format!("librdkafka: {error}"));
    let producer: BaseProducer<Deliveries> =
        config.create_with_context(deliveries).map_err(|error| failed(&error))?;
    let value = vec![b'r'; work.record_size_bytes];
    let mut sent = 0_u64;
    while !is_over.load(Ordering::Relaxed) {
        let due = schedule.count_before(Instant::now());
        while sent < due {
            let record = BaseRecord::<(), [u8], usize>::with_opaque_to(&work.topic, sent as usize)
                .partition(work.partition)
                .payload(value.as_slice());
            match producer.send(record) {
                Ok(()) => sent += 1,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => break,
                Err((error, _)) => return Err(failed(&error)),
            }
        }
        producer.poll(Duration::ZERO);
        let failure = producer.context().failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(error) = failure {
            return Err(failed(&error));
        }
        std::thread::sleep(schedule.due(sent).saturating_duration_since(Instant::now()).min(NAP));
    }
    producer.flush(FLUSH_MAX).map_err(|error| failed(&error))?;
    let context = producer.context();
    let records = context.acknowledged.load(Ordering::Relaxed);
    if records != sent {
        return Err(io::Error::other(format!("{sent} records were sent, {records} acknowledged")));
    }
    let latencies = context.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Sent { records, latencies })
}
