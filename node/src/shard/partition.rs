//! A partition on the core that owns it: its log, its state machine, the requests that wait for it.
//!
//! `execute` is the only place where a decision of the state machine meets the log.
//! What must hold: produce operations are appended in the order in which they arrive, also while the log has to be
//! activated or the shard has no room; every operation is answered exactly once.
//! Does not do: validation of batches (the receiving core did it), decisions about replicas (`ringmain-replication`).

mod replica;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
    sync::Arc,
};

use ringmain_protocol::{ErrorCode, records::RecordBatchHeader};
use ringmain_replication::{
    Assignment, CommitRule, Effect, Event, NodeEpoch, NodeId, ProduceOutcome, ProduceRefusal, RecoveredLog,
    RequestToken,
};
use ringmain_storage::{
    AppendError, CompactionConfig, LeaderEpoch, Log, LogConfig, LogKey, Offset, ProducerCheck, ProducerError,
    Progress,
};

use super::{
    Shard,
    fetch::FetchWaiter,
    in_flight::InFlight,
    produce::{ProduceAnswer, ProduceOperation},
    replication,
    traffic::TopicTraffic,
};
use crate::{
    config::{NodeConfig, TopicConfig},
    observability::Stage,
    runtime::{self, NodeDisk, Ticks},
};

/// An operation that was appended, or is about to be.
struct Appending {
    operation: ProduceOperation,
    base_offset: i64,
    log_append_time_ms: i64,
    /// Time between its arrival on this shard and the append.
    waited_nanoseconds: u64,
    /// When the append was done.
    appended: Ticks,
}

/// One partition.
pub(crate) struct Partition {
    /// Itself, for tasks that outlive a call.
    this: Weak<Partition>,
    log: Log<NodeDisk>,
    topic: Arc<str>,
    machine: RefCell<ringmain_replication::Partition>,
    in_flight: RefCell<InFlight<Appending>>,
    /// Operations that wait for activation or room. Bounded by the request bytes in flight of the shards.
    queue: RefCell<VecDeque<ProduceOperation>>,
    draining: Cell<bool>,
    /// Fetches that wait for the high watermark to move.
    fetch_waiters: RefCell<Vec<FetchWaiter>>,
    /// Set once the topic is deleted or the shard gave the partition up.
    closed: Cell<bool>,
    /// What is under way with its replicas on other nodes.
    work: replica::ReplicaWork,
    /// Counts for the whole topic.
    traffic: Rc<TopicTraffic>,
}

impl Partition {
    /// A partition whose log was recovered; without a role yet.
    pub(crate) fn new(
        log: Log<NodeDisk>,
        config: &TopicConfig,
        node_config: &NodeConfig,
        node_epoch: NodeEpoch,
        traffic: Rc<TopicTraffic>,
    ) -> Rc<Self> {
        let recovered = RecoveredLog {
            start: log.log_start_offset(),
            end: log.log_end_offset(),
            last_epoch: log.latest_epoch(),
        };
        let machine = ringmain_replication::Partition::new(
            NodeId(node_config.node_id),
            node_epoch,
            recovered,
            commit_rule(config),
            config.min_insync_replicas,
            replication::settings(node_config),
        );
        Rc::new_cyclic(|this| Self {
            this: this.clone(),
            work: replica::ReplicaWork::default(),
            topic: log.identity().topic.as_str().into(),
            machine: RefCell::new(machine),
            in_flight: RefCell::default(),
            queue: RefCell::default(),
            draining: Cell::new(false),
            fetch_waiters: RefCell::default(),
            closed: Cell::new(false),
            traffic,
            log,
        })
    }

    fn shared(&self) -> Rc<Self> {
        self.this.upgrade().expect("whoever calls it holds it")
    }

    pub(crate) fn key(&self) -> LogKey {
        self.log.key()
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn topic_name(&self) -> &Arc<str> {
        &self.topic
    }

    pub(crate) fn log(&self) -> &Log<NodeDisk> {
        &self.log
    }

    /// What goes through its topic on this shard.
    pub(crate) fn traffic(&self) -> &TopicTraffic {
        &self.traffic
    }

    /// Consumers may read below it.
    pub(crate) fn high_watermark(&self) -> Offset {
        self.machine.borrow().high_watermark()
    }

    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.machine.borrow().leader_epoch()
    }

