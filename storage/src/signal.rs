//! Waiting inside one shard: a task sleeps until a condition holds, a lock that is held across awaits, giving way.
//!
//! Single-threaded, no allocation where nobody waits, no runtime: a wake-up goes to the waker the task gave.
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

/// Tasks that wait for a condition somebody else changes.
#[derive(Default)]
pub(crate) struct Signal {
    waiting: RefCell<Vec<Waker>>,
}

impl Signal {
    /// Lets every waiting task look at its condition again.
    pub(crate) fn notify(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        let waiting = core::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Resolves when `ready` says so; asks at once and after each [`Signal::notify`].
    pub(crate) async fn until(&self, mut ready: impl FnMut() -> bool) {
        poll_fn(|context| {
            if ready() {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|known| known.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// Lets the other tasks of the shard have a turn, and the kernel.
pub(crate) async fn give_way() {
    let mut has_waited = false;
    poll_fn(|context| {
        if core::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A lock that may be held across awaits. Clones share it. Who waits for it gets it in order, before whoever only tries: rounds
/// that follow each other without a gap would keep others from it for as long as the load lasts.
#[derive(Clone, Default)]
pub(crate) struct Lock(Rc<LockState>);

#[derive(Default)]
struct LockState {
    held: Cell<bool>,
    /// How often it was released.
    releases: Cell<u64>,
    released: Signal,
    /// Tickets of those who wait for it, the oldest first.
    waiting: RefCell<VecDeque<u64>>,
    next_ticket: Cell<u64>,
}

impl Lock {
    /// Waits for its turn.
    pub(crate) async fn acquire(&self) -> LockGuard {
        if let Some(guard) = self.try_acquire() {
            return guard;
        }
        let place = PlaceInLine::last(&self.0);
        self.0.released.until(|| !self.0.held.get() && place.is_first()).await;
        self.0.held.set(true);
        drop(place);
        LockGuard(self.0.clone())
    }

    /// Takes it if nobody holds it or waits for it.
    pub(crate) fn try_acquire(&self) -> Option<LockGuard> {
        self.is_free().then(|| {
            self.0.held.set(true);
            LockGuard(self.0.clone())
        })
    }

    /// Takes it if nobody holds it, whoever waits for it.
    pub(crate) fn take_before_others(&self) -> Option<LockGuard> {
        (!self.0.held.replace(true)).then(|| LockGuard(self.0.clone()))
    }

    /// Whether nobody holds it or waits for it.
    fn is_free(&self) -> bool {
        !self.0.held.get() && self.0.waiting.borrow().is_empty()
    }

    /// Resolves when nobody holds it.
    pub(crate) async fn free(&self) {
        self.0.released.until(|| !self.0.held.get()).await;
    }

    /// Resolves at once when nobody holds it, else when whoever holds it now has released it; the next may hold it then.
    pub(crate) async fn released(&self) {
        let releases = self.0.releases.get();
        self.0.released.until(|| !self.0.held.get() || self.0.releases.get() != releases).await;
    }

    /// How often it was released so far.
    pub(crate) fn releases(&self) -> u64 {
        self.0.releases.get()
    }

    /// Whether somebody holds it.
    pub(crate) fn is_held(&self) -> bool {
        self.0.held.get()
    }
}

/// Leaves the line when dropped, served or not: whoever comes next looks again.
struct PlaceInLine<'a> {
    lock: &'a LockState,
    ticket: u64,
}

impl PlaceInLine<'_> {
    fn last(lock: &LockState) -> PlaceInLine<'_> {
        let ticket = lock.next_ticket.get();
        lock.next_ticket.set(ticket + 1);
        lock.waiting.borrow_mut().push_back(ticket);
        PlaceInLine { lock, ticket }
    }

    fn is_first(&self) -> bool {
        self.lock.waiting.borrow().front() == Some(&self.ticket)
    }
}

impl Drop for PlaceInLine<'_> {
    fn drop(&mut self) {
        self.lock.waiting.borrow_mut().retain(|waiting| *waiting != self.ticket);
        self.lock.released.notify();
    }
}

/// Releases its lock when dropped.
pub(crate) struct LockGuard(Rc<LockState>);

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.0.held.set(false);
        self.0.releases.set(self.0.releases.get() + 1);
        self.0.released.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use core::future::Future;
    use core::task::Context;

    #[test]
    fn a_lock_passes_to_the_next_when_its_guard_goes() {
        let lock = Lock::default();
        let guard = lock.try_acquire().expect("nobody holds it");
        let mut next = Box::pin(lock.acquire());
        let mut context = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending());
        let mut release = Box::pin(lock.released());
        assert!(release.as_mut().poll(&mut context).is_pending());
        drop(guard);
        assert!(next.as_mut().poll(&mut context).is_ready());
        assert!(release.as_mut().poll(&mut context).is_ready(), "although the next one holds it already");
    }

    #[test]
    fn who_waits_comes_before_who_tries_and_in_order() {
        let lock = Lock::default();
        let mut context = Context::from_waker(Waker::noop());
        let guard = lock.try_acquire().expect("nobody holds it");
        let [mut first, mut second, mut third] = core::array::from_fn(|_| Box::pin(lock.acquire()));
        for waiting in [&mut first, &mut second, &mut third] {
            assert!(waiting.as_mut().poll(&mut context).is_pending());
        }
        drop(guard);
        assert!(lock.try_acquire().is_none() && !lock.is_free(), "others wait");
        assert!(second.as_mut().poll(&mut context).is_pending(), "it is not its turn");
        drop(first);
        assert!(third.as_mut().poll(&mut context).is_pending(), "it is not its turn");
        let Poll::Ready(guard) = second.as_mut().poll(&mut context) else { panic!("it is its turn") };
        drop((guard, third));
        assert!(lock.try_acquire().is_some(), "nobody waits any more");
    }
}
