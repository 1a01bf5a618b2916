//! Answers of one connection, kept in the order of their requests while they become ready in any order.
//!
//! What must hold: answers leave in request order; each [`Slot`] is filled exactly once (dropping one unfilled closes the
//! connection, so that a client never waits for an answer that cannot come); requests in flight and their bytes are
//! bounded by the reader, which asks [`ResponseQueue::has_room`] before it takes the next request.
//! Does not do: sockets.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use super::response::{Asked, Response};

/// Requests of one connection that may be under way at once. Kafka's clients keep 5 by default; librdkafka can pipeline
/// many more, and each costs a slot here.
const REQUESTS_IN_FLIGHT_MAX: usize = 256;
/// Places that an idle connection keeps the memory of: more than nearly all clients pipeline.
const ENTRIES_KEPT_MAX: usize = 64;
/// Request bytes of one connection that may be under way at once, beyond its first request.
const REQUEST_BYTES_IN_FLIGHT_MAX: usize = 16 << 20;

struct Entry {
    request_bytes: usize,
    /// `None` where it is no request that is served.
    asked: Option<Asked>,
    /// Once it is known.
    response: Option<Response>,
}

#[derive(Default)]
struct State {
    /// Oldest request first.
    entries: VecDeque<Entry>,
    /// Number of the oldest entry.
    first: u64,
    request_bytes: usize,
    /// The writer has taken answers and not come back for more.
    sending: bool,
    closed: bool,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

/// The answers of one connection.
#[derive(Clone, Default)]
pub(crate) struct ResponseQueue(Rc<RefCell<State>>);

/// The place of one answer.
pub(crate) struct Slot {
    queue: ResponseQueue,
    number: u64,
    filled: bool,
}

impl ResponseQueue {
    /// Takes the next place, for a request of `request_bytes`.
    pub(crate) fn push(&self, request_bytes: usize, asked: Option<Asked>) -> Slot {
        let mut state = self.0.borrow_mut();
        let number = state.first + state.entries.len() as u64;
        state.entries.push_back(Entry { request_bytes, asked, response: None });
        state.request_bytes += request_bytes;
        Slot { queue: self.clone(), number, filled: false }
    }

    /// Whether another request may be taken.
    fn has_room(state: &State) -> bool {
        state.entries.is_empty()
            || (state.entries.len() < REQUESTS_IN_FLIGHT_MAX
                && state.request_bytes < REQUEST_BYTES_IN_FLIGHT_MAX)
    }

    /// Waits until another request may be taken, or the connection closed.
    pub(crate) async fn room(&self) {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if state.closed || Self::has_room(&state) {
                return Poll::Ready(());
            }
            state.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether no request is under way and everything was sent.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.0.borrow();
        state.entries.is_empty() && !state.sending
    }

    /// Whether the writer is at work.
    pub(crate) fn is_sending(&self) -> bool {
        self.0.borrow().sending
    }

    /// Waits until every answer was sent, or the connection closed.
    pub(crate) async fn idle(&self) {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if state.closed || (state.entries.is_empty() && !state.sending) {
                return Poll::Ready(());
            }
            state.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Ends the queue: the writer sends nothing more.
    pub(crate) fn close(&self) {
        let mut state = self.0.borrow_mut();
        state.closed = true;
        let (writer, reader) = (state.writer.take(), state.reader.take());
        drop(state);
        [writer, reader].into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether [`ResponseQueue::close`] was called or a slot was dropped unfilled.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.borrow().closed
    }

    /// Waits for answers that may be sent. False: the queue is closed.
    pub(crate) async fn ready(&self) -> bool {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if state.closed {
                return Poll::Ready(false);
            }
            state.sending = state.entries.front().is_some_and(|entry| entry.response.is_some());
            if state.sending {
                return Poll::Ready(true);
            }
            state.writer = Some(context.waker().clone());
            if state.entries.is_empty() && state.entries.capacity() > ENTRIES_KEPT_MAX {
                state.entries = VecDeque::new();
            }
            // It may have waited for everything to be sent.
            let reader = if Self::has_room(&state) { state.reader.take() } else { None };
            drop(state);
            reader.into_iter().for_each(Waker::wake);
            Poll::Pending
        })
        .await
    }

    /// Moves the answers that may be sent to `ready`.
    pub(crate) fn take_ready(&self, ready: &mut Vec<Response>) {
        let mut state = self.0.borrow_mut();
        while let Some(Entry { request_bytes, asked, response: Some(response) }) =
            state.entries.pop_front_if(|entry| entry.response.is_some())
        {
            state.first += 1;
            state.request_bytes -= request_bytes;
            ready.push(Response { asked, ..response });
        }
        let reader = if Self::has_room(&state) { state.reader.take() } else { None };
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }

    fn fill(&self, number: u64, response: Response) {
        let mut state = self.0.borrow_mut();
        if state.closed {
            return;
        }
        let index = usize::try_from(number - state.first).expect("a queue is shorter than the address space");
        let entry = &mut state.entries[index];
        assert!(entry.response.is_none(), "a slot is consumed when it is filled");
        entry.response = Some(response);
        let writer = if index == 0 { state.writer.take() } else { None };
        drop(state);
        writer.into_iter().for_each(Waker::wake);
    }
}

impl Slot {
    /// Gives the answer.
    pub(crate) fn fill(mut self, response: Response) {
        self.filled = true;
        self.queue.fill(self.number, response);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.filled {
            self.queue.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;

    use super::*;

    fn response(text: &'static str) -> Response {
        Response::memory(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn answers_leave_in_request_order() {
        let queue = ResponseQueue::default();
        let (first, second) = (queue.push(10, None), queue.push(10, None));
        second.fill(response("second"));
        let mut ready = Vec::new();
        assert!(queue.ready().now_or_never().is_none());
        first.fill(response("first"));
        assert_eq!(queue.ready().now_or_never(), Some(true));
        queue.take_ready(&mut ready);
        let sent: Vec<_> = ready.iter().map(Response::length).collect();
        assert_eq!(sent, ["first".len(), "second".len()]);
        assert!(!queue.is_idle(), "the writer has taken them, not sent them");
        ready.clear();
        assert!(queue.ready().now_or_never().is_none());
        assert!(queue.is_idle());
    }

    #[test]
    fn the_reader_waits_while_too_many_bytes_are_under_way() {
        let queue = ResponseQueue::default();
        assert!(queue.room().now_or_never().is_some());
        let slot = queue.push(REQUEST_BYTES_IN_FLIGHT_MAX, None);
        assert!(queue.room().now_or_never().is_none());
        slot.fill(response("done"));
        let mut ready = Vec::new();
        assert_eq!(queue.ready().now_or_never(), Some(true));
        queue.take_ready(&mut ready);
        assert!(queue.room().now_or_never().is_some());
    }

    #[test]
    fn an_answer_that_cannot_come_closes_the_connection() {
        let queue = ResponseQueue::default();
        drop(queue.push(1, None));
        assert_eq!(queue.ready().now_or_never(), Some(false));
    }
}
