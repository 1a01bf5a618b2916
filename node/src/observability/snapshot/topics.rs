//! Which topics have numbers of their own: a bounded number of them, and all others together.
//!
//! What must hold: no number that is shown as one that grows ever falls. So a topic that has a place keeps it until it is
//! deleted; one that gets a place later begins at zero there, and what it had before stays with the others; what a deleted
//! one had is taken from the sum of all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ringmain_storage::TopicId;

use crate::shard::{CounterValues, ShardSnapshot, TopicSize, TopicTrafficValues};

/// Numbers of one topic on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicNumbers {
    /// Empty for all topics without a place.
    pub(crate) topic: Arc<str>,
    pub(crate) traffic: TopicTrafficValues,
    /// Partitions that this node keeps.
    pub(crate) partitions: u64,
    pub(crate) size_bytes: u64,
    pub(crate) segments: u64,
}

/// The topics that have a place.
#[derive(Debug, Default)]
pub(crate) struct TopicSlots {
    places: BTreeMap<TopicId, Place>,
    /// What topics had in their places that are gone.
    past: TopicTrafficValues,
}

#[derive(Debug)]
struct Place {
    name: Arc<str>,
    /// What was counted before it got the place.
    before: TopicTrafficValues,
    /// What it had at the last look.
    shown: TopicTrafficValues,
}

impl TopicSlots {
    /// The numbers of every topic with a place, and of the others together; nothing where there are no places at all.
    pub(super) fn take(&mut self, shards: &[Arc<ShardSnapshot>], places_max: usize) -> Vec<TopicNumbers> {
        if places_max == 0 {
            return Vec::new();
        }
        let mut traffic: BTreeMap<TopicId, (Arc<str>, TopicTrafficValues)> = BTreeMap::new();
        for (topic_id, name, values) in shards.iter().flat_map(|shard| &shard.traffic) {
            let (_, sum) =
                traffic.entry(*topic_id).or_insert_with(|| (name.clone(), TopicTrafficValues::default()));
            *sum = combine(*sum, *values, u64::saturating_add);
        }
        let mut sizes: BTreeMap<TopicId, TopicSize> = BTreeMap::new();
        for (topic_id, size) in shards.iter().flat_map(|shard| &shard.topics) {
            let sum = sizes.entry(*topic_id).or_default();
            sum.partitions += size.partitions;
            sum.size_bytes += size.size_bytes;
            sum.segments += size.segments;
        }
        let counters = shards.iter().map(|shard| of_counters(&shard.counters));
        let all =
            counters.fold(TopicTrafficValues::default(), |sum, it| combine(sum, it, u64::saturating_add));
        self.give_places(&traffic, places_max);
        self.numbers(&traffic, &sizes, all)
    }

    fn give_places(
        &mut self,
        traffic: &BTreeMap<TopicId, (Arc<str>, TopicTrafficValues)>,
        places_max: usize,
    ) {
        for (_, gone) in self.places.extract_if(.., |topic_id, _| !traffic.contains_key(topic_id)) {
            self.past = combine(self.past, gone.shown, u64::saturating_add);
        }
        // The busiest first; where nothing tells them apart, by name.
        let mut without: Vec<_> = traffic.iter().filter(|(id, _)| !self.places.contains_key(id)).collect();
        without.sort_by(|(_, (one_name, one)), (_, (other_name, other))| {
            let bytes = |it: &TopicTrafficValues| it.appended_bytes + it.fetched_bytes;
            bytes(other).cmp(&bytes(one)).then_with(|| one_name.cmp(other_name))
        });
        let free = places_max.saturating_sub(self.places.len());
        let is_first_look = self.places.is_empty() && self.past == TopicTrafficValues::default();
        for (topic_id, (name, values)) in without.into_iter().take(free) {
            // At the first look nothing was shown of anybody yet.
            let before = if is_first_look { TopicTrafficValues::default() } else { *values };
            let place = Place { name: name.clone(), before, shown: TopicTrafficValues::default() };
            self.places.insert(*topic_id, place);
        }
    }

