//! What can go wrong with a disk, in terms an operator understands and a caller can act on.

use alloc::string::{String, ToString};
use core::fmt;

/// A failed disk operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskError {
    /// What went wrong.
    pub kind: DiskErrorKind,
    /// What was tried.
    pub operation: Operation,
    /// On which path, relative to the disk's root.
    pub path: String,
    /// At which position in the file, where that means something.
    pub position: Option<u64>,
}

/// What went wrong, as far as a caller decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// No such file or folder.
    NotFound,
    /// The name is taken.
    Exists,
    /// No space, no quota or no more room for names. Passes when space is freed.
    Full,
    /// Not allowed to (permissions, read-only file system, security policy).
    Denied,
    /// The process may not open more files. Passes when some are closed.
    TooManyOpenFiles,
    /// The folder to remove is not empty.
    NotEmpty,
    /// The file is longer than the caller accepts.
    TooLarge,
    /// Position, length or memory is not aligned, or the path is not one of ours: a defect of the caller.
    Unaligned,
    /// The path is absolute, leaves the root, or cannot be a path at all.
    InvalidPath,
    /// The power was cut (simulated disk only): nothing works until the restart.
    PowerCut,
    /// The device failed, with this error number. After a write or a flush nothing may be trusted that was not durable.
    Io {
        /// The system's error number.
        errno: i32,
    },
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Open a file.
    Open,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Make content durable.
    Flush,
    /// Ask for or set the length.
    Length,
    /// Replace a small file.
    Replace,
    /// Give another name.
    Rename,
    /// Remove a name.
    Remove,
    /// Create a folder.
    CreateDirectory,
    /// List a folder.
    List,
    /// Make names durable.
    FlushDirectory,
    /// Prepare the disk for use at start.
    Start,
}

impl DiskError {
    /// An error without a position.
    pub fn new(kind: DiskErrorKind, operation: Operation, path: &str) -> DiskError {
        DiskError { kind, operation, path: path.to_string(), position: None }
    }

    /// The same error, at a position in the file.
    #[must_use]
    pub fn at(mut self, position: u64) -> DiskError {
        self.position = Some(position);
        self
    }

    /// How an operation that was given up under way looks to those who ask why a log is offline.
    pub(crate) fn cancelled(path: &str) -> DiskError {
        DiskError::new(DiskErrorKind::Io { errno: 125 }, Operation::Write, path) // ECANCELED
    }

    /// Whether the operation may succeed later without anybody repairing anything but space or limits.
    pub fn is_recoverable(&self) -> bool {
        matches!(self.kind, DiskErrorKind::Full | DiskErrorKind::TooManyOpenFiles)
    }
}

impl DiskErrorKind {
    /// The kind of a system error number.
    pub fn from_errno(errno: i32) -> DiskErrorKind {
        // The numbers are Linux's on every architecture we build for; `libc` is not there without `direct`.
        match errno {
            2 => DiskErrorKind::NotFound,               // ENOENT
            17 => DiskErrorKind::Exists,                // EEXIST
            28 | 122 => DiskErrorKind::Full,            // ENOSPC, EDQUOT
            1 | 13 | 30 => DiskErrorKind::Denied,       // EPERM, EACCES, EROFS
            23 | 24 => DiskErrorKind::TooManyOpenFiles, // ENFILE, EMFILE
            39 => DiskErrorKind::NotEmpty,              // ENOTEMPTY
            _ => DiskErrorKind::Io { errno },
        }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "." } else { &self.path };
        write!(f, "cannot {} {path}", self.operation)?;
        if let Some(position) = self.position {
            write!(f, " at position {position}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl core::error::Error for DiskError {}

impl fmt::Display for DiskErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskErrorKind::NotFound => "it does not exist",
            DiskErrorKind::Exists => "it exists already",
            DiskErrorKind::Full => "the disk or the quota is full",
            DiskErrorKind::Denied => "permission denied, or the file system is read-only",
            DiskErrorKind::TooManyOpenFiles => "too many open files (raise the limit of file descriptors)",
            DiskErrorKind::NotEmpty => "the folder is not empty",
            DiskErrorKind::TooLarge => "the file is longer than it can rightly be",
            DiskErrorKind::Unaligned => "position, length or memory is not aligned for direct I/O",
            DiskErrorKind::InvalidPath => "not a path inside the data directory",
            DiskErrorKind::PowerCut => "the power was cut",
            DiskErrorKind::Io { errno } => return describe_errno(*errno, f),
        })
    }
}

#[cfg(feature = "direct")]
fn describe_errno(errno: i32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the system reports: {}", std::io::Error::from_raw_os_error(errno))
}

#[cfg(not(feature = "direct"))]
fn describe_errno(errno: i32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the system reports error {errno}")
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Open => "open",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Flush => "flush",
            Operation::Length => "get or set the length of",
            Operation::Replace => "replace",
            Operation::Rename => "rename",
            Operation::Remove => "remove",
            Operation::CreateDirectory => "create the folder",
            Operation::List => "list",
            Operation::FlushDirectory => "flush the folder",
            Operation::Start => "start using",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_a_sentence() {
        let error =
            DiskError::new(DiskErrorKind::Full, Operation::Write, "logs-0/00000000000000000000.log").at(4096);
        assert_eq!(
            error.to_string(),
            "cannot write logs-0/00000000000000000000.log at position 4096: the disk or the quota is full"
        );
        assert!(error.is_recoverable());
    }

    #[test]
    fn an_unknown_number_stays_visible() {
        let error = DiskError::new(DiskErrorKind::from_errno(5), Operation::Flush, "");
        assert!(error.to_string().starts_with("cannot flush .: the system reports"), "{error}");
        assert!(!error.is_recoverable());
    }
}
