//! The next state of one partition: what a change of its sets makes of its leader, its eligible replicas and its epochs.
//!
//! In steps: a reassignment whose replicas are all in sync completes; who left a set that is too small stays eligible;
//! somebody is elected; epochs rise. What must hold of the result is in `PartitionImage`.

use alloc::vec;
use alloc::vec::Vec;

use ringmain_storage::LeaderEpoch;

use crate::identity::{NodeId, PartitionEpoch};
use crate::partition_image::PartitionImage;
use crate::planted;

/// Whom to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Election {
    /// The preferred leader if it can lead; else as below.
    Preferred,
    /// The leader that there is, or else anybody who misses nothing that was acknowledged.
    Clean,
    /// As above, or else anybody who is alive.
    Unclean,
}

/// A change under way: set what is wanted in `after`, then [`PartitionChange::decide`].
#[derive(Debug)]
pub(super) struct PartitionChange<'a> {
    before: &'a PartitionImage,
    /// The sets as they are wanted.
    pub(super) after: PartitionImage,
    /// Whom to look for.
    pub(super) election: Election,
    /// Who came back without what it had.
    pub(super) lost: Option<NodeId>,
    configured_min_in_sync: usize,
}

impl<'a> PartitionChange<'a> {
    /// No change yet.
    pub(super) fn of(before: &'a PartitionImage, configured_min_in_sync: usize) -> Self {
        let after = before.clone();
        Self { before, after, election: Election::Clean, lost: None, configured_min_in_sync }
    }

    /// The next state, if it differs.
    pub(super) fn decide(mut self, may_lead: &dyn Fn(NodeId) -> bool) -> Option<PartitionImage> {
        self.complete_reassignment();
        self.keep_eligible();
        self.elect(may_lead);
        self.forget_eligible_when_not_needed();
        self.remember_last_leader();
        let (before, after) = (self.before, &mut self.after);
        if after == before {
            return None;
        }
        let loses_replica = before.replicas.iter().any(|node| !after.replicas.contains(node));
        if (after.leader != before.leader && !planted::is("same_leader_epoch")) || loses_replica {
            after.leader_epoch = LeaderEpoch::new(before.leader_epoch.value() + 1);
        }
        after.partition_epoch = PartitionEpoch(before.partition_epoch.0 + 1);
        Some(self.after)
    }

    /// Every replica that stays is in sync: those that go are gone.
    fn complete_reassignment(&mut self) {
        let after = &mut self.after;
        if !after.is_reassigning() {
            return;
        }
        let stays = |node: &NodeId| !after.removing.contains(node);
        let replicas: Vec<NodeId> = after.replicas.iter().copied().filter(stays).collect();
        let in_sync: Vec<NodeId> = after.in_sync.iter().copied().filter(stays).collect();
        let complete = if planted::is("reassignment_completes_early") {
            !in_sync.is_empty()
        } else {
            replicas.iter().all(|node| in_sync.contains(node))
        };
        if replicas.is_empty() || in_sync.is_empty() || !complete {
            return;
        }
        after.replicas = replicas;
        after.in_sync = in_sync;
        after.adding.clear();
        after.removing.clear();
    }

    fn min_in_sync(&self) -> usize {
        self.after.min_in_sync(self.configured_min_in_sync)
    }

    /// While the in-sync set is too small the high watermark stands still, so who leaves it misses nothing that was
    /// acknowledged.
    fn keep_eligible(&mut self) {
        let after = &self.after;
        let eligible = if after.in_sync.len() < self.min_in_sync() || planted::is("eligible_for_ever") {
            let had_all = |node: &NodeId| self.before.in_sync.contains(node) || after.eligible.contains(node);
            let is_lost = |node: &NodeId| self.lost == Some(*node) && !planted::is("lost_disk_is_eligible");
            let keeps = |node: &NodeId| had_all(node) && !after.in_sync.contains(node) && !is_lost(node);
            after.replicas.iter().copied().filter(keeps).collect()
        } else {
            Vec::new()
        };
        self.after.eligible = eligible;
    }

    fn elect(&mut self, may_lead: &dyn Fn(NodeId) -> bool) {
        let after = &self.after;
        let misses_nothing = |node: NodeId| {
            after.in_sync.contains(&node) || (after.in_sync.is_empty() && after.eligible.contains(&node))
        };
        let can_lead = |node: &NodeId| misses_nothing(*node) && may_lead(*node);
        let preferred = after.preferred_leader().filter(|_| self.election == Election::Preferred);
        let in_order = preferred.into_iter().chain(self.before.leader).chain(after.replicas.iter().copied());
        let clean = in_order.into_iter().find(can_lead);
        let unclean = || self.last_leader(may_lead).or_else(|| self.anybody(may_lead));
        if let Some(leader) = clean {
            self.after.leader = Some(leader);
            if !self.after.in_sync.contains(&leader) {
                self.after.in_sync = vec![leader];
                self.after.eligible.retain(|node| *node != leader);
            }
        } else if let Some(leader) = unclean() {
            self.after.leader = Some(leader);
            self.after.in_sync = vec![leader];
            self.after.eligible.clear();
            self.after.recovering = true;
        } else {
            self.after.leader = None;
        }
    }

    /// Nobody is left who misses nothing; the last leader misses least.
    fn last_leader(&self, may_lead: &dyn Fn(NodeId) -> bool) -> Option<NodeId> {
        if !self.after.in_sync.is_empty() || !self.after.eligible.is_empty() {
            return None;
        }
        let keeps_replica = |node: &NodeId| self.after.replicas.contains(node);
        self.before.last_known_leader.filter(keeps_replica).filter(|node| may_lead(*node))
    }

    fn anybody(&self, may_lead: &dyn Fn(NodeId) -> bool) -> Option<NodeId> {
        let asked = self.election == Election::Unclean || planted::is("unclean_unasked");
        self.after.replicas.iter().copied().find(|node| asked && may_lead(*node))
    }

    /// The new leader alone may be enough for the high watermark to move, and then it moves without the others.
    fn forget_eligible_when_not_needed(&mut self) {
        if self.after.in_sync.len() >= self.min_in_sync() && !planted::is("eligible_for_ever") {
            self.after.eligible.clear();
        }
    }

    fn remember_last_leader(&mut self) {
        let (before, after) = (self.before, &mut self.after);
        if after.leader.is_some() {
            after.last_known_leader = None;
        } else if after.in_sync.is_empty() && before.leader.is_some() {
            after.last_known_leader = before.leader;
        }
        // One that keeps no replica any more may get one again, and an empty one at that.
        after.last_known_leader = after.last_known_leader.filter(|node| after.replicas.contains(node));
        // What it had is gone. Where others keep a replica, theirs is more; an operator decides.
        let has_others = after.replicas.len() > 1;
        if after.last_known_leader.is_some() && after.last_known_leader == self.lost && has_others {
            after.last_known_leader = None;
        }
    }
}
