//! Cut a log at either end: truncate, advance the log start, delete. All of it is durable when it returns.
//!
//! Truncation, in steps that a crash may interrupt anywhere:
//! 1. Everything of the log is settled, so that neither the journal nor the tail holds bytes of it that matter.
//! 2. `partition.id` gets the next incarnation and the state "truncating": journal entries of the old one are void from
//!    here on, and a start finishes what follows.
//! 3. Later segments are removed, the one that holds the offset is cut and flushed.
//! 4. The checkpoint is replaced, then `partition.id` says "settled".
//!
//! Advancing the start: what lies below it is settled, the checkpoint says so; then segments below it are removed, at the next start if need be.
//!
//! Deleting: the folder gets a name that no partition has, durably; what is in it goes then, or at the next start. Files
//! that readers still send from stay alive until they are done.
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;

use crate::batch::BatchHeader;
use crate::disk::{Disk, DiskError, DiskErrorKind, DiskFile};
use crate::error::{ChangeError, Damage};
use crate::group_commit::Round;
use crate::log::producers::Producers;
use crate::log::read::Place;
use crate::log::{Log, LogState, recover};
use crate::offset::Offset;
use crate::partition_id::{self, FolderState, PartitionId};
use crate::segment::scan::{Found, Scan};
use crate::segment::{Segment, index_path, log_path, producers_path};
use crate::signal::LockGuard;

/// How the names of folders begin that are being deleted. They do not end as a partition's folder does.
const DELETED_PREFIX: &str = "deleted.";

impl<D: Disk> Log<D> {
    /// Drops every batch from the one that holds `offset` on. Nothing happens when the log ends at or below it. Where the log
    /// ends then says [`Log::log_end_offset`].
    pub async fn truncate(&self, offset: Offset) -> Result<(), ChangeError> {
        self.while_busy(self.truncate_exclusively(offset)).await
    }

    async fn truncate_exclusively(&self, offset: Offset) -> Result<(), ChangeError> {
        let _changes = self.0.changes.acquire().await;
        // Another change may have come first.
        self.check_change(offset)?;
        if offset >= self.log_end_offset() {
            return Ok(());
        }
        // A later segment may begin where one of the replaced ones did.
        self.clear_replacement().await?;
        let _round = self.settle_alone().await?;
        let _zeros = self.0.zeros.acquire().await;
        let place = self.find_place(offset).await?;
        let incarnation = self.begin_change(FolderState::Truncating(place.offset)).await?;
        let unfinished = Unfinished::new(self);
        self.0.state.borrow_mut().incarnation = incarnation;
        unfinished.end(self.carry_out_truncation(place).await)
    }

    async fn carry_out_truncation(&self, place: Place) -> Result<(), ChangeError> {
        self.cut_files(place).await?;
        let checkpoint = {
            let mut state = self.0.state.borrow_mut();
            state.draft = None;
            self.draw_up_checkpoint(&mut state)
        };
        self.write_checkpoint(checkpoint).await?;
        let incarnation = self.0.state.borrow().incarnation;
        self.write_id(incarnation, FolderState::Settled).await?;
        Ok(())
    }

    /// Refuses appends until a change is over, or given up.
    pub(super) async fn while_busy<T>(&self, change: impl Future<Output = T>) -> T {
        let _busy = Busy::new(self);
        change.await
    }

    /// Says durably that a change is under way, in the next incarnation: from here on a start finishes it. A disk that is
    /// full leaves everything as it was; after any other error nobody knows what the folder says, and the log stops.
    pub(super) async fn begin_change(&self, state: FolderState) -> Result<u64, ChangeError> {
        if let Some(error) = self.stopped() {
            return Err(ChangeError::Offline(error));
        }
        let unfinished = Unfinished::new(self);
        let before = self.0.state.borrow().incarnation;
        let incarnation = if crate::planted::is("change-keeps-incarnation") { before } else { before + 1 };
        if crate::planted::is("restart-not-told") && matches!(state, FolderState::Restarting(_)) {
            unfinished.finish();
            return Ok(incarnation);
        }
        let written = self.write_id(incarnation, state).await;
        if let Err(error) = &written
            && error.is_recoverable()
        {
            let id = recover::read_id(&self.0.shared, &self.0.folder).await;
            if matches!(id, Ok(Some(id)) if id.incarnation == before) {
                unfinished.finish();
                return Err(error.clone().into());
            }
        }
        unfinished.end(written.map(|()| incarnation).map_err(ChangeError::from))
    }

