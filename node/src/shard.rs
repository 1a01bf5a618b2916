//! One core: the partitions it owns, the connections it accepted, its store; and calls to the other cores.
//!
//! What must hold: everything here is touched by this shard's thread only; a partition belongs to exactly one shard;
//! what another shard wants of it arrives as a call.
//! Does not do: what requests mean (`handlers.rs`), decisions (`ringmain-replication`), files (`ringmain-storage`).

mod commit_loop;
mod compaction;
mod coordinators;
mod counters;
mod fetch;
mod file_range;
mod gather;
mod getting_on;
mod in_flight;
mod log_key_hash;
mod mailbox;
mod maintenance;
mod partition;
mod produce;
mod replicas;
mod replication;
mod request_counters;
mod router;
mod snapshot;
mod topics;
mod traffic;
mod turn_clock;

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashMap,
    future::{Future, poll_fn},
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use futures_channel::oneshot;
use ringmain_protocol::ErrorCode;
use ringmain_replication::Effect;
use ringmain_storage::{LogKey, ShardId, Store, disk::direct::Ring};

pub(crate) use commit_loop::RoundValues;
pub(crate) use coordinators::{GroupProgress, GroupValues};
pub(crate) use counters::{CounterValues, Counters};
pub(crate) use fetch::{Consumer, FetchWaiter, PartitionFetch, PartitionFetched, read_error};
pub(crate) use gather::Gather;
pub(crate) use getting_on::say_that_replay_gets_on;
pub(crate) use mailbox::{Inbox, Mailbox, mailbox};
pub(crate) use partition::Partition;
pub(crate) use produce::{ProduceAnswer, ProduceOperation, Reply, RequestBytesGuard};
pub(crate) use replication::{Replication, ReplicationValues};
pub(crate) use request_counters::{RequestCounters, RequestValues};
pub(crate) use router::owner;
pub(crate) use snapshot::{FollowerLag, PartitionLag, ShardSnapshot, SnapshotScope, TopicSize};
pub(crate) use traffic::TopicTrafficValues;
pub(crate) use turn_clock::TurnClock;

use crate::{
    config::{HostPort, NodeConfig, describe::NodeFacts},
    metadata::{IncarnationId, MetadataHandle, NodeId, controller::ProducerIdBlock},
    observability::{Histogram, Snapshots, Stages},
    runtime::{self, Listener, NodeDisk, TickSource},
    server::{Connections, Limits, OutgoingPool, ReceiveBuffers},
    supervision::Progress,
};
use log_key_hash::LogKeyHashing;
use mailbox::{Credit, Credits};

/// Ticks in which every partition has had its turn.
const TICKS_FOR_ALL: usize = 10;

/// What all shards of a node share; read-only after start.
pub(crate) struct NodeShared {
    pub(crate) config: NodeConfig,
    pub(crate) limits: Limits,
    /// Where clients are told to connect.
    pub(crate) advertised: HostPort,
    /// What DescribeConfigs tells of the listener.
    pub(crate) facts: NodeFacts,
    pub(crate) metadata: MetadataHandle,
    /// Drawn at this start of a node in a cluster, zero where it is alone: an image with it knows this process.
    pub(crate) incarnation_id: IncarnationId,
    /// All shards measure with the same one, so that they can compare.
    pub(crate) ticks: TickSource,
    /// How far the node is, and whether its shards get on.
    pub(crate) progress: Arc<Progress>,
    /// Set once, when the node is told to stop; before any shard begins to.
    pub(crate) stopping: AtomicBool,
    /// One for each shard, by its number.
    pub(crate) mailboxes: Vec<Mailbox>,
    /// What the shards told last of what they count and hold.
    pub(crate) snapshots: Arc<Snapshots>,
}

