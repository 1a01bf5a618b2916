//! The sparse index of a segment: from an offset or a time to a position at or before it.
//!
//! One entry for `index.interval.bytes` of batches. An entry says: here, at `position`, begins the batch with base offset
//! `offset`, and every batch before it in this segment has a timestamp of at most `max_timestamp_before`.
//! What must hold: offsets and positions rise strictly, timestamps never fall.
use alloc::vec::Vec;

use crate::codec::{Put, Take};
use crate::error::Corruption;
use crate::offset::Offset;
use crate::small_file::{self, Kind};

const INDEX_FILE: Kind = Kind { magic: *b"RMindex\x01", version: 1 };

/// Bytes of an entry in a file.
const ENTRY_BYTES: usize = 16;

/// Largest index file that is read: every entry of the largest segment at the smallest interval we write, with head.
pub(crate) const INDEX_FILE_BYTES_MAX: usize = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// Base offset of the batch, counted from the segment's base offset.
    offset: u32,
    position: u32,
    max_timestamp_before: i64,
}

/// Where a batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u64,
    /// Its base offset, counted from the segment's.
    pub(crate) relative_offset: u64,
}

/// The index of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentIndex {
    entries: Vec<Entry>,
    /// Position from which the next batch gets an entry.
    next_entry_position: u64,
}

impl SegmentIndex {
    /// Takes note of one batch. `max_timestamp_before` is the largest of all batches before it in the segment.
    pub(crate) fn note(
        &mut self,
        relative_offset: u64,
        position: u64,
        max_timestamp_before: i64,
        interval_bytes: u32,
    ) {
        if position < self.next_entry_position {
            return;
        }
        let entry = Entry {
            offset: u32::try_from(relative_offset).expect("a segment spans at most 2^31 offsets"),
            position: u32::try_from(position).expect("a segment has at most 2^31 bytes"),
            max_timestamp_before,
        };
        if let Some(last) = self.entries.last() {
            assert!(
                last.offset < entry.offset
                    && last.position < entry.position
                    && last.max_timestamp_before <= entry.max_timestamp_before,
                "index entries rise: {last:?} then {entry:?}"
            );
        }
        self.entries.push(entry);
        self.next_entry_position = position + u64::from(interval_bytes.max(1));
    }

    /// The last indexed batch whose base offset is at most `relative_offset`; the segment's first one without any.
    pub(crate) fn place_for_offset(&self, relative_offset: u64) -> Place {
        self.place_before(self.entries.partition_point(|entry| u64::from(entry.offset) <= relative_offset))
    }

    /// The last indexed batch before which every batch is older than `timestamp`.
    pub(crate) fn place_for_time(&self, timestamp: i64) -> Place {
        self.place_before(self.entries.partition_point(|entry| entry.max_timestamp_before < timestamp))
    }

    fn place_before(&self, end: usize) -> Place {
        let entry = self.entries[..end].last();
        entry.map_or(Place { position: 0, relative_offset: 0 }, |entry| Place {
            position: u64::from(entry.position),
            relative_offset: u64::from(entry.offset),
        })
    }

    /// The last indexed batch that begins in `after+1..=up_to` and whose offset is at most `relative_offset`.
    pub(crate) fn border(&self, after: u64, up_to: u64, relative_offset: u64) -> Option<Place> {
        let end = self.entries.partition_point(|entry| {
            u64::from(entry.position) <= up_to && u64::from(entry.offset) <= relative_offset
        });
        let place = self.place_before(end);
        (place.position > after).then_some(place)
    }

    /// Where the first indexed batch behind a position begins.
    pub(crate) fn position_after(&self, position: u64) -> Option<u64> {
        let at = self.entries.partition_point(|entry| u64::from(entry.position) <= position);
        self.entries.get(at).map(|entry| u64::from(entry.position))
    }

