//! The leader's part: produce requests, the high watermark, and who is in sync.

mod fetches;
mod membership;

use alloc::vec::Vec;

use ringmain_storage::{LeaderEpoch, Offset};

use super::effect::{Effect, ProduceOutcome, ProduceRefusal};
use super::event::{Acks, RequestToken};
use super::in_sync::{InSyncReplicas, NodeSet};
use super::replica::ReplicaProgress;
use super::waiting::{Waiting, WaitingProduce};
use super::{Assignment, Partition, Role};
use crate::planted;

/// What only a leader has.
#[derive(Debug)]
pub(super) struct Leader {
    /// The end of the log when this leadership began. Whoever has less may lack records that were committed before: a
    /// new leader knows the high watermark late.
    epoch_start: Offset,
    pub(super) in_sync: InSyncReplicas,
    /// All replicas but this one.
    pub(super) replicas: Vec<ReplicaProgress>,
    /// `acks=1`: wait until the leader has written.
    waiting_for_write: Waiting,
    /// `acks=all`: wait for the high watermark.
    waiting_for_commit: Waiting,
}

impl Leader {
    fn new(epoch_start: Offset, assignment: &Assignment) -> Self {
        let in_sync = NodeSet::new(assignment.in_sync.iter().copied());
        Self {
            epoch_start,
            in_sync: InSyncReplicas::new(in_sync, assignment.partition_epoch),
            replicas: Vec::new(),
            waiting_for_write: Waiting::default(),
            waiting_for_commit: Waiting::default(),
        }
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting_for_write.is_empty() || !self.waiting_for_commit.is_empty()
    }

    pub(super) fn answer_all(&mut self, outcome: ProduceOutcome, effects: &mut Vec<Effect>) {
        self.waiting_for_write.answer_all(outcome, effects);
        self.waiting_for_commit.answer_all(outcome, effects);
    }
}

impl Partition {
    pub(super) fn lead(&mut self, now_ms: i64, assignment: &Assignment, effects: &mut Vec<Effect>) {
        assert!(!self.is_truncating, "a log that is being cut takes no records");
        let mut leader = Leader::new(self.log.end, assignment);
        leader.take_replicas(self.node, now_ms, assignment);
        self.role = Role::Leader(leader);
        effects.push(Effect::Leading { leader_epoch: self.leader_epoch });
        self.advance_high_watermark(effects);
    }

    pub(super) fn produce(&mut self, request: RequestToken, acks: Acks, effects: &mut Vec<Effect>) {
        let enough = self.min_in_sync_replicas();
        let refusal = match &self.role {
            _ if self.is_failed => Some(ProduceRefusal::StorageFailed),
            Role::Leader(leader) if acks == Acks::All && leader.in_sync.committed().len() < enough => {
                Some(ProduceRefusal::NotEnoughReplicas)
            }
            Role::Leader(_) => None,
            Role::Follower(_) | Role::Outside => Some(ProduceRefusal::NotLeader),
        };
        effects.push(match refusal {
            Some(refusal) => Effect::RefuseProduce { request, refusal },
            None => Effect::AppendToLog { request, leader_epoch: self.leader_epoch },
        });
    }

    /// # Panics
    /// When this replica does not lead: an append follows its effect at once.
    pub(super) fn appended(&mut self, waiting: WaitingProduce, acks: Acks, effects: &mut Vec<Effect>) {
        let Role::Leader(leader) = &mut self.role else {
            panic!("only a leader appends for a client: {:?}", waiting.request);
        };
        let (request, end) = (waiting.request, waiting.end);
        let is_new = end > self.log.end;
        self.log.grow(end, self.leader_epoch);
        let reached = match acks {
            Acks::None => end,
            Acks::Leader => self.log.persisted.written,
            Acks::All if planted::is("acknowledged-on-append") => end,
            Acks::All => self.high_watermark,
        };
        if reached >= end {
            // Nothing to wait for; or a duplicate whose first copy is already committed.
            effects.push(Effect::AnswerProduce { request, outcome: ProduceOutcome::Done });
        } else if acks == Acks::All {
            leader.waiting_for_commit.add(waiting);
        } else {
            leader.waiting_for_write.add(waiting);
        }
        if is_new {
            self.answer_parked_fetches(effects);
        }
    }

    /// The leader's own log has persisted more.
    pub(super) fn leader_persisted(&mut self, effects: &mut Vec<Effect>) {
        if let Role::Leader(leader) = &mut self.role {
            leader.waiting_for_write.answer_up_to(self.log.persisted.written, effects);
        }
        self.advance_high_watermark(effects);
    }

    /// The high watermark is the least that the maximal in-sync set has persisted. It stands while the committed set is
    /// smaller than `min.insync.replicas` (KIP-966): what only too few have must not count as committed, or a loss of
    /// the last one would take it back.
    pub(super) fn advance_high_watermark(&mut self, effects: &mut Vec<Effect>) {
        let enough = self.min_in_sync_replicas();
        let rule = self.commit_rule;
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.in_sync.committed().len() < enough && !planted::is("last-replica-standing") {
            return;
        }
        let mut common = self.log.persisted.by(rule);
        if planted::is("acknowledged-before-flush") {
            common = self.log.end;
        }
        for node in leader.in_sync.maximal().iter().filter(|node| *node != self.node) {
            let replica = leader.replicas.iter().find(|replica| replica.node == node);
            let Some(persisted) = replica.and_then(|replica| replica.persisted(rule)) else { return };
            common = common.min(persisted);
        }
        if common <= self.high_watermark {
            return;
        }
        assert!(common <= self.log.end, "a high watermark past the log's end: {common} in {:?}", self.log);
        self.high_watermark = common;
        effects.push(Effect::HighWatermarkAdvanced { to: common });
        leader.waiting_for_commit.answer_up_to(common, effects);
    }

    pub(super) fn expire_produce(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let enough = self.min_in_sync_replicas();
        let Role::Leader(leader) = &mut self.role else { return };
        let outcome = if leader.in_sync.committed().len() < enough {
            ProduceOutcome::NotEnoughReplicasAfterAppend
        } else {
            ProduceOutcome::TimedOut
        };
        leader.waiting_for_write.expire(now_ms, ProduceOutcome::TimedOut, effects);
        leader.waiting_for_commit.expire(now_ms, outcome, effects);
    }

    /// `min.insync.replicas`, at most as many as there are replicas.
    fn min_in_sync_replicas(&self) -> usize {
        let asked = usize::try_from(self.min_in_sync_replicas).unwrap_or(usize::MAX);
        match &self.role {
            Role::Leader(leader) => asked.min(leader.replicas.len() + 1),
            Role::Follower(_) | Role::Outside => asked,
        }
    }

    /// The end of the log when this leadership began. While the high watermark is below it, this leader does not know yet
    /// how much of what the leaders before it appended is committed. `None` where this replica does not lead.
    pub fn leadership_start(&self) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) => Some(leader.epoch_start),
            Role::Follower(_) | Role::Outside => None,
        }
    }

    /// The epoch of this leadership, if it is one.
    pub(super) fn leading_epoch(&self) -> Option<LeaderEpoch> {
        matches!(self.role, Role::Leader(_)).then_some(self.leader_epoch)
    }
}
