//! Scenario `end-to-end`: how long after a record should have been sent a consumer has it.
//!
//! One connection produces single records on a schedule, another one waits for them with a fetch
//! that the broker answers when there is something. Records of one connection keep their order, so
//! a record's offset says which one it is and when it was due: nothing is written into it.
//! Latency counts from the scheduled time. Both connections are served by the same thread, so no
//! clocks need to agree.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ringmain_protocol::messages::{FetchPartition, LATEST_TIMESTAMP};
use ringmain_protocol::records;

use crate::driver::wire::batch::Batch;
use crate::driver::wire::client::{Client, SILENCE_MAX, other};
use crate::driver::wire::fetcher::Fetcher;
use crate::driver::wire::pipeline::Pipeline;
use crate::driver::wire::produce_frame::{ProduceAnswer, ProduceFrame};
use crate::measure::{Figures, Sample, Work, latency_histogram, nanoseconds};
use crate::outcome::{NamedLatency, Outcome, Phase};
use crate::scenario::Context;
use crate::scenario::produce::{ProduceSettings, encode_batch};
use crate::schedule::Schedule;
use crate::system::{self, Interest};
use crate::target::Target;

/// Bytes asked for in a fetch: what consumers ask for by default.
const FETCH_BYTES_MAX: i32 = 1 << 20;

/// Runs the scenario against a broker.
pub(crate) fn run(target: &Target, settings: &ProduceSettings, context: &Context) -> io::Result<Outcome> {
    let Some(rate) = settings.rate else {
        return Err(other("end-to-end needs a --rate".into()));
    };
    if settings.acks == 0 || settings.partitions != 1 || settings.connections != 1 {
        return Err(other("end-to-end has one connection, one partition, and acknowledgements".into()));
    }
    let topic = settings.topic.as_ref().unwrap_or(&context.topic_prefix);
    let configs = [settings.configs.as_slice(), &target.configs].concat();
    Client::connect(target.address)?.create_topic(topic, 1, &configs)?;
    let result = drive(target, topic, settings, rate, context);
    let deleted = Client::connect(target.address).and_then(|mut client| client.delete_topic(topic));
    // What went wrong first is what the user should read.
    let result = result?;
    deleted?;
    Ok(result)
}

fn drive(
    target: &Target,
    topic: &str,
    settings: &ProduceSettings,
    rate: f64,
    context: &Context,
) -> io::Result<Outcome> {
    let first_offset = Client::connect(target.address)?.offsets(topic, 1, LATEST_TIMESTAMP)?[0];
    let batch = encode_batch(settings)?;
    let mut exchange = Exchange::connect(target.address, topic, settings, batch, rate, first_offset)?;
    exchange.drive_until(Instant::now() + settings.warm_up)?;
    exchange.clear();
    let start = Sample::take(target.pid)?;
    exchange.drive_until(Instant::now() + settings.duration)?;
    let end = Sample::take(target.pid)?;
    let requests = exchange.end_to_end.len();
    let work = Work {
        requests,
        records: requests * u64::from(exchange.batch.record_count),
        bytes: requests * exchange.batch.bytes.len() as u64,
    };
    let latencies = [
        NamedLatency::of("end to end", &exchange.end_to_end),
        NamedLatency::of("acknowledgement", &exchange.acknowledgements),
    ];
    let phase = Phase {
        name: "end to end".into(),
        figures: Figures::new(work, &start, &end, context.processor_count),
        latencies: latencies.into_iter().flatten().collect(),
        timeline: Vec::new(),
    };
    exchange.finish()?;
    Ok(Outcome { phases: vec![phase], facts: Vec::new() })
}

/// Both connections and what passes between them.
struct Exchange<'a> {
    topic: &'a str,
    batch: Batch,
    frame: ProduceFrame,
    answer: ProduceAnswer,
    schedule: Schedule,
    producer: Pipeline,
    consumer: Fetcher,
    first_offset: i64,
    /// Requests begun, and requests whose records the consumer has.
    begun: u64,
    consumed: u64,
    end_to_end: Histogram<u64>,
    acknowledgements: Histogram<u64>,
    last_progress: Instant,
}

