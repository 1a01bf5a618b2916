//! SIGTERM and SIGINT, waited for by the main thread alone.

use std::{io, mem::MaybeUninit};

use super::StartError;

/// The signals that stop the node, blocked in every thread.
pub(super) struct Signals(libc::sigset_t);

/// Blocks the signals in this thread and in those that it starts from now on.
pub(super) fn block() -> Result<Signals, StartError> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initialises the set; the other calls read and change it; no other pointers are passed.
    let result = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut())
    };
    if result != 0 {
        return Err(StartError::Signals(io::Error::from_raw_os_error(result)));
    }
    // SAFETY: initialised by `sigemptyset` above.
    Ok(Signals(unsafe { set.assume_init() }))
}

impl Signals {
    /// Waits for one of them.
    pub(super) fn wait(&self) -> Result<&'static str, StartError> {
        let mut signal = 0;
        // SAFETY: both pointers are to live values of the right type.
        let result = unsafe { libc::sigwait(&self.0, &mut signal) };
        match (result, signal) {
            (0, libc::SIGTERM) => Ok("SIGTERM"),
            (0, _) => Ok("SIGINT"),
            (error, _) => Err(StartError::Signals(io::Error::from_raw_os_error(error))),
        }
    }
}
