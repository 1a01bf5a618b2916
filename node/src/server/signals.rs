//! SIGTERM and SIGINT, which stop the node, and SIGHUP, which has it read its file again: waited for by one thread alone;
//! sent to other nodes, and got when a parent process is gone.

use std::{io, mem::MaybeUninit, time::Duration};

use super::StartError;

/// The signals that the node waits for, blocked in every thread.
#[derive(Debug)]
pub(crate) struct Signals(libc::sigset_t);

/// What a signal wants of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// To end; by the signal of this name.
    Stop(&'static str),
    /// To read its configuration again.
    Reload,
}

/// Blocks the signals in this thread and in those that it starts from now on. Without a file to read again, SIGHUP ends the
/// process as it always does: its terminal is gone.
pub(crate) fn block(can_reload: bool) -> Result<Signals, StartError> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initialises the set; the other calls read and change it; no other pointers are passed.
    let result = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        if can_reload {
            libc::sigaddset(set.as_mut_ptr(), libc::SIGHUP);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut())
    };
    if result != 0 {
        return Err(StartError::Signals(io::Error::from_raw_os_error(result)));
    }
    // SAFETY: initialised by `sigemptyset` above.
    Ok(Signals(unsafe { set.assume_init() }))
}

impl Signals {
    /// Waits for one of them, for so long at most.
    pub(super) fn wait_for(&self, time: Duration) -> Result<Option<Wanted>, StartError> {
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(time.subsec_nanos()),
        };
        // SAFETY: the set and the time are live values; no information about the signal is asked for.
        let signal = unsafe { libc::sigtimedwait(&self.0, std::ptr::null_mut(), &time) };
        match signal {
            signal if signal > 0 => Ok(Some(wanted(signal))),
            _ => match io::Error::last_os_error() {
                // The time is over, or the wait was interrupted by a signal of another kind (a debugger).
                error if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => Ok(None),
                error => Err(StartError::Signals(error)),
            },
        }
    }

    /// Waits for one of them.
    pub(crate) fn wait(&self) -> Result<Wanted, StartError> {
        let mut signal = 0;
        // SAFETY: both pointers are to live values of the right type.
        let result = unsafe { libc::sigwait(&self.0, &mut signal) };
        match result {
            0 => Ok(wanted(signal)),
            error => Err(StartError::Signals(io::Error::from_raw_os_error(error))),
        }
    }
}

fn wanted(signal: libc::c_int) -> Wanted {
    match signal {
        libc::SIGHUP => Wanted::Reload,
        libc::SIGTERM => Wanted::Stop("SIGTERM"),
        _ => Wanted::Stop("SIGINT"),
    }
}

/// Tells a process that was started by this one, and not waited for yet, to stop.
pub(crate) fn terminate(process_id: u32) -> io::Result<()> {
    let process_id = libc::pid_t::try_from(process_id).map_err(io::Error::other)?;
    // SAFETY: passes no pointers.
    if unsafe { libc::kill(process_id, libc::SIGTERM) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// From now on this process gets SIGTERM when the thread that started it ends. An error when that has happened already.
pub(crate) fn stop_with_parent(parent: u32) -> io::Result<()> {
    // SAFETY: passes no pointers.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if std::os::unix::process::parent_id() == parent {
        Ok(())
    } else {
        Err(io::Error::other("the process that started it is gone"))
    }
}
