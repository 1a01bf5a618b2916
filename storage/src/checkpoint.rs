//! `partition.checkpoint`: what a start needs to know of a log without reading its segments.
//!
//! It describes the log exactly as it was at its recovery point, a moment at which everything below was durable in the
//! segments. What was appended later is found by scanning from there. It is replaced atomically, after the flush that made
//! the recovery point true; a missing or damaged one costs a scan of all segments, nothing else but a log start that
//! `DeleteRecords` had moved into the middle of a segment.
use alloc::vec::Vec;

use crate::codec::{Put, Take};
use crate::error::Corruption;
use crate::identity::{LogKey, TopicId};
use crate::log::leader_epochs::LeaderEpochs;
use crate::log::producers::Producers;
use crate::offset::Offset;
use crate::segment::SegmentSummary;
use crate::segment::index::SegmentIndex;
use crate::small_file::{self, Kind};

/// The file's name in the folder of its partition.
pub(crate) const FILE_NAME: &str = "partition.checkpoint";

/// Largest checkpoint that is read: an index of the largest segment, a hundred thousand segments, ten thousand producers.
pub(crate) const FILE_BYTES_MAX: usize = 256 << 20;

/// Version 2 tells of compaction.
const CHECKPOINT_FILE: Kind = Kind { magic: *b"RMcheckp", version: 2 };

/// Bytes of a segment's summary.
const SUMMARY_BYTES: usize = 48;

/// A log at its recovery point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) key: LogKey,
    /// May lie above the recovery point: what is below it does not matter any more.
    pub(crate) log_start_offset: Offset,
    /// Below it everything is durable in the segments. It is the log's end as of this checkpoint.
    pub(crate) recovery_point: Offset,
    /// All segments, in order. The last one is open; its size is the recovery point's position.
    pub(crate) segments: Vec<SegmentSummary>,
    /// Index of the open segment, up to the recovery point.
    pub(crate) open_index: SegmentIndex,
    pub(crate) producers: Producers,
    pub(crate) leader_epochs: LeaderEpochs,
    /// Below it the log was compacted; may lie below the log's start.
    pub(crate) compacted_offset: Offset,
    /// Compaction puts a segment into the place of others, and may not be done with it.
    pub(crate) replacement: Option<Replacement>,
}

/// A segment of the checkpoint that stands for others: its file may still have its provisional name, and theirs may still
/// be there. See [`crate::log::compaction`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replacement {
    /// Base offsets of the segments that it replaces; the first is its own.
    pub(crate) replaced: Vec<Offset>,
}

impl Checkpoint {
    /// The file.
    pub(crate) fn to_file(&self) -> Vec<u8> {
        let mut body =
            Vec::with_capacity(256 + self.segments.len() * SUMMARY_BYTES + self.open_index.len() * 16);
        body.put(&self.key.topic_id.0);
        body.put_i32(self.key.partition);
        body.put_i64(self.log_start_offset.value());
        body.put_i64(self.recovery_point.value());
        body.put_u32(u32::try_from(self.segments.len()).expect("segments fit into 32 bits"));
        for segment in &self.segments {
            body.put_i64(segment.base_offset.value());
            body.put_i64(segment.next_offset.value());
            body.put_u64(segment.size_bytes);
            body.put_i64(segment.max_timestamp);
            body.put_i64(segment.max_timestamp_offset.value());
            body.put_i64(segment.created_ms);
        }
        self.open_index.encode(&mut body);
        self.producers.encode(&mut body);
        self.leader_epochs.encode(&mut body);
        body.put_i64(self.compacted_offset.value());
        let replaced = self.replacement.as_ref().map_or(&[][..], |replacement| &replacement.replaced);
        body.put_u32(u32::try_from(replaced.len()).expect("segments fit into 32 bits"));
        replaced.iter().for_each(|base_offset| body.put_i64(base_offset.value()));
        small_file::seal(&CHECKPOINT_FILE, &body)
    }

    /// Reads the file.
    pub(crate) fn from_file(path: &str, file: &[u8]) -> Result<Checkpoint, Corruption> {
        let (version, body) = small_file::open_versioned(&CHECKPOINT_FILE, path, file)?;
        Checkpoint::decode(body, version).ok_or_else(|| Corruption {
            file: path.into(),
            position: 20,
            expected: "a checkpoint whose segments follow each other up to the recovery point".into(),
            got: "fields that contradict each other".into(),
        })
    }

