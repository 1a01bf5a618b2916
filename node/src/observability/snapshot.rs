//! What a node counts and holds at one moment: what its shards tell, its metadata, its quorum, the process, the disk.
//!
//! What must hold: looking never disturbs serving. A shard is asked by one message, puts its answer together in turns, and is
//! not asked again before it has; who looks waits for at most [`ANSWER_TIME`], and takes a shard's last answer instead, whose
//! age is told.
//! Does not do: names and formats (`metrics`).

mod cluster;
mod groups;
mod process;
mod topics;

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use ringmain_quorum::QuorumStatus;
use ringmain_replication::{
    NodeId,
    quic::{PeerCounters, certificates::NodeIdentity},
};

pub(crate) use cluster::ClusterFacts;
pub(crate) use groups::GroupLag;
pub(crate) use process::{DiskSpace, ProcessNumbers};
pub(crate) use topics::{TopicNumbers, TopicSlots};

use crate::{
    metadata::{MetadataEventValues, MetadataImage},
    runtime,
    shard::{FollowerLag, NodeShared, PartitionLag, ShardSnapshot, SnapshotScope},
};

/// How long a shard may take to answer. A shard that is busy for longer serves nobody either.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// A node at one moment.
#[derive(Debug, Clone)]
pub(crate) struct NodeSnapshot {
    pub(crate) taken: Instant,
    /// By number; without those that have never answered.
    pub(crate) shards: Vec<Arc<ShardSnapshot>>,
    /// How often each shard went on, and for how long it has not; also of those that do not answer.
    pub(crate) turns: Vec<(u64, Duration)>,
    /// Of all shards, by the node that follows.
    pub(crate) followers: BTreeMap<NodeId, FollowerLag>,
    /// Followers of single partitions, those that are furthest behind first.
    pub(crate) partitions_behind: Vec<PartitionLag>,
    /// Of all shards, by the node at the other end.
    pub(crate) peers: BTreeMap<NodeId, PeerCounters>,
    /// The topics that have numbers of their own, by name; then one without a name for all others.
    pub(crate) topics: Vec<TopicNumbers>,
    /// The groups that this node coordinates, the largest lag first.
    pub(crate) groups: Vec<GroupLag>,
    pub(crate) cluster: Arc<ClusterFacts>,
    /// What happened in the cluster since this process was registered; `None` for a node that is alone.
    pub(crate) events: Option<MetadataEventValues>,
    /// What this node knows of the quorum; `None` for a node that is alone.
    pub(crate) quorum: Option<QuorumStatus>,
    /// When the others will refuse this node's certificate.
    pub(crate) certificate_until: Option<SystemTime>,
    pub(crate) disk: Option<DiskSpace>,
    pub(crate) process: Option<ProcessNumbers>,
    /// Of the configuration: connections, and groups that have numbers of their own.
    pub(crate) connections_max: usize,
    pub(crate) groups_max: usize,
}

/// What is kept between two looks.
#[derive(Debug)]
pub(crate) struct Snapshots {
    shards: Mutex<Vec<Asked>>,
    answered: Condvar,
    topics: Mutex<TopicSlots>,
    cluster: Mutex<Option<Arc<ClusterFacts>>>,
    certificate: Mutex<Option<(Arc<NodeIdentity>, Option<SystemTime>)>>,
}

/// One shard as who looks knows it.
#[derive(Debug, Clone, Default)]
struct Asked {
    /// Since when an answer is under way.
    since: Option<Instant>,
    last: Option<Arc<ShardSnapshot>>,
}