    /// Finishes a truncation that a crash interrupted; the log was opened up to the batch that holds `offset`.
    pub(crate) async fn finish_truncation(&self, offset: Offset) -> Result<(), ChangeError> {
        let place =
            if offset < self.log_end_offset() { self.find_place(offset).await? } else { self.end_place() };
        self.cut_files(place).await?;
        let checkpoint = self.draw_up_checkpoint(&mut self.0.state.borrow_mut());
        self.write_checkpoint(checkpoint).await?;
        let incarnation = self.0.state.borrow().incarnation;
        self.write_id(incarnation, FolderState::Settled).await?;
        Ok(())
    }

    /// Brings everything of this log to its segments, durably, and keeps rounds away until the guard is dropped.
    async fn settle_alone(&self) -> Result<LockGuard, ChangeError> {
        let shared = self.0.shared.clone();
        let mut guard = shared.round.acquire().await;
        self.end_settling().await;
        loop {
            if let Some(error) = self.stopped() {
                return Err(ChangeError::Offline(error));
            }
            if self.is_settled() && self.0.state.borrow().tail.unsettled_bytes() == 0 {
                return Ok(guard);
            }
            if self.0.state.borrow().tail.unsettled_bytes() == 0 {
                // Written under `write.caching`: only the flush is missing.
                let journal = shared.journal();
                self.flush_written(journal.as_deref()).await?;
                continue;
            }
            self.0.state.borrow_mut().settle_requested = true;
            let (back, result) = Round::run_alone(shared.clone(), guard, self).await;
            result?;
            guard = back;
        }
    }

    fn end_place(&self) -> Place {
        let state = self.0.state.borrow();
        let end = state.end();
        Place { segment: end.segment, position: end.position, offset: state.log_end_offset }
    }

    /// Where the batch that holds an offset begins.
    async fn find_place(&self, offset: Offset) -> Result<Place, Damage> {
        loop {
            let place = self.0.state.borrow_mut().place_of(offset);
            match place {
                Ok(place) => return Ok(place),
                Err(step) => self.make_progress(step, offset).await?,
            }
        }
    }

    /// Removes the segments behind a place, cuts the one that holds it, and makes its summary again.
    async fn cut_files(&self, place: Place) -> Result<(), ChangeError> {
        // An index that somebody makes again from what is about to go would stay behind.
        let _index_files = self.0.index_files.acquire().await;
        let later: Vec<Offset> = {
            let state = self.0.state.borrow();
            let bases = state.segments.iter().map(|segment| segment.summary.base_offset);
            bases.filter(|base| *base > place.segment).collect()
        };
        // The last one first: what is left after a crash in between still has no gap.
        // Memory keeps them until all is done: who reads meanwhile finds no file at worst.
        for base_offset in later.into_iter().rev() {
            self.remove_segment_files(base_offset).await?;
        }
        let disk = &self.0.shared.disk;
        disk.flush_directory(&self.0.folder).await?;
        self.0.shared.forget_files(self.key());
        if self.0.state.borrow().segment_of(place).has_file {
            let file = self.0.shared.file(&self.0.folder, self.key(), place.segment).await?;
            file.set_length(place.position).await?;
            file.flush().await?;
        }
        remove_if_there(disk, &index_path(&self.0.folder, place.segment)).await?;
        self.forget_from(place).await?;
        Ok(())
    }

