//! What a shard counts and holds, put together for whoever shows it: metrics and the console.
//!
//! What must hold: looking costs nobody a wait. Partitions and groups are looked at in turns of a bounded size, with everything
//! else of the shard between two of them; what is handed out is the reader's own.
//! Does not do: what it is called and how it is written (`observability`).

use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Instant};

use ringmain_replication::{
    NodeId,
    quic::{EndpointCounters, PeerCounters},
};
use ringmain_storage::{LogKey, StoreStats, TopicId, disk::direct::RingCounters};

use super::{
    CounterValues, GroupProgress, GroupValues, Partition, ReplicationValues, RequestValues, RoundValues,
    Shard, traffic::TopicTrafficValues,
};
use crate::{
    observability::{HistogramValues, StageValues},
    runtime,
};

/// Partitions looked at in one turn: some tens of microseconds.
const PARTITIONS_IN_A_TURN: usize = 256;

/// How closely to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotScope {
    /// Partitions with the followers that are furthest behind.
    pub(crate) partitions_behind_max: usize,
    /// Whether groups are wanted one by one.
    pub(crate) groups: bool,
}

/// One shard at one moment.
#[derive(Debug, Clone)]
pub(crate) struct ShardSnapshot {
    pub(crate) shard: usize,
    pub(crate) taken: Instant,
    pub(crate) counters: CounterValues,
    pub(crate) requests: RequestValues,
    pub(crate) stages: StageValues,
    pub(crate) rounds: RoundValues,
    /// How late the shard came to what was due.
    pub(crate) delays: HistogramValues,
    pub(crate) connections_open: u64,
    /// Request bytes under way, and how many there may be.
    pub(crate) request_bytes: (usize, usize),
    pub(crate) ring: RingCounters,
    pub(crate) operations_under_way: usize,
    pub(crate) store: StoreStats,
    pub(crate) partitions: PartitionTotals,
    /// By the node that follows.
    pub(crate) followers: BTreeMap<NodeId, FollowerLag>,
    /// The worst first.
    pub(crate) partitions_behind: Vec<PartitionLag>,
    pub(crate) topics: BTreeMap<TopicId, TopicSize>,
    pub(crate) traffic: Vec<(TopicId, Arc<str>, TopicTrafficValues)>,
    /// Up to where consumers can read each partition that is here.
    pub(crate) ends: Vec<(LogKey, i64)>,
    pub(crate) replication: ReplicationValues,
    pub(crate) quic: EndpointCounters,
    /// By the node at the other end.
    pub(crate) peers: BTreeMap<NodeId, PeerCounters>,
    pub(crate) groups: GroupValues,
    pub(crate) group_progress: Vec<GroupProgress>,
}

/// The partitions of a shard together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PartitionTotals {
    pub(crate) served: u64,
    pub(crate) led: u64,
    pub(crate) followed: u64,
    /// Led here, and a replica is not in sync.
    pub(crate) under_replicated: u64,
    pub(crate) damaged: u64,
    /// Not compacted any more until the next start.
    pub(crate) uncleanable: u64,
    pub(crate) size_bytes: u64,
    pub(crate) segments: u64,
}

/// How far one node is behind in what it follows of this shard.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FollowerLag {
    pub(crate) partitions: u64,
    /// Of those, the ones of which it lacks records.
    pub(crate) partitions_behind: u64,
    pub(crate) partitions_out_of_sync: u64,
    /// Records that it lacks of all of them.
    pub(crate) records: u64,
    /// The most that it lacks of one.
    pub(crate) records_max: u64,
    /// What they weigh, by the mean size of each partition's records.
    pub(crate) bytes: u64,
    /// The longest time since it last had everything of one of which it lacks records.
    pub(crate) since_caught_up_ms_max: u64,
}

/// A follower of one partition that lacks records.
#[derive(Debug, Clone)]
pub(crate) struct PartitionLag {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) follower: NodeId,
    pub(crate) records: u64,
}

/// What a topic has on one shard.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicSize {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: u64,
    pub(crate) size_bytes: u64,
    pub(crate) segments: u64,
}

/// What a walk over the partitions gathers.
#[derive(Default)]
struct Walk {
    partitions: PartitionTotals,
    followers: BTreeMap<NodeId, FollowerLag>,
    partitions_behind: Vec<PartitionLag>,
    topics: BTreeMap<TopicId, TopicSize>,
    ends: Vec<(LogKey, i64)>,
}

