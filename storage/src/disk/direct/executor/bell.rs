//! How other threads wake the tasks of an executor that waits in the kernel.
//!
//! What must hold: a ring of the bell before [`Bell::begin_wait`] keeps the executor from waiting, one after it ends the
//! wait. One side stores `rung` and then looks at `waiting`, the other stores `waiting` and then looks at `rung`, all
//! sequentially consistent: at least one of them sees the other.
#![expect(unsafe_code, reason = "opens an eventfd and writes to it")]

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Wake,
};

pub(super) struct Bell {
    /// Something is ready to run.
    rung: AtomicBool,
    /// The executor waits, or is about to: only then does it cost a system call to wake it.
    waiting: AtomicBool,
    /// The ring polls it for as long as it lives. Nobody reads it: each write is an event.
    descriptor: Arc<OwnedFd>,
}

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        // SAFETY: no memory is involved.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just opened, and nobody else knows it.
        let descriptor = Arc::new(unsafe { OwnedFd::from_raw_fd(descriptor) });
        Ok(Bell { rung: AtomicBool::new(false), waiting: AtomicBool::new(false), descriptor })
    }

    pub(super) fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.descriptor
    }

    /// Forgets that it rang, because what is ready will be looked at now.
    pub(super) fn silence(&self) {
        self.rung.store(false, SeqCst);
    }

    /// Whether it rang since [`Bell::silence`].
    pub(super) fn has_rung(&self) -> bool {
        self.rung.load(SeqCst)
    }

    /// Whether the executor may wait: it did not ring since [`Bell::silence`]. Then [`Bell::end_wait`] comes next.
    pub(super) fn begin_wait(&self) -> bool {
        self.waiting.store(true, SeqCst);
        if self.rung.load(SeqCst) {
            self.waiting.store(false, SeqCst);
            return false;
        }
        true
    }

    pub(super) fn end_wait(&self) {
        self.waiting.store(false, SeqCst);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Bell>) {
        self.rung.store(true, SeqCst);
        if self.waiting.load(SeqCst) && self.waiting.swap(false, SeqCst) {
            let one = 1_u64.to_ne_bytes();
            // SAFETY: the memory is read during the call only. It fails when the counter, which nobody reads, is at its end
            // after 2^64 writes; it then stays readable, and the poll of the ring ends at once.
            unsafe { libc::write(self.descriptor.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_ring_before_the_wait_prevents_it() {
        let bell = Arc::new(Bell::new().expect("an eventfd"));
        let waker = Waker::from(bell.clone());
        assert!(bell.begin_wait());
        bell.end_wait();
        waker.wake_by_ref();
        assert!(!bell.begin_wait());
        bell.silence();
        assert!(bell.begin_wait());
    }

    #[test]
    fn one_ring_ends_the_wait_and_costs_one_write() {
        let bell = Arc::new(Bell::new().expect("an eventfd"));
        assert!(bell.begin_wait());
        for _ in 0..3 {
            bell.wake_by_ref();
        }
        let mut count = [0_u8; 8];
        // SAFETY: the memory is as long as said.
        let read = unsafe { libc::read(bell.descriptor.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        assert_eq!((read, u64::from_ne_bytes(count)), (8, 1));
    }
}
