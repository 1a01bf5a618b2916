//! What a partition does with its replicas on other nodes: answers fetches as a leader; asks, appends and cuts as a follower.
//!
//! What must hold is what the effects ask of any driver (docs/replication.md):
//! - the records of an answer are appended in the step that asks for it, or the whole answer enters again later;
//! - changes of the log are carried out one after the other; what the disk began before a cut is told before it, or never
//!   (a round holds the lock that a cut waits for; and what is told is never more than the log itself says).

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
    time::Duration,
};

use bytes::Bytes;
use ringmain_protocol::records::RecordBatch;
use ringmain_replication::{
    AnsweredFetch, Effect, EpochEnd, Event, FetchId, FetchOutcome, InSyncAnswer, InSyncProposal, NodeEpoch,
    NodeId, OutgoingFetch,
    message::{PartitionAnswer, PartitionFetch},
};
use ringmain_storage::{AppendError, ChangeError, LeaderEpoch, Offset};

use super::{
    super::{
        Shard,
        replication::{Downstream, HeldFrame},
    },
    Partition,
};
use crate::runtime;

/// How long to wait before a log is tried again that has no memory for an append.
pub(super) const MEMORY_PAUSE: Duration = Duration::from_millis(5);
/// Before a change of a log is tried again for which the disk had no space; the store tries its writes as often.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);

/// An answer that is being taken in.
struct ReceivedAnswer {
    node_epoch: NodeEpoch,
    answer: PartitionAnswer,
    /// Counts the frame that the records lie in.
    _frame: Rc<HeldFrame>,
}

/// A change of the log that takes the disk some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogChange {
    Truncate { to: Offset },
    Restart { at: Offset },
    AdvanceStart { to: Offset },
}

/// What a replica has under way beside its state machine.
#[derive(Default)]
pub(super) struct ReplicaWork {
    /// The connections by which followers asked last.
    followers: RefCell<Vec<Weak<Downstream>>>,
    /// The answer whose event is being applied.
    received: RefCell<Option<ReceivedAnswer>>,
    /// The answer that waits for room or for the log to wake up.
    waiting: RefCell<Option<ReceivedAnswer>>,
    is_waiting: Cell<bool>,
    /// In order; the first is being carried out. At most one cut, and one change of the start before and after it.
    changes: RefCell<VecDeque<LogChange>>,
}

/// How far another replica is behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplicaLag {
    /// Whose.
    pub(crate) node: NodeId,
    /// Records that it lacks of the leader's log.
    pub(crate) lag_records: u64,
    /// Milliseconds since it had last persisted all that the leader had; `None`: never in this leadership.
    pub(crate) since_caught_up_ms: Option<i64>,
    pub(crate) is_in_sync: bool,
}

/// As a leader.
impl Partition {
    /// A follower asks.
    pub(crate) fn follower_fetch(
        &self,
        shard: &Shard,
        downstream: &Rc<Downstream>,
        node_epoch: NodeEpoch,
        fetch: &PartitionFetch,
    ) {
        self.work.remember(downstream);
        let own_end = fetch.last_epoch.and_then(|epoch| self.epoch_end(epoch));
        let event = fetch.event(downstream.follower(), node_epoch, own_end);
        self.step(shard, Event::FollowerFetch(event));
    }

    pub(super) fn answer_fetch(&self, answer: AnsweredFetch) {
        // Without a connection nobody waits for it: whoever comes back asks anew.
        if let Some(downstream) = self.work.downstream(answer.to) {
            downstream.push(self.key(), answer);
        }
    }

    /// What this leader asks the controller for, if anything.
    pub(crate) fn in_sync_proposal(&self) -> Option<InSyncProposal> {
        self.machine.borrow().proposal()
    }

    /// The controller answered.
    pub(crate) fn in_sync_answered(&self, shard: &Shard, answer: InSyncAnswer) {
        self.step_now(shard, Event::InSyncAnswered(answer));
    }

    /// How far the other replicas are behind, if this one leads.
    pub(crate) fn replica_lags(&self) -> Vec<ReplicaLag> {
        let (machine, end) = (self.machine.borrow(), self.log.log_end_offset());
        let start = self.log.log_start_offset();
        let now_ms = runtime::unix_ms();
        let lag = |it: ringmain_replication::ReplicaStatus| ReplicaLag {
            node: it.node,
            lag_records: end
                .value()
                .saturating_sub(it.position.unwrap_or(start).value())
                .max(0)
                .unsigned_abs(),
            since_caught_up_ms: (it.last_caught_up_ms > i64::MIN)
                .then(|| now_ms.saturating_sub(it.last_caught_up_ms).max(0)),
            is_in_sync: it.is_in_sync,
        };
        machine.replicas().map(lag).collect()
    }

