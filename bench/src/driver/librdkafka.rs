//! The second driver: librdkafka, the client that most programs outside of Java use.
//!
//! It says what users get, where the wire driver says what the broker can do. Records are handed over
//! one by one, and the library makes batches of them in threads of its own: it spends about a
//! microsecond on each, so small records measure the library. On one processor it ends at 1 to 2
//! million records of 100 bytes a second, or 1 to 1.4 GB/s of 1 KiB; a report whose client was busy all
//! the time says so. A loop without a rate keeps the library's queue full, whose length would be its
//! latency: only what is sent at a rate has one.
//!
//! What must hold: every record is acknowledged, and every error ends the run. Topics are created and
//! verified by the wire client, so that both drivers mean the same by a run.

mod consume;
mod end_to_end;
mod produce;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

pub(crate) use self::consume::{Receiving, consume};
pub(crate) use self::end_to_end::end_to_end;
pub(crate) use self::produce::produce;

use crate::measure::Figures;

/// How long everything that is under way may take to be acknowledged in the end.
const FLUSH_MAX: Duration = Duration::from_secs(30);

/// The most that the library takes: batches end by their size then.
const BATCH_RECORDS_MAX: u32 = 1_000_000;

/// What to send, and how.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    pub(crate) record_size_bytes: usize,
    /// Size that a batch may have.
    pub(crate) batch_size_bytes: usize,
    /// Records that a batch may have, in place of a size.
    pub(crate) records_per_batch: Option<u32>,
    pub(crate) acks: i16,
    /// Clients, each with a connection.
    pub(crate) clients: usize,
    /// Requests in flight on each of them.
    pub(crate) in_flight: usize,
    pub(crate) partitions: u32,
    /// Records a second; without it as many as the library takes.
    pub(crate) rate: Option<f64>,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// How a consumer asks.
#[derive(Debug, Clone)]
pub(crate) struct Fetching {
    pub(crate) partition_max_bytes: i32,
    pub(crate) max_bytes: i32,
    pub(crate) verify_checksums: bool,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Driven {
    /// Bytes are those of the records' values, requests are unknown: records stand for them.
    pub(crate) figures: Figures,
    /// From the scheduled time to the acknowledgement, or to the consumer; empty without a rate.
    pub(crate) latencies: Histogram<u64>,
    /// Records sent and acknowledged in all, warm-up included; for a consumer those received.
    pub(crate) records: u64,
    /// Records in a batch on average, as the library says.
    pub(crate) records_per_batch: Option<f64>,
}

/// The library's version, for the report.
pub(crate) fn version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// Settings of a producer, as the library names them. What is not among them is the library's default.
pub(crate) fn producer_settings(sending: &Sending) -> Vec<(&'static str, String)> {
    // At a rate nothing is gained by waiting for a batch to fill.
    let linger = if sending.rate.is_some() { "0" } else { "5" };
    vec![
        ("acks", sending.acks.to_string()),
        ("batch.size", sending.batch_size_bytes.to_string()),
        ("batch.num.messages", sending.records_per_batch.unwrap_or(BATCH_RECORDS_MAX).to_string()),
        ("linger.ms", linger.to_owned()),
        ("max.in.flight.requests.per.connection", sending.in_flight.to_string()),
        ("statistics.interval.ms", "500".to_owned()),
    ]
}

/// Settings of a consumer.
pub(crate) fn consumer_settings(fetching: &Fetching) -> Vec<(&'static str, String)> {
    vec![
        ("max.partition.fetch.bytes", fetching.partition_max_bytes.to_string()),
        ("fetch.max.bytes", fetching.max_bytes.to_string()),
        ("check.crcs", fetching.verify_checksums.to_string()),
        // No group takes part, but the library wants a name.
        ("group.id", "ringmain-bench".to_owned()),
        ("enable.auto.commit", "false".to_owned()),
        // Records that are skipped would make a run that means something else.
        ("auto.offset.reset", "error".to_owned()),
        // It asks for more while it holds fewer records than this, or 64 MiB.
        ("queued.min.messages", "1000000".to_owned()),
    ]
}

fn config(address: SocketAddr, settings: &[(&'static str, String)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address.to_string()).set("client.id", "ringmain-bench");
    for (name, value) in settings {
        config.set(*name, value);
    }
    config
}

fn failed(error: &KafkaError) -> io::Error {
    io::Error::other(format!("librdkafka: {error}"))
}
