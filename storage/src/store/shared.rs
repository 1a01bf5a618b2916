//! What the logs of one shard share: the disk, the budgets, the queue of logs with something to write, the open files.
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell, RefCell};

use crate::config::StoreOptions;
use crate::disk::{BufferSlice, Disk, DiskError, OpenMode};
use crate::identity::LogKey;
use crate::journal::Journal;
use crate::log::{Log, LogCell};
use crate::offset::Offset;
use crate::segment;
use crate::signal::{Lock, Signal};
use crate::store::cold_memory::ColdMemory;

pub(crate) struct Shared<D: Disk> {
    pub(crate) disk: D,
    pub(crate) options: StoreOptions,
    pub(crate) block_bytes: usize,
    /// Bytes appended and not yet written.
    pub(crate) unwritten_bytes: Cell<usize>,
    /// Memory of all tails.
    pub(crate) tail_bytes: Cell<usize>,
    /// The pool had no buffer for an append. Until memory comes back, or for a second, nobody tries again.
    pub(crate) is_memory_short: Cell<bool>,
    /// Logs that have something for the next round, each once.
    pub(crate) queue: RefCell<Vec<Log<D>>>,
    /// Logs that found the disk full; they are queued again by [`Shared::retry_stalled`].
    pub(crate) stalled: RefCell<Vec<Log<D>>>,
    /// Logs in the order in which they took memory.
    pub(crate) memory_order: RefCell<VecDeque<Weak<LogCell<D>>>>,
    /// Logs to settle beside the rounds.
    pub(crate) settle_queue: RefCell<VecDeque<Log<D>>>,
    /// A log is to be settled.
    pub(crate) settle_work: Signal,
    /// A settling beside the rounds has ended.
    pub(crate) settled: Signal,
    /// Memory of logs that were asked to settle because memory is short, and have not given it back.
    asked_bytes: Cell<usize>,
    /// The store is being closed: rounds settle logs themselves.
    pub(crate) is_closing: Cell<bool>,
    /// Logs that want zeros ahead.
    pub(crate) zeros_queue: RefCell<Vec<Log<D>>>,
    /// One piece of zeros, kept while logs want some.
    pub(crate) zeros: RefCell<Option<BufferSlice>>,
    /// Whether they were used since the last upkeep.
    pub(crate) uses_zeros: Cell<bool>,
    /// A log wants zeros.
    pub(crate) zeros_work: Signal,
    /// Something was queued, or the round ended.
    pub(crate) work: Signal,
    /// Bytes were written, or memory came back.
    pub(crate) room: Signal,
    /// Held by the round, and by whatever else writes into an open segment or the journal.
    pub(crate) round: Lock,
    /// [`Lock::releases`] of it at the last upkeep.
    rounds_at_upkeep: Cell<u64>,
    /// Whether there were rounds between the last two of them.
    had_rounds: Cell<bool>,
    /// When buffers were last looked through for idle ones.
    memory_period_began_ms: Cell<i64>,
    /// [`Lock::releases`] when a cold read last found another number, and what cold reads brought since.
    cold_since_round: Cell<(u64, u64)>,
    /// Held by the one cold read that is at the device beside rounds.
    pub(crate) cold_turn: Lock,
    /// What cold reads hold until it is sent.
    pub(crate) cold_memory: ColdMemory,
    /// None while journals are replayed: what is replayed goes straight to the segments.
    journal: OnceCell<Rc<Journal<D>>>,
    files: RefCell<OpenFiles<D>>,
}

struct OpenFiles<D: Disk> {
    /// A file that has another's name by now, and whose readers do not know yet: they get this one.
    held: Option<((LogKey, Offset), D::File)>,
    /// Counts how often a name got another file: who opened one before looks again.
    renames: u64,
    open: BTreeMap<(LogKey, Offset), (D::File, u64)>,
    /// Counts uses; the file with the lowest count was used least recently.
    clock: u64,
}

