//! The io_uring of one shard: disk operations, readiness of sockets, and the place where the shard's thread waits.
//!
//! What must hold:
//! - An operation owns everything that the kernel may touch (memory, open file) until its last completion, even when the
//!   future that waits for it is dropped. Only `operations.rs` gives it away, and only then.
//! - At most [`RingOptions::operations_max`] disk operations are under way; more wait in [`Admission`], in order.
//!   Polls of sockets are bounded by the number of descriptors instead.
//! - Everything happens on the executor's own thread. The kernel completes operations only while that thread asks it to,
//!   so it is interrupted by none.
//! - The thread never waits without a poll of the executor's bell under way: other threads could not wake it.
//!
//! Submissions gather while the executor runs its ready tasks; then [`Ring::enter`] gives them to the kernel with one
//! system call, which is also the one that waits, and [`Ring::reap`] takes all completions.
//!
//! [`Ring::stop`] waits for all disk operations. Without it the memory under way is leaked, never freed early.
#![expect(
    unsafe_code,
    reason = "hands memory and descriptors to the kernel; each block says who keeps them alive"
)]

mod admission;
mod error;
mod operations;
mod poll;
mod setup;
mod submissions;
mod writes;

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    mem,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

pub(super) use self::operations::{Held, HeldMemory};
use self::{
    admission::Admission,
    operations::{OperationKey, Operations},
    submissions::{Arrived, Submissions, bell_poll, close, unwatched, watched},
    writes::Writes,
};
pub use self::{error::RingError, poll::PollFuture, setup::RingOptions};
use super::executor::yield_turn;

/// How long to wait when the kernel has no memory for a submission.
const SUBMIT_RETRY_PAUSE: Duration = Duration::from_millis(1);

/// Whether entering the ring waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// There are tasks to run.
    No,
    /// Until something completes.
    ForCompletion {
        /// `None`: as long as it takes.
        at_most: Option<Duration>,
    },
}

/// What a ring has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Operations given to the kernel.
    pub operations: u64,
    /// System calls that gave them.
    pub submits: u64,
    /// Times that the thread waited in the kernel.
    pub waits: u64,
    /// Disk operations that had to wait for others to end.
    pub admissions_delayed: u64,
    /// Bytes written past the page cache.
    pub bytes_written: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Flushes of files.
    pub flushes: u64,
    /// Disk operations that the kernel ended with an error, a full disk among them.
    pub failures: u64,
    /// Buffers that the kernel knows by number.
    pub buffers_registered: u64,
    /// Buffers that it refused to know (locked memory is limited): they work, at a higher cost for each write.
    pub buffers_refused: u64,
}

/// The ring of one shard. Clones share it.
#[derive(Clone)]
pub struct Ring(Rc<Shared>);

struct Shared {
    ring: RefCell<IoUring>,
    operations: RefCell<Operations>,
    submissions: RefCell<Submissions>,
    admission: Admission,
    /// Closes of descriptors that the kernel has not done yet.
    closes: Cell<usize>,
    counters: Cell<RingCounters>,
    /// Polled for as long as the ring lives.
    bell: Arc<OwnedFd>,
    bell_polled: Cell<bool>,
    /// Wakes the task that waits for everything to end.
    stopper: RefCell<Option<Waker>>,
    stopping: Cell<bool>,
    writes: Writes,
    /// Reused by each reaping.
    woken: Cell<Vec<Waker>>,
}

impl Ring {
    /// Sets up a ring. Whoever writes to `bell` ends the wait of [`Ring::enter`].
    pub(super) fn new(options: RingOptions, bell: Arc<OwnedFd>) -> Result<Ring, RingError> {
        Ok(Ring(Rc::new(Shared {
            ring: RefCell::new(setup::build(options.entries)?),
            operations: RefCell::default(),
            submissions: RefCell::default(),
            admission: Admission::new(options.operations_max),
            closes: Cell::new(0),
            counters: Cell::default(),
            bell,
            bell_polled: Cell::new(false),
            stopper: RefCell::default(),
            stopping: Cell::new(false),
            writes: Writes::default(),
            woken: Cell::default(),
        })))
    }

