//! All connections of a run, turned by one thread: producers, readers, and what is measured of them.
//!
//! 1. The scenario connects producers and readers, and drives them until they are warm.
//! 2. A window is measured: the clocks are read at both ends, the timeline is cut in between.
//! 3. What was due in the window is waited for, also behind its end: a request that a stall delays
//!    is part of the measurement however long it takes.
//! 4. At the end nothing may be left under way, and everything must have arrived.
//!
//! Any error, wrong answer or silence ends the run without a result.

use std::io;
use std::time::{Duration, Instant};

use ringmain_protocol::messages::LATEST_TIMESTAMP;

use crate::context::clocks::CpuTime;
use crate::driver::wire::batch::Batch;
use crate::driver::wire::client::{SILENCE_MAX, other};
use crate::driver::wire::leaders::Leaders;
use crate::driver::wire::producers::{ProducerSettings, Producers};
use crate::driver::wire::reader::{Arrival, Range, Reader, ReaderSettings, share};
use crate::measure::flow::{BrokerSlice, Flow, Timing};
use crate::measure::{Clocks, Figures, Sample, Work};
use crate::outcome::Phase;
use crate::scenario::Context;
use crate::scenario::cold_files::ColdFiles;
use crate::schedule::Schedule;
use crate::system::{self, epoll::Epoll};
use crate::target::Target;

/// Tokens of readers begin here; below are the producers' connections.
const FIRST_READER: u64 = 1 << 32;
/// A slice of the timeline is no shorter, nor longer as long as the slices are not too many.
const SLICE_MIN: Duration = Duration::from_millis(250);
const SLICE_MAX: Duration = Duration::from_secs(1);
/// Slices of a short window, and of the longest.
const SLICES_USUAL: u32 = 40;
const SLICES_MAX: u32 = 600;
/// No reading takes so long; it ends with the data.
const READING_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long what was due in a window may take behind its end: a broker that needs longer does not
/// keep up with the rate, and has no latency.
const SETTLE_MAX: Duration = Duration::from_secs(30);
/// Time from one look at the log's end to the next, where nothing tells when to look.
const VERIFY_INTERVAL: Duration = Duration::from_millis(20);
/// Longest wait for news, so that an interrupt is noticed.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// The connections of a run.
pub(crate) struct Session<'a> {
    context: &'a Context,
    target: &'a Target,
    topic: &'a str,
    leaders: Leaders,
    epoll: Epoll,
    producers: Option<Producers>,
    readers: Vec<Reader>,
    /// What one request carries.
    request: Work,
    is_acknowledged: bool,
    /// End of each partition when the session began.
    first_offsets: Vec<i64>,
    /// How many consumers get each record, and how many records they got.
    copies: u64,
    followed_records: u64,
    produced: Flow,
    consumed: Flow,
    /// Keeps readers that have come to the end supplied with cold files.
    cold: Option<ColdFiles>,
    /// How often readers that have come to the end begin anew.
    passes_left: u32,
    last_news: Instant,
}

/// A window's clocks and what passed in it.
#[derive(Debug)]
pub(crate) struct Window {
    start: Sample,
    end: Sample,
    processor_count: usize,
    /// Requests that were acknowledged.
    pub(crate) produced: Flow,
    /// Records that came back.
    pub(crate) consumed: Flow,
}

impl Window {
    /// One of its flows as a phase; `beside` gives it a second latency.
    pub(crate) fn phase(&self, name: &'static str, flow: &Flow, beside: Option<&Flow>) -> Phase {
        let latencies = [Some(flow), beside].into_iter().flatten().filter_map(Flow::latency);
        Phase {
            name: name.into(),
            figures: Figures::new(flow.work(), &self.start, &self.end, self.processor_count),
            latencies: latencies.collect(),
            timeline: flow.clone().into_timeline(),
        }
    }

    /// What was acknowledged, as a phase.
    pub(crate) fn produce_phase(&self, name: &'static str) -> Phase {
        self.phase(name, &self.produced, None)
    }
}