    /// Below it no replica that is alive has records; the log's start while this one does not lead.
    pub(crate) fn low_watermark(&self) -> Offset {
        self.machine.borrow().low_watermark().unwrap_or(self.log.log_start_offset())
    }

    /// The log's start as far as the state machine was told.
    pub(crate) fn known_log_start(&self) -> Offset {
        self.machine.borrow().log_start()
    }

    /// Retention, compaction or a client moved the log's start.
    pub(crate) fn log_start_advanced(&self, shard: &Shard) {
        let to = self.log.log_start_offset();
        self.step_now(shard, Event::LogStartAdvanced { to });
        // The log may have been settled for it, by rounds that nobody was told of.
        self.step(shard, Event::Flushed { up_to: self.log.flushed_offset() });
    }

    /// What the log says of an epoch.
    fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.log.end_offset_for_epoch(epoch).map(|(epoch, end)| EpochEnd { epoch, end })
    }
}

/// As a follower.
impl Partition {
    /// Whom this replica follows.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.machine.borrow().leader()
    }

    /// Committed records that this replica lacks, as far as it knows; none where it leads.
    pub(crate) fn lag_records(&self) -> u64 {
        self.machine.borrow().lag_records()
    }

    /// What this follower asks now.
    pub(crate) fn outgoing_fetch(&self) -> Option<OutgoingFetch> {
        self.machine.borrow().outgoing_fetch()
    }

    /// The connection over which `leader` was asked has ended.
    pub(crate) fn lose_fetch(&self, shard: &Shard, leader: NodeId) {
        let fetch = self.outgoing_fetch().filter(|fetch| fetch.leader == leader);
        if let Some(fetch) = fetch {
            self.step_now(shard, Event::FetchFailed { fetch: fetch.fetch });
        }
    }

    /// A leader answered: takes it now, or as soon as the log and the shard allow.
    pub(crate) fn take_answer(
        &self,
        shard: &Shard,
        node_epoch: NodeEpoch,
        answer: PartitionAnswer,
        frame: &Rc<HeldFrame>,
    ) {
        if self.closed.get() {
            return;
        }
        let received = ReceivedAnswer { node_epoch, answer, _frame: frame.clone() };
        let bytes = received.record_bytes();
        if bytes > 0 && !(self.log.is_active() && shard.store().has_room(bytes)) {
            self.wait_to_append(shard, received);
        } else {
            self.enter(shard, received);
        }
    }

    fn enter(&self, shard: &Shard, received: ReceivedAnswer) {
        let answer = &received.answer;
        let base = answer.records.first().and_then(|records| base_offset(records));
        if answer.outcome == FetchOutcome::Records && base.is_none() {
            let fetch = FetchId { node_epoch: received.node_epoch, number: answer.number };
            self.refuse_answer(shard, "it is no record batch");
            self.step(shard, Event::FetchFailed { fetch });
            return;
        }
        let event = answer.event(received.node_epoch, base, |epoch| self.epoch_end(epoch));
        *self.work.received.borrow_mut() = Some(received);
        self.step(shard, Event::FetchAnswered(event));
        // Still there where it was too late for it, or it had no records.
        self.work.received.take();
    }

    /// Keeps the newest answer until there is room, and lets it enter again.
    fn wait_to_append(&self, shard: &Shard, received: ReceivedAnswer) {
        *self.work.waiting.borrow_mut() = Some(received);
        if self.work.is_waiting.replace(true) {
            return;
        }
        let (partition, shard) = (self.shared(), shard.shared());
        runtime::spawn(async move {
            loop {
                let bytes = partition.work.waiting.borrow().as_ref().map(ReceivedAnswer::record_bytes);
                let Some(bytes) = bytes else { break };
                shard.store().room(bytes).await;
                let activated = partition.log.activate().await;
                if activated.is_ok() && !(partition.log.is_active() && shard.store().has_room(bytes)) {
                    // Others took the room meanwhile.
                    runtime::yield_to_reactor().await;
                    continue;
                }
                if let Err(AppendError::NoRoom) = activated {
                    runtime::sleep(MEMORY_PAUSE).await;
                    continue;
                }
                let Some(received) = partition.work.waiting.take() else { break };
                shard.clock().read();
                match activated {
                    Ok(()) => partition.enter(&shard, received),
                    Err(error) => partition.fail_answer(&shard, &received, &error),
                }
            }
            partition.work.is_waiting.set(false);
        });
    }

    /// Checks and appends the records of the answer at hand; the rest of the effect is told to the state machine.
    pub(super) fn append_fetched(&self, shard: &Shard, fetch: FetchId, effects: &mut Vec<Effect>) {
        let received = self.work.received.take().expect("the answer is at hand while its event is applied");
        let now_ms = shard.clock().unix_ms();
        let mut appended = None;
        let mut failed = None;
        let mut batches = 0;
        'answer: for records in &received.answer.records {
            let mut rest = &records[..];
            while !rest.is_empty() {
                match self.append_next(rest, received.answer.leader_epoch, now_ms) {
                    Ok((end, epoch, after)) => {
                        appended = Some((end, epoch));
                        batches += 1;
                        rest = after;
                    }
                    Err(error) => {
                        failed = Some(error);
                        break 'answer;
                    }
                }
            }
        }
        shard.replication_counters().batches_appended.add(batches);
        match (appended, failed) {
            // What is left is fetched again, from there on.
            (Some((end, last_epoch)), failed) => {
                if let Some(NotAppended::Useless(reason)) = failed {
                    self.refuse_answer(shard, &reason);
                }
                let event = Event::FetchedAppended { fetch, end, last_epoch };
                self.machine.borrow_mut().step(now_ms, event, effects);
            }
            (None, Some(NotAppended::Later)) => self.wait_to_append(shard, received),
            (None, failed) => {
                match failed {
                    Some(NotAppended::Useless(reason)) => self.refuse_answer(shard, &reason),
                    Some(NotAppended::LogFailed(error)) => self.log_failed(&error, effects, now_ms),
                    // The store says what waits for space, and tries again; until then the leader is asked again.
                    Some(NotAppended::Later | NotAppended::DiskFull) | None => {}
                }
                self.machine.borrow_mut().step(now_ms, Event::FetchFailed { fetch }, effects);
            }
        }
    }

    /// Appends the first batch of `bytes`; returns where the log ends now, the batch's epoch, and the bytes after it.
    fn append_next<'a>(
        &self,
        bytes: &'a [u8],
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<(Offset, LeaderEpoch, &'a [u8]), NotAppended> {
        let useless = |reason: String| NotAppended::Useless(reason);
        let (batch, rest) = RecordBatch::parse(bytes).map_err(|error| useless(error.to_string()))?;
        let epoch = batch.header().partition_leader_epoch.get();
        if epoch < 0 || epoch > leader_epoch.value() {
            return Err(useless(format!("a batch of leader epoch {epoch} in epoch {leader_epoch}")));
        }
        match self.log.append_assigned(batch.bytes(), now_ms) {
            Ok(appended) => Ok((appended.last_offset.plus(1), LeaderEpoch::new(epoch), rest)),
            Err(AppendError::NoRoom | AppendError::Inactive) => Err(NotAppended::Later),
            Err(AppendError::Full) => Err(NotAppended::DiskFull),
            Err(AppendError::Offline(error)) => Err(NotAppended::LogFailed(error.to_string())),
            Err(error) => Err(useless(error.to_string())),
        }
    }

    fn fail_answer(&self, shard: &Shard, received: &ReceivedAnswer, error: &AppendError) {
        if !matches!(error, AppendError::Full) {
            self.refuse_answer(shard, &error.to_string());
        }
        let fetch = FetchId { node_epoch: received.node_epoch, number: received.answer.number };
        self.step(shard, Event::FetchFailed { fetch });
    }

    fn refuse_answer(&self, shard: &Shard, reason: &str) {
        shard.replication_counters().answers_failed.increment();
        let (topic, partition) = (self.topic(), self.key().partition);
        tracing::error!(topic, partition, reason, "an answer of the leader cannot be appended");
    }

    fn log_failed(&self, error: &str, effects: &mut Vec<Effect>, now_ms: i64) {
        tracing::error!(topic = self.topic(), partition = self.key().partition, error, "stop this replica");
        self.machine.borrow_mut().step(now_ms, Event::LogFailed, effects);
    }
}

