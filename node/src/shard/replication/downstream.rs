//! The connection of one shard of another node that follows partitions which this shard leads.
//!
//! Answers wait in two queues. The first has those whose records are in memory: as many as fit go into one message, on the
//! session on which they were asked for. The second has those whose records must be read from disk: one at a time, on a
//! session of its own, so that a follower that catches up holds up nobody.
//!
//! What must hold: records are read while the partition leads in the epoch of the answer, or the answer is dropped; nothing
//! unchecked is sent (`Log::read`); of a partition one answer waits at most. What a follower does not take stays with QUIC's
//! flow control: one message of each queue is under way.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use bytes::Bytes;
use ringmain_replication::{
    AnsweredFetch, FetchOutcome, FetchRefusal, NodeEpoch, NodeId,
    message::{FetchAnswers, FetchRequest, Message, PartitionAnswer, PartitionFetch},
    quic::{Connection, EndCode, FrameReceiver, FrameSender, PeerGone, SessionError},
};
use ringmain_storage::{LogKey, Offset, Piece};

use super::{
    super::{Shard, file_range::read_range},
    signal::Signal,
};
use crate::runtime;

/// What one partition takes of an answer while others wait.
const PARTITION_BYTES_MAX: usize = 1 << 20;
/// What a follower that catches up gets at once: as much as one read of the disk brings in.
const CATCH_UP_BYTES_MAX: usize = 1 << 20;
/// Answers of one message: their fields stay far below what a message may have.
const ANSWERS_IN_A_MESSAGE_MAX: usize = 10_000;
/// Fetches taken in before other tasks get their turn.
const FETCHES_IN_A_TURN: usize = 256;

/// A follower's connection.
pub(crate) struct Downstream {
    follower: NodeId,
    connection: Connection,
    /// Answers with what is in memory.
    quick: AnswerQueue,
    /// Answers with what has to be read from disk.
    slow: AnswerQueue,
    ended: Cell<bool>,
}

/// Answers in the order in which they are due, one of a partition.
#[derive(Default)]
struct AnswerQueue {
    order: RefCell<VecDeque<LogKey>>,
    answers: RefCell<HashMap<LogKey, AnsweredFetch>>,
    news: Signal,
}

impl AnswerQueue {
    fn push(&self, key: LogKey, answer: AnsweredFetch) {
        // A newer answer takes the place of one that nobody waits for any more.
        if self.answers.borrow_mut().insert(key, answer).is_none() {
            self.order.borrow_mut().push_back(key);
        }
        self.news.set();
    }

    fn pop(&self) -> Option<(LogKey, AnsweredFetch)> {
        loop {
            let key = self.order.borrow_mut().pop_front()?;
            if let Some(answer) = self.answers.borrow_mut().remove(&key) {
                return Some((key, answer));
            }
        }
    }

    fn push_front(&self, key: LogKey, answer: AnsweredFetch) {
        self.answers.borrow_mut().insert(key, answer);
        self.order.borrow_mut().push_front(key);
    }

    fn forget(&self, key: LogKey) {
        self.answers.borrow_mut().remove(&key);
    }

    fn is_empty(&self) -> bool {
        self.order.borrow().is_empty()
    }
}

impl Downstream {
    /// Serves a connection until it ends.
    pub(super) async fn run(shard: Rc<Shard>, connection: Connection) {
        let follower = connection.peer();
        let downstream = Rc::new(Self {
            follower,
            connection: connection.clone(),
            quick: AnswerQueue::default(),
            slow: AnswerQueue::default(),
            ended: Cell::new(false),
        });
        runtime::spawn(downstream.clone().catch_up(shard.clone()));
        tracing::info!(follower = follower.0, shard = shard.id().0, "a node follows");
        // A follower asks on one session; a second one is refused with the connection.
        let gone = match connection.accept_session().await {
            Ok(session) => {
                runtime::spawn(downstream.clone().receive(shard.clone(), session.receiver));
                runtime::spawn(downstream.clone().answer(shard.clone(), session.sender));
                connection.closed().await
            }
            Err(gone) => gone,
        };
        downstream.end();
        match gone {
            PeerGone::Closed(EndCode::STOPPING | EndCode::NOT_NEEDED) | PeerGone::ClosedHere => {
                tracing::info!(follower = follower.0, shard = shard.id().0, "a node follows no more");
            }
            reason => {
                tracing::warn!(follower = follower.0, shard = shard.id().0, %reason, "a follower is gone");
            }
        }
    }

