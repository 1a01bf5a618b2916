//! A log's part of one round: what is taken, and what is true once it was written and once it was flushed.
use alloc::vec;
use alloc::vec::Vec;

use crate::checkpoint::Checkpoint;
use crate::config::{ROUND_BYTES_MAX, StoreOptions};
use crate::disk::{BUFFER_BYTES_MAX, BufferSlice, Disk, DiskError, DiskFile};
use crate::journal::Journal;
use crate::log::tail::{SegmentWrite, Taken};
use crate::log::{Draft, Log, LogState};
use crate::offset::{LeaderEpoch, Offset};
use crate::segment::Segment;
use crate::store::shared::Shared;

/// A log whose unsettled bytes reach this is brought to its segments with one large write: fewer would cost many writes,
/// more would hold memory and journal space for long.
const UNSETTLED_BYTES_MAX: u64 = 1 << 20;

/// Unflushed bytes at which a log with `write.caching` is flushed with the round, so that what a power cut can
/// tear stays bounded.
const UNFLUSHED_BYTES_MAX: u64 = ROUND_BYTES_MAX as u64;

/// Buffers of a log that one write takes: those that a settling finds are mostly a batch each, and a write of each by itself
/// would make the file grow as often.
const WRITE_PARTS_MAX: usize = 16;

/// What a round does for one log.
pub(crate) struct RoundPart<D: Disk> {
    pub(crate) log: Log<D>,
    pub(crate) way: Way,
    /// Count of tail bytes that are written when the round's write is done.
    up_to_count: u64,
    /// Offset behind them.
    pub(crate) up_to_offset: Offset,
    /// Bytes that are written for the first time.
    new_bytes: usize,
    /// Whether somebody waits for the flush.
    pub(crate) wants_flush: bool,
    /// Bytes before this part were written and not flushed (`write.caching`): its own flush does not make it durable
    /// without theirs.
    pub(crate) follows_unflushed: bool,
    /// A checkpoint that is true once the round is flushed.
    draft: Option<Draft>,
}

/// How a part is written.
pub(crate) enum Way {
    /// Into the segments, everything unsettled with it.
    Segments(Taken),
    /// Into the journal, with what else is small.
    Journal(JournalPart),
}

/// The bytes of a log that go into the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JournalPart {
    pub(crate) incarnation: u64,
    pub(crate) base_offset: Offset,
    pub(crate) flushed_offset: Offset,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) length: usize,
    from_count: u64,
}

impl<D: Disk> Log<D> {
    /// Takes what waits to be written, or to be settled; `None` when that is nothing.
    /// With `beside` logs are settled beside the rounds where that can be done.
    pub(crate) fn take_round_part(&self, options: &StoreOptions, beside: bool) -> Option<RoundPart<D>> {
        self.0.is_queued.set(false);
        let mut state = self.0.state.borrow_mut();
        if state.stopped.is_some() {
            drop(state);
            self.give_up_unwritten();
            return None;
        }
        let pending = state.tail.count() - state.written_count;
        let unsettled = state.tail.unsettled_bytes();
        if unsettled == 0 || (pending == 0 && !state.settle_requested) {
            if unsettled == 0 && beside {
                self.plan_flush(&mut state);
            }
            state.settle_requested &= unsettled > 0;
            state.flush_requested &= unsettled > 0;
            return None;
        }
        let spans_segments = state.tail.first_unsettled_segment() != Some(state.end().segment);
        if pending >= options.direct_write_bytes_min as u64 {
            let now_ms = state.last_append_ms;
            state.pace.note(pending, now_ms);
        }
        let wants_flush = state.wants_flush(pending);
        let follows_unflushed = state.flushed_offset < state.written_offset;
        if state.settling.is_some() {
            if pending == 0 {
                return None; // What was asked for is under way, or is asked for again at its end.
            }
            if spans_segments {
                state.has_waited_for_settling = true;
                return None;
            }
        } else {
            let is_large = state.is_worth_a_write(pending, options, self.0.shared.block_bytes as u64);
            let settles = state.settle_requested || unsettled >= UNSETTLED_BYTES_MAX;
            let may_plan = beside && wants_flush && !follows_unflushed && !spans_segments && !is_large;
            if is_large || spans_segments || (settles && !may_plan) {
                return Some(self.segments_part(&mut state, options));
            }
            if settles && !self.plan_settling(&mut state, options) {
                return Some(self.segments_part(&mut state, options));
            }
            if pending == 0 {
                self.queue_settling(&mut state);
                return None;
            }
        }
        let part = JournalPart {
            incarnation: state.incarnation,
            base_offset: state.written_offset,
            flushed_offset: state.flushed_offset,
            leader_epoch: state.leader_epochs.latest().unwrap_or(LeaderEpoch::new(-1)),
            length: usize::try_from(pending).expect("bytes in memory"),
            from_count: state.written_count,
        };
        Some(RoundPart {
            log: self.clone(),
            way: Way::Journal(part),
            up_to_count: state.tail.count(),
            up_to_offset: state.log_end_offset,
            new_bytes: part.length,
            wants_flush,
            follows_unflushed,
            draft: None,
        })
    }

