//! The log of one partition: an ordered run of record batches, from its start offset to its end offset.
//!
//! [`Log`] is a handle; its clones share the log. It belongs to one shard. Appends go to the tail in memory and are written
//! by the rounds of [`crate::Store`]; reads come from the tail or from the segments' files.
//!
//! What must hold, asserted where it changes:
//! - `log_start_offset <= log_end_offset` and `flushed_offset <= written_offset <= log_end_offset`.
//! - Segments follow each other without a gap; only the last one is open.
//! - What is below `flushed_offset` is durable, in the segments or in the journal.
//!
//! It knows nothing of replicas: whether a reader may see an offset is the node's decision.
mod append;
pub(crate) mod change;
mod checkpointing;
mod cold_read;
pub(crate) mod compaction;
pub(crate) mod leader_epochs;
pub(crate) mod producers;
mod read;
pub(crate) mod recover;
pub(crate) mod recovered;
mod restart;
mod retention;
mod round;
mod seal;
mod settle;
mod tail;
mod time;
mod zeros;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::{Cell, RefCell};

use self::checkpointing::WalkBytes;
use self::leader_epochs::LeaderEpochs;
use self::producers::Producers;
use self::tail::{End, Tail};
use crate::batch::{BatchHeader, RecordBatchHeader};
use crate::config::LogConfig;
use crate::disk::{BUFFER_BYTES_MIN, Disk, DiskError, FileRange};
use crate::error::ProducerError;
use crate::identity::{LogIdentity, LogKey};
use crate::offset::{LeaderEpoch, Offset};
use crate::segment::{NO_TIMESTAMP, Segment};
use crate::signal::Lock;
use crate::store::shared::Shared;

pub(crate) use self::round::{JournalPart, RoundPart, Way};
pub(crate) use self::zeros::{ZERO_PIECE_BYTES, piece_of_zeros};

/// One partition's log.
pub struct Log<D: Disk>(Rc<LogCell<D>>);

impl<D: Disk> Clone for Log<D> {
    fn clone(&self) -> Self {
        Log(self.0.clone())
    }
}

/// What the handles of a log share.
pub(crate) struct LogCell<D: Disk> {
    pub(crate) shared: Rc<Shared<D>>,
    identity: LogIdentity,
    folder: String,
    state: RefCell<LogState>,
    /// Held by whatever changes files of the log other than by a round: sealing, truncation, checkpoints, retention.
    changes: Lock,
    /// Held while index files of sealed segments are written or removed.
    index_files: Lock,
    /// Held while zeros are written ahead of the open segment's end, or cut off.
    zeros: Lock,
    /// Whether the log waits in the queue of the next round.
    is_queued: Cell<bool>,
    /// Whether the log waits in the queue for zeros.
    waits_for_zeros: Cell<bool>,
    /// Its places in the order in which logs give memory back.
    memory_places: Cell<usize>,
    /// What of [`Shared::asked_to_settle`] is its memory.
    asked_bytes: Cell<usize>,
}

/// What changes.
pub(crate) struct LogState {
    config: LogConfig,
    /// The error that stopped it, if any.
    stopped: Option<DiskError>,
    /// Changes of the log's end that have begun and are not over, a deletion for ever: no appends meanwhile.
    changes_begun: u32,
    /// The last write found the disk full.
    is_full: bool,
    log_start_offset: Offset,
    log_end_offset: Offset,
    written_offset: Offset,
    flushed_offset: Offset,
    /// Below it everything is durable in the segments themselves: nothing there depends on the journal.
    settled_offset: Offset,
    /// In order; the last one is open.
    segments: VecDeque<Segment>,
    tail: Tail,
    /// Count of tail bytes that were written, to the journal or to segments; always between two batches.
    written_count: u64,
    /// Sequence of the first journal frame that holds bytes which are not durable in the segments.
    journal_since: Option<u64>,
    /// Count of tail bytes up to which the journal has, or once had, them.
    journalled_count: u64,
    /// Bytes that were written and not flushed.
    unflushed_bytes: u64,
    /// How fast it is written to.
    pace: zeros::Pace,
    /// See [`crate::partition_id`].
    incarnation: u64,
    producers: Producers,
    leader_epochs: LeaderEpochs,
    /// What is brought to the segments beside the rounds.
    settling: Option<Box<settle::Settling>>,
    /// A round has left the log out because of its settling.
    has_waited_for_settling: bool,
    /// The next round shall bring everything to the segments.
    settle_requested: bool,
    /// It shall be durable there, too: what was settled to give memory back is only written.
    flush_requested: bool,
    /// Bytes that were settled beside the rounds and not flushed. They are durable in the journal; while there are any,
    /// nothing else that was written into the segments is unflushed.
    settled_unflushed_bytes: u64,
    last_append_ms: i64,
    /// Recovery point of the checkpoint on disk.
    checkpointed_offset: Offset,
    /// Base offset of the segment that it says is open.
    checkpointed_segment: Offset,
    walk_bytes: WalkBytes,
    /// The next checkpoint is due before that many bytes.
    checkpoint_requested: bool,
    /// A checkpoint whose recovery point is durable, waiting to be written.
    draft: Option<Draft>,
    /// Producers as they were when a segment began, waiting to be written: base offset and file.
    producer_files: Vec<(Offset, Vec<u8>)>,
    /// Where reads ended: the next read of the same reader begins there.
    read_ends: read::ReadEnds,
    /// Below it the log was compacted.
    compacted_offset: Offset,
    /// Counts how often segments were put into the place of others: positions found before do not hold then.
    layout: u64,
    /// Why the log is not compacted any more, until the next start.
    is_uncleanable: bool,
    /// A pass is under way.
    is_compacting: bool,
    /// The checkpoint on disk tells of a replacement of segments; it is carried out unless the lock for changes is held.
    has_replacement: bool,
}

