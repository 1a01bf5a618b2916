//! One partition as its replica on this node sees it: role, epochs, high watermark, produce requests that wait.
//!
//! What must hold:
//! - the replica obeys no metadata that is older than its own registration, nor any that is older than what it obeyed;
//! - `log_start <= high_watermark <= log_end`; the high watermark never goes back but where records are cut that an unclean
//!   election gave up, and then the effect says so;
//! - while this replica leads, the high watermark never passes what every member of the maximal in-sync set has
//!   persisted to the degree that the [`CommitRule`] asks for, this replica among them;
//! - a produce request is answered exactly once, and those of one partition in the order of their offsets;
//! - a log is cut only by its follower, only for the answer to the fetch that is outstanding, and takes no role and no
//!   record before that is done.

mod assignment;
mod divergence;
mod effect;
mod event;
mod fetch;
mod follower;
mod in_sync;
mod leader;
mod progress;
mod proposal;
mod replica;
mod roles;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod waiting;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use assignment::{AssignedReplica, Assignment};
pub use divergence::EpochEnd;
pub use effect::{Effect, ProduceOutcome, ProduceRefusal};
pub use event::{Acks, CommitRule, Event, RequestToken};
pub use fetch::{
    AnsweredFetch, FetchAnswer, FetchId, FetchOutcome, FetchRefusal, Fetched, FollowerFetch, OutgoingFetch,
};
pub use progress::Persisted;
pub use proposal::{InSyncAnswer, InSyncMember, InSyncProposal};
use ringmain_storage::{LeaderEpoch, Offset};
pub use settings::{RecoveredLog, Settings};
pub use status::ReplicaStatus;

use crate::identity::{NodeEpoch, NodeId, PartitionEpoch};
use crate::planted;
use follower::Follower;
use leader::Leader;
use progress::LogState;
use waiting::WaitingProduce;

/// What this replica does.
#[derive(Debug)]
enum Role {
    /// Nothing: it was told nothing yet, has no leader, or is no replica any more.
    Outside,
    Leader(Leader),
    Follower(Follower),
}

/// The state of one replica of one partition.
#[derive(Debug)]
pub struct Partition {
    node: NodeId,
    /// Of this process; metadata that does not know it is older than this replica's log.
    node_epoch: NodeEpoch,
    settings: Settings,
    commit_rule: CommitRule,
    /// Fewest in-sync replicas for which `acks=all` is accepted (`min.insync.replicas`).
    min_in_sync_replicas: u32,
    role: Role,
    /// Of the metadata that was obeyed last. Neither ever goes back.
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    log: LogState,
    /// Below it, all in-sync replicas have it; consumers may read. Exclusive.
    high_watermark: Offset,
    /// The first failure of the log; from then on nothing is accepted.
    is_failed: bool,
    /// A cut is under way: the log takes nothing, and a new role waits in `postponed`.
    is_truncating: bool,
    postponed: Option<Box<Assignment>>,
    /// Fetches so far; numbers them.
    fetches: u64,
}

impl Partition {
    /// A replica whose log was recovered: everything in it was flushed by recovery.
    pub fn new(
        node: NodeId,
        node_epoch: NodeEpoch,
        log: RecoveredLog,
        commit_rule: CommitRule,
        min_in_sync_replicas: u32,
        settings: Settings,
    ) -> Self {
        let log = LogState {
            start: log.start,
            end: log.end,
            last_epoch: log.last_epoch,
            persisted: Persisted { written: log.end, flushed: log.end },
        };
        log.check();
        Self {
            node,
            node_epoch,
            settings,
            commit_rule,
            min_in_sync_replicas,
            role: Role::Outside,
            leader_epoch: LeaderEpoch::new(-1),
            partition_epoch: PartitionEpoch(-1),
            high_watermark: log.start,
            log,
            is_failed: false,
            is_truncating: false,
            postponed: None,
            fetches: 0,
        }
    }

    /// Below it, all in-sync replicas have every record, as far as this replica knows. Exclusive.
    pub fn high_watermark(&self) -> Offset {
        if planted::is("read-past-high-watermark") {
            return self.log.end;
        }
        self.high_watermark
    }

    /// The first offset of the log, as far as this replica was told.
    pub fn log_start(&self) -> Offset {
        self.log.start
    }

    /// The epoch in which this replica leads or follows.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Counts the changes of the metadata that this replica obeys.
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// Whether this replica leads and its log is healthy.
    pub fn is_leading(&self) -> bool {
        self.leading_epoch().is_some() && !self.is_failed
    }