    fn decode(body: &[u8], version: u32) -> Option<Checkpoint> {
        let mut fields = Take(body);
        let key = LogKey { topic_id: TopicId(fields.id()?), partition: fields.i32()? };
        let log_start_offset = Offset::try_new(fields.i64()?)?;
        let recovery_point = Offset::try_new(fields.i64()?)?;
        let mut segments = Vec::new();
        for _ in 0..fields.count(SUMMARY_BYTES)? {
            segments.push(SegmentSummary {
                base_offset: Offset::try_new(fields.i64()?)?,
                next_offset: Offset::try_new(fields.i64()?)?,
                size_bytes: fields.u64()?,
                max_timestamp: fields.i64()?,
                max_timestamp_offset: Offset::try_new(fields.i64()?)?,
                created_ms: fields.i64()?,
            });
        }
        let mut checkpoint = Checkpoint {
            key,
            log_start_offset,
            recovery_point,
            segments,
            open_index: SegmentIndex::decode(&mut fields)?,
            producers: Producers::decode(&mut fields)?,
            leader_epochs: LeaderEpochs::decode(&mut fields)?,
            compacted_offset: Offset::ZERO,
            replacement: None,
        };
        if version >= 2 {
            checkpoint.compacted_offset = Offset::try_new(fields.i64()?)?;
            let mut replaced = Vec::new();
            for _ in 0..fields.count(8)? {
                replaced.push(Offset::try_new(fields.i64()?)?);
            }
            checkpoint.replacement = (!replaced.is_empty()).then_some(Replacement { replaced });
        }
        (fields.0.is_empty() && checkpoint.is_consistent()).then_some(checkpoint)
    }

    /// Moves the log's start; segments that lie below it are left out, but for the open one.
    pub(crate) fn advance(&mut self, log_start_offset: Offset) {
        self.log_start_offset = log_start_offset;
        self.leader_epochs.advance(log_start_offset.min(self.recovery_point));
        let below = self.segments.iter().filter(|segment| segment.next_offset <= log_start_offset).count();
        self.segments.drain(..below.min(self.segments.len().saturating_sub(1)));
    }

    /// Puts one segment into the place of those that it was made of. `false` when the checkpoint does not know these, and
    /// nothing changes.
    pub(crate) fn replace(&mut self, old: &[SegmentSummary], new: SegmentSummary) -> bool {
        let Some(first) = self.segments.iter().position(|known| known.base_offset == new.base_offset) else {
            return false;
        };
        let known = self.segments.get(first..first + old.len()).unwrap_or_default();
        if known.len() < old.len() || known.iter().zip(old).any(|(known, old)| !known.is_same(old)) {
            return false;
        }
        self.segments.splice(first..first + old.len(), [new]);
        if self.segments.last().is_some_and(|last| last.base_offset == new.base_offset) {
            // It was open when the checkpoint was drawn up; a segment that replaces others never is.
            self.segments.push(SegmentSummary::empty(self.recovery_point, new.created_ms));
            self.open_index = SegmentIndex::default();
        }
        let replaced = old.iter().map(|segment| segment.base_offset).collect();
        self.replacement = Some(Replacement { replaced });
        true
    }

    /// The segments follow each other without a gap, and the last one ends at the recovery point.
    fn is_consistent(&self) -> bool {
        let follow = |pair: &[SegmentSummary]| pair[0].next_offset == pair[1].base_offset;
        self.segments.windows(2).all(follow)
            && self.segments.iter().all(|segment| segment.base_offset <= segment.next_offset)
            && self.segments.last().is_some_and(|open| open.next_offset == self.recovery_point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(base: i64, next: i64) -> SegmentSummary {
        SegmentSummary {
            base_offset: Offset::new(base),
            next_offset: Offset::new(next),
            size_bytes: 100,
            max_timestamp: 5,
            max_timestamp_offset: Offset::new(base),
            created_ms: 1,
        }
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            key: LogKey { topic_id: TopicId([3; 16]), partition: 1 },
            log_start_offset: Offset::new(2),
            recovery_point: Offset::new(9),
            segments: [summary(0, 5), summary(5, 9)].into(),
            open_index: SegmentIndex::default(),
            producers: Producers::default(),
            leader_epochs: LeaderEpochs::default(),
            compacted_offset: Offset::new(5),
            replacement: None,
        }
    }

    #[test]
    fn survives_its_file() {
        let mut checkpoint = checkpoint();
        assert_eq!(Checkpoint::from_file("c", &checkpoint.to_file()), Ok(checkpoint.clone()));
        let both = checkpoint.segments.clone();
        let new = SegmentSummary { next_offset: Offset::new(9), ..summary(0, 5) };
        assert!(!checkpoint.replace(&[summary(0, 4), summary(4, 9)], new), "other segments");
        assert!(checkpoint.replace(&both, new));
        assert_eq!(checkpoint.segments.len(), 2, "the new one and an open one behind it");
        assert_eq!(Checkpoint::from_file("c", &checkpoint.to_file()), Ok(checkpoint));
    }

    #[test]
    fn a_gap_between_segments_is_refused() {
        let mut gap = checkpoint();
        gap.segments[1].base_offset = Offset::new(6);
        assert!(Checkpoint::from_file("c", &gap.to_file()).is_err());
        let mut short = checkpoint();
        short.recovery_point = Offset::new(10);
        assert!(Checkpoint::from_file("c", &short.to_file()).is_err());
    }
}
