//! One coordinator on its shard: its groups, the partition that keeps them, the requests that wait.
//!
//! `perform` is the only place where a decision about groups meets the log. What must hold: a request is answered once, or
//! its asker is gone; effects are performed in their order; nothing is asked of the state machine while it is in a step.
//! Failure modes: an append that fails is reported to the state machine, which tells the clients to try again; the end of
//! the leadership, and a log that failed for good, end the coordinator.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_channel::oneshot;
use ringmain_group::{
    Answer, Coordinator as Groups, Counters as GroupCounters, Effect, Event, LoadError, Loaded, RequestToken,
    Settings, WriteError,
};
use ringmain_protocol::ErrorCode;
use ringmain_replication::Acks;
use ringmain_storage::{LeaderEpoch, LogKey};

use super::{
    GroupValues,
    appender::{Appender, Next, write_error},
};
use crate::{
    runtime,
    shard::{Gather, Partition, ProduceAnswer, ProduceOperation, Reply, Shard},
};

/// The groups of one partition of the offsets topic, in one leadership of this node.
pub(crate) struct Coordinator {
    partition: Rc<Partition>,
    /// Of the leadership. What was decided in it is not written in a later one: others may have led in between.
    leader_epoch: LeaderEpoch,
    groups: RefCell<Groups>,
    settings: RefCell<Settings>,
    appender: Appender,
    /// Whether somebody is already carrying out what the appender says.
    appending: Cell<bool>,
    /// Requests without an answer yet: each belongs to a connection, which waits for it.
    waiting: RefCell<HashMap<RequestToken, oneshot::Sender<Answer>>>,
    next_request: Cell<u64>,
    /// Reused by every step.
    effects: Cell<Vec<Effect>>,
    /// As the shard counts it.
    held_bytes: Cell<usize>,
    ended: Cell<bool>,
    /// When it was last said that writes fail.
    failure_reported: Cell<Option<Instant>>,
}

/// Time between two reports of writes that fail; all of them are counted.
const FAILURE_REPORT_PERIOD: Duration = Duration::from_secs(10);

impl Coordinator {
    /// A coordinator that has not read its log yet.
    pub(super) fn new(partition: Rc<Partition>, settings: Settings) -> Rc<Self> {
        Rc::new(Self {
            leader_epoch: partition.leader_epoch(),
            partition,
            groups: RefCell::new(Groups::new(settings.clone())),
            settings: RefCell::new(settings),
            appender: Appender::default(),
            appending: Cell::new(false),
            waiting: RefCell::default(),
            next_request: Cell::new(0),
            effects: Cell::default(),
            held_bytes: Cell::new(0),
            ended: Cell::new(false),
            failure_reported: Cell::new(None),
        })
    }

    pub(super) fn key(&self) -> LogKey {
        self.partition.key()
    }

    pub(super) fn partition(&self) -> &Rc<Partition> {
        &self.partition
    }

    /// Whether the leadership goes on.
    pub(super) fn leads(&self) -> bool {
        self.partition.is_leading() && self.partition.leader_epoch() == self.leader_epoch
    }

    /// Whether there is nothing to read.
    pub(super) fn has_empty_log(&self) -> bool {
        self.partition.log().log_start_offset() == self.partition.log().log_end_offset()
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes.get()
    }

    pub(super) fn counters(&self) -> GroupCounters {
        self.groups.borrow().counters()
    }

