//! A companion io_uring of one shard: what glommio lacks or does at several times the cost.
//!
//! What must hold:
//! - An operation owns everything that the kernel may touch (memory, open file) until its last completion, even when the
//!   future that waits for it is dropped. Only `operations.rs` gives it away, and only then.
//! - At most [`RingOptions::operations_max`] disk operations are under way; more wait in [`Admission`], in order.
//!   Polls of sockets are bounded by the number of descriptors instead.
//! - Everything happens on the executor's own thread.
//!
//! Submissions gather until the executor has run its other ready tasks, then one system call takes them all. Completions
//! signal an eventfd that glommio itself reads, so that a parked executor wakes, and are reaped all at once.
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

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use glommio::io::BufferedFile;
use io_uring::{IoUring, squeue};

pub(super) use self::operations::{Held, HeldMemory, Outcome};
use self::{
    admission::Admission,
    operations::{OperationKey, Operations},
    submissions::{Submission, Submissions},
};
pub use self::{error::RingError, poll::PollFuture, setup::RingOptions};

/// How long to wait when the kernel has no memory for a submission.
const SUBMIT_RETRY_PAUSE: Duration = Duration::from_millis(1);

/// What a ring has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Operations given to the kernel; a linked pair counts as two.
    pub operations: u64,
    /// System calls that gave them.
    pub submits: u64,
    /// Times the eventfd woke us.
    pub wakes: u64,
    /// Disk operations that had to wait for others to end.
    pub admissions_delayed: u64,
    /// Bytes written past the page cache.
    pub bytes_written: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Flushes of files.
    pub flushes: u64,
    /// Buffers that the kernel knows by number.
    pub buffers_registered: u64,
    /// Buffers that it refused to know (locked memory is limited): they work, at a higher cost for each write.
    pub buffers_refused: u64,
}

/// The companion ring of one shard. Clones share it.
#[derive(Clone)]
pub struct Ring(Rc<Shared>);

struct Shared {
    ring: RefCell<IoUring>,
    operations: RefCell<Operations>,
    submissions: RefCell<Submissions>,
    admission: Admission,
    counters: Cell<RingCounters>,
    /// Wakes the task that submits.
    submitter: RefCell<Option<Waker>>,
    /// Wakes the task that waits for everything to end.
    stopper: RefCell<Option<Waker>>,
    stopping: Cell<bool>,
    /// Reused by each reaping.
    woken: Cell<Vec<Waker>>,
}

impl Ring {
    /// Sets up a ring and its two tasks. Call it inside a glommio executor.
    pub fn start(options: RingOptions) -> Result<Ring, RingError> {
        let ring = setup::build(options.entries)?;
        let signal = setup::blocking_eventfd().map_err(RingError::from_setup)?;
        {
            use std::os::fd::AsRawFd;
            ring.submitter().register_eventfd(signal.as_raw_fd()).map_err(RingError::from_setup)?;
        }
        let ring = Ring(Rc::new(Shared {
            ring: RefCell::new(ring),
            operations: RefCell::default(),
            submissions: RefCell::default(),
            admission: Admission::new(options.operations_max),
            counters: Cell::default(),
            submitter: RefCell::default(),
            stopper: RefCell::default(),
            stopping: Cell::new(false),
            woken: Cell::default(),
        }));
        glommio::spawn_local(ring.clone().submit_batches()).detach();
        glommio::spawn_local(ring.clone().reap_on_signal(signal)).detach();
        Ok(ring)
    }

    /// What it has done so far.
    pub fn counters(&self) -> RingCounters {
        self.0.counters.get()
    }

    /// Operations and polls that the kernel still works on.
    pub fn operations_under_way(&self) -> usize {
        self.0.operations.borrow().len()
    }

