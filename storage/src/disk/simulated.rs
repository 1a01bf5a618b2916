//! A disk that lies as real ones do, decided by a seed.
//!
//! Every file has what reads see and what would survive a power cut; between the two lie the changes that no flush has
//! covered. A power cut keeps, loses or tears each of them (in sectors of 512 bytes), in any order; a changed name that no
//! [`Disk::flush_directory`] covered comes back or not. Errors, a full disk, bit flips and power cuts happen when a test
//! asks for them; the futures end at once or after a seeded number of polls.
//!
//! The rule that one flush covers all files is modelled as it is true on ext4 and XFS: completed overwrites of ranges that
//! are durable become durable with the flush of any file, everything that changes a file's length or fills a hole only with
//! its own. A flush covers the writes that had completed when it began.
//!
//! What a caller must never do ends in a panic: two writes under way that overlap, a write that changes bytes for which a
//! [`FileRange`](super::FileRange) is outstanding.
//!
//! Counted as operations, and so as places for a power cut: writes, flushes, lengths, and every single step that changes or
//! flushes names; a [`Disk::replace`] is several.

mod executor;
mod file;
mod inode;
mod intervals;
mod machine;
mod names;
mod random;

use alloc::{format, rc::Rc, string::ToString, vec::Vec};
use core::cell::RefCell;

pub use self::{
    executor::{Executor, Spawner, block_on},
    file::SimulatedFile,
    random::Random,
};
use self::{
    inode::InodeId,
    machine::Machine,
    names::{NameChange, Node},
};
use super::{
    Alignment, BufferPool, BufferPoolOptions, DirectoryEntry, Disk, DiskError, DiskErrorKind, EntryKind,
    OpenMode, Operation, REPLACEMENT_SUFFIX, check_directory_path, check_path, parent_of,
};

/// How a simulated disk is set up.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedDiskOptions {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// What direct reads and writes have to be aligned to.
    pub alignment: Alignment,
    /// Whether one flush makes overwrites of durable ranges of all files durable.
    pub one_flush_covers_all: bool,
    /// Bytes that fit on the disk.
    pub capacity_bytes: u64,
    /// The memory for direct reads and writes.
    pub buffers: BufferPoolOptions,
    /// Most polls that a future takes to end; 0 ends everything at once.
    pub polls_max: u32,
}

impl Default for SimulatedDiskOptions {
    fn default() -> SimulatedDiskOptions {
        SimulatedDiskOptions {
            seed: 0,
            alignment: Alignment { memory_bytes: 4096, position_bytes: 4096 },
            one_flush_covers_all: true,
            capacity_bytes: u64::MAX,
            buffers: BufferPoolOptions::default(),
            polls_max: 0,
        }
    }
}

/// A disk that lies. Clones share it.
#[derive(Clone)]
pub struct SimulatedDisk {
    machine: Rc<RefCell<Machine>>,
    options: SimulatedDiskOptions,
    pool: BufferPool,
}

/// What a test does to the disk.
impl SimulatedDisk {
    /// An empty disk.
    pub fn new(options: SimulatedDiskOptions) -> SimulatedDisk {
        SimulatedDisk::with_machine(Machine::new(&options), options)
    }

    fn with_machine(machine: Machine, options: SimulatedDiskOptions) -> SimulatedDisk {
        let pool = BufferPool::new(options.buffers);
        SimulatedDisk { machine: Rc::new(RefCell::new(machine)), options, pool }
    }

    /// Operations so far, reads not counted.
    pub fn operations(&self) -> u64 {
        self.machine.borrow().operations()
    }

    /// Cuts the power during the `nth` operation from now (1: the next one): the ones before end as usual, that one and
    /// everything after it fails with [`DiskErrorKind::PowerCut`].
    pub fn cut_power_at(&self, nth: u64) {
        self.machine.borrow_mut().cut_power_at(nth);
    }

    /// Cuts the power now.
    pub fn cut_power(&self) {
        self.machine.borrow_mut().cut_power();
    }

    /// Whether the power is off.
    pub fn is_power_cut(&self) -> bool {
        self.machine.borrow().is_off()
    }

    /// Cuts the power, if it is still on, and returns the disk as it is after a restart. What was open on the old one
    /// fails for ever. Capacity stays; planned errors and cuts are forgotten.
    #[must_use]
    pub fn restart(&self) -> SimulatedDisk {
        self.cut_power();
        let machine = self.machine.borrow().after_restart();
        SimulatedDisk::with_machine(machine, self.options)
    }

    /// The `nth` write from now (1: the next one) ends with EIO; what it leaves behind is any mixture of old and new.
    pub fn fail_write(&self, nth: u64) {
        self.machine.borrow_mut().faults().fail_write(nth);
    }

