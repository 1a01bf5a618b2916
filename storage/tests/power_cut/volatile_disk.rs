//! A block device that forgets: a file under FUSE, to be used through a loop device.
//!
//! Writes stay in its cache until the file is flushed, as in a disk. A power cut keeps, drops or tears (in sectors of 512
//! bytes) each cached write, decided by a seed; from then on every access fails until the power is on again.

use std::{
    ffi::OsStr,
    fmt, io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use fuser::{
    BackgroundSession, FileAttr, FileType, Filesystem, MountOption, ReplyAttr, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, consts::FOPEN_DIRECT_IO,
};
use ringmain_storage::disk::simulated::Random;

const SECTOR_BYTES: usize = 512;
const FOLDER: u64 = 1;
const DEVICE: u64 = 2;
const DEVICE_NAME: &str = "device";
/// Nothing about the device changes behind the kernel's back.
const ATTRIBUTES_VALID: Duration = Duration::from_secs(3600);

/// The device, as long as this lives.
pub(crate) struct VolatileDisk {
    cells: Arc<Mutex<Cells>>,
    path: PathBuf,
    _session: BackgroundSession,
}

/// What became of the cache at a power cut.
pub(crate) struct CutReport {
    cached: usize,
    kept: usize,
    torn: usize,
}

impl VolatileDisk {
    /// A device of zeros, as a file in the folder `mount_point`.
    pub(crate) fn start(mount_point: &Path, size_bytes: usize) -> io::Result<VolatileDisk> {
        let cells =
            Cells { seen: vec![0; size_bytes], durable: vec![0; size_bytes], cache: Vec::new(), off: false };
        let cells = Arc::new(Mutex::new(cells));
        let options = [MountOption::FSName("ringmain-power-cut".into()), MountOption::DefaultPermissions];
        let session = fuser::spawn_mount2(Served(cells.clone()), mount_point, &options)?;
        Ok(VolatileDisk { cells, path: mount_point.join(DEVICE_NAME), _session: session })
    }

    /// The file to put a loop device on.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The power goes.
    pub(crate) fn cut_power(&self, random: &mut Random) -> CutReport {
        lock(&self.cells).cut_power(random)
    }

    /// The power comes back.
    pub(crate) fn restore_power(&self) {
        lock(&self.cells).off = false;
    }
}

impl fmt::Display for CutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} writes in the cache, {} kept, {} torn", self.cached, self.kept, self.torn)
    }
}

struct Cells {
    seen: Vec<u8>,
    durable: Vec<u8>,
    cache: Vec<CachedWrite>,
    off: bool,
}

struct CachedWrite {
    position: usize,
    bytes: Vec<u8>,
}

/// How a power cut treats the cache.
enum Loss {
    All,
    /// What came last.
    Newest,
    /// Any, whole.
    Some,
    /// Any, and some in part.
    Torn,
}

impl Cells {
    fn write(&mut self, position: usize, bytes: &[u8]) -> Result<(), i32> {
        let cells = self.seen.get_mut(position..position + bytes.len()).ok_or(libc::ENOSPC)?;
        cells.copy_from_slice(bytes);
        self.cache.push(CachedWrite { position, bytes: bytes.to_vec() });
        Ok(())
    }

    fn flush(&mut self) {
        for write in self.cache.drain(..) {
            self.durable[write.position..write.position + write.bytes.len()].copy_from_slice(&write.bytes);
        }
    }

    fn cut_power(&mut self, random: &mut Random) -> CutReport {
        self.off = true;
        let cache = mem::take(&mut self.cache);
        let loss = match random.below(6) {
            0 => Loss::All,
            1 => Loss::Newest,
            2 | 3 => Loss::Some,
            _ => Loss::Torn,
        };
        let oldest = random.below(cache.len() as u64 + 1) as usize;
        let mut report = CutReport { cached: cache.len(), kept: 0, torn: 0 };
        for (number, write) in cache.iter().enumerate() {
            let kept = match loss {
                Loss::All => false,
                Loss::Newest => number < oldest,
                Loss::Some | Loss::Torn => random.chance(2),
            };
            let torn = matches!(loss, Loss::Torn) && random.chance(2);
            report.kept += usize::from(kept && !torn);
            report.torn += usize::from(torn);
            for (sector, bytes) in write.bytes.chunks(SECTOR_BYTES).enumerate() {
                if if torn { random.chance(2) } else { kept } {
                    let at = write.position + sector * SECTOR_BYTES;
                    self.durable[at..at + bytes.len()].copy_from_slice(bytes);
                }
            }
        }
        for write in &cache {
            let range = write.position..write.position + write.bytes.len();
            self.seen[range.clone()].copy_from_slice(&self.durable[range]);
        }
        report
    }
}

fn lock(cells: &Mutex<Cells>) -> MutexGuard<'_, Cells> {
    cells.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the kernel is served: a folder with one file in it.
struct Served(Arc<Mutex<Cells>>);

impl Served {
    /// The cells, unless the power is off.
    fn powered(&self) -> Result<MutexGuard<'_, Cells>, i32> {
        let cells = lock(&self.0);
        if cells.off { Err(libc::EIO) } else { Ok(cells) }
    }

    fn attributes(&self, inode: u64) -> Option<FileAttr> {
        let (kind, perm, size) = match inode {
            FOLDER => (FileType::Directory, 0o700, 0),
            DEVICE => (FileType::RegularFile, 0o600, lock(&self.0).seen.len() as u64),
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
        match self.powered() {
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
        let written = position.and_then(|position| self.powered()?.write(position, data));
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
        match self.powered() {
            Ok(mut cells) => {
                cells.flush();
                reply.ok();
            }
            Err(errno) => reply.error(errno),
        }
    }
}
