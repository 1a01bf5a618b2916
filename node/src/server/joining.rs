//! What a node of a cluster does more than one that is alone, from its certificates to its last heartbeat.
//!
//! A start, in the order of the calls: certificates tell the cluster; the control thread starts with the image on the disk;
//! once the shards have opened their logs and said what is damaged, this start is registered; once they have taken their
//! roles and accept clients, the node says so and is unfenced. A stop: leaders are handed over first, for so long at most.
//! A node that is alone passes through all of it without a wait.

use std::{
    net::{ToSocketAddrs, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use ringmain_replication::quic::certificates::NodeIdentity;

use super::{
    Shards, StartError,
    signals::{Signals, Wanted},
};
use crate::{
    config::{ClusterConfig, NodeConfig},
    metadata::{
        ClusterId, DataDirectory, MetadataHandle, MetadataOptions,
        cluster::{self, ClusterOptions},
        control_thread::MetadataThread,
        controller::Surviving,
    },
    shard::NodeShared,
    supervision::Progress,
};

/// How often the main thread looks whether something has happened.
const LOOK: Duration = Duration::from_millis(10);
/// The same, while the node runs.
const LOOK_RUNNING: Duration = Duration::from_millis(200);
/// How long a node that is registered waits until it is unfenced, before it says that it is ready all the same.
const UNFENCE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stop waits until others lead what this node led.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(10);

/// What a node in a cluster starts with.
pub(super) struct Member {
    pub(super) cluster_id: ClusterId,
    cluster: ClusterConfig,
    identity: Arc<NodeIdentity>,
    socket: UdpSocket,
}

/// Reads the certificates and binds the control port; `None` for a node that is alone.
pub(super) fn member(config: &NodeConfig) -> Result<Option<Member>, StartError> {
    let Some(cluster) = config.cluster.clone() else { return Ok(None) };
    let unusable = |problem: String| StartError::Certificates(problem);
    let identity =
        NodeIdentity::load(&cluster.identity_files()).map_err(|error| unusable(error.to_string()))?;
    let cluster_id = ClusterId::parse(identity.cluster_id()).ok_or_else(|| {
        unusable(format!("'{}' is no cluster id; make them with 'ringmain cert init'", identity.cluster_id()))
    })?;
    let listen = &cluster.listen;
    let bind = || {
        let mut addresses = (listen.host.as_str(), listen.port).to_socket_addrs()?;
        let address = addresses.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
        UdpSocket::bind(address)
    };
    let in_use = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    let socket = super::patiently(bind, in_use)
        .map_err(|error| StartError::Listen { address: format!("{listen} (UDP)"), error })?;
    Ok(Some(Member { cluster_id, cluster, identity: Arc::new(identity), socket }))
}

/// Starts the control thread.
pub(super) fn start(
    directory: &DataDirectory,
    options: MetadataOptions,
    member: Member,
    progress: Arc<Progress>,
) -> Result<(MetadataHandle, MetadataThread), StartError> {
    let Member { cluster, identity, socket, .. } = member;
    let MetadataOptions { controller, advertised, rack } = options;
    let shards = progress.shard_count();
    let options =
        ClusterOptions { controller, cluster, identity, advertised, rack, shards, progress, socket };
    Ok(cluster::start(directory, options)?)
}

/// Registers this start, and waits for it. Returns why the node is to stop, if it is.
pub(super) fn register(
    node: &NodeShared,
    shards: &Shards,
    signals: &Signals,
) -> Result<Option<&'static str>, StartError> {
    let Some(cluster) = node.metadata.cluster() else { return Ok(None) };
    let surviving = if shards.damaged == 0 { Surviving::Everything } else { Surviving::Unknown };
    cluster.register(surviving);
    let is_registered = || {
        let image = node.metadata.image();
        image.nodes().get(&node.node_id()).is_some_and(|it| it.incarnation_id == node.incarnation_id)
    };
    wait_until(node, signals, LOOK, &is_registered)
}

/// Lets the node be unfenced, now that it accepts clients, and waits for it.
pub(super) fn serve(node: &NodeShared, signals: &Signals) -> Result<Option<&'static str>, StartError> {
    let Some(cluster) = node.metadata.cluster() else { return Ok(None) };
    cluster.serves();
    let deadline = Instant::now() + UNFENCE_TIMEOUT;
    let is_active = || node.metadata.image().is_active(node.node_id());
    let stop = wait_until(node, signals, LOOK, &|| is_active() || Instant::now() > deadline)?;
    if stop.is_none() && !is_active() {
        tracing::warn!("registered, but still fenced: no controller has heard of this node for a while");
    }
    Ok(stop)
}

/// Waits for a signal to stop, or for the node's own reason to end; does what other signals want.
pub(super) fn wait_for_stop(
    node: &NodeShared,
    signals: &Signals,
    mut reload: impl FnMut(),
) -> Result<Option<&'static str>, StartError> {
    loop {
        let wanted = match node.metadata.cluster() {
            None => Some(signals.wait()?),
            Some(_) => signals.wait_for(LOOK_RUNNING)?,
        };
        match wanted {
            Some(Wanted::Stop(signal)) => return Ok(Some(signal)),
            Some(Wanted::Reload) => reload(),
            None if has_failed(node) => return Ok(Some("failure")),
            None => {}
        }
    }
}

/// Whether a node of a cluster has a reason of its own to end.
fn has_failed(node: &NodeShared) -> bool {
    node.metadata.cluster().is_some_and(|cluster| cluster.failure().is_some())
}

/// Waits until `is_done`; returns why the node is to stop, if that comes first.
fn wait_until(
    node: &NodeShared,
    signals: &Signals,
    look: Duration,
    is_done: &dyn Fn() -> bool,
) -> Result<Option<&'static str>, StartError> {
    while !is_done() {
        match signals.wait_for(look)? {
            Some(Wanted::Stop(signal)) => return Ok(Some(signal)),
            Some(Wanted::Reload) => {
                tracing::warn!("the configuration is not read again before the start is over")
            }
            None if has_failed(node) => return Ok(Some("failure")),
            None => {}
        }
    }
    Ok(None)
}

/// Lets others lead what this node leads.
pub(super) fn hand_over(node: &NodeShared) {
    let Some(cluster) = node.metadata.cluster() else { return };
    cluster.hand_over();
    let deadline = Instant::now() + HAND_OVER_TIMEOUT;
    while !cluster.may_stop() && cluster.failure().is_none() {
        if Instant::now() > deadline {
            return tracing::warn!("stops although others may still look for leaders here");
        }
        std::thread::sleep(LOOK);
    }
}

/// Success, unless the node had to end by itself.
pub(super) fn outcome(node: &NodeShared) -> Result<(), StartError> {
    match node.metadata.cluster().and_then(|cluster| cluster.failure()) {
        None => Ok(()),
        Some(reason) => Err(StartError::Ended(reason)),
    }
}
