//! The content of one file: what reads see, what is durable, and the changes in between.
//!
//! What must hold: `settled` lies within the durable length; a change is either waiting or applied to `durable`; applying
//! all changes in their order to `durable` gives `visible`, unless an error of the device has lost some.

use alloc::{
    sync::{Arc, Weak},
    vec,
    vec::Vec,
};
use core::{mem, ops::Range};

use super::{intervals::Intervals, random::Random};

/// What a disk writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Which file; never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InodeId(pub(super) u64);

#[derive(Clone, Default)]
pub(super) struct Inode {
    visible: Vec<u8>,
    durable: Vec<u8>,
    /// Parts of `visible` that have blocks of their own: everything but holes.
    written: Intervals,
    /// Parts of `durable` that have blocks: overwriting them changes nothing but their content.
    settled: Intervals,
    /// In the order in which they completed.
    changes: Vec<Change>,
    /// Parts that the page cache holds.
    cached: Intervals,
    outstanding: Vec<(Weak<()>, Range<u64>)>,
    /// Open files that refer to it.
    pub(super) open_count: usize,
}

#[derive(Clone)]
struct Change {
    /// Of the whole machine: a flush covers the changes with a smaller number than its own.
    sequence: u64,
    kind: ChangeKind,
}

#[derive(Clone)]
enum ChangeKind {
    /// Of a settled range: any flush makes it durable.
    Overwrite { position: u64, bytes: Vec<u8> },
    /// Needs blocks or length: only the file's own flush makes it durable.
    Growth { position: u64, bytes: Vec<u8> },
    /// As growth.
    Length(u64),
}

impl Change {
    /// What it writes; `None` for a length.
    fn range(&self) -> Option<Range<u64>> {
        match &self.kind {
            ChangeKind::Overwrite { position, bytes } | ChangeKind::Growth { position, bytes } => {
                Some(*position..*position + bytes.len() as u64)
            }
            ChangeKind::Length(_) => None,
        }
    }

    /// What of it lies outside of `gone`: nothing, one part or two.
    fn without(self, gone: &Range<u64>) -> Vec<Change> {
        let Some(range) = self.range().filter(|range| range.start < gone.end && gone.start < range.end)
        else {
            return vec![self];
        };
        let parts = [range.start..gone.start, gone.end..range.end];
        let part = |part: Range<u64>| {
            let of =
                |bytes: &[u8]| bytes[index(part.start - range.start)..index(part.end - range.start)].to_vec();
            let position = part.start;
            let kind = match &self.kind {
                ChangeKind::Overwrite { bytes, .. } => ChangeKind::Overwrite { position, bytes: of(bytes) },
                ChangeKind::Growth { bytes, .. } => ChangeKind::Growth { position, bytes: of(bytes) },
                ChangeKind::Length(length) => ChangeKind::Length(*length),
            };
            Change { sequence: self.sequence, kind }
        };
        parts.into_iter().filter(|part| part.start < part.end).map(part).collect()
    }
}

/// How a power cut treats what no flush covered.
#[derive(Clone, Copy)]
pub(super) enum Survival {
    /// All of it is lost.
    Nothing,
    /// All of it had reached the disk.
    Everything,
    /// Some writes are lost, whole.
    SomeWrites,
    /// Some sectors of some writes are lost.
    SomeSectors,
}

impl Survival {
    pub(super) fn pick(random: &mut Random) -> Survival {
        match random.below(8) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            2..4 => Survival::SomeWrites,
            _ => Survival::SomeSectors,
        }
    }
}

impl Inode {
    /// A file that is durable as it is.
    pub(super) fn durable(contents: &[u8]) -> Inode {
        let mut inode = Inode { visible: contents.to_vec(), durable: contents.to_vec(), ..Inode::default() };
        inode.written.insert(0..contents.len() as u64);
        inode.settled.insert(0..contents.len() as u64);
        inode
    }

    pub(super) fn visible(&self) -> &[u8] {
        &self.visible
    }

    /// Bytes of the disk that it occupies.
    pub(super) fn occupied(&self) -> u64 {
        self.written.total()
    }

    /// Bytes of the disk that a write needs in addition.
    pub(super) fn needed_for(&self, range: Range<u64>) -> u64 {
        let parts = self.written.split(range);
        parts.into_iter().filter(|(_part, inside)| !inside).map(|(part, _)| part.end - part.start).sum()
    }