/// A checkpoint as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) recovery_point: Offset,
    /// Base offset of the segment that was open when it was drawn up.
    pub(crate) open_segment: Offset,
    /// The log's start when it was drawn up.
    pub(crate) log_start_offset: Offset,
    /// The log's layout when it was drawn up.
    pub(crate) layout: u64,
    /// See [`WalkBytes::checkpoint_written`].
    pub(crate) walk_bytes: u64,
    pub(crate) file: Vec<u8>,
}

/// What an append assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
}

/// One part of what was read, in the log's order.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes of the tail, or bytes that were just read.
    Memory(Bytes),
    /// A range of a segment file whose bytes were verified and are in the page cache.
    File(FileRange),
}

/// Whole batches, from the one that holds the offset asked for.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The parts, in order.
    pub pieces: Vec<Piece>,
    /// Bytes of all parts.
    pub length: usize,
    /// Offset behind the last record of the parts; the offset asked for when there are none.
    pub next_offset: Offset,
}

/// What the log knows of the producer of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerCheck {
    /// Append it.
    New,
    /// It is in the log already; answer as the first time.
    Duplicate {
        /// Offset that its first record got.
        base_offset: Offset,
        /// Largest timestamp of the batch, which is its append time where the topic says so.
        append_time_ms: i64,
    },
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Segments deleted.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The log's start afterwards.
    pub log_start_offset: Offset,
}

/// What is known of a producer, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSnapshot {
    /// Its id.
    pub producer_id: i64,
    /// Its newest epoch.
    pub producer_epoch: i16,
    /// Last sequence number, -1 when no batch is remembered.
    pub last_sequence: i32,
    /// The largest timestamp of its last batch, -1 when no batch is remembered.
    pub last_timestamp: i64,
    /// When it appended last, by this node's clock.
    pub last_append_ms: i64,
}

impl<D: Disk> Log<D> {
    pub(crate) fn new(shared: Rc<Shared<D>>, identity: LogIdentity, state: LogState) -> Log<D> {
        state.check();
        let folder = identity.folder();
        Log(Rc::new(LogCell {
            shared,
            identity,
            folder,
            state: RefCell::new(state),
            changes: Lock::default(),
            index_files: Lock::default(),
            zeros: Lock::default(),
            is_queued: Cell::new(false),
            waits_for_zeros: Cell::new(false),
            memory_places: Cell::new(0),
            asked_bytes: Cell::new(0),
        }))
    }

    pub(crate) fn from_cell(cell: Rc<LogCell<D>>) -> Log<D> {
        Log(cell)
    }

    pub(crate) fn downgrade(&self) -> Weak<LogCell<D>> {
        Rc::downgrade(&self.0)
    }

    /// Whether two handles are of one log.
    pub(crate) fn is_same(&self, other: &Log<D>) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &LogIdentity {
        &self.0.identity
    }

    /// Who it is, short.
    #[must_use]
    pub fn key(&self) -> LogKey {
        self.0.identity.key()
    }

