//! The real disk: one data directory, its facts, its ring and its memory.
//!
//! Everything that concerns names runs on blocking threads: it is rare, takes several system calls at once, and may wait
//! for the file system's journal.

use std::{
    cell::Cell,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    rc::Rc,
};

use super::{
    super::{
        Alignment, BufferPool, BufferPoolOptions, DirectoryEntry, Disk, DiskError, DiskErrorKind, EntryKind,
        OpenMode, Operation, REPLACEMENT_SUFFIX, check_directory_path, check_path, parent_of,
    },
    blocking::blocking,
    file::{DirectFile, errno_of},
    probe::DiskFacts,
    registered::RegisteredBuffers,
    ring::{Ring, Wait},
};

/// A data directory on the real disk, used by one shard. Clones share it.
#[derive(Clone)]
pub struct DirectDisk(Rc<Shared>);

struct Shared {
    root: PathBuf,
    facts: DiskFacts,
    ring: Ring,
    pool: BufferPool,
    registered: Rc<RegisteredBuffers>,
    /// The kernel or a security profile does not answer cachestat(2).
    page_cache_hidden: Cell<bool>,
}

impl DirectDisk {
    /// The data directory `root`, which exists, with what [`probe_disk`](super::probe_disk) found out about it.
    pub fn new(root: &Path, facts: DiskFacts, ring: Ring, buffers: BufferPoolOptions) -> DirectDisk {
        let alignment_bytes = buffers.alignment_bytes.max(facts.alignment.memory_bytes);
        let pool = BufferPool::new(BufferPoolOptions { alignment_bytes, ..buffers });
        let registered = Rc::new(RegisteredBuffers::new(ring.clone()));
        pool.set_registrar(registered.clone());
        let root = root.to_owned();
        DirectDisk(Rc::new(Shared {
            root,
            facts,
            ring,
            pool,
            registered,
            page_cache_hidden: Cell::new(false),
        }))
    }

    /// The ring, for its counters and for the readiness of sockets.
    pub fn ring(&self) -> &Ring {
        &self.0.ring
    }

    /// What was found out about the disk.
    pub fn facts(&self) -> &DiskFacts {
        &self.0.facts
    }

    pub(super) fn pool(&self) -> &BufferPool {
        &self.0.pool
    }

    pub(super) fn registered_slot(&self, registration: u64) -> Option<u16> {
        self.0.registered.slot(registration)
    }

    pub(super) fn page_cache_hidden(&self) -> bool {
        self.0.page_cache_hidden.get()
    }

    pub(super) fn set_page_cache_hidden(&self) {
        self.0.page_cache_hidden.set(true);
    }

    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.0.root.clone() } else { self.0.root.join(path) }
    }

    /// Runs `work` with the absolute path on a blocking thread.
    async fn at<R: Send + 'static>(
        &self,
        operation: Operation,
        path: &str,
        work: impl FnOnce(PathBuf) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, DiskError> {
        let absolute = self.absolute(path);
        blocking(move || work(absolute)).await.map_err(|failure| {
            let kind = match failure {
                Failure::System(error) => DiskErrorKind::from_errno(errno_of(&error)),
                Failure::TooLarge => DiskErrorKind::TooLarge,
            };
            DiskError::new(kind, operation, path)
        })
    }
}

enum Failure {
    System(io::Error),
    TooLarge,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::System(error)
    }
}

impl Disk for DirectDisk {
    type File = DirectFile;

    fn alignment(&self) -> Alignment {
        self.0.facts.alignment
    }

    fn one_flush_covers_all(&self) -> bool {
        self.0.facts.one_flush_covers_all()
    }

    fn buffers(&self) -> &BufferPool {
        &self.0.pool
    }

    fn submit(&self) {
        self.ring().enter(Wait::No);
    }

    async fn open(&self, path: &str, mode: OpenMode) -> Result<DirectFile, DiskError> {
        check_path(path, Operation::Open)?;
        let direct_flag = if self.0.facts.direct_io { libc::O_DIRECT } else { 0 };
        let opened = self.at(Operation::Open, path, move |absolute| {
            let file = OpenOptions::new()
                .read(true)
                .write(mode != OpenMode::Read)
                .create_new(mode == OpenMode::CreateNew)
                .mode(FILE_MODE)
                .custom_flags(direct_flag)
                .open(absolute)?;
            Ok(OwnedFd::from(file))
        });
        Ok(DirectFile::new(self.clone(), path, opened.await?))
    }

