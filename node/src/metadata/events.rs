//! What happened in the cluster, counted from its metadata: elections, in-sync sets, nodes that were fenced.
//!
//! Every node counts by itself, so nothing is lost with a controller. What must hold: what was in the log before this process
//! was registered is not counted, however often the log is read again: the numbers begin at zero with each start.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{IncarnationId, MetadataImage, MetadataRecord, NodeId, PartitionImage};

/// Counts on the thread that applies metadata; anybody reads.
#[derive(Debug)]
pub(super) struct MetadataEvents {
    /// This start of this node: counting begins with its registration.
    node_id: NodeId,
    incarnation: IncarnationId,
    has_begun: bool,
    counted: std::sync::Arc<Counted>,
}

/// As whoever reads has it.
#[derive(Debug, Default)]
pub(super) struct Counted {
    leader_elections: AtomicU64,
    unclean_elections: AtomicU64,
    leaders_lost: AtomicU64,
    in_sync_shrinks: AtomicU64,
    in_sync_expands: AtomicU64,
    nodes_registered: AtomicU64,
    nodes_fenced: AtomicU64,
}

/// The same at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MetadataEventValues {
    /// Partitions that got a leader.
    pub leader_elections: u64,
    /// Of those, the ones whose leader was not in sync.
    pub unclean_elections: u64,
    /// Partitions that lost their leader and got none.
    pub leaders_lost: u64,
    /// In-sync sets that lost a replica.
    pub in_sync_shrinks: u64,
    /// In-sync sets that got one.
    pub in_sync_expands: u64,
    /// Starts of nodes.
    pub nodes_registered: u64,
    /// Nodes that were fenced without having asked to stop.
    pub nodes_fenced: u64,
}

impl Counted {
    pub(super) fn values(&self) -> MetadataEventValues {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        MetadataEventValues {
            leader_elections: get(&self.leader_elections),
            unclean_elections: get(&self.unclean_elections),
            leaders_lost: get(&self.leaders_lost),
            in_sync_shrinks: get(&self.in_sync_shrinks),
            in_sync_expands: get(&self.in_sync_expands),
            nodes_registered: get(&self.nodes_registered),
            nodes_fenced: get(&self.nodes_fenced),
        }
    }
}

impl MetadataEvents {
    pub(super) fn new(node_id: NodeId, incarnation: IncarnationId, counted: std::sync::Arc<Counted>) -> Self {
        Self { node_id, incarnation, has_begun: false, counted }
    }

    /// Takes note of an image that took the place of all records before it.
    pub(super) fn restored(&mut self, image: &MetadataImage) {
        let registered = image.nodes().get(&self.node_id);
        self.has_begun |= registered.is_some_and(|node| node.incarnation_id == self.incarnation);
    }

    /// Takes note of records that are applied to `before` together.
    pub(super) fn note(&mut self, before: &MetadataImage, records: &[MetadataRecord]) {
        for record in records {
            if let MetadataRecord::NodeRegistered { node_id, node } = record {
                self.has_begun |= *node_id == self.node_id && node.incarnation_id == self.incarnation;
            }
            if self.has_begun {
                self.counted.note(before, record);
            }
        }
    }
}

impl Counted {
    fn note(&self, before: &MetadataImage, record: &MetadataRecord) {
        let one_more = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        match record {
            MetadataRecord::NodeRegistered { .. } => _ = one_more(&self.nodes_registered),
            MetadataRecord::NodeChanged { node_id, fenced: true, stopping_since: None, .. }
                if before.is_active(*node_id) =>
            {
                one_more(&self.nodes_fenced);
            }
            MetadataRecord::PartitionChanged { topic_id, partition, state } => {
                if let Some(before) = before.partition(*topic_id, *partition) {
                    self.note_change(before, state);
                }
            }
            _ => {}
        }
    }

    fn note_change(&self, before: &PartitionImage, after: &PartitionImage) {
        let add = |count: &AtomicU64, more: usize| _ = count.fetch_add(more as u64, Ordering::Relaxed);
        let missing = |from: &PartitionImage, of: &PartitionImage| {
            of.in_sync.iter().filter(|node| !from.in_sync.contains(node)).count()
        };
        add(&self.in_sync_shrinks, usize::from(missing(after, before) > 0));
        add(&self.in_sync_expands, usize::from(missing(before, after) > 0));
        match (before.leader, after.leader) {
            (Some(_), None) => add(&self.leaders_lost, 1),
            (old, Some(new)) if old != Some(new) => {
                add(&self.leader_elections, 1);
                add(&self.unclean_elections, usize::from(after.recovering && !before.in_sync.contains(&new)));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_a_partition_are_told_apart() {
        let counted = Counted::default();
        let all = [1, 2, 3].map(NodeId).to_vec();
        let whole = PartitionImage::created(all.clone(), all);
        let without_1 =
            PartitionImage { in_sync: vec![NodeId(2), NodeId(3)], leader: Some(NodeId(2)), ..whole.clone() };
        counted.note_change(&whole, &without_1);
        counted.note_change(&without_1, &PartitionImage { leader: None, ..without_1.clone() });
        let unclean = PartitionImage {
            in_sync: vec![NodeId(1)],
            leader: Some(NodeId(1)),
            recovering: true,
            ..without_1.clone()
        };
        counted.note_change(&PartitionImage { leader: None, ..without_1 }, &unclean);
        let expected = MetadataEventValues {
            leader_elections: 2,
            unclean_elections: 1,
            leaders_lost: 1,
            in_sync_shrinks: 2,
            in_sync_expands: 1,
            ..MetadataEventValues::default()
        };
        assert_eq!(counted.values(), expected);
    }

    #[test]
    fn what_was_before_this_start_is_not_counted() {
        let counted = std::sync::Arc::new(Counted::default());
        let mut events = MetadataEvents::new(NodeId(1), IncarnationId::default(), counted.clone());
        let fenced = MetadataRecord::NodeChanged {
            node_id: NodeId(2),
            registration_epoch: 1,
            fenced: true,
            stopping_since: None,
        };
        let started = MetadataRecord::LoneNodeStarted {
            node_id: NodeId(2),
            registration_epoch: 1,
            host: "localhost".to_owned(),
            port: 9092,
            rack: None,
        };
        let image = MetadataImage::default().after(&[started]).expect("applies");
        events.note(&image, std::slice::from_ref(&fenced));
        assert_eq!(counted.values(), MetadataEventValues::default());
        events.has_begun = true;
        events.note(&image, &[fenced]);
        assert_eq!(counted.values().nodes_fenced, 1);
    }
}
