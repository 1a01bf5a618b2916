//! Readiness of many descriptors, edge-triggered: a turn costs the same with ten thousand
//! connections as with one, and no call is needed to change what is waited for.
//!
//! Edge-triggered means: an event tells of a change, once. Who gets it reads or writes until the
//! kernel has no more, or has it come again on its own account.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Events taken at once; what is beyond them comes with the next wait.
const EVENTS_MAX: usize = 1024;

/// The descriptors that are waited for.
#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
    ready: usize,
}

/// What is known of one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// The number that it was added with.
    pub(crate) token: u64,
    /// Whether there are bytes to read, an end, or an error.
    pub(crate) readable: bool,
    /// Whether there is room to write.
    pub(crate) writable: bool,
}

impl Epoll {
    /// Waits for nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes and returns numbers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX], ready: 0 })
    }

    /// Waits for `fd` too, until it is closed; it is told of as `token`.
    pub(crate) fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let interest = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET;
        let mut event = libc::epoll_event { events: interest as u32, u64: token };
        // SAFETY: the event lives through the call; the kernel checks both descriptors.
        let result = unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until something changes or the time is over; says of how many descriptors there is news.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).map_err(io::Error::other)?,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: the events' buffer has room for as many as are said, and both it and the timeout
        // live through the call; a null signal mask means that none is set.
        let ready = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS_MAX as libc::c_int,
                &raw const timeout,
                std::ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        self.ready = match usize::try_from(ready) {
            Ok(ready) => ready,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
                0
            }
        };
        Ok(self.ready)
    }

    /// The news with this number, of as many as [`wait`](Self::wait) told.
    pub(crate) fn readiness(&self, index: usize) -> Readiness {
        assert!(index < self.ready, "there is no such news");
        let event = self.events[index];
        let bits = event.events;
        Readiness {
            token: event.u64,
            readable: bits & !(libc::EPOLLOUT as u32) != 0,
            writable: bits & libc::EPOLLOUT as u32 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_change_is_told_once() {
        let (mut near, far) = UnixStream::pair().expect("a pair");
        let mut epoll = Epoll::new().expect("made");
        epoll.add(far.as_raw_fd(), 7).expect("added");
        assert_eq!(epoll.wait(Duration::ZERO).expect("waits"), 1);
        assert_eq!(epoll.readiness(0), Readiness { token: 7, readable: false, writable: true });
        assert_eq!(epoll.wait(Duration::ZERO).expect("waits"), 0);
        near.write_all(b"x").expect("written");
        assert_eq!(epoll.wait(Duration::from_secs(5)).expect("waits"), 1);
        assert!(epoll.readiness(0).readable);
    }
}
