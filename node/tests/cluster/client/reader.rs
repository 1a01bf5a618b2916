//! A reader of all partitions: from the leaders, or from followers (KIP-392), for itself or for a group.
//!
//! It begins anew now and then, at an earlier offset, so that records are read more than once and by different nodes. Leader
//! epochs go along with every fetch: a leader of the past must not answer, and one whose log ends too early is noticed.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ringmain_protocol::{
    ErrorCode,
    messages::{FetchPartition, FetchPartitionResponse, FetchRequest, FetchResponse, FetchTopic},
    records::batches,
};
use ringmain_storage::disk::simulated::Random;

use super::{progress::Progress, value::record_of, view::View};
use crate::history::{Read, Session};
use crate::recorder::Recorder;

pub(crate) const FETCH_VERSION: i16 = 12;
const FETCH_SIZE_MAX: i32 = 1 << 20;
const PARTITION_FETCH_SIZE_MAX: i32 = 200_000;
const FETCH_WAIT_MS: i32 = 100;
/// Polls between two sessions, on average.
const SESSION_POLLS: u64 = 150;
/// How far back a new session begins at most.
const REWIND_MAX: u64 = 2_000;
/// Polls between two commits of a group, and between two looks at what it has committed.
const COMMIT_POLLS: u64 = 3;
const LOOK_POLLS: u64 = 12;
const BACKOFF_MS: u64 = 80;
pub(crate) const DECOMPRESSED_MAX: usize = 16 << 20;
/// How long it goes on after the run, to see the last records.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Whom a reader asks, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Leaders,
    Followers,
    /// Reads from leaders and commits for this group; a crash of it loses what it has not committed.
    Group(u32),
}

/// The reader.
pub(crate) struct Reader {
    recorder: Arc<Recorder>,
    view: View,
    random: Random,
    name: String,
    style: Style,
    number: u32,
    partitions: Vec<Place>,
    progress: Option<Progress>,
}

/// Where it is in one partition.
#[derive(Default)]
struct Place {
    position: i64,
    /// Epoch of the record before the position; -1 if it has read none.
    last_epoch: i32,
    session: Session,
    /// The last follower did not know enough.
    asks_the_leader: bool,
}

/// What one partition answered.
struct Answer {
    partition: usize,
    code: ErrorCode,
    reads: Vec<(i64, i32, Option<Vec<u8>>)>,
    problem: Option<String>,
    is_diverging: bool,
}

impl Reader {
    pub(crate) fn new(
        recorder: &Arc<Recorder>,
        bootstrap: &[(i32, SocketAddr)],
        topic: &str,
        partitions: i32,
        seed: u64,
        style: Style,
    ) -> Reader {
        let mut random = Random::new(seed);
        let first = usize::try_from(random.below(16)).expect("small");
        let progress = match style {
            Style::Group(group) => Some(Progress::new(recorder, group, topic)),
            Style::Leaders | Style::Followers => None,
        };
        let name = match style {
            Style::Leaders => "a reader of leaders".to_owned(),
            Style::Followers => "a reader of followers".to_owned(),
            Style::Group(group) => format!("a reader of group {group}"),
        };
        let partitions = (0..partitions).map(|_| Place::default()).collect();
        let view = View::new(bootstrap, topic, first);
        Reader { recorder: recorder.clone(), view, random, name, style, number: 0, partitions, progress }
    }

    /// Reads until the run is over, and a little longer.
    pub(crate) fn run(mut self) {
        let mut over_since = None;
        self.begin_sessions();
        loop {
            if self.recorder.is_over() {
                let since = *over_since.get_or_insert_with(Instant::now);
                if since.elapsed() > AFTERMATH {
                    break;
                }
            } else if self.random.chance(SESSION_POLLS) {
                self.end_sessions();
                self.rewind();
                self.begin_sessions();
            }
            if !self.poll() {
                thread::sleep(Duration::from_millis(10 + self.random.below(BACKOFF_MS)));
                self.view.refresh();
            }
            self.attend_to_progress();
        }
        self.end_sessions();
    }

    fn begin_sessions(&mut self) {
        self.number += 1;
        for (partition, place) in (0..).zip(&mut self.partitions) {
            place.last_epoch = -1;
            place.session = Session {
                reader: format!("{} ({})", self.name, self.number),
                partition,
                group: self.progress.as_ref().map(Progress::group),
                ..Session::default()
            };
        }
    }

    fn end_sessions(&mut self) {
        let sessions = self.partitions.iter_mut().map(|place| std::mem::take(&mut place.session));
        self.recorder.history().sessions.extend(sessions);
    }

    /// A group goes on from what it has committed, others from anywhere before.
    fn rewind(&mut self) {
        match &mut self.progress {
            Some(progress) => {
                let Some(committed) = progress.look(&mut self.view, self.partitions.len()) else { return };
                for (place, offset) in self.partitions.iter_mut().zip(committed) {
                    place.position = offset.unwrap_or(0);
                }
            }
            None => {
                for place in &mut self.partitions {
                    let back = i64::try_from(self.random.below(REWIND_MAX)).expect("small");
                    place.position = (place.position - back).max(0);
                }
            }
        }
    }

    fn attend_to_progress(&mut self) {
        let Some(progress) = &mut self.progress else { return };
        if self.random.chance(COMMIT_POLLS) {
            let positions: Vec<i64> = self.partitions.iter().map(|place| place.position).collect();
            progress.commit(&mut self.view, &positions);
        }
        if self.random.chance(LOOK_POLLS) {
            progress.look(&mut self.view, self.partitions.len());
        }
    }

