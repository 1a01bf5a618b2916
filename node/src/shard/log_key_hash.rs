//! Hashing of the keys of partitions: each request looks one up.
//!
//! What must hold: used for keys of partitions that exist only, of which no client chooses the topic id; anything that a
//! client can name freely is hashed with a secret instead.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps by `LogKey`.
pub(super) type LogKeyHashing = BuildHasherDefault<LogKeyHasher>;

/// Multiplies and folds; topic ids are random already.
#[derive(Default)]
pub(super) struct LogKeyHasher(u64);

/// Odd, with its bits spread evenly (the golden ratio).
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl LogKeyHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for LogKeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(value.into());
    }

    fn write_i32(&mut self, value: i32) {
        self.mix(u64::from(value.cast_unsigned()) + 1);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, hash::BuildHasher};

    use ringmain_storage::{LogKey, TopicId};

    use super::*;

    #[test]
    fn partitions_spread_over_the_places_of_a_map() {
        let hashing = LogKeyHashing::default();
        let keys = (0..64_u8).flat_map(|topic| {
            (0..64).map(move |partition| LogKey { topic_id: TopicId([topic; 16]), partition })
        });
        let hashes: Vec<u64> = keys.map(|key| hashing.hash_one(key)).collect();
        // A map takes its place from the low bits and its tag from the high ones.
        let places: BTreeSet<u64> = hashes.iter().map(|hash| hash % 4096).collect();
        let tags: BTreeSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(places.len() > 2000, "{} of 4096 places are used", places.len());
        assert_eq!(tags.len(), 128);
    }
}
