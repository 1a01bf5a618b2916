//! Who leads, and the right to decide.
//!
//! A [`Leadership`] is given to a member that leads, has applied everything that was committed before its term, and has
//! heard from a majority lately. What it decides is proposed with it, and refused once another term has begun: a decision
//! of an old controller never lands after a new one started. A leader that hears from no majority loses it before anybody
//! else can be elected, since the others keep still for as long as its lease.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::{Instant, WatchReceiver};
use tokio::sync::watch;

use crate::raft::{Raft, Types};
use crate::replica_id::{Address, ReplicaId};

/// The right to decide, in one term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leadership {
    pub(crate) term: u64,
}

/// Who leads, as this member sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderView {
    /// The newest term that this member knows.
    pub term: u64,
    /// Its leader, once known.
    pub leader: Option<(ReplicaId, Address)>,
    /// Present while this member leads and may decide.
    pub leadership: Option<Leadership>,
}

/// The newest view, and a way to wait for another.
#[derive(Clone, Debug)]
pub struct LeaderWatch(watch::Receiver<LeaderView>);

impl Leadership {
    /// Rises with every leadership of the cluster.
    pub fn term(self) -> u64 {
        self.term
    }
}

impl LeaderWatch {
    /// The newest view.
    pub fn current(&self) -> LeaderView {
        self.0.borrow().clone()
    }

    /// Waits until the view is another than the one that this watch returned last. `None` once the quorum has ended.
    pub async fn changed(&mut self) -> Option<LeaderView> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }

    /// Waits until the view is as wanted. `None` once the quorum has ended.
    pub async fn wait_for(&mut self, wanted: impl FnMut(&LeaderView) -> bool) -> Option<LeaderView> {
        self.0.wait_for(wanted).await.ok().map(|view| view.clone())
    }
}

pub(crate) fn channel() -> (Arc<watch::Sender<LeaderView>>, LeaderWatch) {
    let (sender, receiver) = watch::channel(LeaderView::default());
    (Arc::new(sender), LeaderWatch(receiver))
}

/// Keeps the view up to date until the member ends.
pub(crate) async fn follow(
    raft: Raft,
    views: Arc<watch::Sender<LeaderView>>,
    lease: Duration,
    look: Duration,
) {
    let mut metrics = raft.metrics();
    loop {
        let view = view(&raft, lease);
        views.send_if_modified(|current| {
            let modified = *current != view;
            *current = view;
            modified
        });
        // A lease runs out without an event.
        if let Ok(Err(_)) = tokio::time::timeout(look, metrics.changed()).await {
            break;
        }
    }
    views.send_modify(|view| view.leadership = None);
}

/// The view of this moment.
pub(crate) fn view(raft: &Raft, lease: Duration) -> LeaderView {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let address = |leader: &ReplicaId| metrics.membership_config.get_node(leader).cloned();
    let leader = metrics.current_leader.and_then(|leader| Some((leader, address(&leader)?)));
    let term = metrics.current_term;
    let leads = metrics.running_state.is_ok()
        && metrics.state == ServerState::Leader
        && metrics.vote.is_committed()
        && metrics.vote.leader_id.voted_for == metrics.id;
    let has_applied_all = metrics.last_applied.is_some_and(|applied| applied.leader_id.term == term);
    let is_alone = metrics.membership_config.voter_ids().eq([metrics.id]);
    let is_heard =
        is_alone || metrics.last_quorum_acked.as_ref().is_some_and(|acked| acked.elapsed() < lease);
    let leadership = (leads && has_applied_all && is_heard).then_some(Leadership { term });
    LeaderView { term, leader, leadership }
}

/// The place of the type that is checked by the core itself.
pub(crate) type CommittedLeader = openraft::type_config::alias::CommittedLeaderIdOf<Types>;
