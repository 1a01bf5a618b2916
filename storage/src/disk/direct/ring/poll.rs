//! Readiness of any descriptor, for sockets that are written to directly.
//!
//! The kernel keeps the polled file open as long as the poll is under way, so a dropped future takes its poll back:
//! otherwise a socket would not be closed with its descriptor.

#![expect(unsafe_code, reason = "gives a borrowed descriptor to the kernel")]

use std::{
    future::Future,
    io,
    marker::PhantomData,
    os::fd::{AsRawFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll},
};

use io_uring::{opcode, types};

use super::{OperationFuture, Ring, operations::Held, submissions::user_data};

impl Ring {
    /// Waits until `descriptor` can be read from without blocking; an error or the other end's close counts as readable.
    pub fn poll_readable<'fd>(&self, descriptor: BorrowedFd<'fd>) -> PollFuture<'fd> {
        self.poll(descriptor, libc::POLLIN)
    }

    /// Waits until `descriptor` can be written to without blocking; an error counts as writable.
    pub fn poll_writable<'fd>(&self, descriptor: BorrowedFd<'fd>) -> PollFuture<'fd> {
        self.poll(descriptor, libc::POLLOUT)
    }

    fn poll<'fd>(&self, descriptor: BorrowedFd<'fd>, events: i16) -> PollFuture<'fd> {
        let events = u32::from(events.unsigned_abs());
        let entry = opcode::PollAdd::new(types::Fd(descriptor.as_raw_fd()), events).build();
        // SAFETY: a poll refers to no memory, and the descriptor is borrowed for the life of the future.
        let operation = unsafe { self.begin(entry, Held::NOTHING, false) };
        PollFuture { operation, _borrowed: PhantomData }
    }
}

/// Waits for a descriptor to become ready. Dropping it ends the poll.
pub struct PollFuture<'fd> {
    operation: OperationFuture,
    _borrowed: PhantomData<BorrowedFd<'fd>>,
}

impl Future for PollFuture<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.operation).poll(context).map(|(result, _held)| match result {
            ready if ready >= 0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(-errno)),
        })
    }
}

impl Drop for PollFuture<'_> {
    fn drop(&mut self) {
        let Some(key) = self.operation.key else {
            return;
        };
        let ring = &self.operation.ring;
        // Only a poll under way: once it has ended, another one may get its number before the removal arrives.
        let under_way = ring.0.operations.borrow().is_under_way(key);
        if under_way {
            // In the queue behind the poll itself, if that has not been submitted yet.
            ring.submit_unwatched(opcode::PollRemove::new(user_data(key)).build());
        }
    }
}
