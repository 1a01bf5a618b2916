//! Answers of one connection between its queue and the kernel: small ones copied together, large ones where they are.
//!
//! What must hold: bytes leave in the order in which they were added; between two sends nothing of a connection's answers
//! stays here, so that the same few of these serve all connections of a shard.
//! Does not do: the socket (`connection.rs`).

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

use super::response::{Asked, Response};
use crate::runtime::Ticks;

/// An answer up to this size is copied beside the others: that costs less than a range of its own in the system call.
const COPIED_BYTES_MAX: usize = 512;
/// Sets kept. More connections than this rarely send within the same turn.
const KEPT_MAX: usize = 32;
/// Memory for copies that a set is kept with.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// What one connection is about to send.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Taken from the queue.
    pub(super) responses: Vec<Response>,
    /// When answers for batches were known, and for how many.
    pub(super) produced: Vec<(Ticks, usize)>,
    /// What the answers are to.
    pub(super) asked: Vec<Asked>,
    pub(super) pieces: Pieces,
}

/// Memory to send, in order.
#[derive(Default)]
pub(super) struct Pieces {
    complete: Vec<Bytes>,
    /// Small answers since the last complete piece.
    copied: BytesMut,
}

impl Pieces {
    /// Adds bytes, where they are or copied.
    pub(super) fn add(&mut self, bytes: Bytes) {
        if bytes.len() <= COPIED_BYTES_MAX {
            self.copied.extend_from_slice(&bytes);
        } else {
            self.end_copies();
            self.complete.push(bytes);
        }
    }

    /// Where to write a small answer.
    pub(super) fn copies(&mut self) -> &mut BytesMut {
        &mut self.copied
    }

    /// All that was added; whoever has sent it empties it.
    pub(super) fn all(&mut self) -> &mut Vec<Bytes> {
        self.end_copies();
        &mut self.complete
    }

    fn end_copies(&mut self) {
        if !self.copied.is_empty() {
            self.complete.push(self.copied.split().freeze());
        }
    }
}

/// The sets of one shard that are not in use.
#[derive(Default)]
pub(crate) struct OutgoingPool(RefCell<Vec<Outgoing>>);

impl OutgoingPool {
    /// The set used last, since it is likely still in the cache; or a new one without memory.
    pub(super) fn take(&self) -> Outgoing {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a set back after a send that came to its end. One that was left half-way is dropped instead.
    pub(super) fn put(&self, outgoing: Outgoing) {
        let Pieces { complete, copied } = &outgoing.pieces;
        assert!(
            outgoing.responses.is_empty()
                && outgoing.produced.is_empty()
                && outgoing.asked.is_empty()
                && complete.is_empty()
                && copied.is_empty(),
            "one client's answers would go to another"
        );
        let mut kept = self.0.borrow_mut();
        if kept.len() < KEPT_MAX && copied.capacity() <= KEPT_BYTES_MAX {
            kept.push(outgoing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_answers_are_copied_together_and_order_is_kept() {
        let mut pieces = Pieces::default();
        let large = Bytes::from(vec![b'L'; COPIED_BYTES_MAX + 1]);
        for bytes in
            [Bytes::from_static(b"ab"), Bytes::from_static(b"c"), large.clone(), Bytes::from_static(b"d")]
        {
            pieces.add(bytes);
        }
        pieces.copies().extend_from_slice(b"e");
        assert_eq!(*pieces.all(), [Bytes::from_static(b"abc"), large, Bytes::from_static(b"de")]);
    }

    #[test]
    #[should_panic(expected = "another")]
    fn what_was_not_sent_does_not_reach_another_connection() {
        let pool = OutgoingPool::default();
        let mut outgoing = pool.take();
        outgoing.pieces.add(Bytes::from_static(b"secret"));
        pool.put(outgoing);
    }
}
