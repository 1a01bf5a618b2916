//! The turn of a shard: its tasks, its timers, and the one place where its thread waits: the ring.
//!
//! A turn runs every task that is ready, gives the kernel what they submitted, takes the completions, and wakes who waits
//! for them; only when no task is ready does the same system call also wait. So a request costs one `io_uring_enter` for
//! each time that the shard would have slept anyway, and nothing else has to be told, armed or cancelled.
//!
//! What must hold:
//! - The thread waits only when no task is ready, with everything submitted, with the next timer as its limit, and after
//!   it has said so in the [`Bell`], by which other threads wake its tasks. No task is ever ready and forgotten.
//! - It looks for completions without sleeping only while one small write is under way, after a longer sleep, and for a bounded
//!   time: an idle shard costs nothing, a busy one lets requests gather.
//! - Tasks run on this thread alone; what is spawned need not be `Send`.
//!
//! Does not do: starting and pinning threads. It runs on the thread that calls it, inside or outside another runtime.

mod bell;
mod timers;

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    hint, mem,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::stream::{FuturesUnordered, Stream};

pub use self::timers::{Timer, sleep};
use self::{bell::Bell, timers::Timers};
use super::{
    blocking::BlockingThreads,
    ring::{Ring, RingError, RingOptions, Wait},
};

/// How long the thread looks for the end of a small write before it sleeps, if it slept for longer before. Waking a processor
/// that sleeps costs half as much as the write (measured: p50 at 1,000 messages a second 349 us with the sleep, 308 without).
/// A busy shard had better sleep: more gathers meanwhile.
const LOOK_OUT_TIME_MAX: Duration = Duration::from_micros(250);

type Task = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Shared>>> = const { RefCell::new(None) };
}

/// What tasks reach of the executor that runs them.
struct Shared {
    /// Not yet among the tasks.
    spawned: RefCell<Vec<Task>>,
    timers: RefCell<Timers>,
    /// Tasks that wait for the next turn.
    yielded: RefCell<Vec<Waker>>,
    blocking: BlockingThreads,
}

/// Runs the tasks of one thread.
pub struct Executor {
    ring: Ring,
    bell: Arc<Bell>,
    shared: Rc<Shared>,
    /// How long the thread was in the kernel when it last had nothing to do.
    last_sleep: Cell<Duration>,
}

impl Executor {
    /// Sets up the ring. The executor runs on the thread that calls this.
    pub fn new(options: RingOptions) -> Result<Executor, RingError> {
        let bell = Arc::new(Bell::new().map_err(RingError::from_setup)?);
        let ring = Ring::new(options, bell.descriptor().clone())?;
        let shared = Rc::new(Shared {
            spawned: RefCell::default(),
            timers: RefCell::default(),
            yielded: RefCell::default(),
            blocking: BlockingThreads::default(),
        });
        Ok(Executor { ring, bell, shared, last_sleep: Cell::default() })
    }

    /// The ring that its tasks use.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Runs `main`, and beside it what it spawns, until `main` has ended. Tasks that have not ended by then are left as
    /// they are: nothing of them runs any more, not even to be dropped.
    pub fn run<T: 'static>(self, main: impl Future<Output = T> + 'static) -> T {
        let installed = Installed::new(self.shared.clone());
        let result = Rc::new(Cell::new(None));
        let mut tasks = mem::ManuallyDrop::new(FuturesUnordered::<Task>::new());
        let answer = result.clone();
        tasks.push(Box::pin(async move { answer.set(Some(main.await)) }));
        let waker = Waker::from(self.bell.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            self.run_ready(&mut tasks, &mut context);
            if let Some(value) = result.take() {
                drop(installed);
                return value;
            }
            self.wait_or_go_on();
        }
    }

    /// Runs the tasks that are ready, each about once.
    fn run_ready(&self, tasks: &mut FuturesUnordered<Task>, context: &mut Context<'_>) {
        self.bell.silence();
        loop {
            tasks.extend(self.shared.spawned.borrow_mut().drain(..));
            match Pin::new(&mut *tasks).poll_next(context) {
                Poll::Ready(Some(())) => {}
                // All have ended; or none is ready; or, with the bell rung, each has had its turn.
                Poll::Ready(None) | Poll::Pending => {
                    if self.shared.spawned.borrow().is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Lets the kernel work, and waits for it if there is nothing else to do.
    fn wait_or_go_on(&self) {
        let until_next_timer = self.shared.timers.borrow_mut().wake_due(Instant::now());
        let was_idle = self.last_sleep.get() > LOOK_OUT_TIME_MAX;
        if was_idle && self.shared.yielded.borrow().is_empty() && self.ring.is_about_to_complete() {
            self.look_out(until_next_timer);
        }
        let is_idle = self.shared.yielded.borrow().is_empty() && self.bell.begin_wait();
        let began = Instant::now();
        self.ring.enter(if is_idle { Wait::ForCompletion { at_most: until_next_timer } } else { Wait::No });
        if is_idle {
            self.last_sleep.set(began.elapsed());
            // Before anything is woken here: this thread would write to the bell to wake itself.
            self.bell.end_wait();
        }
        self.ring.reap();
        self.shared.yielded.borrow_mut().drain(..).for_each(Waker::wake);
    }
}

impl Executor {
    /// Begins what was submitted, and looks for its end, or for anything else to do, without giving the processor away.
    fn look_out(&self, until_next_timer: Option<Duration>) {
        self.ring.enter(Wait::No);
        let at_most = until_next_timer.map_or(LOOK_OUT_TIME_MAX, |left| left.min(LOOK_OUT_TIME_MAX));
        let began = Instant::now();
        while !self.bell.has_rung() && !self.ring.has_completions() && began.elapsed() < at_most {
            hint::spin_loop();
        }
    }
}

/// Marks the thread as that of an executor.
struct Installed;

impl Installed {
    fn new(shared: Rc<Shared>) -> Installed {
        let before = CURRENT.replace(Some(shared));
        assert!(before.is_none(), "an executor inside another one would keep it from its tasks");
        Installed
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

fn if_current<R>(act: impl FnOnce(&Shared) -> R) -> Option<R> {
    CURRENT.with_borrow(|current| current.as_deref().map(act))
}

fn with_current<R>(act: impl FnOnce(&Shared) -> R) -> R {
    if_current(act).expect("called by a task of an executor")
}

/// Runs `future` beside the others of this executor, to its end.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    with_current(|shared| shared.spawned.borrow_mut().push(Box::pin(future)));
}

/// Lets all other tasks and the kernel have a turn.
pub async fn yield_turn() {
    let mut yielded = false;
    poll_fn(|context| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        with_current(|shared| shared.yielded.borrow_mut().push(context.waker().clone()));
        Poll::Pending
    })
    .await;
}

/// Runs what takes long on a thread of this executor's own, beside it. A panic there continues here.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let result = with_current(|shared| shared.blocking.run(work));
    result.await
}
