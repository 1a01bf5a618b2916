//! Writing the journal: where the next frame goes, making room for it, knowing which frames are still needed.
//!
//! Planning is synchronous ([`Journal::place`]); then the file is prepared and the frame written. Only a round does that, and
//! rounds take turns, so no frames are in progress twice.
//!
//! A file is used again once nothing in it is needed; where none is free the ring gets another one, up to as many as it may
//! have. When few are left logs are settled so that the oldest becomes free: the faster frames come, the more files there
//! are, the more of a log each of its settlings takes, and the fewer flushes that costs. A quiet shard keeps one or two.
//!
//! Frames overwrite zeros that are durable: the one flush of the round then covers them together with every overwrite in a
//! segment. The zeros are written beside the rounds ([`Journal::write_zeros_ahead`]), a chunk at a time: ahead in the current
//! file, and in the one that comes next. A round that is faster waits, and writes some itself.
use alloc::collections::BTreeMap;
use alloc::rc::Weak;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::config::StoreOptions;
use crate::disk::{AlignedBuffer, Disk, DiskError, DiskFile, OpenMode};
use crate::error::StoreError;
use crate::identity::{LogKey, ShardId};
use crate::journal::frame::{Entry, FileHeader, Frame};
use crate::journal::zeros::Reserve;
use crate::journal::{file_path, parse_name, shard_folder};
use crate::log::{Log, LogCell};
use crate::signal::Lock;

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
    pub(super) disk: D,
    pub(super) folder: String,
    pub(super) block_bytes: usize,
    pub(super) file_bytes: u64,
    pub(super) files_max: usize,
    pub(super) state: RefCell<Ring<D>>,
    /// Held by whoever writes zeros.
    pub(super) zeros: Lock,
    pub(super) reserve: RefCell<Reserve>,
}

pub(super) struct Ring<D: Disk> {
    pub(super) files: Vec<RingFile<D>>,
    /// Index of the file that is written, and the position of the next frame in it.
    pub(super) current: Option<(usize, u64)>,
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
    pub(super) has_failed: bool,
    /// The block at the end of the current file, kept for stating `live_from`, is used.
    has_stated: bool,
    /// The disk was full when zeros were last written beside the rounds: left to the rounds until another file is entered.
    pub(super) zeros_found_disk_full: bool,
}

