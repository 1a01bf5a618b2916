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

const CHECKPOINT_FILE: Kind = Kind { magic: *b"RMcheckp", version: 1 };

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
        small_file::seal(&CHECKPOINT_FILE, &body)
    }

    /// Reads the file.
    pub(crate) fn from_file(path: &str, file: &[u8]) -> Result<Checkpoint, Corruption> {
        let body = small_file::open(&CHECKPOINT_FILE, path, file)?;
        Checkpoint::decode(body).ok_or_else(|| Corruption {
            file: path.into(),
            position: 20,
            expected: "a checkpoint whose segments follow each other up to the recovery point".into(),
            got: "fields that contradict each other".into(),
        })
    }

    fn decode(body: &[u8]) -> Option<Checkpoint> {
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
        let checkpoint = Checkpoint {
            key,
            log_start_offset,
            recovery_point,
            segments,
            open_index: SegmentIndex::decode(&mut fields)?,
            producers: Producers::decode(&mut fields)?,
            leader_epochs: LeaderEpochs::decode(&mut fields)?,
        };
        (fields.0.is_empty() && checkpoint.is_consistent()).then_some(checkpoint)
    }

    /// Moves the log's start; segments that lie below it are left out, but for the open one.
    pub(crate) fn advance(&mut self, log_start_offset: Offset) {
        self.log_start_offset = log_start_offset;
        self.leader_epochs.advance(log_start_offset.min(self.recovery_point));
        let below = self.segments.iter().filter(|segment| segment.next_offset <= log_start_offset).count();
        self.segments.drain(..below.min(self.segments.len().saturating_sub(1)));
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
        }
    }

    #[test]
    fn survives_its_file() {
        let checkpoint = checkpoint();
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
