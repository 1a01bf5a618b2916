//! ElectLeaders, and what the controller does by itself: leadership goes back to the preferred leaders, and to anybody
//! alive where a topic allows unclean elections.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use ringmain_storage::TopicId;
use serde::{Deserialize, Serialize};

use super::partition_change::Election;
use super::{Controller, Decision, Refusal};
use crate::record::MetadataRecord;

/// Elections that the controller makes by itself in one commit: more would hold up requests.
pub const ELECTIONS_MAX: usize = 1000;

/// What kind of election a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ElectionKind {
    /// The preferred leader takes over, if it is in sync.
    Preferred,
    /// Anybody alive takes over where nobody leads, whatever is lost.
    Unclean,
}

/// One partition of an election and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElectedPartition {
    /// Of which topic.
    pub topic: String,
    /// Which one.
    pub partition: i32,
    /// Whether somebody was elected.
    pub result: Result<(), Refusal>,
}

impl Controller<'_> {
    /// Elects leaders of the partitions that are named, or of all. Of all, those that need no election are left out of
    /// the answer.
    pub fn elect_leaders(
        &self,
        kind: ElectionKind,
        partitions: Option<&[(String, i32)]>,
    ) -> Decision<Vec<ElectedPartition>> {
        let mut records = Vec::new();
        let mut elected = BTreeSet::new();
        let mut elect = |topic: &str, partition: i32| {
            let result = self.elect_leader(kind, topic, partition, &mut elected);
            let result = result.map(|record| records.push(record));
            ElectedPartition { topic: topic.to_string(), partition, result }
        };
        let needs_none = |outcome: &ElectedPartition| {
            outcome.result.as_ref().is_err_and(|refusal| refusal.code == ErrorCode::ELECTION_NOT_NEEDED)
        };
        let answer = match partitions {
            Some(named) => named.iter().map(|(topic, partition)| elect(topic, *partition)).collect(),
            None => self
                .image
                .partitions()
                .map(|(topic, partition, _)| elect(&topic.name, partition))
                .filter(|outcome| !needs_none(outcome))
                .collect(),
        };
        Decision { records, answer }
    }

    /// Gives leadership back to preferred leaders that can lead; the answer is how many others lead for them afterwards.
    pub fn balance_leaders(&self) -> Decision<usize> {
        let imbalanced = || self.image.partitions().filter(|(_, _, p)| p.leader != p.preferred_leader());
        let records: Vec<_> = imbalanced()
            .filter_map(|(topic, partition, before)| {
                let mut change = self.change(topic, before);
                change.election = Election::Preferred;
                let state = change.decide(&|node| self.may_lead(node))?;
                Some(MetadataRecord::PartitionChanged { topic_id: topic.id, partition, state })
            })
            .take(ELECTIONS_MAX)
            .collect();
        let balanced = records.iter().filter(|record| {
            matches!(record, MetadataRecord::PartitionChanged { state, .. }
                if state.leader == state.preferred_leader())
        });
        let answer = imbalanced().count() - balanced.count();
        Decision { records, answer }
    }

    /// Elects anybody alive where nobody leads and the topic allows it; the answer is how many partitions stay without.
    pub fn elect_unclean_leaders(&self) -> Decision<usize> {
        let leaderless = || self.image.partitions().filter(|(_, _, partition)| partition.leader.is_none());
        let records: Vec<_> = leaderless()
            .filter(|(topic, _, _)| self.is_set(topic, "unclean.leader.election.enable"))
            .filter_map(|(topic, partition, before)| {
                let state = self.change(topic, before).decide(&|node| self.may_lead(node))?;
                Some(MetadataRecord::PartitionChanged { topic_id: topic.id, partition, state })
            })
            .take(ELECTIONS_MAX)
            .collect();
        let answer = leaderless().count() - records.len();
        Decision { records, answer }
    }

    fn elect_leader(
        &self,
        kind: ElectionKind,
        name: &str,
        partition: i32,
        elected: &mut BTreeSet<(TopicId, i32)>,
    ) -> Result<MetadataRecord, Refusal> {
        let unknown = |message| Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message);
        let topic = self.image.topic(name).ok_or_else(|| unknown(format!("No such topic as {name}")))?;
        let before = self
            .image
            .partition(topic.id, partition)
            .ok_or_else(|| unknown(format!("No such partition as {name}-{partition}")))?;
        let is_not_needed = match kind {
            ElectionKind::Preferred => before.leader == before.preferred_leader(),
            ElectionKind::Unclean => before.leader.is_some(),
        };
        if is_not_needed || elected.contains(&(topic.id, partition)) {
            return Err(Refusal::of(ErrorCode::ELECTION_NOT_NEEDED));
        }
        let mut change = self.change(topic, before);
        let (election, unavailable) = match kind {
            ElectionKind::Preferred => (Election::Preferred, ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE),
            ElectionKind::Unclean => (Election::Unclean, ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE),
        };
        change.election = election;
        let state = change.decide(&|node| self.may_lead(node)).ok_or(Refusal::of(unavailable))?;
        elected.insert((topic.id, partition));
        Ok(MetadataRecord::PartitionChanged { topic_id: topic.id, partition, state })
    }
}
