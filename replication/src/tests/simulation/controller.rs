//! A controller whose own log never fails: registrations, fencing, elections, in-sync sets, eligible leader replicas,
//! reassignment. Everything that reaches it or leaves it goes over the network.
//!
//! It is the real one ([`super::real_controller`]). A model of one stands here, as short as its rules can be said: for stories,
//! and for the defects that are planted in a controller.

use std::collections::BTreeMap;

use ringmain_storage::LeaderEpoch;

use super::real_controller::RealController;
use crate::{
    AssignedReplica, Assignment, InSyncAnswer, InSyncProposal, NodeEpoch, NodeId, PartitionEpoch, planted,
};

/// A node as the controller knows it.
#[derive(Debug, Clone, Default)]
struct Registration {
    node_epoch: Option<NodeEpoch>,
    process: u32,
    is_alive: bool,
    heard_ms: i64,
}

/// A partition.
#[derive(Debug, Clone)]
pub(super) struct PartitionState {
    pub(super) replicas: Vec<NodeId>,
    /// Where a reassignment goes.
    pub(super) target: Option<Vec<NodeId>>,
    pub(super) in_sync: Vec<NodeId>,
    /// Not in sync, but with all that is committed (KIP-966).
    pub(super) eligible: Vec<NodeId>,
    pub(super) leader: Option<NodeId>,
    pub(super) leader_epoch: i32,
    pub(super) partition_epoch: i32,
}

/// What is broken in the model.
const DEFECTS_OF_THE_MODEL: [&str; 4] =
    ["lost-disk-keeps-its-place", "last-replica-standing", "unclean-election", "older-process-joins"];

/// Broken in the leader. The real controller hides them in all but very few seeds: it registers nobody whose former process
/// may be alive, and so refuses less than the model.
const DEFECTS_THAT_IT_HIDES: [&str; 3] =
    ["older-process-counts", "newer-process-takes-the-place", "refused-expansion-forgotten"];

/// Whether a defect is planted that only the model can have, or only shows with it.
pub(super) fn shows_with_the_model() -> bool {
    DEFECTS_OF_THE_MODEL.into_iter().chain(DEFECTS_THAT_IT_HIDES).any(planted::is)
}

/// The controller.
#[derive(Debug)]
pub(super) struct Controller {
    /// Who decides, if it is not the model.
    real: Option<RealController>,
    nodes: BTreeMap<NodeId, Registration>,
    pub(super) partitions: Vec<PartitionState>,
    min_in_sync: usize,
    session_ms: i64,
    next_node_epoch: i64,
    /// Partitions that changed since they were last told.
    pub(super) changed: Vec<usize>,
    pub(super) elections: u64,
}

impl Controller {
    pub(super) fn new(
        nodes: &[NodeId],
        replicas: Vec<Vec<NodeId>>,
        min_in_sync: usize,
        session_ms: i64,
        is_real: bool,
    ) -> Self {
        let partition = |replicas: Vec<NodeId>| PartitionState {
            in_sync: replicas.clone(),
            replicas,
            target: None,
            eligible: Vec::new(),
            leader: None,
            leader_epoch: 0,
            partition_epoch: 0,
        };
        let real = is_real.then(|| RealController::new(nodes, &replicas, min_in_sync, session_ms));
        Self {
            real,
            nodes: nodes.iter().map(|node| (*node, Registration::default())).collect(),
            partitions: replicas.into_iter().map(partition).collect(),
            min_in_sync,
            session_ms,
            next_node_epoch: 1,
            changed: Vec::new(),
            elections: 0,
        }
    }

    /// Asks the real one, and takes note of what it changed.
    fn ask<T>(&mut self, ask: impl FnOnce(&mut RealController) -> T) -> T {
        let real = self.real.as_mut().expect("there is a real one");
        let before = real.version();
        let answer = ask(real);
        if real.version() > before {
            for (index, partition) in self.partitions.iter_mut().enumerate() {
                let after = real.partition(index);
                self.elections += u64::from(after.leader_epoch > partition.leader_epoch);
                *partition = after;
                if !self.changed.contains(&index) {
                    self.changed.push(index);
                }
            }
        }
        answer
    }

    /// A process says that it is the node now; `lost`: not with all that the node once flushed.
    pub(super) fn register(
        &mut self,
        now_ms: i64,
        node: NodeId,
        process: u32,
        lost: bool,
    ) -> Option<NodeEpoch> {
        if self.real.is_some() {
            return self.ask(|real| real.register(now_ms, node, process, lost));
        }
        let known = self.nodes.get_mut(&node).expect("a node");
        if process < known.process {
            return None;
        }
        if process == known.process {
            return known.node_epoch;
        }
        let node_epoch = NodeEpoch(self.next_node_epoch);
        self.next_node_epoch += 1;
        *known = Registration { node_epoch: Some(node_epoch), process, is_alive: true, heard_ms: now_ms };
        for index in 0..self.partitions.len() {
            if !self.partitions[index].replicas.contains(&node) {
                continue;
            }
            self.update(index, |controller| {
                if lost && !planted::is("lost-disk-keeps-its-place") {
                    controller.leaves(index, node, true);
                }
                let partition = &mut controller.partitions[index];
                if partition.leader == Some(node) {
                    // What it led before, it led with another log.
                    partition.leader = None;
                }
                controller.elect(index);
            });
        }
        Some(node_epoch)
    }

