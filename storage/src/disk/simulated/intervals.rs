//! A set of byte positions, kept as disjoint ranges.

use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Range;

/// Disjoint, non-adjacent ranges by their start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Intervals(BTreeMap<u64, u64>);

impl Intervals {
    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let touching: Vec<(u64, u64)> = self
            .0
            .range(..=range.end)
            .rev()
            .map(|(start, end)| (*start, *end))
            .take_while(|(_, end)| *end >= range.start)
            .collect();
        let mut merged = range;
        for (start, end) in touching {
            self.0.remove(&start);
            merged = merged.start.min(start)..merged.end.max(end);
        }
        self.0.insert(merged.start, merged.end);
    }

    pub(super) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let overlapping: Vec<(u64, u64)> = self
            .0
            .range(..range.end)
            .rev()
            .map(|(start, end)| (*start, *end))
            .take_while(|(_, end)| *end > range.start)
            .collect();
        for (start, end) in overlapping {
            self.0.remove(&start);
            if start < range.start {
                self.0.insert(start, range.start);
            }
            if end > range.end {
                self.0.insert(range.end, end);
            }
        }
    }

    /// `range` cut into the parts that lie inside (`true`) and outside of the set, in order.
    pub(super) fn split(&self, range: Range<u64>) -> Vec<(Range<u64>, bool)> {
        let mut parts = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (end, inside) = match self.0.range(..=at).next_back() {
                Some((_start, end)) if *end > at => (*end, true),
                _ => (self.0.range(at..).next().map_or(range.end, |(start, _end)| *start), false),
            };
            let end = end.min(range.end);
            parts.push((at..end, inside));
            at = end;
        }
        parts
    }

    pub(super) fn covers(&self, range: Range<u64>) -> bool {
        self.split(range).into_iter().all(|(_part, inside)| inside)
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn agrees_with_a_plain_set_of_positions() {
        let mut random = super::super::Random::new(7);
        let (mut intervals, mut plain) = (Intervals::default(), vec![false; 64]);
        for _ in 0..2000 {
            let start = random.below(64);
            let end = start + random.below(64 - start + 1);
            let add = random.chance(2);
            if add {
                intervals.insert(start..end)
            } else {
                intervals.remove(start..end)
            }
            plain[start as usize..end as usize].fill(add);
            assert_eq!(intervals.total(), plain.iter().filter(|is_in| **is_in).count() as u64);
            for (part, inside) in intervals.split(0..64) {
                assert!(plain[part.start as usize..part.end as usize].iter().all(|is_in| *is_in == inside));
            }
        }
    }
}