impl<D: Disk> Shared<D> {
    pub(crate) fn new(disk: D, options: StoreOptions) -> Shared<D> {
        let alignment = disk.alignment();
        let cold_memory = ColdMemory::new(disk.buffers().stats().budget_bytes);
        let block_bytes = usize::try_from(alignment.position_bytes).expect("a block fits into memory");
        Shared {
            block_bytes: block_bytes.max(alignment.memory_bytes).max(BLOCK_BYTES_MIN),
            disk,
            options,
            unwritten_bytes: Cell::new(0),
            tail_bytes: Cell::new(0),
            is_memory_short: Cell::new(false),
            queue: RefCell::default(),
            stalled: RefCell::default(),
            memory_order: RefCell::default(),
            settle_queue: RefCell::default(),
            settle_work: Signal::default(),
            settled: Signal::default(),
            asked_bytes: Cell::new(0),
            is_closing: Cell::new(false),
            zeros_queue: RefCell::default(),
            zeros: RefCell::default(),
            uses_zeros: Cell::new(false),
            zeros_work: Signal::default(),
            work: Signal::default(),
            room: Signal::default(),
            round: Lock::default(),
            rounds_at_upkeep: Cell::default(),
            had_rounds: Cell::default(),
            memory_period_began_ms: Cell::default(),
            cold_since_round: Cell::default(),
            cold_turn: Lock::default(),
            cold_memory,
            journal: OnceCell::new(),
            files: RefCell::new(OpenFiles { held: None, renames: 0, open: BTreeMap::new(), clock: 0 }),
        }
    }

    /// Gives the logs their journal.
    pub(crate) fn set_journal(&self, journal: Journal<D>) {
        let is_first = self.journal.set(Rc::new(journal)).is_ok();
        assert!(is_first, "a shard has one journal");
    }

    /// The journal of the shard, if it has one.
    pub(crate) fn journal(&self) -> Option<Rc<Journal<D>>> {
        self.journal.get().cloned()
    }

    /// Whether somebody writes: there was a round within the last second or two, and readers of old records did not get so
    /// much since the last one that it must have been the last.
    pub(crate) fn has_rounds(&self) -> bool {
        let releases = self.round.releases();
        let (at_release, brought) = self.cold_since_round.get();
        let readers_are_alone = at_release == releases && brought >= ALONE_BYTES;
        let is_recent = self.had_rounds.get() || releases != self.rounds_at_upkeep.get();
        self.round.is_held() || (is_recent && !readers_are_alone)
    }

    /// Takes note of bytes that a cold read brought.
    pub(crate) fn note_cold_read(&self, bytes: usize) {
        let releases = self.round.releases();
        let (at_release, brought) = self.cold_since_round.get();
        let brought = if at_release == releases { brought } else { 0 };
        self.cold_since_round.set((releases, brought + bytes as u64));
    }

    /// Takes note of an upkeep.
    pub(crate) fn note_upkeep(&self) {
        let releases = self.round.releases();
        self.had_rounds.set(self.rounds_at_upkeep.replace(releases) != releases);
    }

    /// Whether the time since idle buffers were last looked for is over; it begins anew then. A clock that was set back ends it.
    pub(crate) fn begins_memory_period(&self, now_ms: i64, period_ms: i64) -> bool {
        let elapsed = now_ms - self.memory_period_began_ms.get();
        let is_over = !(0..period_ms).contains(&elapsed);
        if is_over {
            self.memory_period_began_ms.set(now_ms);
        }
        is_over
    }

