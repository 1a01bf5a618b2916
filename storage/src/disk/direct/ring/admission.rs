//! Who may begin a disk operation: a bounded number at once, the others in the order in which they came.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    task::{Poll, Waker},
};

pub(super) struct Admission {
    places: usize,
    taken: Cell<usize>,
    /// How often one was given back.
    left: Cell<u64>,
    next_ticket: Cell<u64>,
    /// By ticket, so that the oldest is first.
    waiting: RefCell<BTreeMap<u64, Waker>>,
}

impl Admission {
    pub(super) fn new(places: usize) -> Admission {
        assert!(places > 0, "without a place nothing would ever begin");
        Admission {
            places,
            taken: Cell::new(0),
            left: Cell::new(0),
            next_ticket: Cell::new(0),
            waiting: RefCell::default(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.taken.get() >= self.places
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.taken.get() == 0
    }

    /// Takes a place, which [`Admission::leave`] gives back.
    pub(super) async fn enter(&self) {
        if !self.is_full() {
            self.taken.set(self.taken.get() + 1);
            return;
        }
        let ticket = self.next_ticket.get();
        self.next_ticket.set(ticket + 1);
        let place_in_line = PlaceInLine { admission: self, ticket };
        poll_fn(|context| {
            if self.is_full() {
                self.waiting.borrow_mut().insert(ticket, context.waker().clone());
                return Poll::Pending;
            }
            self.taken.set(self.taken.get() + 1);
            Poll::Ready(())
        })
        .await;
        drop(place_in_line);
    }

    /// Places that were given back so far.
    pub(super) fn left(&self) -> u64 {
        self.left.get()
    }

    pub(super) fn leave(&self) {
        self.taken.set(self.taken.get() - 1);
        self.left.set(self.left.get() + 1);
        self.wake_oldest();
    }

    fn wake_oldest(&self) {
        if self.is_full() {
            return;
        }
        if let Some((_ticket, waker)) = self.waiting.borrow_mut().pop_first() {
            waker.wake();
        }
    }
}

/// Somebody who stops waiting may have been woken already: then the place is for the next one.
struct PlaceInLine<'a> {
    admission: &'a Admission,
    ticket: u64,
}

impl Drop for PlaceInLine<'_> {
    fn drop(&mut self) {
        self.admission.waiting.borrow_mut().remove(&self.ticket);
        self.admission.wake_oldest();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context};

    use super::*;

    #[test]
    fn one_who_gives_up_passes_the_place_on() {
        let admission = Admission::new(1);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(admission.enter()).poll(&mut context).is_ready());
        let mut second = Box::pin(admission.enter());
        let mut third = pin!(admission.enter());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        admission.leave();
        drop(second);
        assert!(admission.waiting.borrow().is_empty(), "the third one was woken");
        assert!(third.poll(&mut context).is_ready());
        assert!(admission.is_full());
        assert_eq!(admission.left(), 1);
    }
}