    /// Whether clients may use this replica now.
    pub(crate) fn is_leading(&self) -> bool {
        !self.closed.get() && self.machine.borrow().is_leading()
    }

    /// Whether this replica follows, so that consumers may read from it (KIP-392).
    pub(crate) fn is_following(&self) -> bool {
        !self.closed.get() && self.machine.borrow().is_following()
    }

    /// The end of the log when this leadership began; `None` where this replica does not lead.
    pub(crate) fn leadership_start(&self) -> Option<Offset> {
        self.machine.borrow().leadership_start()
    }

    /// Refuses what only the leader answers, and what names another leadership: its epoch comes first, as in Kafka.
    pub(crate) fn check_leader(&self, claimed_epoch: i32) -> Result<(), ErrorCode> {
        self.check_leader_epoch(claimed_epoch)?;
        if self.is_leading() { Ok(()) } else { Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) }
    }

    /// As [`Partition::check_leader`], for what a follower answers too.
    pub(crate) fn check_replica(&self, claimed_epoch: i32) -> Result<(), ErrorCode> {
        self.check_leader_epoch(claimed_epoch)?;
        if self.is_leading() || self.is_following() { Ok(()) } else { Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) }
    }

    /// The error for a leader epoch that a client claims, if any: fenced when it is older, unknown when it is newer.
    pub(crate) fn check_leader_epoch(&self, claimed: i32) -> Result<(), ErrorCode> {
        let current = self.leader_epoch().value();
        match claimed {
            -1 => Ok(()),
            claimed if claimed < current => Err(ErrorCode::FENCED_LEADER_EPOCH),
            claimed if claimed > current => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
            _ => Ok(()),
        }
    }

    /// Takes the role that the metadata gives.
    pub(crate) fn assign(&self, shard: &Shard, assignment: Assignment) {
        self.step_now(shard, Event::Assign(Box::new(assignment)));
    }

    /// Takes another configuration from now on.
    pub(crate) fn configure(&self, shard: &Shard, config: &TopicConfig) {
        self.log.set_config(log_config(config, shard.config()));
        let event = Event::Configure {
            commit_rule: commit_rule(config),
            min_in_sync_replicas: config.min_insync_replicas,
        };
        self.step_now(shard, event);
    }

    /// Answers everything that waits, for good: the topic is deleted, or only its replica here.
    pub(crate) fn close(&self, shard: &Shard, has_topic: bool) {
        self.closed.set(true);
        self.refuse_queued(match has_topic {
            true => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            false => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        });
        self.step_now(shard, Event::Resign);
        self.wake_fetches();
    }

    /// Answers what waits for room. It must not be appended in a later leadership of this replica: whoever sent it has
    /// long turned to another leader by then.
    fn refuse_queued(&self, error: ErrorCode) {
        for operation in self.queue.take() {
            operation.answer(ProduceAnswer::error(error));
        }
    }

    /// Appends a batch, now or as soon as the operations before it, the log and the shard allow.
    pub(crate) fn produce(self: &Rc<Self>, shard: &Rc<Shard>, operation: ProduceOperation) {
        if self.closed.get() {
            operation.answer(ProduceAnswer::error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
            return;
        }
        let must_wait =
            self.draining.get() || !self.log.is_active() || !shard.store().has_room(operation.batch.len());
        if must_wait {
            self.queue.borrow_mut().push_back(operation);
        } else {
            self.begin(shard, operation);
            if self.queue.borrow().is_empty() {
                return;
            }
            // The log had no memory for it after all: it waits like the others.
        }
        if !self.draining.replace(true) {
            let (partition, shard) = (self.clone(), shard.clone());
            runtime::spawn(async move { partition.drain(&shard).await });
        }
    }

    /// Appends what is queued, in order, waiting where needed.
    async fn drain(&self, shard: &Rc<Shard>) {
        loop {
            let bytes = self.queue.borrow().front().map(|operation| operation.batch.len());
            let Some(bytes) = bytes else { break };
            shard.store().room(bytes).await;
            let activated = self.log.activate().await;
            let Some(operation) = self.queue.borrow_mut().pop_front() else { break };
            match activated {
                // Others may have taken the room during the activation.
                Ok(()) if !shard.store().has_room(bytes) || !self.log.is_active() => {
                    self.queue.borrow_mut().push_front(operation);
                    runtime::yield_to_reactor().await;
                }
                Ok(()) => {
                    shard.clock().read();
                    self.begin(shard, operation);
                    // Where it came back for want of memory, the next rounds free some.
                    if !self.queue.borrow().is_empty() {
                        runtime::yield_to_reactor().await;
                    }
                }
                // No memory even for the block at the log's end: the next settling frees some.
                Err(AppendError::NoRoom) => {
                    self.queue.borrow_mut().push_front(operation);
                    runtime::sleep(replica::MEMORY_PAUSE).await;
                }
                Err(error) => self.refuse(operation, &error),
            }
        }
        self.draining.set(false);
    }

    fn begin(&self, shard: &Shard, operation: ProduceOperation) {
        let acks = operation.acks;
        let began = shard.clock().recent();
        let waited_nanoseconds = shard.clock().nanoseconds(operation.arrived, began);
        let entry = Appending {
            operation,
            base_offset: -1,
            log_append_time_ms: -1,
            waited_nanoseconds,
            appended: began,
        };
        let request = self.in_flight.borrow_mut().insert(entry);
        self.step(shard, Event::Produce { request, acks });
    }

    /// A round of group commit wrote or flushed this log, or failed to.
    pub(crate) fn progressed(&self, shard: &Shard, progress: Progress, flushed: bool) {
        // What began before a cut may be told after it: never more than the log itself says.
        let event = match progress.result {
            Ok(up_to) if flushed => Event::Flushed { up_to: up_to.min(self.log.flushed_offset()) },
            Ok(up_to) => Event::Written { up_to: up_to.min(self.log.written_offset()) },
            Err(error) if error.is_recoverable() => {
                tracing::warn!(topic = %self.topic, partition = self.key().partition, %error, "append is postponed");
                shard.counters().writes_postponed.increment();
                Event::WriteRefused
            }
            Err(error) => {
                tracing::error!(topic = %self.topic, partition = self.key().partition, %error, "stop this replica");
                shard.counters().logs_failed.increment();
                if let Some(cluster) = shard.metadata().cluster() {
                    // All logs are on this disk: others lead sooner when the node is gone than when it answers with errors.
                    cluster.fail(format!("the disk failed: {error}"));
                }
                Event::LogFailed
            }
        };
        self.step(shard, event);
    }

    /// Whether the next tick is needed soon.
    pub(crate) fn wants_tick(&self) -> bool {
        self.machine.borrow().wants_tick()
    }

    /// Answers requests whose time is up, repeats what was lost, notices who lags.
    pub(crate) fn tick(&self, shard: &Shard) {
        self.step_now(shard, Event::Tick);
    }

    /// Wakes the waiter once, when the high watermark moves or the partition changes.
    pub(crate) fn wait(&self, waiter: &FetchWaiter) {
        let mut waiters = self.fetch_waiters.borrow_mut();
        if !waiters.iter().any(|waiting| waiting.fetch() == waiter.fetch()) {
            waiters.push(waiter.clone());
        }
    }

    /// Forgets the waiters of one fetch.
    pub(crate) fn stop_waiting(&self, fetch: u64) {
        self.fetch_waiters.borrow_mut().retain(|waiter| waiter.fetch() != fetch);
    }

    /// Wakes all fetches: they read again and see what changed.
    pub(crate) fn wake_fetches(&self) {
        for waiter in self.fetch_waiters.take() {
            waiter.wake();
        }
    }

    /// As [`Partition::step`], where nobody has read the clock.
    fn step_now(&self, shard: &Shard, event: Event) {
        shard.clock().read();
        self.step(shard, event);
    }

    /// Applies an event of this turn, for which the clock was read.
    fn step(&self, shard: &Shard, event: Event) {
        let mut effects = shard.take_effects();
        self.machine.borrow_mut().step(shard.clock().unix_ms(), event, &mut effects);
        let mut next = 0;
        while let Some(&effect) = effects.get(next) {
            next += 1;
            self.execute(shard, effect, &mut effects);
        }
        shard.put_effects(effects);
    }

    /// Carries one effect out; what the state machine makes of the result joins the end of `effects`.
    fn execute(&self, shard: &Shard, effect: Effect, effects: &mut Vec<Effect>) {
        match effect {
            Effect::AppendToLog { request, leader_epoch } => {
                self.append(shard, request, leader_epoch, effects);
            }
            Effect::RefuseProduce { request, refusal } => {
                let error = match refusal {
                    ProduceRefusal::NotLeader => ErrorCode::NOT_LEADER_OR_FOLLOWER,
                    ProduceRefusal::NotEnoughReplicas => ErrorCode::NOT_ENOUGH_REPLICAS,
                    ProduceRefusal::StorageFailed => ErrorCode::KAFKA_STORAGE_ERROR,
                };
                self.take_in_flight(request).operation.answer(ProduceAnswer::error(error));
            }
            Effect::AnswerProduce { request, outcome } => {
                let Appending { operation, base_offset, log_append_time_ms, waited_nanoseconds, appended } =
                    self.take_in_flight(request);
                if outcome == ProduceOutcome::Done {
                    shard.note_round_of_batch(appended, waited_nanoseconds);
                }
                operation.answer(match outcome {
                    ProduceOutcome::Done => ProduceAnswer {
                        error: ErrorCode::NONE,
                        base_offset,
                        log_append_time_ms,
                        log_start_offset: self.log.log_start_offset().value(),
                        ..ProduceAnswer::default()
                    },
                    ProduceOutcome::TimedOut => ProduceAnswer::error(ErrorCode::REQUEST_TIMED_OUT),
                    ProduceOutcome::NotEnoughReplicasAfterAppend => {
                        ProduceAnswer::error(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND)
                    }
                    ProduceOutcome::StorageFailed => ProduceAnswer::error(ErrorCode::KAFKA_STORAGE_ERROR),
                    ProduceOutcome::NotLeader => ProduceAnswer::error(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                });
            }
            Effect::HighWatermarkAdvanced { .. } => self.wake_fetches(),
            Effect::Leading { .. } => {
                self.wake_fetches();
                shard.leadership_moved(self);
            }
            Effect::Resigned => {
                self.refuse_queued(ErrorCode::NOT_LEADER_OR_FOLLOWER);
                self.wake_fetches();
                shard.leadership_moved(self);
            }
            Effect::SendFetch { leader } => shard.ask_leader(leader, self.key()),
            Effect::AnswerFetch(answer) => self.answer_fetch(answer),
            Effect::AppendFetched { fetch } => self.append_fetched(shard, fetch, effects),
            Effect::TruncateLog { to, loses_committed } => self.truncate(shard, to, loses_committed),
            Effect::RestartLog { at } => self.restart_log(shard, at),
            Effect::AdvanceLogStart { to } => self.advance_start(shard, to),
            Effect::ProposeInSync => shard.propose_in_sync(self.key()),
        }
    }

    fn append(
        &self,
        shard: &Shard,
        request: RequestToken,
        leader_epoch: LeaderEpoch,
        effects: &mut Vec<Effect>,
    ) {
        let now_ms = shard.clock().unix_ms();
        let mut in_flight = self.in_flight.borrow_mut();
        let entry = in_flight.get_mut(request).expect("the state machine names requests under way");
        let batch = &entry.operation.batch;
        let appended = match self.log.check_producer(header(batch), now_ms) {
            Ok(ProducerCheck::Duplicate { base_offset, append_time_ms }) => {
                entry.base_offset = base_offset.value();
                // As Kafka: whatever the topic's timestamp type, a duplicate is told by its largest timestamp.
                entry.log_append_time_ms = append_time_ms;
                Ok(base_offset.plus(header(batch).record_count.get().into()))
            }
            Ok(ProducerCheck::New) => match self.log.append(batch, leader_epoch, now_ms) {
                Ok(appended) => {
                    entry.base_offset = appended.base_offset.value();
                    if entry.operation.log_append_time {
                        entry.log_append_time_ms = header(batch).max_timestamp.get();
                    }
                    shard.count_appended(&self.traffic, header(batch).record_count.get(), batch.len());
                    Ok(appended.last_offset.plus(1))
                }
                Err(AppendError::NoRoom | AppendError::Inactive) => {
                    drop(in_flight);
                    let Appending { operation, .. } = self.take_in_flight(request);
                    self.queue.borrow_mut().push_front(operation);
                    return;
                }
                Err(error) => Err(append_error(&error)),
            },
            Err(ProducerError::OutOfOrderSequence { .. }) => Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
            Err(ProducerError::InvalidProducerEpoch { .. }) => Err(ErrorCode::INVALID_PRODUCER_EPOCH),
        };
        match appended {
            Ok(end) => {
                let (acks, timeout_ms) = (entry.operation.acks, entry.operation.timeout_ms);
                // The bytes are in the tail now; the frame they came in can go.
                entry.operation.batch = bytes::Bytes::new();
                let began = std::mem::replace(&mut entry.appended, shard.clock().read());
                let append_nanoseconds = shard.clock().nanoseconds(began, entry.appended);
                shard.stages().add(Stage::Append, append_nanoseconds, 1);
                drop(in_flight);
                let event = Event::Appended { request, acks, end, timeout_ms };
                self.machine.borrow_mut().step(now_ms, event, effects);
            }
            Err(error) => {
                drop(in_flight);
                let log_start_offset = match error {
                    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::INVALID_PRODUCER_EPOCH => {
                        self.log.log_start_offset().value()
                    }
                    _ => -1,
                };
                let answer = ProduceAnswer { log_start_offset, ..ProduceAnswer::error(error) };
                self.take_in_flight(request).operation.answer(answer);
            }
        }
    }

    fn refuse(&self, operation: ProduceOperation, error: &AppendError) {
        tracing::warn!(topic = %self.topic, partition = self.key().partition, %error, "refuse an append");
        operation.answer(ProduceAnswer::error(append_error(error)));
    }

    fn take_in_flight(&self, request: RequestToken) -> Appending {
        self.in_flight.borrow_mut().remove(request).expect("a request is answered once")
    }
}

fn header(batch: &[u8]) -> &RecordBatchHeader {
    RecordBatchHeader::peek(batch).expect("the batch was validated")
}

/// What a client is told: all of these are retried, none may make it believe that the batch is in the log.
fn append_error(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Offline(_) | AppendError::Full => ErrorCode::KAFKA_STORAGE_ERROR,
        AppendError::TooLarge(_) => ErrorCode::RECORD_LIST_TOO_LARGE,
        AppendError::Malformed(_) => ErrorCode::CORRUPT_MESSAGE,
        AppendError::NoRoom
        | AppendError::Inactive
        | AppendError::Busy
        | AppendError::StaleLeaderEpoch { .. } => ErrorCode::NOT_LEADER_OR_FOLLOWER,
    }
}