    /// Whether this replica follows, so that consumers may read from it below its high watermark (KIP-392).
    pub fn is_following(&self) -> bool {
        matches!(self.role, Role::Follower(_)) && !self.is_failed
    }

    /// Whether some produce request waits for an answer.
    pub fn has_waiting(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.has_waiting())
    }

    /// Applies one event. Effects are appended in the order in which they must be executed.
    pub fn step(&mut self, now_ms: i64, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Assign(assignment) => self.assign(now_ms, assignment, effects),
            Event::Resign => self.resign(ProduceOutcome::NotLeader, effects),
            Event::Configure { commit_rule, min_in_sync_replicas } => {
                self.commit_rule = commit_rule;
                self.min_in_sync_replicas = min_in_sync_replicas;
                self.advance_high_watermark(effects);
            }
            Event::Produce { request, acks } => self.produce(request, acks, effects),
            Event::Appended { request, acks, end, timeout_ms } => {
                let deadline_ms = now_ms.saturating_add(timeout_ms.into());
                self.appended(WaitingProduce { request, end, deadline_ms }, acks, effects);
            }
            Event::Written { up_to } => {
                self.persisted(Persisted { written: up_to, flushed: self.log.start.min(up_to) }, effects);
            }
            Event::Flushed { up_to } => self.persisted(Persisted { written: up_to, flushed: up_to }, effects),
            Event::LogFailed => self.log_failed(effects),
            Event::WriteRefused => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.answer_all(ProduceOutcome::StorageFailed, effects);
                }
            }
            Event::FollowerFetch(fetch) => self.follower_fetch(now_ms, &fetch, effects),
            Event::FetchAnswered(answer) => self.fetch_answered(now_ms, &answer, effects),
            Event::FetchedAppended { fetch, end, last_epoch } => {
                self.fetched_appended(now_ms, fetch, end, last_epoch, effects);
            }
            Event::FetchFailed { fetch } => self.fetch_failed(now_ms, fetch),
            Event::LogTruncated { start, end, last_epoch } => {
                self.log_truncated(now_ms, start, end, last_epoch, effects);
            }
            Event::LogStartAdvanced { to } => self.log_start_advanced(to),
            Event::InSyncAnswered(answer) => self.in_sync_answered(now_ms, &answer, effects),
            Event::Tick => self.tick(now_ms, effects),
        }
        self.check();
    }

    fn persisted(&mut self, persisted: Persisted, effects: &mut Vec<Effect>) {
        if self.is_truncating {
            // Began before the cut; what is left after it is told with it.
            return;
        }
        let before = self.log.persisted.by(self.commit_rule);
        self.log.persist(persisted);
        self.leader_persisted(effects);
        if self.log.persisted.by(self.commit_rule) > before {
            self.follower_persisted(effects);
        }
    }

    fn log_failed(&mut self, effects: &mut Vec<Effect>) {
        self.is_failed = true;
        if let Role::Leader(leader) = &mut self.role {
            leader.answer_all(ProduceOutcome::StorageFailed, effects);
        }
    }

    fn log_truncated(
        &mut self,
        now_ms: i64,
        start: Offset,
        end: Offset,
        last_epoch: Option<LeaderEpoch>,
        effects: &mut Vec<Effect>,
    ) {
        assert!(self.is_truncating, "nobody asked for a cut");
        self.is_truncating = false;
        self.log = LogState { start, end, last_epoch, persisted: Persisted { written: end, flushed: end } };
        self.high_watermark = self.high_watermark.min(end).max(start);
        match self.postponed.take() {
            Some(assignment) => self.assign(now_ms, assignment, effects),
            None => self.ask(now_ms, effects),
        }
        if self.outgoing_fetch().is_none() {
            self.ask(now_ms, effects);
        }
    }

    fn log_start_advanced(&mut self, to: Offset) {
        if self.is_truncating {
            // Began before the cut, with which the start is told.
            return;
        }
        assert!(
            to <= self.high_watermark,
            "only what is committed is deleted: {to} above {}",
            self.high_watermark
        );
        self.log.advance_start(to);
    }

    fn tick(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        self.expire_produce(now_ms, effects);
        if self.is_failed {
            return;
        }
        self.notice_lag(now_ms, effects);
        self.answer_old_fetches(now_ms, effects);
        self.repeat_fetch(now_ms, effects);
    }

    fn check(&self) {
        self.log.check();
        let is_cut = self.is_truncating || planted::is("acknowledged-before-flush");
        assert!(
            is_cut || (self.log.start <= self.high_watermark && self.high_watermark <= self.log.end),
            "the high watermark {} is outside of the log: {:?}",
            self.high_watermark,
            self.log
        );
    }
}