impl Shard {
    /// Puts together what this shard counts and holds.
    pub(crate) async fn snapshot(self: Rc<Self>, scope: SnapshotScope) -> ShardSnapshot {
        let mut walk = Walk::default();
        for (turn, partitions) in self.all_partitions().chunks(PARTITIONS_IN_A_TURN).enumerate() {
            if turn > 0 {
                runtime::yield_to_reactor().await;
            }
            partitions.iter().for_each(|partition| walk.look_at(partition));
            walk.keep_worst(scope.partitions_behind_max);
        }
        let group_progress = if scope.groups { self.group_progress().await } else { Vec::new() };
        self.put_together(walk, group_progress)
    }

    fn put_together(&self, walk: Walk, group_progress: Vec<GroupProgress>) -> ShardSnapshot {
        let Walk { partitions, followers, partitions_behind, topics, ends } = walk;
        ShardSnapshot {
            shard: usize::from(self.id().0),
            taken: Instant::now(),
            counters: self.counters().values(),
            requests: self.requests().values(),
            stages: self.stages().values(),
            rounds: self.round_values(),
            delays: self.delays.values(),
            connections_open: self.connections().count() as u64,
            request_bytes: self.request_bytes().in_flight(),
            ring: self.ring().counters(),
            operations_under_way: self.ring().operations_under_way(),
            store: self.store().stats(),
            partitions: PartitionTotals {
                damaged: self.refused_count() as u64,
                uncleanable: self.uncleanable_partitions() as u64,
                ..partitions
            },
            followers,
            partitions_behind,
            topics,
            traffic: self.traffic.values(&self.image()),
            ends,
            replication: self.replication_counters().values(),
            quic: self.replication().map(|it| it.endpoint_counters()).unwrap_or_default(),
            peers: self.replication().map(|it| it.peers()).unwrap_or_default(),
            groups: self.group_values(),
            group_progress,
        }
    }
}

impl Walk {
    fn look_at(&mut self, partition: &Partition) {
        let (log, key) = (partition.log(), partition.key());
        let (size_bytes, segments) = (log.size_bytes(), log.segment_count() as u64);
        let totals = &mut self.partitions;
        totals.served += 1;
        totals.led += u64::from(partition.is_leading());
        totals.followed += u64::from(partition.is_following());
        totals.size_bytes += size_bytes;
        totals.segments += segments;
        self.ends.push((key, partition.high_watermark().value()));
        let topic = self.topics.entry(key.topic_id).or_default();
        if topic.partitions == 0 {
            topic.name = partition.topic_name().clone();
        }
        topic.partitions += 1;
        topic.size_bytes += size_bytes;
        topic.segments += segments;
        self.look_at_followers(partition, size_bytes);
    }

    fn look_at_followers(&mut self, partition: &Partition, size_bytes: u64) {
        let log = partition.log();
        let held =
            log.log_end_offset().value().saturating_sub(log.log_start_offset().value()).max(1).unsigned_abs();
        let mut is_under_replicated = false;
        for replica in partition.replica_lags() {
            let (follower, records) = (replica.node, replica.lag_records);
            let lag = self.followers.entry(follower).or_default();
            is_under_replicated |= !replica.is_in_sync;
            lag.partitions += 1;
            lag.partitions_out_of_sync += u64::from(!replica.is_in_sync);
            // Who has everything now is not late, however long nothing was written.
            if records == 0 {
                continue;
            }
            lag.partitions_behind += 1;
            lag.records += records;
            lag.records_max = lag.records_max.max(records);
            lag.bytes += (size_bytes as f64 / held as f64 * records as f64) as u64;
            let since_ms = replica.since_caught_up_ms.unwrap_or(0).unsigned_abs();
            lag.since_caught_up_ms_max = lag.since_caught_up_ms_max.max(since_ms);
            let (topic, partition) = (partition.topic_name().clone(), partition.key().partition);
            self.partitions_behind.push(PartitionLag { topic, partition, follower, records });
        }
        self.partitions.under_replicated += u64::from(is_under_replicated);
    }

    fn keep_worst(&mut self, count: usize) {
        self.partitions_behind.sort_unstable_by(|one, other| {
            other
                .records
                .cmp(&one.records)
                .then_with(|| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)))
        });
        self.partitions_behind.truncate(count);
    }
}