pub(super) struct RingFile<D: Disk> {
    pub(super) slot: u32,
    pub(super) file: Option<D::File>,
    pub(super) exists: bool,
    generation: u64,
    /// Last frame in it, 0 for none.
    last_sequence: u64,
    /// Length that is written and durable.
    pub(super) durable_length: u64,
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
            zeros_found_disk_full: false,
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
            zeros: Lock::default(),
            reserve: RefCell::default(),
        })
    }

    /// The next place for a frame of `length` bytes; `None` while the journal has none, or no memory. Places are used in order.
    pub(crate) fn place(&self, length: usize) -> Option<Place> {
        let mut ring = self.state.borrow_mut();
        let kept_free = self.block_bytes as u64;
        let is_too_long = length as u64 + 2 * kept_free > self.file_bytes;
        if ring.has_failed || is_too_long || !self.has_reserve(&ring, length) {
            return None;
        }
        let (file, position) = match ring.current {
            Some((file, position)) if position + length as u64 + kept_free <= self.file_bytes => {
                (file, position)
            }
            _ => (ring.enter(self.files_max)?, kept_free),
        };
        let enters = position == kept_free;
        if enters {
            let mut reserve = self.reserve.borrow_mut();
            let header = reserve.header.take();
            reserve.headers.extend(header);
        }
        Some(ring.put(file, position, length, enters))
    }

    /// A place in the block kept free for it, for a frame that only states which frames are needed, if that would free a
    /// file and was not done in this one.
    pub(crate) fn place_for_statement(&self) -> Option<Place> {
        let mut ring = self.state.borrow_mut();
        let (file, position) = ring.current?;
        let frees = ring.oldest_file().is_some_and(|oldest| {
            let last = ring.files[oldest].last_sequence;
            last >= ring.stated_live_from && last < ring.live_from()
        });
        let is_wanted = frees && !ring.has_stated && ring.files.len() >= self.files_max;
        if ring.has_failed || !is_wanted || !self.has_reserve(&ring, self.block_bytes) {
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
        let end = place.position + place.length as u64;
        let ready_to = if crate::planted::is("journal-zeros-over-frames") { 0 } else { end };
        let file = match self.ready_file(place.file, ready_to) {
            Some(file) => file,
            None => {
                let _zeros = self.zeros.acquire().await;
                let zeros = self.reserve.borrow().zeros.clone().expect("a frame has what it needs");
                self.lengthen(place.file, end, &zeros).await?
            }
        };
        if place.enters {
            let header = FileHeader { generation: place.generation, first_sequence: place.sequence };
            let reserved = self.reserve.borrow_mut().headers.pop_front();
            let mut block = reserved.expect("a frame has what it needs");
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
        *self.reserve.borrow_mut() = Reserve::default();
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

    /// Files behind the current one that may hold what is needed: fewer than those that there may be, so that logs are settled
    /// in time.
    fn files_kept(&self) -> usize {
        self.files_max - (self.files_max / 4).max(1)
    }

    /// Logs that should be settled now, so that the oldest files become free in time.
    pub(crate) fn logs_to_settle(&self) -> Vec<Log<D>> {
        let ring = self.state.borrow();
        if crate::planted::is("journal-reused-early") {
            return Vec::new();
        }
        let held = ring.held_files();
        let Some(excess) = held.len().checked_sub(self.files_kept()) else { return Vec::new() };
        let last = ring.files[held[excess]].last_sequence;
        let needing = ring.live.iter().take_while(|((since, _), _)| *since <= last);
        let needing = needing.filter_map(|(_, log)| log.upgrade()).map(Log::from_cell);
        needing.filter(|log| !log.is_settling_durably()).take(SETTLES_A_ROUND).collect()
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

    pub(super) fn fail(&self) {
        self.state.borrow_mut().has_failed = true;
    }
}

impl<D: Disk> Ring<D> {
    /// First frame that some log needs; the next one when none does.
    fn live_from(&self) -> u64 {
        self.live.first_key_value().map_or(self.next_sequence, |((since, _), _)| *since)
    }

    /// The file that was entered longest ago, but for the current one.
    fn oldest_file(&self) -> Option<usize> {
        let current = self.current.map(|(file, _)| file);
        let others = (0..self.files.len()).filter(|index| Some(*index) != current);
        others.min_by_key(|&index| self.files[index].generation)
    }

    /// Files behind the current one with frames that are needed, the oldest first.
    fn held_files(&self) -> Vec<usize> {
        let current = self.current.map(|(file, _)| file);
        let live_from = self.live_from();
        let is_held = |index: &usize| {
            let last = self.files[*index].last_sequence;
            last != 0 && last >= live_from && Some(*index) != current
        };
        let mut held: Vec<usize> = (0..self.files.len()).filter(is_held).collect();
        held.sort_unstable_by_key(|&index| self.files[index].generation);
        held
    }

    /// The oldest file, if a durable frame says that nothing in it is needed.
    pub(super) fn free_file(&self) -> Option<usize> {
        let is_free =
            |last| last == 0 || last < self.stated_live_from || crate::planted::is("journal-reused-early");
        self.oldest_file().filter(|&oldest| is_free(self.files[oldest].last_sequence))
    }

    pub(super) fn add_file(&mut self) -> usize {
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

    /// Enters the oldest file if it is free, else a new one if there may be more.
    fn enter(&mut self, files_max: usize) -> Option<usize> {
        let file = match self.free_file() {
            Some(free) => free,
            None if self.files.len() < files_max => self.add_file(),
            None => return None,
        };
        self.zeros_found_disk_full = false;
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
