//! A node's part in its cluster: the thread `control`, which runs its member of the quorum, the controller while it leads, and
//! the node's own registration and heartbeats.
//!
//! A request in steps: from a shard to the thread; as bytes to the controller, here or on another node (`asking.rs`); decided,
//! committed (`controller.rs`); and answered to the shard once this node's image has what the answer speaks of. What must
//! hold: shards see images in the order of their versions; the thread ends only after the quorum's file is closed.
//! Does not do: consensus (`ringmain-quorum`), rules (`ringmain-metadata`), roles of partitions (`shard`).

mod asking;
mod certificates;
mod controller;
mod draft;
mod journal;
mod registration;
mod start_error;
mod starts;
mod state;
mod thread;
mod voters;
mod wire;

use std::fmt;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;
use ringmain_quorum::{Quorum, QuorumStatus};
use ringmain_replication::quic::certificates::NodeIdentity;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::control_thread::MetadataThread;
use super::controller::{ControllerAnswer, ControllerOptions, ControllerRequest, Surviving};
use super::data_directory::DataDirectory;
use super::events::{Counted, MetadataEventValues};
use super::handle::{MetadataError, MetadataHandle};
use super::{IncarnationId, NodeId};
use crate::config::{ClusterConfig, HostPort};
use crate::supervision::Progress;

pub use start_error::ClusterStartError;
pub use starts::StartsError;
use wire::Asked;
pub use wire::{QuorumDescription, QuorumMember};

/// Requests of this node that may wait for the controller.
const REQUESTS_WAITING_MAX: usize = 1024;
/// How long a request may take from the shard and back, elections of a controller included. Less than clients wait.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The file of the quorum in the data directory.
const QUORUM_FILE: &str = "quorum.redb";

/// What a node takes part in its cluster with.
pub struct ClusterOptions {
    /// What the controller decides by, when it is this node.
    pub controller: ControllerOptions,
    /// As configured.
    pub cluster: ClusterConfig,
    /// The certificates of this node.
    pub identity: Arc<NodeIdentity>,
    /// Where clients are told to reach this node.
    pub advertised: HostPort,
    /// This node's rack.
    pub rack: Option<String>,
    /// How many shards it has.
    pub shards: usize,
    /// Whether they get anything done.
    pub progress: Arc<Progress>,
    /// Bound to the control port.
    pub socket: UdpSocket,
}

/// How the rest of the node reaches its control thread.
#[derive(Clone)]
pub struct ClusterHandle(Arc<Shared>);

struct Shared {
    orders: mpsc::UnboundedSender<Order>,
    waiting: Arc<Semaphore>,
    identity: Arc<NodeIdentity>,
    incarnation: IncarnationId,
    /// Of this process; -1 until it is registered.
    registration: AtomicI64,
    /// The version that each shard has applied.
    applied: Box<[AtomicU64]>,
    /// Whether the shards get anything done.
    progress: Arc<Progress>,
    /// Whether it accepts clients yet, and whether it may stop.
    accepts: AtomicBool,
    may_stop: AtomicBool,
    /// The quorum, once it has started.
    quorum: OnceLock<Quorum>,
    /// What happened in the cluster since this process was registered.
    events: Arc<Counted>,
    /// Why the node cannot go on.
    failure: Mutex<Option<String>>,
}

/// What the thread is told to do.
enum Order {
    Ask {
        asked: Box<Asked>,
        reply: oneshot::Sender<Result<wire::Reply, MetadataError>>,
        permit: OwnedSemaphorePermit,
    },
    Register(Surviving),
    HandOver,
    Stop,
}

/// Starts the thread, and waits until the image that is on the disk is there.
pub fn start(
    directory: &DataDirectory,
    options: ClusterOptions,
) -> Result<(MetadataHandle, MetadataThread), ClusterStartError> {
    thread::start(directory, options)
}

/// Whether a data directory was used by a node in a cluster.
pub fn is_member_of_cluster(directory: &Path) -> bool {
    directory.join(QUORUM_FILE).exists()
}

impl ClusterHandle {
    /// The certificates of this node.
    pub fn identity(&self) -> Arc<NodeIdentity> {
        Arc::clone(&self.0.identity)
    }

