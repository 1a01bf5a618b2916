//! One round of group commit: everything that waits in a shard, written and made durable together.
//!
//! 1. [`Round::begin`] takes from each log what is pending. Much of it, or what has gathered, goes into the segments;
//!    all the small rest goes into a few journal frames, copied there at once.
//! 2. [`Round::write`] writes frames and segments side by side; writes into one segment one after the other.
//! 3. [`Round::flush`] flushes each file that grew, and one file in any case: on a disk where one flush covers all, that
//!    makes the overwrites of every other file durable too.
//!
//! Failure modes: a full disk leaves the log as it was, to be tried again. Any other error stops the logs it touched, at once
//! and for good: after it nothing is known about their files. A round that is dropped half-way stops its logs as well.
//!
//! What must hold: one round at a time (it holds [`Shared::round`]); a log is flushed up to an offset only if every file that
//! holds bytes below it was flushed after they were written.
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::pin;
use futures_util::future::{join, join_all};

use crate::codec::checksum;
use crate::disk::{AlignedBuffer, BUFFER_BYTES_MAX, Disk, DiskError};
use crate::journal::frame::{ENTRY_BYTES, Entry, FRAME_HEAD_BYTES, Frame};
use crate::journal::{Journal, Place, frame_for};
use crate::log::{JournalPart, Log, RoundPart, Way};
use crate::offset::Offset;
use crate::signal::LockGuard;
use crate::store::Progress;
use crate::store::shared::Shared;

/// One round of group commit.
pub struct Round<D: Disk> {
    shared: Rc<Shared<D>>,
    journal: Option<Rc<Journal<D>>>,
    parts: Vec<Member<D>>,
    frames: Vec<PlacedFrame>,
    /// Held until the round is over.
    guard: Option<LockGuard>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begun,
    Writing,
    Written,
    /// Written, and flushed by the same submission.
    WrittenAndFlushed,
    Flushing,
    Done,
}

/// A log's part, and what became of it.
struct Member<D: Disk> {
    part: RoundPart<D>,
    /// Index into `frames`.
    frame: Option<usize>,
    outcome: Outcome,
    /// Its overwrites are durable by the flush of another file.
    relies_on_another: bool,
    /// Its error was reported.
    is_reported: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Pending,
    Written,
    Failed(DiskError),
}

struct PlacedFrame {
    place: Place,
    buffer: Option<AlignedBuffer>,
}

impl<D: Disk> Round<D> {
    /// Takes what is there now. Whoever calls it holds the lock.
    pub(crate) fn begin(shared: Rc<Shared<D>>, guard: LockGuard) -> Round<D> {
        let journal = shared.journal();
        if let Some(journal) = &journal {
            journal.logs_to_settle().iter().for_each(Log::request_settle);
        }
        let queued = mem::take(&mut *shared.queue.borrow_mut());
        let options = shared.options;
        let beside = journal.is_some() && !shared.is_closing.get();
        let parts = queued.iter().filter_map(|log| log.take_round_part(&options, beside));
        let parts = parts.map(Member::new).collect();
        let mut round =
            Round { shared, journal, parts, frames: Vec::new(), guard: Some(guard), stage: Stage::Begun };
        round.fill_frames();
        round
    }

    /// Runs a round of one log, for which the caller holds the lock; gives the lock back.
    pub(crate) async fn run_alone(
        shared: Rc<Shared<D>>,
        guard: LockGuard,
        log: &Log<D>,
    ) -> (LockGuard, Result<(), DiskError>) {
        let options = shared.options;
        let was_queued = log.is_queued();
        let part = log.take_round_part(&options, false);
        let parts = part.into_iter().map(Member::new).collect();
        let journal = shared.journal();
        let mut round =
            Round { shared, journal, parts, frames: Vec::new(), guard: None, stage: Stage::Begun };
        if was_queued {
            // It still stands in the queue: it must not be put there twice.
            log.mark_queued();
        }
        let mut result = Ok(());
        for progress in round.write().await {
            result = result.and(progress.result.map(|_| ()));
        }
        for progress in round.flush().await {
            result = result.and(progress.result.map(|_| ()));
        }
        (guard, result)
    }

    /// Copies all small parts into journal frames; those that find no place go to their segments.
    fn fill_frames(&mut self) {
        let mut first = 0;
        while first < self.parts.len() {
            let (last, bytes, entries) = self.frame_members(first);
            if entries > 0 && !self.fill_frame(first..last, bytes, entries) {
                self.turn_to_segments(first);
                return;
            }
            first = last;
        }
    }

