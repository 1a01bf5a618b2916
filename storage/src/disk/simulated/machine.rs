//! The machine with the disk: power, planned faults, files and names.

use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Range;

use super::{
    super::DiskErrorKind,
    SimulatedDiskOptions,
    inode::{Inode, InodeId, Survival},
    names::{NameChange, Names, Node},
    random::Random,
};

/// What a failing device reports.
pub(super) const EIO: DiskErrorKind = DiskErrorKind::Io { errno: 5 };
/// What a folder is answered with where a file is needed.
pub(super) const IS_A_DIRECTORY: DiskErrorKind = DiskErrorKind::Io { errno: 21 };

pub(super) struct Machine {
    random: Random,
    names: Names,
    inodes: BTreeMap<InodeId, Inode>,
    next_inode: u64,
    /// Numbers completed changes, so that a flush knows what it covers.
    sequence: u64,
    writes: Vec<WriteUnderWay>,
    next_write: u64,
    operations: u64,
    /// The operation during which the power goes.
    cut_at: Option<u64>,
    off: bool,
    faults: Faults,
    capacity_bytes: u64,
    one_flush_covers_all: bool,
}

struct WriteUnderWay {
    id: WriteId,
    inode: InodeId,
    position: u64,
    bytes: Vec<u8>,
}

/// A write that has begun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct WriteId(u64);

/// Errors that a test has asked for, as countdowns.
#[derive(Default)]
pub(super) struct Faults {
    write: Option<u64>,
    flush: Option<u64>,
    read: Option<(u64, DiskErrorKind)>,
}

impl Faults {
    pub(super) fn fail_write(&mut self, nth: u64) {
        self.write = Some(nth);
    }

    pub(super) fn fail_flush(&mut self, nth: u64) {
        self.flush = Some(nth);
    }

    pub(super) fn fail_read(&mut self, nth: u64, kind: DiskErrorKind) {
        self.read = Some((nth, kind));
    }

    pub(super) fn is_read_to_fail(&self) -> bool {
        self.read.is_some()
    }

    /// What the read that is made now ends with, if it fails.
    pub(super) fn of_next_read(&mut self) -> Option<DiskErrorKind> {
        let (left, kind) = self.read.take()?;
        let mut countdown = Some(left);
        let due = is_due(&mut countdown);
        self.read = countdown.map(|left| (left, kind));
        due.then_some(kind)
    }
}

/// Counts down; true when it reaches zero.
fn is_due(countdown: &mut Option<u64>) -> bool {
    let Some(left) = countdown else { return false };
    *left = left.saturating_sub(1);
    let due = *left == 0;
    if due {
        *countdown = None;
    }
    due
}

impl Machine {
    pub(super) fn new(options: &SimulatedDiskOptions) -> Machine {
        Machine {
            random: Random::new(options.seed),
            names: Names::default(),
            inodes: BTreeMap::new(),
            next_inode: 0,
            sequence: 0,
            writes: Vec::new(),
            next_write: 0,
            operations: 0,
            cut_at: None,
            off: false,
            faults: Faults::default(),
            capacity_bytes: options.capacity_bytes,
            one_flush_covers_all: options.one_flush_covers_all,
        }
    }

    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn is_off(&self) -> bool {
        self.off
    }

    pub(super) fn set_capacity(&mut self, capacity_bytes: u64) {
        self.capacity_bytes = capacity_bytes;
    }

    pub(super) fn drop_page_cache(&mut self) {
        self.inodes.values_mut().for_each(Inode::drop_cached);
    }

    pub(super) fn inode(&mut self, inode: InodeId) -> &mut Inode {
        self.inodes.get_mut(&inode).expect("a file that is named or open has its content")
    }

    pub(super) fn file_at(&mut self, path: &str) -> Option<&mut Inode> {
        match self.names.get(path)? {
            Node::File(inode) => self.inodes.get_mut(&inode),
            Node::Directory => None,
        }
    }

