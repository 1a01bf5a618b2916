//! Scenario `produce`: sends the same encoded batch as fast as the broker answers, or at a rate.
//!
//! 1. Create the topic (unless it is given), list its offsets.
//! 2. Keep every connection's pipeline full through warm-up and measurement, or begin requests on a
//!    schedule; the clocks are read at both ends of the measurement.
//! 3. Wait for what is in flight; list the offsets again: the log must have grown by exactly the
//!    records that were sent.
//! 4. Delete the topic.
//!
//! Any error, wrong answer or silence ends the run without a result. One thread does it all.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ringmain_protocol::messages::LATEST_TIMESTAMP;
use serde::Serialize;

use crate::driver::wire::batch::Batch;
use crate::driver::wire::client::{Client, SILENCE_MAX, other};
use crate::driver::wire::pipeline::Pipeline;
use crate::driver::wire::produce_frame::{ProduceAnswer, ProduceFrame};
use crate::measure::{Figures, Sample, Work, latency_histogram, nanoseconds};
use crate::outcome::{Better, Fact, NamedLatency, Outcome, Phase};
use crate::scenario::Context;
use crate::schedule::Schedule;
use crate::system::{self, Interest};
use crate::target::Target;

/// What to send, and how.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ProduceSettings {
    /// Size of a record's value.
    pub(crate) record_size_bytes: usize,
    /// Size that a batch may have, unless `records_per_request` is given.
    pub(crate) batch_size_bytes: usize,
    /// Records in a batch.
    pub(crate) records_per_request: Option<u32>,
    /// 0: no answers; 1: from the leader; -1: from all in-sync replicas.
    pub(crate) acks: i16,
    /// Connections.
    pub(crate) connections: usize,
    /// Requests in flight on each of them.
    pub(crate) in_flight: usize,
    /// Partitions; requests go to one after the other.
    pub(crate) partitions: u32,
    /// Requests a second that begin on a schedule; without it each answer makes room for a request.
    pub(crate) rate: Option<f64>,
    /// Seconds before the measurement.
    #[serde(serialize_with = "crate::report::as_seconds")]
    pub(crate) warm_up: Duration,
    /// Seconds of the measurement.
    #[serde(serialize_with = "crate::report::as_seconds")]
    pub(crate) duration: Duration,
    /// Configs of the topic.
    pub(crate) configs: Vec<(String, String)>,
    /// The topic; by default one of the run's own.
    pub(crate) topic: Option<String>,
    /// Whether the topic exists and stays.
    pub(crate) keep_topic: bool,
    /// Whether the log's growth is compared with what was sent.
    pub(crate) verify: bool,
}

/// Runs the scenario against a broker.
pub(crate) fn run(target: &Target, settings: &ProduceSettings, context: &Context) -> io::Result<Outcome> {
    let topic = settings.topic.as_ref().unwrap_or(&context.topic_prefix);
    let mut client = Client::connect(target.address)?;
    if settings.keep_topic {
        let found = client.partition_count(topic)?;
        if found < settings.partitions {
            return Err(other(format!("topic {topic} has {found} partitions")));
        }
    } else {
        let configs = [settings.configs.as_slice(), &target.configs].concat();
        client.create_topic(topic, settings.partitions, &configs)?;
    }
    let result = drive_and_verify(&mut client, target, topic, settings, context);
    if settings.keep_topic {
        return result;
    }
    let deleted = Client::connect(target.address).and_then(|mut client| client.delete_topic(topic));
    // What went wrong first is what the user should read.
    let result = result?;
    deleted?;
    Ok(result)
}

