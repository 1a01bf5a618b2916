//! What differs between two images.
//!
//! An image shares with the one it was made from what did not change, so most of both is passed over by comparing pointers:
//! the cost is a look at each topic, and at each partition of the topics that changed. What must hold: nothing that differs is
//! left out; what two images have alike without sharing it is no change either.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{MetadataImage, TopicImage};
use crate::partition_image::PartitionImage;
use crate::record::ConfigResource;

/// What a later image has otherwise than an earlier one.
#[derive(Debug, Default)]
pub struct ImageChanges<'i> {
    /// Something about a node: a registration, whether it is active, where it is.
    pub nodes: bool,
    /// A configuration that is not one topic's own.
    pub shared_configs: bool,
    /// Topics of the earlier image that are gone; another one may have the name of one of them.
    pub deleted: Vec<&'i Arc<TopicImage>>,
    /// Topics of the later image that the earlier one did not have.
    pub created: Vec<&'i Arc<TopicImage>>,
    /// Topics of both images with another configuration of their own.
    pub configured: Vec<&'i Arc<TopicImage>>,
    /// Partitions of the later image that are new or changed, those of created topics too.
    pub partitions: Vec<(&'i Arc<TopicImage>, i32, &'i PartitionImage)>,
}

impl MetadataImage {
    /// What this image has otherwise than an earlier one.
    pub fn changes_since<'i>(&'i self, before: &'i Self) -> ImageChanges<'i> {
        let mut changes = ImageChanges {
            nodes: !Arc::ptr_eq(&self.nodes, &before.nodes) && self.nodes != before.nodes,
            ..ImageChanges::default()
        };
        if !Arc::ptr_eq(&self.topics, &before.topics) {
            differences(&before.topics, &self.topics, |_, old, new| changes.topic(old, new));
        }
        if !Arc::ptr_eq(&self.configs, &before.configs) {
            differences(&before.configs, &self.configs, |resource, _, _| match resource {
                ConfigResource::Topic(name) => changes.configured.extend(self.topics.get(name.as_str())),
                ConfigResource::Node(_) | ConfigResource::Cluster => changes.shared_configs = true,
            });
            // A topic that was created is new as a whole.
            changes.configured.retain(|topic| before.names.contains_key(&topic.id));
        }
        changes
    }
}

impl<'i> ImageChanges<'i> {
    fn topic(&mut self, old: Option<&'i Arc<TopicImage>>, new: Option<&'i Arc<TopicImage>>) {
        let same = old.filter(|old| new.is_some_and(|new| new.id == old.id));
        if same.is_none() {
            self.deleted.extend(old);
            self.created.extend(new);
        }
        let Some(new) = new else { return };
        let partitions_before = same.map_or(&[][..], |old| &old.partitions[..]);
        for (index, partition) in (0..).zip(&new.partitions) {
            let before = usize::try_from(index).ok().and_then(|index: usize| partitions_before.get(index));
            if !before.is_some_and(|before| is_same(before, partition)) {
                self.partitions.push((new, index, partition));
            }
        }
    }
}

fn is_same<T: PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Tells every key under which two maps differ, in order, with what they have there.
fn differences<'m, K: Ord, V: PartialEq>(
    before: &'m BTreeMap<K, Arc<V>>,
    after: &'m BTreeMap<K, Arc<V>>,
    mut tell: impl FnMut(&'m K, Option<&'m Arc<V>>, Option<&'m Arc<V>>),
) {
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let key = match (old.peek(), new.peek()) {
            (Some((old, _)), Some((new, _))) => (*old).min(*new),
            (Some((key, _)), None) | (None, Some((key, _))) => *key,
            (None, None) => return,
        };
        let old = old.next_if(|(at, _)| *at == key).map(|(_, value)| value);
        let new = new.next_if(|(at, _)| *at == key).map(|(_, value)| value);
        let is_alike = matches!((old, new), (Some(old), Some(new)) if is_same(old, new));
        if !is_alike {
            tell(key, old, new);
        }
    }
}

#[cfg(test)]
mod tests;