    fn segments_part(&self, state: &mut LogState, options: &StoreOptions) -> RoundPart<D> {
        let taken = state.tail.take_unsettled(ROUND_BYTES_MAX).expect("something is unsettled");
        let takes_all = taken.settles == state.tail.count();
        let is_due = takes_all && state.is_checkpoint_due(options);
        let draft = is_due.then(|| self.draw_up_checkpoint(state));
        state.settle_requested = !takes_all;
        state.flush_requested &= !takes_all;
        let up_to_count = taken.whole_batches.max(state.written_count);
        let new_bytes = up_to_count - state.written_count;
        RoundPart {
            log: self.clone(),
            up_to_count,
            up_to_offset: taken.next_offset.max(state.written_offset),
            way: Way::Segments(taken),
            new_bytes: usize::try_from(new_bytes).expect("bytes in memory"),
            wants_flush: state.wants_flush(new_bytes),
            follows_unflushed: state.flushed_offset < state.written_offset,
            draft,
        }
    }

    /// The checkpoint of the log as it is now; true once everything appended so far is durable in the segments.
    pub(crate) fn draw_up_checkpoint(&self, state: &mut LogState) -> Draft {
        state.checkpoint_requested = false;
        Draft {
            walk_bytes: state.walk_bytes.draw_up_checkpoint(),
            recovery_point: state.log_end_offset,
            open_segment: state.open_segment().summary.base_offset,
            log_start_offset: state.log_start_offset,
            layout: state.layout,
            file: self.checkpoint(state).to_file(),
        }
    }

    pub(crate) fn checkpoint(&self, state: &LogState) -> Checkpoint {
        let open = state.open_segment().summary.base_offset;
        // What lies wholly below the start goes soon, and a start looks for every segment that the checkpoint names.
        let stays = |segment: &&Segment| {
            segment.summary.next_offset > state.log_start_offset || segment.summary.base_offset == open
        };
        Checkpoint {
            key: self.key(),
            log_start_offset: state.log_start_offset,
            recovery_point: state.log_end_offset,
            segments: state.segments.iter().filter(stays).map(|segment| segment.summary).collect(),
            open_index: state.open_segment().index.clone().expect("the open segment's index is in memory"),
            producers: state.producers.clone(),
            leader_epochs: state.leader_epochs.clone(),
            compacted_offset: state.compacted_offset,
            replacement: None,
        }
    }

    /// Forgets bytes that will never be written: the log was stopped.
    pub(crate) fn give_up_unwritten(&self) {
        let mut state = self.0.state.borrow_mut();
        let unwritten = state.tail.count() - state.written_count;
        state.written_count = state.tail.count();
        drop(state);
        self.0.shared.wrote(usize::try_from(unwritten).expect("bytes in memory"));
    }
}

impl<D: Disk> RoundPart<D> {
    /// Turns a part for the journal into one for the segments: the journal has no place for it.
    pub(crate) fn turn_to_segments(&mut self, options: &StoreOptions) {
        self.log.take_plan_back();
        let mut state = self.log.0.state.borrow_mut();
        let part = self.log.segments_part(&mut state, options);
        drop(state);
        *self = part;
    }

    /// When the round could not take everything, the next one takes the rest: once this one is written, for on a full disk
    /// it would only fail again, at once and over and over.
    pub(crate) fn ask_again_for_the_rest(&self) {
        let has_rest = self.log.0.state.borrow().settle_requested;
        if has_rest {
            self.log.request_round();
        }
    }

    /// A part of no round: what is settled beside them.
    pub(super) fn beside(log: Log<D>, taken: Taken) -> RoundPart<D> {
        RoundPart {
            log,
            up_to_count: taken.settles,
            up_to_offset: taken.next_offset,
            way: Way::Segments(taken),
            new_bytes: 0,
            wants_flush: true,
            follows_unflushed: false,
            draft: None,
        }
    }

