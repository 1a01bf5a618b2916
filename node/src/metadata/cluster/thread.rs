//! The thread `control`: one tokio runtime for the quorum, the controller, and what this node asks of it.
//!
//! A start in steps: the files are opened; the quorum starts, and with it the image that the file gives is published; then
//! orders are taken. A stop: the quorum hands over if it leads, and closes its file. Failure modes: a quorum that stopped by
//! itself (its file failed, or a record makes no sense) makes the node end with the reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use ringmain_quorum::{
    Address, NodeId as QuorumNode, Quorum, QuorumOptions, QuorumStore, SnapshotOptions, Timing, Transport,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::asking;
use super::certificates::ControlCertificates;
use super::controller::ControllerTask;
use super::registration::Registration;
use super::starts::Starts;
use super::state::ImageState;
use super::{
    ClusterHandle, ClusterOptions, ClusterStartError, Order, QUORUM_FILE, REQUEST_TIMEOUT,
    REQUESTS_WAITING_MAX, Shared,
};
use crate::config::ClusterConfig;
use crate::metadata::control_thread::MetadataThread;
use crate::metadata::events::MetadataEvents;
use crate::metadata::identity::random_incarnation_id;
use crate::metadata::{DataDirectory, ImageWatch, MetadataHandle, MetadataImage, NodeId};
use crate::runtime;

/// What the thread starts with.
struct Parts {
    handle: ClusterHandle,
    orders: mpsc::UnboundedReceiver<Order>,
    store: QuorumStore,
    starts: Starts,
    options: ClusterOptions,
    cluster_id: crate::metadata::ClusterId,
    node_id: NodeId,
}

/// Opens the files, starts the thread, and waits for the quorum.
pub(super) fn start(
    directory: &DataDirectory,
    options: ClusterOptions,
) -> Result<(MetadataHandle, MetadataThread), ClusterStartError> {
    if directory.metadata_path().exists() {
        return Err(ClusterStartError::WasAlone(directory.path().to_owned()));
    }
    let cluster_id = directory.cluster_id().clone();
    let node = QuorumNode(directory.node_id().0);
    let store = QuorumStore::open(&directory.path().join(QUORUM_FILE), cluster_id.as_str(), node)?;
    let starts = Starts::read(directory.path())?;
    let (orders, receiver) = mpsc::unbounded_channel();
    let handle = ClusterHandle(Arc::new(Shared {
        orders,
        waiting: Arc::new(Semaphore::new(REQUESTS_WAITING_MAX)),
        identity: Arc::clone(&options.identity),
        incarnation: random_incarnation_id().map_err(ClusterStartError::Thread)?,
        registration: AtomicI64::new(-1),
        applied: (0..options.shards).map(|_| AtomicU64::new(0)).collect(),
        progress: Arc::clone(&options.progress),
        accepts: AtomicBool::new(false),
        may_stop: AtomicBool::new(false),
        quorum: OnceLock::new(),
        events: Arc::default(),
        failure: Mutex::new(None),
    }));
    let node_id = directory.node_id();
    let parts =
        Parts { handle: handle.clone(), orders: receiver, store, starts, options, cluster_id, node_id };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ClusterStartError::Thread)?;
    let (started, starting) = channel();
    let thread = thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            take_priority();
            runtime.block_on(run(parts, started));
            // Tasks that wait for a peer end with the runtime.
            runtime.shutdown_background();
        })
        .map_err(ClusterStartError::Thread)?;
    let (first, watch) = starting.recv().map_err(|_| ClusterStartError::Ended)??;
    Ok((MetadataHandle::in_cluster(handle, first, watch), MetadataThread(thread)))
}

/// Above the shards and everything else of usual priority: a heartbeat is little work, and one that is late costs an election.
const NICENESS: i32 = -10;

/// Asks for more of a busy core than others get. What this thread starts inherits it: the thread that writes the quorum's
/// file, too.
fn take_priority() {
    if let Err(error) = runtime::set_niceness(NICENESS) {
        tracing::debug!(
            "the control thread has no priority over others ({error}); LimitNICE=-10 would allow it"
        );
    }
}