    /// Waits until every disk operation has ended, abandoned ones too, and ends the ring's tasks. Polls end with the ring.
    pub async fn stop(&self) {
        poll_fn(|context| {
            if self.0.admission.is_empty() && self.0.submissions.borrow().is_empty() {
                return Poll::Ready(());
            }
            *self.0.stopper.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.0.stopping.set(true);
        // Wakes the task that submits, and with its completion the one that reads the eventfd.
        self.submit_unwatched(io_uring::opcode::Nop::new().build());
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
        // SAFETY: promised by the caller.
        let (outcome, held) = unsafe { self.begin(entry, None, held, true) }.await;
        (outcome.result, held)
    }

    /// Runs two disk operations as one submission, the second only after the first succeeded in full.
    ///
    /// # Safety
    /// As [`Ring::run`], for both.
    pub(super) async unsafe fn run_linked(
        &self,
        first: squeue::Entry,
        second: squeue::Entry,
        held: Held,
    ) -> (Outcome, Held) {
        self.admit().await;
        // SAFETY: promised by the caller.
        unsafe { self.begin(first, Some(second), held, true) }.await
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
    unsafe fn begin(
        &self,
        first: squeue::Entry,
        second: Option<squeue::Entry>,
        held: Held,
        admitted: bool,
    ) -> OperationFuture {
        let key = self.0.operations.borrow_mut().insert(held);
        self.push(Submission::watched(key, first, second));
        OperationFuture { ring: self.clone(), key: Some(key), admitted }
    }

    /// Submits something whose result nobody waits for and that refers to no memory.
    fn submit_unwatched(&self, entry: squeue::Entry) {
        self.push(Submission::unwatched(entry));
    }

    /// Closes a descriptor on a kernel worker: the last close of a large removed file frees its blocks, which takes long.
    pub(super) fn close(&self, descriptor: OwnedFd) {
        if self.0.stopping.get() {
            return;
        }
        let descriptor: RawFd = descriptor.into_raw_fd();
        let entry = io_uring::opcode::Close::new(io_uring::types::Fd(descriptor)).build();
        self.submit_unwatched(entry.flags(squeue::Flags::ASYNC));
    }

    pub(super) fn with_submitter<R>(&self, act: impl FnOnce(&io_uring::Submitter<'_>) -> R) -> R {
        act(&self.0.ring.borrow().submitter())
    }

    fn push(&self, submission: Submission) {
        self.0.submissions.borrow_mut().push(submission);
        if let Some(waker) = self.0.submitter.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The submitting task: runs after the tasks that were ready before it, so that it takes what all of them pushed.
    async fn submit_batches(self) {
        loop {
            let more = poll_fn(|context| {
                if !self.0.submissions.borrow().is_empty() {
                    return Poll::Ready(true);
                }
                if self.0.stopping.get() {
                    return Poll::Ready(false);
                }
                *self.0.submitter.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
            if !more {
                return;
            }
            let complete = self.submit_now();
            self.reap();
            self.wake_stopper();
            if !complete {
                glommio::timer::sleep(SUBMIT_RETRY_PAUSE).await;
            }
        }
    }

    /// Gives everything that waits to the kernel; `false` when the kernel could not take it all.
    fn submit_now(&self) -> bool {
        let mut ring = self.0.ring.borrow_mut();
        loop {
            let moved = self.0.submissions.borrow_mut().move_into(&mut ring);
            if moved == 0 && ring.submission().is_empty() {
                return true;
            }
            let result = ring.submit();
            self.count(|counters| {
                counters.operations += moved as u64;
                counters.submits += 1;
            });
            match result {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Out of memory for requests, or completions have to be reaped first.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY)) => {
                    return false;
                }
                Err(error) => {
                    panic!("io_uring refuses a submission that it has always taken: {error}")
                }
            }
        }
    }

    /// The reaping task: sleeps in glommio's reactor until the kernel signals completions.
    async fn reap_on_signal(self, signal: OwnedFd) {
        // SAFETY: the descriptor is owned and given away here; glommio closes it.
        let signal = unsafe { BufferedFile::from_raw_fd(signal.into_raw_fd()) };
        while !self.0.stopping.get() {
            // The eventfd is a counter of eight bytes; reading takes it back to zero.
            if let Err(error) = signal.read_at(0, 8).await {
                panic!("the eventfd of the ring cannot be read, no completion would ever be seen: {error}");
            }
            self.count(|counters| counters.wakes += 1);
            self.reap();
        }
        // Nothing depends on this close; the descriptor is gone either way.
        let _closed = signal.close().await;
    }

    /// Takes all completions there are and wakes who waits for them.
    fn reap(&self) {
        let mut wake = self.0.woken.take();
        loop {
            self.reap_into(&mut wake);
            // More completions than the queue holds (many sockets at once) wait in the kernel until they are asked for.
            let mut ring = self.0.ring.borrow_mut();
            if !ring.submission().cq_overflow() {
                break;
            }
            if let Err(error) = ring.submit()
                && !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::EINTR))
            {
                panic!("io_uring does not give its completions: {error}");
            }
        }
        wake.drain(..).for_each(Waker::wake);
        self.0.woken.set(wake);
        self.wake_stopper();
    }

    fn reap_into(&self, wake: &mut Vec<Waker>) {
        let mut ring = self.0.ring.borrow_mut();
        let mut operations = self.0.operations.borrow_mut();
        for completion in ring.completion() {
            let Some((key, part)) = Submission::parse(completion.user_data()) else { continue };
            let ended = operations.complete(key, Outcome { part, result: completion.result() });
            wake.extend(ended.waker);
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
    type Output = (Outcome, Held);

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
