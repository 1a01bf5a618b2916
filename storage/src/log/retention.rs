//! Retention: delete the oldest sealed segments that time or size lets go.
use crate::disk::Disk;
use crate::error::ChangeError;
use crate::log::{Log, LogState, RetentionReport};
use crate::offset::Offset;
use crate::segment::{NO_TIMESTAMP, SegmentSummary};

impl<D: Disk> Log<D> {
    /// Deletes segments whose newest record is older than `retention.ms`, and the oldest while the others hold
    /// `retention.bytes`; none that reaches above the high watermark. An open segment that is all too old is rolled first,
    /// and goes once it is sealed.
    pub async fn apply_retention(
        &self,
        now_ms: i64,
        high_watermark: Offset,
    ) -> Result<RetentionReport, ChangeError> {
        let (new_start, rolled) = {
            let mut state = self.0.state.borrow_mut();
            let rolled = state.roll_when_too_old(now_ms, high_watermark);
            (state.retained_from(now_ms, high_watermark), rolled)
        };
        if rolled {
            self.request_round();
        }
        let before = (self.segment_count(), self.size_bytes());
        if new_start > self.log_start_offset() {
            self.advance_log_start(new_start).await?;
        } else {
            self.remove_old_segments().await?;
        }
        Ok(RetentionReport {
            segments: before.0.saturating_sub(self.segment_count()),
            bytes: before.1.saturating_sub(self.size_bytes()),
            log_start_offset: self.log_start_offset(),
        })
    }
}

impl LogState {
    fn roll_when_too_old(&mut self, now_ms: i64, high_watermark: Offset) -> bool {
        let open = &self.open_segment().summary;
        let goes = open.size_bytes > 0
            && self.is_too_old(open, now_ms)
            && open.next_offset <= high_watermark
            && self.stopped.is_none()
            && !self.is_busy();
        if goes {
            self.roll(now_ms);
        }
        goes
    }

    /// Where the log starts once retention has taken its part.
    fn retained_from(&self, now_ms: i64, high_watermark: Offset) -> Offset {
        let mut start = self.log_start_offset;
        let mut left = self.size_bytes();
        let sealed = self.segments.iter().take(self.segments.len() - 1).map(|segment| &segment.summary);
        for segment in sealed {
            let rest = left - segment.size_bytes;
            let is_too_much = self.config.retention_bytes.is_some_and(|limit| rest >= limit);
            let goes =
                (self.is_too_old(segment, now_ms) || is_too_much) && segment.next_offset <= high_watermark;
            if !goes {
                break;
            }
            left = rest;
            start = start.max(segment.next_offset);
        }
        start
    }

    fn is_too_old(&self, segment: &SegmentSummary, now_ms: i64) -> bool {
        let newest =
            if segment.max_timestamp == NO_TIMESTAMP { segment.created_ms } else { segment.max_timestamp };
        self.config.retention_ms.is_some_and(|limit| now_ms.saturating_sub(newest) > limit)
    }
}
