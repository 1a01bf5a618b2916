//! A node: carries out what its partitions want, on its disk and over the network.
//!
//! What must hold is what the partition's effects ask of any driver.

use std::collections::BTreeMap;

use ringmain_storage::{LeaderEpoch, Offset};

use super::log::{Log, Record, Sequence};
use super::message::{Message, ProduceRequest, Produced};
use super::trace;
use super::world::{Happening, World};
use crate::{
    Acks, AnsweredFetch, Effect, Event, FetchAnswer, FetchOutcome, Fetched, FollowerFetch, NodeEpoch, NodeId,
    Partition, ProduceOutcome, RequestToken, planted,
};

/// A node and its disk.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) is_up: bool,
    /// Counts its starts; what an earlier process waited for does not reach this one.
    pub(super) process: u32,
    pub(super) registered: Option<NodeEpoch>,
    pub(super) paused_until_ms: i64,
    /// Until then its disk takes many times as long.
    pub(super) slow_until_ms: i64,
    /// On the disk: the log lost something, and the controller has not yet committed a registration that says so.
    pub(super) lost: bool,
    pub(super) logs: Vec<Log>,
    /// How much it had when its disk lost it: a loss that the promise allows.
    pub(super) lost_up_to: Vec<i64>,
    pub(super) machines: Vec<Option<Partition>>,
    /// Whether the disk is at work for a partition.
    writing: Vec<bool>,
    in_flight: BTreeMap<RequestToken, (usize, ProduceRequest, i64)>,
    next_request: u64,
    /// What the history was told about each high watermark.
    told_high_watermark: Vec<i64>,
}

/// A change of a log that takes the disk some time.
#[derive(Debug, Clone, Copy)]
pub(super) enum LogChange {
    Truncate(i64),
    Restart(i64),
    AdvanceStart(i64),
}

/// How long a client's request may wait on a leader.
const PRODUCE_TIMEOUT_MS: i32 = 400;
/// How many times longer a slow disk takes.
const SLOW_FACTOR: i64 = 40;

impl Node {
    pub(super) fn new(partitions: usize, clients: usize) -> Self {
        Self {
            is_up: false,
            process: 0,
            registered: None,
            paused_until_ms: 0,
            slow_until_ms: 0,
            lost: false,
            logs: vec![Log::new(clients); partitions],
            lost_up_to: vec![0; partitions],
            machines: (0..partitions).map(|_| None).collect(),
            writing: vec![false; partitions],
            in_flight: BTreeMap::new(),
            next_request: 0,
            told_high_watermark: vec![0; partitions],
        }
    }

    /// The process ends; the disk stays as it is.
    pub(super) fn stop(&mut self) {
        self.is_up = false;
        self.registered = None;
        self.machines.fill_with(|| None);
        self.writing.fill(false);
        self.in_flight.clear();
        self.paused_until_ms = 0;
    }
}

pub(super) fn id(index: usize) -> NodeId {
    NodeId(i32::try_from(index).expect("few nodes") + 1)
}

pub(super) fn index(node: NodeId) -> usize {
    usize::try_from(node.0 - 1).expect("a node")
}

impl World {
    pub(super) fn start(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        assert!(!state.is_up, "a process is started once");
        state.is_up = true;
        state.process += 1;
        self.note(|_| format!("n{} starts", node + 1));
        self.register(node);
        let process = self.nodes[node].process;
        if self.post.is_none() {
            self.after(1, Happening::NodeTick { node, process });
        }
    }

    fn register(&mut self, node: usize) {
        let (process, lost) = (self.nodes[node].process, self.nodes[node].lost);
        self.send(node, self.controller_address(), Message::Register { node: id(node), process, lost });
        if planted::is("mark-forgotten-too-early") {
            self.nodes[node].lost = false;
        }
    }

