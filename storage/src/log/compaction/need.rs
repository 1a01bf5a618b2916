//! What of a log may be compacted now, and whether it is worth a pass.
//!
//! Kafka's rules: never the open segment, nothing at or above the high watermark, no segment with a record younger than
//! `min.compaction.lag.ms`; a pass once the share of the bytes that no pass has read is above `min.cleanable.dirty.ratio`, or
//! once such a segment is older than `max.compaction.lag.ms`. A segment that nobody appends to any more is rolled by its
//! age, so that its records are compacted too.
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use crate::config::{CompactionConfig, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::disk::Disk;
use crate::log::append::SEGMENT_OFFSETS_MAX;
use crate::log::{Log, LogState};
use crate::offset::Offset;
use crate::segment::{NO_TIMESTAMP, SegmentSummary};

/// How much a log needs compaction. The larger goes first: what waits too long, then the larger share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompactionNeed {
    /// Something waits longer than `max.compaction.lag.ms`.
    pub is_overdue: bool,
    /// Share of the bytes that no pass has read, in millionths.
    pub dirty_millionths: u64,
    /// Those bytes.
    pub dirty_bytes: u64,
}

impl<D: Disk> Log<D> {
    /// Whether a pass is worth it now, and how much. Costs nothing for a log that got no records since the last one.
    #[must_use]
    pub fn compaction_need(&self, now_ms: i64, high_watermark: Offset) -> Option<CompactionNeed> {
        let state = self.0.state.borrow();
        let config = state.config.compaction?;
        let dirty = state.cleanable(now_ms, high_watermark)?;
        let (need, is_due) = state.need_of(&config, &dirty, now_ms);
        is_due.then_some(need)
    }

    /// Rolls the open segment of a compacted log when it is old enough, though nobody appends. Says whether it did.
    pub fn roll_for_compaction(&self, now_ms: i64, high_watermark: Offset) -> bool {
        let mut state = self.0.state.borrow_mut();
        let rolls = state.config.compaction.is_some() && state.is_open_segment_old(now_ms, high_watermark);
        if rolls {
            state.roll(now_ms);
            drop(state);
            self.request_round();
        }
        rolls
    }

    /// Whether passes ended with damage: the log is not compacted any more until the next start.
    #[must_use]
    pub fn is_uncleanable(&self) -> bool {
        self.0.state.borrow().is_uncleanable
    }

    /// Below it the log was compacted.
    #[must_use]
    pub fn compacted_offset(&self) -> Offset {
        self.0.state.borrow().compacted_offset
    }
}

impl LogState {
    /// The part that no pass has read and that may be compacted now.
    pub(super) fn cleanable(&self, now_ms: i64, high_watermark: Offset) -> Option<Range<Offset>> {
        let config = self.config.compaction?;
        let start = self.compacted_offset.max(self.log_start_offset);
        let open = self.open_segment().summary.base_offset;
        if start >= open
            || self.stopped.is_some()
            || self.is_busy()
            || self.is_uncleanable
            || self.is_compacting
        {
            return None;
        }
        let is_young = |segment: &SegmentSummary| {
            config.min_lag_ms > 0 && newest_time(segment) > now_ms.saturating_sub(config.min_lag_ms)
        };
        let durable = self.settled_offset.min(self.checkpointed_offset);
        let limit = if crate::planted::is("compacts-above-high-watermark") {
            durable
        } else {
            durable.min(high_watermark)
        };
        let from = self.segment_holding(start);
        let may_go = self.segments.range(from..).take_while(|segment| {
            segment.is_sealed && segment.summary.next_offset <= limit && !is_young(&segment.summary)
        });
        let end = may_go.last()?.summary.next_offset;
        (end > start).then_some(start..end)
    }

    fn need_of(
        &self,
        config: &CompactionConfig,
        dirty: &Range<Offset>,
        now_ms: i64,
    ) -> (CompactionNeed, bool) {
        let (mut clean_bytes, mut dirty_bytes, mut oldest_ms) = (0, 0, i64::MAX);
        for segment in self.segments.iter().map(|segment| &segment.summary) {
            if segment.next_offset <= dirty.start {
                clean_bytes += segment.size_bytes;
            } else if segment.next_offset <= dirty.end {
                dirty_bytes += segment.size_bytes;
                oldest_ms = oldest_ms.min(segment.created_ms);
            }
        }
        let dirty_millionths = dirty_bytes * 1_000_000 / (clean_bytes + dirty_bytes).max(1);
        let is_overdue = oldest_ms < now_ms.saturating_sub(config.max_lag_ms);
        let is_due = is_overdue || dirty_millionths > u64::from(config.min_dirty_millionths);
        (CompactionNeed { is_overdue, dirty_millionths, dirty_bytes }, is_due && dirty_bytes > 0)
    }

    fn is_open_segment_old(&self, now_ms: i64, high_watermark: Offset) -> bool {
        let open = &self.open_segment().summary;
        open.size_bytes > 0
            && now_ms.saturating_sub(open.created_ms) > self.config.segment_age_ms()
            && open.next_offset <= high_watermark
            && self.stopped.is_none()
            && !self.is_busy()
    }

    /// The segments that hold a part of the log.
    pub(super) fn sources(&self, start: Offset, end: Offset) -> VecDeque<SegmentSummary> {
        let all = self.segments.iter().map(|segment| segment.summary);
        all.filter(|segment| segment.next_offset > start && segment.base_offset < end).collect()
    }

    /// The segments below an offset, in groups that become one segment each: of at most `segment.bytes` together, and of as
    /// many offsets as an index can count.
    pub(super) fn groups_below(&self, end: Offset) -> VecDeque<Vec<SegmentSummary>> {
        let bytes_max = self.config.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let mut groups: VecDeque<Vec<SegmentSummary>> = VecDeque::new();
        for segment in self.sources(Offset::ZERO, end) {
            let fits = groups.back().is_some_and(|group| {
                let bytes: u64 = group.iter().map(|member| member.size_bytes).sum();
                bytes + segment.size_bytes <= bytes_max
                    && segment.next_offset.since(group[0].base_offset) <= SEGMENT_OFFSETS_MAX
            });
            match groups.back_mut().filter(|_| fits) {
                Some(group) => group.push(segment),
                None => groups.push_back(Vec::from([segment])),
            }
        }
        groups
    }
}

/// The time of a segment's newest record; when it began, where its records have no time.
fn newest_time(segment: &SegmentSummary) -> i64 {
    if segment.max_timestamp == NO_TIMESTAMP { segment.created_ms } else { segment.max_timestamp }
}
