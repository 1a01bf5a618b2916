//! How much of a busy core a thread gets.

use std::io;

/// Gives the calling thread another niceness, and all threads that it starts from then on: -20 gets the most of a core.
pub(crate) fn set_niceness(niceness: i32) -> io::Result<()> {
    // Of a process by the name, of a thread by what Linux does: zero is the one that calls.
    // SAFETY: the call takes three numbers.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
