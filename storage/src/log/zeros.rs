//! Zeros written ahead of the open segment's end, so that rounds overwrite instead of making the file grow.
//!
//! A write that makes a file grow costs a change of metadata, is handed to a kernel worker and is covered by no flush but the
//! file's own. An overwrite is none of that. So a log that takes many writes of moderate size gets zeros ahead, a chunk at a
//! time, written beside the rounds by [`crate::Store::write_zeros_ahead`]; a large write costs little more for the growth,
//! and a slow log is not worth the disk space: neither gets any.
//!
//! What must hold:
//! - A chunk begins at [`crate::segment::Segment::durable_length`], and only while nothing was written beyond it; a round that
//!   writes beyond it waits until the chunk is done. So zeros never land on batches.
//! - `durable_length` moves only after the flush of the file that began when all zeros of the chunk were written.
//! - At most two chunks lie ahead. They are cut off when the segment is sealed, when the log is truncated, at a clean stop and
//!   when the log falls idle; after a crash recovery cuts them. They count as no bytes of the log.
//! - A segment gets zeros only once everything before it is durable in its segments: behind a torn end stand no zeros of
//!   later segments, which recovery would have to tell from batches.
//!
//! Failure modes: on a full disk the chunk is cut off again and none is tried for a while. Any other error stops the log.
use core::ops::Range;

use crate::config::{SEGMENT_BYTES_MAX, StoreOptions};
use crate::disk::{AlignedBuffer, BUFFER_BYTES_MAX, BufferSlice, Disk, DiskError, DiskFile};
use crate::error::Damage;
use crate::log::{Log, LogState};
use crate::offset::Offset;
use crate::store::Progress;

/// Time over which the pace of a log is measured.
const WINDOW_MS: i64 = 1_000;

/// The first moments of a window say little about its pace.
const WINDOW_BEGIN_MS: i64 = 50;

/// Writes of this size on the average are as cheap when the file grows (measured: 0.10 CPU seconds a GB at 1 MiB, with the
/// zeros 0.09 and a third of the device's bandwidth less; at 512 KiB 0.20 and 0.13).
const MEAN_WRITE_BYTES_MAX: u64 = 640 << 10;

/// A chunk is what a log writes in a 64th of a second, within limits: the next one is ready before it is used up.
const CHUNKS_A_SECOND: u64 = 64;

/// The smallest chunk, as a part of the largest: below it the flush of each chunk would cost more than it saves.
const SMALLEST_CHUNK: u64 = 8;

/// After a full disk no zeros are written for so long.
const FULL_DISK_PAUSE_MS: i64 = 10_000;

/// Bytes of one write of zeros: large enough to cost little a byte, small enough not to hold up a round's write for long.
pub(crate) const ZERO_PIECE_BYTES: usize = 1 << 20;

const _: () = assert!(ZERO_PIECE_BYTES <= BUFFER_BYTES_MAX);

/// One piece of zeros, in memory that has room for it.
pub(crate) fn piece_of_zeros(mut memory: AlignedBuffer) -> BufferSlice {
    memory.spare_mut()[..ZERO_PIECE_BYTES].fill(0);
    memory.advance(ZERO_PIECE_BYTES);
    memory.freeze(0..ZERO_PIECE_BYTES)
}

/// How fast a log is written to, and in writes of which size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    began_ms: i64,
    now: Window,
    before: Window,
    refused_until_ms: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    bytes: u64,
    writes: u64,
}

impl Pace {
    /// Takes note of what a round writes of the log.
    pub(super) fn note(&mut self, bytes: u64, now_ms: i64) {
        let elapsed = now_ms - self.began_ms;
        if !(0..WINDOW_MS).contains(&elapsed) {
            let follows = (0..2 * WINDOW_MS).contains(&elapsed);
            self.before = if follows { self.now } else { Window::default() };
            self.now = Window::default();
            self.began_ms = now_ms;
        }
        self.now.bytes += bytes;
        self.now.writes += 1;
    }