    /// Fetches once from every node that has something; whether all answers were good.
    fn poll(&mut self) -> bool {
        let mut of_node: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for index in 0..self.partitions.len() {
            if let Some(node) = self.node_to_ask(index) {
                of_node.entry(node).or_default().push(index);
            }
        }
        if of_node.is_empty() {
            return false;
        }
        let mut all_is_well = true;
        for (node, partitions) in of_node {
            match self.fetch(node, &partitions) {
                Ok(answers) => {
                    self.recorder.count();
                    for answer in answers {
                        all_is_well &= self.take(node, answer);
                    }
                }
                Err(_) => {
                    self.view.disconnect(node);
                    all_is_well = false;
                }
            }
        }
        all_is_well
    }

    fn node_to_ask(&mut self, index: usize) -> Option<i32> {
        let partition = self.view.partitions.get(index)?;
        let leader = (partition.leader >= 0).then_some(partition.leader);
        if self.style != Style::Followers || self.partitions[index].asks_the_leader {
            return leader;
        }
        let followers: Vec<i32> =
            partition.replicas.iter().copied().filter(|node| *node != partition.leader).collect();
        if followers.is_empty() {
            return leader;
        }
        let pick = usize::try_from(self.random.below(followers.len() as u64)).expect("small");
        Some(followers[pick])
    }

    fn fetch(&mut self, node: i32, partitions: &[usize]) -> io::Result<Vec<Answer>> {
        let wanted = partitions.iter().map(|index| {
            let (known, place) = (&self.view.partitions[*index], &self.partitions[*index]);
            FetchPartition {
                partition: i32::try_from(*index).expect("a handful"),
                current_leader_epoch: known.leader_epoch,
                fetch_offset: place.position,
                // A follower may not have heard of the epoch yet.
                last_fetched_epoch: if known.leader == node { place.last_epoch } else { -1 },
                partition_max_bytes: PARTITION_FETCH_SIZE_MAX,
                ..Default::default()
            }
        });
        let topic = self.view.topic().to_owned();
        let request = FetchRequest {
            max_wait_ms: FETCH_WAIT_MS,
            min_bytes: 1,
            max_bytes: FETCH_SIZE_MAX,
            topics: vec![FetchTopic { topic: &topic, partitions: wanted.collect(), ..Default::default() }],
            ..Default::default()
        };
        let positions: BTreeMap<usize, i64> =
            partitions.iter().map(|index| (*index, self.partitions[*index].position)).collect();
        let connection = self.view.connection(node)?;
        let response: FetchResponse<'_, &[u8]> = connection.call(FETCH_VERSION, &request)?;
        if response.error_code != ErrorCode::NONE {
            return Err(io::Error::other(format!("a fetch was refused: {}", response.error_code)));
        }
        let answered = response.responses.iter().flat_map(|topic| &topic.partitions);
        Ok(answered.filter_map(|answer| read(answer, &positions)).collect())
    }

    /// Takes what one partition answered; whether the next fetch may be sent to the same node at once.
    fn take(&mut self, node: i32, answer: Answer) -> bool {
        let partition = i32::try_from(answer.partition).expect("a handful");
        let from_leader =
            self.view.partitions.get(answer.partition).is_some_and(|known| known.leader == node);
        if let Some(problem) = answer.problem {
            self.recorder.contradiction(&self.name, partition, format!("node {node}: {problem}"));
        }
        let at = self.recorder.now();
        let place = &mut self.partitions[answer.partition];
        for (offset, epoch, value) in answer.reads {
            let record = record_of(value.as_deref(), partition);
            place.session.reads.push(Read { offset, record, node, at });
            (place.position, place.last_epoch) = (offset + 1, epoch);
        }
        place.asks_the_leader = !from_leader && answer.code == ErrorCode::OFFSET_OUT_OF_RANGE;
        let is_cut_off = answer.is_diverging || answer.code == ErrorCode::OFFSET_OUT_OF_RANGE;
        if is_cut_off && from_leader {
            place.session.cut_off_at = Some(place.position);
            // So that it is said once.
            place.position = 0;
            self.end_sessions();
            self.begin_sessions();
        }
        answer.code == ErrorCode::NONE
    }
}

/// The records of an answer from the position on.
fn read(answer: &FetchPartitionResponse<&[u8]>, positions: &BTreeMap<usize, i64>) -> Option<Answer> {
    let partition = usize::try_from(answer.partition_index).ok()?;
    let position = *positions.get(&partition)?;
    let mut found = Answer {
        partition,
        code: answer.error_code,
        reads: Vec::new(),
        problem: None,
        is_diverging: answer.diverging_epoch.epoch >= 0,
    };
    for batch in batches(answer.records.unwrap_or_default()) {
        // The last one may be cut off by the size limit of the answer.
        let Ok(batch) = batch else { break };
        if let Err(error) = batch.verify_checksum() {
            found.problem = Some(format!("the batch at offset {}: {error}", batch.base_offset()));
            break;
        }
        let epoch = batch.header().partition_leader_epoch.get();
        let Ok(bytes) = batch.decompress(DECOMPRESSED_MAX) else {
            found.problem = Some(format!("the batch at offset {} cannot be unpacked", batch.base_offset()));
            break;
        };
        for record in batch.records(&bytes).flatten().filter(|record| record.offset >= position) {
            found.reads.push((record.offset, epoch, record.value.map(<[u8]>::to_vec)));
        }
    }
    Some(found)
}
