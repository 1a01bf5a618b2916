//! Who leads a partition that this node does not lead, told with the error (KIP-951): the client need not ask for metadata.
//!
//! What must hold: a leader that is named is in the list of endpoints too, once, if its address is known.

use std::{collections::BTreeSet, sync::Arc};

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{LeaderIdAndEpoch, NodeEndpoint},
};
use ringmain_storage::TopicId;

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
        self.named.iter().filter_map(|node_id| endpoint(self.shard, &image, *node_id)).collect()
    }
}

fn endpoint(shard: &Shard, image: &MetadataImage, node_id: NodeId) -> Option<NodeEndpoint<'static>> {
    let own = shard.node();
    if node_id == own.node_id() {
        return Some(NodeEndpoint {
            node_id: node_id.0,
            host: Text::Owned(own.advertised.host.clone()),
            port: own.advertised.port.into(),
            rack: own.config.rack.clone().map(Text::Owned),
        });
    }
    image.nodes().get(&node_id).map(|other| NodeEndpoint {
        node_id: node_id.0,
        host: Text::Owned(other.host().to_owned()),
        port: other.port().into(),
        rack: other.rack.clone().map(Text::Owned),
    })
}