    pub(super) fn node_tick(&mut self, node: usize) {
        match self.nodes[node].registered {
            None => self.register(node),
            Some(node_epoch) => {
                self.send(node, self.controller_address(), Message::Heartbeat { node: id(node), node_epoch });
                for partition in 0..self.nodes[node].machines.len() {
                    self.step(node, partition, Event::Tick);
                }
            }
        }
        let process = self.nodes[node].process;
        let wait_ms = self.random.between(20, 40);
        self.after(wait_ms, Happening::NodeTick { node, process });
    }

    pub(super) fn node_receives(&mut self, node: usize, message: Message) {
        match message {
            Message::Registered { process, node_epoch } => self.registered(node, process, node_epoch),
            Message::Metadata { partition, assignment } => {
                self.step(node, partition, Event::Assign(assignment));
            }
            Message::Produce { partition, request } => self.produce(node, partition, request),
            Message::Fetch { partition, from, fetch } => {
                let log = &self.nodes[node].logs[partition];
                let event = FollowerFetch {
                    from,
                    leader_epoch: fetch.leader_epoch,
                    fetch: fetch.fetch,
                    position: fetch.position,
                    last_epoch: fetch.last_epoch,
                    persisted: fetch.persisted,
                    log_start: fetch.log_start,
                    high_watermark: fetch.high_watermark,
                    own_end: fetch.last_epoch.and_then(|epoch| log.end_of(epoch)),
                };
                self.step(node, partition, Event::FollowerFetch(event));
            }
            Message::Fetched { partition, answer, records } => self.fetched(node, partition, answer, records),
            Message::Proposed { partition, answer } => {
                self.step(node, partition, Event::InSyncAnswered(answer))
            }
            Message::Produced { .. }
            | Message::Propose { .. }
            | Message::Register { .. }
            | Message::Heartbeat { .. } => {
                panic!("not for a node: {message:?}")
            }
        }
    }

    fn registered(&mut self, node: usize, process: u32, node_epoch: NodeEpoch) {
        let (commit_rule, min_in_sync, settings) =
            (self.plan.commit_rule, self.plan.min_in_sync, self.plan.settings);
        let state = &mut self.nodes[node];
        if process != state.process || state.registered.is_some() {
            return;
        }
        state.registered = Some(node_epoch);
        // The controller knows; from now on the log is as good as any.
        state.lost = false;
        for (index, log) in state.logs.iter().enumerate() {
            let machine =
                Partition::new(id(node), node_epoch, log.recovered(), commit_rule, min_in_sync, settings);
            state.machines[index] = Some(machine);
            state.told_high_watermark[index] = log.start;
        }
    }

    fn produce(&mut self, node: usize, partition: usize, request: ProduceRequest) {
        let state = &mut self.nodes[node];
        if state.machines[partition].is_none() {
            return;
        }
        let token = RequestToken(state.next_request);
        state.next_request += 1;
        state.in_flight.insert(token, (partition, request, -1));
        let acks = self.clients[request.client].acks;
        self.step(node, partition, Event::Produce { request: token, acks });
    }

    fn fetched(&mut self, node: usize, partition: usize, answer: AnsweredFetch, records: Vec<Record>) {
        let log = &self.nodes[node].logs[partition];
        let outcome = match answer.outcome {
            FetchOutcome::Records => Fetched::Records { base: answer.position },
            FetchOutcome::Nothing => Fetched::Nothing,
            FetchOutcome::Diverged(leader) => Fetched::Diverged { leader, own: log.end_of(leader.epoch) },
            FetchOutcome::OutOfRange => Fetched::OutOfRange,
            FetchOutcome::Refused(refusal) => Fetched::Refused(refusal),
        };
        let event = FetchAnswer {
            leader_epoch: answer.leader_epoch,
            fetch: answer.fetch,
            position: answer.position,
            high_watermark: answer.high_watermark,
            log_start: answer.log_start,
            outcome,
        };
        self.answer = Some((answer, records));
        self.step(node, partition, Event::FetchAnswered(event));
        self.answer = None;
    }