    /// First offset that can be read.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.0.state.borrow().log_start_offset
    }

    /// Offset of the next record to come.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.0.state.borrow().log_end_offset
    }

    /// Below it everything was written by direct I/O: it survives the end of the process.
    #[must_use]
    pub fn written_offset(&self) -> Offset {
        self.0.state.borrow().written_offset
    }

    /// Below it everything is durable.
    #[must_use]
    pub fn flushed_offset(&self) -> Offset {
        self.0.state.borrow().flushed_offset
    }

    /// Bytes of all batches.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.0.state.borrow().size_bytes()
    }

    /// How many segments it has, the open one included.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.0.state.borrow().segments.len()
    }

    /// The error that stopped it, if any.
    #[must_use]
    pub fn stopped(&self) -> Option<DiskError> {
        self.0.state.borrow().stopped.clone()
    }

    /// Takes other settings from now on.
    pub fn set_config(&self, config: LogConfig) {
        self.0.state.borrow_mut().config = config;
    }

    /// Whether a validated batch follows what its producer wrote.
    pub fn check_producer(
        &self,
        batch: &RecordBatchHeader,
        now_ms: i64,
    ) -> Result<ProducerCheck, ProducerError> {
        let state = self.0.state.borrow();
        match BatchHeader::check(batch) {
            Ok(header) => state.producers.check(&header, now_ms, state.config.producer_id_expiration_ms),
            Err(_) => Ok(ProducerCheck::New), // `append` refuses it with the reason.
        }
    }

    /// What is known of the producers.
    #[must_use]
    pub fn producers(&self) -> Vec<ProducerSnapshot> {
        self.0.state.borrow().producers.snapshots()
    }

    /// The largest timestamp, and the base offset of the first batch that has it: the record is in that batch.
    #[must_use]
    pub fn max_timestamp(&self) -> Option<(i64, Offset)> {
        let state = self.0.state.borrow();
        let with_time = state.segments.iter().filter(|segment| segment.summary.max_timestamp != NO_TIMESTAMP);
        // The first of equals: `max_by_key` would take the last.
        let largest = with_time.reduce(|best, next| {
            if next.summary.max_timestamp > best.summary.max_timestamp { next } else { best }
        })?;
        Some((largest.summary.max_timestamp, largest.summary.max_timestamp_offset))
    }

    /// The largest leader epoch that is at most `epoch`, and the offset behind its last record.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let state = self.0.state.borrow();
        state.leader_epochs.end_offset(epoch, state.log_end_offset)
    }

    /// The newest leader epoch in the log.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.0.state.borrow().leader_epochs.latest()
    }

    /// Asks for a place in the next round.
    pub(crate) fn request_round(&self) {
        if !self.0.is_queued.replace(true) {
            self.0.shared.enqueue(self.clone());
        }
    }

    /// Whether it has a place in the queue.
    pub(crate) fn is_queued(&self) -> bool {
        self.0.is_queued.get()
    }

    /// It has a place in the queue.
    pub(crate) fn mark_queued(&self) {
        self.0.is_queued.set(true);
    }

    /// Asks the next round to bring everything to the segments, durably, unless that is under way.
    pub(crate) fn request_settle(&self) {
        {
            let mut state = self.0.state.borrow_mut();
            if let Some(settling) = &mut state.settling {
                settling.make_durable();
                return;
            }
            state.settle_requested = true;
            state.flush_requested = true;
        }
        self.request_round();
    }

    /// Asks the next round to have everything written into the segments, so that its memory can go: it need not be durable
    /// there yet.
    fn request_settle_unflushed(&self) {
        self.0.state.borrow_mut().settle_requested = true;
        self.request_round();
    }

    /// Gives back the oldest memory of the tail; when it is not settled, asks for that and says `false`.
    pub(crate) fn give_back_oldest_memory(&self) -> bool {
        let Ok(mut state) = self.0.state.try_borrow_mut() else { return false };
        let is_unsettled = state.tail.unsettled_bytes() > 0;
        let is_asked = state.settle_requested || state.settling.is_some();
        let freed = match state.tail.drop_oldest() {
            // The last buffer, with the log's end in it: the next append needs its block.
            None if !is_unsettled && state.tail.memory_bytes() > 0 => {
                Some(state.tail.keep_last_block(self.0.shared.disk.buffers()))
            }
            freed => freed,
        };
        drop(state);
        match freed {
            Some(bytes) => self.0.shared.gave_memory(bytes),
            None if is_unsettled && !is_asked && self.0.shared.may_ask_to_settle() => {
                let bytes = self.0.state.borrow().tail.memory_bytes();
                self.0.shared.asked_no_longer(self.0.asked_bytes.replace(bytes));
                self.0.shared.asked_to_settle(bytes);
                self.request_settle_unflushed();
            }
            None => return false,
        }
        freed.is_some()
    }

    /// Takes note of a place in the order in which logs give memory back.
    pub(crate) fn got_memory_place(&self) {
        self.0.memory_places.set(self.0.memory_places.get() + 1);
    }

    /// Gives a place up that stood for memory which is gone already. Says whether it did.
    pub(crate) fn gives_up_stale_place(&self) -> bool {
        let places = self.0.memory_places.get();
        let Ok(state) = self.0.state.try_borrow() else { return false };
        let is_stale = places > state.tail.buffer_count();
        self.0.memory_places.set(places - usize::from(is_stale));
        is_stale
    }

    /// Gives a place up for the memory that it stood for. Says whether the log needs another for what it still holds.
    pub(crate) fn gives_up_place(&self) -> bool {
        let left = self.0.memory_places.get() - 1;
        self.0.memory_places.set(left);
        left == 0 && self.holds_memory()
    }

    /// Gives back what memory was asked for and can go now, but for the block of the log's end: whoever appends next needs it.
    fn give_back_what_was_asked(&self) {
        let holds_more = || self.0.state.borrow().tail.memory_bytes() > BUFFER_BYTES_MIN;
        while self.0.shared.wants_memory() && holds_more() && self.give_back_oldest_memory() {}
        self.0.shared.asked_no_longer(self.0.asked_bytes.take());
    }

    /// Stops the log for good: what is on disk is not known any more.
    pub(crate) fn stop(&self, error: &DiskError) {
        let mut state = self.0.state.borrow_mut();
        if state.stopped.is_none() {
            state.stopped = Some(error.clone());
        }
    }
}