    /// What it has done so far.
    pub fn counters(&self) -> RingCounters {
        self.0.counters.get()
    }

    /// Operations and polls that the kernel still works on.
    pub fn operations_under_way(&self) -> usize {
        self.0.operations.borrow().len()
    }

    /// Whether disk operations are under way, and how many have ended: a disk that hangs has some and ends none.
    pub fn disk_operations(&self) -> (bool, u64) {
        (!self.0.admission.is_empty(), self.0.admission.left())
    }

    /// Waits until every disk operation has ended, abandoned ones too, and every descriptor is closed: the end of the ring
    /// would cancel what a kernel worker has not begun, and leave files open. Polls end with the ring.
    pub async fn stop(&self) {
        loop {
            if !self.0.submissions.borrow().is_empty() {
                yield_turn().await;
            } else if self.0.admission.is_empty() && self.0.closes.get() == 0 {
                break;
            } else {
                self.completions().await;
            }
        }
        self.0.stopping.set(true);
    }

    /// Waits until something has completed.
    async fn completions(&self) {
        let mut waited = false;
        poll_fn(|context| {
            if mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            *self.0.stopper.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut RingCounters)) {
        let mut counters = self.0.counters.get();
        change(&mut counters);
        self.0.counters.set(counters);
    }

    /// Runs one disk operation, after others when too many are under way.
    ///
    /// # Safety
    /// `held` owns all memory and the descriptor that `entry` refers to, at addresses that do not change when `held` moves.
    pub(super) async unsafe fn run(&self, entry: squeue::Entry, held: Held) -> (i32, Held) {
        self.admit().await;
        let _under_way = self.0.writes.begin(held.memory.written_bytes());
        // SAFETY: promised by the caller.
        unsafe { self.begin(entry, held, true) }.await
    }

    async fn admit(&self) {
        if self.0.admission.is_full() {
            self.count(|counters| counters.admissions_delayed += 1);
        }
        self.0.admission.enter().await;
    }

    /// Queues an operation; `admitted` when it took a place that is to be left at its end.
    ///
    /// # Safety
    /// As [`Ring::run`].
    unsafe fn begin(&self, entry: squeue::Entry, held: Held, admitted: bool) -> OperationFuture {
        let key = self.0.operations.borrow_mut().insert(held);
        self.push(watched(key, entry));
        OperationFuture { ring: self.clone(), key: Some(key), admitted }
    }

    /// Submits something whose result nobody waits for and that refers to no memory.
    fn submit_unwatched(&self, entry: squeue::Entry) {
        self.push(unwatched(entry));
    }

    /// Closes a descriptor on a kernel worker: the last close of a large removed file frees its blocks, which takes long.
    pub(super) fn close(&self, descriptor: OwnedFd) {
        if self.0.stopping.get() {
            return;
        }
        let descriptor: RawFd = descriptor.into_raw_fd();
        let entry = opcode::Close::new(types::Fd(descriptor)).build();
        self.0.closes.set(self.0.closes.get() + 1);
        self.push(close(entry.flags(squeue::Flags::ASYNC)));
    }

    pub(super) fn with_submitter<R>(&self, act: impl FnOnce(&io_uring::Submitter<'_>) -> R) -> R {
        act(&self.0.ring.borrow().submitter())
    }

    fn push(&self, entry: squeue::Entry) {
        self.0.submissions.borrow_mut().push(entry);
    }

    /// A poll that stays, and completes at each write. The kernel may end it (when it has no room for completions).
    fn poll_bell(&self) {
        if !self.0.bell_polled.replace(true) {
            let bell = types::Fd(self.0.bell.as_raw_fd());
            let readable = u32::from(libc::POLLIN.unsigned_abs());
            self.push(bell_poll(opcode::PollAdd::new(bell, readable).multi(true).build()));
        }
    }

    /// Gives the kernel what was submitted, and waits if told to.
    pub(super) fn enter(&self, wait: Wait) {
        self.poll_bell();
        let mut ring = self.0.ring.borrow_mut();
        loop {
            let (moved, more) = self.0.submissions.borrow_mut().move_into(&mut ring);
            let want = usize::from(matches!(wait, Wait::ForCompletion { .. }) && !more);
            let queue = ring.submission();
            let is_needless = queue.is_empty() && want == 0 && !queue.taskrun() && !queue.cq_overflow();
            drop(queue);
            if is_needless {
                return;
            }
            let result = match wait {
                Wait::ForCompletion { at_most: Some(at_most) } if want > 0 => {
                    let at_most = types::Timespec::from(at_most);
                    ring.submitter().submit_with_args(want, &types::SubmitArgs::new().timespec(&at_most))
                }
                _ => ring.submit_and_wait(want),
            };
            self.count(|counters| {
                counters.operations += moved as u64;
                counters.submits += 1;
                counters.waits += want as u64;
            });
            match result {
                Ok(_) if more => {}
                Ok(_) => return,
                Err(error) => match error.raw_os_error() {
                    // The time is over, or a signal came.
                    Some(libc::ETIME | libc::EINTR) => return,
                    // Completions have to be taken first; the next turn tries again.
                    Some(libc::EBUSY) => return,
                    // The kernel has no memory for requests: nothing that this thread could do would get on.
                    Some(libc::EAGAIN) => {
                        thread::sleep(SUBMIT_RETRY_PAUSE);
                        return;
                    }
                    _ => panic!("io_uring refuses what it has always taken: {error}"),
                },
            }
        }
    }

    /// Whether all that is under way on the disk is one small write, which ends within moments.
    pub(super) fn is_about_to_complete(&self) -> bool {
        self.0.writes.are_one_small()
    }

    /// Whether something has completed since the last reaping.
    pub(super) fn has_completions(&self) -> bool {
        let mut ring = self.0.ring.borrow_mut();
        ring.submission().taskrun() || !ring.completion().is_empty()
    }

    /// Takes all completions there are and wakes who waits for them.
    pub(super) fn reap(&self) {
        let mut wake = self.0.woken.take();
        self.reap_into(&mut wake);
        wake.drain(..).for_each(Waker::wake);
        self.0.woken.set(wake);
        self.wake_stopper();
    }

    fn reap_into(&self, wake: &mut Vec<Waker>) {
        let mut ring = self.0.ring.borrow_mut();
        let mut operations = self.0.operations.borrow_mut();
        for completion in ring.completion() {
            let key = match Arrived::parse(completion.user_data()) {
                Arrived::Operation(key) => key,
                Arrived::Bell => {
                    self.0.bell_polled.set(cqueue::more(completion.flags()));
                    continue;
                }
                Arrived::Close => {
                    self.0.closes.set(self.0.closes.get() - 1);
                    continue;
                }
                Arrived::Unwatched => continue,
            };
            let ended = operations.complete(key, completion.result());
            wake.extend(ended.waker);
            if ended.admitted && completion.result() < 0 {
                self.count(|counters| counters.failures += 1);
            }
            if ended.abandoned && ended.admitted {
                self.0.admission.leave();
            }
        }
    }

    fn wake_stopper(&self) {
        if let Some(waker) = self.0.stopper.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Waits for one operation. Dropped before its end it leaves the operation to run, with all it holds.
struct OperationFuture {
    ring: Ring,
    /// `None` once it has ended.
    key: Option<OperationKey>,
    /// Whether it took a place in the admission, to be left at its end.
    admitted: bool,
}

impl Future for OperationFuture {
    type Output = (i32, Held);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let key = self.key.expect("a future is not polled after its end");
        let Some(ended) = self.ring.0.operations.borrow_mut().take_ended(key, context.waker()) else {
            return Poll::Pending;
        };
        self.key = None;
        if self.admitted {
            self.ring.0.admission.leave();
        }
        self.ring.wake_stopper();
        Poll::Ready(ended)
    }
}

impl Drop for OperationFuture {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let ended = self.ring.0.operations.borrow_mut().abandon(key, self.admitted);
        if ended && self.admitted {
            self.ring.0.admission.leave();
        }
        self.ring.wake_stopper();
    }
}
