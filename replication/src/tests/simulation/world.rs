//! The world of one seed: who lives in it, and the order in which things happen.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::client::Client;
use super::controller::Controller;
use super::history::History;
use super::log::Record;
use super::message::{Address, Message};
use super::network::Network;
use super::node::{self, LogChange, Node};
use super::plan::Plan;
use super::random::Random;
use super::story::{self, Post};
use super::trace::{self, Trace};
use super::wire;
use crate::{Acks, AnsweredFetch, Effect, NodeId};

/// One thing that happens at a time.
#[derive(Debug)]
pub(super) enum Happening {
    Delivery {
        to: Address,
        message: Message,
    },
    NodeTick {
        node: usize,
        process: u32,
    },
    Written {
        node: usize,
        process: u32,
        partition: usize,
        up_to: i64,
        cuts: u32,
    },
    Flushed {
        node: usize,
        process: u32,
        partition: usize,
        up_to: i64,
        cuts: u32,
    },
    LogChanged {
        node: usize,
        process: u32,
        partition: usize,
        change: LogChange,
        cuts: u32,
    },
    /// An answer that had no room before.
    Again {
        node: usize,
        process: u32,
        message: Message,
    },
    ControllerTick,
    ClientTick {
        client: usize,
    },
    ConsumerTick {
        partition: usize,
    },
    Fault,
    MoveLeader {
        partition: usize,
    },
    DiskLoss {
        node: usize,
    },
    Start {
        node: usize,
    },
}

/// Everything.
pub(super) struct World {
    pub(super) now_ms: i64,
    pub(super) random: Random,
    pub(super) plan: Plan,
    pub(super) nodes: Vec<Node>,
    pub(super) controller: Controller,
    pub(super) clients: Vec<Client>,
    pub(super) network: Network,
    pub(super) histories: Vec<History>,
    /// By partition: where the consumer reads next.
    pub(super) consumed: Vec<i64>,
    /// Nodes whose disk lost something and that are not yet in sync everywhere again.
    pub(super) being_repaired: Vec<usize>,
    pub(super) is_calm: bool,
    /// The answer that is being looked at.
    pub(super) answer: Option<(AnsweredFetch, Vec<Record>)>,
    /// A buffer that is used again.
    pub(super) effects: Vec<Effect>,
    queue: BinaryHeap<Reverse<(i64, u64, usize)>>,
    happenings: Vec<Option<Happening>>,
    free: Vec<usize>,
    sequence: u64,
    /// Of everything that happened.
    pub(super) hash: u64,
    pub(super) events: u64,
    trace: Trace,
    /// In a story: messages on their way.
    pub(super) post: Option<Post>,
}

impl World {
    pub(super) fn new(seed: u64, traced: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let clients = (0..plan.clients).map(|client| {
            if client >= plan.partitions && random.permille(300) { Acks::Leader } else { Acks::All }
        });
        let clients: Vec<Acks> = clients.collect();
        let trace = if traced { Trace::Printed } else { Trace::Off };
        let mut world = Self::build(plan, random, &clients, trace);
        world.hash = seed;
        world.note(|world| format!("{:?}", world.plan));
        world.begin();
        world
    }

    /// A world in which nothing happens by itself.
    pub(super) fn story(plan: Plan, random: Random) -> Self {
        let clients: Vec<Acks> = (0..plan.clients).map(story::acks).collect();
        let mut world = Self::build(plan, random, &clients, Trace::Kept(RefCell::default()));
        world.post = Some(Post::default());
        world
    }