    pub(super) fn heartbeat(&mut self, now_ms: i64, node: NodeId, node_epoch: NodeEpoch) {
        if self.real.is_some() {
            return self.ask(|real| real.heartbeat(now_ms, node, node_epoch));
        }
        let known = self.nodes.get_mut(&node).expect("a node");
        if known.node_epoch != Some(node_epoch) {
            return;
        }
        known.heard_ms = now_ms;
        if !std::mem::replace(&mut known.is_alive, true) {
            for index in 0..self.partitions.len() {
                self.update(index, |controller| controller.elect(index));
            }
        }
    }

    /// Fences who is silent.
    pub(super) fn tick(&mut self, now_ms: i64) {
        if self.real.is_some() {
            return self.ask(|real| real.fence_silent(now_ms));
        }
        let session_ms = self.session_ms;
        let is_silent = |known: &Registration| known.is_alive && now_ms - known.heard_ms > session_ms;
        let silent: Vec<NodeId> =
            self.nodes.iter().filter(|(_, known)| is_silent(known)).map(|(node, _)| *node).collect();
        silent.into_iter().for_each(|node| self.fence(node));
    }

    /// The node leads nothing and is in sync nowhere, until it is heard again.
    pub(super) fn fence(&mut self, node: NodeId) {
        if self.real.is_some() {
            return self.ask(|real| real.fence(node));
        }
        self.nodes.get_mut(&node).expect("a node").is_alive = false;
        for index in 0..self.partitions.len() {
            self.update(index, |controller| {
                controller.leaves(index, node, false);
                controller.elect(index);
            });
        }
    }

    /// A change of a partition; everybody is told, with a higher partition epoch if there is more to tell than who lives.
    fn update(&mut self, index: usize, change: impl FnOnce(&mut Self)) {
        let before = self.partitions[index].clone();
        change(self);
        let after = &mut self.partitions[index];
        let is_new_leadership = before.leader != after.leader || before.leader_epoch != after.leader_epoch;
        let is_changed =
            is_new_leadership || before.in_sync != after.in_sync || before.replicas != after.replicas;
        after.partition_epoch += i32::from(is_changed || before.eligible != after.eligible);
        if !self.changed.contains(&index) {
            self.changed.push(index);
        }
    }

    /// A node leaves the in-sync set; it stays eligible while the set is too small, unless its log lost something.
    fn leaves(&mut self, index: usize, node: NodeId, lost: bool) {
        let partition = &mut self.partitions[index];
        let stays = |other: &NodeId| *other != node;
        let in_sync: Vec<NodeId> = partition.in_sync.iter().copied().filter(stays).collect();
        if planted::is("last-replica-standing") && in_sync.is_empty() {
            return;
        }
        if lost {
            partition.eligible.retain(stays);
            partition.in_sync.retain(stays);
        }
        self.set_in_sync(index, in_sync);
    }

    fn set_in_sync(&mut self, index: usize, in_sync: Vec<NodeId>) {
        let partition = &mut self.partitions[index];
        let before = std::mem::replace(&mut partition.in_sync, in_sync);
        let mut eligible: Vec<NodeId> = before.into_iter().chain(partition.eligible.drain(..)).collect();
        eligible.sort_unstable();
        eligible.dedup();
        let is_enough = partition.in_sync.len() >= self.min_in_sync.min(partition.replicas.len());
        eligible.retain(|node| {
            !is_enough && !partition.in_sync.contains(node) && partition.replicas.contains(node)
        });
        if !planted::is("last-replica-standing") {
            partition.eligible = eligible;
        }
    }

    /// A leader, if there is none that lives: from the in-sync set, then from those who have all that is committed.
    fn elect(&mut self, index: usize) {
        let alive = |nodes: &[NodeId], replicas: &[NodeId]| {
            replicas.iter().copied().find(|node| nodes.contains(node) && self.nodes[node].is_alive)
        };
        let partition = &self.partitions[index];
        if let Some(leader) = partition.leader
            && self.nodes[&leader].is_alive
            && partition.in_sync.contains(&leader)
        {
            return;
        }
        let in_sync = alive(&partition.in_sync, &partition.replicas);
        let mut leader = in_sync.or_else(|| alive(&partition.eligible, &partition.replicas));
        if leader.is_none() && planted::is("unclean-election") {
            leader = alive(&partition.replicas, &partition.replicas);
        }
        if leader == partition.leader {
            return;
        }
        if let Some(leader) = leader.filter(|_| in_sync.is_none()) {
            self.set_in_sync(index, vec![leader]);
        }
        self.set_leader(index, leader);
    }

