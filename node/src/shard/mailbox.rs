//! Messages between shards: a job that runs on the core that owns the data, and its answer back.
//!
//! What must hold: jobs from one shard to another run in the order they were sent; each origin has at most
//! [`CALLS_IN_FLIGHT_MAX`] calls under way to a target, which bounds the queue; replies take no credit, so two shards that
//! call each other cannot block each other.

use std::{
    cell::Cell, cell::RefCell, collections::VecDeque, future::poll_fn, rc::Rc, task::Poll, task::Waker,
};

use futures_channel::mpsc;

use super::Shard;

/// Calls that one shard may have under way to another. A call carries at most one request; deeper queues only add delay.
const CALLS_IN_FLIGHT_MAX: usize = 1024;

/// Runs on the target's thread.
pub(crate) type Job = Box<dyn FnOnce(&Rc<Shard>) + Send>;

/// Where jobs for one shard arrive.
pub(crate) type Inbox = mpsc::UnboundedReceiver<Job>;

/// Sends jobs to one shard. Cloned to each shard before they start.
#[derive(Clone)]
pub(crate) struct Mailbox(mpsc::UnboundedSender<Job>);

/// A mailbox and its inbox.
pub(crate) fn mailbox() -> (Mailbox, Inbox) {
    let (sender, receiver) = mpsc::unbounded();
    (Mailbox(sender), receiver)
}

impl Mailbox {
    /// Sends a job. Callers hold a [`Credit`], or answer a call of the target, or are the node's own control.
    pub(crate) fn send(&self, job: Job) {
        // The only failure is that the target has ended, which happens when the node stops: nobody waits any more.
        if self.0.unbounded_send(job).is_err() {
            tracing::debug!("a job arrived after its shard had stopped");
        }
    }
}

/// Bounds the calls of one shard to one other.
#[derive(Default)]
pub(crate) struct Credits {
    in_flight: Cell<usize>,
    waiting: RefCell<VecDeque<Waker>>,
}

/// The right to one call; given back when dropped.
pub(crate) struct Credit(Rc<Credits>);

impl Credits {
    /// Waits for a place.
    pub(crate) async fn take(self: &Rc<Self>) -> Credit {
        poll_fn(|context| {
            if self.in_flight.get() < CALLS_IN_FLIGHT_MAX {
                self.in_flight.set(self.in_flight.get() + 1);
                return Poll::Ready(Credit(self.clone()));
            }
            self.waiting.borrow_mut().push_back(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        if let Some(waiting) = self.0.waiting.borrow_mut().pop_front() {
            waiting.wake();
        }
    }
}