fn drive_and_verify(
    client: &mut Client,
    target: &Target,
    topic: &str,
    settings: &ProduceSettings,
    context: &Context,
) -> io::Result<Outcome> {
    let batch = encode_batch(settings)?;
    let end_offsets = |client: &mut Client| client.offsets(topic, settings.partitions, LATEST_TIMESTAMP);
    let before = if settings.verify { end_offsets(client)? } else { Vec::new() };
    let mut load = Load::connect(target.address, topic, settings, &batch)?;
    let (figures, histogram) = load.measure(target.pid, context.processor_count)?;
    let sent = load.finish(topic)? * u64::from(batch.record_count);
    if settings.verify {
        let after = end_offsets(client)?;
        let grown: i64 = after.iter().zip(&before).map(|(after, before)| after - before).sum();
        if u64::try_from(grown) != Ok(sent) {
            return Err(other(format!("{sent} records were sent, but the log grew by {grown}")));
        }
    }
    // Without answers (acks=0) the histogram is empty, and there is no latency.
    let latencies = NamedLatency::of("acknowledgement", &histogram).into_iter().collect();
    let phase = Phase { name: "produce".into(), figures, latencies, timeline: Vec::new() };
    let fact = |name: &str, value, unit| Fact { name: name.into(), value, unit, better: Better::Neither };
    let facts = vec![
        fact("records in a request", f64::from(batch.record_count), "records"),
        fact("size of a batch", batch.bytes.len() as f64, "B"),
    ];
    Ok(Outcome { phases: vec![phase], facts })
}

/// The batch that all requests carry.
pub(crate) fn encode_batch(settings: &ProduceSettings) -> io::Result<Batch> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_err(io::Error::other)?;
    let now_ms = i64::try_from(now.as_millis()).map_err(io::Error::other)?;
    let size = settings.record_size_bytes;
    match settings.records_per_request {
        Some(count) => Batch::of_count(count, size, now_ms),
        None => Batch::of_size(settings.batch_size_bytes, size, now_ms),
    }
    .map_err(io::Error::other)
}

/// The connections and what is under way on them.
struct Load<'a> {
    settings: &'a ProduceSettings,
    frame: ProduceFrame,
    answer: ProduceAnswer,
    pipelines: Vec<Pipeline>,
    interests: Vec<Interest>,
    schedule: Option<Schedule>,
    /// What one request carries.
    request: Work,
    /// Requests begun since the first.
    begun: u64,
    next_partition: u32,
    /// Requests done, and how long they took, since the counters were last cleared.
    done: u64,
    latencies: Histogram<u64>,
    last_progress: Instant,
}

impl<'a> Load<'a> {
    fn connect(
        address: SocketAddr,
        topic: &str,
        settings: &'a ProduceSettings,
        batch: &Batch,
    ) -> io::Result<Self> {
        let frame = ProduceFrame::new(topic, settings.acks, &batch.bytes)?;
        let pipelines = (0..settings.connections)
            .map(|_| Pipeline::connect(address, &frame, settings.in_flight))
            .collect::<io::Result<Vec<_>>>()?;
        let interests = pipelines.iter().map(|pipeline| Interest::new(pipeline.fd(), false)).collect();
        let now = Instant::now();
        Ok(Self {
            settings,
            frame,
            answer: ProduceAnswer::new(topic)?,
            pipelines,
            interests,
            schedule: settings.rate.map(|rate| Schedule::new(now, rate)),
            request: Work {
                requests: 1,
                records: batch.record_count.into(),
                bytes: batch.bytes.len() as u64,
            },
            begun: 0,
            next_partition: 0,
            done: 0,
            latencies: latency_histogram(),
            last_progress: now,
        })
    }

    /// Warms up, then measures.
    fn measure(
        &mut self,
        broker_pid: Option<u32>,
        processor_count: usize,
    ) -> io::Result<(Figures, Histogram<u64>)> {
        self.drive_until(Instant::now() + self.settings.warm_up)?;
        self.done = 0;
        self.latencies.clear();
        let start = Sample::take(broker_pid)?;
        self.drive_until(Instant::now() + self.settings.duration)?;
        let end = Sample::take(broker_pid)?;
        let work = Work {
            requests: self.done,
            records: self.done * self.request.records,
            bytes: self.done * self.request.bytes,
        };
        Ok((Figures::new(work, &start, &end, processor_count), self.latencies.clone()))
    }

