//! Who is in sync: who falls out, who comes back, what the controller says to it.

use alloc::vec::Vec;

use ringmain_storage::LeaderEpoch;

use super::super::effect::Effect;
use super::super::in_sync::{Change, NodeSet};
use super::super::proposal::{InSyncAnswer, InSyncMember, InSyncProposal};
use super::super::replica::ReplicaProgress;
use super::super::{Assignment, Partition, Role};
use super::Leader;
use crate::identity::NodeId;
use crate::planted;

impl Leader {
    /// Takes over who keeps the partition and what is known of their nodes.
    pub(in crate::partition) fn take_replicas(&mut self, own: NodeId, now_ms: i64, assignment: &Assignment) {
        self.replicas.retain(|replica| assignment.has_replica(replica.node));
        for assigned in assignment.replicas.iter().filter(|assigned| assigned.node != own) {
            let known = self.replicas.iter().position(|replica| replica.node == assigned.node);
            let index = known.unwrap_or_else(|| {
                // In sync until the contrary is seen: a new leader gives the others time to turn to it.
                let since_ms = if assignment.in_sync.contains(&assigned.node) { now_ms } else { i64::MIN };
                self.replicas.push(ReplicaProgress::new(assigned.node, since_ms));
                self.replicas.len() - 1
            });
            let replica = &mut self.replicas[index];
            replica.registered = replica.registered.max(assigned.node_epoch);
            replica.is_eligible = assigned.is_eligible;
            if let Some(registered) = assigned.node_epoch.filter(|epoch| Some(*epoch) > replica.node_epoch) {
                replica.restart(registered);
                self.in_sync.restarted(assigned.node, registered);
            }
        }
    }
}

impl Partition {
    /// Newer metadata of the same leadership.
    pub(in crate::partition) fn keep_leading(
        &mut self,
        now_ms: i64,
        assignment: &Assignment,
        effects: &mut Vec<Effect>,
    ) {
        let Role::Leader(leader) = &mut self.role else { return };
        leader.take_replicas(self.node, now_ms, assignment);
        leader.in_sync.commit(NodeSet::new(assignment.in_sync.iter().copied()), assignment.partition_epoch);
        self.advance_high_watermark(effects);
        // Whoever may enter now and has all need not wait until an idle partition's fetch is repeated.
        for replica in &assignment.replicas {
            self.consider_expansion(now_ms, replica.node, effects);
        }
    }

    /// A replica that has all may enter the set: up to the high watermark, up to where this leadership began, and lately up
    /// to the log's end (rule 4).
    pub(super) fn consider_expansion(&mut self, now_ms: i64, node: NodeId, effects: &mut Vec<Effect>) {
        let (rule, lag_ms_max, log_end) = (self.commit_rule, self.settings.lag_ms_max, self.log.end);
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.in_sync.committed().contains(node) || *leader.in_sync.change() != Change::None {
            return;
        }
        let Some(replica) = leader.replicas.iter().find(|replica| replica.node == node) else { return };
        let is_planted = planted::is("joins-before-epoch-start");
        let wanted =
            if is_planted { self.high_watermark } else { self.high_watermark.max(leader.epoch_start) };
        let has_all = replica.persisted(rule).is_some_and(|persisted| persisted >= wanted)
            && (is_planted || replica.is_caught_up(now_ms, lag_ms_max, rule, log_end));
        let is_welcome = replica.is_eligible
            && replica.registered == replica.node_epoch
            && now_ms >= replica.not_before_ms;
        if let Some(node_epoch) = replica.node_epoch.filter(|_| has_all && is_welcome) {
            leader.in_sync.expand(node, node_epoch);
            self.propose(now_ms, effects);
        }
    }

    /// Replicas that have not caught up for too long leave.
    pub(in crate::partition) fn notice_lag(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let (rule, lag_ms_max, log_end) = (self.commit_rule, self.settings.lag_ms_max, self.log.end);
        let retry_ms = self.settings.proposal_retry_ms;
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.in_sync.is_overdue(now_ms, retry_ms) {
            self.propose(now_ms, effects);
            return;
        }
        if *leader.in_sync.change() != Change::None {
            return;
        }
        let lagging = leader.replicas.iter().filter(|replica| {
            leader.in_sync.committed().contains(replica.node)
                && !replica.is_caught_up(now_ms, lag_ms_max, rule, log_end)
        });
        let lagging = NodeSet::new(lagging.map(|replica| replica.node));
        if lagging.len() > 0 {
            leader.in_sync.shrink(&lagging);
            self.propose(now_ms, effects);
        }
    }

    fn propose(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let Role::Leader(leader) = &mut self.role else { return };
        leader.in_sync.asked(now_ms);
        effects.push(Effect::ProposeInSync);
    }

    /// What this leader asks the controller for, while it asks for something.
    pub fn proposal(&self) -> Option<InSyncProposal> {
        let Role::Leader(leader) = &self.role else { return None };
        let entering = leader.in_sync.entering();
        let is_entering = |node: NodeId| {
            entering.is_some_and(|(entering, _)| entering == node)
                && !planted::is("newer-process-takes-the-place")
        };
        let member = |node: NodeId| {
            let replica = leader.replicas.iter().find(|replica| replica.node == node);
            let node_epoch = match replica {
                Some(_) if is_entering(node) => entering.map(|(_, node_epoch)| node_epoch),
                Some(replica) => replica.node_epoch.filter(|_| replica.has_fetched),
                None => Some(self.node_epoch),
            };
            InSyncMember { node, node_epoch }
        };
        Some(InSyncProposal {
            leader_epoch: self.leader_epoch,
            partition_epoch: leader.in_sync.partition_epoch(),
            in_sync: leader.in_sync.proposed()?.iter().map(member).collect(),
        })
    }

    pub(in crate::partition) fn in_sync_answered(
        &mut self,
        now_ms: i64,
        answer: &InSyncAnswer,
        effects: &mut Vec<Effect>,
    ) {
        let own_epoch = self.leader_epoch;
        let is_own = |leader_epoch: LeaderEpoch| leader_epoch == own_epoch;
        let backoff_until_ms = now_ms.saturating_add(self.settings.lag_ms_max);
        let Role::Leader(leader) = &mut self.role else { return };
        match answer {
            InSyncAnswer::Committed { leader_epoch, partition_epoch, in_sync } if is_own(*leader_epoch) => {
                if leader.in_sync.commit(NodeSet::new(in_sync.iter().copied()), *partition_epoch) {
                    self.partition_epoch = *partition_epoch;
                    self.advance_high_watermark(effects);
                }
            }
            InSyncAnswer::Ineligible { leader_epoch, partition_epoch }
                if is_own(*leader_epoch) && *partition_epoch == leader.in_sync.partition_epoch() =>
            {
                let entering = leader.in_sync.proposed().cloned().unwrap_or_default();
                for replica in leader.replicas.iter_mut().filter(|replica| entering.contains(replica.node)) {
                    if !leader.in_sync.committed().contains(replica.node) {
                        replica.not_before_ms = backoff_until_ms;
                    }
                }
                if leader.in_sync.retract() {
                    self.propose(now_ms, effects);
                }
            }
            InSyncAnswer::Committed { .. } | InSyncAnswer::Ineligible { .. } | InSyncAnswer::Stale => {}
        }
    }
}
