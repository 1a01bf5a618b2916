//! On which nodes the replicas of new partitions go: as the request says, or spread evenly.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use ringmain_storage::TopicId;

use super::{Controller, Refusal};
use crate::identity::NodeId;
use crate::node_image::NodeImage;
use crate::partition_image::PartitionImage;
use crate::planted;
use crate::record::MetadataRecord;

impl Controller<'_> {
    /// Checks one partition's replicas as a client gave them.
    pub(super) fn check_manual_replicas(
        &self,
        replicas: &[i32],
        replication_factor: Option<usize>,
    ) -> Result<Vec<NodeId>, Refusal> {
        let refused = |message: String| Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        if replicas.is_empty() {
            return refused("The manual partition assignment includes an empty replica list.".to_owned());
        }
        let mut sorted: Vec<NodeId> = replicas.iter().copied().map(NodeId).collect();
        sorted.sort_unstable();
        if let Some(unknown) = sorted.iter().find(|node| !self.image.nodes().contains_key(node)) {
            return refused(format!(
                "The manual partition assignment includes broker {unknown}, but no such broker is registered."
            ));
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return refused(format!(
                "The manual partition assignment includes the broker {} more than once.",
                pair[0]
            ));
        }
        match replication_factor {
            Some(expected) if expected != replicas.len() => refused(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
                 with previous partitions, which have {expected} replica(s).",
                replicas.len()
            )),
            _ => Ok(replicas.iter().copied().map(NodeId).collect()),
        }
    }

    /// Spreads `count` partitions, the first of which is `first`, over the nodes: neighbours lead on different nodes, the
    /// replicas of one lie in different racks as far as there are racks, and fenced nodes lead nothing and get replicas
    /// only where there are too few others.
    pub(super) fn place(
        &self,
        topic_id: TopicId,
        first: usize,
        count: usize,
        replication_factor: usize,
    ) -> Result<Vec<Vec<NodeId>>, Refusal> {
        let refused = |reason: String| {
            let code = ErrorCode::INVALID_REPLICATION_FACTOR;
            let message = format!("Unable to replicate the partition {replication_factor} time(s): {reason}");
            Err(Refusal::new(code, message))
        };
        let (active, fenced) =
            (self.rack_by_rack(|node| node.is_active()), self.rack_by_rack(|node| node.fenced));
        let usable = active.len() + fenced.len();
        if replication_factor > usable {
            return refused(format!(
                "The target replication factor of {replication_factor} cannot be reached because only {usable} \
                 broker(s) are registered."
            ));
        }
        if active.is_empty() {
            return refused("All brokers are currently fenced.".to_owned());
        }
        // Topics start on different nodes; their ids are random.
        let start = usize::from(topic_id.0[15]) + first;
        Ok((start..start + count)
            .map(|turn| self.place_partition(turn, &active, &fenced, replication_factor))
            .collect())
    }

    /// Nodes in such an order that neighbours lie in different racks as far as there are racks. Those that are stopping
    /// are left out: they would hold up what is placed on them.
    fn rack_by_rack(&self, wanted: impl Fn(&NodeImage) -> bool) -> Vec<NodeId> {
        let mut racks: BTreeMap<Option<&str>, VecDeque<NodeId>> = BTreeMap::new();
        for (node_id, node) in self.image.nodes() {
            if node.stopping_since.is_none() && wanted(node) {
                racks.entry(node.rack.as_deref()).or_default().push_back(*node_id);
            }
        }
        let mut order = Vec::new();
        while racks.values().any(|rack| !rack.is_empty()) {
            order.extend(racks.values_mut().filter_map(VecDeque::pop_front));
        }
        order
    }

    /// One partition's replicas. Leaders take turns; with each round of them the followers shift by one more, so that
    /// the same leader does not always have the same followers.
    fn place_partition(
        &self,
        turn: usize,
        active: &[NodeId],
        fenced: &[NodeId],
        replication_factor: usize,
    ) -> Vec<NodeId> {
        let (place, round) = (turn % active.len(), turn / active.len());
        let others = active.len() - 1;
        let follower = |step: usize| active[(place + 1 + (round + step) % others) % active.len()];
        let followers = (0..others).map(follower).chain(fenced.iter().copied());
        let rack = |node: NodeId| self.image.nodes().get(&node).and_then(|node| node.rack.as_deref());
        let mut racks = BTreeSet::from([rack(active[place])]);
        let mut replicas = vec![active[place]];
        let (elsewhere, again): (Vec<NodeId>, Vec<NodeId>) =
            followers.partition(|node| racks.insert(rack(*node)) && !planted::is("racks_ignored"));
        replicas.extend(elsewhere.into_iter().chain(again).take(replication_factor - 1));
        replicas
    }

    /// The records of a topic's next partitions: every replica that is alive is in sync, the first of them leads.
    pub(super) fn partition_records(
        &self,
        topic_id: TopicId,
        first: usize,
        placed: Vec<Vec<NodeId>>,
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        let record = |(index, replicas): (usize, Vec<NodeId>)| {
            let in_sync: Vec<NodeId> =
                replicas.iter().copied().filter(|node| self.image.is_active(*node)).collect();
            if in_sync.is_empty() {
                return Err(Refusal::new(
                    ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                    format!(
                        "All brokers specified in the manual partition assignment for partition {} are fenced or in \
                         controlled shutdown.",
                        first + index
                    ),
                ));
            }
            Ok(MetadataRecord::PartitionCreated {
                topic_id,
                partition: i32::try_from(first + index).expect("the number of partitions is limited"),
                state: PartitionImage::created(replicas, in_sync),
            })
        };
        placed.into_iter().enumerate().map(record).collect()
    }
}
