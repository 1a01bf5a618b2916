//! What the members of a consumer group subscribed to: the one thing that a coordinator reads in their metadata.
//!
//! Only groups of the type "consumer" are read; to others, metadata is bytes.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use super::Group;
use super::member::Wishes;
use crate::records;

/// Most topics of one group that are remembered: more than a cluster has. Beyond, the group counts as one that reads
/// anything; in a tree short names take many times the bytes of the metadata that they came in.
const SUBSCRIBED_TOPICS_MAX: usize = 50_000;
/// Bytes of a remembered topic beside its name.
const SUBSCRIBED_TOPIC_OVERHEAD_BYTES: usize = 56;

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";

impl Group {
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Whether some member reads the topic, as far as the coordinator can tell: if it cannot read the metadata of
    /// consumers, they may read anything.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// Reads what all members sent with the selected protocol. `None` if that is not known: the group is not of
    /// consumers, or some metadata cannot be read.
    fn read_subscriptions(&self) -> Option<BTreeSet<Arc<str>>> {
        if !self.is_of_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        if self.members.is_empty() {
            return Some(topics);
        }
        let protocol = self.protocol_name.as_deref()?;
        for (_, member) in self.members.iter() {
            for topic in records::subscribed_topics(member.wishes.metadata(protocol)?)? {
                if !topics.contains(topic) {
                    topics.insert(Arc::from(topic));
                }
                if topics.len() > SUBSCRIBED_TOPICS_MAX {
                    return None;
                }
            }
        }
        Some(topics)
    }

    /// Reads the subscriptions anew and remembers them.
    pub(super) fn remember_subscriptions(&mut self) {
        self.subscribed = self.read_subscriptions();
        let topics = self.subscribed.iter().flatten();
        self.subscribed_bytes = topics.map(|topic| SUBSCRIBED_TOPIC_OVERHEAD_BYTES + topic.len()).sum();
    }

    /// Whether a static member that came back subscribes to other topics than before. Metadata that cannot be read,
    /// and what else stands in it (what the member owns), does not count.
    pub(crate) fn changes_subscription(&self, before: &Wishes, after: &Wishes) -> bool {
        let topics = |wishes: &Wishes| -> Option<BTreeSet<Arc<str>>> {
            let metadata = wishes.metadata(self.protocol_name.as_deref()?)?;
            Some(records::subscribed_topics(metadata)?.into_iter().map(Arc::from).collect())
        };
        self.is_of_consumers()
            && match (topics(before), topics(after)) {
                (Some(before), Some(after)) => before != after,
                _ => false,
            }
    }
}
