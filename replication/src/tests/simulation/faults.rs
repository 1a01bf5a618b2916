//! What goes wrong, and the bookkeeping that keeps it within what is promised.
//!
//! The promise is that one disk may be lost. So another one is destroyed only after the node of the last one is in sync
//! everywhere again: then a record that is lost is a defect. With [`CommitRule::Written`] a power cut destroys what was
//! not flushed, and counts as the loss of a disk.

use super::node;
use super::plan::Fault;
use super::world::{Happening, World};
use crate::{Acks, CommitRule, InSyncMember, InSyncProposal};

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    Kill,
    Power,
    Disk,
}

impl World {
    pub(super) fn fault(&mut self) {
        if self.is_calm {
            return;
        }
        if !self.plan.faults.is_empty() {
            let fault = *self.random.of(&self.plan.faults.clone());
            self.note(|_| format!("fault: {fault:?}"));
            self.inject(fault);
        }
        if self.random.permille(300) {
            self.network.heal();
        }
        let wait_ms = self.random.between(10, self.plan.fault_ms_max);
        self.after(wait_ms, Happening::Fault);
    }

    fn inject(&mut self, fault: Fault) {
        let partition = self.random.below(self.histories.len());
        let node = self.victim(partition);
        match fault {
            Fault::Kill => self.crash(node, Crash::Kill),
            Fault::KillAll => (0..self.nodes.len()).for_each(|node| self.crash(node, Crash::Kill)),
            Fault::PowerOne => self.cut_power(node),
            Fault::PowerAll => {
                if self.plan.commit_rule == CommitRule::Flushed {
                    (0..self.nodes.len()).for_each(|node| self.crash(node, Crash::Power));
                }
            }
            Fault::DiskLoss => self.lose_disk(node),
            Fault::Isolate | Fault::OneWay => {
                let both = fault == Fault::Isolate;
                for other in 0..self.network.addresses() {
                    self.network.cut(node, other);
                    if both {
                        self.network.cut(other, node);
                    }
                }
            }
            Fault::Clog => {
                let until_ms = self.now_ms + self.random.between(30, 500);
                let from = self.random.below(self.nodes.len());
                self.network.clog(from, node, until_ms);
                if self.random.permille(300) {
                    self.network.clog(self.controller_address(), from, until_ms);
                }
            }
            Fault::CutFromController => {
                let controller = self.controller_address();
                match self.random.below(3) {
                    0 => self.network.cut(node, controller),
                    1 => self.network.cut(controller, node),
                    _ => {
                        let other = self.random.below(self.nodes.len());
                        self.network.cut(node, other);
                    }
                }
            }
            Fault::Pause => {
                self.nodes[node].paused_until_ms = self.now_ms + self.random.between(20, 900);
            }
            Fault::SlowDisk => {
                self.nodes[node].slow_until_ms = self.now_ms + self.random.between(100, 1000);
            }
            Fault::MoveLeader => self.move_leader(partition),
            Fault::MoveLeaderOften => {
                for _ in 0..self.random.between(2, 5) {
                    let wait_ms = self.random.between(0, 120);
                    self.after(wait_ms, Happening::MoveLeader { partition });
                }
            }
            Fault::Reassign => self.reassign(partition),
            Fault::DeleteRecords => self.delete_records(partition),
        }
    }

    /// Whom a fault meets: often the leader, or a replica that is about to enter the in-sync set.
    fn victim(&mut self, partition: usize) -> usize {
        let state = &self.controller.partitions[partition];
        let leader = state.leader.map(node::index);
        let entering = leader.and_then(|leader| {
            let proposal = self.nodes[leader].machines[partition].as_ref()?.proposal()?;
            let enters = |member: &&InSyncMember| !state.in_sync.contains(&member.node);
            proposal.in_sync.iter().find(enters).map(|member| node::index(member.node))
        });
        match (self.random.below(4), leader, entering) {
            (0 | 1, _, Some(entering)) => entering,
            (0 | 2, Some(leader), _) => leader,
            _ => self.random.below(self.nodes.len()),
        }
    }

    /// The moment that matters most: a replica is proposed, and its process or disk ends before the controller knows.
    pub(super) fn harm_who_enters(&mut self, partition: usize, proposal: &InSyncProposal) {
        if self.is_calm || !self.random.permille(self.plan.harm_permille) {
            return;
        }
        let in_sync = &self.controller.partitions[partition].in_sync;
        let entering = proposal.in_sync.iter().find(|member| !in_sync.contains(&member.node));
        let Some(entering) = entering.map(|member| node::index(member.node)) else { return };
        if self.plan.faults.contains(&Fault::DiskLoss) {
            self.after(0, Happening::DiskLoss { node: entering });
        }
    }