    /// Whether the coordinator was told to resign.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask<'request>(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        event: impl FnOnce(RequestToken) -> Event<'request>,
    ) -> Answer {
        let request = RequestToken(self.next_request.get());
        self.next_request.set(request.0 + 1);
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(request, sender);
        self.keep_within_budget(shard);
        self.step(shard, event(request));
        match receiver.await {
            Ok(answer) => answer,
            // A coordinator answers everything before it ends; the shard's tasks end with the executor.
            Err(oneshot::Canceled) => std::future::pending().await,
        }
    }

    /// Reads what the groups have, or says why not.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Groups) -> T) -> Result<T, ErrorCode> {
        let groups = self.groups.borrow();
        match groups.refusal() {
            Some(error) => Err(error),
            None => Ok(read(&groups)),
        }
    }

    /// Begins to load from the beginning.
    pub(super) fn begin_anew(&self) {
        *self.groups.borrow_mut() = Groups::new(self.settings.borrow().clone());
    }

    /// Hands one record of the log to the groups; the coordinator must not have ended.
    pub(super) fn load_record(&self, key: &[u8], value: Option<&[u8]>) -> Result<Loaded, LoadError> {
        self.groups.borrow_mut().load(key, value)
    }

    /// The log was read to its end.
    pub(super) fn loaded(self: &Rc<Self>, shard: &Rc<Shard>) {
        let now_ms = shard.coordinators.clock.unix_ms();
        self.change(shard, |groups, effects| groups.loaded(now_ms, effects));
    }

    fn change(self: &Rc<Self>, shard: &Rc<Shard>, change: impl FnOnce(&mut Groups, &mut Vec<Effect>)) {
        let mut effects = self.effects.take();
        change(&mut self.groups.borrow_mut(), &mut effects);
        self.perform(effects);
        self.account(shard);
        self.settle(shard);
    }

    /// Something happened.
    pub(super) fn step(self: &Rc<Self>, shard: &Rc<Shard>, event: Event<'_>) {
        if matches!(event, Event::Resign) {
            self.ended.set(true);
        }
        let now_ms = shard.coordinators.clock.unix_ms();
        self.change(shard, |groups, effects| groups.step(now_ms, event, effects));
    }

    /// Carries effects out: writes into the appender, answers to those who wait.
    fn perform(&self, mut effects: Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Write { write, records } => self.appender.push(write, records),
                Effect::Answer { request, answer } => {
                    let waiting = self.waiting.borrow_mut().remove(&request);
                    // The connection may have ended meanwhile: nobody needs the answer then.
                    drop(waiting.expect("a request is answered once").send(answer));
                }
            }
        }
        self.effects.set(effects);
    }

    /// Tells the shard what the groups hold and when time matters to them.
    pub(super) fn account(&self, shard: &Shard) {
        if self.ended.get() {
            // The shard has forgotten this coordinator, or is about to.
            return;
        }
        let groups = self.groups.borrow();
        let now = groups.held_bytes();
        shard.coordinators.held(self.held_bytes.replace(now), now);
        shard.coordinators.deadlines.set(self.key().partition, groups.next_deadline_ms());
    }

    /// Appends what waits and reports what ended, until there is nothing to do. An append that is refused ends within the
    /// call, so this is a loop and not a recursion.
    fn settle(self: &Rc<Self>, shard: &Rc<Shard>) {
        if self.appending.replace(true) {
            return;
        }
        loop {
            if self.ended.get() {
                // Everybody was told to ask another coordinator.
                self.appender.abandon();
            }
            match self.appender.next(runtime::unix_ms()) {
                Next::Append(batch) => self.append(shard, batch),
                Next::Report(writes, result) => {
                    if let Err(error) = result {
                        self.report_failure(error, writes.len());
                    }
                    for write in writes {
                        self.step(shard, Event::Written { write, result });
                    }
                }
                Next::Wait => break,
            }
        }
        self.appending.set(false);
        if !self.leads() && !self.ended.get() && !shard.is_stopping() {
            shard.end_coordinator(self);
        }
    }

    /// Says that writes fail, but not for each of them, and not where the leadership has just ended: clients try again and again while a disk is full.
    fn report_failure(&self, error: WriteError, writes: usize) {
        if error == WriteError::NotLeader {
            return;
        }
        let now = Instant::now();
        let is_new = |reported: Instant| now.duration_since(reported) >= FAILURE_REPORT_PERIOD;
        if self.failure_reported.get().is_none_or(is_new) {
            self.failure_reported.set(Some(now));
            let partition = self.key().partition;
            tracing::warn!(partition, ?error, writes, "write groups: their clients are told to try again");
        }
    }

    fn append(self: &Rc<Self>, shard: &Rc<Shard>, batch: bytes::Bytes) {
        if !self.leads() {
            self.appender.ended(Err(WriteError::NotLeader));
            return;
        }
        let (coordinator, owner) = (self.clone(), shard.clone());
        let finish = move |answers: Vec<ProduceAnswer>| {
            let answer = answers.first().expect("an append is one part");
            let result = match answer.error {
                ErrorCode::NONE => Ok(()),
                error => Err(write_error(error, coordinator.partition.is_leading())),
            };
            coordinator.appender.ended(result);
            coordinator.settle(&owner);
        };
        let operation = ProduceOperation {
            batch,
            acks: Acks::All,
            timeout_ms: shard.config().groups.write_timeout_ms,
            log_append_time: false,
            arrived: shard.clock().read(),
            reply: Reply::Part(Rc::new(Gather::new(1, finish)), 0),
        };
        self.partition.produce(shard, operation);
    }

    /// Lets the groups hold what the others of the shard leave of the budget.
    fn keep_within_budget(&self, shard: &Shard) {
        let budget = shard.config().memory.groups_bytes_per_shard;
        let share = shard.coordinators.share(self.held_bytes.get(), budget);
        let mut settings = self.settings.borrow_mut();
        if settings.held_bytes_max != share {
            settings.held_bytes_max = share;
            let event = Event::Configure(settings.clone());
            let now_ms = shard.coordinators.clock.unix_ms();
            self.groups.borrow_mut().step(now_ms, event, &mut Vec::new());
        }
    }

    /// Adds what the groups do and hold.
    pub(super) fn add_to(&self, values: &mut GroupValues) {
        let groups = self.groups.borrow();
        super::add(&mut values.counters, groups.counters());
        if groups.refusal() == Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) {
            values.loading += 1;
        }
        let census = groups.census();
        for (sum, more) in values.groups.iter_mut().zip(census.groups) {
            *sum += more;
        }
        values.members += census.members;
    }
}