/// One core of the node.
pub(crate) struct Shard {
    /// Itself, for tasks that outlive a call.
    this: Weak<Shard>,
    id: ShardId,
    node: Arc<NodeShared>,
    store: Store<NodeDisk>,
    ring: Ring,
    partitions: RefCell<HashMap<LogKey, Rc<Partition>, LogKeyHashing>>,
    topics: topics::Topics,
    unserved: replicas::UnservedLogs,
    coordinators: coordinators::Coordinators,
    /// Set once, where the node is in a cluster.
    replication: OnceCell<replication::Replication>,
    replication_counters: replication::ReplicationCounters,
    /// Ticks so far; each takes a share of the partitions that wait for nothing.
    ticks: Cell<usize>,
    credits: Vec<Rc<Credits>>,
    listener: RefCell<Option<Rc<Listener>>>,
    connections: Connections,
    receive_buffers: ReceiveBuffers,
    outgoing: OutgoingPool,
    fetch_numbers: fetch::FetchNumbers,
    request_bytes: Rc<produce::RequestBytes>,
    fetch_sessions: crate::handlers::FetchSessions,
    counters: Counters,
    requests: RequestCounters,
    traffic: traffic::Traffic,
    clock: TurnClock,
    stages: Stages,
    /// How late the shard comes to what it has to do.
    delays: Histogram,
    /// The round of group commit that is being reported to its partitions.
    reported_round: Cell<Option<commit_loop::RoundTimes>>,
    round_watch: commit_loop::RoundWatch,
    round_seconds: commit_loop::RoundSeconds,
    /// Reused by every step of a partition's state machine.
    effects: Cell<Vec<Effect>>,
    stopper: RefCell<Option<Waker>>,
    producer_ids: Cell<ProducerIdBlock>,
}

impl NodeShared {
    /// This node's number in its cluster.
    pub(crate) fn node_id(&self) -> NodeId {
        NodeId(self.config.node_id)
    }
}

impl Shard {
    /// A shard with its store open and no partitions yet.
    pub(crate) fn new(id: ShardId, node: Arc<NodeShared>, store: Store<NodeDisk>, ring: Ring) -> Rc<Self> {
        let shards = node.mailboxes.len();
        Rc::new_cyclic(|this| Self {
            this: this.clone(),
            replication: OnceCell::new(),
            replication_counters: replication::ReplicationCounters::default(),
            ticks: Cell::new(0),
            id,
            store,
            ring,
            partitions: RefCell::default(),
            topics: topics::Topics::new(),
            unserved: replicas::UnservedLogs::default(),
            coordinators: coordinators::Coordinators::default(),
            credits: (0..shards).map(|_| Rc::default()).collect(),
            listener: RefCell::default(),
            connections: Connections::default(),
            receive_buffers: ReceiveBuffers::default(),
            outgoing: OutgoingPool::default(),
            request_bytes: Rc::new(produce::RequestBytes::new(node.config.limits.shard_in_flight_bytes_max)),
            fetch_numbers: fetch::FetchNumbers::new(id.0),
            fetch_sessions: crate::handlers::FetchSessions::new(
                id,
                shards,
                node.config.limits.fetch_sessions_max,
            ),
            counters: Counters::default(),
            requests: RequestCounters::default(),
            traffic: traffic::Traffic::default(),
            clock: TurnClock::new(node.ticks),
            stages: Stages::default(),
            delays: Histogram::default(),
            reported_round: Cell::default(),
            round_watch: commit_loop::RoundWatch::default(),
            round_seconds: commit_loop::RoundSeconds::default(),
            effects: Cell::default(),
            stopper: RefCell::default(),
            producer_ids: Cell::new(ProducerIdBlock { first: 0, count: 0 }),
            node,
        })
    }

    /// A handle to itself.
    pub(crate) fn shared(&self) -> Rc<Self> {
        self.this.upgrade().expect("whoever calls it holds it")
    }

    pub(crate) fn id(&self) -> ShardId {
        self.id
    }

    pub(crate) fn node(&self) -> &NodeShared {
        &self.node
    }

    pub(crate) fn config(&self) -> &NodeConfig {
        &self.node.config
    }