    /// How many entries it has.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends it to a file's body.
    pub(crate) fn encode(&self, body: &mut Vec<u8>) {
        body.put_u64(self.next_entry_position);
        body.put_u32(
            u32::try_from(self.entries.len()).expect("positions have 32 bits, so have their counts"),
        );
        for entry in &self.entries {
            body.put_u32(entry.offset);
            body.put_u32(entry.position);
            body.put_i64(entry.max_timestamp_before);
        }
    }

    /// Reads what [`SegmentIndex::encode`] wrote; `None` when it cannot be an index.
    pub(crate) fn decode(body: &mut Take<'_>) -> Option<SegmentIndex> {
        let next_entry_position = body.u64()?;
        let count = body.count(ENTRY_BYTES)?;
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        for _ in 0..count {
            let entry =
                Entry { offset: body.u32()?, position: body.u32()?, max_timestamp_before: body.i64()? };
            let rises = entries.last().is_none_or(|last| {
                last.offset < entry.offset
                    && last.position < entry.position
                    && last.max_timestamp_before <= entry.max_timestamp_before
            });
            rises.then_some(())?;
            entries.push(entry);
        }
        Some(SegmentIndex { entries, next_entry_position })
    }

    /// The index file of a sealed segment.
    pub(crate) fn to_file(&self, base_offset: Offset) -> Vec<u8> {
        let mut body = Vec::with_capacity(20 + self.entries.len() * ENTRY_BYTES);
        body.put_i64(base_offset.value());
        self.encode(&mut body);
        small_file::seal(&INDEX_FILE, &body)
    }

    /// Reads the index file of a sealed segment. An error only means that the index has to be made again.
    pub(crate) fn from_file(
        path: &str,
        file: &[u8],
        base_offset: Offset,
    ) -> Result<SegmentIndex, Corruption> {
        let body = small_file::open(&INDEX_FILE, path, file)?;
        let mut fields = Take(body);
        let base = fields.i64();
        let index = SegmentIndex::decode(&mut fields);
        match (base, index) {
            (Some(base), Some(index)) if base == base_offset.value() && fields.0.is_empty() => Ok(index),
            _ => Err(Corruption {
                file: path.into(),
                position: 20,
                expected: alloc::format!("rising entries of the segment with base offset {base_offset}"),
                got: alloc::format!("base offset {base:?}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> SegmentIndex {
        let mut index = SegmentIndex::default();
        for batch in 0..10u64 {
            index.note(batch * 5, batch * 1000, i64::try_from(batch).expect("small") * 10 - 10, 1500);
        }
        index
    }

    #[test]
    fn one_entry_an_interval() {
        assert_eq!(index().len(), 5);
    }

    #[test]
    fn finds_the_entry_at_or_before() {
        let index = index();
        let offset_position = |offset| index.place_for_offset(offset).position;
        let time_position = |time| index.place_for_time(time).position;
        assert_eq!(offset_position(0), 0);
        assert_eq!(offset_position(19), 2000);
        assert_eq!(offset_position(20), 4000);
        assert_eq!(offset_position(1000), 8000);
        // Before the batch at 2000 the newest timestamp is 10, before the one at 4000 it is 30.
        assert_eq!(time_position(30), 2000);
        assert_eq!(time_position(31), 4000);
        assert_eq!(time_position(i64::MIN), 0);
        assert_eq!(index.border(2000, 5000, 1000), Some(Place { position: 4000, relative_offset: 20 }));
        assert_eq!(index.border(2000, 5000, 19), None);
        assert_eq!(index.border(2000, 3999, 1000), None);
        assert_eq!(
            [1999, 2000, 8000].map(|after| index.position_after(after)),
            [Some(2000), Some(4000), None]
        );
    }

    #[test]
    fn survives_its_file_and_refuses_another_segments() {
        let index = index();
        let file = index.to_file(Offset::new(7));
        assert_eq!(SegmentIndex::from_file("i", &file, Offset::new(7)), Ok(index));
        assert!(SegmentIndex::from_file("i", &file, Offset::new(8)).is_err());
    }
}