    /// The `nth` flush from now (1: the next one) ends with EIO and forgets some of what it had to make durable; the flush
    /// after it succeeds all the same, as on ext4.
    pub fn fail_flush(&self, nth: u64) {
        self.machine.borrow_mut().faults().fail_flush(nth);
    }

    /// The `nth` read from now (1: the next one) ends with EIO.
    pub fn fail_read(&self, nth: u64) {
        self.fail_read_with(nth, machine::EIO);
    }

    /// The `nth` read from now (1: the next one) ends with an error of this kind.
    pub fn fail_read_with(&self, nth: u64, kind: DiskErrorKind) {
        self.machine.borrow_mut().faults().fail_read(nth, kind);
    }

    /// Whether a read that was asked to fail has not come yet.
    pub fn is_read_to_fail(&self) -> bool {
        self.machine.borrow_mut().faults().is_read_to_fail()
    }

    /// From now on this many bytes fit on the disk; it may hold more already.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        self.machine.borrow_mut().set_capacity(capacity_bytes);
    }

    /// Flips one bit of a file, for reads and for ever.
    ///
    /// # Panics
    /// When there is no such byte.
    pub fn flip_bit(&self, path: &str, position: u64, bit: u8) {
        self.machine.borrow_mut().file_at(path).expect("a file to damage").flip_bit(position, bit);
    }

    /// What reads of a file see now; `None` when there is no such file.
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        self.machine.borrow_mut().file_at(path).map(|inode| inode.visible().to_vec())
    }

    /// Puts a file there, durably, as a test's starting point.
    pub fn put_durable(&self, path: &str, contents: &[u8]) {
        self.machine.borrow_mut().put_durable(path, contents);
    }

    /// Forgets which parts of files the page cache holds.
    pub fn drop_page_cache(&self) {
        self.machine.borrow_mut().drop_page_cache();
    }
}

impl SimulatedDisk {
    fn error(kind: DiskErrorKind, operation: Operation, path: &str) -> DiskError {
        DiskError::new(kind, operation, path)
    }

    /// Waits for a seeded number of polls; an error when the power was cut meanwhile.
    async fn latency(&self, operation: Operation, path: &str) -> Result<(), DiskError> {
        let polls = self.machine.borrow_mut().random().below(u64::from(self.options.polls_max) + 1);
        for _ in 0..polls {
            executor::yield_now().await;
        }
        self.check_power(operation, path)
    }

    fn check_power(&self, operation: Operation, path: &str) -> Result<(), DiskError> {
        if self.is_power_cut() {
            return Err(SimulatedDisk::error(DiskErrorKind::PowerCut, operation, path));
        }
        Ok(())
    }

    /// One step that changes names, with its latency.
    async fn change_names(
        &self,
        operation: Operation,
        path: &str,
        change: NameChange,
    ) -> Result<(), DiskError> {
        self.check_power(operation, path)?;
        let counted = self.machine.borrow_mut().change_names(change);
        counted.map_err(|kind| SimulatedDisk::error(kind, operation, path))?;
        self.latency(operation, path).await
    }

