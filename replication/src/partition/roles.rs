//! Metadata becomes a role: leader, follower, or none.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::effect::{Effect, ProduceOutcome};
use super::{Assignment, Partition, Role};
use crate::planted;

impl Partition {
    /// Obeys metadata, or leaves it alone where it is old.
    pub(super) fn assign(&mut self, now_ms: i64, assignment: Box<Assignment>, effects: &mut Vec<Effect>) {
        assignment.check();
        if assignment.registered > Some(self.node_epoch) {
            // Another process is this node now: this one speaks for nobody.
            self.resign(ProduceOutcome::NotLeader, effects);
            return;
        }
        if assignment.registered != Some(self.node_epoch) && !planted::is("stale-metadata-obeyed") {
            return;
        }
        if self.is_truncating {
            self.postpone(assignment, effects);
            return;
        }
        if assignment.partition_epoch < self.partition_epoch {
            return;
        }
        // Older metadata was left alone above: whoever decided this counts back.
        assert!(
            assignment.leader_epoch >= self.leader_epoch,
            "leader epoch went back from {} to {}",
            self.leader_epoch,
            assignment.leader_epoch
        );
        let is_same_leadership = assignment.leader_epoch == self.leader_epoch;
        self.partition_epoch = assignment.partition_epoch;
        if !assignment.has_replica(self.node) {
            self.leader_epoch = assignment.leader_epoch;
            self.resign(ProduceOutcome::NotLeader, effects);
            return;
        }
        let leads = assignment.leader == Some(self.node);
        match &self.role {
            Role::Leader(_) if is_same_leadership => {
                assert!(leads, "epoch {} has two leaders", self.leader_epoch);
                self.keep_leading(now_ms, &assignment, effects);
            }
            Role::Follower(_) if is_same_leadership => {
                assert!(!leads, "epoch {} has two leaders", self.leader_epoch)
            }
            Role::Leader(_) | Role::Follower(_) | Role::Outside => {
                self.resign(ProduceOutcome::NotLeader, effects);
                self.leader_epoch = assignment.leader_epoch;
                if leads {
                    self.lead(now_ms, &assignment, effects);
                } else {
                    self.follow(now_ms, &assignment, effects);
                }
            }
        }
    }

    /// The log is being cut: the newest metadata waits until that is done.
    fn postpone(&mut self, assignment: Box<Assignment>, effects: &mut Vec<Effect>) {
        if self.partition_epoch > assignment.partition_epoch {
            return;
        }
        if assignment.leader_epoch > self.leader_epoch {
            self.resign(ProduceOutcome::NotLeader, effects);
        }
        if self.postponed.as_ref().is_none_or(|waiting| waiting.partition_epoch <= assignment.partition_epoch)
        {
            self.postponed = Some(assignment);
        }
    }

    /// Neither leads nor follows any more. Whoever waits is told to look elsewhere.
    pub(super) fn resign(&mut self, outcome: ProduceOutcome, effects: &mut Vec<Effect>) {
        if let Role::Leader(leader) = &mut self.role {
            leader.answer_all(outcome, effects);
            effects.push(Effect::Resigned);
        }
        self.role = Role::Outside;
    }
}
