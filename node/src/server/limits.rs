//! What the process may use, and what follows for connections and files.

use std::io;

use super::StartError;
use crate::config::{NodeConfig, Shards};

/// Descriptors for everything that is neither a connection nor a log file: rings, journals, metadata, standard streams,
/// and a reserve, so that the node can still open what it needs when connections are at their limit.
const DESCRIPTORS_RESERVED: u64 = 128;
/// A log file that is open has a direct descriptor and, once somebody reads it, a buffered one.
const DESCRIPTORS_FOR_A_FILE: u64 = 2;
/// Log files that a shard keeps open when nothing is configured. Opening one again costs some 50 microseconds.
const OPEN_FILES_MAX: u64 = 1_000;
/// The part of the descriptors that log files may take by default.
const OPEN_FILES_PART: u64 = 4;
/// Fewer leave no room for clients.
const DESCRIPTORS_MIN: u64 = 256;

/// The limits that hold for this process.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Descriptors of the process, after raising the soft limit to the hard one.
    pub(crate) descriptors: u64,
    pub(crate) connections_max: usize,
    pub(crate) open_files_per_shard: usize,
}

impl Limits {
    /// Raises the soft limit of descriptors to the hard one, and divides what it gives.
    pub(super) fn from_process(config: &NodeConfig) -> Result<Self, StartError> {
        let descriptors = raise_descriptors()
            .map_err(|error| StartError::Limits(format!("read the limit of open files: {error}")))?;
        let shards = match config.shards {
            Shards::Count(count) => count as u64,
            Shards::Auto => std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
        };
        Self::divide(descriptors, shards, config)
    }

    fn divide(descriptors: u64, shards: u64, config: &NodeConfig) -> Result<Self, StartError> {
        if descriptors < DESCRIPTORS_MIN {
            return Err(StartError::Limits(format!(
                "the limit of open files is {descriptors}, at least {DESCRIPTORS_MIN} are needed: raise it with `ulimit \
                 -n` or LimitNOFILE= of the service"
            )));
        }
        let by_default =
            (descriptors / OPEN_FILES_PART / shards / DESCRIPTORS_FOR_A_FILE).clamp(16, OPEN_FILES_MAX);
        let open_files = config.storage.open_files_per_shard.map_or(by_default, |files| files as u64);
        let taken = DESCRIPTORS_RESERVED + open_files * DESCRIPTORS_FOR_A_FILE * shards;
        let left = descriptors.saturating_sub(taken);
        if left == 0 {
            return Err(StartError::Limits(format!(
                "storage.open_files_per_shard = {open_files} takes all {descriptors} open files that the process may have: \
                 lower it, or raise the limit with `ulimit -n` or LimitNOFILE= of the service"
            )));
        }
        let connections = config.limits.connections_max.map_or(left, |wanted| left.min(wanted as u64));
        Ok(Self {
            descriptors,
            connections_max: usize::try_from(connections).unwrap_or(usize::MAX),
            open_files_per_shard: usize::try_from(open_files).unwrap_or(usize::MAX),
        })
    }
}

fn raise_descriptors() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes to a live value.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the kernel reads a live value.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } != 0 {
        return Ok(limit.rlim_cur);
    }
    Ok(raised.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_thousand_descriptors_hold_twelve_thousand_connections() {
        let limits = Limits::divide(20_000, 2, &NodeConfig::default()).expect("enough");
        assert!(limits.connections_max >= 12_000, "{limits:?}");
        let taken = limits.connections_max as u64 + 4 * limits.open_files_per_shard as u64;
        assert!(taken + DESCRIPTORS_RESERVED <= 20_000, "{limits:?}");
    }

    #[test]
    fn too_few_descriptors_are_refused_with_what_to_do() {
        let refused = Limits::divide(200, 2, &NodeConfig::default()).expect_err("too few");
        assert!(refused.to_string().contains("LimitNOFILE"), "{refused}");
    }
}