    /// Whether so many bytes may be appended now. One batch may always be, however large.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let unwritten = self.unwritten_bytes.get();
        let fits = unwritten == 0
            || (unwritten + bytes <= self.options.unwritten_bytes_max
                && self.leaves_memory_for_frames(bytes));
        fits && !self.is_memory_short.get()
    }

    /// Whether the next round still finds memory for its journal frames: without a frame each of its logs would have to grow
    /// and be flushed by itself.
    fn leaves_memory_for_frames(&self, bytes: usize) -> bool {
        let budget = self.disk.buffers().budget_bytes();
        let is_left = || self.tail_bytes.get() + bytes + budget / FRAMES_SHARE <= budget;
        if !is_left() {
            self.make_memory(bytes, None);
        }
        is_left()
    }

    /// Takes note that bytes were written, or will never be.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.unwritten_bytes.set(self.unwritten_bytes.get() - bytes);
        self.memory_may_be_back();
    }

    /// Takes note that the pool has no buffer left, and gives up tails that are only kept for readers.
    pub(crate) fn memory_is_short(&self) {
        self.is_memory_short.set(true);
        self.forget_who_was_asked();
        for _ in 0..SHORTAGE_ROUNDS {
            self.make_memory(self.options.tail_bytes_max / SHORTAGE_SHARE, None);
        }
    }

    /// Lets those who wait for memory try again.
    pub(crate) fn memory_may_be_back(&self) {
        self.is_memory_short.set(false);
        self.room.notify();
    }

    /// The file of a segment, open for reading and writing.
    pub(crate) async fn file(
        &self,
        folder: &str,
        key: LogKey,
        segment: Offset,
    ) -> Result<D::File, DiskError> {
        loop {
            if let Some(file) = self.open_file(key, segment) {
                return Ok(file);
            }
            let renames = self.files.borrow().renames;
            let opened = self.disk.open(&segment::log_path(folder, segment), OpenMode::ReadWrite).await;
            if renames == self.files.borrow().renames {
                return Ok(self.keep_file(key, segment, opened?));
            }
        }
    }

    /// From now on whoever asks for this segment gets `file`, whatever file has its name.
    pub(crate) fn hold_file(&self, key: LogKey, segment: Offset, file: D::File) {
        let mut files = self.files.borrow_mut();
        assert!(files.held.is_none(), "a shard replaces one segment at a time");
        files.held = Some(((key, segment), file));
        files.renames += 1;
    }

    /// Ends [`Shared::hold_file`]; with a file, that is the segment's from now on.
    pub(crate) fn release_file(&self, new: Option<D::File>) {
        let held = {
            let mut files = self.files.borrow_mut();
            files.renames += 1;
            files.held.take()
        };
        if let (Some(((key, segment), _)), Some(new)) = (held, new) {
            self.close_file(key, segment);
            self.keep_file(key, segment, new);
        }
    }

    /// Creates the file of a segment. A file that an earlier attempt left is used as it is.
    pub(crate) async fn create_file(
        &self,
        folder: &str,
        key: LogKey,
        segment: Offset,
    ) -> Result<D::File, DiskError> {
        use crate::disk::DiskErrorKind::Exists;
        match self.disk.open(&segment::log_path(folder, segment), OpenMode::CreateNew).await {
            Ok(file) => Ok(self.keep_file(key, segment, file)),
            Err(error) if error.kind == Exists => self.file(folder, key, segment).await,
            Err(error) => Err(error),
        }
    }

    fn open_file(&self, key: LogKey, segment: Offset) -> Option<D::File> {
        let mut files = self.files.borrow_mut();
        files.clock += 1;
        let clock = files.clock;
        if let Some((_, held)) = files.held.as_ref().filter(|(held, _)| *held == (key, segment)) {
            return Some(held.clone());
        }
        let (file, used) = files.open.get_mut(&(key, segment))?;
        *used = clock;
        Some(file.clone())
    }

    fn keep_file(&self, key: LogKey, segment: Offset, file: D::File) -> D::File {
        let mut files = self.files.borrow_mut();
        files.clock += 1;
        let clock = files.clock;
        // Two tasks may have opened it at the same time: all users must share one, which counts outstanding ranges.
        let kept = files.open.entry((key, segment)).or_insert((file, clock)).0.clone();
        while files.open.len() > self.options.open_files_max.max(1) {
            let oldest = files.open.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| *name);
            files.open.remove(&oldest.expect("there are too many"));
        }
        kept
    }

    /// Closes the files of a log that were removed. Who opened one before looks again: a name may come back with another file.
    pub(crate) fn forget_files(&self, key: LogKey) {
        self.close_files(key);
        self.files.borrow_mut().renames += 1;
    }

    /// Closes the files of a log.
    pub(crate) fn close_files(&self, key: LogKey) {
        self.files.borrow_mut().open.retain(|(log, _), _| *log != key);
    }

    /// Closes the file of a segment.
    pub(crate) fn close_file(&self, key: LogKey, segment: Offset) {
        self.files.borrow_mut().open.remove(&(key, segment));
    }

    /// How many files are open.
    pub(crate) fn open_files(&self) -> usize {
        self.files.borrow().open.len()
    }

    /// Puts a log into the queue of the next round.
    pub(crate) fn enqueue(&self, log: Log<D>) {
        self.queue.borrow_mut().push(log);
        self.work.notify();
    }

    /// Queues the logs again that found the disk full.
    pub(crate) fn retry_stalled(&self) {
        let stalled = core::mem::take(&mut *self.stalled.borrow_mut());
        for log in stalled {
            log.request_round();
        }
    }

    /// Takes note of memory that a log took for its tail.
    pub(crate) fn took_memory(&self, log: &Log<D>, bytes: usize) {
        if bytes > 0 {
            self.tail_bytes.set(self.tail_bytes.get() + bytes);
            self.give_memory_place(log);
        }
    }

    fn give_memory_place(&self, log: &Log<D>) {
        log.got_memory_place();
        self.memory_order.borrow_mut().push_back(log.downgrade());
    }

    /// Whether memory is short, or was and has not all come back.
    pub(crate) fn wants_memory(&self) -> bool {
        self.asked_bytes.get() > 0
            || self.is_memory_short.get()
            || self.tail_bytes.get() > self.options.tail_bytes_max
    }

    /// Takes note of memory that a log gave back.
    pub(crate) fn gave_memory(&self, bytes: usize) {
        if bytes > 0 {
            self.tail_bytes.set(self.tail_bytes.get() - bytes);
            self.memory_may_be_back();
        }
    }

    /// Whether more logs shall settle so that their memory can be given back: many small settlings cost more than few
    /// large ones.
    pub(crate) fn may_ask_to_settle(&self) -> bool {
        self.asked_bytes.get() < self.options.tail_bytes_max / ASKED_SHARE
    }

    /// Takes note of memory that will be given back once its log is settled.
    pub(crate) fn asked_to_settle(&self, bytes: usize) {
        self.asked_bytes.set(self.asked_bytes.get() + bytes);
    }

    /// Takes note that such memory can go, or will not.
    pub(crate) fn asked_no_longer(&self, bytes: usize) {
        self.asked_bytes.set(self.asked_bytes.get().saturating_sub(bytes));
    }

    /// Asks again where nothing came of it.
    pub(crate) fn forget_who_was_asked(&self) {
        self.asked_bytes.set(0);
    }

    /// Drops the oldest settled tails until `bytes` more fit into the budget, but for those of the log that asks. What is
    /// not settled is asked to be. Looks at a few only: an append must not pay for all logs of the shard. Places of logs that are
    /// gone, or whose memory is, go as they are found and do not count: thousands that a deleted topic left would keep those
    /// who wait for memory from it for seconds.
    pub(crate) fn make_memory(&self, bytes: usize, asking: Option<&Log<D>>) {
        let mut tries = self.memory_order.borrow().len().min(MEMORY_TRIES);
        while tries > 0 && self.tail_bytes.get() + bytes > self.options.tail_bytes_max {
            let Some(oldest) = self.memory_order.borrow_mut().pop_front() else { break };
            let Some(log) = Weak::upgrade(&oldest).map(Log::from_cell) else { continue };
            if log.gives_up_stale_place() {
                continue;
            }
            tries -= 1;
            let is_asking = asking.is_some_and(|asking| asking.is_same(&log));
            if is_asking || !log.give_back_oldest_memory() {
                self.memory_order.borrow_mut().push_back(oldest);
                if !self.may_ask_to_settle() {
                    break; // What comes back soon is on its way.
                }
            } else if log.gives_up_place() {
                self.give_memory_place(&log);
            }
        }
    }
}

/// So much do cold reads bring between two rounds where nobody writes: a twentieth of a second of them. Whoever writes less
/// often than that is not slowed down noticeably by a few reads through the page cache.
const ALONE_BYTES: u64 = 32 << 20;

/// This share of all buffers is left to journal frames: a few of the largest with the default budget.
const FRAMES_SHARE: usize = 32;

/// Of the tails' budget this share may be asked back at a time.
const ASKED_SHARE: usize = 16;

/// In a shortage of memory this share of the tails' budget is given up at once.
const SHORTAGE_SHARE: usize = 8;

/// How often a shortage looks for tails to give up.
const SHORTAGE_ROUNDS: usize = 16;

/// Tails that one append looks at when memory is short.
const MEMORY_TRIES: usize = 16;

/// Blocks of direct writes are at least this large, the block of every usual file system: a write that ends inside of one
/// makes ext4 and XFS zero the rest of it and take turns.
const BLOCK_BYTES_MIN: usize = 4096;
