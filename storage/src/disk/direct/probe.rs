//! What this machine allows, found out by trying it before anything is started.
#![expect(unsafe_code, reason = "system calls that the standard library does not wrap")]

use std::{
    ffi::CString,
    fmt,
    fs::{self, File, OpenOptions},
    io,
    mem::MaybeUninit,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, OpenOptionsExt},
    },
    path::Path,
    process,
};

use io_uring::{IoUring, Probe, opcode};

use super::{
    super::{
        Alignment, BUFFER_BYTES_MIN, BufferPool, BufferPoolOptions, DiskError, DiskErrorKind, Operation,
    },
    file::errno_of,
    ring::RingError,
};

/// Smaller units would only make the file system lock and complete blocks: four KiB is the block of ext4 and XFS and the
/// page of the page cache, whatever smaller sector a device offers.
const POSITION_ALIGNMENT_MIN: u64 = 4096;

/// What was found out about a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFacts {
    /// What kind of file system it lies on.
    pub file_system: FileSystem,
    /// What direct I/O has to be aligned to.
    pub alignment: Alignment,
    /// Whether files can be opened with O_DIRECT. Without it (tmpfs of an old kernel) the page cache is used.
    pub direct_io: bool,
}

impl DiskFacts {
    /// Whether one flush of any file makes completed overwrites of durable ranges of all files durable.
    pub fn one_flush_covers_all(&self) -> bool {
        matches!(self.file_system, FileSystem::Ext4 | FileSystem::Xfs)
    }
}

/// The kinds of file systems that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4 (and ext2, ext3, which its driver serves under the same number).
    Ext4,
    /// XFS.
    Xfs,
    /// Memory: nothing survives a restart of the machine.
    Tmpfs,
    /// Any other, by the system's number for it.
    Other(u64),
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileSystem::Ext4 => f.write_str("ext4"),
            FileSystem::Xfs => f.write_str("xfs"),
            FileSystem::Tmpfs => f.write_str("tmpfs"),
            FileSystem::Other(magic) => write!(f, "file system {magic:#x}"),
        }
    }
}

/// Whether io_uring can be set up here, with every operation that we use.
pub fn probe_ring() -> Result<(), RingError> {
    let ring = IoUring::new(8).map_err(RingError::from_setup)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(RingError::from_setup)?;
    let needed = [
        (opcode::Read::CODE, "read"),
        (opcode::ReadFixed::CODE, "read into registered buffers"),
        (opcode::Write::CODE, "write"),
        (opcode::WriteFixed::CODE, "write from registered buffers"),
        (opcode::Fsync::CODE, "fsync"),
        (opcode::Close::CODE, "close"),
        (opcode::PollAdd::CODE, "poll"),
        (opcode::PollRemove::CODE, "end of a poll"),
    ];
    match needed.into_iter().find(|(code, _operation)| !probe.is_supported(*code)) {
        None => Ok(()),
        Some((_code, operation)) => Err(RingError::TooOld { operation }),
    }
}

/// Finds out about the data directory `root`, which exists, by writing, flushing and reading back a small file there.
pub fn probe_disk(root: &Path) -> Result<DiskFacts, DiskError> {
    let name = format!("probe.{}.tmp", process::id());
    let path = root.join(&name);
    let fail = |error: io::Error| {
        DiskError::new(DiskErrorKind::from_errno(errno_of(&error)), Operation::Start, &name)
    };
    let result = probe_with(root, &path).map_err(fail);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => result.and(Err(fail(error))),
        _ => result,
    }
}

fn probe_with(root: &Path, path: &Path) -> io::Result<DiskFacts> {
    let file_system = file_system(root)?;
    let options =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).to_owned();
    // Something to ask about has to be in the file: an empty one has no block.
    options.open(path)?.write_all_at(&[1; BUFFER_BYTES_MIN], 0)?;
    let (direct_io, alignment) = match direct_alignment(path)? {
        Some(alignment) => {
            match OpenOptions::new().read(true).write(true).custom_flags(libc::O_DIRECT).open(path) {
                Ok(file) => {
                    try_direct(&file, alignment)?;
                    (true, alignment)
                }
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => (false, alignment),
                Err(error) => return Err(error),
            }
        }
        None => (false, raised(0, 0)),
    };
    Ok(DiskFacts { file_system, alignment, direct_io })
}

/// Writes, flushes and reads back one unit.
fn try_direct(file: &File, alignment: Alignment) -> io::Result<()> {
    let pool = BufferPool::new(BufferPoolOptions {
        alignment_bytes: alignment.memory_bytes,
        ..BufferPoolOptions::default()
    });
    let length = usize::try_from(alignment.position_bytes).map_err(io::Error::other)?;
    let mut buffer = pool.try_take(length).ok_or(io::ErrorKind::OutOfMemory)?;
    buffer.append(&vec![7; length]);
    file.write_all_at(buffer.as_slice(), 0)?;
    file.sync_data()?;
    buffer.unfrozen_mut(0..length).fill(0);
    file.read_exact_at(buffer.unfrozen_mut(0..length), 0)?;
    if buffer.as_slice().iter().all(|byte| *byte == 7) {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(libc::EIO))
}

/// What the file system says about direct I/O: `None` where it cannot do it. Where it does not say, we assume a page.
fn direct_alignment(path: &Path) -> io::Result<Option<Alignment>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path ends with a zero, the memory is as large as the call expects; both outlive it.
    let result =
        unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), 0, libc::STATX_DIOALIGN, found.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every bit pattern is a statx, and it was zeroed.
    let found = unsafe { found.assume_init() };
    if found.stx_mask & libc::STATX_DIOALIGN == 0 {
        return Ok(Some(raised(0, 0)));
    }
    if found.stx_dio_offset_align == 0 {
        return Ok(None);
    }
    Ok(Some(raised(found.stx_dio_mem_align, found.stx_dio_offset_align)))
}

fn raised(memory: u32, position: u32) -> Alignment {
    Alignment {
        memory_bytes: (memory as usize).max(BUFFER_BYTES_MIN),
        position_bytes: u64::from(position).max(POSITION_ALIGNMENT_MIN),
    }
}

fn file_system(root: &Path) -> io::Result<FileSystem> {
    let path = CString::new(root.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path ends with a zero, the memory is as large as the call expects; both outlive it.
    if unsafe { libc::statfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled by the call, which succeeded.
    let found = unsafe { found.assume_init() };
    // The kernel's numbers are 32 bits wide; the C library's field is signed and of varying width.
    let magic = found.f_type as u64 & 0xffff_ffff;
    Ok(match magic {
        0xef53 => FileSystem::Ext4,
        0x5846_5342 => FileSystem::Xfs,
        0x0102_1994 => FileSystem::Tmpfs,
        other => FileSystem::Other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_never_trusted_and_disks_are_recognised() {
        let facts = probe_disk(Path::new("/dev/shm"));
        if let Ok(facts) = facts {
            assert_eq!((facts.file_system, facts.one_flush_covers_all()), (FileSystem::Tmpfs, false));
        }
        let facts =
            probe_disk(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the source folder can be written");
        assert!(facts.alignment.position_bytes >= POSITION_ALIGNMENT_MIN);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_says_so() {
        let error = probe_disk(Path::new("/no/such/folder")).expect_err("it does not exist");
        assert_eq!((error.kind, error.operation), (DiskErrorKind::NotFound, Operation::Start));
    }
}
