//! An idempotent producer with Kafka's rules: some batches of each partition in flight, in order; what fails is sent again with
//! the same sequence number, to whoever leads by then; what stays unknown for too long is given up with the producer id.
//!
//! An incarnation of the producer is one producer id and epoch. The next one has another number in its values, since batches of
//! the former may still be on their way and arrive later.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use ringmain_protocol::{
    ApiKey, ErrorCode,
    messages::{
        InitProducerIdRequest, InitProducerIdResponse, ProducePartition, ProduceRequest, ProduceResponse,
        ProduceTopic,
    },
    records::{ProducerState, RecordBatchBuilder},
};
use ringmain_storage::disk::simulated::Random;

use super::{
    connection::SILENCE_MAX,
    value::value,
    view::{PartitionView, View},
};
use crate::history::{Outcome, Record, Send};
use crate::recorder::Recorder;

const PRODUCE_VERSION: i16 = 9;
const INIT_PRODUCER_ID_VERSION: i16 = 3;
/// How long a leader may wait for its followers.
const REPLICATION_LIMIT_MS: i32 = 2_000;
/// As real clients do.
const IN_FLIGHT_MAX: u64 = 5;
const RECORDS_MAX: u64 = 4;
const VALUE_BYTES_MAX: u64 = 300;
/// Now and then a batch that is not written by the same path as small ones.
const LARGE_VALUE_BYTES: usize = 40_000;
/// Between two attempts.
const BACKOFF_MS: u64 = 60;
/// What a client waits for at most is drawn anew for each incarnation.
const DELIVERY_MS_MIN: u64 = 4_000;
const DELIVERY_MS_SPREAD: u64 = 30_000;
/// One that is attentive looks after so long whether somebody else leads by now.
const ATTENTION: Duration = Duration::from_millis(150);
/// A new producer id may have to wait for a controller.
const ID_PATIENCE: Duration = Duration::from_millis(700);
/// Once all faults are healed, everything has to be delivered within this.
const LAST_DELIVERY_LIMIT: Duration = Duration::from_secs(45);

/// Whose word a producer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acks {
    All = -1,
    Leader = 1,
}

/// A batch that was handed out and has no outcome yet.
struct Pending {
    first_number: u32,
    count: u32,
    bytes: Vec<u8>,
    since: Instant,
    /// Some attempt may have had an effect.
    maybe_written: bool,
    was_sent: bool,
}

/// What goes to one partition.
#[derive(Default)]
struct Lane {
    next_sequence: i32,
    queue: VecDeque<Pending>,
    /// So many batches at the front are sent one at a time: the first one of all, because a leader takes any sequence number
    /// from a producer that it does not know, and those that are sent again.
    careful: usize,
}

impl Lane {
    fn new() -> Lane {
        Lane { careful: 1, ..Lane::default() }
    }

    /// How many of its batches go out at once.
    fn depth(&self) -> usize {
        if self.careful > 0 { self.queue.len().min(1) } else { self.queue.len() }
    }
}

/// The producer.
pub(crate) struct Producer {
    recorder: Arc<Recorder>,
    view: View,
    /// Asks about the cluster while the other waits for answers. Without it the producer waits for a silent leader as long as
    /// a real client, and hears what one of the past says late.
    scout: Option<View>,
    random: Random,
    /// The incarnation, as in the values.
    number: u32,
    next_record: u32,
    producer_id: i64,
    producer_epoch: i16,
    delivery_limit: Duration,
    lanes: Vec<Lane>,
    /// Between two rounds.
    pub(crate) pause: Duration,
    pub(crate) acks: Acks,
}

/// What the leaders said about the batches of one partition, in their order.
type Answers = BTreeMap<usize, Vec<(ErrorCode, i64)>>;

impl Producer {
    pub(crate) fn new(
        recorder: &Arc<Recorder>,
        bootstrap: &[(i32, SocketAddr)],
        topic: &str,
        partitions: i32,
        seed: u64,
    ) -> Producer {
        let mut random = Random::new(seed);
        let first = usize::try_from(random.below(16)).expect("small");
        let lanes = (0..partitions).map(|_| Lane::new()).collect();
        Producer {
            recorder: recorder.clone(),
            view: View::new(bootstrap, topic, first),
            scout: None,
            random,
            number: 0,
            next_record: 0,
            producer_id: -1,
            producer_epoch: -1,
            delivery_limit: Duration::MAX,
            lanes,
            pause: Duration::ZERO,
            acks: Acks::All,
        }
    }

