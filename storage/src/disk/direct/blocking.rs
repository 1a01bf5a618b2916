//! Threads for what blocks: names and lengths of files, and what the node has of that kind.
//!
//! What must hold: they run on any core that the process may use, not on the one that their executor is pinned to, which
//! they would hold up; a panic in the work continues in the task that waits for it.
#![expect(unsafe_code, reason = "takes the affinity of the process's main thread")]

use std::{
    cell::OnceCell,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use futures_channel::oneshot;

pub(super) use super::executor::run_blocking as blocking;

/// Flushes of folders wait for the device, not for a processor: a topic of a thousand partitions makes two thousand of them.
/// What takes a second (the last link of a large file) leaves threads for what takes a millisecond.
const THREADS: usize = 8;

type Work = Box<dyn FnOnce() + Send>;

/// The threads of one executor; started when the first work comes.
#[derive(Default)]
pub(super) struct BlockingThreads {
    queue: OnceCell<mpsc::Sender<Work>>,
}

impl BlockingThreads {
    /// Runs `work` on one of the threads.
    pub(super) fn run<T, W>(&self, work: W) -> impl Future<Output = T> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let work = move || {
            // Whoever gave the work may have been dropped meanwhile: nobody needs the value then.
            drop(sender.send(catch_unwind(AssertUnwindSafe(work))));
        };
        self.queue.get_or_init(start).send(Box::new(work)).expect("the threads end with the queue");
        async move {
            let result = receiver.await.expect("a thread runs all that it takes");
            result.unwrap_or_else(|panic| resume_unwind(panic))
        }
    }
}

fn start() -> mpsc::Sender<Work> {
    let (sender, receiver) = mpsc::channel::<Work>();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..THREADS {
        let receiver = receiver.clone();
        let serve = move || {
            leave_the_core();
            loop {
                let next = receiver.lock().expect("nothing panics with the lock").recv();
                let Ok(work) = next else { return };
                work();
            }
        };
        let thread = thread::Builder::new().name("blocking".into()).spawn(serve);
        drop(thread.expect("a thread can be started: the limits of the process allow the executor's own"));
    }
    sender
}

/// Takes the cores of the main thread, which nobody pins. Where that is refused, it stays on the core of its executor.
fn leave_the_core() {
    // SAFETY: an all-zero set is an empty one; the kernel reads and writes at most the size given.
    unsafe {
        let mut cores: libc::cpu_set_t = mem::zeroed();
        if libc::sched_getaffinity(libc::getpid(), mem::size_of_val(&cores), &raw mut cores) == 0 {
            libc::sched_setaffinity(0, mem::size_of_val(&cores), &raw const cores);
        }
    }
}
