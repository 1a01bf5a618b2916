//! What a leader knows of another replica of its partition.
//!
//! What must hold: `position` and `persisted` are about the log of one process of the replica (`node_epoch`) in this
//! leadership, and were checked against the leader's history: below `position` both logs are equal.

use ringmain_storage::Offset;

use super::event::CommitRule;
use super::fetch::{FetchId, FollowerFetch};
use super::progress::Persisted;
use crate::identity::{NodeEpoch, NodeId};

/// A fetch that waits for records.
#[derive(Debug, Clone, Copy)]
pub(super) struct ParkedFetch {
    pub(super) fetch: FetchId,
    pub(super) position: Offset,
    pub(super) since_ms: i64,
    /// The follower knows it; told by itself, since an answer may get lost.
    pub(super) known_high_watermark: Offset,
}

/// Another replica.
#[derive(Debug, Clone)]
pub(super) struct ReplicaProgress {
    pub(super) node: NodeId,
    /// The newest registration: of the metadata, or of a fetch.
    pub(super) node_epoch: Option<NodeEpoch>,
    /// Whether it fetched with `node_epoch` in this leadership.
    pub(super) has_fetched: bool,
    /// What the metadata says.
    pub(super) registered: Option<NodeEpoch>,
    pub(super) is_eligible: bool,
    /// Below it the replica's log is known to be equal to the leader's.
    position: Option<Offset>,
    persisted: Option<Persisted>,
    pub(super) log_start: Offset,
    /// When it had last persisted all that the leader had then.
    last_caught_up_ms: i64,
    last_fetch_ms: i64,
    log_end_at_last_fetch: Offset,
    pub(super) parked: Option<ParkedFetch>,
    /// The newest fetch that was answered.
    pub(super) answered: Option<FetchId>,
    /// Not to be proposed before; the controller refused it.
    pub(super) not_before_ms: i64,
}

impl ReplicaProgress {
    /// `since_ms`: when it counts as caught up before anything is known of it.
    pub(super) fn new(node: NodeId, since_ms: i64) -> Self {
        Self {
            node,
            node_epoch: None,
            has_fetched: false,
            registered: None,
            is_eligible: false,
            position: None,
            persisted: None,
            log_start: Offset::ZERO,
            last_caught_up_ms: since_ms,
            last_fetch_ms: since_ms,
            log_end_at_last_fetch: Offset::ZERO,
            parked: None,
            answered: None,
            not_before_ms: i64::MIN,
        }
    }

    /// A newer process of the node is known: nothing that was known of the log counts any more.
    pub(super) fn restart(&mut self, node_epoch: NodeEpoch) {
        self.node_epoch = Some(node_epoch);
        self.has_fetched = false;
        self.position = None;
        self.persisted = None;
        self.parked = None;
        self.answered = None;
    }

    /// Below it the replica's log is known to be equal to the leader's.
    pub(super) fn position(&self) -> Option<Offset> {
        self.position
    }

    pub(super) fn last_caught_up_ms(&self) -> i64 {
        self.last_caught_up_ms
    }

    /// As far as it counts for the high watermark; `None` before the first fetch in this leadership.
    pub(super) fn persisted(&self, rule: CommitRule) -> Option<Offset> {
        self.persisted.map(|persisted| persisted.by(rule))
    }

    /// Takes note of a fetch whose position was checked. Fetches come out of order: an older one takes nothing back.
    pub(super) fn fetched(&mut self, now_ms: i64, fetch: &FollowerFetch, rule: CommitRule, log_end: Offset) {
        let persisted = fetch.persisted.up_to(fetch.position);
        self.has_fetched = true;
        self.position = self.position.max(Some(fetch.position));
        self.persisted = Some(self.persisted.map_or(persisted, |known| known.further(persisted)));
        self.log_start = self.log_start.max(fetch.log_start);
        let reached = persisted.by(rule);
        if reached >= log_end {
            self.last_caught_up_ms = now_ms;
        } else if reached >= self.log_end_at_last_fetch {
            self.last_caught_up_ms = self.last_caught_up_ms.max(self.last_fetch_ms);
        }
        self.last_fetch_ms = now_ms;
        self.log_end_at_last_fetch = log_end;
    }

    /// Whether it has persisted all, or had lately.
    pub(super) fn is_caught_up(
        &self,
        now_ms: i64,
        lag_ms_max: i64,
        rule: CommitRule,
        log_end: Offset,
    ) -> bool {
        self.persisted(rule) >= Some(log_end) || now_ms.saturating_sub(self.last_caught_up_ms) <= lag_ms_max
    }
}
