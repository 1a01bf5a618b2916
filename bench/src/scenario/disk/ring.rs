//! A raw io_uring with buffers and files of its own: reads, writes and flushes, nothing else.
//!
//! What must hold: buffers and files outlive every operation, since both live as long as the ring and
//! dropping it waits for what is under way. A slot has one operation under way at most.

use std::alloc::{self, Layout};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use io_uring::{IoUring, opcode, squeue, types};

use super::settings::BLOCK_BYTES;

/// In the tag of a completion: the write of a pair, whose flush follows.
const FIRST_OF_PAIR: u64 = 1 << 32;

/// A file that belongs to a [`DiskRing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIndex(usize);

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Writes the slot's buffer.
    Write { position: u64 },
    /// Writes the slot's buffer, then flushes the file.
    WriteAndFlush { position: u64 },
    /// Reads into the slot's buffer.
    Read { position: u64 },
    /// Flushes the file: `fdatasync`.
    Flush,
}

/// The ring.
pub(super) struct DiskRing {
    ring: IoUring,
    slots: Vec<Slot>,
    files: Vec<File>,
    /// Whether the kernel knows the buffers; it saves mapping them for each operation.
    is_registered: bool,
    /// Completions that are still to come.
    under_way: usize,
}

struct Slot {
    buffer: Buffer,
    is_busy: bool,
    /// What its operation ends with: the bytes of a read or write, 0 of a flush.
    expected: u32,
}

impl DiskRing {
    /// A ring with a slot for each of the buffer lengths. Each buffer is full of bytes that no device
    /// can take for zeros or for another block's.
    pub(super) fn new(lengths: &[usize]) -> io::Result<Self> {
        // A pair of entries for each slot.
        let entries = u32::try_from(lengths.len() * 2).map_err(io::Error::other)?.next_power_of_two();
        let ring = build(entries)?;
        let mut seed = 0x9E37_79B9_7F4A_7C15;
        let slots: Vec<Slot> = lengths
            .iter()
            .map(|&length| Slot { buffer: Buffer::noise(length, &mut seed), is_busy: false, expected: 0 })
            .collect();
        let vectors: Vec<libc::iovec> = slots.iter().map(|slot| slot.buffer.vector()).collect();
        // SAFETY: the buffers live until the ring is gone, see `Drop`.
        let registered = unsafe { ring.submitter().register_buffers(&vectors) };
        // Too little memory may be locked: the kernel then maps the buffers each time.
        let is_registered = registered.is_ok();
        Ok(Self { ring, slots, files: Vec::new(), is_registered, under_way: 0 })
    }

    /// Takes a file over.
    pub(super) fn add_file(&mut self, file: File) -> FileIndex {
        self.files.push(file);
        FileIndex(self.files.len() - 1)
    }