impl LogState {
    fn check(&self) {
        assert!(self.log_start_offset <= self.log_end_offset, "a log does not start behind its end");
        assert!(
            self.flushed_offset <= self.written_offset && self.written_offset <= self.log_end_offset,
            "flushed {} <= written {} <= end {}",
            self.flushed_offset,
            self.written_offset,
            self.log_end_offset
        );
        assert!(self.settled_offset <= self.flushed_offset, "what is settled is durable");
        assert!(
            self.settled_unflushed_bytes == 0 || self.journal_since.is_some(),
            "what is not flushed in the segments is in the journal"
        );
        let open = &self.open_segment().summary;
        assert_eq!(open.next_offset, self.log_end_offset, "the open segment ends where the log does");
    }

    /// A log without records, whose next one gets `offset`; all of it is durable.
    fn empty_at(
        offset: Offset,
        config: LogConfig,
        incarnation: u64,
        block_bytes: usize,
        now_ms: i64,
    ) -> LogState {
        LogState {
            config,
            stopped: None,
            changes_begun: 0,
            is_full: false,
            log_start_offset: offset,
            log_end_offset: offset,
            written_offset: offset,
            flushed_offset: offset,
            settled_offset: offset,
            segments: VecDeque::from([Segment::new(offset, now_ms)]),
            tail: Tail::new(block_bytes),
            written_count: 0,
            journal_since: None,
            journalled_count: 0,
            unflushed_bytes: 0,
            pace: zeros::Pace::default(),
            incarnation,
            producers: Producers::default(),
            leader_epochs: LeaderEpochs::default(),
            settling: None,
            has_waited_for_settling: false,
            settle_requested: false,
            flush_requested: false,
            settled_unflushed_bytes: 0,
            last_append_ms: now_ms,
            checkpointed_offset: Offset::ZERO,
            checkpointed_segment: Offset::ZERO,
            walk_bytes: WalkBytes::default(),
            checkpoint_requested: false,
            draft: None,
            producer_files: Vec::new(),
            read_ends: read::ReadEnds::default(),
            compacted_offset: Offset::ZERO,
            layout: 0,
            is_uncleanable: false,
            is_compacting: false,
            has_replacement: false,
        }
    }

    fn open_segment(&self) -> &Segment {
        self.segments.back().expect("a log has an open segment")
    }

    fn open_segment_mut(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("a log has an open segment")
    }

    fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.summary.size_bytes).sum()
    }

    /// It is being cut, restarted or deleted.
    fn is_busy(&self) -> bool {
        self.changes_begun > 0
    }

    /// Where the next byte goes.
    fn end(&self) -> End {
        let open = &self.open_segment().summary;
        End { segment: open.base_offset, position: open.size_bytes }
    }

    /// Index of the segment with this base offset.
    fn segment_index(&self, base_offset: Offset) -> Option<usize> {
        self.segments.binary_search_by_key(&base_offset, |segment| segment.summary.base_offset).ok()
    }

    /// Index of the segment that holds an offset of the log.
    fn segment_holding(&self, offset: Offset) -> usize {
        let after = self.segments.partition_point(|segment| segment.summary.base_offset <= offset);
        after.saturating_sub(1)
    }
}
