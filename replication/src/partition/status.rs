//! What a replica tells about itself, to operators and to whoever drives it.

use ringmain_storage::Offset;

use super::in_sync::Change;
use super::{Partition, Role};
use crate::identity::NodeId;

/// What a leader knows of another replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Whose.
    pub node: NodeId,
    /// Up to where its log is known to be the leader's; `None` before its first fetch in this leadership.
    pub position: Option<Offset>,
    /// When it had last persisted all that the leader had; the smallest number: never in this leadership.
    pub last_caught_up_ms: i64,
    /// Whether it is in the committed in-sync set.
    pub is_in_sync: bool,
}

impl Partition {
    /// Where the other replicas are, if this one leads.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaStatus> + '_ {
        let leader = match &self.role {
            Role::Leader(leader) => Some(leader),
            Role::Follower(_) | Role::Outside => None,
        };
        leader.into_iter().flat_map(|leader| {
            leader.replicas.iter().map(|replica| ReplicaStatus {
                node: replica.node,
                position: replica.position(),
                last_caught_up_ms: replica.last_caught_up_ms(),
                is_in_sync: leader.in_sync.committed().contains(replica.node),
            })
        })
    }

    /// The least log start of this leader and of the other replicas that are alive: below it nobody has records any more.
    /// `None` while this replica does not lead.
    pub fn low_watermark(&self) -> Option<Offset> {
        let Role::Leader(leader) = &self.role else { return None };
        let alive = leader.replicas.iter().filter(|replica| replica.is_eligible);
        Some(alive.map(|replica| replica.log_start).fold(self.log.start, Offset::min))
    }

    /// Committed records that this replica lacks, as far as its leader has told it; none where it leads.
    pub fn lag_records(&self) -> u64 {
        let Role::Follower(follower) = &self.role else { return 0 };
        let told = follower.told_high_watermark.unwrap_or(self.high_watermark);
        told.value().saturating_sub(self.log.end.value()).max(0).unsigned_abs()
    }

    /// Whom this replica follows, if it does.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Follower(follower) => Some(follower.leader),
            Role::Leader(_) | Role::Outside => None,
        }
    }

    /// Whether the next tick is needed soon: somebody waits for an answer, the controller was asked for something, a follower
    /// does not know the high watermark yet, or this follower has to ask again. All other ticks only notice long silence.
    pub fn wants_tick(&self) -> bool {
        match &self.role {
            Role::Leader(leader) => {
                let is_news = |replica: &super::replica::ReplicaProgress| {
                    replica.parked.is_some_and(|parked| parked.known_high_watermark < self.high_watermark)
                };
                leader.has_waiting()
                    || *leader.in_sync.change() != Change::None
                    || leader.replicas.iter().any(is_news)
            }
            Role::Follower(follower) => follower.outstanding.is_none() && !self.is_truncating,
            Role::Outside => false,
        }
    }
}