    /// As many members from `first` on as fit into one frame: end, payload bytes, entries.
    fn frame_members(&self, first: usize) -> (usize, usize, usize) {
        let (mut bytes, mut entries) = (0, 0);
        for (index, member) in self.parts.iter().enumerate().skip(first) {
            let Way::Journal(part) = &member.part.way else { continue };
            let length = FRAME_HEAD_BYTES + (entries + 1) * ENTRY_BYTES + bytes + part.length;
            if length > BUFFER_BYTES_MAX && entries > 0 {
                return (index, bytes, entries);
            }
            bytes += part.length;
            entries += 1;
        }
        (self.parts.len(), bytes, entries)
    }

    fn fill_frame(
        &mut self,
        members: core::ops::Range<usize>,
        payload_bytes: usize,
        entry_count: usize,
    ) -> bool {
        let Some(journal) = self.journal.clone() else { return false };
        let length = Frame::length_of(entry_count, payload_bytes, self.shared.block_bytes);
        if length > BUFFER_BYTES_MAX {
            return false;
        }
        let Some(mut buffer) = self.shared.disk.buffers().try_take(length) else { return false };
        let Some(place) = journal.place(length) else {
            self.state_what_is_needed(&journal);
            return false;
        };
        let head_bytes = FRAME_HEAD_BYTES + entry_count * ENTRY_BYTES;
        buffer.spare_mut()[..head_bytes].fill(0);
        buffer.advance(head_bytes);
        let mut entries = Vec::with_capacity(entry_count);
        for member in &mut self.parts[members] {
            let Way::Journal(part) = &member.part.way else { continue };
            let start = buffer.len();
            member.part.with_journal_bytes(part, |bytes| buffer.append(bytes));
            entries.push(entry_of(&member.part, part, &buffer.as_slice()[start..]));
            member.frame = Some(self.frames.len());
        }
        buffer.pad_to(self.shared.block_bytes);
        frame_for(&place, entries).encode_head(&mut buffer);
        self.frames.push(PlacedFrame { place, buffer: Some(buffer) });
        if journal.wants_zeros() {
            self.shared.zeros_work.notify();
        }
        true
    }

    /// The journal is full of frames that are not needed any more: says so in a frame of its own, so that the next round
    /// finds a place.
    fn state_what_is_needed(&mut self, journal: &Journal<D>) {
        let Some(mut buffer) = self.shared.disk.buffers().try_take(self.shared.block_bytes) else { return };
        let Some(place) = journal.place_for_statement() else { return };
        buffer.spare_mut()[..FRAME_HEAD_BYTES].fill(0);
        buffer.advance(FRAME_HEAD_BYTES);
        buffer.pad_to(self.shared.block_bytes);
        frame_for(&place, Vec::new()).encode_head(&mut buffer);
        self.frames.push(PlacedFrame { place, buffer: Some(buffer) });
    }

    /// What found no place in the journal goes to the segments, or waits where a settling under way writes to them.
    fn turn_to_segments(&mut self, from: usize) {
        let options = self.shared.options;
        for member in &mut self.parts[from..] {
            if member.has_no_place() && !member.part.log.is_settling_beside() {
                member.part.turn_to_segments(&options);
            }
        }
        self.parts.retain(|member| {
            let waits = member.has_no_place();
            if waits {
                member.part.log.wait_for_settling();
            }
            !waits
        });
    }

    /// Writes what the round took. Reports each log: its new written offset, or what went wrong.
    pub async fn write(&mut self) -> Vec<Progress> {
        assert!(self.stage == Stage::Begun, "a round is written once");
        self.stage = Stage::Writing;
        let links_flush = self.links_flush();
        self.write_frames_and_segments(links_flush).await;
        self.stage = if links_flush { Stage::WrittenAndFlushed } else { Stage::Written };
        let progress = self.parts.iter_mut().map(Member::report_written).collect();
        self.note_journal_needs();
        if self.wants_no_flush() {
            self.finish();
        }
        progress
    }

    /// When the round is a single write that somebody wants flushed, both go to the device as one submission.
    fn links_flush(&self) -> bool {
        let leaves_unflushed = self.parts.iter().any(|member| member.part.leaves_unflushed())
            || self.journal.as_ref().is_some_and(|journal| journal.has_unflushed());
        if leaves_unflushed && !crate::planted::is("durable-write-flushes-all") {
            return false;
        }
        let segment_writes = self.parts.iter().map(|member| match &member.part.way {
            Way::Segments(taken) => taken.writes.len(),
            Way::Journal(_) => 0,
        });
        !self.wants_no_flush() && self.frames.len() + segment_writes.sum::<usize>() == 1
    }