    /// Applies an event and carries out what comes of it.
    pub(super) fn step(&mut self, node: usize, partition: usize, event: Event) {
        let Some(mut machine) = self.nodes[node].machines[partition].take() else { return };
        let mut effects = std::mem::take(&mut self.effects);
        machine.step(self.now_ms, event, &mut effects);
        let mut next = 0;
        while let Some(&effect) = effects.get(next) {
            next += 1;
            if trace::is_told(&effect) {
                self.note(|_| format!("n{}: {}", node + 1, trace::effect(&effect)));
            }
            self.execute(node, partition, &mut machine, effect, &mut effects);
        }
        self.mix(next as u64);
        self.mix(machine.high_watermark().value().unsigned_abs());
        effects.clear();
        self.effects = effects;
        self.nodes[node].machines[partition] = Some(machine);
    }

    fn execute(
        &mut self,
        node: usize,
        partition: usize,
        machine: &mut Partition,
        effect: Effect,
        effects: &mut Vec<Effect>,
    ) {
        match effect {
            Effect::AppendToLog { request, leader_epoch } => {
                self.append(node, partition, machine, request, leader_epoch, effects);
            }
            Effect::RefuseProduce { request, .. } => {
                let (_, request, _) =
                    self.nodes[node].in_flight.remove(&request).expect("a request under way");
                self.answer_client(node, request, Produced::Refused);
            }
            Effect::AnswerProduce { request, outcome } => {
                self.answer_produce(node, partition, request, outcome)
            }
            Effect::HighWatermarkAdvanced { to } => {
                let state = &mut self.nodes[node];
                let from = std::mem::replace(&mut state.told_high_watermark[partition], to.value());
                self.histories[partition].committed(&state.logs[partition], from, to.value());
                self.check_candidates(partition);
            }
            Effect::Leading { leader_epoch } => {
                let process = self.nodes[node].process;
                self.histories[partition].led(leader_epoch.value(), id(node), process);
            }
            Effect::Resigned => {}
            Effect::SendFetch { leader } => {
                if let Some(fetch) = machine.outgoing_fetch() {
                    self.send(node, index(leader), Message::Fetch { partition, from: id(node), fetch });
                }
            }
            Effect::AnswerFetch(answer) => self.answer_fetch(node, partition, answer),
            Effect::AppendFetched { .. } => self.append_fetched(node, partition, machine, effects),
            Effect::TruncateLog { to, loses_committed } => {
                assert!(!loses_committed, "I1: n{} cuts what was committed, to {to}", node + 1);
                self.change_log(node, partition, LogChange::Truncate(to.value()));
            }
            Effect::RestartLog { at } => self.change_log(node, partition, LogChange::Restart(at.value())),
            Effect::AdvanceLogStart { to } => {
                self.change_log(node, partition, LogChange::AdvanceStart(to.value()));
            }
            Effect::ProposeInSync => {
                // An answer may have come in the same step.
                if let Some(proposal) = machine.proposal() {
                    let to = self.controller_address();
                    self.harm_who_enters(partition, &proposal);
                    self.send(node, to, Message::Propose { partition, from: id(node), proposal });
                }
            }
        }
    }

