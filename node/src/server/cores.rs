//! Which cores the shards run on.

use std::{io, mem};

use super::StartError;
use crate::config::Shards;

/// One core for each shard, from those that the process may use, beginning with the one at `first`. More shards than cores
/// share them.
pub(super) fn assign(shards: Shards, first: usize) -> Result<Vec<usize>, StartError> {
    let allowed = allowed_cores().map_err(StartError::Thread)?;
    let count = match shards {
        Shards::Auto => allowed.len(),
        Shards::Count(count) => count,
    };
    let first = first % allowed.len();
    Ok(allowed.into_iter().cycle().skip(first).take(count).collect())
}

fn allowed_cores() -> io::Result<Vec<usize>> {
    // SAFETY: an all-zero set is an empty one.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most the size given.
    if unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let bits = 8 * mem::size_of_val(&set);
    // SAFETY: `core` is within the set's bits.
    let cores: Vec<usize> = (0..bits).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect();
    if cores.is_empty() { Err(io::Error::other("no core may be used")) } else { Ok(cores) }
}