    /// What tells this start from the node's others.
    pub fn incarnation(&self) -> IncarnationId {
        self.0.incarnation
    }

    /// The registration epoch of this process, once there is one.
    pub fn registration(&self) -> Option<i64> {
        Some(self.0.registration.load(Ordering::Acquire)).filter(|epoch| *epoch >= 0)
    }

    /// A shard has applied the image of this version.
    pub fn applied(&self, shard: u16, version: u64) {
        if let Some(applied) = self.0.applied.get(usize::from(shard)) {
            applied.store(version, Ordering::Release);
        }
    }

    /// For how long the shard that is worst off has got nothing done.
    fn longest_silence(&self) -> Duration {
        self.0.progress.longest_silence().1
    }

    /// The version that every shard has applied.
    fn version_applied(&self) -> u64 {
        self.0.applied.iter().map(|applied| applied.load(Ordering::Acquire)).min().unwrap_or(0)
    }

    /// The node that leads the quorum, as far as this one knows.
    pub fn controller_id(&self) -> Option<NodeId> {
        let view = self.0.quorum.get()?.leader().current();
        view.leader.map(|(leader, _)| NodeId(leader.node.0))
    }

    /// What this node knows of the quorum by itself, once that has started.
    pub fn quorum_here(&self) -> Option<QuorumStatus> {
        self.0.quorum.get().map(Quorum::status)
    }

    /// What happened in the cluster since this process was registered.
    pub fn events(&self) -> MetadataEventValues {
        self.0.events.values()
    }

    /// Who keeps the metadata, as the controller knows it.
    pub async fn describe_quorum(&self) -> Result<QuorumDescription, MetadataError> {
        match self.order(Asked::DescribeQuorum).await? {
            wire::Reply::Quorum(description) => Ok(description),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    /// Asks the controller, wherever it is; the answer comes when this node's image has what it speaks of.
    pub(super) async fn ask(&self, request: ControllerRequest) -> Result<ControllerAnswer, MetadataError> {
        match self.order(Asked::Decide(request)).await? {
            wire::Reply::Decided { answer, .. } => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    async fn order(&self, asked: Asked) -> Result<wire::Reply, MetadataError> {
        let permit = Arc::clone(&self.0.waiting).try_acquire_owned().map_err(|_| MetadataError::Busy)?;
        let (reply, replied) = oneshot::channel();
        let order = Order::Ask { asked: Box::new(asked), reply, permit };
        self.0.orders.send(order).map_err(|_| MetadataError::Stopped)?;
        replied.await.unwrap_or(Err(MetadataError::Stopped))
    }

    /// Begins to register this start; [`ClusterHandle::registration`] tells when it is, and from then on the node says that it
    /// is there.
    pub fn register(&self, surviving: Surviving) {
        self.send(Order::Register(surviving));
    }

    /// The node accepts clients: from now on it may lead.
    pub fn serves(&self) {
        self.0.accepts.store(true, Ordering::Release);
    }

    fn is_serving(&self) -> bool {
        self.0.accepts.load(Ordering::Acquire)
    }

    /// Begins to hand over what this node leads; [`ClusterHandle::may_stop`] tells when that is done.
    pub fn hand_over(&self) {
        self.send(Order::HandOver);
    }

    /// Whether nobody looks for a leader on this node any more, or nobody is there to say so.
    pub fn may_stop(&self) -> bool {
        self.0.may_stop.load(Ordering::Acquire)
    }

    /// Why the node must end by itself.
    pub fn failure(&self) -> Option<String> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the node end by itself.
    pub fn fail(&self, reason: String) {
        tracing::error!("this node cannot go on: {reason}");
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }

    /// Hands over the quorum and ends the thread.
    pub fn stop(&self) {
        self.send(Order::Stop);
    }

    fn send(&self, order: Order) {
        // The only failure is that the thread has ended already, and then it has said why.
        if self.0.orders.send(order).is_err() {
            tracing::debug!("the control thread has ended");
        }
    }
}

impl fmt::Debug for ClusterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterHandle").field("incarnation", &self.0.incarnation).finish_non_exhaustive()
    }
}