    /// The bytes that go into the journal.
    pub(crate) fn with_journal_bytes(&self, part: &JournalPart, mut take: impl FnMut(&[u8])) {
        let state = self.log.0.state.borrow();
        let mut left = part.length;
        for bytes in state.tail.bytes_from(part.from_count) {
            let here = bytes.len().min(left);
            take(&bytes[..here]);
            left -= here;
        }
        assert_eq!(left, 0, "the tail holds what was not written");
    }

    /// Everything of this part was written.
    pub(crate) fn wrote(&self) -> Offset {
        let mut state = self.log.0.state.borrow_mut();
        if let Way::Segments(taken) = &self.way {
            state.tail.settle(taken.settles);
            self.log.0.shared.asked_no_longer(self.log.0.asked_bytes.take());
            // What is unflushed in the segments now is not all durable in the journal any more.
            state.settled_unflushed_bytes = 0;
        }
        state.is_full = false;
        state.written_count = self.up_to_count;
        state.written_offset = self.up_to_offset;
        state.unflushed_bytes += self.new_bytes as u64;
        state.check();
        drop(state);
        self.log.0.shared.wrote(self.new_bytes);
        self.up_to_offset
    }

    /// Writes a part's bytes into their segments, in order.
    pub(crate) async fn write_segments(&self, shared: &Shared<D>, flush: bool) -> Result<(), DiskError> {
        let Way::Segments(taken) = &self.way else { return Ok(()) };
        let cell = &self.log.0;
        let mut writes = taken.writes.iter().peekable();
        while let Some(write) = writes.next() {
            let has_file = self.log.with_segment(write.segment, |segment| segment.has_file);
            let file = if has_file {
                shared.file(&cell.folder, self.log.key(), write.segment).await?
            } else {
                let file = shared.create_file(&cell.folder, self.log.key(), write.segment).await?;
                self.log.with_segment(write.segment, |segment| segment.has_file = true);
                file
            };
            let mut end = write.position + write.bytes.len() as u64;
            let mut parts = vec![write.bytes.clone()];
            let follows = |next: &&SegmentWrite, end: u64, parts: &[BufferSlice]| {
                let is_large = end - write.position >= BUFFER_BYTES_MAX as u64;
                let is_next = next.segment == write.segment && next.position == end;
                is_next && !is_large && parts.len() < WRITE_PARTS_MAX
            };
            while let Some(next) = writes.next_if(|next| !flush && follows(next, end, &parts)) {
                end += next.bytes.len() as u64;
                parts.push(next.bytes.clone());
            }
            self.log.wait_for_zeros(write.segment, end).await;
            self.log.with_segment(write.segment, |segment| {
                segment.is_dirty = true;
                segment.written_length = segment.written_length.max(end);
            });
            self.log.ask_for_zeros();
            if flush {
                file.write_at_and_flush(write.position, write.bytes.clone()).await?;
            } else {
                file.write_parts_at(write.position, parts).await?;
            }
        }
        Ok(())
    }

    /// Whether a file was written beyond what of it is durable, or has a name that is not: only its own flush helps then.
    pub(crate) fn has_grown(&self) -> bool {
        let state = self.log.0.state.borrow();
        let mut dirty = state.segments.iter().filter(|segment| segment.is_dirty);
        dirty.any(|segment| segment.written_length > segment.durable_length || !segment.name_is_durable)
            && !crate::planted::is("growth-not-flushed")
    }

    /// Whether bytes of the log were written before this part and not flushed: nothing less than a flush makes them durable.
    pub(crate) fn leaves_unflushed(&self) -> bool {
        // What is written beside the rounds is flushed there.
        let is_dirty = self.has_dirty_segments() && !self.log.is_settling_beside();
        self.follows_unflushed || is_dirty
    }

    /// Whether a segment was written and not flushed, and the part needs it to be: what is in the journal does not need what
    /// was settled to be flushed.
    pub(crate) fn has_dirty_segments(&self) -> bool {
        let state = self.log.0.state.borrow();
        let is_in_journal = (matches!(self.way, Way::Journal(_))
            || crate::planted::is("settled-counted-flushed"))
            && state.settled_unflushed_bytes > 0;
        !is_in_journal && state.segments.iter().any(|segment| segment.is_dirty)
    }