    /// Bytes of zeros to write at a time; `None` for a log that does not need any.
    fn chunk_bytes(&self, now_ms: i64, options: &StoreOptions) -> Option<u64> {
        let elapsed = now_ms - self.began_ms;
        if now_ms < self.refused_until_ms || elapsed >= 2 * WINDOW_MS || options.zeros_ahead_bytes == 0 {
            return None;
        }
        let (window, took_ms) = if self.now.bytes >= self.before.bytes {
            (self.now, elapsed.clamp(WINDOW_BEGIN_MS, WINDOW_MS))
        } else {
            (self.before, WINDOW_MS)
        };
        if window.bytes < options.zeros_after_bytes || window.bytes > MEAN_WRITE_BYTES_MAX * window.writes {
            return None;
        }
        let a_second = window.bytes * WINDOW_MS.unsigned_abs() / took_ms.unsigned_abs();
        let smallest = options.zeros_ahead_bytes / SMALLEST_CHUNK;
        let chunk = (a_second / CHUNKS_A_SECOND).next_multiple_of(smallest);
        Some(chunk.clamp(smallest, options.zeros_ahead_bytes))
    }
}

impl<D: Disk> Log<D> {
    /// Queues the log for zeros if it needs some.
    pub(super) fn ask_for_zeros(&self) {
        if self.0.zeros.is_held() {
            return;
        }
        let block_bytes = self.0.shared.block_bytes as u64;
        let wanted = self.0.state.borrow().zeros_wanted(&self.0.shared.options, block_bytes);
        if wanted.is_some() && !self.0.waits_for_zeros.replace(true) {
            self.0.shared.zeros_queue.borrow_mut().push(self.clone());
            self.0.shared.zeros_work.notify();
        }
    }

    /// Waits until no zeros are being written, when a write up to `end` would make the segment grow.
    pub(super) async fn wait_for_zeros(&self, segment: Offset, end: u64) {
        while self.grows(segment, end) && self.0.zeros.is_held() && !crate::planted::is("zeros-over-batches")
        {
            self.0.zeros.free().await;
        }
    }

    fn grows(&self, segment: Offset, end: u64) -> bool {
        let state = self.0.state.borrow();
        state.segment_index(segment).is_some_and(|index| end > state.segments[index].durable_length)
    }

    /// Writes one chunk of zeros ahead of the open segment's end, if it still needs it. Reports only what went wrong.
    pub(crate) async fn write_zeros(&self, zeros: &BufferSlice) -> Option<Progress> {
        self.0.waits_for_zeros.set(false);
        let _zeros = self.0.zeros.try_acquire()?;
        let (segment, range) = {
            let state = self.0.state.borrow();
            let block_bytes = self.0.shared.block_bytes as u64;
            let range = state.zeros_wanted(&self.0.shared.options, block_bytes)?;
            (state.open_segment().summary.base_offset, range)
        };
        let unfinished = StopUnlessFinished::new(self);
        let result = match self.fill(segment, range.clone(), zeros).await {
            Err(error) if error.is_recoverable() => self.give_zeros_up(segment, range.start).await,
            result => result.map(|()| self.zeros_are_durable(segment, range.end)),
        };
        unfinished.finish();
        let error = result.err()?;
        // Nobody knows which of the batches in this file its failed flush would have covered.
        self.stop(&error);
        self.request_round();
        Some(Progress { log: self.key(), result: Err(error) })
    }

    async fn fill(&self, segment: Offset, range: Range<u64>, zeros: &BufferSlice) -> Result<(), DiskError> {
        let file = self.0.shared.file(&self.0.folder, self.key(), segment).await?;
        let mut position = range.start;
        while position < range.end {
            let length = usize::try_from((range.end - position).min(zeros.len() as u64)).expect("one piece");
            file.write_at(position, zeros.slice(0..length)).await?;
            position += length as u64;
        }
        if crate::planted::is("zeros-not-flushed") {
            return Ok(());
        }
        file.flush().await
    }

    fn zeros_are_durable(&self, segment: Offset, end: u64) {
        let mut state = self.0.state.borrow_mut();
        if let Some(index) = state.segment_index(segment) {
            state.segments[index].durable_length = end;
        }
    }

    /// The disk is full: leaves the space to batches.
    async fn give_zeros_up(&self, segment: Offset, length: u64) -> Result<(), DiskError> {
        {
            let mut state = self.0.state.borrow_mut();
            state.pace.refused_until_ms = state.last_append_ms + FULL_DISK_PAUSE_MS;
        }
        let Ok(file) = self.0.shared.file(&self.0.folder, self.key(), segment).await else {
            return Ok(()); // What was written of the chunk stays: nobody counts on it.
        };
        file.set_length(length).await
    }