    pub(super) fn move_leader(&mut self, partition: usize) {
        let replicas = self.controller.partitions[partition].replicas.clone();
        let to = *self.random.of(&replicas);
        self.controller.move_leader(partition, to);
        self.tell_changes();
    }

    fn reassign(&mut self, partition: usize) {
        let first = self.random.below(self.nodes.len());
        let target = (0..self.plan.replicas).map(|replica| node::id((first + replica) % self.nodes.len()));
        self.controller.reassign(partition, target.collect());
        self.tell_changes();
        self.note_repairs();
    }

    /// A client deletes records that are old for everybody: no producer asks for them again.
    fn delete_records(&mut self, partition: usize) {
        let producers =
            self.clients.iter().filter(|client| client.partition == partition && client.acks == Acks::All);
        let old = producers.map(|client| client.newest_acknowledged.unwrap_or(0)).min().unwrap_or(0);
        for node in 0..self.nodes.len() {
            let state = &self.nodes[node];
            let Some(machine) = &state.machines[partition] else { continue };
            let to = old.min(machine.high_watermark().value());
            if machine.is_leading()
                && state.paused_until_ms <= self.now_ms
                && to > state.logs[partition].start
            {
                self.histories[partition].log_start = self.histories[partition].log_start.max(to);
                self.change_log(node, partition, super::node::LogChange::AdvanceStart(to));
            }
        }
    }

    fn cut_power(&mut self, node: usize) {
        let is_kept = self.plan.commit_rule == CommitRule::Flushed;
        if is_kept || self.may_lose(node) {
            self.crash(node, Crash::Power);
        }
    }

    pub(super) fn lose_disk(&mut self, node: usize) {
        if self.may_lose(node) && !self.is_calm {
            self.crash(node, Crash::Disk);
        }
    }

    /// Whether the promise allows that this node's disk loses something.
    fn may_lose(&self, node: usize) -> bool {
        self.being_repaired.iter().all(|other| *other == node)
    }

    fn crash(&mut self, node: usize, crash: Crash) {
        let kept = self.random.between(0, 1000);
        let longest_ms = *self.random.of(&[20, 600]);
        let wait_ms = self.random.between(5, longest_ms);
        let is_up = self.nodes[node].is_up;
        if !is_up && crash != Crash::Disk {
            return;
        }
        self.note(|_| format!("n{}: {crash:?}", node + 1));
        let clients = self.clients.len();
        let loses =
            crash == Crash::Disk || (crash == Crash::Power && self.plan.commit_rule == CommitRule::Written);
        let state = &mut self.nodes[node];
        state.stop();
        for (log, lost_up_to) in state.logs.iter_mut().zip(&mut state.lost_up_to) {
            if loses {
                *lost_up_to = (*lost_up_to).max(log.written);
            }
            match crash {
                Crash::Kill => log.crash(false, kept),
                Crash::Power => log.crash(true, kept),
                Crash::Disk => *log = super::log::Log::new(clients),
            }
        }
        if loses {
            state.lost = true;
            if !self.being_repaired.contains(&node) {
                self.being_repaired.push(node);
            }
        }
        if is_up {
            self.after(wait_ms, Happening::Start { node });
        }
    }

    /// Nodes that are in sync everywhere again have everything that is committed.
    pub(super) fn note_repairs(&mut self) {
        let (nodes, controller) = (&self.nodes, &self.controller);
        self.being_repaired.retain(|node| {
            let replica = node::id(*node);
            let is_whole = controller
                .partitions
                .iter()
                .all(|state| !state.replicas.contains(&replica) || state.in_sync.contains(&replica));
            nodes[*node].lost || !is_whole
        });
    }

    /// The faults end: everybody lives, nothing is lost any more.
    pub(super) fn calm(&mut self) {
        self.note(|_| "calm".to_owned());
        self.is_calm = true;
        self.network.heal();
        self.network.weather.loss_permille = 0;
        self.network.weather.duplicate_permille = 0;
        self.network.weather.straggler_permille = 0;
        // Whoever is far behind catches up in the time that there is.
        self.plan.fetch_records_max = 20;
        for node in 0..self.nodes.len() {
            let state = &mut self.nodes[node];
            state.slow_until_ms = 0;
            state.paused_until_ms = state.paused_until_ms.min(self.now_ms);
            if !state.is_up {
                self.start(node);
            }
        }
        for client in &mut self.clients {
            client.acknowledged = 0;
        }
    }
}