    /// Waits for what is in flight; says how many requests there were in all.
    fn finish(mut self, topic: &str) -> io::Result<u64> {
        while self.pipelines.iter().any(|pipeline| pipeline.in_flight() > 0) {
            self.turn(Duration::from_millis(100))?;
        }
        if self.settings.acks == 0 {
            // Requests on a connection are served in order, so when the broker has answered
            // another one it has taken all that had no answers.
            for pipeline in self.pipelines {
                Client::from_stream(pipeline.into_stream())?.partition_count(topic)?;
            }
        }
        Ok(self.begun)
    }

    fn drive_until(&mut self, deadline: Instant) -> io::Result<()> {
        self.last_progress = Instant::now();
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Ok(());
            }
            let next_begin = self.begin_requests(now)?;
            let until = next_begin.map_or(deadline, |next| next.min(deadline));
            self.turn(until.saturating_duration_since(now))?;
        }
    }

    /// Begins the requests that may begin now; says when the next one is due, if by the clock.
    fn begin_requests(&mut self, now: Instant) -> io::Result<Option<Instant>> {
        let Some(schedule) = self.schedule else {
            for index in 0..self.pipelines.len() {
                self.fill(index, now)?;
            }
            // Where no answer makes room, what was written does: go on at once.
            return Ok(self.pipelines.iter().any(Pipeline::has_room).then_some(now));
        };
        loop {
            let due = schedule.due(self.begun);
            if due > now {
                return Ok(Some(due));
            }
            let Some(index) = self.pipelines.iter().position(Pipeline::has_room) else { return Ok(None) };
            // Latency counts from when the request was due, so waiting for room is part of it.
            self.push(index, due);
            self.pipelines[index].write()?;
            self.retire_unanswered(index);
        }
    }

    /// Fills one connection's pipeline.
    fn fill(&mut self, index: usize, now: Instant) -> io::Result<()> {
        while self.pipelines[index].has_room() {
            self.push(index, now);
        }
        self.pipelines[index].write()?;
        self.retire_unanswered(index);
        Ok(())
    }

    fn push(&mut self, index: usize, began: Instant) {
        let partition = i32::try_from(self.next_partition).expect("partitions were created, so they are few");
        self.next_partition = (self.next_partition + 1) % self.settings.partitions;
        self.pipelines[index].push(&self.frame, partition, began);
        self.begun += 1;
    }

    /// Waits for one of the connections, and reads and writes what can be.
    fn turn(&mut self, timeout: Duration) -> io::Result<()> {
        for (interest, pipeline) in self.interests.iter_mut().zip(&self.pipelines) {
            interest.set_writable(pipeline.has_unwritten());
        }
        let silence_max = SILENCE_MAX.saturating_sub(self.last_progress.elapsed());
        let ready = system::poll(&mut self.interests, timeout.min(silence_max))?;
        let now = Instant::now();
        if ready > 0 {
            self.last_progress = now;
        } else if silence_max.is_zero() && self.pipelines.iter().any(|pipeline| pipeline.in_flight() > 0) {
            return Err(other(format!("the broker has said nothing for {} s", SILENCE_MAX.as_secs())));
        }
        for index in 0..self.pipelines.len() {
            if self.interests[index].is_writable() {
                self.pipelines[index].write()?;
            }
            if self.interests[index].is_readable() {
                let (done, latencies) = (&mut self.done, &mut self.latencies);
                self.pipelines[index].read(&self.answer, |began| {
                    *done += 1;
                    latencies.saturating_record(nanoseconds(now.saturating_duration_since(began)));
                })?;
            }
            self.retire_unanswered(index);
        }
        Ok(())
    }

    /// Counts requests that get no answers as done once they are written.
    fn retire_unanswered(&mut self, index: usize) {
        if self.settings.acks == 0 {
            let done = &mut self.done;
            self.pipelines[index].retire_written(|| *done += 1);
        }
    }
}