    fn set_leader(&mut self, index: usize, leader: Option<NodeId>) {
        let partition = &mut self.partitions[index];
        partition.leader = leader;
        partition.leader_epoch += 1;
        self.elections += 1;
    }

    /// The preferred leader, or whom an operator wants.
    pub(super) fn move_leader(&mut self, index: usize, to: NodeId) {
        if self.real.is_some() {
            return self.ask(|real| real.move_leader(index, to));
        }
        let partition = &self.partitions[index];
        if partition.leader != Some(to) && partition.in_sync.contains(&to) && self.nodes[&to].is_alive {
            self.update(index, |controller| controller.set_leader(index, Some(to)));
        }
    }

    pub(super) fn reassign(&mut self, index: usize, target: Vec<NodeId>) {
        if self.real.is_some() {
            return self.ask(|real| real.reassign(index, &target));
        }
        if self.partitions[index].target.is_some() {
            return;
        }
        self.update(index, |controller| {
            let partition = &mut controller.partitions[index];
            let adding = target.iter().copied().filter(|node| !partition.replicas.contains(node));
            let adding: Vec<NodeId> = adding.collect();
            partition.replicas.extend(adding);
            partition.target = Some(target);
            controller.finish_reassignment(index);
        });
    }

    fn finish_reassignment(&mut self, index: usize) {
        let partition = &mut self.partitions[index];
        let Some(target) = partition.target.clone() else { return };
        if !target.iter().all(|node| partition.in_sync.contains(node)) {
            return;
        }
        partition.target = None;
        partition.in_sync.retain(|node| target.contains(node));
        partition.eligible.retain(|node| target.contains(node));
        partition.replicas = target;
        self.elect(index);
    }

    /// A leader proposes another in-sync set.
    pub(super) fn propose(&mut self, index: usize, from: NodeId, proposal: &InSyncProposal) -> InSyncAnswer {
        if self.real.is_some() {
            return self.ask(|real| real.propose(index, from, proposal));
        }
        let partition = &self.partitions[index];
        let (leader_epoch, partition_epoch) = (proposal.leader_epoch, proposal.partition_epoch);
        if partition.leader != Some(from)
            || leader_epoch.value() != partition.leader_epoch
            || partition_epoch.0 != partition.partition_epoch
        {
            return InSyncAnswer::Stale;
        }
        let entering = proposal.in_sync.iter().filter(|member| !partition.in_sync.contains(&member.node));
        let is_eligible = |node: NodeId, node_epoch: Option<NodeEpoch>| {
            let known = &self.nodes[&node];
            partition.replicas.contains(&node)
                && known.is_alive
                && (known.node_epoch == node_epoch || planted::is("older-process-joins"))
        };
        if !entering.into_iter().all(|member| is_eligible(member.node, member.node_epoch)) {
            return InSyncAnswer::Ineligible { leader_epoch, partition_epoch };
        }
        let in_sync: Vec<NodeId> = proposal.in_sync.iter().map(|member| member.node).collect();
        let before = partition_epoch.0;
        self.update(index, |controller| {
            controller.set_in_sync(index, in_sync);
            controller.finish_reassignment(index);
        });
        // Also where the set is the one that it was: copies of older proposals must not be accepted after this.
        self.partitions[index].partition_epoch = before + 1;
        let partition = &self.partitions[index];
        InSyncAnswer::Committed {
            leader_epoch: LeaderEpoch::new(partition.leader_epoch),
            partition_epoch: PartitionEpoch(partition.partition_epoch),
            in_sync: partition.in_sync.clone(),
        }
    }

    /// What a node is told.
    pub(super) fn assignment(&self, index: usize, told: NodeId) -> Assignment {
        if let Some(real) = &self.real {
            return real.assignment(index, told);
        }
        let partition = &self.partitions[index];
        let replica = |node: &NodeId| AssignedReplica {
            node: *node,
            node_epoch: self.nodes[node].node_epoch,
            is_eligible: self.nodes[node].is_alive,
        };
        Assignment {
            registered: self.nodes[&told].node_epoch,
            replicas: partition.replicas.iter().map(replica).collect(),
            leader: partition.leader,
            leader_epoch: LeaderEpoch::new(partition.leader_epoch),
            in_sync: partition.in_sync.clone(),
            partition_epoch: PartitionEpoch(partition.partition_epoch),
        }
    }
}