    pub(crate) fn metadata(&self) -> &MetadataHandle {
        &self.node.metadata
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What clients ask and are told.
    pub(crate) fn requests(&self) -> &RequestCounters {
        &self.requests
    }

    pub(crate) fn clock(&self) -> &TurnClock {
        &self.clock
    }

    /// Where the time of produced batches goes.
    pub(crate) fn stages(&self) -> &Stages {
        &self.stages
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(crate) fn receive_buffers(&self) -> &ReceiveBuffers {
        &self.receive_buffers
    }

    /// What answers are sent with.
    pub(crate) fn outgoing(&self) -> &OutgoingPool {
        &self.outgoing
    }

    pub(crate) fn request_bytes(&self) -> &Rc<produce::RequestBytes> {
        &self.request_bytes
    }

    pub(crate) fn fetch_sessions(&self) -> &crate::handlers::FetchSessions {
        &self.fetch_sessions
    }

    /// The listener to shut down when the node stops.
    pub(crate) fn set_listener(&self, listener: Rc<Listener>) {
        *self.listener.borrow_mut() = Some(listener);
    }

    /// Readiness of sockets.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// An id that no producer ever had. Each shard gives from a block of its own.
    pub(crate) async fn next_producer_id(&self) -> Result<i64, ErrorCode> {
        loop {
            let block = self.producer_ids.get();
            if block.count > 0 {
                self.producer_ids.set(ProducerIdBlock { first: block.first + 1, count: block.count - 1 });
                return Ok(block.first);
            }
            // Several requests may get here at once; a block that is replaced unused is lost, and there are 2^63 ids.
            let node_id = self.node.node_id();
            let allocated = self.metadata().allocate_producer_ids(node_id).await;
            let block = allocated.map_err(|error| error.error_code())?.map_err(|refusal| refusal.code)?;
            self.producer_ids.set(block);
        }
    }

    pub(crate) fn store(&self) -> &Store<NodeDisk> {
        &self.store
    }

    /// A partition that this shard owns and has opened.
    pub(crate) fn partition(&self, key: LogKey) -> Option<Rc<Partition>> {
        self.partitions.borrow().get(&key).cloned()
    }

    /// Runs a job on a partition that is open on this node, on the shard that owns it. The job says which role it needs.
    pub(crate) async fn on_partition<T, F, Fut>(self: &Rc<Self>, key: LogKey, job: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(Rc<Partition>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, ErrorCode>> + 'static,
    {
        let on_owner = move |shard: Rc<Shard>| async move { job(shard.open_partition(key)?).await };
        self.run_on(self.owner(key), on_owner).await
    }

    /// A partition of this shard, or why it is not open.
    pub(crate) fn open_partition(&self, key: LogKey) -> Result<Rc<Partition>, ErrorCode> {
        self.partition(key).ok_or_else(|| self.absent(key))
    }

    /// The key of a partition that the metadata knows.
    pub(crate) fn key(&self, topic: &str, partition: i32) -> Option<LogKey> {
        let topic = self.topic(topic).filter(|topic| topic.has_partition(partition))?;
        Some(LogKey { topic_id: topic.topic_id(), partition })
    }

    /// Partitions that have something to do at this tick: those that wait for something, and in a cluster a share of the
    /// others, so that each of them has its turn within a second.
    fn partitions_to_tick(&self) -> Vec<Rc<Partition>> {
        let share = self.ticks.get() % TICKS_FOR_ALL;
        self.ticks.set(share + 1);
        let is_in_cluster = self.replication.get().is_some();
        let partitions = self.partitions.borrow();
        let is_due = |place: usize, partition: &Partition| {
            (is_in_cluster && place % TICKS_FOR_ALL == share) || partition.wants_tick()
        };
        let due = partitions.values().enumerate().filter(|(place, partition)| is_due(*place, partition));
        due.map(|(_, partition)| partition.clone()).collect()
    }

    /// Names a fetch, on the whole node.
    pub(crate) fn next_fetch_number(&self) -> u64 {
        self.fetch_numbers.next()
    }

    fn take_effects(&self) -> Vec<Effect> {
        self.effects.take()
    }

    fn put_effects(&self, mut effects: Vec<Effect>) {
        effects.clear();
        self.effects.set(effects);
    }

    /// The shard that owns a partition.
    pub(crate) fn owner(&self, key: LogKey) -> ShardId {
        match self.node.mailboxes.len() {
            1 => self.id,
            shards => router::owner(key, shards),
        }
    }

    /// All shards of the node.
    pub(crate) fn all_shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..u16::try_from(self.node.mailboxes.len()).expect("the number of shards is a u16")).map(ShardId)
    }

    /// Runs `start` on another shard, in the order of calls, with the means to answer. Waits while too many calls to
    /// that shard are under way.
    pub(crate) async fn call<T, F>(self: &Rc<Self>, target: ShardId, start: F) -> Call<T>
    where
        T: Send + 'static,
        F: FnOnce(&Rc<Shard>, oneshot::Sender<T>) + Send + 'static,
    {
        let credit = self.credits[usize::from(target.0)].take().await;
        let (sender, receiver) = oneshot::channel();
        self.node.mailboxes[usize::from(target.0)].send(Box::new(move |shard| start(shard, sender)));
        Call { receiver, _credit: credit }
    }

    /// Runs a future on the shard that owns what it needs, and returns its value. On this shard it runs in place.
    pub(crate) async fn run_on<T, F, Fut>(self: &Rc<Self>, target: ShardId, job: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Rc<Shard>) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        if target == self.id {
            return job(self.clone()).await;
        }
        let call = self.call(target, move |shard, reply| {
            let future = job(shard.clone());
            runtime::spawn(async move {
                // The caller may have given up, when its connection ended; nobody needs the value then.
                drop(reply.send(future.await));
            });
        });
        call.await.value().await
    }

    /// As [`Shard::run_on`], for a future that may take minutes: it counts as a call under way only until it began, so
    /// that those who wait for other members of a group do not keep other calls from being made. Each of them is a
    /// request that its connection waits for.
    pub(crate) async fn run_long_on<T, F, Fut>(self: &Rc<Self>, target: ShardId, job: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Rc<Shard>) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        if target == self.id {
            return job(self.clone()).await;
        }
        let (sender, receiver) = oneshot::channel();
        let begin = self.call(target, move |shard, begun| {
            let future = job(shard.clone());
            runtime::spawn(async move {
                // The caller may have given up, when its connection ended; nobody needs the value then.
                drop(sender.send(future.await));
            });
            // As above.
            begun.send(()).unwrap_or_default();
        });
        begin.await.value().await;
        match receiver.await {
            Ok(value) => value,
            // As for calls: the node is stopping.
            Err(oneshot::Canceled) => std::future::pending().await,
        }
    }