    /// Fills a slot's buffer with zeros.
    pub(super) fn clear(&mut self, slot: usize) {
        assert!(!self.slots[slot].is_busy, "nothing reads the buffer");
        self.slots[slot].buffer.clear();
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// Queues an operation; it begins at the next [`DiskRing::wait`].
    pub(super) fn begin(&mut self, slot: usize, file: FileIndex, operation: Operation) -> io::Result<()> {
        let descriptor = types::Fd(self.files[file.0].as_raw_fd());
        let Slot { buffer, is_busy, expected } = &mut self.slots[slot];
        assert!(!std::mem::replace(is_busy, true), "a slot has one operation under way");
        *expected = match operation {
            Operation::Write { .. } | Operation::Read { .. } => buffer.kernel_length(),
            Operation::WriteAndFlush { .. } | Operation::Flush => 0,
        };
        let (start, length) = (buffer.start.as_ptr(), buffer.kernel_length());
        let index = u16::try_from(slot).ok().filter(|_| self.is_registered);
        let write = |position| match index {
            Some(index) => opcode::WriteFixed::new(descriptor, start, length, index).offset(position).build(),
            None => opcode::Write::new(descriptor, start, length).offset(position).build(),
        };
        let flush = opcode::Fsync::new(descriptor).flags(types::FsyncFlags::DATASYNC).build();
        let tag = slot as u64;
        match operation {
            Operation::Write { position } => self.push(write(position).user_data(tag)),
            Operation::WriteAndFlush { position } => {
                let first = write(position).flags(squeue::Flags::IO_LINK).user_data(tag | FIRST_OF_PAIR);
                self.push(first)?;
                self.push(flush.user_data(tag))
            }
            Operation::Read { position } => {
                let read = match index {
                    Some(index) => {
                        opcode::ReadFixed::new(descriptor, start, length, index).offset(position).build()
                    }
                    None => opcode::Read::new(descriptor, start, length).offset(position).build(),
                };
                self.push(read.user_data(tag))
            }
            Operation::Flush => self.push(flush.user_data(tag)),
        }
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        // SAFETY: the entry points into a slot's buffer and names a file of `files`; both stay where
        // they are until the ring is gone, which waits for the entry's completion.
        unsafe { self.ring.submission().push(&entry) }.map_err(io::Error::other)?;
        self.under_way += 1;
        Ok(())
    }

    /// Begins what was queued, waits for at least one operation to end, and adds the slots of all that
    /// ended to `ended`. An operation that failed or did less than it should is an error.
    pub(super) fn wait(&mut self, ended: &mut Vec<usize>) -> io::Result<()> {
        assert!(!self.is_idle(), "something is under way");
        let before = ended.len();
        while ended.len() == before {
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            self.take_completions(ended)?;
        }
        Ok(())
    }

    fn take_completions(&mut self, ended: &mut Vec<usize>) -> io::Result<()> {
        let mut failure = None;
        for completion in self.ring.completion() {
            self.under_way -= 1;
            let (tag, result) = (completion.user_data(), completion.result());
            let is_first = tag & FIRST_OF_PAIR != 0;
            let index = (tag & !FIRST_OF_PAIR) as usize;
            let slot = &mut self.slots[index];
            let expected = if is_first { slot.buffer.kernel_length() } else { slot.expected };
            if result < 0 {
                failure.get_or_insert(io::Error::from_raw_os_error(-result));
            } else if result.unsigned_abs() != expected {
                failure.get_or_insert_with(|| io::Error::other(format!("{result} of {expected} bytes done")));
            }
            if !is_first {
                slot.is_busy = false;
                ended.push(index);
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

impl Drop for DiskRing {
    fn drop(&mut self) {
        while !self.is_idle() {
            let mut ended = Vec::new();
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    // The kernel may still write into the buffers: they must stay.
                    self.slots.drain(..).for_each(std::mem::forget);
                    return;
                }
                // What failed was reported where it mattered, or nobody waits for it any more.
                _ => drop(self.take_completions(&mut ended)),
            }
        }
    }
}

/// As the node sets its rings up.
fn build(entries: u32) -> io::Result<IoUring> {
    let quiet =
        IoUring::builder().setup_coop_taskrun().setup_single_issuer().setup_submit_all().build(entries);
    match quiet {
        // A kernel before 6.0 knows none or not all of them; they only save interrupts.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::new(entries),
        other => other,
    }
}

/// Memory that direct I/O accepts.
struct Buffer {
    start: NonNull<u8>,
    layout: Layout,
}

impl Buffer {
    fn noise(length: usize, seed: &mut u64) -> Self {
        let layout = Layout::from_size_align(length, BLOCK_BYTES).expect("lengths are bounded");
        assert!(length > 0, "a buffer holds something");
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { alloc::alloc_zeroed(layout) });
        let start = start.unwrap_or_else(|| alloc::handle_alloc_error(layout));
        let mut buffer = Self { start, layout };
        for word in buffer.bytes_mut().chunks_exact_mut(size_of::<u64>()) {
            // Xorshift: cheap, and no two words of a run are alike.
            *seed ^= *seed << 13;
            *seed ^= *seed >> 7;
            *seed ^= *seed << 17;
            word.copy_from_slice(&seed.to_le_bytes());
        }
        buffer
    }

    fn clear(&mut self) {
        self.bytes_mut().fill(0);
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the memory is initialised, as long as the layout says, and borrowed with `self`. The
        // kernel does not touch it meanwhile: callers look at that.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }

    fn vector(&self) -> libc::iovec {
        libc::iovec { iov_base: self.start.as_ptr().cast(), iov_len: self.layout.size() }
    }

    fn kernel_length(&self) -> u32 {
        u32::try_from(self.layout.size()).expect("lengths are bounded")
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nothing uses it any more.
        unsafe { alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}