    pub(crate) fn follower(&self) -> NodeId {
        self.follower
    }

    /// Has an answer sent; its records are read when its turn comes.
    pub(crate) fn push(&self, key: LogKey, answer: AnsweredFetch) {
        if !self.ended.get() {
            self.quick.push(key, answer);
        }
    }

    fn end(&self) {
        self.ended.set(true);
        self.connection.close(EndCode::ABANDONED);
        self.quick.news.set();
        self.slow.news.set();
    }

    async fn receive(self: Rc<Self>, shard: Rc<Shard>, mut receiver: FrameReceiver) {
        loop {
            let frame = match receiver.receive().await {
                Ok(Some(frame)) => frame,
                Ok(None) | Err(_) => break,
            };
            match Message::decode(&frame) {
                Ok(Message::FetchRequest(request)) => self.take_request(&shard, request).await,
                Ok(_) => {
                    tracing::error!(follower = self.follower.0, "a follower sent what only leaders send");
                    break;
                }
                Err(error) => {
                    tracing::error!(follower = self.follower.0, %error, "a follower sent no request");
                    break;
                }
            }
        }
        // A session ends with its connection only.
        self.end();
    }

    async fn take_request(self: &Rc<Self>, shard: &Rc<Shard>, request: FetchRequest) {
        shard.replication_counters().fetches_received.add(request.fetches.len() as u64);
        shard.clock().read();
        for key in request.forgotten {
            self.quick.forget(key);
            self.slow.forget(key);
        }
        for (taken, fetch) in (1..).zip(request.fetches) {
            match shard.partition(fetch.log) {
                Some(partition) => partition.follower_fetch(shard, self, request.node_epoch, &fetch),
                None => self.push(fetch.log, refused(self.follower, request.node_epoch, &fetch)),
            }
            if taken % FETCHES_IN_A_TURN == 0 {
                runtime::yield_to_reactor().await;
                shard.clock().read();
            }
        }
    }

    /// Sends what is in memory.
    async fn answer(self: Rc<Self>, shard: Rc<Shard>, mut sender: FrameSender) {
        while !self.ended.get() {
            if self.quick.is_empty() {
                self.quick.news.wait().await;
                continue;
            }
            let answers = self.gather(&shard).await;
            if let Err(error) = send(&shard, &mut sender, answers).await {
                tracing::debug!(follower = self.follower.0, %error, "answers are given up");
                break;
            }
        }
        self.end();
    }

    /// As many answers as fit into a message.
    async fn gather(&self, shard: &Rc<Shard>) -> Option<FetchAnswers> {
        let mut budget = super::answer_bytes_max(shard);
        let mut message: Option<FetchAnswers> = None;
        while let Some((key, answer)) = self.quick.pop() {
            let node_epoch = answer.fetch.node_epoch;
            let is_full = budget == 0
                || message.as_ref().is_some_and(|it| {
                    it.node_epoch != node_epoch || it.answers.len() == ANSWERS_IN_A_MESSAGE_MAX
                });
            if is_full {
                self.quick.push_front(key, answer);
                break;
            }
            let is_cold = answer.outcome == FetchOutcome::Records
                && shard.partition(key).is_some_and(|it| !it.log().is_in_memory(answer.position));
            if is_cold {
                self.slow.push(key, answer);
                continue;
            }
            let share = if self.quick.is_empty() { budget } else { budget.min(PARTITION_BYTES_MAX) };
            let Some(answer) = put_together(shard, key, answer, share).await else { continue };
            budget = budget.saturating_sub(record_bytes(&answer));
            message
                .get_or_insert_with(|| FetchAnswers { node_epoch, answers: Vec::new() })
                .answers
                .push(answer);
        }
        message
    }