    /// Runs the jobs that other shards send, until the node stops.
    pub(crate) async fn serve_inbox(self: Rc<Self>, mut inbox: Inbox) {
        /// Jobs run before other tasks get their turn.
        const JOBS_IN_A_TURN: usize = 256;
        let mut jobs = 0;
        while let Some(job) = futures_util::StreamExt::next(&mut inbox).await {
            job(&self);
            jobs += 1;
            if jobs == JOBS_IN_A_TURN {
                jobs = 0;
                runtime::yield_to_reactor().await;
            }
        }
    }

    /// Takes no more requests; what was received is answered.
    pub(crate) fn begin_stop(self: &Rc<Self>) {
        assert!(self.is_stopping(), "the node says so to all shards at once");
        if let Some(listener) = self.listener.take() {
            listener.shutdown();
        }
        self.connections.drain_all();
        self.all_partitions().iter().for_each(|partition| partition.wake_fetches());
        self.resign_groups();
        self.stopper.take().into_iter().for_each(Waker::wake);
    }

    /// Waits for [`Shard::begin_stop`].
    pub(crate) async fn stopped(&self) {
        poll_fn(|context| {
            if self.is_stopping() && self.listener.borrow().is_none() {
                return Poll::Ready(());
            }
            *self.stopper.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.node.stopping.load(Ordering::Acquire)
    }
}

/// A call under way to another shard.
pub(crate) struct Call<T> {
    receiver: oneshot::Receiver<T>,
    _credit: Credit,
}

impl<T> Call<T> {
    /// The answer.
    pub(crate) async fn value(self) -> T {
        match self.receiver.await {
            Ok(value) => value,
            // Shards end together, after all connections: a call without an answer means that the node is stopping, and
            // this task is dropped with the executor.
            Err(oneshot::Canceled) => std::future::pending().await,
        }
    }
}