impl<'a> Session<'a> {
    /// No connections yet; the topic exists and has so many partitions.
    pub(crate) fn new(
        context: &'a Context,
        target: &'a Target,
        topic: &'a str,
        partitions: u32,
    ) -> io::Result<Self> {
        let leaders = Leaders::find(target.address, topic, partitions)?;
        let first_offsets = leaders.offsets(topic, LATEST_TIMESTAMP)?;
        Ok(Self {
            context,
            target,
            topic,
            leaders,
            epoll: Epoll::new()?,
            producers: None,
            readers: Vec::new(),
            request: Work::default(),
            is_acknowledged: true,
            first_offsets,
            copies: 0,
            followed_records: 0,
            produced: Flow::new("acknowledgement", Timing::ByEnd),
            consumed: Flow::new("response", Timing::ByEnd),
            cold: None,
            passes_left: 0,
            last_news: Instant::now(),
        })
    }

    /// Connects producers of `batch`.
    pub(crate) fn produce(&mut self, batch: &Batch, settings: ProducerSettings) -> io::Result<()> {
        assert!(self.producers.is_none(), "producers are connected once");
        self.request =
            Work { requests: 1, records: batch.record_count.into(), bytes: batch.bytes.len() as u64 };
        let timing = match (settings.acks, settings.rate) {
            (0, _) => Timing::None,
            (_, Some(_)) => Timing::BySchedule,
            (_, None) => Timing::ByEnd,
        };
        self.produced = Flow::new("acknowledgement", timing);
        self.is_acknowledged = settings.acks != 0;
        let producers = Producers::connect(&self.leaders, self.topic, &batch.bytes, settings, &self.epoll)?;
        self.producers = Some(producers);
        Ok(())
    }

    /// Connects consumers that each get all that is produced from now on.
    pub(crate) fn follow(&mut self, consumers: usize, settings: ReaderSettings) -> io::Result<()> {
        let ranges = (0_i32..).zip(&self.first_offsets);
        let ranges: Vec<Range> =
            ranges.map(|(partition, offset)| Range::new(partition, *offset, i64::MAX)).collect();
        // Without a schedule nobody knows when a record was due.
        let has_schedule = self.producers.as_ref().is_some_and(|producers| producers.schedule().is_some());
        let timing = if has_schedule { Timing::BySchedule } else { Timing::None };
        self.consumed = Flow::new("end to end", timing);
        self.copies = consumers as u64;
        let address = self.leaders.of((0..).take(ranges.len()))?;
        for _ in 0..consumers {
            let reader = Reader::connect(address, self.topic, ranges.clone(), settings)?;
            self.add_reader(reader)?;
        }
        Ok(())
    }

    /// Connects readers of `topic`, each with its share of `ranges`; they begin when they are told.
    pub(crate) fn read(
        &mut self,
        topic: &str,
        ranges: Vec<Range>,
        connections: usize,
        settings: ReaderSettings,
    ) -> io::Result<()> {
        self.consumed = Flow::new("response", Timing::ByEnd);
        for ranges in share(ranges, connections) {
            let reader = Reader::connect(self.target.address, topic, ranges, settings)?;
            self.epoll.add(reader.fd(), FIRST_READER + self.readers.len() as u64)?;
            self.readers.push(reader);
        }
        Ok(())
    }

    /// Supplies the readers with cold files from now on, again and again, until
    /// [`stop_reading`](Self::stop_reading).
    pub(crate) fn read_cold_files(&mut self, mut files: ColdFiles) -> io::Result<()> {
        files.evict_now()?;
        self.cold = Some(files);
        self.read_on()
    }

    /// Lets the readers end where they stand with their next response.
    pub(crate) fn stop_reading(&mut self) {
        self.cold = None;
        self.readers.clear();
    }

    /// Lets all readers begin anew.
    fn read_on(&mut self) -> io::Result<()> {
        for reader in &mut self.readers {
            reader.rewind();
            reader.request()?;
        }
        Ok(())
    }

    fn add_reader(&mut self, mut reader: Reader) -> io::Result<()> {
        reader.request()?;
        self.epoll.add(reader.fd(), FIRST_READER + self.readers.len() as u64)?;
        self.readers.push(reader);
        Ok(())
    }

    /// Goes on for so long without measuring.
    pub(crate) fn warm_up(&mut self, duration: Duration) -> io::Result<()> {
        self.last_news = Instant::now();
        self.drive_until(Instant::now() + duration)?;
        self.catch_up()
    }

