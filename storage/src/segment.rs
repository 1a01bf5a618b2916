//! A segment: one file of consecutive record batches, named after its first offset.
//!
//! The file holds exactly the batches, as they go over the wire. An open segment may be longer than its batches (the last
//! write is padded with zeros to a whole block); a sealed one has its exact size and never changes again.
pub(crate) mod index;
pub(crate) mod scan;
pub(crate) mod verified;

use alloc::format;
use alloc::string::String;

use self::index::SegmentIndex;
use self::verified::Verified;
use crate::batch::BatchHeader;
use crate::offset::Offset;

/// Digits of a file's name: enough for every offset, so that names sort as offsets do.
const NAME_DIGITS: usize = 20;

/// The timestamp of a segment that has none: below every real one, and what Kafka calls "no timestamp".
pub(crate) const NO_TIMESTAMP: i64 = -1;

/// What a checkpoint keeps of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentSummary {
    pub(crate) base_offset: Offset,
    /// Offset behind its last record.
    pub(crate) next_offset: Offset,
    /// Bytes of its batches.
    pub(crate) size_bytes: u64,
    /// Largest timestamp, [`NO_TIMESTAMP`] without any.
    pub(crate) max_timestamp: i64,
    /// Base offset of the first batch that has it.
    pub(crate) max_timestamp_offset: Offset,
    /// When its first batch was appended.
    pub(crate) created_ms: i64,
}

impl SegmentSummary {
    /// Whether two tell of the same bytes.
    pub(crate) fn is_same(&self, other: &SegmentSummary) -> bool {
        (self.base_offset, self.next_offset, self.size_bytes)
            == (other.base_offset, other.next_offset, other.size_bytes)
    }

    /// A segment without batches.
    pub(crate) fn empty(base_offset: Offset, created_ms: i64) -> SegmentSummary {
        SegmentSummary {
            base_offset,
            next_offset: base_offset,
            size_bytes: 0,
            max_timestamp: NO_TIMESTAMP,
            max_timestamp_offset: base_offset,
            created_ms,
        }
    }
}

/// A segment of an open log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) summary: SegmentSummary,
    /// `None` for a sealed segment whose index is not in memory.
    pub(crate) index: Option<SegmentIndex>,
    /// When the index was used last, to give back the memory of those that nobody reads.
    pub(crate) index_used_ms: i64,
    /// Whether it was used since `index_used_ms` was last brought up to date.
    pub(crate) index_was_used: bool,
    /// Whether its file has its exact size, durably, and its index file is written.
    pub(crate) is_sealed: bool,
    /// Whether the file exists.
    pub(crate) has_file: bool,
    /// Whether the file's name is durable.
    pub(crate) name_is_durable: bool,
    /// Length of the file that is durable: overwrites below it are covered by a flush of any file.
    pub(crate) durable_length: u64,
    /// Length that was written, durable or not.
    pub(crate) written_length: u64,
    /// Whether something was written since the last flush.
    pub(crate) is_dirty: bool,
    pub(crate) verified: Verified,
}

impl Segment {
    /// A segment that begins now.
    pub(crate) fn new(base_offset: Offset, created_ms: i64) -> Segment {
        Segment {
            summary: SegmentSummary::empty(base_offset, created_ms),
            index: Some(SegmentIndex::default()),
            index_used_ms: created_ms,
            index_was_used: false,
            is_sealed: false,
            has_file: false,
            name_is_durable: false,
            durable_length: 0,
            written_length: 0,
            is_dirty: false,
            verified: Verified::default(),
        }
    }

    /// A segment that was found on disk, with a durable file of this length.
    pub(crate) fn found(summary: SegmentSummary, index: Option<SegmentIndex>, length: u64) -> Segment {
        Segment {
            summary,
            index,
            has_file: true,
            name_is_durable: true,
            durable_length: length,
            ..Segment::new(summary.base_offset, summary.created_ms)
        }
    }

    /// Takes note of a batch that stands at its end now.
    pub(crate) fn note(&mut self, batch: &BatchHeader, interval_bytes: u32) {
        let summary = &mut self.summary;
        assert_eq!(batch.base_offset, summary.next_offset.value(), "batches follow each other");
        let index = self.index.as_mut().expect("the open segment's index is in memory");
        let relative = summary.next_offset.since(summary.base_offset);
        index.note(relative, summary.size_bytes, summary.max_timestamp, interval_bytes);
        if batch.max_timestamp > summary.max_timestamp && batch.has_records() {
            summary.max_timestamp = batch.max_timestamp;
            summary.max_timestamp_offset = Offset::new(batch.base_offset);
        }
        summary.size_bytes += batch.length as u64;
        summary.next_offset = Offset::new(batch.next_offset());
    }
}

/// Path of a segment's file.
pub(crate) fn log_path(folder: &str, base_offset: Offset) -> String {
    path(folder, base_offset, "log")
}

/// Path of a sealed segment's index.
pub(crate) fn index_path(folder: &str, base_offset: Offset) -> String {
    path(folder, base_offset, "index")
}

/// Path of the producers as they were when a segment began.
pub(crate) fn producers_path(folder: &str, base_offset: Offset) -> String {
    path(folder, base_offset, "producers")
}

/// Path of a segment that compaction has not put into its place yet.
pub(crate) fn staged_path(folder: &str, base_offset: Offset) -> String {
    path(folder, base_offset, STAGED_EXTENSION)
}

/// Whether a file's name is that of a segment which compaction did not put into its place.
pub(crate) fn is_staged_name(name: &str) -> bool {
    name.split_once('.').is_some_and(|(digits, extension)| {
        extension == STAGED_EXTENSION
            && digits.len() == NAME_DIGITS
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

const STAGED_EXTENSION: &str = "cleaned";

fn path(folder: &str, base_offset: Offset, extension: &str) -> String {
    format!("{folder}/{:020}.{extension}", base_offset.value())
}

/// Takes a file's name apart: base offset and extension; `None` when it is not one of a segment's files.
pub(crate) fn parse_name(name: &str) -> Option<(Offset, &str)> {
    let (digits, extension) = name.split_once('.')?;
    let all_digits = digits.len() == NAME_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    let offset = digits.parse().ok().and_then(Offset::try_new)?;
    (all_digits && matches!(extension, "log" | "index" | "producers")).then_some((offset, extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_offsets_and_come_back() {
        let path = log_path("t-0", Offset::new(42));
        assert_eq!(path, "t-0/00000000000000000042.log");
        assert_eq!(parse_name(&path[4..]), Some((Offset::new(42), "log")));
        for name in
            ["42.log", "0000000000000000004x.log", "00000000000000000042.tmp", "99999999999999999999.log"]
        {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