    /// Takes back in memory what was cut from the files: walks the segment that is open again.
    async fn forget_from(&self, place: Place) -> Result<(), ChangeError> {
        let producers = self.producers_below(place).await?;
        let (created_ms, interval, has_file) = {
            let state = self.0.state.borrow();
            let cut = state.segment_of(place);
            (cut.summary.created_ms, state.config.index_interval_bytes, cut.has_file)
        };
        let mut segment =
            Segment { has_file, name_is_durable: has_file, ..Segment::new(place.segment, created_ms) };
        segment.durable_length = place.position;
        if has_file {
            self.walk_below(place.segment, place.position, |header| segment.note(header, interval)).await?;
        }
        if segment.summary.next_offset != place.offset {
            let expected = format!("batches up to offset {}", place.offset);
            let found = format!("{}", segment.summary.next_offset);
            let file = log_path(&self.0.folder, place.segment);
            let position = segment.summary.size_bytes;
            return Err(
                Damage::from(crate::error::Corruption { file, position, expected, got: found }).into()
            );
        }
        let freed = self.0.state.borrow_mut().forget_from(place.offset, segment, producers);
        self.0.shared.gave_memory(freed);
        Ok(())
    }

    /// The producers of the batches below a place. Those that memory knows may have forgotten, for batches that are cut, older
    /// ones that stay: so they are told again by the batches, from the nearest segment at whose beginning they are known.
    async fn producers_below(&self, place: Place) -> Result<Producers, Damage> {
        let (mut producers, last_append_ms, segments) = {
            let state = self.0.state.borrow();
            let below = state.segments.iter().filter(|segment| segment.summary.base_offset <= place.segment);
            let segments: Vec<_> = below.map(|segment| (segment.summary, segment.has_file)).collect();
            (state.producers.clone(), state.last_append_ms, segments)
        };
        producers.truncate(place.offset);
        let mut from = segments.len();
        while from > 0 {
            from -= 1;
            if let Some(known) = self.producers_at(segments[from].0.base_offset).await {
                producers = known;
                break;
            }
        }
        for (segment, has_file) in &segments[from..] {
            let is_last = segment.base_offset == place.segment;
            let up_to = if is_last { place.position } else { segment.size_bytes };
            if *has_file {
                let note = |header: &BatchHeader| producers.note(header, last_append_ms, usize::MAX);
                self.walk_below(segment.base_offset, up_to, note).await?;
            }
        }
        Ok(producers)
    }

    /// Tells the batches of a segment's file, from its beginning up to a position.
    async fn walk_below(
        &self,
        segment: Offset,
        up_to: u64,
        mut note: impl FnMut(&BatchHeader),
    ) -> Result<(), Damage> {
        let file = self.0.shared.file(&self.0.folder, self.key(), segment).await?;
        let mut scan = Scan::new(&file, self.0.shared.block_bytes as u64, up_to, 0, segment.value(), -1);
        while let Found::Batch(header) = scan.next().await? {
            note(&header);
        }
        Ok(())
    }

    /// Makes `offset` the first that can be read; records below it are gone. Nothing happens when they are already.
    pub async fn advance_log_start(&self, offset: Offset) -> Result<(), ChangeError> {
        let _changes = self.0.changes.acquire().await;
        if offset <= self.log_start_offset() {
            return Ok(());
        }
        self.check_change(offset)?;
        if self.0.state.borrow().settled_offset < offset {
            // A start above the segments' end would cut the log off from what the journal holds of it.
            self.settle_alone().await?;
        }
        self.write_log_start(offset).await?;
        {
            let mut state = self.0.state.borrow_mut();
            state.log_start_offset = offset;
            state.leader_epochs.advance(offset);
            state.read_ends.clear();
            state.check();
        }
        self.remove_segments_below_start().await?;
        Ok(())
    }

