//! What the nodes of the cluster say of their logs and groups: asked by Kafka's protocol, while somebody looks.
//!
//! The metadata image, which every node has, says where everything is; what it does not say (how far each replica is, how
//! large, what groups committed) only the nodes themselves know. Each is asked by a thread of its own over its own
//! connection, so that one that is dead or slow holds up nobody. What must hold: nobody is asked while nobody looks;
//! asking takes a node at most a tenth of the time; what a node said is kept with when it said so, and a reader never waits
//! for a node but at the first look.

mod asking;
mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

pub(crate) use report::{GroupReport, NodeReport, Rates, ReplicaReport};

use crate::{client::TopicPartition, metadata::MetadataImage, shard::NodeShared};

/// How long nodes are asked on after the last look.
const LOOK_TIME: Duration = Duration::from_secs(30);
/// How long the first look waits for the first answers; the next one finds them anyway.
const FIRST_LOOK_TIME: Duration = Duration::from_millis(900);
/// Threads that ask: more nodes than this are shown as the metadata has them.
const ASKERS_MAX: usize = 64;

/// What is known of all nodes, and who asks them.
pub(crate) struct Survey {
    node: Arc<NodeShared>,
    shared: Mutex<Shared>,
    /// Told after each report.
    reported: Condvar,
}

#[derive(Default)]
struct Shared {
    looked_at: Option<Instant>,
    /// Nodes with a thread that asks them.
    asked: BTreeSet<i32>,
    reports: BTreeMap<i32, NodeReport>,
    rates: Arc<Rates>,
}

/// The metadata and what the nodes said, at one moment.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) image: Arc<MetadataImage>,
    pub(crate) reports: BTreeMap<i32, NodeReport>,
    pub(crate) rates: Arc<Rates>,
}

impl Survey {
    pub(crate) fn new(node: Arc<NodeShared>) -> Arc<Self> {
        Arc::new(Self { node, shared: Mutex::default(), reported: Condvar::new() })
    }

    /// What is known; from now on for [`LOOK_TIME`] it is kept fresh.
    pub(crate) fn look(self: &Arc<Self>) -> Seen {
        let image = self.node.metadata.image();
        let now = Instant::now();
        let mut shared = self.lock();
        let is_first = shared.looked_at.is_none_or(|at| now.duration_since(at) > LOOK_TIME);
        shared.looked_at = Some(now);
        if is_first {
            // What was known then says nothing of now, and a rate over the time between would be none.
            shared.reports.clear();
            shared.rates = Arc::default();
        }
        for node_id in image.nodes().keys().map(|node_id| node_id.0).take(ASKERS_MAX) {
            if shared.asked.insert(node_id) && !asking::start(self.clone(), node_id) {
                shared.asked.remove(&node_id);
            }
        }
        let is_waiting = |shared: &mut Shared| shared.reports.len() < shared.asked.len();
        let (shared, _) = self
            .reported
            .wait_timeout_while(shared, if is_first { FIRST_LOOK_TIME } else { Duration::ZERO }, is_waiting)
            .unwrap_or_else(PoisonError::into_inner);
        Seen { image, reports: shared.reports.clone(), rates: shared.rates.clone() }
    }

    /// What is known if somebody looks at present.
    pub(crate) fn glance(&self) -> Option<Seen> {
        let shared = self.lock();
        shared.looked_at.filter(|at| at.elapsed() < LOOK_TIME)?;
        let image = self.node.metadata.image();
        Some(Seen { image, reports: shared.reports.clone(), rates: shared.rates.clone() })
    }

    /// Whether a node is to be asked on; if not, its thread is forgotten and must end.
    fn goes_on(&self, node_id: i32) -> bool {
        let mut shared = self.lock();
        let is_looked_at = shared.looked_at.is_some_and(|at| at.elapsed() < LOOK_TIME);
        let is_there = self.node.metadata.image().nodes().keys().any(|it| it.0 == node_id);
        let goes_on = is_looked_at && is_there && !self.node.stopping.load(Ordering::Acquire);
        if !goes_on {
            shared.asked.remove(&node_id);
            shared.reports.remove(&node_id);
        }
        goes_on
    }

    /// Takes what a node said, and how far the logs that it leads have come.
    fn answered(&self, node_id: i32, report: NodeReport) {
        let mut shared = self.lock();
        if let Some(at) = report.answered_at {
            let led = report.replicas.iter().filter_map(|(key, it)| Some((key, it.high_watermark?)));
            Arc::make_mut(&mut shared.rates).update(node_id, at, led);
        }
        shared.reports.insert(node_id, report);
        self.reported.notify_all();
    }

    /// Takes note that a node cannot be asked. What it said before is kept: its age tells.
    fn failed(&self, node_id: i32, problem: String) {
        let mut shared = self.lock();
        let report = shared.reports.entry(node_id).or_default();
        let since = report.problem.take().map_or_else(Instant::now, |before| before.since);
        report.problem = Some(report::Problem { what: problem, since });
        self.reported.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// What a node said of its replica of a partition.
    pub(crate) fn replica(&self, node_id: i32, partition: &TopicPartition) -> Option<&ReplicaReport> {
        self.reports.get(&node_id)?.replicas.get(partition)
    }

    /// How many records of the leader a follower did not have when it was asked: of the newest answer of the leader that
    /// is not younger than the follower's, so that nobody seems to lag who was only asked earlier.
    pub(crate) fn lag(&self, leader: i32, follower: i32, partition: &TopicPartition) -> Option<i64> {
        let (led, followed) = (self.replica(leader, partition)?, self.replica(follower, partition)?);
        let asked = |node_id: i32| self.reports.get(&node_id)?.answered_at;
        let (leader_at, follower_at) = (asked(leader)?, asked(follower)?);
        let end = if leader_at <= follower_at { led.end } else { led.end_before.unwrap_or(led.end) };
        Some((end - followed.end).max(0))
    }
}
