//! What is to be said to the shard of a leader about the partitions that follow it.
//!
//! What was asked stays asked as long as the connection lasts, so a request names only partitions with news, and those that
//! follow somebody else by now, so that the leader reads nothing more for them.
//!
//! What must hold: a partition is either to be asked for or to be forgotten, never both; only what was asked over the
//! connection that there is can be forgotten.

use std::collections::{BTreeSet, HashSet};

use ringmain_replication::{
    NodeEpoch, NodeId, OutgoingFetch,
    message::{FetchRequest, PartitionFetch},
};
use ringmain_storage::LogKey;

/// Partitions of one request: 1 MiB of a message, and a bounded turn for the leader.
const PARTITIONS_IN_A_REQUEST_MAX: usize = 10_000;

/// See the head of the file.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Partitions about which there is something to ask.
    pending: BTreeSet<LogKey>,
    /// Partitions of which something was asked over the connection that there is.
    asked: HashSet<LogKey>,
    /// Those of them that do not follow this leader any more.
    forgotten: BTreeSet<LogKey>,
}

impl Outbox {
    /// Has a partition's fetch sent, as it is when the request is put together.
    pub(super) fn ask(&mut self, key: LogKey) {
        self.forgotten.remove(&key);
        self.pending.insert(key);
    }

    /// The partition follows somebody else, or nobody. Whether the leader is to be told.
    pub(super) fn forget(&mut self, key: LogKey) -> bool {
        self.pending.remove(&key);
        self.asked.remove(&key) && self.forgotten.insert(key)
    }

    /// Forgets all that `follows` says no to. Whether the leader is to be told of any.
    pub(super) fn forget_strangers(&mut self, follows: impl Fn(LogKey) -> bool) -> bool {
        self.pending.retain(|key| follows(*key));
        let strangers: Vec<LogKey> = self.asked.iter().copied().filter(|key| !follows(*key)).collect();
        strangers.into_iter().filter(|key| self.forget(*key)).count() > 0
    }

    /// Whether there is something to ask.
    pub(super) fn has_fetches(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether there is something to say on a connection.
    pub(super) fn has_news(&self) -> bool {
        self.has_fetches() || !self.forgotten.is_empty()
    }

    /// What is to be said to `leader` now, in the name of `registration`; `None` when nothing of it is news any more.
    pub(super) fn take_request(
        &mut self,
        leader: NodeId,
        registration: Option<NodeEpoch>,
        fetch_of: impl Fn(LogKey) -> Option<OutgoingFetch>,
    ) -> Option<FetchRequest> {
        let forgotten: Vec<LogKey> =
            self.forgotten.iter().take(PARTITIONS_IN_A_REQUEST_MAX).copied().collect();
        forgotten.iter().for_each(|key| _ = self.forgotten.remove(key));
        let is_said = registration.filter(|_| !forgotten.is_empty());
        let mut request =
            is_said.map(|node_epoch| FetchRequest { node_epoch, fetches: Vec::new(), forgotten });
        let mut later = Vec::new();
        while let Some(key) = self.pending.pop_first() {
            let Some(fetch) = fetch_of(key).filter(|fetch| fetch.leader == leader) else { continue };
            let node_epoch = fetch.fetch.node_epoch;
            let request = request.get_or_insert_with(|| FetchRequest {
                node_epoch,
                fetches: Vec::new(),
                forgotten: Vec::new(),
            });
            if request.node_epoch != node_epoch {
                later.push(key);
                continue;
            }
            request.fetches.push(PartitionFetch::new(key, &fetch));
            self.asked.insert(key);
            if request.fetches.len() == PARTITIONS_IN_A_REQUEST_MAX {
                break;
            }
        }
        self.pending.extend(later);
        request
    }

    /// The connection has ended: what was asked over it, and is not answered any more.
    pub(super) fn lose(&mut self) -> HashSet<LogKey> {
        self.forgotten.clear();
        std::mem::take(&mut self.asked)
    }
}

#[cfg(test)]
mod tests {
    use ringmain_replication::{FetchId, Persisted};
    use ringmain_storage::{LeaderEpoch, Offset, TopicId};

    use super::*;

    const LEADER: NodeId = NodeId(2);
    const REGISTRATION: NodeEpoch = NodeEpoch(7);

    fn key(partition: i32) -> LogKey {
        LogKey { topic_id: TopicId([1; 16]), partition }
    }

    fn fetch_of(leader: NodeId) -> impl Fn(LogKey) -> Option<OutgoingFetch> {
        move |_| {
            Some(OutgoingFetch {
                leader,
                leader_epoch: LeaderEpoch::ZERO,
                fetch: FetchId { node_epoch: REGISTRATION, number: 1 },
                position: Offset::ZERO,
                last_epoch: None,
                persisted: Persisted { written: Offset::ZERO, flushed: Offset::ZERO },
                log_start: Offset::ZERO,
                high_watermark: Offset::ZERO,
            })
        }
    }

    /// The partitions that are asked for, and those that are forgotten.
    fn said(outbox: &mut Outbox) -> Option<(Vec<i32>, Vec<i32>)> {
        let request = outbox.take_request(LEADER, Some(REGISTRATION), fetch_of(LEADER))?;
        let asked = request.fetches.iter().map(|fetch| fetch.log.partition).collect();
        Some((asked, request.forgotten.iter().map(|key| key.partition).collect()))
    }

    #[test]
    fn what_was_asked_is_forgotten_once_it_follows_another() {
        let mut outbox = Outbox::default();
        (1..4).for_each(|partition| outbox.ask(key(partition)));
        assert!(!outbox.forget(key(3)), "nobody was told of it");
        assert_eq!(said(&mut outbox), Some((vec![1, 2], vec![])));
        assert!(outbox.forget(key(1)) && outbox.has_news() && !outbox.has_fetches());
        outbox.ask(key(2));
        assert_eq!(said(&mut outbox), Some((vec![2], vec![1])));
        assert_eq!(said(&mut outbox), None);
        assert!(!outbox.forget(key(1)), "it was told already");
    }

    #[test]
    fn what_comes_back_before_it_was_told_is_asked_for_only() {
        let mut outbox = Outbox::default();
        outbox.ask(key(1));
        assert_eq!(said(&mut outbox), Some((vec![1], vec![])));
        assert!(outbox.forget(key(1)));
        outbox.ask(key(1));
        assert_eq!(said(&mut outbox), Some((vec![1], vec![])));
    }

    #[test]
    fn strangers_go_and_a_connection_that_ended_is_told_nothing() {
        let mut outbox = Outbox::default();
        (0..4).for_each(|partition| outbox.ask(key(partition)));
        assert_eq!(said(&mut outbox), Some((vec![0, 1, 2, 3], vec![])));
        outbox.ask(key(3));
        assert!(outbox.forget_strangers(|key| key.partition < 2));
        assert!(!outbox.forget_strangers(|key| key.partition < 2));
        assert_eq!(outbox.lose(), HashSet::from([key(0), key(1)]));
        assert!(!outbox.has_news());
    }

    #[test]
    fn a_fetch_that_turned_to_another_leader_is_not_said_here() {
        let mut outbox = Outbox::default();
        outbox.ask(key(1));
        assert!(outbox.take_request(LEADER, Some(REGISTRATION), fetch_of(NodeId(3))).is_none());
        assert!(!outbox.has_news() && outbox.lose().is_empty());
    }
}
