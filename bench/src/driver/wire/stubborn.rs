//! A producer that follows the leader and never gives up: what it is to show is how long the cluster took.
//!
//! 1. Records become due on a schedule; what is due goes into batches, a few of which are in flight.
//! 2. Batches are numbered (an idempotent producer) and wait for all in-sync replicas (acks=all).
//! 3. If the connection ends, an answer refuses, or nothing comes for a moment, all nodes are asked for
//!    the leader until a newer one is known; whatever has no answer is sent again, in its order.
//!
//! What must hold: each acknowledgement names the offset that follows the last one. A record that was
//! acknowledged and lost, or stored twice, is an error at the next acknowledgement.
//!
//! What it does not: wait between attempts, as clients do that share a cluster with others.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ringmain_protocol::codec::Reader;
use ringmain_protocol::frame::{FRAME_LENGTH_BYTES, parse_frame_length};
use ringmain_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProducePartitionResponse, ProduceResponse, decode_response,
};
use ringmain_protocol::{ApiKey, ErrorCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::driver::wire::batch::{Batch, Numbering, RecordSettings};
use crate::driver::wire::client::{Client, check, other, read_header};
use crate::driver::wire::leader_watch::{Asker, LeaderWatch, Leadership};
use crate::driver::wire::produce_frame::{PRODUCE_VERSION, encode_request};
use crate::measure::{latency_histogram, nanoseconds};
use crate::schedule::Schedule;

const INIT_PRODUCER_ID_VERSION: i16 = 1;
/// So many batches of one producer a leader knows again, should they come twice.
const IN_FLIGHT_MAX: usize = 5;
/// Records in a batch: after a pause of 10 s at 1,000 a second, twenty batches catch up.
const BATCH_RECORDS_MAX: u32 = 500;
/// Silence after which other nodes are asked whether they know of a newer leader.
const SILENCE_MAX: Duration = Duration::from_millis(100);
/// Silence after which the run has no result.
const OUTAGE_MAX: Duration = Duration::from_secs(120);
/// Time from one attempt to the next, and the longest sleep while there is nobody to talk to.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(5);
/// A producer id is there in this time.
const PRODUCER_ID_MAX: Duration = Duration::from_secs(30);
/// Connecting to a node that stands still takes no longer.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// Answers to Produce requests for one partition have some 60 bytes.
const ANSWER_SIZE_MAX: usize = 64 << 10;

/// What is sent, and where.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// End of the partition before the first record.
    pub(crate) first_offset: i64,
    /// Records a second.
    pub(crate) rate: f64,
    pub(crate) record_size_bytes: usize,
}

/// Records that were acknowledged together, and when that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) at: Instant,
    pub(crate) records: u32,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Sent {
    /// All of them acknowledged.
    pub(crate) records: u64,
    /// From the scheduled time to the acknowledgement.
    pub(crate) latencies: Histogram<u64>,
}

/// A batch that is not acknowledged yet.
#[derive(Debug)]
struct Waiting {
    /// Number of its first record among all of this producer's.
    first: u64,
    count: u32,
    batch: Vec<u8>,
}

/// The producer.
#[derive(Debug)]
pub(crate) struct StubbornProducer {
    work: Work,
    watch: Arc<LeaderWatch>,
    told: Sender<Acknowledged>,
    numbering: Numbering,
    templates: HashMap<u32, Batch>,
    schedule: Schedule,
    /// Records that are in batches; those behind them are due and not in a batch, or not due.
    batched: u64,
    /// In the order of their sequence numbers. Those before `sent` were sent on this connection.
    waiting: VecDeque<Waiting>,
    sent: usize,
    link: Option<Link>,
    last_attempt: Option<Instant>,
    last_progress: Instant,
    /// What was wrong last, for the error that ends a hopeless run.
    last_trouble: String,
    latencies: Histogram<u64>,
}

impl StubbornProducer {
    /// Takes a producer id from `client`; nothing is sent yet.
    pub(crate) fn new(
        client: &mut Client,
        work: Work,
        watch: Arc<LeaderWatch>,
        told: Sender<Acknowledged>,
    ) -> io::Result<Self> {
        let (producer_id, producer_epoch) = producer_id(client)?;
        let now = Instant::now();
        Ok(Self {
            schedule: Schedule::new(now, work.rate),
            work,
            watch,
            told,
            numbering: Numbering { producer_id, producer_epoch, base_sequence: 0 },
            templates: HashMap::new(),
            batched: 0,
            waiting: VecDeque::new(),
            sent: 0,
            link: None,
            last_attempt: None,
            last_progress: now,
            last_trouble: "no leader is known".into(),
            latencies: latency_histogram(),
        })
    }