    fn numbers(
        &mut self,
        traffic: &BTreeMap<TopicId, (Arc<str>, TopicTrafficValues)>,
        sizes: &BTreeMap<TopicId, TopicSize>,
        all: TopicTrafficValues,
    ) -> Vec<TopicNumbers> {
        let mut numbers = Vec::new();
        let mut rest = combine(all, self.past, u64::saturating_sub);
        for (topic_id, place) in &mut self.places {
            if let Some((_, values)) = traffic.get(topic_id) {
                place.shown = combine(*values, place.before, u64::saturating_sub);
            }
            rest = combine(rest, place.shown, u64::saturating_sub);
            let TopicSize { partitions, size_bytes, segments, .. } =
                sizes.get(topic_id).cloned().unwrap_or_default();
            let (topic, traffic) = (place.name.clone(), place.shown);
            numbers.push(TopicNumbers { topic, traffic, partitions, size_bytes, segments });
        }
        numbers.sort_by(|one, other| one.topic.cmp(&other.topic));
        let placed: BTreeSet<_> = self.places.keys().collect();
        let mut others = TopicNumbers { traffic: rest, ..TopicNumbers::default() };
        for (_, size) in sizes.iter().filter(|(topic_id, _)| !placed.contains(topic_id)) {
            others.partitions += size.partitions;
            others.size_bytes += size.size_bytes;
            others.segments += size.segments;
        }
        numbers.push(others);
        numbers
    }
}

fn of_counters(counters: &CounterValues) -> TopicTrafficValues {
    TopicTrafficValues {
        appended_batches: counters.appended_batches,
        appended_records: counters.appended_records,
        appended_bytes: counters.appended_bytes,
        fetched_bytes: counters.fetched_memory_bytes + counters.fetched_file_bytes,
    }
}

fn combine(
    one: TopicTrafficValues,
    other: TopicTrafficValues,
    with: fn(u64, u64) -> u64,
) -> TopicTrafficValues {
    TopicTrafficValues {
        appended_batches: with(one.appended_batches, other.appended_batches),
        appended_records: with(one.appended_records, other.appended_records),
        appended_bytes: with(one.appended_bytes, other.appended_bytes),
        fetched_bytes: with(one.fetched_bytes, other.fetched_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(appended_bytes: u64) -> TopicTrafficValues {
        TopicTrafficValues { appended_bytes, ..TopicTrafficValues::default() }
    }

    /// One look at topics with so many bytes, of `all`; the bytes shown, by name.
    fn look(slots: &mut TopicSlots, topics: &[(u8, u64)], all: u64) -> Vec<(String, u64)> {
        let traffic = topics.iter().map(|(id, count)| {
            let name: Arc<str> = format!("topic-{id}").into();
            (TopicId([*id; 16]), (name, bytes(*count)))
        });
        let traffic = traffic.collect();
        slots.give_places(&traffic, 2);
        let numbers = slots.numbers(&traffic, &BTreeMap::new(), bytes(all));
        numbers.iter().map(|it| (it.topic.to_string(), it.traffic.appended_bytes)).collect()
    }

    fn shown(numbers: &[(&str, u64)]) -> Vec<(String, u64)> {
        numbers.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn nothing_ever_falls() {
        let mut slots = TopicSlots::default();
        let first = look(&mut slots, &[(1, 10), (2, 30), (3, 20)], 60);
        assert_eq!(first, shown(&[("topic-2", 30), ("topic-3", 20), ("", 10)]), "the busiest have places");
        let later = look(&mut slots, &[(1, 1_000), (2, 31), (3, 21)], 1_052);
        assert_eq!(later, shown(&[("topic-2", 31), ("topic-3", 21), ("", 1_000)]), "and keep them");
        let deleted = look(&mut slots, &[(1, 1_001), (3, 21)], 1_053);
        assert_eq!(
            deleted,
            shown(&[("topic-1", 0), ("topic-3", 21), ("", 1_001)]),
            "what it had stays where it was"
        );
        let last = look(&mut slots, &[(1, 1_006), (3, 21)], 1_058);
        assert_eq!(last, shown(&[("topic-1", 5), ("topic-3", 21), ("", 1_001)]));
    }
}