impl<'a> Exchange<'a> {
    fn connect(
        address: SocketAddr,
        topic: &'a str,
        settings: &ProduceSettings,
        batch: Batch,
        rate: f64,
        first_offset: i64,
    ) -> io::Result<Self> {
        let frame = ProduceFrame::new(topic, settings.acks, &batch.bytes)?;
        let producer = Pipeline::connect(address, &frame, settings.in_flight)?;
        let consumer = Fetcher::connect(address)?;
        let now = Instant::now();
        Ok(Self {
            topic,
            batch,
            frame,
            answer: ProduceAnswer::new(topic)?,
            schedule: Schedule::new(now, rate),
            producer,
            consumer,
            first_offset,
            begun: 0,
            consumed: 0,
            end_to_end: latency_histogram(),
            acknowledgements: latency_histogram(),
            last_progress: now,
        })
    }

    fn clear(&mut self) {
        self.end_to_end.clear();
        self.acknowledgements.clear();
    }

    fn drive_until(&mut self, deadline: Instant) -> io::Result<()> {
        self.last_progress = Instant::now();
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Ok(());
            }
            while self.producer.has_room() && self.schedule.due(self.begun) <= now {
                self.producer.push(&self.frame, 0, self.schedule.due(self.begun));
                self.begun += 1;
            }
            self.producer.write()?;
            let next = if self.producer.has_room() { self.schedule.due(self.begun) } else { deadline };
            self.turn(next.min(deadline).saturating_duration_since(now))?;
        }
    }

    /// Waits until the consumer has all that was begun.
    fn finish(mut self) -> io::Result<()> {
        while self.producer.in_flight() > 0 || self.consumed < self.begun {
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Waits for one of the connections, and reads and writes what can be.
    fn turn(&mut self, timeout: Duration) -> io::Result<()> {
        if !self.consumer.is_waiting() {
            self.fetch()?;
        }
        let mut interests = [
            Interest::new(self.producer.fd(), self.producer.has_unwritten()),
            Interest::new(self.consumer.fd(), false),
        ];
        system::poll(&mut interests, timeout)?;
        let [producer, consumer] = interests;
        if producer.is_writable() {
            self.producer.write()?;
        }
        if producer.is_readable() {
            let now = Instant::now();
            let acknowledgements = &mut self.acknowledgements;
            self.producer.read(&self.answer, |began| {
                acknowledgements.saturating_record(nanoseconds(now.saturating_duration_since(began)));
            })?;
        }
        if consumer.is_readable() && self.consumer.receive()? {
            self.accept()?;
            self.fetch()?;
        }
        if self.last_progress.elapsed() > SILENCE_MAX && self.consumed < self.begun {
            return Err(other(format!("the consumer got nothing for {} s", SILENCE_MAX.as_secs())));
        }
        Ok(())
    }

    fn fetch(&mut self) -> io::Result<()> {
        let partition = FetchPartition {
            partition: 0,
            fetch_offset: self.next_offset()?,
            partition_max_bytes: FETCH_BYTES_MAX,
            ..Default::default()
        };
        self.consumer.request(self.topic, vec![partition], FETCH_BYTES_MAX)
    }

    /// Takes the records that have come as consumed now.
    fn accept(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let mut due_offset = self.next_offset()?;
        let (response, _) = self.consumer.take_response(self.topic)?;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            for batch in records::batches(partition.records.unwrap_or_default()) {
                let batch = match batch {
                    Ok(batch) => batch,
                    // Brokers may cut the last batch at the limit.
                    Err(records::BatchError::Truncated { .. }) => break,
                    Err(error) => return Err(io::Error::other(error)),
                };
                if batch.base_offset() != due_offset {
                    return Err(other(format!("offset {} came, {due_offset} was due", batch.base_offset())));
                }
                due_offset += i64::from(self.batch.record_count);
                let due = self.schedule.due(self.consumed);
                self.consumed += 1;
                self.end_to_end.saturating_record(nanoseconds(now.saturating_duration_since(due)));
                self.last_progress = now;
            }
        }
        Ok(())
    }

    /// Offset of the first record that the consumer has not got.
    fn next_offset(&self) -> io::Result<i64> {
        let records = self.consumed * u64::from(self.batch.record_count);
        Ok(self.first_offset + i64::try_from(records).map_err(io::Error::other)?)
    }
}
