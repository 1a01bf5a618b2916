//! Wakes every executor from outside, a few times each 10 ms.
//!
//! glommio 0.9's run loop returns "nothing to do" when it is preempted, and then parks although tasks are runnable. A
//! timer inside the executor does not help, since it can be among those tasks. A wake from another thread does: it costs
//! a running executor nothing (the eventfd is written only while it is parked).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    thread::JoinHandle,
    time::Duration,
};

/// Longest time that an executor stays parked with runnable tasks. 5 ms cost 0.8 % of an idle core.
const PERIOD: Duration = Duration::from_millis(5);

/// The thread and the executors that it wakes.
#[derive(Clone, Default)]
pub(crate) struct Kicker {
    wakers: Arc<Mutex<Vec<(u64, Waker)>>>,
    next: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
}

impl Kicker {
    /// Starts the thread. It ends after [`Kicker::stop`].
    pub(crate) fn start(&self) -> std::io::Result<JoinHandle<()>> {
        let kicker = self.clone();
        std::thread::Builder::new().name("kicker".into()).spawn(move || {
            while !kicker.stopping.load(Ordering::Relaxed) {
                std::thread::sleep(PERIOD);
                for (_, waker) in kicker.lock().iter() {
                    waker.wake_by_ref();
                }
            }
        })
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.lock().clear();
    }

    /// Call once inside each executor, and hold what it returns as long as the executor runs: wakes of one that has
    /// ended pile up at it until its task's reference count overflows.
    #[must_use]
    pub(super) fn register_this_executor(&self) -> Registration {
        let kicker = self.clone();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut registered = false;
        let never_ends = std::future::poll_fn(move |context| {
            if !registered {
                registered = true;
                kicker.lock().push((number, context.waker().clone()));
            }
            Poll::<()>::Pending
        });
        glommio::spawn_local(never_ends).detach();
        Registration { kicker: self.clone(), number }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Waker)>> {
        self.wakers.lock().expect("a panic aborts the process, so the lock is never poisoned")
    }
}

/// An executor that is woken; taken out when dropped.
pub(super) struct Registration {
    kicker: Kicker,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.kicker.lock().retain(|(number, _)| *number != self.number);
    }
}
