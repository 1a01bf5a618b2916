//! Zeros ahead of the journal's frames, and the memory that frames need besides their own.
//!
//! What must hold:
//! - Zeros are written where no frame is: behind [`RingFile::durable_length`], by one at a time ([`Journal::zeros`]), and a round
//!   whose frame goes there waits for them.
//! - `durable_length` moves only after the flush of the file that began when all zeros below it were written.
//! - No round waits for memory: what its frames need is there before they are placed ([`Journal::has_reserve`]).
//!
//! Failure modes: a full disk leaves the zeros to the rounds, which report it. Any other error, and zeros that were given up
//! half-way, end the journal: everything goes to the segments from then on.
use alloc::collections::VecDeque;
use core::ops::Range;

use crate::disk::{AlignedBuffer, BufferSlice, Disk, DiskError, DiskErrorKind, DiskFile, OpenMode};
use crate::journal::file_path;
use crate::journal::ring::{Journal, Ring};
use crate::log::{ZERO_PIECE_BYTES, piece_of_zeros};

/// Zeros written ahead of the frames in a file that grows: one flush of metadata for so many bytes.
const ZERO_AHEAD_BYTES: u64 = 4 << 20;

/// They are at most such a part of a file.
const ZERO_AHEAD_SHARE: u64 = 16;

/// The file that comes next is made once such a part of the current one is used: the rest of it takes longer than the zeros do.
const NEXT_FILE_FROM: u64 = 4;

/// Memory that the frames which were placed need besides their own. It is there before they are: a round that waited for memory
/// would hold what those need who could give some back.
#[derive(Default)]
pub(super) struct Reserve {
    pub(super) zeros: Option<BufferSlice>,
    /// For the header of the file that is entered next.
    pub(super) header: Option<AlignedBuffer>,
    /// For the headers of files that were entered.
    pub(super) headers: VecDeque<AlignedBuffer>,
}

impl<D: Disk> Journal<D> {
    /// Whether there is memory for what the next frame may need besides its own.
    pub(super) fn has_reserve(&self, ring: &Ring<D>, length: usize) -> bool {
        let mut reserve = self.reserve.borrow_mut();
        let end_in_current = ring.current.map(|(file, position)| (file, position + length as u64));
        let kept_free = self.block_bytes as u64;
        let is_ready = end_in_current.is_some_and(|(file, end)| {
            let file = &ring.files[file];
            end + kept_free <= self.file_bytes && end <= file.durable_length && file.file.is_some()
        });
        if is_ready {
            return true;
        }
        let buffers = self.disk.buffers();
        if reserve.header.is_none() {
            reserve.header = buffers.try_take(self.block_bytes);
        }
        if reserve.zeros.is_none() {
            reserve.zeros = buffers.try_take(ZERO_PIECE_BYTES).map(piece_of_zeros);
        }
        reserve.header.is_some() && reserve.zeros.is_some()
    }

    /// The file, if it is open and can be overwritten up to `end`.
    pub(super) fn ready_file(&self, index: usize, end: u64) -> Option<D::File> {
        let ring = self.state.borrow();
        let file = &ring.files[index];
        file.file.clone().filter(|_| end <= file.durable_length)
    }

    /// Opens the file and writes zeros until it can be overwritten up to `end`. The caller holds [`Journal::zeros`].
    pub(super) async fn lengthen(
        &self,
        index: usize,
        end: u64,
        zeros: &BufferSlice,
    ) -> Result<D::File, DiskError> {
        let file = self.open_file(index).await?;
        let durable_length = self.state.borrow().files[index].durable_length;
        if end > durable_length {
            let ahead = (durable_length + self.zeros_ahead_bytes()).min(self.file_bytes).max(end);
            self.write_zeros(&file, durable_length..ahead, zeros).await?;
            self.state.borrow_mut().files[index].durable_length = ahead;
        }
        Ok(file)
    }

    /// Whether zeros should be written beside the rounds.
    pub(crate) fn wants_zeros(&self) -> bool {
        self.next_to_lengthen(&self.state.borrow()).is_some()
    }