    /// Lets it give up a leader as soon as there is another one: what it waits for then is the cluster.
    pub(crate) fn be_attentive(&mut self) {
        let mut scout = self.view.another();
        scout.patience = ATTENTION;
        self.view.patience = ATTENTION;
        self.scout = Some(scout);
    }

    /// Sends until the run is over and everything has its outcome.
    pub(crate) fn run(mut self) {
        let mut deadline = None;
        self.begin_anew();
        loop {
            if self.recorder.is_over() {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + LAST_DELIVERY_LIMIT);
                if self.lanes.iter().all(|lane| lane.queue.is_empty()) {
                    return;
                }
                if Instant::now() > deadline {
                    self.complain_and_give_up();
                    return;
                }
            } else {
                self.refill();
            }
            let all_is_well = self.round();
            if self.has_expired() && deadline.is_none() {
                self.give_up();
                self.begin_anew();
            } else if !all_is_well {
                thread::sleep(Duration::from_millis(10 + self.random.below(BACKOFF_MS)));
                self.look_again();
            } else if !self.pause.is_zero() {
                thread::sleep(self.pause);
            }
        }
    }

    /// Asks somebody who leads, and notes what has changed.
    fn look_again(&mut self) {
        let before = self.view.partitions.clone();
        if !self.view.refresh() {
            let number = self.number;
            self.recorder.remark(|| format!("producer {number}: a node does not say who leads"));
        }
        let changed = before.iter().zip(&self.view.partitions).enumerate();
        for (index, (_, now)) in changed.filter(|(_, (before, now))| before.leader_epoch != now.leader_epoch)
        {
            let (number, leader, epoch) = (self.number, now.leader, now.leader_epoch);
            self.recorder.remark(|| {
                format!("producer {number} hears: partition {index} is led by {leader} in epoch {epoch}")
            });
        }
    }

    /// Asks for a producer id until there is one, or the run is over.
    fn begin_anew(&mut self) {
        self.number = self.recorder.next_producer();
        self.next_record = 0;
        self.delivery_limit = Duration::from_millis(DELIVERY_MS_MIN + self.random.below(DELIVERY_MS_SPREAD));
        self.lanes.iter_mut().for_each(|lane| *lane = Lane::new());
        // Half of them ask for the next epoch of the id that they have.
        if self.random.chance(2) {
            (self.producer_id, self.producer_epoch) = (-1, -1);
        }
        while !self.recorder.is_over() {
            let node = self.view.next_node();
            match self.ask_for_an_id(node) {
                Ok((ErrorCode::NONE, producer_id, epoch)) => {
                    (self.producer_id, self.producer_epoch) = (producer_id, epoch);
                    self.view.refresh();
                    return;
                }
                Ok((code, ..)) if code.is_retriable() => {
                    let number = self.number;
                    self.recorder
                        .remark(|| format!("producer {number}: node {node} has no id for it: {code}"));
                }
                // Whatever is wrong with the old id: as a client without one.
                Ok(_) => (self.producer_id, self.producer_epoch) = (-1, -1),
                Err(error) => {
                    self.remark(node, "gives no producer id", &error);
                    self.view.disconnect(node);
                }
            }
            thread::sleep(Duration::from_millis(10 + self.random.below(BACKOFF_MS)));
        }
    }

    fn ask_for_an_id(&mut self, node: i32) -> io::Result<(ErrorCode, i64, i16)> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
        };
        let connection = self.view.connection(node)?;
        connection.set_patience(if self.scout.is_some() { ID_PATIENCE } else { SILENCE_MAX })?;
        let response: InitProducerIdResponse = connection.call(INIT_PRODUCER_ID_VERSION, &request)?;
        connection.set_patience(SILENCE_MAX)?;
        Ok((response.error_code, response.producer_id, response.producer_epoch))
    }

    /// Makes up batches for some partitions.
    fn refill(&mut self) {
        for partition in 0..self.lanes.len() {
            if self.random.chance(3) {
                continue;
            }
            let depth = 1 + self.random.below(IN_FLIGHT_MAX);
            while (self.lanes[partition].queue.len() as u64) < depth {
                self.add_batch(partition);
            }
        }
    }

    fn add_batch(&mut self, partition: usize) {
        let count = u32::try_from(1 + self.random.below(RECORDS_MAX)).expect("small");
        let lane = &mut self.lanes[partition];
        let state = ProducerState {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: lane.next_sequence,
        };
        let mut builder = RecordBatchBuilder::new().producer(state);
        for index in 0..count {
            let record = Record { producer: self.number, number: self.next_record + index };
            let length = usize::try_from(self.random.below(VALUE_BYTES_MAX)).expect("small");
            let length = if self.random.chance(400) { LARGE_VALUE_BYTES } else { length };
            let partition = i32::try_from(partition).expect("a handful");
            builder.push(now_ms(), None, Some(&value(record, partition, length)));
        }
        lane.queue.push_back(Pending {
            first_number: self.next_record,
            count,
            bytes: builder.finish(),
            since: Instant::now(),
            maybe_written: false,
            was_sent: false,
        });
        lane.next_sequence += i32::try_from(count).expect("small");
        self.next_record += count;
    }

    /// Sends everything that has no outcome to the leaders, and takes their answers; whether all were good.
    fn round(&mut self) -> bool {
        let mut of_node: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        let mut all_is_well = true;
        for (index, lane) in self.lanes.iter().enumerate() {
            if lane.queue.is_empty() {
                continue;
            }
            match self.view.partitions.get(index) {
                Some(partition) if partition.leader >= 0 => {
                    of_node.entry(partition.leader).or_default().push(index)
                }
                _ => all_is_well = false,
            }
        }
        let mut awaited = Vec::new();
        let mut answers = Answers::new();
        for (node, lanes) in of_node {
            match self.send_all(node, &lanes) {
                Ok(requests) => {
                    awaited.push((node, requests));
                    // A lane whose node says nothing has something to be settled as well.
                    lanes.iter().for_each(|lane| drop(answers.insert(*lane, Vec::new())));
                }
                Err(error) => {
                    self.remark(node, "takes nothing", &error);
                    self.view.disconnect(node);
                    all_is_well = false;
                }
            }
        }
        for (node, requests) in awaited {
            for _ in 0..requests {
                if let Err(error) = self.take_answer(node, &mut answers) {
                    self.remark(node, "gives no answer", &error);
                    self.view.disconnect(node);
                    all_is_well = false;
                    break;
                }
            }
        }
        let mut is_refused = false;
        for (lane, answers) in answers {
            is_refused |= self.settle(lane, &answers);
            all_is_well &= self.lanes[lane].careful == 0;
        }
        if is_refused {
            self.give_up();
            self.begin_anew();
        }
        all_is_well
    }

    /// One request for the first batches of all lanes, one for the second, and so on; how many were sent.
    fn send_all(&mut self, node: i32, lanes: &[usize]) -> io::Result<usize> {
        let depth = lanes.iter().map(|lane| self.lanes[*lane].depth()).max().unwrap_or(0);
        let topic = self.view.topic().to_owned();
        let connection = self.view.connection(node)?;
        for layer in 0..depth {
            let mut partitions = Vec::new();
            let deep_enough: Vec<usize> =
                lanes.iter().copied().filter(|lane| self.lanes[*lane].depth() > layer).collect();
            for index in &deep_enough {
                self.lanes[*index].queue[layer].was_sent = true;
            }
            for index in &deep_enough {
                let pending = &self.lanes[*index].queue[layer];
                let index = i32::try_from(*index).expect("a handful");
                partitions.push(ProducePartition { index, records: Some(&pending.bytes[..]) });
            }
            let topics = vec![ProduceTopic { name: &topic, partitions }];
            let request = ProduceRequest {
                transactional_id: None,
                acks: self.acks as i16,
                timeout_ms: REPLICATION_LIMIT_MS,
                topics,
            };
            let sent = connection.send_records(PRODUCE_VERSION, request);
            if let Err(error) = sent {
                // Some bytes of it may have gone out, and all of those before.
                for index in lanes {
                    let sent = self.lanes[*index].queue.iter_mut().filter(|pending| pending.was_sent);
                    sent.for_each(|pending| pending.maybe_written = true);
                }
                return Err(error);
            }
        }
        Ok(depth)
    }

    fn take_answer(&mut self, node: i32, answers: &mut Answers) -> io::Result<()> {
        self.await_answer(node)?;
        let connection = self.view.connection(node)?;
        let response: ProduceResponse<'_> = connection.receive(ApiKey::Produce, PRODUCE_VERSION)?;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let index = usize::try_from(partition.index).map_err(io::Error::other)?;
            answers.entry(index).or_default().push((partition.error_code, partition.base_offset));
        }
        Ok(())
    }

    /// Waits until a node says something; an error if it leads nothing any more.
    fn await_answer(&mut self, node: i32) -> io::Result<()> {
        let Some(scout) = &mut self.scout else { return Ok(()) };
        let begin = Instant::now();
        while !self.view.connection(node)?.hears_within(ATTENTION)? {
            scout.refresh();
            let still_leads = |known: &PartitionView, now: &PartitionView| {
                known.leader == node && (now.leader == node || now.leader_epoch <= known.leader_epoch)
            };
            let mut pairs = self.view.partitions.iter().zip(&scout.partitions);
            if !scout.partitions.is_empty() && !pairs.any(|(known, now)| still_leads(known, now)) {
                return Err(io::Error::other("others lead by now"));
            }
            if begin.elapsed() > SILENCE_MAX {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    fn remark(&self, node: i32, what: &str, error: &io::Error) {
        let number = self.number;
        self.recorder.remark(|| format!("producer {number}: node {node} {what}: {error}"));
    }

    /// Takes what was said about the first batches of a lane; whether one was refused for good.
    fn settle(&mut self, index: usize, answers: &[(ErrorCode, i64)]) -> bool {
        let queue = std::mem::take(&mut self.lanes[index].queue);
        let mut left = VecDeque::new();
        let mut is_refused = false;
        for (place, mut pending) in queue.into_iter().enumerate() {
            // Without an answer the connection has broken.
            let Some((code, base_offset)) = answers.get(place).copied() else {
                pending.maybe_written |= pending.was_sent;
                left.push_back(pending);
                continue;
            };
            match code {
                ErrorCode::NONE => self.acknowledge(index, &pending, Some(base_offset)),
                ErrorCode::DUPLICATE_SEQUENCE_NUMBER => self.acknowledge(index, &pending, None),
                code => {
                    if left.is_empty() {
                        let (number, leader) = (self.number, self.leader(index));
                        self.recorder.remark(|| {
                            format!("producer {number}: node {leader}, partition {index}: {code}")
                        });
                    }
                    let is_first = left.is_empty();
                    is_refused |= self.is_final(index, code, is_first);
                    // Refused before anything was written.
                    pending.maybe_written |= code != ErrorCode::NOT_ENOUGH_REPLICAS;
                    left.push_back(pending);
                }
            }
        }
        let lane = &mut self.lanes[index];
        // Those that were not sent yet have not failed.
        let again = left.iter().filter(|pending| pending.was_sent).count();
        lane.careful = again;
        lane.queue = left;
        is_refused
    }

    /// Whether a client may not try again; what may never be said is a contradiction.
    fn is_final(&self, index: usize, code: ErrorCode, is_first: bool) -> bool {
        let follows_a_failure = code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER && !is_first;
        if code.is_retriable() || follows_a_failure {
            return false;
        }
        let client = format!("producer {}", self.number);
        let partition = i32::try_from(index).expect("a handful");
        let leader = self.leader(index);
        let said = format!("node {leader} refused a batch, though all before it were acknowledged: {code}");
        self.recorder.contradiction(&client, partition, said);
        true
    }

    fn leader(&self, index: usize) -> i32 {
        self.view.partitions.get(index).map_or(-1, |partition| partition.leader)
    }

    fn acknowledge(&self, index: usize, pending: &Pending, base_offset: Option<i64>) {
        self.recorder.count();
        self.recorder.acknowledged(i32::try_from(index).expect("a handful"), pending.count);
        self.record(index, pending, Outcome::Acknowledged(base_offset));
    }

    fn record(&self, index: usize, pending: &Pending, outcome: Outcome<Option<i64>>) {
        self.recorder.history().sends.push(Send {
            producer: self.number,
            partition: i32::try_from(index).expect("a handful"),
            first_number: pending.first_number,
            count: pending.count,
            outcome,
        });
    }

    fn has_expired(&self) -> bool {
        let fronts = self.lanes.iter().filter_map(|lane| lane.queue.front());
        fronts.into_iter().any(|pending| pending.since.elapsed() > self.delivery_limit)
    }

    /// Everything without an outcome is left to its fate.
    fn give_up(&mut self) {
        for index in 0..self.lanes.len() {
            let queue = std::mem::take(&mut self.lanes[index].queue);
            for pending in queue {
                self.recorder.count();
                let outcome = if pending.maybe_written { Outcome::Unknown } else { Outcome::Failed };
                self.record(index, &pending, outcome);
            }
        }
    }

    fn complain_and_give_up(&mut self) {
        for index in 0..self.lanes.len() {
            let waiting = self.lanes[index].queue.len();
            if waiting > 0 {
                let leader = self.leader(index);
                let said = format!(
                    "{waiting} batches are not taken {LAST_DELIVERY_LIMIT:?} after the faults are healed; the leader is {leader}"
                );
                let partition = i32::try_from(index).expect("a handful");
                self.recorder.contradiction(&format!("producer {}", self.number), partition, said);
            }
        }
        self.give_up();
    }
}

/// Now: brokers forget producers whose last records are old, by the time that the records tell.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970");
    i64::try_from(now.as_millis()).expect("a time of this age")
}