    /// Writes the checkpoint with another log start: the one on disk, or a new one where there is none yet.
    async fn write_log_start(&self, offset: Offset) -> Result<(), ChangeError> {
        let mut checkpoint = match self.read_checkpoint().await {
            Ok(checkpoint) => checkpoint,
            Err(_) => {
                let _round = self.settle_alone().await?;
                let state = self.0.state.borrow();
                self.checkpoint(&state)
            }
        };
        checkpoint.advance(offset);
        checkpoint.replacement = None; // Whoever replaces segments holds the lock until that is done.
        self.0.shared.disk.replace(&self.checkpoint_path(), &checkpoint.to_file(), true).await?;
        Ok(())
    }

    /// Removes sealed segments that lie wholly below the log's start. The caller holds the lock for changes.
    async fn remove_segments_below_start(&self) -> Result<(), DiskError> {
        loop {
            let oldest = {
                let state = self.0.state.borrow();
                let first = state.segments.front().expect("a log has an open segment");
                let goes = state.segments.len() > 1
                    && first.is_sealed
                    && first.summary.next_offset <= state.log_start_offset
                    // A start looks for the segment that was open when the checkpoint on disk was drawn up.
                    && first.summary.base_offset < state.checkpointed_segment;
                goes.then_some(first.summary.base_offset)
            };
            let Some(base_offset) = oldest else { return Ok(()) };
            self.0.state.borrow_mut().segments.pop_front();
            self.remove_segment_files(base_offset).await?;
        }
    }

    /// Removes what an earlier advance could not: segments that were not sealed yet.
    pub(crate) async fn remove_old_segments(&self) -> Result<(), DiskError> {
        let Some(_changes) = self.0.changes.try_acquire() else { return Ok(()) };
        self.remove_segments_below_start().await
    }

    async fn remove_segment_files(&self, base_offset: Offset) -> Result<(), DiskError> {
        let disk = &self.0.shared.disk;
        self.0.shared.close_file(self.key(), base_offset);
        for path in [index_path, producers_path, log_path].map(|path| path(&self.0.folder, base_offset)) {
            remove_if_there(disk, &path).await?;
        }
        Ok(())
    }

    /// Takes the log's folder away. The log is closed from here on, whatever happens.
    pub(crate) async fn delete_files(&self) -> Result<(), ChangeError> {
        self.0.state.borrow_mut().changes_begun += 1;
        let _changes = self.0.changes.acquire().await;
        let round = self.0.shared.round.acquire().await;
        // What is still written would find the file of a new log under the same name.
        self.end_settling().await;
        let _zeros = self.0.zeros.acquire().await;
        let gone = DiskError::new(DiskErrorKind::NotFound, crate::disk::Operation::Write, &self.0.folder);
        self.stop(&gone);
        self.give_up_unwritten();
        let freed = self.0.state.borrow_mut().tail.discard();
        self.0.shared.gave_memory(freed);
        self.0.shared.close_files(self.key());
        let disk = &self.0.shared.disk;
        let deleted = format!("{DELETED_PREFIX}{}.{}", self.0.folder, self.key().topic_id);
        disk.rename(&self.0.folder, &deleted).await?;
        self.0.shared.forget_files(self.key());
        drop(round);
        disk.flush_directory("").await?;
        remove_folder(disk, &deleted).await?;
        Ok(())
    }

    pub(super) async fn write_id(&self, incarnation: u64, state: FolderState) -> Result<(), DiskError> {
        let id = PartitionId { key: self.key(), incarnation, state };
        let path = format!("{}/{}", self.0.folder, partition_id::FILE_NAME);
        self.0.shared.disk.replace(&path, &id.to_file(), true).await
    }

    fn check_change(&self, offset: Offset) -> Result<(), ChangeError> {
        let state = self.0.state.borrow();
        if let Some(error) = &state.stopped {
            return Err(ChangeError::Offline(error.clone()));
        }
        let (start, end) = (state.log_start_offset, state.log_end_offset);
        if offset < start || offset > end {
            return Err(ChangeError::OutOfRange { asked: offset, start, end });
        }
        Ok(())
    }
}

