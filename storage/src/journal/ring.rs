//! Writing the journal: where the next frame goes, making room for it, knowing which frames are still needed.
//!
//! Planning is synchronous ([`Journal::place`]); then the file is prepared and the frame written. Only a round does that, and
//! rounds take turns, so nothing here is in progress twice.
//!
//! A file is prepared by writing zeros ahead and flushing them once, so that frames overwrite ranges that are durable: the
//! one flush of the round then covers them together with every overwrite in a segment.
use alloc::collections::BTreeMap;
use alloc::rc::Weak;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::config::StoreOptions;
use crate::disk::{AlignedBuffer, Disk, DiskError, DiskErrorKind, DiskFile, OpenMode};
use crate::error::StoreError;
use crate::identity::{LogKey, ShardId};
use crate::journal::frame::{Entry, FileHeader, Frame};
use crate::journal::{file_path, parse_name, shard_folder};
use crate::log::{Log, LogCell};

/// Zeros written ahead of the frames in a file that grows: one flush of metadata for so many bytes.
const ZERO_AHEAD_BYTES: u64 = 4 << 20;

/// Bytes of one write of zeros.
const ZERO_PIECE_BYTES: usize = 1 << 20;

/// Logs that one round brings to their segments to free the file that is entered next. Each costs a flush of its own file.
const SETTLES_A_ROUND: usize = 32;

/// What a journal holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Its files.
    pub files: usize,
    /// How many there may be.
    pub files_max: usize,
    /// Frames from the first that some log needs to the last.
    pub frames_held: u64,
    /// Frames that were ever written to it, by this process and those before it.
    pub frames_written: u64,
    /// A write failed: everything goes to the segments since.
    pub has_failed: bool,
}

/// The journal of one shard.
pub(crate) struct Journal<D: Disk> {
    disk: D,
    folder: String,
    block_bytes: usize,
    file_bytes: u64,
    files_max: usize,
    state: RefCell<Ring<D>>,
}

struct Ring<D: Disk> {
    files: Vec<RingFile<D>>,
    /// Index of the file that is written, and the position of the next frame in it.
    current: Option<(usize, u64)>,
    next_sequence: u64,
    next_generation: u64,
    /// Last frame that is durable; 0 for none, sequences begin with 1.
    flushed_sequence: u64,
    /// The largest `live_from` that a durable frame states.
    stated_live_from: u64,
    /// `live_from` of the last frame that was placed.
    placed_live_from: u64,
    /// Logs by the first frame that they need.
    live: BTreeMap<(u64, LogKey), Weak<LogCell<D>>>,
    /// A write failed: what the files hold is not known, nothing more is written to them.
    has_failed: bool,
    /// The block at the end of the current file, kept for stating `live_from`, is used.
    has_stated: bool,
}

struct RingFile<D: Disk> {
    slot: u32,
    file: Option<D::File>,
    exists: bool,
    generation: u64,
    /// Last frame in it, 0 for none.
    last_sequence: u64,
    /// Length that is written and durable.
    durable_length: u64,
    /// Whether something was written since its last flush.
    is_dirty: bool,
}