    /// Sends what has to be read from disk.
    async fn catch_up(self: Rc<Self>, shard: Rc<Shard>) {
        let mut session = None;
        while !self.ended.get() {
            let Some((key, answer)) = self.slow.pop() else {
                self.slow.news.wait().await;
                continue;
            };
            let node_epoch = answer.fetch.node_epoch;
            let Some(answer) = put_together(&shard, key, answer, CATCH_UP_BYTES_MAX).await else { continue };
            if session.is_none() {
                session = self.connection.open_session().await.ok();
            }
            let Some(session) = &mut session else { break };
            shard.replication_counters().catch_up_bytes_sent.add(record_bytes(&answer) as u64);
            let answers = FetchAnswers { node_epoch, answers: vec![answer] };
            if let Err(error) = send(&shard, &mut session.sender, Some(answers)).await {
                tracing::debug!(follower = self.follower.0, %error, "catching up is given up");
                break;
            }
        }
        self.end();
    }
}

async fn send(
    shard: &Shard,
    sender: &mut FrameSender,
    answers: Option<FetchAnswers>,
) -> Result<(), SessionError> {
    let Some(answers) = answers else { return Ok(()) };
    let counters = shard.replication_counters();
    counters.answers_sent.add(answers.answers.len() as u64);
    counters.bytes_sent.add(answers.answers.iter().map(|answer| record_bytes(answer) as u64).sum());
    let frame = Message::FetchAnswers(answers).encode();
    sender.send(frame.expect("a message ends with the batch that goes beyond its limit")).await
}

/// An answer with what the log has now; `None` where it is too late for it.
async fn put_together(
    shard: &Rc<Shard>,
    key: LogKey,
    mut answer: AnsweredFetch,
    bytes_max: usize,
) -> Option<PartitionAnswer> {
    if let FetchOutcome::Refused(_) = answer.outcome {
        return Some(PartitionAnswer::new(key, &answer, Vec::new()));
    }
    let partition = shard.partition(key)?;
    let leads = || partition.is_leading() && partition.leader_epoch() == answer.leader_epoch;
    if !leads() {
        return None;
    }
    let mut records = Vec::new();
    if answer.outcome == FetchOutcome::Records {
        let log = partition.log();
        let read = match log.read(answer.position, log.log_end_offset(), bytes_max, true).await {
            Ok(read) => memory_of(read.pieces).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(read) => records = read,
            Err(error) => {
                let (topic, partition) = (partition.topic(), key.partition);
                tracing::error!(
                    topic,
                    partition,
                    offset = answer.position.value(),
                    error,
                    "read for a follower"
                );
            }
        }
        if records.is_empty() {
            // Nothing that can be read: the follower asks again after a pause.
            answer.outcome = FetchOutcome::Refused(FetchRefusal::NotLeader);
        }
    }
    if !leads() {
        return None;
    }
    // What is known now is newer than what was known when it was asked.
    answer.high_watermark = partition.high_watermark();
    answer.log_start = partition.known_log_start();
    Some(PartitionAnswer::new(key, &answer, records))
}

/// The bytes of what was read; parts of files were checked and are in the page cache.
async fn memory_of(pieces: Vec<Piece>) -> std::io::Result<Vec<Bytes>> {
    let mut memory = Vec::with_capacity(pieces.len());
    for piece in pieces {
        memory.push(match piece {
            Piece::Memory(bytes) => bytes,
            Piece::File(range) => read_range(range).await?,
        });
    }
    Ok(memory)
}

fn record_bytes(answer: &PartitionAnswer) -> usize {
    answer.records.iter().map(Bytes::len).sum()
}

/// For a partition that is not open here.
fn refused(to: NodeId, node_epoch: NodeEpoch, fetch: &PartitionFetch) -> AnsweredFetch {
    AnsweredFetch {
        to,
        leader_epoch: fetch.leader_epoch,
        fetch: ringmain_replication::FetchId { node_epoch, number: fetch.number },
        position: fetch.position,
        high_watermark: Offset::ZERO,
        log_start: Offset::ZERO,
        outcome: FetchOutcome::Refused(FetchRefusal::NotLeader),
    }
}