    fn append(
        &mut self,
        node: usize,
        partition: usize,
        machine: &mut Partition,
        token: RequestToken,
        leader_epoch: LeaderEpoch,
        effects: &mut Vec<Effect>,
    ) {
        let state = &mut self.nodes[node];
        let (_, request, offset) = state.in_flight.get_mut(&token).expect("a request under way");
        let client = &self.clients[request.client];
        let log = &mut state.logs[partition];
        let is_checked = client.acks == Acks::All && !planted::is("no-deduplication");
        let sequence = if is_checked { log.check(request.client, request.sequence) } else { Sequence::New };
        match sequence {
            Sequence::New => {
                let record = Record {
                    epoch: leader_epoch.value(),
                    client: request.client,
                    sequence: request.sequence,
                };
                *offset = log.append(record);
                self.histories[partition].wrote(*offset, record);
            }
            Sequence::Duplicate(first) => *offset = first,
            Sequence::DuplicateOfDeleted | Sequence::OutOfOrder => {
                let outcome = match sequence {
                    Sequence::DuplicateOfDeleted => Produced::Deleted,
                    _ => Produced::Refused,
                };
                let request = *request;
                state.in_flight.remove(&token);
                self.answer_client(node, request, outcome);
                return;
            }
        }
        let end = Offset::new(*offset + 1);
        let event =
            Event::Appended { request: token, acks: client.acks, end, timeout_ms: PRODUCE_TIMEOUT_MS };
        machine.step(self.now_ms, event, effects);
        self.write(node, partition);
    }

    fn answer_produce(
        &mut self,
        node: usize,
        partition: usize,
        token: RequestToken,
        outcome: ProduceOutcome,
    ) {
        let (_, request, offset) = self.nodes[node].in_flight.remove(&token).expect("a request under way");
        let is_done = outcome == ProduceOutcome::Done;
        if is_done && self.clients[request.client].acks == Acks::All {
            let record = self.nodes[node].logs[partition].get(offset);
            // A duplicate of a record that is deleted by now.
            if let Some(record) = record {
                self.check_copies(partition, record, offset);
                self.histories[partition].acknowledged(record, offset);
            }
        }
        self.answer_client(node, request, if is_done { Produced::At(offset) } else { Produced::Refused });
    }

    /// What is acknowledged is persisted on enough disks, or was until one was lost.
    fn check_copies(&self, partition: usize, record: Record, offset: i64) {
        let rule = self.plan.commit_rule;
        let has = |node: &Node| {
            let log = &node.logs[partition];
            let is_there = log.persisted(rule) > offset && log.get(offset).is_none_or(|copy| copy == record);
            is_there || offset < node.lost_up_to[partition]
        };
        let copies = self.nodes.iter().filter(|node| has(node)).count();
        let wanted = usize::try_from(self.plan.min_in_sync).expect("few");
        assert!(copies >= wanted, "I1: offset {offset} of p{partition} is acknowledged with {copies} copies");
    }

    /// Whoever may be elected has everything that anybody called committed, or the controller is about to hear that its
    /// disk was lost.
    pub(super) fn check_candidates(&self, partition: usize) {
        let committed = self.histories[partition].committed_end;
        let state = &self.controller.partitions[partition];
        for candidate in state.in_sync.iter().chain(&state.eligible) {
            let node = &self.nodes[index(*candidate)];
            let log = &node.logs[partition];
            assert!(
                node.lost || log.persisted(self.plan.commit_rule) >= committed,
                "I1: n{candidate} may be elected, and has p{partition} only to {} of {committed}",
                log.persisted(self.plan.commit_rule)
            );
        }
    }

    fn answer_client(&mut self, node: usize, request: ProduceRequest, outcome: Produced) {
        let to = self.client_address(request.client);
        self.send(node, to, Message::Produced { request, outcome });
    }

    fn answer_fetch(&mut self, node: usize, partition: usize, answer: AnsweredFetch) {
        let count = 1 + self.random.below(self.plan.fetch_records_max);
        let log = &self.nodes[node].logs[partition];
        let records = match answer.outcome {
            FetchOutcome::Records => log.from(answer.position.value(), count).to_vec(),
            _ => Vec::new(),
        };
        self.send(node, index(answer.to), Message::Fetched { partition, answer, records });
    }