    async fn write_frames_and_segments(&mut self, links_flush: bool) {
        let shared = self.shared.clone();
        let journal = self.journal.clone();
        // A large write that is flushed takes longer than what it holds up. Otherwise the answers to the round before go first:
        // a write that begins before them carries less, and costs more a record.
        let waits_long = !self.wants_no_flush() && self.frames.is_empty();
        let frames = write_frames(journal, &mut self.frames, links_flush);
        let segments = self.parts.iter_mut().filter(|member| matches!(member.part.way, Way::Segments(_)));
        let segments = join_all(segments.map(|member| member.write_segments(&shared, links_flush)));
        let writes = join(frames, segments);
        let (frames, _) = if waits_long { begun_at_once(&shared.disk, writes).await } else { writes.await };
        let Err((failed_from, error)) = frames else {
            self.parts.iter_mut().filter(|member| member.frame.is_some()).for_each(Member::mark_written);
            return;
        };
        // Frames before the failed one are written; the logs of the others have to be told.
        for member in &mut self.parts {
            match member.frame {
                Some(frame) if frame < failed_from => member.mark_written(),
                Some(_) => member.outcome = Outcome::Failed(error.clone()),
                None => {}
            }
        }
    }

    /// Tells the journal which logs need the frames that were written.
    fn note_journal_needs(&mut self) {
        let Some(journal) = &self.journal else { return };
        for member in &self.parts {
            if let (Some(frame), Outcome::Written) = (member.frame, &member.outcome) {
                let since = member.part.journalled(self.frames[frame].place.sequence);
                journal.needed(since, &member.part.log);
            }
        }
    }

    /// Whether the write took the flush with it: the device had both as one submission.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.stage == Stage::WrittenAndFlushed
    }

    fn wants_no_flush(&self) -> bool {
        !self.parts.iter().any(|member| member.part.wants_flush)
    }

    /// Makes durable what was written. Reports each log that asked for it: its new flushed offset, or what went wrong.
    pub async fn flush(&mut self) -> Vec<Progress> {
        if self.stage == Stage::Done {
            return Vec::new();
        }
        assert!(
            matches!(self.stage, Stage::Written | Stage::WrittenAndFlushed),
            "a round is flushed once written"
        );
        let was_linked = self.stage == Stage::WrittenAndFlushed;
        self.stage = Stage::Flushing;
        let journal_result = self.flush_journal(was_linked).await;
        self.flush_segments(was_linked, journal_result.is_some()).await;
        if let Some(Err(error)) = &journal_result {
            // The one flush stood for every overwrite of the round: none of its logs may count on anything.
            self.parts.iter_mut().for_each(|member| member.fail(error));
        }
        let journal = self.journal.clone();
        let is_flushed = matches!(journal_result, Some(Ok(())));
        if let (Some(journal), true) = (&journal, is_flushed) {
            journal.flushed();
        }
        let members = self.parts.iter_mut();
        let progress =
            members.filter_map(|member| member.report_flushed(journal.as_deref(), is_flushed)).collect();
        self.finish();
        progress
    }

    /// Flushes the journal if frames were written: `None` when there were none.
    async fn flush_journal(&self, was_linked: bool) -> Option<Result<(), DiskError>> {
        let journal = self.journal.as_ref()?;
        let wrote = self.frames.iter().any(|frame| frame.buffer.is_none());
        if !wrote || crate::planted::is("no-flush") {
            return wrote.then_some(Ok(()));
        }
        if was_linked {
            return Some(Ok(()));
        }
        Some(journal.flush().await)
    }

    /// Flushes each segment that needs it. When the journal was not flushed, at least one file is.
    async fn flush_segments(&mut self, was_linked: bool, journal_was_flushed: bool) {
        let shared = self.shared.clone();
        let covers_all = shared.disk.one_flush_covers_all() || crate::planted::is("one-flush-believed");
        let mut is_covered = covers_all && journal_was_flushed;
        let mut covering = None;
        let mut flushes = Vec::new();
        for (index, member) in self.parts.iter_mut().enumerate() {
            let was_written = member.outcome == Outcome::Written && member.part.wants_flush;
            if !was_written || !member.part.has_dirty_segments() || member.part.log.is_settling_beside() {
                continue;
            }
            let must_flush = !is_covered || member.part.has_grown();
            member.relies_on_another = !must_flush;
            if covers_all && !is_covered {
                is_covered = true;
                covering = Some(index);
            }
            flushes.push(member.flush_segments(&shared, was_linked || !must_flush));
        }
        join_all(flushes).await;
        let Some(Outcome::Failed(error)) = covering.map(|index| self.parts[index].outcome.clone()) else {
            return;
        };
        let relying = self.parts.iter_mut().filter(|member| member.relies_on_another);
        relying.for_each(|member| member.fail(&error));
    }

    fn finish(&mut self) {
        self.stage = Stage::Done;
        drop(self.guard.take());
        self.shared.memory_may_be_back();
        self.shared.work.notify();
    }
}