    async fn create_file(&self, operation: Operation, path: &str) -> Result<InodeId, DiskError> {
        self.check_power(operation, path)?;
        let inode = self.machine.borrow_mut().create_inode();
        let change = NameChange::Add { path: path.to_string(), node: Node::File(inode) };
        self.change_names(operation, path, change).await?;
        Ok(inode)
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;

    fn alignment(&self) -> Alignment {
        self.options.alignment
    }

    fn one_flush_covers_all(&self) -> bool {
        self.options.one_flush_covers_all
    }

    fn buffers(&self) -> &BufferPool {
        &self.pool
    }

    async fn open(&self, path: &str, mode: OpenMode) -> Result<SimulatedFile, DiskError> {
        check_path(path, Operation::Open)?;
        self.latency(Operation::Open, path).await?;
        let found = self.machine.borrow().names().get(path);
        let inode = match (mode, found) {
            (OpenMode::CreateNew, Some(_taken)) => {
                return Err(SimulatedDisk::error(DiskErrorKind::Exists, Operation::Open, path));
            }
            (OpenMode::CreateNew, None) => self.create_file(Operation::Open, path).await?,
            (OpenMode::Read | OpenMode::ReadWrite, Some(Node::File(inode))) => inode,
            (OpenMode::Read | OpenMode::ReadWrite, Some(Node::Directory)) => {
                return Err(SimulatedDisk::error(machine::IS_A_DIRECTORY, Operation::Open, path));
            }
            (OpenMode::Read | OpenMode::ReadWrite, None) => {
                return Err(SimulatedDisk::error(DiskErrorKind::NotFound, Operation::Open, path));
            }
        };
        Ok(SimulatedFile::new(self.clone(), path, inode, mode != OpenMode::Read))
    }

    async fn read_small(&self, path: &str, length_max: usize) -> Result<Vec<u8>, DiskError> {
        check_path(path, Operation::Read)?;
        self.latency(Operation::Read, path).await?;
        let mut machine = self.machine.borrow_mut();
        let fail = |kind| SimulatedDisk::error(kind, Operation::Read, path);
        if let Some(kind) = machine.faults().of_next_read() {
            return Err(fail(kind));
        }
        let inode = machine.file_at(path).ok_or_else(|| fail(DiskErrorKind::NotFound))?;
        if inode.visible().len() > length_max {
            return Err(fail(DiskErrorKind::TooLarge));
        }
        Ok(inode.visible().to_vec())
    }

    async fn replace(&self, path: &str, contents: &[u8], durable: bool) -> Result<(), DiskError> {
        check_path(path, Operation::Replace)?;
        let replacement = format!("{path}{REPLACEMENT_SUFFIX}");
        let inode = self.create_file(Operation::Replace, &replacement).await?;
        let file = SimulatedFile::new(self.clone(), &replacement, inode, true);
        file.write_unaligned(0, contents).await?;
        if durable {
            super::DiskFile::flush(&file).await?;
        }
        self.rename(&replacement, path).await?;
        if durable {
            self.flush_directory(parent_of(path)).await?;
        }
        Ok(())
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        check_path(from, Operation::Rename)?;
        check_path(to, Operation::Rename)?;
        let change = NameChange::Rename { from: from.to_string(), to: to.to_string() };
        self.change_names(Operation::Rename, from, change).await
    }

    async fn remove(&self, path: &str) -> Result<(), DiskError> {
        check_path(path, Operation::Remove)?;
        let change = NameChange::RemoveFile { path: path.to_string() };
        self.change_names(Operation::Remove, path, change).await
    }

    async fn create_directory(&self, path: &str) -> Result<(), DiskError> {
        check_path(path, Operation::CreateDirectory)?;
        let ends = path.match_indices('/').map(|(end, _slash)| end).chain([path.len()]);
        for folder in ends.map(|end| &path[..end]) {
            self.check_power(Operation::CreateDirectory, folder)?;
            let found = self.machine.borrow().names().get(folder);
            match found {
                Some(Node::Directory) => continue,
                Some(Node::File(_)) => {
                    return Err(SimulatedDisk::error(
                        DiskErrorKind::Exists,
                        Operation::CreateDirectory,
                        folder,
                    ));
                }
                None => {}
            }
            let change = NameChange::Add { path: folder.to_string(), node: Node::Directory };
            self.change_names(Operation::CreateDirectory, folder, change).await?;
            self.flush_directory(parent_of(folder)).await?;
        }
        Ok(())
    }

    async fn remove_directory(&self, path: &str) -> Result<(), DiskError> {
        check_path(path, Operation::Remove)?;
        let change = NameChange::RemoveDirectory { path: path.to_string() };
        self.change_names(Operation::Remove, path, change).await
    }

    async fn list(&self, path: &str) -> Result<Vec<DirectoryEntry>, DiskError> {
        check_directory_path(path, Operation::List)?;
        self.latency(Operation::List, path).await?;
        let mut machine = self.machine.borrow_mut();
        let found = machine.names().list(path);
        let found =
            found.ok_or_else(|| SimulatedDisk::error(DiskErrorKind::NotFound, Operation::List, path))?;
        let entry = |(name, node)| match node {
            Node::Directory => DirectoryEntry { name, kind: EntryKind::Directory, size_bytes: 0 },
            Node::File(inode) => {
                let size_bytes = machine.inode(inode).visible().len() as u64;
                DirectoryEntry { name, kind: EntryKind::File, size_bytes }
            }
        };
        Ok(found.into_iter().map(entry).collect())
    }

    async fn flush_directory(&self, path: &str) -> Result<(), DiskError> {
        check_directory_path(path, Operation::FlushDirectory)?;
        self.check_power(Operation::FlushDirectory, path)?;
        let begun = self.machine.borrow_mut().begin_names_flush(path);
        let covered = begun.map_err(|kind| SimulatedDisk::error(kind, Operation::FlushDirectory, path))?;
        self.latency(Operation::FlushDirectory, path).await?;
        self.machine.borrow_mut().end_names_flush(path, covered);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
