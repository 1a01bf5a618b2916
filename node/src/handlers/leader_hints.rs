//! Who leads a partition that this node does not lead, told with the error (KIP-951): the client need not ask for metadata.
//!
//! What must hold: a leader that is named is in the list of endpoints too, once, if its address is known.

use std::{collections::BTreeSet, sync::Arc};

use ringmain_protocol::{
    ErrorCode,
    messages::{LeaderIdAndEpoch, NodeEndpoint},
};
use ringmain_storage::TopicId;

use super::nodes;
use crate::{
    metadata::{MetadataImage, NodeId},
    shard::Shard,
};

/// The hints of one answer.
pub(super) struct LeaderHints<'a> {
    shard: &'a Shard,
    /// Looked at for errors only, which are few.
    image: Option<Arc<MetadataImage>>,
    named: BTreeSet<NodeId>,
}

impl<'a> LeaderHints<'a> {
    pub(super) fn new(shard: &'a Shard) -> Self {
        Self { shard, image: None, named: BTreeSet::new() }
    }

    /// The leader to tell with this error; the default, which is not sent, where a client needs none.
    pub(super) fn of(&mut self, error: ErrorCode, topic_id: TopicId, partition: i32) -> LeaderIdAndEpoch {
        if !matches!(error, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH) {
            return LeaderIdAndEpoch::default();
        }
        let image = self.image.get_or_insert_with(|| self.shard.image());
        let Some(partition) = image.partition(topic_id, partition) else {
            return LeaderIdAndEpoch::default();
        };
        self.named.extend(partition.leader);
        LeaderIdAndEpoch {
            leader_id: partition.leader.map_or(-1, |leader| leader.0),
            leader_epoch: partition.leader_epoch.value(),
        }
    }

    /// Where clients reach the leaders that were told.
    pub(super) fn endpoints(self) -> Vec<NodeEndpoint<'static>> {
        let Some(image) = self.image else { return Vec::new() };
        let told = self.named.iter().filter_map(|node_id| nodes::reachable(&image, *node_id));
        told.map(NodeEndpoint::from).collect()
    }
}