/// Changes of the log.
impl Partition {
    pub(super) fn truncate(&self, shard: &Shard, to: Offset, loses_committed: bool) {
        let (topic, partition) = (self.topic(), self.key().partition);
        let (to_offset, end) = (to.value(), self.log.log_end_offset().value());
        shard.replication_counters().truncations.increment();
        if loses_committed {
            tracing::error!(
                topic,
                partition,
                to = to_offset,
                end,
                "cut records that were committed: an unclean election gave them up"
            );
        } else {
            tracing::info!(topic, partition, to = to_offset, end, "cut what the leader does not have");
        }
        self.change_log(shard, LogChange::Truncate { to });
    }

    pub(super) fn restart_log(&self, shard: &Shard, at: Offset) {
        let (topic, partition) = (self.topic(), self.key().partition);
        let (start, end) = (self.log.log_start_offset().value(), self.log.log_end_offset().value());
        shard.replication_counters().restarts.increment();
        tracing::info!(
            topic,
            partition,
            start,
            end,
            at = at.value(),
            "begin anew where the leader's log begins"
        );
        self.change_log(shard, LogChange::Restart { at });
    }

    pub(super) fn advance_start(&self, shard: &Shard, to: Offset) {
        {
            let mut changes = self.work.changes.borrow_mut();
            // The first is under way.
            if let Some(LogChange::AdvanceStart { to: later }) = changes.iter_mut().skip(1).last() {
                *later = to.max(*later);
                return;
            }
            if changes.len() == 1 && changes[0] == (LogChange::AdvanceStart { to }) {
                return;
            }
        }
        self.change_log(shard, LogChange::AdvanceStart { to });
    }

