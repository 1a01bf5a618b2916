//! Timers of the tasks of one executor.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{if_current, with_current};

/// What is to be woken, and when; the numbers tell apart what is due at the same time.
#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<(Instant, u64), Waker>,
    next_number: u64,
}

impl Timers {
    /// Wakes what is due; returns how long it is until the next one.
    pub(super) fn wake_due(&mut self, now: Instant) -> Option<Duration> {
        while let Some(first) = self.waiting.first_entry() {
            let left = first.key().0.saturating_duration_since(now);
            if !left.is_zero() {
                return Some(left);
            }
            first.remove().wake();
        }
        None
    }

    fn insert(&mut self, deadline: Instant, waker: Waker) -> u64 {
        self.next_number += 1;
        self.waiting.insert((deadline, self.next_number), waker);
        self.next_number
    }
}

/// Resolves after a duration. Dropped before that it leaves nothing behind.
#[must_use = "a timer that nobody waits for does nothing"]
pub struct Timer {
    deadline: Instant,
    /// Its number among the executor's timers while it waits.
    number: Option<u64>,
}

impl Timer {
    /// A timer that starts now.
    pub fn new(duration: Duration) -> Timer {
        const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let now = Instant::now();
        Timer { deadline: now.checked_add(duration).unwrap_or_else(|| now + FAR), number: None }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(number) = self.number else {
            if self.deadline <= Instant::now() {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            let deadline = self.deadline;
            self.number = Some(with_current(|shared| shared.timers.borrow_mut().insert(deadline, waker)));
            return Poll::Pending;
        };
        with_current(|shared| match shared.timers.borrow_mut().waiting.get_mut(&(self.deadline, number)) {
            Some(waker) => {
                waker.clone_from(context.waker());
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        // Without an executor there is nothing left that could fire.
        if_current(|shared| shared.timers.borrow_mut().waiting.remove(&(self.deadline, number)));
    }
}

/// Resolves after `duration`.
pub async fn sleep(duration: Duration) {
    Timer::new(duration).await;
}