/// What the log obeys of a topic's and the node's configuration.
pub(super) fn log_config(config: &TopicConfig, node: &NodeConfig) -> LogConfig {
    LogConfig {
        segment_bytes: config.segment_bytes.into(),
        segment_ms: config.segment_ms,
        // Segments of a topic that is only compacted are not deleted by age or size.
        retention_ms: config.retention_ms.filter(|_| config.cleanup_policy.delete),
        retention_bytes: config.retention_bytes.filter(|_| config.cleanup_policy.delete),
        index_interval_bytes: config.index_interval_bytes,
        write_caching: config.write_caching,
        compaction: config.cleanup_policy.compact.then_some(CompactionConfig {
            // The table bounds the ratio to 0..=1.
            min_dirty_millionths: (config.min_cleanable_dirty_ratio * 1e6) as u32,
            min_lag_ms: config.min_compaction_lag_ms,
            max_lag_ms: config.max_compaction_lag_ms,
            delete_retention_ms: config.delete_retention_ms,
        }),
        producer_id_expiration_ms: i64::try_from(node.storage.producer_id_expiration_ms).unwrap_or(i64::MAX),
    }
}

fn commit_rule(config: &TopicConfig) -> CommitRule {
    if config.write_caching { CommitRule::Written } else { CommitRule::Flushed }
}
