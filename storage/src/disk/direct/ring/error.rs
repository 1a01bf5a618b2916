//! Why a ring cannot be set up, as a sentence that tells an operator what to do.

use std::{fmt, io};

/// A ring that cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingError {
    /// The kernel, a security profile or a container forbids io_uring.
    Denied,
    /// The kernel has no io_uring.
    Missing,
    /// The limit of locked memory is too low.
    LockedMemory,
    /// The process may not open more files.
    TooManyOpenFiles,
    /// The kernel's io_uring lacks an operation that we need.
    TooOld {
        /// Its name.
        operation: &'static str,
    },
    /// Anything else, with its error number.
    Io {
        /// The system's error number.
        errno: i32,
    },
}

impl RingError {
    pub(in super::super) fn from_setup(error: io::Error) -> RingError {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => RingError::Denied,
            Some(libc::ENOSYS) => RingError::Missing,
            Some(libc::ENOMEM) => RingError::LockedMemory,
            Some(libc::EMFILE | libc::ENFILE) => RingError::TooManyOpenFiles,
            errno => RingError::Io { errno: errno.unwrap_or(libc::EIO) },
        }
    }
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingError::Denied => f.write_str(
                "io_uring is not allowed here: set the sysctl kernel.io_uring_disabled to 0, and in a container use a \
                 seccomp profile that permits io_uring_setup, io_uring_enter and io_uring_register",
            ),
            RingError::Missing => f.write_str(
                "this kernel offers no io_uring (it is older than 5.19, built without it, or a sandbox hides it)",
            ),
            RingError::LockedMemory => f.write_str(
                "not enough lockable memory for io_uring: raise the limit (ulimit -l, systemd LimitMEMLOCK=)",
            ),
            RingError::TooManyOpenFiles => {
                f.write_str("too many open files: raise the limit (ulimit -n, systemd LimitNOFILE=)")
            }
            RingError::TooOld { operation } => {
                write!(f, "this kernel's io_uring lacks {operation}: Linux 5.19 or newer is needed")
            }
            RingError::Io { errno } => {
                write!(f, "io_uring cannot be set up: {}", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl std::error::Error for RingError {}