/// Stops the log when a change that has begun is not carried to its end: it failed, or its future was dropped. What is on
/// disk is not what memory says then, and the next start finishes it.
pub(super) struct Unfinished<'a, D: Disk> {
    log: &'a Log<D>,
    is_finished: bool,
}

impl<'a, D: Disk> Unfinished<'a, D> {
    pub(super) fn new(log: &'a Log<D>) -> Unfinished<'a, D> {
        Unfinished { log, is_finished: false }
    }

    pub(super) fn finish(mut self) {
        self.is_finished = true;
    }

    /// It is finished if it went well; the log stops for what went wrong.
    pub(super) fn end<T>(self, result: Result<T, ChangeError>) -> Result<T, ChangeError> {
        match &result {
            Ok(_) => self.finish(),
            Err(ChangeError::Disk(error) | ChangeError::Offline(error)) => self.log.stop(error),
            Err(ChangeError::Corrupt(_) | ChangeError::OutOfRange { .. }) => {}
        }
        result
    }
}

impl<D: Disk> Drop for Unfinished<'_, D> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.log.stop(&DiskError::cancelled(&self.log.0.folder));
            self.log.give_up_unwritten();
        }
    }
}

/// Marks a log as being changed for as long as it lives.
struct Busy<'a, D: Disk>(&'a Log<D>);

impl<'a, D: Disk> Busy<'a, D> {
    fn new(log: &'a Log<D>) -> Busy<'a, D> {
        log.0.state.borrow_mut().changes_begun += 1;
        Busy(log)
    }
}

impl<D: Disk> Drop for Busy<'_, D> {
    fn drop(&mut self) {
        self.0.0.state.borrow_mut().changes_begun -= 1;
    }
}

impl LogState {
    fn segment_of(&self, place: Place) -> &Segment {
        let index = self.segment_index(place.segment).expect("the place was just found");
        &self.segments[index]
    }

    /// The log ends at `end` now, in `open`. Returns the memory given back.
    fn forget_from(&mut self, end: Offset, open: Segment, producers: Producers) -> usize {
        let base_offset = open.summary.base_offset;
        self.segments.retain(|segment| segment.summary.base_offset < base_offset);
        self.segments.push_back(open);
        self.leader_epochs.truncate(end);
        self.producers = producers;
        // What readers and compaction found out before does not hold any more: other batches may take the place.
        self.layout += 1;
        self.producer_files.retain(|(base, _)| *base <= end);
        self.read_ends.clear();
        self.journal_since = None;
        self.settled_unflushed_bytes = 0;
        self.log_end_offset = end;
        self.written_offset = end;
        self.flushed_offset = end;
        self.settled_offset = end;
        self.compacted_offset = self.compacted_offset.min(end);
        self.log_start_offset = self.log_start_offset.min(end);
        self.check();
        self.tail.clear()
    }
}

/// Removes a file; it is no error when there is none.
pub(crate) async fn remove_if_there<D: Disk>(disk: &D, path: &str) -> Result<(), DiskError> {
    match disk.remove(path).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a folder with all its files.
pub(crate) async fn remove_folder<D: Disk>(disk: &D, folder: &str) -> Result<(), DiskError> {
    for entry in disk.list(folder).await? {
        remove_if_there(disk, &format!("{folder}/{}", entry.name)).await?;
    }
    disk.remove_directory(folder).await
}

/// Whether a folder is one whose deletion was interrupted.
pub(crate) fn is_deleted_folder(name: &str) -> bool {
    name.starts_with(DELETED_PREFIX) && crate::identity::parse_folder(name).is_none()
}

/// The same, for names that are owned.
pub(crate) fn deleted_folders(entries: Vec<crate::disk::DirectoryEntry>) -> impl Iterator<Item = String> {
    entries
        .into_iter()
        .filter(|entry| entry.kind == crate::disk::EntryKind::Directory && is_deleted_folder(&entry.name))
        .map(|entry| entry.name)
}