impl<D: Disk> Drop for Round<D> {
    /// A round that ends early leaves writes behind whose end nobody waits for.
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Writing | Stage::Written | Stage::WrittenAndFlushed | Stage::Flushing)
        {
            for member in &self.parts {
                member.part.failed(&DiskError::cancelled(&member.part.log.identity().folder()));
            }
        } else if self.stage == Stage::Begun {
            for member in &self.parts {
                member.part.take_plan_back();
                member.part.log.request_settle();
                member.part.log.request_round();
            }
            if let (Some(journal), Some(first)) = (&self.journal, self.frames.first()) {
                journal.cancel_from(&first.place);
            }
        }
        if self.stage != Stage::Done {
            self.finish();
        }
    }
}

/// Runs the writes of a round. The device begins them now and not at the end of the executor's turn: answers are sent and
/// the next requests received meanwhile.
async fn begun_at_once<D: Disk, T>(disk: &D, writes: impl Future<Output = T>) -> T {
    let mut writes = pin!(writes);
    let mut has_begun = false;
    poll_fn(|context| {
        let polled = writes.as_mut().poll(context);
        if polled.is_pending() && !mem::replace(&mut has_begun, true) {
            disk.submit();
        }
        polled
    })
    .await
}

/// Writes the frames in order. On an error says which one failed first.
async fn write_frames<D: Disk>(
    journal: Option<Rc<Journal<D>>>,
    frames: &mut [PlacedFrame],
    flush: bool,
) -> Result<(), (usize, DiskError)> {
    let Some(journal) = journal else { return Ok(()) };
    for (index, frame) in frames.iter_mut().enumerate() {
        let buffer = frame.buffer.take().expect("a frame is written once");
        if let Err(error) = journal.write(frame.place, buffer, flush).await {
            return Err((index, error));
        }
    }
    Ok(())
}

fn entry_of<D: Disk>(part: &RoundPart<D>, bytes: &JournalPart, payload: &[u8]) -> Entry {
    Entry {
        key: part.log.key(),
        payload_checksum: checksum(payload),
        incarnation: bytes.incarnation,
        base_offset: bytes.base_offset,
        next_offset: part.up_to_offset,
        flushed_offset: bytes.flushed_offset,
        leader_epoch: bytes.leader_epoch.value(),
        payload_bytes: payload.len(),
    }
}

impl<D: Disk> Member<D> {
    fn new(part: RoundPart<D>) -> Member<D> {
        Member { part, frame: None, outcome: Outcome::Pending, relies_on_another: false, is_reported: false }
    }

    /// Whether it is meant for the journal and in no frame.
    fn has_no_place(&self) -> bool {
        matches!(self.part.way, Way::Journal(_)) && self.frame.is_none()
    }

    fn mark_written(&mut self) {
        self.outcome = Outcome::Written;
    }

    /// What went wrong beside the round stands for the round as well: a failed flush tells nothing of any write before it.
    fn fail_if_stopped(&mut self) {
        if let Some(error) = self.part.log.stopped() {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &DiskError) {
        if self.outcome == Outcome::Written {
            self.outcome = Outcome::Failed(error.clone());
        }
    }

    async fn write_segments(&mut self, shared: &Shared<D>, flush: bool) {
        let written = self.part.write_segments(shared, flush).await;
        self.outcome = match written {
            Ok(()) => Outcome::Written,
            Err(error) => Outcome::Failed(error),
        };
    }

    async fn flush_segments(&mut self, shared: &Shared<D>, content_is_flushed: bool) {
        let flushed = self.part.flush_segments(shared, content_is_flushed).await;
        if let Err(error) = flushed {
            self.fail(&error);
        }
    }

    fn report_written(&mut self) -> Progress {
        self.fail_if_stopped();
        let result = match &self.outcome {
            Outcome::Failed(error) if error.is_recoverable() => {
                self.part.found_disk_full();
                Err(error.clone())
            }
            Outcome::Failed(error) => {
                self.part.failed(error);
                self.is_reported = true;
                Err(error.clone())
            }
            Outcome::Written => {
                let written = self.part.wrote();
                self.part.ask_again_for_the_rest();
                Ok(written)
            }
            Outcome::Pending => unreachable!("every part was written or failed"),
        };
        Progress { log: self.part.log.key(), result }
    }

    /// `None` for a part that did not ask for a flush, unless the journal's flush covered it anyway.
    fn report_flushed(&mut self, journal: Option<&Journal<D>>, journal_is_flushed: bool) -> Option<Progress> {
        self.fail_if_stopped();
        let is_covered = self.frame.is_some() && journal_is_flushed && !self.part.follows_unflushed;
        let result: Result<Offset, DiskError> = match &self.outcome {
            Outcome::Written if self.part.wants_flush || is_covered => Ok(self.part.flushed(journal)),
            Outcome::Failed(error) if !error.is_recoverable() && !self.is_reported => {
                self.part.failed(error);
                Err(error.clone())
            }
            _ => {
                self.part.take_plan_back();
                return None;
            }
        };
        Some(Progress { log: self.part.log.key(), result })
    }
}