    /// Sends until it is told to stop, and until everything is acknowledged.
    pub(crate) fn run(mut self, is_over: &AtomicBool) -> io::Result<Sent> {
        self.schedule = Schedule::new(Instant::now(), self.work.rate);
        let mut last = None;
        loop {
            let now = Instant::now();
            if is_over.load(Ordering::Relaxed) && last.is_none() {
                last = Some(self.schedule.count_before(now));
            }
            let due = last.unwrap_or_else(|| self.schedule.count_before(now));
            self.fill(due)?;
            if self.waiting.is_empty() {
                // Nothing was asked of the cluster, so it cannot be late.
                self.last_progress = now;
                if last.is_some() {
                    self.watch.want(Asker::Producer, false);
                    return Ok(Sent { records: self.batched, latencies: self.latencies });
                }
            }
            if now.duration_since(self.last_progress) > OUTAGE_MAX {
                let seconds = OUTAGE_MAX.as_secs();
                let trouble = &self.last_trouble;
                return Err(other(format!("nothing was acknowledged for {seconds} s: {trouble}")));
            }
            self.find_leader(now);
            let next = self.schedule.due(self.batched).saturating_duration_since(now);
            if let Err(trouble) = self.exchange(next.clamp(Duration::from_micros(50), ATTEMPT_INTERVAL))? {
                self.last_trouble = trouble;
                self.link = None;
                self.sent = 0;
            }
        }
    }

    /// Puts what is due into batches.
    fn fill(&mut self, due: u64) -> io::Result<()> {
        while self.batched < due && self.waiting.len() < IN_FLIGHT_MAX {
            let count = u32::try_from(due - self.batched).unwrap_or(u32::MAX).min(BATCH_RECORDS_MAX);
            if !self.templates.contains_key(&count) {
                let settings = RecordSettings {
                    record_size_bytes: self.work.record_size_bytes,
                    random_share: 1.0,
                    compression: ringmain_protocol::records::Compression::None,
                };
                let batch = Batch::of_count(count, settings, now_ms()?);
                self.templates.insert(count, batch.map_err(|error| other(error.to_string()))?);
            }
            let base_sequence = i32::try_from(self.batched).map_err(io::Error::other)?;
            let batch = self.templates[&count].numbered(Numbering { base_sequence, ..self.numbering });
            self.waiting.push_back(Waiting { first: self.batched, count, batch });
            self.batched += u64::from(count);
        }
        Ok(())
    }

    /// Connects to the leader, or to a newer one than that of the connection.
    fn find_leader(&mut self, now: Instant) {
        let is_silent = now.duration_since(self.last_progress) > SILENCE_MAX;
        self.watch.want(Asker::Producer, self.link.is_none() || is_silent);
        let Some(newest) = self.watch.newest() else { return };
        if self.link.as_ref().is_some_and(|link| link.leadership.epoch >= newest.epoch) {
            return;
        }
        let is_newer = self.link.is_some();
        if !is_newer && self.last_attempt.is_some_and(|last| now.duration_since(last) < ATTEMPT_INTERVAL) {
            return;
        }
        self.last_attempt = Some(now);
        self.sent = 0;
        self.link = match Link::connect(newest) {
            Ok(link) => Some(link),
            Err(error) => {
                self.last_trouble = format!("node {}: {error}", newest.node);
                None
            }
        };
    }

    /// Sends what was not sent on this connection, and takes answers for so long at most. The inner
    /// error ends the connection, the outer one the run.
    fn exchange(&mut self, wait: Duration) -> io::Result<Result<(), String>> {
        let Some(link) = &mut self.link else {
            std::thread::sleep(wait.min(Duration::from_millis(1)));
            return Ok(Ok(()));
        };
        for waiting in self.waiting.range(self.sent..) {
            link.push(&self.work.topic, self.work.partition, &waiting.batch)?;
        }
        self.sent = self.waiting.len();
        let node = link.leadership.node;
        let exchanged = link.exchange(wait);
        // What was answered before the connection ended counts.
        while let Some(link) = &mut self.link {
            let answer = match link.take_answer() {
                Ok(Some(answer)) => answer,
                Ok(None) => break,
                Err(error) => return Ok(Err(format!("node {node}: {error}"))),
            };
            if let Err(trouble) = self.take(&answer)? {
                return Ok(Err(format!("node {node}: {trouble}")));
            }
        }
        Ok(exchanged.map_err(|error| format!("node {node}: {error}")))
    }