/// Where one frame goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    file: usize,
    position: u64,
    length: usize,
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
    pub(crate) live_from: u64,
    pub(crate) flushed_sequence: u64,
    /// The frame is the first in its file.
    enters: bool,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal of a shard. Whatever its files hold was applied before: it begins anew, behind every generation and
    /// sequence it ever used.
    pub(crate) async fn open(
        disk: D,
        shard: ShardId,
        options: &StoreOptions,
        block_bytes: usize,
    ) -> Result<Journal<D>, StoreError> {
        let folder = shard_folder(shard);
        let mut ring = Ring {
            files: Vec::new(),
            current: None,
            next_sequence: 1,
            next_generation: 1,
            flushed_sequence: 0,
            stated_live_from: 0,
            placed_live_from: 0,
            live: BTreeMap::new(),
            has_failed: false,
            has_stated: false,
        };
        disk.create_directory(&folder).await?;
        for entry in disk.list(&folder).await? {
            let Some(slot) = parse_name(&entry.name) else { continue };
            let path = file_path(&folder, slot);
            let file = disk.open(&path, OpenMode::ReadWrite).await?;
            let block = file.read_at(0, block_bytes).await?;
            let header = FileHeader::from_bytes(&path, block.as_slice()).ok();
            if let Some(header) = header {
                ring.next_generation = ring.next_generation.max(header.generation + 1);
                let most_frames = entry.size_bytes / block_bytes as u64;
                ring.next_sequence = ring.next_sequence.max(header.first_sequence + most_frames + 1);
            }
            ring.files.push(RingFile {
                slot,
                file: Some(file),
                exists: true,
                generation: header.map_or(0, |header| header.generation),
                last_sequence: 0,
                durable_length: entry.size_bytes - entry.size_bytes % block_bytes as u64,
                is_dirty: false,
            });
        }
        let files_max = usize::try_from(options.journal_files.max(2)).expect("a small number");
        Ok(Journal {
            disk,
            folder,
            block_bytes,
            file_bytes: options.journal_file_bytes,
            files_max,
            state: RefCell::new(ring),
        })
    }

    /// The next place for a frame of `length` bytes; `None` while the journal has none. Places are used in order.
    pub(crate) fn place(&self, length: usize) -> Option<Place> {
        let mut ring = self.state.borrow_mut();
        let kept_free = self.block_bytes as u64;
        if ring.has_failed || length as u64 + 2 * kept_free > self.file_bytes {
            return None;
        }
        let (file, position) = match ring.current {
            Some((file, position)) if position + length as u64 + kept_free <= self.file_bytes => {
                (file, position)
            }
            _ => (ring.enter(self.files_max)?, kept_free),
        };
        let enters = position == kept_free;
        Some(ring.put(file, position, length, enters))
    }

    /// A place in the block kept free for it, for a frame that only states which frames are needed, if that would free a
    /// file and was not done in this one.
    pub(crate) fn place_for_statement(&self) -> Option<Place> {
        let mut ring = self.state.borrow_mut();
        let (file, position) = ring.current?;
        let frees = ring.oldest_file(self.files_max).is_some_and(|oldest| {
            let last = ring.files[oldest].last_sequence;
            last >= ring.stated_live_from && last < ring.live_from()
        });
        if ring.has_failed || ring.has_stated || !frees {
            return None;
        }
        ring.has_stated = true;
        Some(ring.put(file, position, self.block_bytes, false))
    }

    /// Gives back a place that nothing was written to, and all later ones.
    pub(crate) fn cancel_from(&self, place: &Place) {
        let mut ring = self.state.borrow_mut();
        ring.next_sequence = place.sequence;
        ring.current = (!place.enters).then_some((place.file, place.position));
        ring.files[place.file].last_sequence = if place.enters { 0 } else { place.sequence - 1 };
    }

    /// Prepares the file and writes one frame. With `flush` it is durable when this returns. When the disk is full nothing
    /// of the frame was written.
    pub(crate) async fn write(
        &self,
        place: Place,
        mut frame: AlignedBuffer,
        flush: bool,
    ) -> Result<(), DiskError> {
        let file = match self.prepare(place, flush).await {
            Ok(file) => file,
            Err(error) if error.is_recoverable() => {
                self.cancel_from(&place);
                return Err(error);
            }
            Err(error) => {
                self.fail();
                return Err(error);
            }
        };
        self.state.borrow_mut().files[place.file].is_dirty = !flush;
        let bytes = frame.freeze(0..place.length);
        let written = if flush {
            file.write_at_and_flush(place.position, bytes).await
        } else {
            file.write_at(place.position, bytes).await
        };
        written.inspect_err(|_| self.fail())
    }

    /// Makes the file ready for a frame, so that the frame itself only overwrites. Fails with a full disk before anything
    /// of the frame is written. With `flush` the file's header is durable, which no durable write of a frame makes it.
    async fn prepare(&self, place: Place, flush: bool) -> Result<D::File, DiskError> {
        let file = self.open_file(place.file).await?;
        let durable_length = self.state.borrow().files[place.file].durable_length;
        let end = place.position + place.length as u64;
        if end > durable_length {
            let ahead = end.max(durable_length + ZERO_AHEAD_BYTES).min(self.file_bytes).max(end);
            self.write_zeros(&file, durable_length, ahead).await?;
            self.state.borrow_mut().files[place.file].durable_length = ahead;
        }
        if place.enters {
            let header = FileHeader { generation: place.generation, first_sequence: place.sequence };
            let mut block = self.disk.buffers().take(self.block_bytes).await;
            block.append(&header.to_bytes());
            block.pad_to(self.block_bytes);
            let block = block.freeze(0..self.block_bytes);
            if flush {
                file.write_at_and_flush(0, block).await?;
            } else {
                file.write_at(0, block).await?;
            }
        }
        Ok(file)
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

    async fn write_zeros(&self, file: &D::File, from: u64, to: u64) -> Result<(), DiskError> {
        let mut zeros = self.disk.buffers().take(ZERO_PIECE_BYTES).await;
        let piece_bytes = zeros.capacity();
        zeros.spare_mut().fill(0);
        zeros.advance(piece_bytes);
        let zeros = zeros.freeze(0..piece_bytes);
        let mut position = from;
        while position < to {
            let length = usize::try_from((to - position).min(piece_bytes as u64)).expect("one piece");
            file.write_at(position, zeros.slice(0..length)).await?;
            position += length as u64;
        }
        file.flush().await
    }

    /// Makes all frames that were written durable: a round may have left one file and entered the next.
    pub(crate) async fn flush(&self) -> Result<(), DiskError> {
        let dirty: Vec<(usize, D::File)> = {
            let ring = self.state.borrow();
            let dirty = ring.files.iter().enumerate().filter(|(_, file)| file.is_dirty);
            dirty.filter_map(|(index, file)| Some((index, file.file.clone()?))).collect()
        };
        for (index, file) in dirty {
            file.flush().await.inspect_err(|_| self.fail())?;
            self.state.borrow_mut().files[index].is_dirty = false;
        }
        Ok(())
    }

    /// Whether frames were written and not flushed.
    pub(crate) fn has_unflushed(&self) -> bool {
        self.state.borrow().files.iter().any(|file| file.is_dirty)
    }

    /// Takes note that all frames placed so far are durable: they were flushed, or a flush of another file covered them.
    pub(crate) fn flushed(&self) {
        let mut ring = self.state.borrow_mut();
        ring.flushed_sequence = ring.next_sequence - 1;
        ring.stated_live_from = ring.stated_live_from.max(ring.placed_live_from);
    }

    /// The log needs the journal from frame `since` on.
    pub(crate) fn needed(&self, since: u64, log: &Log<D>) {
        self.state.borrow_mut().live.entry((since, log.key())).or_insert_with(|| log.downgrade());
    }

    /// The log needs nothing of the journal any more: all its bytes are durable in its segments.
    pub(crate) fn not_needed(&self, since: u64, key: LogKey) {
        self.state.borrow_mut().live.remove(&(since, key));
    }

    /// Forgets a log that is gone.
    pub(crate) fn forget(&self, key: LogKey) {
        self.state.borrow_mut().live.retain(|(_, log), _| *log != key);
    }

    /// Logs that should be settled now, so that the file that is entered next is free in time.
    pub(crate) fn logs_to_settle(&self) -> Vec<Log<D>> {
        let ring = self.state.borrow();
        if crate::planted::is("journal-reused-early") {
            return Vec::new();
        }
        let Some(oldest) = ring.oldest_file(self.files_max) else { return Vec::new() };
        let last = ring.files[oldest].last_sequence;
        let needing = ring.live.iter().take_while(|((since, _), _)| *since <= last);
        let needing = needing.filter_map(|(_, log)| log.upgrade()).map(Log::from_cell);
        needing.filter(|log| !log.is_settling()).take(SETTLES_A_ROUND).collect()
    }

    pub(crate) fn stats(&self) -> JournalStats {
        let ring = self.state.borrow();
        JournalStats {
            files: ring.files.len(),
            files_max: self.files_max,
            frames_held: ring.next_sequence - ring.live_from(),
            frames_written: ring.next_sequence - 1,
            has_failed: ring.has_failed,
        }
    }

    fn fail(&self) {
        self.state.borrow_mut().has_failed = true;
    }
}