    /// Goes on until no request waits to begin: what became due while nobody turned the connections
    /// must not delay what is measured.
    fn catch_up(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            self.step(deadline)?;
            let backlog = self.producers.as_ref().map_or(0, Producers::backlog);
            if backlog == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(other(format!(
                    "the broker does not keep up: {backlog} requests wait to be sent"
                )));
            }
        }
    }

    /// Produces so many bytes, in whole requests, as fast as the broker answers; the session can produce nothing
    /// afterwards.
    pub(crate) fn produce_bytes(&mut self, bytes: u64) -> io::Result<()> {
        let requests = bytes.div_ceil(self.request.bytes.max(1));
        if let Some(producers) = &mut self.producers {
            producers.end_after(requests);
        }
        self.last_news = Instant::now();
        while self.producers.as_ref().is_some_and(|producers| producers.begun() < requests) {
            self.drive_until(Instant::now() + Duration::from_millis(5))?;
            let begun = self.producers.as_ref().map_or(0, Producers::begun);
            let share = begun as f64 / requests as f64 * 100.0;
            self.context.progress.tick(Instant::now(), || format!("filling: {share:.0} %"));
        }
        Ok(())
    }

    /// Measures for `duration`.
    pub(crate) fn measure(&mut self, what: &str, duration: Duration) -> io::Result<Window> {
        self.measure_until(what, Some(duration))
    }

    /// Lets all readers read to the end once.
    pub(crate) fn read_all(&mut self) -> io::Result<()> {
        self.last_news = Instant::now();
        self.passes_left = 1;
        while !self.has_read() {
            self.step(Instant::now() + WAIT_MAX)?;
        }
        Ok(())
    }

    /// Measures so many passes of all readers.
    pub(crate) fn measure_passes(&mut self, what: &str, passes: u32) -> io::Result<Window> {
        self.passes_left = passes;
        self.measure_until(what, None)
    }

    fn has_read(&self) -> bool {
        self.passes_left == 0 && self.readers.iter().all(|reader| !reader.is_waiting())
    }

    /// Measures for `duration`, or until all passes are read.
    fn measure_until(&mut self, what: &str, duration: Option<Duration>) -> io::Result<Window> {
        let start = Sample::begin(&self.target.processes)?;
        let begin = start.at();
        let end = begin + duration.unwrap_or(READING_MAX);
        self.last_news = begin;
        self.produced.open(begin, end);
        self.consumed.open(begin, end);
        let mut slice_start = begin;
        let mut slices = 0;
        let mut cpu = self.broker_cpu()?;
        while slice_start < end && (duration.is_some() || !self.has_read()) {
            self.drive_until(end.min(slice_start + slice_length(duration, slices)))?;
            let now = Instant::now().min(end);
            let next_cpu = self.broker_cpu()?;
            self.end_slice(now - begin, now - slice_start, cpu, next_cpu)?;
            let left = duration.map(|_| end - now);
            self.context.progress.tick(now, || self.describe(what, left));
            (slice_start, cpu) = (now, next_cpu);
            slices += 1;
        }
        let clocks = Clocks::read(&self.target.processes)?;
        self.produced.close(clocks.at().min(end));
        self.consumed.close(clocks.at().min(end));
        self.settle(begin, end)?;
        Ok(Window {
            start,
            end: clocks.complete(&self.target.processes)?,
            processor_count: self.context.processor_count,
            produced: self.produced.clone(),
            consumed: self.consumed.clone(),
        })
    }

    /// Waits for what was due in the window.
    fn settle(&mut self, start: Instant, end: Instant) -> io::Result<()> {
        let schedule = self.producers.as_ref().and_then(Producers::schedule);
        let Some(schedule) = schedule else { return Ok(()) };
        let due = schedule.count_before(end) - schedule.count_before(start);
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let is_complete = |flow: &Flow, copies: u64| {
                flow.timing() != Timing::BySchedule || flow.latency_count() >= due * copies
            };
            if is_complete(&self.produced, 1) && is_complete(&self.consumed, self.copies) {
                return Ok(());
            }
            let now = Instant::now();
            if now > deadline {
                let answered = self.produced.latency_count();
                let seconds = SETTLE_MAX.as_secs();
                return Err(other(format!(
                    "the broker does not keep up: of {due} requests {answered} were answered {seconds} s after the last was due"
                )));
            }
            self.step(deadline)?;
        }
    }

    /// Ends producing, waits for all that is under way, and says how many requests there were. All
    /// that was produced must have come to all who follow.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        let Some(producers) = self.producers.as_mut() else { return Ok(0) };
        producers.stop_at(Instant::now());
        self.last_news = Instant::now();
        loop {
            let Some(producers) = self.producers.as_ref() else { return Ok(0) };
            let expected = producers.begun() * self.request.records * self.copies;
            if producers.is_idle() && self.followed_records == expected {
                break;
            }
            if self.followed_records > expected {
                let found = self.followed_records;
                return Err(other(format!("{found} records came where {expected} were sent")));
            }
            self.step(Instant::now() + WAIT_MAX)?;
        }
        let Some(producers) = self.producers.take() else { return Ok(0) };
        let begun = producers.begun();
        producers.confirm(self.topic)?;
        Ok(begun)
    }

    /// Finishes, and fails unless the log grew by exactly what was sent; says how many requests.
    pub(crate) fn finish_and_verify(self) -> io::Result<u64> {
        let (leaders, topic) = (self.leaders.clone(), self.topic);
        let (before, records) = (self.first_offsets.clone(), self.request.records);
        // What got no answer may have been taken, and still be on its way to where readers see it.
        let is_acknowledged = self.is_acknowledged;
        let requests = self.finish()?;
        let sent = requests * records;
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let after = leaders.offsets(topic, LATEST_TIMESTAMP)?;
            let grown: i64 = after.iter().zip(&before).map(|(after, before)| after - before).sum();
            let grown = u64::try_from(grown).map_err(io::Error::other)?;
            if grown == sent {
                return Ok(requests);
            }
            if grown > sent || is_acknowledged || Instant::now() > deadline {
                return Err(other(format!("{sent} records were sent, but the log grew by {grown}")));
            }
            std::thread::sleep(VERIFY_INTERVAL);
        }
    }

    fn drive_until(&mut self, deadline: Instant) -> io::Result<()> {
        while Instant::now() < deadline {
            let is_reading = self.readers.iter().any(Reader::is_waiting);
            let may_read = is_reading || self.passes_left > 0 || self.cold.is_some();
            if self.producers.is_none() && !may_read {
                return Ok(());
            }
            self.step(deadline)?;
        }
        Ok(())
    }

    /// Begins what may begin, and waits for news until `deadline` at most.
    fn step(&mut self, deadline: Instant) -> io::Result<()> {
        if system::is_interrupted() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the run was interrupted"));
        }
        let now = Instant::now();
        let mut next = deadline;
        if let Some(producers) = &mut self.producers {
            let (flow, request) = (&mut self.produced, self.request);
            let come_again = producers.begin(now, &mut |began| {
                flow.count(now, request);
                flow.time(began, now);
            })?;
            next = come_again.map_or(next, |again| again.min(next));
        }
        self.resupply()?;
        self.turn(next.saturating_duration_since(now).min(WAIT_MAX))
    }

    /// Readers that have all come to the end begin anew: with the next pass, or once their files are
    /// cold again.
    fn resupply(&mut self) -> io::Result<()> {
        if self.cold.is_none() && self.passes_left == 0 || self.readers.iter().any(Reader::is_waiting) {
            return Ok(());
        }
        if self.passes_left > 0 {
            self.passes_left -= 1;
            return self.read_on();
        }
        let Some(files) = &mut self.cold else { return Ok(()) };
        if files.evict_beside()? { self.read_on() } else { Ok(()) }
    }

    /// Waits for news of the connections, and takes it.
    fn turn(&mut self, timeout: Duration) -> io::Result<()> {
        let count = self.epoll.wait(timeout)?;
        let now = Instant::now();
        if count > 0 {
            self.last_news = now;
        } else if now.duration_since(self.last_news) > SILENCE_MAX {
            let is_awaited = self.producers.as_ref().is_some_and(|producers| !producers.is_idle())
                || self.readers.iter().any(Reader::is_waiting);
            if is_awaited {
                return Err(other(format!("the broker has said nothing for {} s", SILENCE_MAX.as_secs())));
            }
        }
        for index in 0..count {
            let news = self.epoll.readiness(index);
            if news.token >= FIRST_READER {
                // A reader that is gone has nothing to say any more.
                let reader = (news.token - FIRST_READER) as usize;
                if reader < self.readers.len() {
                    self.receive(reader)?;
                }
            } else if let Some(producers) = &mut self.producers {
                let (flow, request) = (&mut self.produced, self.request);
                producers.on_news(news, now, &mut |began| {
                    flow.count(now, request);
                    flow.time(began, now);
                })?;
            }
        }
        Ok(())
    }

    /// Takes what a reader got, and asks for more.
    fn receive(&mut self, index: usize) -> io::Result<()> {
        let schedule = self.producers.as_ref().and_then(Producers::schedule);
        let reader = &mut self.readers[index];
        let follows = reader.follows();
        let (flow, followed) = (&mut self.consumed, &mut self.followed_records);
        let (first_offsets, records) = (&self.first_offsets, self.request.records);
        let mut now = None;
        let waited = reader.receive(|arrival| {
            let now = *now.get_or_insert_with(Instant::now);
            flow.count(now, Work { requests: 0, records: arrival.record_count, bytes: arrival.bytes });
            if follows {
                *followed += arrival.record_count;
                if let Some(schedule) = schedule {
                    flow.time(due(&schedule, first_offsets, records, arrival), now);
                }
            }
        })?;
        let Some(waited) = waited else { return Ok(()) };
        let now = now.unwrap_or_else(Instant::now);
        flow.count(now, Work { requests: 1, ..Work::default() });
        if !follows {
            flow.time(now.checked_sub(waited).unwrap_or(now), now);
        }
        self.readers[index].request()
    }

    fn broker_cpu(&self) -> io::Result<Option<(Instant, CpuTime)>> {
        let cpu = self.target.processes.cpu_time()?;
        Ok(cpu.map(|cpu| (Instant::now(), cpu)))
    }

    fn end_slice(
        &mut self,
        at: Duration,
        length: Duration,
        before: Option<(Instant, CpuTime)>,
        after: Option<(Instant, CpuTime)>,
    ) -> io::Result<()> {
        let busy = before.zip(after).map(|((began, before), (ended, after))| {
            let elapsed = ended.duration_since(began).as_secs_f64().max(f64::MIN_POSITIVE);
            after.since(before).total().as_secs_f64() / elapsed
        });
        let rss_bytes = self.target.processes.rss_bytes()?;
        let broker = BrokerSlice { busy_processors: busy, rss_bytes };
        self.produced.end_slice(at, length, broker);
        self.consumed.end_slice(at, length, broker);
        Ok(())
    }

    fn describe(&self, what: &str, left: Option<Duration>) -> String {
        let flow = |flow: &Flow, verb: &str| {
            let slice = flow.last_slice()?;
            let p99 = slice.p99_us.map_or_else(String::new, |p99| format!(", p99 {p99:.0} us"));
            let (rate, requests) = (slice.megabytes_per_second, slice.requests_per_second);
            (requests > 0.0).then(|| format!("{verb} {rate:.1} MB/s, {requests:.0} requests/s{p99}"))
        };
        let flows = [flow(&self.produced, "produced"), flow(&self.consumed, "consumed")];
        let flows = flows.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let left = match left {
            Some(left) => format!("{:.0} s left", left.as_secs_f64()),
            None => "until the end".into(),
        };
        format!("{} {what}: {left}; {flows}", self.target.name)
    }
}

/// Length of the slice with this number.
fn slice_length(duration: Option<Duration>, slices: u32) -> Duration {
    match duration {
        Some(duration) => (duration / SLICES_USUAL).clamp(SLICE_MIN, SLICE_MAX).max(duration / SLICES_MAX),
        // Nobody knows how long reading takes: slices grow, so that they do not become too many.
        None => SLICE_MIN * (1 + slices / (SLICES_MAX / 6)),
    }
}

/// When the request behind a batch was due: requests go round the partitions in their order.
fn due(schedule: &Schedule, first_offsets: &[i64], records: u64, arrival: Arrival) -> Instant {
    let partition = arrival.partition as usize;
    let behind = arrival.base_offset.saturating_sub(first_offsets[partition]) as u64;
    schedule.due(behind / records * first_offsets.len() as u64 + partition as u64)
}