    fn build(plan: Plan, random: Random, clients: &[Acks], trace: Trace) -> Self {
        let ids: Vec<NodeId> = (0..plan.nodes).map(node::id).collect();
        let replicas = (0..plan.partitions).map(|partition| {
            (0..plan.replicas).map(|replica| ids[(partition + replica) % plan.nodes]).collect()
        });
        let min_in_sync = usize::try_from(plan.min_in_sync).expect("few");
        let (replicas, is_real) = (replicas.collect(), plan.has_real_controller);
        let controller = Controller::new(&ids, replicas, min_in_sync, plan.session_ms, is_real);
        let clients = clients.iter().enumerate();
        let clients =
            clients.map(|(client, acks)| Client::new(client % plan.partitions, *acks, plan.in_flight_max));
        let clients = clients.collect();
        let addresses = plan.nodes + 1 + plan.clients;
        Self {
            now_ms: 0,
            random,
            nodes: (0..plan.nodes).map(|_| Node::new(plan.partitions, plan.clients)).collect(),
            controller,
            clients,
            network: Network::new(addresses, plan.weather),
            histories: (0..plan.partitions).map(|_| History::default()).collect(),
            consumed: vec![0; plan.partitions],
            being_repaired: Vec::new(),
            is_calm: false,
            answer: None,
            effects: Vec::new(),
            queue: BinaryHeap::new(),
            happenings: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            hash: 0,
            events: 0,
            trace,
            post: None,
            plan,
        }
    }

    fn begin(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
        for client in 0..self.clients.len() {
            self.after(20, Happening::ClientTick { client });
        }
        for partition in 0..self.histories.len() {
            self.after(30, Happening::ConsumerTick { partition });
        }
        self.after(5, Happening::ControllerTick);
        self.after(200, Happening::Fault);
    }

    /// A line of the trace.
    pub(super) fn note(&self, line: impl FnOnce(&Self) -> String) {
        self.trace.note(self.now_ms, || line(self));
    }