    /// Cuts off zeros that a log does not need any more because nobody writes to it. Says whether there were any.
    pub(crate) async fn cut_idle_zeros(&self) -> Result<bool, Damage> {
        let block_bytes = self.0.shared.block_bytes as u64;
        let has_zeros = {
            let state = self.0.state.borrow();
            let open = state.open_segment();
            open.durable_length > open.summary.size_bytes.next_multiple_of(block_bytes)
        };
        if has_zeros {
            let _changes = self.0.changes.acquire().await;
            let _round = self.0.shared.round.acquire().await;
            self.cut_padding().await?;
        }
        Ok(has_zeros)
    }
}

impl LogState {
    /// Where zeros should be written now; `None` when that is nowhere.
    fn zeros_wanted(&self, options: &StoreOptions, block_bytes: u64) -> Option<Range<u64>> {
        let open = self.open_segment();
        let chunk = self.pace.chunk_bytes(self.last_append_ms, options)?;
        let from = open.durable_length;
        let is_ready = self.stopped.is_none()
            && !self.is_busy()
            && !self.is_full
            && open.has_file
            && open.written_length <= from
            && from.is_multiple_of(block_bytes)
            && self.settled_offset >= open.summary.base_offset;
        if !is_ready || from >= open.written_length + chunk {
            return None;
        }
        let limit = self.config.segment_bytes.clamp(block_bytes, SEGMENT_BYTES_MAX);
        let end = (from + chunk).min(limit.next_multiple_of(block_bytes));
        (from < end).then_some(from..end)
    }

    /// Whether everything of the open segment that is not in its file yet can be written without making the file grow.
    pub(super) fn fits_into_written(&self, block_bytes: u64) -> bool {
        let open = self.open_segment();
        open.summary.size_bytes.next_multiple_of(block_bytes) <= open.durable_length
    }
}

/// Work beside the rounds that is given up half-way leaves writes behind whose end nobody waits for: they may land on batches.
pub(super) struct StopUnlessFinished<'a, D: Disk> {
    log: &'a Log<D>,
    finished: bool,
}

impl<'a, D: Disk> StopUnlessFinished<'a, D> {
    pub(super) fn new(log: &'a Log<D>) -> StopUnlessFinished<'a, D> {
        StopUnlessFinished { log, finished: false }
    }

    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl<D: Disk> Drop for StopUnlessFinished<'_, D> {
    fn drop(&mut self) {
        if !self.finished {
            self.log.stop(&DiskError::cancelled(&self.log.0.folder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> StoreOptions {
        StoreOptions::default()
    }

    fn pace(write_bytes: u64, writes: u64, every_ms: i64) -> (Pace, i64) {
        let mut pace = Pace::default();
        let mut now_ms = 1_700_000_000_000;
        for _ in 0..writes {
            pace.note(write_bytes, now_ms);
            now_ms += every_ms;
        }
        (pace, now_ms)
    }

    #[test]
    fn a_chunk_follows_the_pace_within_limits() {
        let (fast, now_ms) = pace(256 << 10, 2_000, 1);
        assert_eq!(fast.chunk_bytes(now_ms, &options()), Some(4 << 20));
        let (slower, now_ms) = pace(64 << 10, 500, 2);
        assert_eq!(slower.chunk_bytes(now_ms, &options()), Some(512 << 10));
    }

    #[test]
    fn slow_logs_and_large_writes_get_none() {
        let (slow, now_ms) = pace(64 << 10, 100, 100);
        assert_eq!(slow.chunk_bytes(now_ms, &options()), None);
        let (large, now_ms) = pace(1 << 20, 500, 2);
        assert_eq!(large.chunk_bytes(now_ms, &options()), None);
    }

    #[test]
    fn a_log_that_paused_starts_anew() {
        let (fast, now_ms) = pace(256 << 10, 2_000, 1);
        assert!(fast.chunk_bytes(now_ms + 900, &options()).is_some());
        assert_eq!(fast.chunk_bytes(now_ms + 2_000, &options()), None);
    }
}
