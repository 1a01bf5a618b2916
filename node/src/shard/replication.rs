//! The replicas of this shard's partitions on other nodes: connections to whom it follows and from who follows it, and the
//! questions to the controller about who is in sync.
//!
//! One endpoint for each shard. A node dials the shards of others that lead what it follows; who leads what is told by the
//! metadata, and every partition lies on the shard of the leader that its key says. What a partition wants sent arrives as
//! effects of its state machine (`partition/replica.rs`).
//!
//! What must hold: a replica never follows its own node; what is under way to a peer is bounded by the number of partitions
//! and by `cluster.replication_fetch_bytes_max`.
//! Does not do: decisions (`ringmain-replication`), the transport (`ringmain_replication::quic`).

mod counters;
mod downstream;
mod outbox;
mod proposals;
mod signal;
mod upstream;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use ringmain_replication::{
    NodeId, Settings,
    quic::{
        Endpoint, EndpointCounters, EndpointError, PeerCounters, TransportOptions,
        certificates::{MemberCheck, NodeIdentity},
    },
};
use ringmain_storage::LogKey;

pub(crate) use counters::{ReplicationCounters, ReplicationValues};
pub(crate) use downstream::Downstream;
pub(crate) use upstream::HeldFrame;

use super::{Shard, router, topics::Scope};
use crate::{config::NodeConfig, metadata, runtime};
use proposals::Proposals;
use upstream::{PeerShard, Upstream};

/// How long a leader keeps a fetch for which it has nothing, at most: two messages in that time are what an idle partition
/// costs.
const FETCH_WAIT_MS_MAX: i64 = 2_000;
/// How often it is looked whether connections are still needed.
const UNUSED_PERIOD: Duration = Duration::from_secs(5);

/// Everything towards other nodes of one shard.
pub(crate) struct Replication {
    endpoint: Endpoint,
    upstreams: RefCell<HashMap<PeerShard, Rc<Upstream>>>,
    proposals: Rc<Proposals>,
}

impl Replication {
    /// Opens the port of this shard and begins to serve those who follow.
    pub(crate) fn start(
        shard: &Rc<Shard>,
        address: SocketAddr,
        identity: NodeIdentity,
    ) -> Result<(), EndpointError> {
        let metadata = shard.metadata().clone();
        let is_member: MemberCheck =
            std::sync::Arc::new(move |node| metadata.image().nodes().contains_key(&metadata::NodeId(node.0)));
        let options = TransportOptions::default();
        let endpoint = Endpoint::bind(shard.ring(), address, identity, is_member, options)?;
        let proposals = Rc::new(Proposals::default());
        runtime::spawn(proposals.clone().run(shard.clone()));
        let replication = Self { endpoint: endpoint.clone(), upstreams: RefCell::default(), proposals };
        assert!(shard.replication.set(replication).is_ok(), "replication is started once");
        runtime::spawn(accept(shard.clone(), endpoint));
        runtime::spawn(end_unused(shard.clone()));
        Ok(())
    }

    /// Ends all connections; the peers hear of it.
    pub(crate) async fn stop(&self) {
        self.endpoint.stop().await;
    }

    pub(super) fn endpoint_counters(&self) -> EndpointCounters {
        self.endpoint.counters()
    }

    /// What was exchanged with each node.
    pub(super) fn peers(&self) -> BTreeMap<NodeId, PeerCounters> {
        self.endpoint.peers()
    }

    /// Has a partition's fetch sent to its leader.
    fn ask(&self, shard: &Shard, leader: NodeId, key: LogKey) {
        let peer = {
            let image = shard.image();
            let node = image.nodes().get(&metadata::NodeId(leader.0));
            let shards = node.and_then(|node| node.peer.as_ref()).map_or(0, |peer| peer.data_ports.len());
            if shards == 0 {
                // It asks again, and a later image knows more.
                return;
            }
            PeerShard { node: leader, shard: usize::from(router::owner(key, shards).0) }
        };
        let known = self.upstreams.borrow().get(&peer).cloned();
        let upstream = known.unwrap_or_else(|| {
            let upstream = Upstream::new(peer);
            self.upstreams.borrow_mut().insert(peer, upstream.clone());
            runtime::spawn(upstream.clone().run(shard.shared(), self.endpoint.clone()));
            upstream
        });
        upstream.ask(key);
    }
}

impl Shard {
    /// Has a partition's fetch sent to its leader.
    pub(super) fn ask_leader(&self, leader: NodeId, key: LogKey) {
        if let Some(replication) = self.replication.get() {
            replication.ask(self, leader, key);
        }
    }

    /// Tells leaders which of their followers here turned to others by the roles of an image.
    pub(super) fn forget_leaders(&self, scope: &Scope<'_>) {
        let Some(replication) = self.replication.get() else { return };
        let keys = match scope {
            Scope::All => None,
            Scope::Changes(_) => Some(self.looked_at(scope)),
        };
        for upstream in replication.upstreams.borrow().values() {
            upstream.forget_strangers(self, keys.as_deref());
        }
    }

    /// Has the controller asked for the in-sync set that a partition proposes.
    pub(super) fn propose_in_sync(&self, key: LogKey) {
        if let Some(replication) = self.replication.get() {
            replication.proposals.add(key);
        }
    }

    /// The connections to other nodes, where there are any.
    pub(crate) fn replication(&self) -> Option<&Replication> {
        self.replication.get()
    }
}

/// Takes the nodes that follow, until the endpoint stops.
async fn accept(shard: Rc<Shard>, endpoint: Endpoint) {
    while let Some(connection) = endpoint.accept().await {
        runtime::spawn(Downstream::run(shard.clone(), connection));
    }
}

/// Ends connections to nodes that lead nothing any more that is followed here.
async fn end_unused(shard: Rc<Shard>) {
    while !shard.is_stopping() {
        runtime::sleep(UNUSED_PERIOD).await;
        let Some(replication) = shard.replication.get() else { return };
        let image = shard.image();
        let mut used = std::collections::HashSet::new();
        for partition in shard.all_partitions() {
            let Some(node) = partition.leader() else { continue };
            let shards = image.nodes().get(&metadata::NodeId(node.0)).and_then(|it| it.peer.as_ref());
            let shards = shards.map_or(0, |peer| peer.data_ports.len());
            if shards > 0 {
                let shard = usize::from(router::owner(partition.key(), shards).0);
                used.insert(PeerShard { node, shard });
            }
        }
        let unused: Vec<_> =
            replication.upstreams.borrow_mut().extract_if(|peer, _| !used.contains(peer)).collect();
        unused.into_iter().for_each(|(_, upstream)| upstream.end());
    }
}

/// Bytes of records in one answer, but for a batch that is larger alone.
fn answer_bytes_max(shard: &Shard) -> usize {
    shard.config().cluster.as_ref().map_or(0, |cluster| cluster.replication_fetch_bytes_max)
}

/// The times of every partition of this node.
pub(super) fn settings(config: &NodeConfig) -> Settings {
    let Some(cluster) = &config.cluster else { return Settings::default() };
    let lag_ms_max = i64::try_from(cluster.replica_lag_ms).unwrap_or(i64::MAX);
    // An idle follower must be heard of well before it would count as lagging.
    let fetch_wait_ms_max = FETCH_WAIT_MS_MAX.min(lag_ms_max / 4);
    Settings { lag_ms_max, fetch_wait_ms_max, fetch_timeout_ms: fetch_wait_ms_max * 2, ..Settings::default() }
}