    fn change_log(&self, shard: &Shard, change: LogChange) {
        let mut changes = self.work.changes.borrow_mut();
        changes.push_back(change);
        if changes.len() > 1 {
            return;
        }
        let (partition, shard) = (self.shared(), shard.shared());
        runtime::spawn(async move {
            loop {
                let first = partition.work.changes.borrow().front().copied();
                let Some(change) = first else { break };
                let changed = loop {
                    match partition.carry_out(change).await {
                        // Nothing changed. This replica is out of sync until there is space again.
                        Err(ChangeError::Disk(error))
                            if error.is_recoverable() && !partition.closed.get() && !shard.is_stopping() =>
                        {
                            let (topic, index) = (partition.topic(), partition.key().partition);
                            tracing::warn!(topic, partition = index, ?change, %error, "a change of a log waits");
                            runtime::sleep(FULL_DISK_PAUSE).await;
                        }
                        changed => break changed,
                    }
                };
                partition.work.changes.borrow_mut().pop_front();
                partition.log_changed(&shard, change, changed);
            }
        });
    }

    async fn carry_out(&self, change: LogChange) -> Result<(), ChangeError> {
        match change {
            // The start may have moved since; nothing below it is left to be cut.
            LogChange::Truncate { to } => self.log.truncate(to.max(self.log.log_start_offset())).await,
            LogChange::Restart { at } => self.log.restart_at(at).await,
            // The high watermark may be lower by now: after an unclean election.
            LogChange::AdvanceStart { to } => self.log.advance_log_start(to.min(self.high_watermark())).await,
        }
    }

    fn log_changed(&self, shard: &Shard, change: LogChange, changed: Result<(), ChangeError>) {
        if self.closed.get() {
            return;
        }
        let is_cut = !matches!(change, LogChange::AdvanceStart { .. });
        match changed {
            Ok(()) if is_cut => {
                let event = Event::LogTruncated {
                    start: self.log.log_start_offset(),
                    end: self.log.log_end_offset(),
                    last_epoch: self.log.latest_epoch(),
                };
                self.step_now(shard, event);
            }
            Ok(()) => self.log_start_advanced(shard),
            Err(error) => {
                let (topic, partition) = (self.topic(), self.key().partition);
                tracing::error!(topic, partition, ?change, %error, "change a log");
                if is_cut {
                    self.step_now(shard, Event::LogFailed);
                }
            }
        }
    }
}

/// Why a batch was not appended.
enum NotAppended {
    /// The log has no room for it now.
    Later,
    /// Passes when space is freed.
    DiskFull,
    /// It is not what it should be.
    Useless(String),
    LogFailed(String),
}

impl ReceivedAnswer {
    fn record_bytes(&self) -> usize {
        self.answer.records.iter().map(Bytes::len).sum()
    }
}

impl ReplicaWork {
    fn remember(&self, downstream: &Rc<Downstream>) {
        let mut followers = self.followers.borrow_mut();
        let is_this = |it: &Weak<Downstream>| std::ptr::eq(it.as_ptr(), Rc::as_ptr(downstream));
        if followers.iter().any(is_this) {
            return;
        }
        // One connection of each follower, and it is the newest.
        let is_other = |it: Rc<Downstream>| it.follower() != downstream.follower();
        followers.retain(|it| it.upgrade().is_some_and(is_other));
        followers.push(Rc::downgrade(downstream));
    }

    fn downstream(&self, follower: NodeId) -> Option<Rc<Downstream>> {
        let followers = self.followers.borrow();
        followers.iter().filter_map(Weak::upgrade).find(|it| it.follower() == follower)
    }
}

fn base_offset(records: &[u8]) -> Option<Offset> {
    let (batch, _) = RecordBatch::parse(records).ok()?;
    Offset::try_new(batch.header().base_offset.get())
}