impl<D: Disk> Ring<D> {
    /// First frame that some log needs; the next one when none does.
    fn live_from(&self) -> u64 {
        self.live.first_key_value().map_or(self.next_sequence, |((since, _), _)| *since)
    }

    /// The file that would be entered next, once there are as many as there may be.
    fn oldest_file(&self, files_max: usize) -> Option<usize> {
        let current = self.current.map(|(file, _)| file);
        let others = (0..self.files.len()).filter(|index| Some(*index) != current);
        (self.files.len() >= files_max)
            .then(|| others.min_by_key(|&index| self.files[index].generation))
            .flatten()
    }

    /// Enters a new file, or the oldest one if a durable frame says that nothing in it is needed.
    fn enter(&mut self, files_max: usize) -> Option<usize> {
        let file = match self.oldest_file(files_max) {
            None => {
                let slot = self.files.iter().map(|file| file.slot + 1).max().unwrap_or(0);
                self.files.push(RingFile {
                    slot,
                    file: None,
                    exists: false,
                    generation: 0,
                    last_sequence: 0,
                    durable_length: 0,
                    is_dirty: false,
                });
                self.files.len() - 1
            }
            Some(oldest) => {
                let last = self.files[oldest].last_sequence;
                let is_free =
                    last == 0 || last < self.stated_live_from || crate::planted::is("journal-reused-early");
                is_free.then_some(oldest)?
            }
        };
        self.files[file].generation = self.next_generation;
        self.files[file].last_sequence = 0;
        self.next_generation += 1;
        self.has_stated = false;
        Some(file)
    }

    fn put(&mut self, file: usize, position: u64, length: usize, enters: bool) -> Place {
        let live_from = self.live_from();
        let place = Place {
            file,
            position,
            length,
            generation: self.files[file].generation,
            sequence: self.next_sequence,
            live_from,
            flushed_sequence: self.flushed_sequence,
            enters,
        };
        self.files[file].last_sequence = self.next_sequence;
        self.next_sequence += 1;
        self.placed_live_from = live_from;
        self.current = Some((file, position + length as u64));
        place
    }
}

/// The head of the frame for a place.
pub(crate) fn frame_for(place: &Place, entries: Vec<Entry>) -> Frame {
    Frame {
        generation: place.generation,
        sequence: place.sequence,
        live_from: place.live_from,
        flushed_sequence: place.flushed_sequence,
        entries,
        length: place.length,
    }
}