impl Snapshots {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            shards: Mutex::new(vec![Asked::default(); shards]),
            answered: Condvar::new(),
            topics: Mutex::default(),
            cluster: Mutex::default(),
            certificate: Mutex::default(),
        }
    }

    fn answer(&self, snapshot: ShardSnapshot) {
        let mut shards = lock(&self.shards);
        if let Some(asked) = shards.get_mut(snapshot.shard) {
            *asked = Asked { since: None, last: Some(Arc::new(snapshot)) };
        }
        drop(shards);
        self.answered.notify_all();
    }

    /// Asks every shard that is not being asked already, and waits for answers that were put together from now on.
    fn ask(&self, node: &NodeShared) -> Vec<Arc<ShardSnapshot>> {
        let (begun, scope) = (Instant::now(), scope(node));
        let deadline = begun + ANSWER_TIME;
        let mut shards = lock(&self.shards);
        for (asked, mailbox) in shards.iter_mut().zip(&node.mailboxes) {
            if asked.since.is_some() {
                continue;
            }
            asked.since = Some(begun);
            let snapshots = Arc::clone(&node.snapshots);
            mailbox.send(Box::new(move |shard| {
                let shard = shard.clone();
                runtime::spawn(async move { snapshots.answer(shard.snapshot(scope).await) });
            }));
        }
        let is_old = |asked: &Asked| asked.last.as_ref().is_none_or(|last| last.taken < begun);
        while shards.iter().any(is_old) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.answered.wait_timeout(shards, left);
            shards = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        shards.iter().filter_map(|asked| asked.last.clone()).collect()
    }

    fn cluster(&self, image: &MetadataImage) -> Arc<ClusterFacts> {
        let mut known = lock(&self.cluster);
        match known.as_ref().filter(|facts| facts.version == image.version()) {
            Some(facts) => Arc::clone(facts),
            None => Arc::clone(known.insert(Arc::new(ClusterFacts::of(image)))),
        }
    }

    fn certificate_until(&self, identity: Option<Arc<NodeIdentity>>) -> Option<SystemTime> {
        let identity = identity?;
        let mut known = lock(&self.certificate);
        if let Some((of, until)) = known.as_ref()
            && Arc::ptr_eq(of, &identity)
        {
            return *until;
        }
        let until = identity.valid_until();
        *known = Some((identity, until));
        until
    }
}

/// Looks at everything.
pub(crate) fn take(node: &NodeShared) -> NodeSnapshot {
    let snapshots = &node.snapshots;
    let shards = snapshots.ask(node);
    let image = node.metadata.image();
    let topics_max = node.config.metrics.topics_max;
    let topics = lock(&snapshots.topics).take(&shards, topics_max);
    let (mut followers, mut peers) = (BTreeMap::new(), BTreeMap::new());
    for shard in &shards {
        shard.followers.iter().for_each(|(node, lag)| add_lag(followers.entry(*node).or_default(), lag));
        shard.peers.iter().for_each(|(node, peer)| add_peer(peers.entry(*node).or_default(), peer));
    }
    NodeSnapshot {
        taken: Instant::now(),
        partitions_behind: worst(&shards, scope(node).partitions_behind_max),
        groups: groups::with_lag(&shards, &image),
        cluster: snapshots.cluster(&image),
        events: node.metadata.cluster().map(|cluster| cluster.events()),
        quorum: node.metadata.cluster().and_then(|cluster| cluster.quorum_here()),
        certificate_until: snapshots.certificate_until(node.metadata.identity()),
        disk: DiskSpace::of(&node.config.data_dir),
        process: ProcessNumbers::of_this_process(),
        turns: (0..node.progress.shard_count())
            .map(|shard| (node.progress.turns(shard), node.progress.silence(shard)))
            .collect(),
        connections_max: node.limits.connections_max,
        groups_max: node.config.metrics.groups_max,
        shards,
        followers,
        peers,
        topics,
    }
}

fn scope(node: &NodeShared) -> SnapshotScope {
    let metrics = &node.config.metrics;
    SnapshotScope { partitions_behind_max: metrics.partitions_max, groups: metrics.groups_max > 0 }
}

fn add_lag(sum: &mut FollowerLag, more: &FollowerLag) {
    sum.partitions += more.partitions;
    sum.partitions_behind += more.partitions_behind;
    sum.partitions_out_of_sync += more.partitions_out_of_sync;
    sum.records += more.records;
    sum.records_max = sum.records_max.max(more.records_max);
    sum.bytes += more.bytes;
    sum.since_caught_up_ms_max = sum.since_caught_up_ms_max.max(more.since_caught_up_ms_max);
}

fn add_peer(sum: &mut PeerCounters, more: &PeerCounters) {
    sum.bytes_sent += more.bytes_sent;
    sum.bytes_received += more.bytes_received;
    sum.packets_sent += more.packets_sent;
    sum.packets_lost += more.packets_lost;
    sum.congestion_events += more.congestion_events;
    sum.connections += more.connections;
    sum.congestion_window_bytes += more.congestion_window_bytes;
    sum.round_trip = sum.round_trip.max(more.round_trip);
}

fn worst(shards: &[Arc<ShardSnapshot>], count: usize) -> Vec<PartitionLag> {
    let mut behind: Vec<_> =
        shards.iter().flat_map(|shard| shard.partitions_behind.iter().cloned()).collect();
    behind.sort_by_key(|lag| std::cmp::Reverse(lag.records));
    behind.truncate(count);
    behind
}

/// What is behind these locks is replaced as a whole, so a panic of another holder leaves nothing half done.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