    /// Flushes every segment of the log that was written since its last flush, and the folder if a file was created.
    pub(crate) async fn flush_segments(
        &self,
        shared: &Shared<D>,
        content_is_flushed: bool,
    ) -> Result<(), DiskError> {
        let dirty: Vec<(Offset, bool)> = {
            let state = self.log.0.state.borrow();
            let dirty = state.segments.iter().filter(|segment| segment.is_dirty);
            dirty.map(|segment| (segment.summary.base_offset, segment.name_is_durable)).collect()
        };
        for (base_offset, _) in &dirty {
            if !content_is_flushed {
                shared.file(&self.log.0.folder, self.log.key(), *base_offset).await?.flush().await?;
            }
        }
        let has_new_name = dirty.iter().any(|(_, name_is_durable)| !name_is_durable);
        if has_new_name && !crate::planted::is("name-not-flushed") {
            shared.disk.flush_directory(&self.log.0.folder).await?;
        }
        for (base_offset, _) in dirty {
            self.log.with_segment(base_offset, |segment| {
                segment.name_is_durable = true;
                segment.is_dirty = false;
                segment.durable_length = segment.durable_length.max(segment.written_length);
            });
        }
        self.log.0.state.borrow_mut().settled_unflushed_bytes = 0;
        self.log.ask_for_zeros();
        Ok(())
    }

    /// Everything of this part is durable. Tells the journal when the log does not need it any more.
    pub(crate) fn flushed(&mut self, journal: Option<&Journal<D>>) -> Offset {
        let mut no_longer_needed = None;
        let mut state = self.log.0.state.borrow_mut();
        state.flushed_offset = state.flushed_offset.max(self.up_to_offset);
        state.unflushed_bytes = 0;
        if let Way::Segments(taken) = &self.way {
            state.settled_offset = state.settled_offset.max(taken.next_offset);
            if taken.settles >= state.journalled_count {
                no_longer_needed = state.journal_since.take();
            }
            if let Some(draft) = self.draft.take() {
                state.draft = Some(draft);
            }
        }
        state.check();
        if matches!(self.way, Way::Journal(_)) {
            self.log.queue_settling(&mut state);
        }
        if let (Some(journal), Some(since)) = (journal, no_longer_needed) {
            journal.not_needed(since, self.log.key());
        }
        state.flushed_offset
    }

    /// The part is in the journal, in the frame with this sequence number. Returns the first frame that the log needs.
    pub(crate) fn journalled(&self, sequence: u64) -> u64 {
        let mut state = self.log.0.state.borrow_mut();
        state.journalled_count = self.up_to_count;
        state.journalled(sequence)
    }

    /// The disk was full: nothing of this part counts as written, and the log takes no more until it is.
    pub(crate) fn found_disk_full(&self) {
        self.log.take_plan_back();
        self.log.found_disk_full();
    }

    /// Its bytes are not durable in the journal: they cannot be settled from there.
    pub(crate) fn take_plan_back(&self) {
        self.log.take_plan_back();
    }

    /// A write or flush failed: the log is offline.
    pub(crate) fn failed(&self, error: &DiskError) {
        self.log.stop(error);
        self.log.give_up_unwritten();
    }
}

impl<D: Disk> Log<D> {
    /// Takes no more until what it has could be written.
    pub(super) fn found_disk_full(&self) {
        {
            let mut state = self.0.state.borrow_mut();
            state.is_full = true;
            state.settle_requested = true;
        }
        self.0.shared.stalled.borrow_mut().push(self.clone());
    }

    /// Looks at a segment that a round writes: it cannot go away, because cutting a log waits for the round.
    fn with_segment<T>(&self, base_offset: Offset, look: impl FnOnce(&mut Segment) -> T) -> T {
        let mut state = self.0.state.borrow_mut();
        let index = state.segment_index(base_offset).expect("a segment under I/O stays");
        look(&mut state.segments[index])
    }
}

impl LogState {
    /// Whether so many bytes deserve a write of their own: an overwrite costs what a place in the journal does and is the
    /// only one; growth that is to be flushed has to carry more.
    fn is_worth_a_write(&self, pending: u64, options: &StoreOptions, block_bytes: u64) -> bool {
        let grows = !self.fits_into_written(block_bytes) && self.wants_flush(pending);
        let least = if grows { options.growing_write_bytes_min } else { options.direct_write_bytes_min };
        pending >= least as u64
    }

    /// Whether what settles the whole log shall leave a checkpoint behind.
    pub(super) fn is_checkpoint_due(&self, options: &StoreOptions) -> bool {
        self.checkpoint_requested || self.walk_bytes.since_drawn_up() >= options.checkpoint_interval_bytes
    }

    fn wants_flush(&self, new_bytes: u64) -> bool {
        !self.config.write_caching || self.unflushed_bytes + new_bytes > UNFLUSHED_BYTES_MAX
    }
}
