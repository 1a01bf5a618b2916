//! Receive buffers that idle connections gave back, for those that receive next.
//!
//! What must hold: every buffer here is empty; the pool is bounded, so that a burst of connections does not keep its
//! memory for ever.

use std::cell::RefCell;

use bytes::BytesMut;

/// Buffers kept. More connections than this rarely receive within the same turn of the reactor.
const BUFFERS_MAX: usize = 32;

/// The pool of one shard.
#[derive(Default)]
pub(crate) struct ReceiveBuffers(RefCell<Vec<BytesMut>>);

impl ReceiveBuffers {
    /// The buffer used last, since it is likely still in the cache; or a new one without memory.
    pub(crate) fn take(&self) -> BytesMut {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives an empty buffer back.
    pub(crate) fn put(&self, buffer: BytesMut) {
        assert!(buffer.is_empty(), "a pooled buffer would leak one client's bytes into another's frame");
        let mut buffers = self.0.borrow_mut();
        if buffers.len() < BUFFERS_MAX && buffer.capacity() > 0 {
            buffers.push(buffer);
        }
    }
}
