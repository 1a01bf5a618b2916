//! The seam to the runtime of a shard: executor, tasks, timers, sockets. The only place of the node that names glommio.
//!
//! What must hold: a shard's tasks run on its own pinned thread and nowhere else. glommio starts and pins that thread; its
//! turn is that of [`direct::Executor`], which never gives way to glommio's own (decision 15): glommio 0.9 can park while
//! tasks are runnable, and its park is dear.
//! Does not do: disk I/O (that is `ringmain_storage::disk`).

mod priority;
mod socket;
mod ticks;

use std::{future::Future, sync::mpsc, time::Duration};

use glommio::{LocalExecutorBuilder, Placement, PoolPlacement};
use ringmain_storage::disk::direct::{self, Ring, RingError, RingOptions};

pub(crate) use priority::set_niceness;
pub(crate) use socket::{Listener, SEND_RANGES_MAX, Socket, bind, bind_again};
pub(crate) use ticks::{TickSource, Ticks};

/// The disk of a shard. A simulation of shards puts the disk that lies here.
pub(crate) type NodeDisk = ringmain_storage::disk::direct::DirectDisk;

/// Submission queue entries of glommio's own rings, which serve nothing here: as few as it takes.
const GLOMMIO_RING_DEPTH: usize = 16;

/// A running executor.
pub(crate) struct ExecutorHandle<T: Send + 'static>(glommio::ExecutorJoinHandle<Option<T>>);

impl<T: Send + 'static> ExecutorHandle<T> {
    /// Waits for the executor's main future.
    pub(crate) fn join(self) -> Result<T, String> {
        let ended = self.0.join().map_err(|error| error.to_string())?;
        Ok(ended.expect("a handle is given only for an executor that runs its main future"))
    }
}

/// Registers this process for expedited memory barriers. Call it first in `main`: glommio uses them before it sleeps,
/// and the registration is slow (9 ms or more) once there are many threads.
pub fn prepare_process() {
    const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    // SAFETY: membarrier takes plain integers; an unsupported command only returns an error, which costs speed alone.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) };
}

/// Why an executor cannot be started.
#[derive(Debug)]
pub(crate) enum ExecutorError {
    /// Its thread.
    Thread(String),
    /// Its ring.
    Ring(RingError),
}

/// Starts a pinned executor on `core` that runs the future of `main` to its end.
pub(crate) fn start_executor<F, Fut, T>(
    name: &str,
    core: usize,
    main: F,
) -> Result<ExecutorHandle<T>, ExecutorError>
where
    F: FnOnce(Ring) -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let (ready, readiness) = mpsc::channel();
    let handle = LocalExecutorBuilder::new(Placement::Fixed(core))
        .name(name)
        .io_memory(0)
        .ring_depth(GLOMMIO_RING_DEPTH)
        // At least one; it never has work.
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
        .spawn(move || async move {
            let executor = match direct::Executor::new(RingOptions::default()) {
                Ok(executor) => executor,
                Err(error) => {
                    ready.send(Err(error)).expect("the thread that started this one waits for it");
                    return None;
                }
            };
            ready.send(Ok(())).expect("the thread that started this one waits for it");
            let ring = executor.ring().clone();
            Some(executor.run(async move { main(ring).await }))
        })
        .map_err(|error| ExecutorError::Thread(error.to_string()))?;
    match readiness.recv() {
        Ok(Ok(())) => Ok(ExecutorHandle(handle)),
        Ok(Err(error)) => Err(ExecutorError::Ring(error)),
        // It has ended before it could say anything: for want of locked memory, most often.
        Err(mpsc::RecvError) => match handle.join() {
            Ok(_) => Err(ExecutorError::Thread("it ended at once".into())),
            Err(error) => Err(ExecutorError::Thread(error.to_string())),
        },
    }
}

/// Runs `future` on this shard beside the others.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    direct::spawn(future);
}

/// Runs what takes long beside the shard: directory listings, unlinking large files, decompressing large batches. A panic
/// there ends the process like any other.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    direct::run_blocking(work).await
}

/// Gives pages back to the system that the allocator keeps although nothing in them is in use. Blocks other threads that
/// allocate for a while: some milliseconds for a hundred megabytes.
pub(crate) fn give_freed_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no memory of ours; it may be called from any thread at any time.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Resolves after `duration`.
pub(crate) async fn sleep(duration: Duration) {
    direct::sleep(duration).await;
}

/// A timer that can be polled beside something else.
pub(crate) fn timer(duration: Duration) -> direct::Timer {
    direct::Timer::new(duration)
}

/// Lets other tasks and the kernel have a turn.
pub(crate) async fn yield_to_reactor() {
    direct::yield_turn().await;
}

/// Microseconds of the system's monotonic clock, by which other processes of this machine measure as well.
pub(crate) fn monotonic_us() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to a live value; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec) * 1_000_000 + part(time.tv_nsec) / 1_000
}

/// Milliseconds since the Unix epoch.
pub(crate) fn unix_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 is broken; time 0 keeps retention from eating live data.
    since_epoch.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
