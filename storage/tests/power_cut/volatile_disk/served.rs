//! What the kernel is served: a folder with one file in it, the device.

use std::{
    ffi::OsStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use fuser::{
    FileAttr, FileType, Filesystem, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite,
    Request, consts::FOPEN_DIRECT_IO,
};

use super::{
    DEVICE_NAME,
    cells::{Access, SECTOR_BYTES, Shared},
};

const FOLDER: u64 = 1;
const DEVICE: u64 = 2;
/// Nothing about the device changes behind the kernel's back.
const ATTRIBUTES_VALID: Duration = Duration::from_secs(3600);

/// Answers the kernel.
pub(super) struct Served(pub(super) Arc<Shared>);

impl Served {
    fn attributes(&self, inode: u64) -> Option<FileAttr> {
        let (kind, perm, size) = match inode {
            FOLDER => (FileType::Directory, 0o700, 0),
            DEVICE => (FileType::RegularFile, 0o600, self.0.lock().seen.len() as u64),
            _ => return None,
        };
        let time = SystemTime::UNIX_EPOCH;
        Some(FileAttr {
            ino: inode,
            size,
            blocks: size / SECTOR_BYTES as u64,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

impl Filesystem for Served {
    fn lookup(&mut self, _request: &Request<'_>, _parent: u64, name: &OsStr, reply: ReplyEntry) {
        match self.attributes(DEVICE) {
            Some(attributes) if name == DEVICE_NAME => reply.entry(&ATTRIBUTES_VALID, &attributes, 0),
            _ => reply.error(libc::ENOENT),
        }
    }

    fn getattr(&mut self, _request: &Request<'_>, inode: u64, _handle: Option<u64>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&ATTRIBUTES_VALID, &attributes),
            None => reply.error(libc::ENOENT),
        }
    }

    /// Times and modes are accepted and forgotten; the length of a device does not change.
    fn setattr(
        &mut self,
        _request: &Request<'_>,
        inode: u64,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<fuser::TimeOrNow>,
        _mtime: Option<fuser::TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<u64>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<u32>,
        reply: ReplyAttr,
    ) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&ATTRIBUTES_VALID, &attributes),
            None => reply.error(libc::ENOENT),
        }
    }

    /// Past the page cache: otherwise that would hold what the device has to forget.
    fn open(&mut self, _request: &Request<'_>, _inode: u64, _flags: i32, reply: ReplyOpen) {
        reply.opened(0, FOPEN_DIRECT_IO);
    }

    fn read(
        &mut self,
        _request: &Request<'_>,
        _inode: u64,
        _handle: u64,
        offset: i64,
        size: u32,
        _flags: i32,
        _lock_owner: Option<u64>,
        reply: ReplyData,
    ) {
        match self.0.access(Access::Read) {
            Ok(cells) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(cells.seen.len());
                let end = start.saturating_add(size as usize).min(cells.seen.len());
                reply.data(&cells.seen[start..end]);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &mut self,
        _request: &Request<'_>,
        _inode: u64,
        _handle: u64,
        offset: i64,
        data: &[u8],
        _write_flags: u32,
        _flags: i32,
        _lock_owner: Option<u64>,
        reply: ReplyWrite,
    ) {
        let position = usize::try_from(offset).map_err(|_negative| libc::EINVAL);
        let written = position.and_then(|position| self.0.access(Access::Write)?.write(position, data));
        match written {
            Ok(()) => reply.written(data.len() as u32),
            Err(errno) => reply.error(errno),
        }
    }

    fn fsync(
        &mut self,
        _request: &Request<'_>,
        _inode: u64,
        _handle: u64,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        match self.0.access(Access::Flush) {
            Ok(mut cells) => {
                cells.flush();
                reply.ok();
            }
            Err(errno) => reply.error(errno),
        }
    }
}
