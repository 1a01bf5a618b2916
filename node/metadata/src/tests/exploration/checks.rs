//! What must hold after every step.

use std::collections::BTreeSet;

use crate::{ConfigResource, MetadataImage, MetadataRecord, NodeId, PartitionImage};

/// The image by itself.
pub(super) fn check_image(image: &MetadataImage) -> Result<(), String> {
    for (topic, partition, state) in image.partitions() {
        let wrong = |what: &str| Err(format!("{}-{partition}: {what}: {state:?}", topic.name));
        if let Some(problem) = state.problem() {
            return wrong(problem);
        }
        if state.leader.is_none() != state.in_sync.is_empty() {
            return wrong("a leader and an in-sync set are there together or not at all");
        }
        if let Some(node) = state.in_sync.iter().find(|node| !image.is_active(**node)) {
            return wrong(&format!("{node} is in sync and not active"));
        }
        let enough = state.min_in_sync(image.configured_min_in_sync(topic));
        if !state.eligible.is_empty() && state.in_sync.len() >= enough {
            return wrong("somebody is eligible while the high watermark moves");
        }
        if state.leader.is_none() && state.eligible.iter().any(|node| image.is_active(*node)) {
            return wrong("nobody leads, and somebody could");
        }
        if state.leader.is_some() && state.last_known_leader.is_some() {
            return wrong("a last leader is remembered beside a leader");
        }
    }
    Ok(())
}

/// A step from one image to the next.
pub(super) fn check_step(
    before: &MetadataImage,
    after: &MetadataImage,
    asked_unclean: bool,
) -> Result<(), String> {
    for (topic, partition, new) in after.partitions() {
        let Some(old) = before.partition(topic.id, partition) else { continue };
        let wrong = |what: &str| Err(format!("{}-{partition}: {what}: {old:?} became {new:?}", topic.name));
        if new.leader_epoch < old.leader_epoch || new.partition_epoch < old.partition_epoch {
            return wrong("an epoch went back");
        }
        if new != old && new.partition_epoch == old.partition_epoch {
            return wrong("changed without its epoch");
        }
        if new.leader != old.leader && new.leader_epoch == old.leader_epoch {
            return wrong("another leader in the same epoch");
        }
        if new.recovering && !old.recovering && !may_lose(before, &topic.name, old, new) && !asked_unclean {
            return wrong("led from outside without having been asked");
        }
        let without = |nodes: &[NodeId]| -> Vec<NodeId> {
            old.replicas.iter().copied().filter(|node| !nodes.contains(node)).collect()
        };
        let ended = old.is_reassigning() && !new.is_reassigning();
        let completed = ended && new.replicas == without(&old.removing);
        let cancelled = new.replicas == without(&old.adding);
        if completed && !cancelled && new.replicas.iter().any(|node| !new.in_sync.contains(node)) {
            return wrong("a reassignment completed before all were in sync");
        }
        let new_start = |node: NodeId| {
            let epoch = |image: &MetadataImage| image.nodes().get(&node).map(|node| node.registration_epoch);
            epoch(before).is_some() && epoch(after) > epoch(before)
        };
        if let Some(leader) = old.leader.filter(|leader| new_start(*leader))
            && new.leader == Some(leader)
            && new.leader_epoch == old.leader_epoch
        {
            return wrong("a new start leads in the epoch of the one before it");
        }
    }
    Ok(())
}

/// Whether a partition may be led from outside: its topic allows it, or the last leader of all is back.
fn may_lose(image: &MetadataImage, topic: &str, old: &PartitionImage, new: &PartitionImage) -> bool {
    let name = "unclean.leader.election.enable";
    let cluster = image.configs(&ConfigResource::Cluster);
    let allowed = image.topic_overrides(topic).get(name).or_else(|| cluster.get(name));
    let is_last_leader = old.last_known_leader.is_some() && old.last_known_leader == new.leader;
    allowed.is_some_and(|value| value == "true")
        || (is_last_leader && old.in_sync.is_empty() && old.eligible.is_empty())
}

/// Records and snapshots give the image again.
pub(super) fn check_replay(
    before: &MetadataImage,
    records: &[MetadataRecord],
    after: &MetadataImage,
) -> Result<(), String> {
    let read: Result<Vec<_>, _> =
        records.iter().map(|record| MetadataRecord::decode(&record.encode())).collect();
    let replayed = before.after(&read.map_err(|error| error.to_string())?).map_err(|e| e.to_string())?;
    if replayed != *after {
        return Err("the records give another image".to_owned());
    }
    let restored = MetadataImage::from_snapshot(&after.to_records(), after.version());
    if restored.as_ref() != Ok(after) {
        return Err(format!("the snapshot gives another image: {restored:?}"));
    }
    Ok(())
}

/// A new topic is spread: leaders over the nodes that can lead, replicas over racks.
pub(super) fn check_placed(image: &MetadataImage, name: &str) -> Result<(), String> {
    let topic = image.topic(name).ok_or("the topic is not there")?;
    let active: Vec<NodeId> = image.nodes().keys().copied().filter(|node| image.is_active(*node)).collect();
    let led = |node: &NodeId| topic.partitions.iter().filter(|p| p.leader == Some(*node)).count();
    let counts: Vec<usize> = active.iter().map(led).collect();
    let (most, least) = (counts.iter().max().copied(), counts.iter().min().copied());
    if most > least.map(|least| least + 1) {
        return Err(format!("the leaders of {name} are not spread: {counts:?}"));
    }
    let usable = |node: &&NodeId| image.nodes()[*node].stopping_since.is_none();
    let racks_of = |nodes: &mut dyn Iterator<Item = &NodeId>| -> BTreeSet<Option<String>> {
        nodes.map(|node| image.nodes()[node].rack.clone()).collect()
    };
    let racks = racks_of(&mut image.nodes().keys().filter(usable)).len();
    for partition in &topic.partitions {
        if racks_of(&mut partition.replicas.iter()).len() < racks.min(partition.replicas.len()) {
            return Err(format!("replicas of {name} share a rack: {partition:?}"));
        }
    }
    Ok(())
}