    fn append_fetched(
        &mut self,
        node: usize,
        partition: usize,
        machine: &mut Partition,
        effects: &mut Vec<Effect>,
    ) {
        let (answer, records) = self.answer.take().expect("an answer is at hand");
        if self.random.permille(self.plan.no_room_permille) {
            // No room just now: the answer enters again.
            let process = self.nodes[node].process;
            let wait_ms = self.random.between(1, 60);
            let again = Message::Fetched { partition, answer, records };
            self.after(wait_ms, Happening::Again { node, process, message: again });
            return;
        }
        let log = &mut self.nodes[node].logs[partition];
        assert_eq!(log.end(), answer.position.value(), "records follow the log's end");
        for record in &records {
            log.append(*record);
        }
        let end = Offset::new(log.end());
        let last_epoch = log.last_epoch().expect("an answer has records");
        machine.step(self.now_ms, Event::FetchedAppended { fetch: answer.fetch, end, last_epoch }, effects);
        self.write(node, partition);
    }

    fn disk_ms(&mut self, node: usize) -> i64 {
        let time_ms = self.random.between(0, self.plan.disk_ms_max);
        if self.nodes[node].slow_until_ms > self.now_ms { (time_ms + 1) * SLOW_FACTOR } else { time_ms }
    }

    /// Writes and then flushes what is appended, if the disk is not at it already.
    fn write(&mut self, node: usize, partition: usize) {
        if self.post.is_some() || std::mem::replace(&mut self.nodes[node].writing[partition], true) {
            return;
        }
        let time_ms = self.disk_ms(node);
        let process = self.nodes[node].process;
        let (up_to, cuts) = (self.nodes[node].logs[partition].end(), self.nodes[node].logs[partition].cuts);
        self.after(time_ms, Happening::Written { node, process, partition, up_to, cuts });
    }

    pub(super) fn written(&mut self, node: usize, partition: usize, up_to: i64, cuts: u32) {
        let log = &mut self.nodes[node].logs[partition];
        if log.cuts == cuts {
            log.written = log.written.max(up_to);
            self.step(node, partition, Event::Written { up_to: Offset::new(up_to) });
        }
        if self.post.is_some() {
            return;
        }
        let time_ms = self.disk_ms(node);
        let process = self.nodes[node].process;
        self.after(time_ms, Happening::Flushed { node, process, partition, up_to, cuts });
    }

    pub(super) fn flushed(&mut self, node: usize, partition: usize, up_to: i64, cuts: u32) {
        self.nodes[node].writing[partition] = false;
        let log = &mut self.nodes[node].logs[partition];
        if log.cuts == cuts {
            log.flushed = log.flushed.max(up_to);
            self.step(node, partition, Event::Flushed { up_to: Offset::new(up_to) });
        }
        let log = &self.nodes[node].logs[partition];
        if log.flushed < log.end() {
            self.write(node, partition);
        }
    }

    pub(super) fn change_log(&mut self, node: usize, partition: usize, change: LogChange) {
        let time_ms = self.disk_ms(node);
        let process = self.nodes[node].process;
        let cuts = self.nodes[node].logs[partition].cuts;
        self.after(time_ms, Happening::LogChanged { node, process, partition, change, cuts });
    }

    pub(super) fn log_changed(&mut self, node: usize, partition: usize, change: LogChange, cuts: u32) {
        let log = &mut self.nodes[node].logs[partition];
        match change {
            LogChange::Truncate(to) => log.truncate(to),
            LogChange::Restart(at) => log.restart(at),
            LogChange::AdvanceStart(to) => {
                if log.cuts == cuts {
                    log.advance_start(to);
                    self.step(node, partition, Event::LogStartAdvanced { to: Offset::new(to) });
                }
                return;
            }
        }
        let recovered = log.recovered();
        let told = &mut self.nodes[node].told_high_watermark[partition];
        *told = (*told).min(recovered.end.value());
        let event = Event::LogTruncated {
            start: recovered.start,
            end: recovered.end,
            last_epoch: recovered.last_epoch,
        };
        self.step(node, partition, event);
    }
}