    /// A write that has completed. `sequence` is the machine's.
    pub(super) fn write(&mut self, position: u64, bytes: &[u8], sequence: u64) {
        self.check_outstanding(position, bytes);
        let range = position..position + bytes.len() as u64;
        for (part, settled) in self.settled.split(range.clone()) {
            let bytes = bytes[index(part.start - position)..index(part.end - position)].to_vec();
            let position = part.start;
            let kind = if settled {
                ChangeKind::Overwrite { position, bytes }
            } else {
                ChangeKind::Growth { position, bytes }
            };
            self.changes.push(Change { sequence, kind });
        }
        put(&mut self.visible, position, bytes);
        self.written.insert(range.clone());
        self.cached.remove(range);
    }

    pub(super) fn set_length(&mut self, length: u64, sequence: u64) {
        self.changes.push(Change { sequence, kind: ChangeKind::Length(length) });
        self.visible.resize(index(length), 0);
        for set in [&mut self.written, &mut self.settled, &mut self.cached] {
            set.remove(length..u64::MAX);
        }
    }

    /// Its own flush, of what had completed before `sequence`.
    pub(super) fn flush(&mut self, sequence: u64) {
        let changes = mem::take(&mut self.changes);
        let (covered, later): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.sequence < sequence);
        self.changes = later;
        // A length that is still to become durable may take back the blocks of what becomes durable now.
        let cut_later = self.changes.iter().any(|change| matches!(change.kind, ChangeKind::Length(_)));
        for change in covered {
            match change.kind {
                ChangeKind::Overwrite { position, bytes } => put(&mut self.durable, position, &bytes),
                ChangeKind::Growth { position, bytes } => {
                    put(&mut self.durable, position, &bytes);
                    let range = position..position + bytes.len() as u64;
                    for (part, still_there) in self.written.split(range) {
                        if still_there && !cut_later {
                            self.settled.insert(part);
                        }
                    }
                }
                ChangeKind::Length(length) => self.durable.resize(index(length), 0),
            }
        }
    }

    /// A durable write, which has completed as `sequence`: its own bytes, with the blocks and the length that they need. What
    /// was written before it waits for a flush. Only where a length is among that, all of it goes along: the file has one.
    pub(super) fn flush_write(&mut self, sequence: u64) {
        let is_length = |change: &Change| matches!(change.kind, ChangeKind::Length(_));
        if self.changes.iter().any(is_length) {
            return self.flush(sequence + 1);
        }
        let changes = mem::take(&mut self.changes);
        let (own, mut others): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.sequence == sequence);
        for range in own.iter().filter_map(Change::range) {
            // What it has overwritten must not come back with a later flush.
            others = others.into_iter().flat_map(|change| change.without(&range)).collect();
        }
        self.changes = own;
        self.flush(sequence + 1);
        self.changes = others;
    }

    /// A durable write that failed: some of it never will be durable, though reads still see it.
    pub(super) fn lose_write(&mut self, sequence: u64, random: &mut Random) {
        self.changes.retain(|change| change.sequence != sequence || random.chance(2));
    }

    /// The flush of another file, where one flush covers all.
    pub(super) fn flush_overwrites(&mut self, sequence: u64) {
        let durable = &mut self.durable;
        self.changes.retain(|change| match &change.kind {
            ChangeKind::Overwrite { position, bytes } if change.sequence < sequence => {
                put(durable, *position, bytes);
                false
            }
            _ => true,
        });
    }

    /// A flush that failed: some of what it should have made durable never will be, though reads still see it.
    pub(super) fn lose_some(&mut self, sequence: u64, own: bool, random: &mut Random) {
        self.changes.retain(|change| {
            let concerned = own || matches!(change.kind, ChangeKind::Overwrite { .. });
            !(concerned && change.sequence < sequence && random.chance(2))
        });
    }

    /// The file as it is after a power cut.
    pub(super) fn after_power_cut(mut self, survival: Survival, random: &mut Random) -> Inode {
        let changes = mem::take(&mut self.changes);
        // Lengths and blocks come back as the file system's journal had them: up to some point in time.
        let journal_end = match survival {
            Survival::Nothing => 0,
            Survival::Everything => changes.len() as u64,
            Survival::SomeWrites | Survival::SomeSectors => random.below(changes.len() as u64 + 1),
        };
        for (number, change) in (0..).zip(changes) {
            let in_journal = number < journal_end;
            match change.kind {
                ChangeKind::Length(length) if in_journal => {
                    self.durable.resize(index(length), 0);
                    self.settled.remove(length..u64::MAX);
                }
                ChangeKind::Growth { position, bytes } if in_journal => {
                    let end = index(position) + bytes.len();
                    self.durable.resize(self.durable.len().max(end), 0);
                    self.put_surviving(position, &bytes, survival, random);
                }
                ChangeKind::Overwrite { position, bytes } => {
                    // The range may have been cut off by a length that did come back.
                    let kept = self.durable.len().saturating_sub(index(position)).min(bytes.len());
                    self.put_surviving(position, &bytes[..kept], survival, random);
                }
                ChangeKind::Length(_) | ChangeKind::Growth { .. } => {}
            }
        }
        let mut after = Inode { visible: self.durable.clone(), durable: self.durable, ..Inode::default() };
        after.written = self.settled.clone();
        after.settled = self.settled;
        after
    }

    fn put_surviving(&mut self, position: u64, bytes: &[u8], survival: Survival, random: &mut Random) {
        let write_kept = random.chance(2);
        for (number, sector) in (0..).zip(bytes.chunks(SECTOR_BYTES)) {
            let kept = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::SomeWrites => write_kept,
                Survival::SomeSectors => random.chance(2),
            };
            if kept {
                let at = position + number * SECTOR_BYTES as u64;
                put(&mut self.durable, at, sector);
                self.settled.insert(at..at + sector.len() as u64);
            }
        }
    }

    pub(super) fn flip_bit(&mut self, position: u64, bit: u8) {
        let mask = 1 << bit;
        *self.visible.get_mut(index(position)).expect("a byte to damage") ^= mask;
        if let Some(byte) = self.durable.get_mut(index(position)) {
            *byte ^= mask;
        }
        // What is still on its way to the disk is damaged too.
        for change in &mut self.changes {
            if let ChangeKind::Overwrite { position: start, bytes }
            | ChangeKind::Growth { position: start, bytes } = &mut change.kind
                && let Some(byte) = position.checked_sub(*start).and_then(|at| bytes.get_mut(index(at)))
            {
                *byte ^= mask;
            }
        }
    }

    /// The part of a range that exists.
    pub(super) fn read(&self, position: u64, length: usize) -> &[u8] {
        let start = index(position).min(self.visible.len());
        let end = start.saturating_add(length).min(self.visible.len());
        &self.visible[start..end]
    }

    pub(super) fn note_cached(&mut self, range: Range<u64>) {
        self.cached.insert(range);
    }

    pub(super) fn is_cached(&self, range: Range<u64>) -> bool {
        self.cached.covers(range)
    }

    pub(super) fn drop_cached(&mut self) {
        self.cached.clear();
    }

    /// Somebody will read this range as long as the result lives.
    pub(super) fn lend(&mut self, range: Range<u64>) -> Arc<()> {
        let token = Arc::new(());
        self.outstanding.retain(|(token, _range)| token.strong_count() > 0);
        self.outstanding.push((Arc::downgrade(&token), range));
        token
    }

    pub(super) fn has_outstanding(&self) -> bool {
        self.outstanding.iter().any(|(token, _range)| token.strong_count() > 0)
    }

    fn check_outstanding(&self, position: u64, bytes: &[u8]) {
        for (_token, range) in self.outstanding.iter().filter(|(token, _range)| token.strong_count() > 0) {
            let start = range.start.max(position);
            let end = range.end.min(position + bytes.len() as u64).min(self.visible.len() as u64);
            if start < end {
                let new = &bytes[index(start - position)..index(end - position)];
                let old = &self.visible[index(start)..index(end)];
                assert!(new == old, "a write changes bytes in {start}..{end} that a reader still sends");
            }
        }
    }
}

fn put(contents: &mut Vec<u8>, position: u64, bytes: &[u8]) {
    let (start, end) = (index(position), index(position) + bytes.len());
    if contents.len() < end {
        contents.extend(vec![0; end - contents.len()]);
    }
    contents[start..end].copy_from_slice(bytes);
}

fn index(position: u64) -> usize {
    usize::try_from(position).expect("simulated files fit into memory")
}
