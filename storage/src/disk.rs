//! The disk as a log sees it: a few verbs, with a real implementation and one that lies.
//!
//! Owns the traits [`Disk`] and [`DiskFile`] and what passes through them. Everything belongs to one shard and stays on
//! its thread; only what a reader gets ([`BufferSlice`], `Bytes`, [`FileRange`]) may travel to another core.
//!
//! What must hold for every implementation (the conformance suite checks it):
//! - Paths are relative to the root of the disk, with `/` between the parts and no `.` or `..`.
//! - A write is whole or an error. After an error of a write or a flush the content of the written range is unknown, and a
//!   later flush that succeeds proves nothing: the caller stops using that file.
//! - Bytes are durable after the flush that began when their write had completed. Where [`Disk::one_flush_covers_all`] holds,
//!   the flush of *any* file makes completed overwrites of ranges that were durable before durable; growth needs a flush of
//!   the file itself.
//! - A created, renamed or removed name is durable after [`Disk::flush_directory`] of its folder.
//! - A future that is dropped does not take back what the device has begun; the buffers stay alive until it ended.
//!
//! It does not cache, retry or checksum.

mod buffer;
#[cfg(feature = "direct")]
pub mod direct;
mod error;
mod memory;
mod pool;
mod range;
pub mod simulated;

use alloc::{string::String, vec::Vec};
use core::future::Future;

use bytes::Bytes;

pub use self::{
    buffer::{AlignedBuffer, BufferSlice},
    error::{DiskError, DiskErrorKind, Operation},
    pool::{BUFFER_BYTES_MAX, BUFFER_BYTES_MIN, BufferPool, BufferPoolOptions, BufferPoolStats},
    range::FileRange,
};

/// What [`Disk::replace`] appends to a path while the new content is not complete. A crash may leave such a file behind;
/// the next replacement of the same path takes its place.
pub const REPLACEMENT_SUFFIX: &str = ".new";

/// What direct reads and writes have to be multiples of; both are powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// Of the address in memory. Buffers of [`Disk::buffers`] start on it.
    pub memory_bytes: usize,
    /// Of position and length in the file.
    pub position_bytes: u64,
}

/// How [`Disk::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read only.
    Read,
    /// An existing file, to read and write.
    ReadWrite,
    /// A file that must not exist yet, to read and write. Its name is durable after [`Disk::flush_directory`].
    CreateNew,
}

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// Something that we never create: a link, a socket, a device.
    Other,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The last part of the path. Names that are not UTF-8 are listed with replacement characters: they are not ours.
    pub name: String,
    /// File or folder.
    pub kind: EntryKind,
    /// Length of a file; 0 for everything else.
    pub size_bytes: u64,
}

/// One disk with one root folder, used by one shard.
pub trait Disk: Clone + 'static {
    /// An open file of this disk.
    type File: DiskFile;

    /// What direct reads and writes have to be aligned to.
    fn alignment(&self) -> Alignment;

    /// Whether one flush of any file makes completed overwrites of already durable ranges of every file durable.
    fn one_flush_covers_all(&self) -> bool;

    /// Gives the device what was asked for so far, where that would otherwise happen when the caller's turn ends. A hint.
    fn submit(&self) {}

    /// The memory that direct reads and writes use.
    fn buffers(&self) -> &BufferPool;

    /// Opens one file.
    fn open(&self, path: &str, mode: OpenMode) -> impl Future<Output = Result<Self::File, DiskError>>;

    /// The whole content of a small file; [`DiskErrorKind::TooLarge`] when it is longer than `length_max`.
    fn read_small(&self, path: &str, length_max: usize) -> impl Future<Output = Result<Vec<u8>, DiskError>>;

    /// Replaces the content of a small file, atomically: a reader or a crash finds the old one or the new one.
    ///
    /// With `durable` the new content and its name survive a power cut when this returns. Without, a power cut may bring
    /// back the old content or leave any mixture of the new one with zeros: only for files that carry a checksum.
    fn replace(
        &self,
        path: &str,
        contents: &[u8],
        durable: bool,
    ) -> impl Future<Output = Result<(), DiskError>>;

    /// Gives a file or folder another name, in place of a file that has it. Durable after [`Disk::flush_directory`].
    fn rename(&self, from: &str, to: &str) -> impl Future<Output = Result<(), DiskError>>;

    /// Removes a file's name; files and ranges that are open stay readable. Durable after [`Disk::flush_directory`].
    fn remove(&self, path: &str) -> impl Future<Output = Result<(), DiskError>>;

    /// Creates a folder, and its parents where they are missing. Durable when it returns; no error when it exists.
    fn create_directory(&self, path: &str) -> impl Future<Output = Result<(), DiskError>>;

    /// Removes an empty folder. Durable after [`Disk::flush_directory`] of its parent.
    fn remove_directory(&self, path: &str) -> impl Future<Output = Result<(), DiskError>>;

    /// The names in a folder, sorted. The root is the empty path.
    fn list(&self, path: &str) -> impl Future<Output = Result<Vec<DirectoryEntry>, DiskError>>;

    /// Makes created, renamed and removed names of a folder durable. The root is the empty path.
    fn flush_directory(&self, path: &str) -> impl Future<Output = Result<(), DiskError>>;
}