    /// Takes the answer to the first batch that waits.
    fn take(&mut self, answer: &Answer) -> io::Result<Result<(), ErrorCode>> {
        match answer.error_code {
            ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {}
            // The one before it was refused, or it is new to a leader that does not know the one before
            // it yet: sent again in order it fits, or nothing does, and the run ends.
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => return Ok(Err(answer.error_code)),
            code if code.is_retriable() => return Ok(Err(code)),
            code => return Err(other(format!("a batch was refused for good: {code}"))),
        }
        let waiting = self.waiting.pop_front().ok_or_else(|| other("an answer came to no request".into()))?;
        self.sent -= 1;
        let expected = self.work.first_offset + waiting.first.cast_signed();
        // The answer to a batch that came twice need not know its offset.
        if answer.base_offset >= 0 && answer.base_offset != expected {
            return Err(other(format!(
                "records were lost or stored twice: the batch of sequence {} is at offset {} where {expected} was due",
                waiting.first, answer.base_offset
            )));
        }
        let at = Instant::now();
        for record in waiting.first..waiting.first + u64::from(waiting.count) {
            let late = at.saturating_duration_since(self.schedule.due(record));
            self.latencies.saturating_record(nanoseconds(late).max(1));
        }
        self.last_progress = at;
        // Nobody listens any more if the run ends with an error.
        let _unheard = self.told.send(Acknowledged { at, records: waiting.count });
        Ok(Ok(()))
    }
}

/// A producer id and its epoch. A broker that has none left asks the controller for more meanwhile.
fn producer_id(client: &mut Client) -> io::Result<(i64, i16)> {
    let deadline = Instant::now() + PRODUCER_ID_MAX;
    let request = InitProducerIdRequest { transaction_timeout_ms: 60_000, ..Default::default() };
    loop {
        let response: InitProducerIdResponse = client.call(INIT_PRODUCER_ID_VERSION, &request)?;
        if !response.error_code.is_retriable() || Instant::now() > deadline {
            check(response.error_code, || "cannot get a producer id".into())?;
            return Ok((response.producer_id, response.producer_epoch));
        }
        std::thread::sleep(ATTEMPT_INTERVAL);
    }
}

fn now_ms() -> io::Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.map_err(io::Error::other)?.as_millis()).map_err(io::Error::other)
}

/// A connection to a leader. Answers come in the order of the requests.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    leadership: Leadership,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
    pushed: i32,
    answered: i32,
}

/// What an answer says of its one partition.
#[derive(Debug, Clone, Copy)]
struct Answer {
    error_code: ErrorCode,
    base_offset: i64,
}

impl Link {
    fn connect(leadership: Leadership) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&leadership.address, CONNECT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, leadership, outbox: Vec::new(), inbox: Vec::new(), pushed: 0, answered: 0 })
    }

    fn push(&mut self, topic: &str, partition: i32, batch: &[u8]) -> io::Result<()> {
        self.outbox.extend_from_slice(&encode_request(topic, -1, batch, self.pushed, partition)?);
        self.pushed += 1;
        Ok(())
    }

    /// Writes what there is, and waits for bytes.
    fn exchange(&mut self, wait: Duration) -> io::Result<()> {
        self.write()?;
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, !self.outbox.is_empty());
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        let mut fds = [PollFd::new(&self.stream, flags)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.write()?;
        self.read()
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.inbox.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn take_answer(&mut self) -> io::Result<Option<Answer>> {
        let Some((prefix, rest)) = self.inbox.split_first_chunk::<FRAME_LENGTH_BYTES>() else {
            return Ok(None);
        };
        let size = parse_frame_length(*prefix, ANSWER_SIZE_MAX).map_err(io::Error::other)?;
        let Some(frame) = rest.get(..size) else { return Ok(None) };
        let mut reader = Reader::new(frame);
        read_header(&mut reader, ApiKey::Produce, PRODUCE_VERSION, self.answered)?;
        let response: ProduceResponse<'_> =
            decode_response(&mut reader, PRODUCE_VERSION).map_err(io::Error::other)?;
        let found = response.responses.iter().flat_map(|topic| &topic.partitions).next();
        let ProducePartitionResponse { error_code, base_offset, .. } =
            found.ok_or_else(|| other("an answer names no partition".into()))?;
        let answer = Answer { error_code: *error_code, base_offset: *base_offset };
        self.answered += 1;
        self.inbox.drain(..FRAME_LENGTH_BYTES + size);
        Ok(Some(answer))
    }
}
