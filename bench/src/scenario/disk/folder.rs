//! The folder that a run works in: below the directory that the user named, and this program's own.
//!
//! What must hold: nothing is written or removed outside of it; a folder of that name that this program
//! did not make is refused; so is a second run at once; a killed run's files are removed by the next.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The folder's name.
const FOLDER_NAME: &str = "ringmain-bench-disk";
/// Says whose folder it is, and is locked while a run uses it.
const MARKER_NAME: &str = "made-by-ringmain-bench";
/// What the names of data files begin with; a number follows.
const DATA_PREFIX: &str = "data-";
/// Left free beside what a run needs: a full disk is measured differently, and harms others.
const RESERVE_BYTES: u64 = 1 << 30;

/// The folder, until it is removed.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock.
    _marker: File,
    next_number: Cell<u64>,
    is_removed: bool,
}

impl Folder {
    /// Makes the folder in `directory`, which exists and has so much space, or takes over what a run
    /// that was killed left behind.
    pub(super) fn create(directory: &Path, space_bytes: u64) -> io::Result<Self> {
        check_space(directory, space_bytes)?;
        let path = directory.join(FOLDER_NAME);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_own(&path)?,
            other => other.map_err(|error| at(&path, error))?,
        }
        let marker_path = path.join(MARKER_NAME);
        let options = OpenOptions::new().write(true).create(true).truncate(false).to_owned();
        let marker = options.open(&marker_path).map_err(|error| at(&marker_path, error))?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refusal(format!("another run uses {}", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(at(&marker_path, error)),
        }
        let folder = Self { path, _marker: marker, next_number: Cell::new(0), is_removed: false };
        folder.remove_data()?;
        Ok(folder)
    }

    /// A name that no file has yet.
    pub(super) fn new_path(&self) -> PathBuf {
        let number = self.next_number.replace(self.next_number.get() + 1);
        self.path.join(format!("{DATA_PREFIX}{number}"))
    }

    /// Removes it, with all that is in it.
    pub(super) fn remove(mut self) -> io::Result<()> {
        self.is_removed = true;
        self.remove_all()
    }

    fn remove_all(&self) -> io::Result<()> {
        self.remove_data()?;
        fs::remove_file(self.path.join(MARKER_NAME))?;
        fs::remove_dir(&self.path)
    }

    fn remove_data(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if is_data(&entry) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_removed {
            return;
        }
        if let Err(error) = self.remove_all() {
            eprintln!("ringmain-bench: {} stays: {error}", self.path.display());
        }
    }
}

/// Opens a new file past the page cache; `flags` beside.
pub(super) fn create_file(path: &Path, flags: i32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).custom_flags(libc::O_DIRECT | flags);
    options.open(path).map_err(|error| at(path, error))
}

/// Opens an existing file past the page cache; `flags` beside.
pub(super) fn open_file(path: &Path, flags: i32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_DIRECT | flags);
    options.open(path).map_err(|error| at(path, error))
}

/// With the path in its words.
pub(super) fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn refusal(words: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

fn check_space(directory: &Path, space_bytes: u64) -> io::Result<()> {
    if !fs::metadata(directory).map_err(|error| at(directory, error))?.is_dir() {
        return Err(refusal(format!("{} is not a directory", directory.display())));
    }
    let system = rustix::fs::statvfs(directory)?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let needed = space_bytes.saturating_add(RESERVE_BYTES);
    if free >= needed {
        return Ok(());
    }
    let (needed, free) = (needed >> 20, free >> 20);
    Err(refusal(format!("{} has {free} MiB free, {needed} MiB are needed", directory.display())))
}

/// Whether a folder that exists is one that this program made: its marker and data files, nothing else.
fn check_own(path: &Path) -> io::Result<()> {
    let foreign = || refusal(format!("{} exists, and this program did not make it", path.display()));
    if !fs::symlink_metadata(path)?.is_dir() {
        return Err(foreign());
    }
    let mut is_marked = false;
    let mut is_empty = true;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        is_empty = false;
        if entry.file_name() == MARKER_NAME && entry.file_type()?.is_file() {
            is_marked = true;
        } else if !is_data(&entry) {
            return Err(foreign());
        }
    }
    if is_marked || is_empty { Ok(()) } else { Err(foreign()) }
}

fn is_data(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let number = name.to_str().and_then(|name| name.strip_prefix(DATA_PREFIX));
    let is_named_so = number.is_some_and(|number| number.parse::<u64>().is_ok());
    is_named_so && entry.file_type().is_ok_and(|kind| kind.is_file())
}