/// The image that the file gives, and a watch of those to come.
type Started = Result<(Arc<MetadataImage>, ImageWatch), ClusterStartError>;

async fn run(parts: Parts, started: Sender<Started>) {
    let Parts { handle, mut orders, store, starts, options, cluster_id, node_id } = parts;
    let counted = Arc::clone(&handle.0.events);
    let (state, watch) = ImageState::new(MetadataEvents::new(node_id, handle.incarnation(), counted));
    let ClusterOptions { controller, cluster, identity, advertised, rack, socket, .. } = options;
    let transport = Transport { socket, certificates: Arc::new(ControlCertificates(identity)) };
    let quorum_options = quorum_options(cluster_id.as_str(), &cluster);
    let (quorum, requests) =
        match Quorum::start(quorum_options, store, Box::new(state), Some(transport)).await {
            Ok(parts) => parts,
            Err(error) => {
                // The main thread waits for this and ends the process.
                drop(started.send(Err(error.into())));
                return;
            }
        };
    // Nothing was heard from others yet.
    let first = watch.current();
    handle.0.quorum.set(quorum.clone()).expect("one thread sets it once");
    tokio::spawn(tell_who_leads(quorum.clone()));
    let watching = tokio::spawn(watch_for_failure(quorum.clone(), handle.clone()));
    let deciding = ControllerTask {
        quorum: quorum.clone(),
        requests,
        watch: watch.clone(),
        options: controller,
        cluster_id: cluster_id.clone(),
        voters: cluster.voters.len(),
        session_timeout: std::time::Duration::from_millis(cluster.session_timeout_ms),
    };
    tokio::spawn(deciding.run());
    let mut registration =
        Some(Registration::new(&handle, quorum.clone(), starts, &cluster_id, &cluster, &advertised, rack));
    drop(started.send(Ok((first, watch.clone()))));

    let (hand_over, wants_stop) = tokio::sync::watch::channel(false);
    while let Some(order) = orders.recv().await {
        match order {
            Order::Ask { asked, reply, permit } => {
                let (quorum, watch) = (quorum.clone(), watch.clone());
                tokio::spawn(async move {
                    let deadline = Instant::now() + REQUEST_TIMEOUT;
                    let outcome = asking::ask(&quorum, &watch, &asked, deadline).await;
                    // A client that is gone needs no answer.
                    let _ = reply.send(outcome);
                    drop(permit);
                });
            }
            Order::Register(surviving) => {
                if let Some(registration) = registration.take() {
                    tokio::spawn(registration.run(surviving, wants_stop.clone()));
                }
            }
            Order::HandOver => _ = hand_over.send_replace(true),
            Order::Stop => break,
        }
    }
    // From here on it stops because it was told to.
    watching.abort();
    quorum.stop().await;
}

fn quorum_options(cluster_id: &str, cluster: &ClusterConfig) -> QuorumOptions {
    let address = |host: &str, port| Address { host: host.to_owned(), port };
    let voters: BTreeMap<_, _> = cluster
        .voters
        .iter()
        .map(|voter| (QuorumNode(voter.node_id), address(&voter.address.host, voter.address.port)))
        .collect();
    QuorumOptions {
        cluster_id: cluster_id.to_owned(),
        address: address(cluster.advertised_host(), cluster.listen.port),
        voters,
        timing: Timing::default(),
        snapshot: SnapshotOptions::default(),
    }
}

/// One line for each controller that this node hears of, and one when there is none.
async fn tell_who_leads(quorum: Quorum) {
    let mut leader = quorum.leader();
    let mut told = None;
    while let Some(view) = leader.changed().await {
        let now = view.leader.map(|(leader, _)| (leader.node, view.term));
        match now {
            Some((node, term)) if now != told => tracing::info!(term, "node {node} leads the quorum"),
            None if told.is_some() => tracing::warn!(term = view.term, "nobody leads the quorum"),
            _ => {}
        }
        told = now;
    }
}

async fn watch_for_failure(quorum: Quorum, handle: ClusterHandle) {
    let reason = quorum.failed().await;
    handle.fail(format!("the metadata quorum has stopped here: {reason}"));
}