    /// The lines since the last call, in a story.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        match &self.trace {
            Trace::Kept(lines) => lines.take(),
            Trace::Off | Trace::Printed => Vec::new(),
        }
    }

    pub(super) fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }

    pub(super) fn controller_address(&self) -> Address {
        self.nodes.len()
    }

    pub(super) fn client_address(&self, client: usize) -> Address {
        self.nodes.len() + 1 + client
    }

    pub(super) fn after(&mut self, wait_ms: i64, happening: Happening) {
        self.sequence += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.happenings.push(None);
            self.happenings.len() - 1
        });
        self.happenings[slot] = Some(happening);
        self.queue.push(Reverse((self.now_ms + wait_ms, self.sequence, slot)));
    }

    pub(super) fn send(&mut self, from: Address, to: Address, message: Message) {
        if self.post.is_some() {
            self.post(from, to, message);
            return;
        }
        let message = if self.plan.is_encoded { wire::carried(message) } else { message };
        let [first, second] = self.network.fate(&mut self.random, self.now_ms, from, to);
        if let Some(wait_ms) = second {
            self.after(wait_ms, Happening::Delivery { to, message: message.clone() });
        }
        if let Some(wait_ms) = first {
            self.after(wait_ms, Happening::Delivery { to, message });
        }
    }

    /// Lets things happen until a time.
    pub(super) fn run_until(&mut self, end_ms: i64) {
        while let Some(&Reverse((at_ms, sequence, slot))) = self.queue.peek()
            && at_ms <= end_ms
        {
            self.queue.pop();
            self.now_ms = at_ms;
            let happening = self.happenings[slot].take().expect("it is to happen");
            self.free.push(slot);
            self.events += 1;
            self.mix(at_ms.unsigned_abs() ^ (sequence << 20));
            self.happen(happening);
        }
        self.now_ms = end_ms;
    }

    fn happen(&mut self, happening: Happening) {
        let happening = match self.of_process(happening) {
            Some(happening) => happening,
            None => return,
        };
        match happening {
            Happening::Delivery { to, message } => self.deliver(to, message),
            Happening::NodeTick { node, .. } => self.node_tick(node),
            Happening::Written { node, partition, up_to, cuts, .. } => {
                self.written(node, partition, up_to, cuts)
            }
            Happening::Flushed { node, partition, up_to, cuts, .. } => {
                self.flushed(node, partition, up_to, cuts)
            }
            Happening::LogChanged { node, partition, change, cuts, .. } => {
                self.log_changed(node, partition, change, cuts);
            }
            Happening::Again { node, message, .. } => self.node_receives(node, message),
            Happening::ControllerTick => self.controller_tick(),
            Happening::ClientTick { client } => self.client_tick(client),
            Happening::ConsumerTick { partition } => self.consumer_tick(partition),
            Happening::Fault => self.fault(),
            Happening::MoveLeader { partition } => self.move_leader(partition),
            Happening::DiskLoss { node } => self.lose_disk(node),
            Happening::Start { node } => {
                if !self.nodes[node].is_up {
                    self.start(node);
                }
            }
        }
    }

    /// What concerns a process that is gone does not happen; what concerns one that is paused happens later.
    fn of_process(&mut self, happening: Happening) -> Option<Happening> {
        let (node, process) = match &happening {
            Happening::Delivery { to, .. } if *to < self.nodes.len() => (*to, None),
            Happening::NodeTick { node, process }
            | Happening::Written { node, process, .. }
            | Happening::Flushed { node, process, .. }
            | Happening::LogChanged { node, process, .. }
            | Happening::Again { node, process, .. } => (*node, Some(*process)),
            _ => return Some(happening),
        };
        let state = &self.nodes[node];
        if !state.is_up || process.is_some_and(|process| process != state.process) {
            return None;
        }
        let wait_ms = state.paused_until_ms - self.now_ms;
        if wait_ms > 0 {
            self.after(wait_ms, happening);
            return None;
        }
        Some(happening)
    }

    fn deliver(&mut self, to: Address, message: Message) {
        if to < self.nodes.len() {
            self.note(|_| format!("n{} gets {}", to + 1, trace::message(&message)));
        } else if to == self.controller_address() {
            self.note(|_| format!("controller gets {}", trace::message(&message)));
        }
        self.arrive(to, message);
    }

    pub(super) fn arrive(&mut self, to: Address, message: Message) {
        if to < self.nodes.len() {
            self.node_receives(to, message);
        } else if to == self.controller_address() {
            self.controller_receives(message);
        } else if let Message::Produced { request, outcome } = message {
            self.client_receives(request.client, request, outcome);
        }
    }

    fn controller_receives(&mut self, message: Message) {
        let from = self.controller_address();
        match message {
            Message::Register { node, process, lost } => {
                if let Some(node_epoch) = self.controller.register(self.now_ms, node, process, lost) {
                    self.send(from, node::index(node), Message::Registered { process, node_epoch });
                    self.tell_everything(node);
                }
            }
            Message::Heartbeat { node, node_epoch } => {
                self.controller.heartbeat(self.now_ms, node, node_epoch)
            }
            Message::Propose { partition, from: leader, proposal } => {
                let answer = self.controller.propose(partition, leader, &proposal);
                self.note_repairs();
                self.send(from, node::index(leader), Message::Proposed { partition, answer });
            }
            other => panic!("not for a controller: {other:?}"),
        }
        self.tell_changes();
    }

    fn controller_tick(&mut self) {
        self.controller.tick(self.now_ms);
        self.tell_changes();
        // Who missed something is told again.
        if self.random.permille(300) {
            let node = node::id(self.random.below(self.nodes.len()));
            self.tell_everything(node);
        }
        self.after(25, Happening::ControllerTick);
    }

    pub(super) fn tell_changes(&mut self) {
        for partition in std::mem::take(&mut self.controller.changed) {
            self.check_candidates(partition);
            for node in 0..self.nodes.len() {
                self.tell(node::id(node), partition);
            }
        }
    }

    fn tell_everything(&mut self, node: NodeId) {
        for partition in 0..self.histories.len() {
            self.tell(node, partition);
        }
    }

    fn tell(&mut self, node: NodeId, partition: usize) {
        let assignment = Box::new(self.controller.assignment(partition, node));
        self.send(self.controller_address(), node::index(node), Message::Metadata { partition, assignment });
    }
}