    /// Writes some zeros where the ring needs them next. Drive it to its end: zeros that were given up half-way could land on
    /// frames, so nothing is written to the journal after that.
    pub(crate) async fn write_zeros_ahead(&self, zeros: &BufferSlice) {
        let _zeros = self.zeros.acquire().await;
        let wanted = self.next_to_lengthen(&self.state.borrow());
        let Some(next) = wanted else { return };
        let index = next.unwrap_or_else(|| self.state.borrow_mut().add_file());
        let end = self.state.borrow().files[index].durable_length + 1;
        let unfinished = FailUnlessFinished { journal: self, finished: false };
        let result = self.lengthen(index, end.min(self.file_bytes), zeros).await;
        unfinished.finish();
        match result {
            Ok(_) => {}
            Err(error) if error.is_recoverable() => self.state.borrow_mut().zeros_found_disk_full = true,
            // The round that comes to this file reports what it finds.
            Err(_) => self.fail(),
        }
    }

    /// The file that needs zeros next, or `Some(None)` for one that does not exist yet; `None` when there are enough.
    fn next_to_lengthen(&self, ring: &Ring<D>) -> Option<Option<usize>> {
        let (current, position) = ring.current?;
        if ring.has_failed || ring.zeros_found_disk_full {
            return None;
        }
        let is_soon_used = position >= self.file_bytes / NEXT_FILE_FROM;
        let ahead = if is_soon_used { self.file_bytes } else { position + self.zeros_ahead_bytes() };
        if ring.files[current].durable_length < ahead.min(self.file_bytes) {
            return Some(Some(current));
        }
        if !is_soon_used {
            return None;
        }
        match ring.free_file() {
            Some(next) => (ring.files[next].durable_length < self.file_bytes).then_some(Some(next)),
            None => (ring.files.len() < self.files_max).then_some(None),
        }
    }

    fn zeros_ahead_bytes(&self) -> u64 {
        let share = (self.file_bytes / ZERO_AHEAD_SHARE).next_multiple_of(self.block_bytes as u64);
        share.min(ZERO_AHEAD_BYTES)
    }

    async fn open_file(&self, index: usize) -> Result<D::File, DiskError> {
        let (slot, exists, open) = {
            let ring = self.state.borrow();
            let file = &ring.files[index];
            (file.slot, file.exists, file.file.clone())
        };
        if let Some(file) = open {
            return Ok(file);
        }
        let path = file_path(&self.folder, slot);
        let mode = if exists { OpenMode::ReadWrite } else { OpenMode::CreateNew };
        let file = match self.disk.open(&path, mode).await {
            Err(error) if error.kind == DiskErrorKind::Exists => {
                self.disk.open(&path, OpenMode::ReadWrite).await?
            }
            opened => opened?,
        };
        self.disk.flush_directory(&self.folder).await?;
        let mut ring = self.state.borrow_mut();
        ring.files[index].exists = true;
        ring.files[index].file = Some(file.clone());
        Ok(file)
    }

    async fn write_zeros(
        &self,
        file: &D::File,
        range: Range<u64>,
        zeros: &BufferSlice,
    ) -> Result<(), DiskError> {
        let mut position = range.start;
        while position < range.end {
            let length = usize::try_from((range.end - position).min(zeros.len() as u64)).expect("one piece");
            file.write_at(position, zeros.slice(0..length)).await?;
            position += length as u64;
        }
        file.flush().await
    }
}

/// Zeros whose write was given up half-way may still land on frames.
struct FailUnlessFinished<'a, D: Disk> {
    journal: &'a Journal<D>,
    finished: bool,
}

impl<D: Disk> FailUnlessFinished<'_, D> {
    fn finish(mut self) {
        self.finished = true;
    }
}

impl<D: Disk> Drop for FailUnlessFinished<'_, D> {
    fn drop(&mut self) {
        if !self.finished {
            self.journal.fail();
        }
    }
}
