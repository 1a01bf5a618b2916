//! The newest offset of each key in the part of a log that a pass reads: hashes and offsets in a table of bounded size.
//!
//! The table lies in parts that grow one by one, so that no growth takes long. What must hold: it takes no more than the
//! memory it was given; what it took it keeps. When a part is full the map says so, and the pass covers only what it holds.
use alloc::vec::Vec;

use crate::log::compaction::key_hash::KeyHash;

/// A growth moves one part of so many: half a megabyte of the default budget, some 0.3 ms.
const PARTS: usize = 256;

/// Slots of a part that holds something.
const SLOTS_AT_FIRST: usize = 16;

/// Of a hundred slots so many are used at most; more would make searches long.
const LOAD_PERCENT: usize = 80;

/// Offset of a slot that holds nothing.
const NOTHING: i64 = -1;

/// A key's hash and its newest offset.
#[derive(Clone, Copy)]
struct Slot {
    hash: KeyHash,
    offset: i64,
}

const EMPTY: Slot = Slot { hash: KeyHash(0, 0), offset: NOTHING };

#[derive(Default)]
struct Part {
    slots: Vec<Slot>,
    used: usize,
}

/// Keys and their newest offsets.
pub(crate) struct KeyMap {
    parts: Vec<Part>,
    slots_max: usize,
}

/// The map holds as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl KeyMap {
    /// A map that takes at most so much memory; for the smallest budgets a few hundred slots.
    pub(crate) fn new(bytes_max: usize) -> KeyMap {
        let slots_max = (bytes_max / PARTS / size_of::<Slot>()).max(2);
        let mut parts = Vec::new();
        parts.resize_with(PARTS, Part::default);
        KeyMap { parts, slots_max }
    }

    /// Takes note that a key has a record at `offset`. Offsets rise from call to call.
    pub(crate) fn put(&mut self, hash: KeyHash, offset: i64) -> Result<(), Full> {
        let slots_max = self.slots_max;
        let part = &mut self.parts[part_of(hash)];
        let mut at = part.find(hash);
        if at.is_none_or(|at| part.slots[at].offset == NOTHING) {
            if (part.used + 1) * 100 > part.slots.len() * LOAD_PERCENT {
                part.grow(slots_max)?;
                at = part.find(hash);
            }
            part.used += 1;
        }
        part.slots[at.expect("a part that grew has room")] = Slot { hash, offset };
        Ok(())
    }

    /// The newest offset of a key; `None` when the map does not have it.
    pub(crate) fn get(&self, hash: KeyHash) -> Option<i64> {
        let part = &self.parts[part_of(hash)];
        let offset = part.slots[part.find(hash)?].offset;
        (offset != NOTHING).then_some(offset)
    }

    /// Keys that it holds.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.used).sum()
    }
}

impl Part {
    /// The slot that has a hash, or the empty one where it belongs; `None` in a part without slots.
    fn find(&self, hash: KeyHash) -> Option<usize> {
        let count = self.slots.len();
        if count == 0 {
            return None;
        }
        let scaled = (u128::from(hash.1) * count as u128) >> 64;
        let mut at = usize::try_from(scaled).expect("below the number of slots");
        loop {
            let slot = &self.slots[at];
            if slot.offset == NOTHING || slot.hash == hash {
                return Some(at);
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
    }

    fn grow(&mut self, slots_max: usize) -> Result<(), Full> {
        let count = (self.slots.len() * 2).max(SLOTS_AT_FIRST).min(slots_max);
        if (self.used + 1) * 100 > count * LOAD_PERCENT {
            return Err(Full);
        }
        let mut slots = Vec::new();
        slots.resize(count, EMPTY);
        let old = core::mem::replace(&mut self.slots, slots);
        for slot in old.into_iter().filter(|slot| slot.offset != NOTHING) {
            let at = self.find(slot.hash).expect("it has slots now");
            self.slots[at] = slot;
        }
        Ok(())
    }
}

fn part_of(hash: KeyHash) -> usize {
    usize::try_from(hash.0 % PARTS as u64).expect("below the number of parts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::compaction::key_hash::hash;

    #[test]
    fn the_newest_offset_of_each_key_is_found() {
        let mut map = KeyMap::new(8 << 20);
        let of = |key: u64| hash([1, 2], &key.to_le_bytes());
        for offset in 0..100_000_u64 {
            map.put(of(offset % 30_011), offset as i64).expect("there is room");
        }
        assert_eq!(map.len(), 30_011);
        for key in 0..30_011 {
            let newest = (0..100_000).rev().find(|offset| offset % 30_011 == key);
            assert_eq!(map.get(of(key)), newest.map(|offset| offset as i64));
        }
        assert_eq!(map.get(of(30_011)), None);
    }

    #[test]
    fn a_full_map_keeps_what_it_has_and_its_bound() {
        let bytes_max = 256 * 24 * 100;
        let mut map = KeyMap::new(bytes_max);
        let of = |key: u64| hash([1, 2], &key.to_le_bytes());
        let full = (0..).find(|key| map.put(of(*key), *key as i64).is_err()).expect("it fills");
        assert!(full > 256 * 50, "{full} keys");
        let slots: usize = map.parts.iter().map(|part| part.slots.len()).sum();
        assert!(slots * size_of::<Slot>() <= bytes_max);
        for key in 0..full {
            assert_eq!(map.get(of(key)), Some(key as i64));
        }
        assert_eq!(map.get(of(full)), None);
        assert_eq!(map.put(of(7), full as i64), Ok(()), "a key that it has gets its newer offset");
        assert_eq!(map.get(of(7)), Some(full as i64));
    }
}