/// One open file. Clones share it; it is closed with the last of them and the last [`FileRange`].
pub trait DiskFile: Clone + 'static {
    /// Writes the whole of `buffer` at `position`, past the page cache. Address, position and length are aligned.
    fn write_at(&self, position: u64, buffer: BufferSlice) -> impl Future<Output = Result<(), DiskError>>;

    /// [`DiskFile::write_at`] of several buffers that follow each other in the file: one write where the system can do that.
    fn write_parts_at(
        &self,
        mut position: u64,
        parts: Vec<BufferSlice>,
    ) -> impl Future<Output = Result<(), DiskError>> {
        async move {
            for part in parts {
                let length = part.len() as u64;
                self.write_at(position, part).await?;
                position += length;
            }
            Ok(())
        }
    }

    /// [`DiskFile::write_at`] whose bytes are durable when it returns, at less than the cost of a flush after it. It says
    /// nothing of other writes, to this file or another.
    fn write_at_and_flush(
        &self,
        position: u64,
        buffer: BufferSlice,
    ) -> impl Future<Output = Result<(), DiskError>>;

    /// Makes completed writes durable (fdatasync: content, and the length where it grew).
    fn flush(&self) -> impl Future<Output = Result<(), DiskError>>;

    /// Reads past the page cache. `position` and `length` are aligned, `length` is at most [`BUFFER_BYTES_MAX`].
    /// Less than `length` only where the file ends. Waits while the pool is used up.
    fn read_at(&self, position: u64, length: usize)
    -> impl Future<Output = Result<AlignedBuffer, DiskError>>;

    /// [`DiskFile::read_at`] into a buffer that the caller has taken, which is empty and has room for `length`.
    fn read_into(
        &self,
        position: u64,
        length: usize,
        buffer: AlignedBuffer,
    ) -> impl Future<Output = Result<AlignedBuffer, DiskError>>;

    /// Reads through the page cache and leaves the pages there, at any position; never blocks the shard.
    /// Less than `length` only where the file ends.
    fn read_cached(&self, position: u64, length: usize) -> impl Future<Output = Result<Bytes, DiskError>>;

    /// Whether reads through the page cache may bring in more than what is asked for. A hint; on at first.
    fn set_read_ahead(&self, _on: bool) {}

    /// Whether the page cache holds all of a range, so that sending it does not wait for the disk. `false` where that
    /// cannot be known.
    fn is_cached(&self, position: u64, length: u64) -> bool;

    /// Cuts the file, or grows it by zeros. Durable after [`DiskFile::flush`].
    fn set_length(&self, length: u64) -> impl Future<Output = Result<(), DiskError>>;

    /// The present length.
    fn length(&self) -> impl Future<Output = Result<u64, DiskError>>;

    /// A part of the file for a reader on any core. Keeps the file open.
    fn range(&self, position: u64, length: u64) -> Result<FileRange, DiskError>;

    /// Whether a [`FileRange`] of this open file is still alive: what it covers must not be overwritten then.
    fn has_outstanding_ranges(&self) -> bool;
}

/// Refuses paths that are absolute, leave the root or are no paths at all.
fn check_path(path: &str, operation: Operation) -> Result<(), DiskError> {
    let sound = !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if sound { Ok(()) } else { Err(DiskError::new(DiskErrorKind::InvalidPath, operation, path)) }
}

/// As [`check_path`], for the verbs that may name the root itself.
fn check_directory_path(path: &str, operation: Operation) -> Result<(), DiskError> {
    if path.is_empty() { Ok(()) } else { check_path(path, operation) }
}

/// The folder that holds a path; the root is the empty path.
fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _name)| parent)
}