    pub(super) fn create_inode(&mut self) -> InodeId {
        let inode = InodeId(self.next_inode);
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::default());
        inode
    }

    pub(super) fn put_durable(&mut self, path: &str, contents: &[u8]) {
        let inode = self.create_inode();
        self.inodes.insert(inode, Inode::durable(contents));
        self.names.put_durable(path, inode);
    }

    pub(super) fn cut_power_at(&mut self, nth: u64) {
        assert!(nth > 0, "the next operation is the first");
        self.cut_at = Some(self.operations + nth);
    }

    /// Counts an operation; whether the power goes during it.
    fn count(&mut self) -> bool {
        self.operations += 1;
        self.cut_at == Some(self.operations)
    }

    /// The power goes: writes under way may have been written in part, what was not flushed survives or not.
    pub(super) fn cut_power(&mut self) {
        if self.off {
            return;
        }
        self.off = true;
        for write in core::mem::take(&mut self.writes) {
            let sequence = self.next_sequence();
            self.inode(write.inode).write(write.position, &write.bytes, sequence);
        }
        let survival = Survival::pick(&mut self.random);
        let random = &mut self.random;
        self.names = core::mem::take(&mut self.names).after_power_cut(random);
        for inode in self.inodes.values_mut() {
            *inode = core::mem::take(inode).after_power_cut(survival, random);
        }
        let names = &self.names;
        self.inodes.retain(|inode, _content| names.refer_to(*inode));
    }

    /// A machine with what survived.
    pub(super) fn after_restart(&self) -> Machine {
        assert!(self.off, "only a machine that is off can be restarted");
        let mut random = self.random.clone();
        Machine {
            random: Random::new(random.next_u64()),
            names: self.names.clone(),
            inodes: self.inodes.clone(),
            next_inode: self.next_inode,
            sequence: 0,
            writes: Vec::new(),
            next_write: 0,
            operations: 0,
            cut_at: None,
            off: false,
            faults: Faults::default(),
            capacity_bytes: self.capacity_bytes,
            one_flush_covers_all: self.one_flush_covers_all,
        }
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// A write begins; [`Machine::end_write`] has to follow, whatever becomes of who waits for it.
    pub(super) fn begin_write(
        &mut self,
        inode: InodeId,
        position: u64,
        bytes: &[u8],
    ) -> Result<WriteId, DiskErrorKind> {
        let cut = self.count();
        let range = position..position + bytes.len() as u64;
        if !cut {
            self.check_room(inode, range.clone())?;
        }
        let overlaps = |write: &WriteUnderWay| {
            let end = write.position + write.bytes.len() as u64;
            write.inode == inode && write.position < range.end && range.start < end
        };
        assert!(
            !self.writes.iter().any(overlaps),
            "two writes under way overlap at {range:?}: either may land last"
        );
        let id = WriteId(self.next_write);
        self.next_write += 1;
        self.writes.push(WriteUnderWay { id, inode, position, bytes: bytes.to_vec() });
        if cut {
            self.cut_power();
            return Err(DiskErrorKind::PowerCut);
        }
        Ok(id)
    }

    fn check_room(&mut self, inode: InodeId, range: Range<u64>) -> Result<(), DiskErrorKind> {
        let needed = self.inode(inode).needed_for(range);
        if needed == 0 {
            return Ok(());
        }
        let names = &self.names;
        let present = self.inodes.iter().filter(|(id, inode)| inode.open_count > 0 || names.is_visible(**id));
        let used: u64 = present.map(|(_id, inode)| inode.occupied()).sum();
        if used.saturating_add(needed) > self.capacity_bytes { Err(DiskErrorKind::Full) } else { Ok(()) }
    }

    /// A write completes: its bytes are seen, and durable when they are flushed. After a power cut there is nothing to end.
    pub(super) fn end_write(&mut self, id: WriteId) -> Result<(), DiskErrorKind> {
        self.complete_write(id).map(|_done| ())
    }

    /// A write completes whose bytes are durable with it. It says nothing of any other write.
    pub(super) fn end_durable_write(&mut self, id: WriteId) -> Result<(), DiskErrorKind> {
        let (inode, sequence) = self.complete_write(id)?;
        let fails = is_due(&mut self.faults.flush);
        let content = self.inodes.get_mut(&inode).expect("a file that was written to has its content");
        if fails {
            content.lose_write(sequence, &mut self.random);
            return Err(EIO);
        }
        content.flush_write(sequence);
        Ok(())
    }

    /// The file that was written to, and the number of the change.
    fn complete_write(&mut self, id: WriteId) -> Result<(InodeId, u64), DiskErrorKind> {
        let Some(at) = self.writes.iter().position(|write| write.id == id) else {
            return Err(DiskErrorKind::PowerCut);
        };
        let mut write = self.writes.remove(at);
        let fails = is_due(&mut self.faults.write);
        if fails {
            self.mix_with_old(&mut write);
        }
        let sequence = self.next_sequence();
        self.inode(write.inode).write(write.position, &write.bytes, sequence);
        if fails { Err(EIO) } else { Ok((write.inode, sequence)) }
    }

    /// A failed write: each sector is the old one or the new one. What would grow the file is cut off.
    fn mix_with_old(&mut self, write: &mut WriteUnderWay) {
        let old = self.inode(write.inode).read(write.position, write.bytes.len()).to_vec();
        write.bytes.truncate(old.len());
        for (new, old) in write.bytes.chunks_mut(512).zip(old.chunks(512)) {
            if self.random.chance(2) {
                new.copy_from_slice(old);
            }
        }
    }

    pub(super) fn set_length(&mut self, inode: InodeId, length: u64) -> Result<(), DiskErrorKind> {
        let cut = self.count();
        let sequence = self.next_sequence();
        self.inode(inode).set_length(length, sequence);
        self.power_goes(cut)
    }

    /// A flush begins; returns what it will cover.
    pub(super) fn begin_flush(&mut self) -> Result<u64, DiskErrorKind> {
        let cut = self.count();
        self.power_goes(cut)?;
        Ok(self.next_sequence())
    }

    /// A flush completes: what had completed before it began is durable.
    pub(super) fn end_flush(&mut self, inode: InodeId, covered: u64) -> Result<(), DiskErrorKind> {
        let fails = is_due(&mut self.faults.flush);
        for (id, content) in &mut self.inodes {
            let own = *id == inode;
            match (fails, own) {
                (true, _) if own || self.one_flush_covers_all => {
                    content.lose_some(covered, own, &mut self.random)
                }
                (false, true) => content.flush(covered),
                (false, false) if self.one_flush_covers_all => content.flush_overwrites(covered),
                _ => {}
            }
        }
        if fails { Err(EIO) } else { Ok(()) }
    }

    pub(super) fn change_names(&mut self, change: NameChange) -> Result<(), DiskErrorKind> {
        let cut = self.count();
        let possible = self.names.check(&change);
        if possible.is_ok() {
            self.names.change(change);
        }
        self.power_goes(cut)?;
        possible
    }

    pub(super) fn begin_names_flush(&mut self, directory: &str) -> Result<u64, DiskErrorKind> {
        let cut = self.count();
        self.power_goes(cut)?;
        if self.names.list(directory).is_none() {
            return Err(DiskErrorKind::NotFound);
        }
        Ok(self.names.flush_mark())
    }

    pub(super) fn end_names_flush(&mut self, directory: &str, mark: u64) {
        self.names.flush(directory, mark);
        let names = &self.names;
        self.inodes.retain(|inode, content| content.open_count > 0 || names.refer_to(*inode));
    }

    fn power_goes(&mut self, cut: bool) -> Result<(), DiskErrorKind> {
        if !cut {
            return Ok(());
        }
        self.cut_power();
        Err(DiskErrorKind::PowerCut)
    }

    pub(super) fn opened(&mut self, inode: InodeId) {
        self.inode(inode).open_count += 1;
    }

    pub(super) fn closed(&mut self, inode: InodeId) {
        if let Some(content) = self.inodes.get_mut(&inode) {
            content.open_count = content.open_count.saturating_sub(1);
        }
    }
}
