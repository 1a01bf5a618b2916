//! Wakes one task of this shard.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
};

/// One task waits; anybody wakes it. A wake before the wait is not lost.
#[derive(Default)]
pub(super) struct Signal {
    is_set: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Signal {
    pub(super) fn set(&self) {
        self.is_set.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Waits until it was set since the last wait.
    pub(super) async fn wait(&self) {
        poll_fn(|context| {
            if self.is_set.take() {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
