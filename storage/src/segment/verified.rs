//! Which ranges of a segment's file were read back and had good checksums: only those are sent from the file.
//!
//! A few intervals are enough: readers walk forward. When there are too many the smallest is forgotten, which only costs
//! that its bytes are checked again.
use alloc::vec::Vec;
use core::ops::Range;

/// Intervals remembered of one segment; each reader makes one, which grows as it walks.
const RANGES_MAX: usize = 16;

/// Disjoint ranges of positions, sorted, none touching another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    ranges: Vec<Range<u64>>,
}

impl Verified {
    /// End of the verified range that `position` lies in.
    pub(crate) fn end_of_range_at(&self, position: u64) -> Option<u64> {
        let after = self.ranges.partition_point(|range| range.start <= position);
        let range = self.ranges[..after].last()?;
        (position < range.end).then_some(range.end)
    }

    /// Adds a range.
    pub(crate) fn add(&mut self, mut range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.ranges.partition_point(|known| known.end < range.start);
        let last = self.ranges.partition_point(|known| known.start <= range.end);
        if first < last {
            range.start = range.start.min(self.ranges[first].start);
            range.end = range.end.max(self.ranges[last - 1].end);
        }
        self.ranges.splice(first..last, [range]);
        if self.ranges.len() > RANGES_MAX {
            let length = |range: &Range<u64>| range.end - range.start;
            let smallest = (0..self.ranges.len()).min_by_key(|&index| length(&self.ranges[index]));
            self.ranges.remove(smallest.expect("there are too many"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one() {
        let mut verified = Verified::default();
        for range in [10..20, 40..50, 20..30, 30..40] {
            verified.add(range);
        }
        assert_eq!(verified.ranges.len(), 1);
        assert_eq!(verified.end_of_range_at(9), None);
        assert_eq!(verified.end_of_range_at(10), Some(50));
        assert_eq!(verified.end_of_range_at(50), None);
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let mut verified = Verified::default();
        for start in 0..100u64 {
            verified.add(start * 10..start * 10 + 5);
        }
        assert_eq!(verified.ranges.len(), RANGES_MAX);
    }
}