    async fn read_small(&self, path: &str, length_max: usize) -> Result<Vec<u8>, DiskError> {
        check_path(path, Operation::Read)?;
        self.at(Operation::Read, path, move |absolute| {
            let mut contents = Vec::new();
            File::open(absolute)?.take(length_max as u64 + 1).read_to_end(&mut contents)?;
            if contents.len() > length_max { Err(Failure::TooLarge) } else { Ok(contents) }
        })
        .await
    }

    async fn replace(&self, path: &str, contents: &[u8], durable: bool) -> Result<(), DiskError> {
        check_path(path, Operation::Replace)?;
        let contents = contents.to_vec();
        let folder = self.absolute(parent_of(path));
        self.at(Operation::Replace, path, move |absolute| {
            let mut replacement = absolute.clone().into_os_string();
            replacement.push(REPLACEMENT_SUFFIX);
            let options =
                OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).to_owned();
            let mut file = options.open(&replacement)?;
            file.write_all(&contents)?;
            if durable {
                file.sync_data()?;
            }
            fs::rename(&replacement, &absolute)?;
            if durable {
                File::open(folder)?.sync_all()?;
            }
            Ok(())
        })
        .await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        check_path(from, Operation::Rename)?;
        check_path(to, Operation::Rename)?;
        let to = self.absolute(to);
        self.at(Operation::Rename, from, move |from| Ok(fs::rename(from, to)?)).await
    }

    async fn remove(&self, path: &str) -> Result<(), DiskError> {
        check_path(path, Operation::Remove)?;
        self.at(Operation::Remove, path, |absolute| Ok(fs::remove_file(absolute)?)).await
    }

    async fn create_directory(&self, path: &str) -> Result<(), DiskError> {
        check_path(path, Operation::CreateDirectory)?;
        let root = self.0.root.clone();
        self.at(Operation::CreateDirectory, path, move |absolute| Ok(create_directory(&root, &absolute)?))
            .await
    }

    async fn remove_directory(&self, path: &str) -> Result<(), DiskError> {
        check_path(path, Operation::Remove)?;
        self.at(Operation::Remove, path, |absolute| Ok(fs::remove_dir(absolute)?)).await
    }

    async fn list(&self, path: &str) -> Result<Vec<DirectoryEntry>, DiskError> {
        check_directory_path(path, Operation::List)?;
        self.at(Operation::List, path, |absolute| Ok(list(&absolute)?)).await
    }

    async fn flush_directory(&self, path: &str) -> Result<(), DiskError> {
        check_directory_path(path, Operation::FlushDirectory)?;
        self.at(Operation::FlushDirectory, path, |absolute| Ok(File::open(absolute)?.sync_all()?)).await
    }
}

/// Records may be anybody's secrets: the group may read them (for tools and backups), others may not.
const FILE_MODE: u32 = 0o640;

/// Creates what is missing between `root` and `path`, and flushes each folder that got a new name.
fn create_directory(root: &Path, path: &Path) -> io::Result<()> {
    let relative = path.strip_prefix(root).map_err(io::Error::other)?;
    let mut parent = root.to_owned();
    for name in relative.components() {
        let child = parent.join(name);
        match fs::create_dir(&child) {
            Ok(()) => File::open(&parent)?.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && child.is_dir() => {}
            Err(error) => return Err(error),
        }
        parent = child;
    }
    Ok(())
}

fn list(path: &Path) -> io::Result<Vec<DirectoryEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // Removed while we looked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let kind = match metadata.file_type() {
            kind if kind.is_file() => EntryKind::File,
            kind if kind.is_dir() => EntryKind::Directory,
            _ => EntryKind::Other,
        };
        let size_bytes = if kind == EntryKind::File { metadata.len() } else { 0 };
        entries.push(DirectoryEntry {
            name: entry.file_name().to_string_lossy().into_owned(),
            kind,
            size_bytes,
        });
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}
