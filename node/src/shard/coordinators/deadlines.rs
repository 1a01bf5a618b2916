//! When the coordinators of a shard want to be told that time passed: the earliest of all of them, kept in order.
//!
//! What must hold: setting a deadline costs a look-up among the partitions of the shard, never one among groups; the one
//! task that waits is woken only when the earliest deadline comes nearer.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// Deadlines by partition of the offsets topic.
#[derive(Default)]
pub(super) struct Deadlines(RefCell<State>);

#[derive(Default)]
struct State {
    by_partition: BTreeMap<i32, i64>,
    in_order: BTreeSet<(i64, i32)>,
    /// What the task that waits believes to be the earliest.
    awaited_ms: Option<i64>,
    waiting: Option<Waker>,
}

impl Deadlines {
    /// A partition's next deadline; `None` if it has none.
    pub(super) fn set(&self, partition: i32, deadline_ms: Option<i64>) {
        let mut state = self.0.borrow_mut();
        let before = match deadline_ms {
            Some(deadline_ms) => state.by_partition.insert(partition, deadline_ms),
            None => state.by_partition.remove(&partition),
        };
        if before == deadline_ms {
            return;
        }
        if let Some(before) = before {
            state.in_order.remove(&(before, partition));
        }
        if let Some(deadline_ms) = deadline_ms {
            state.in_order.insert((deadline_ms, partition));
        }
        if is_earlier(state.earliest_ms(), state.awaited_ms)
            && let Some(waiting) = state.waiting.take()
        {
            waiting.wake();
        }
    }

    /// The partitions whose deadline has come.
    pub(super) fn due(&self, now_ms: i64) -> Vec<i32> {
        let state = self.0.borrow();
        let due = state.in_order.iter().take_while(|(deadline_ms, _)| *deadline_ms <= now_ms);
        due.map(|(_, partition)| *partition).collect()
    }

    /// When the next one comes.
    pub(super) fn earliest_ms(&self) -> Option<i64> {
        self.0.borrow().earliest_ms()
    }

    /// Waits for the end of `timer`, which was set for `awaited_ms`, or for an earlier deadline.
    pub(super) fn poll_wait(
        &self,
        awaited_ms: Option<i64>,
        timer: Option<Pin<&mut (impl Future<Output = ()> + ?Sized)>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if let Some(timer) = timer
            && timer.poll(context).is_ready()
        {
            return Poll::Ready(());
        }
        let mut state = self.0.borrow_mut();
        if is_earlier(state.earliest_ms(), awaited_ms) {
            return Poll::Ready(());
        }
        state.awaited_ms = awaited_ms;
        state.waiting = Some(context.waker().clone());
        Poll::Pending
    }

    /// Wakes the task that waits, so that it sees that the shard stops.
    pub(super) fn wake(&self) {
        if let Some(waiting) = self.0.borrow_mut().waiting.take() {
            waiting.wake();
        }
    }
}

impl State {
    fn earliest_ms(&self) -> Option<i64> {
        self.in_order.first().map(|(deadline_ms, _)| *deadline_ms)
    }
}

/// No deadline is later than any.
fn is_earlier(deadline_ms: Option<i64>, than_ms: Option<i64>) -> bool {
    match (deadline_ms, than_ms) {
        (Some(deadline_ms), Some(than_ms)) => deadline_ms < than_ms,
        (deadline_ms, None) => deadline_ms.is_some(),
        (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_told_and_due_partitions_in_order() {
        let deadlines = Deadlines::default();
        assert_eq!(deadlines.earliest_ms(), None);
        deadlines.set(3, Some(30));
        deadlines.set(1, Some(10));
        deadlines.set(2, Some(20));
        assert_eq!(deadlines.due(20), [1, 2]);
        deadlines.set(1, Some(40));
        deadlines.set(2, None);
        assert_eq!(deadlines.due(30), [3]);
        assert_eq!(deadlines.earliest_ms(), Some(30));
        deadlines.set(3, None);
        assert_eq!(deadlines.due(i64::MAX), [1]);
    }

    #[test]
    fn only_an_earlier_deadline_wakes() {
        let deadlines = Deadlines::default();
        deadlines.set(1, Some(50));
        let (waker, woken) = counting_waker();
        let mut context = Context::from_waker(&waker);
        let mut wait =
            |awaited| deadlines.poll_wait(awaited, Some(Pin::new(&mut std::future::pending())), &mut context);
        assert_eq!(wait(Some(50)), Poll::Pending);
        deadlines.set(1, Some(60));
        deadlines.set(2, Some(70));
        assert_eq!(woken.load(std::sync::atomic::Ordering::Relaxed), 0);
        deadlines.set(2, Some(40));
        assert_eq!(woken.load(std::sync::atomic::Ordering::Relaxed), 1);
        assert_eq!(wait(Some(50)), Poll::Ready(()));
        assert_eq!(wait(Some(40)), Poll::Pending);
    }

    fn counting_waker() -> (Waker, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
        struct Counting(std::sync::Arc<std::sync::atomic::AtomicUsize>);
        impl std::task::Wake for Counting {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let woken = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
        (Waker::from(std::sync::Arc::new(Counting(woken.clone()))), woken)
    }
}
