//! The seam to the runtime of a shard: executor, tasks, timers, sockets. The only place of the node that names glommio.
//!
//! What must hold: a shard's tasks run on its own pinned thread and nowhere else; every executor is registered with the
//! [`Kicker`], because glommio 0.9 can park while tasks are runnable.
//! Does not do: disk I/O (that is `ringmain_storage::disk`).

mod kicker;
mod socket;
mod ticks;

use std::{future::Future, time::Duration};

use glommio::{LocalExecutorBuilder, Placement, PoolPlacement};

pub(crate) use kicker::Kicker;
pub(crate) use socket::{Listener, SEND_RANGES_MAX, Socket, bind, bind_again};
pub(crate) use ticks::{TickSource, Ticks};

/// The disk of a shard. A simulation of shards puts the disk that lies here.
pub(crate) type NodeDisk = ringmain_storage::disk::direct::DirectDisk;

/// Threads of a shard's pool for what would hold up the shard: directory listings, unlinking large files, decompressing
/// large batches. Two, so that one of the latter does not hold up the former.
const BLOCKING_THREADS: usize = 2;
/// Submission queue entries of an executor's own rings. Disk and socket readiness go through the companion ring, so few
/// are needed; a ring of this depth costs little locked memory.
const RING_DEPTH: usize = 64;

/// A running executor.
pub(crate) struct ExecutorHandle<T: Send + 'static>(glommio::ExecutorJoinHandle<T>);

impl<T: Send + 'static> ExecutorHandle<T> {
    /// Waits for the executor's main future.
    pub(crate) fn join(self) -> Result<T, String> {
        self.0.join().map_err(|error| error.to_string())
    }
}

/// Registers this process for expedited memory barriers. Call it first in `main`: glommio uses them before it sleeps,
/// and the registration is slow (9 ms or more) once there are many threads.
pub fn prepare_process() {
    const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    // SAFETY: membarrier takes plain integers; an unsupported command only returns an error, which costs speed alone.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) };
}

/// Starts a pinned executor on `core` that runs the future of `main` to its end.
pub(crate) fn start_executor<F, Fut, T>(
    name: &str,
    core: Option<usize>,
    kicker: &Kicker,
    main: F,
) -> Result<ExecutorHandle<T>, String>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let placement = core.map_or(Placement::Unbound, Placement::Fixed);
    let kicker = kicker.clone();
    LocalExecutorBuilder::new(placement)
        .name(name)
        .io_memory(0)
        .ring_depth(RING_DEPTH)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS))
        .spawn(move || async move {
            let _woken = kicker.register_this_executor();
            main().await
        })
        .map(ExecutorHandle)
        .map_err(|error| error.to_string())
}

/// Runs `future` on this shard beside the others.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(future).detach();
}

/// Runs what takes long beside the shard, on a thread of its pool. A panic there ends the process like any other.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    glommio::executor().spawn_blocking(work).await
}

/// Resolves after `duration`.
pub(crate) async fn sleep(duration: Duration) {
    glommio::timer::sleep(duration).await;
}

/// A timer that can be polled beside something else.
pub(crate) fn timer(duration: Duration) -> impl Future<Output = ()> + Unpin {
    struct Sleep(glommio::timer::Timer);
    impl Future for Sleep {
        type Output = ();
        fn poll(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<()> {
            std::pin::Pin::new(&mut self.0).poll(context).map(|_| ())
        }
    }
    Sleep(glommio::timer::Timer::new(duration))
}

/// Lets other tasks and the reactor run. A zero timer would not yield at all, and yielding to tasks alone starves I/O
/// completions, so this waits for the next turn of the reactor.
pub(crate) async fn yield_to_reactor() {
    sleep(Duration::from_micros(3)).await;
}

/// Milliseconds since the Unix epoch.
pub(crate) fn unix_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 is broken; time 0 keeps retention from eating live data.
    since_epoch.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
