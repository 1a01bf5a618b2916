//! An open file of the real disk.
//!
//! Two descriptors: one for direct I/O, and one, opened when first needed, that only reads, through the page cache, for
//! cold reads and sendfile. Nothing ever writes through the page cache, so the two agree (io rule of the project).
//!
//! After an error of the device in a write or a flush every further write and flush of this open file ends with the same
//! error: the system may report such an error once and then say that all is well.
#![expect(unsafe_code, reason = "describes memory to the kernel; `Held` owns it")]

use std::{
    cell::{Cell, OnceCell},
    io, mem,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    rc::Rc,
    sync::Arc,
};

use bytes::Bytes;
use io_uring::{opcode, squeue, types};

use super::{
    super::{
        AlignedBuffer, BUFFER_BYTES_MAX, BufferSlice, DiskError, DiskErrorKind, DiskFile, FileRange,
        Operation,
    },
    blocking::blocking,
    directory::DirectDisk,
    page_cache,
    ring::{Held, HeldMemory, Ring},
};

/// A descriptor that operations keep open. Closed by a kernel worker, because that may take long.
pub(super) struct Descriptor {
    ring: Ring,
    /// `None` only while being dropped. Shared with work on blocking threads.
    open: Option<Arc<OwnedFd>>,
}

impl Descriptor {
    fn shared(&self) -> &Arc<OwnedFd> {
        self.open.as_ref().expect("open until it is dropped")
    }

    fn ring_fd(&self) -> types::Fd {
        types::Fd(self.shared().as_raw_fd())
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let Some(descriptor) = self.open.take().and_then(Arc::into_inner) {
            self.ring.close(descriptor);
        }
    }
}

/// An open file. Clones share it.
#[derive(Clone)]
pub struct DirectFile(Rc<OpenFile>);

struct OpenFile {
    disk: DirectDisk,
    /// As it was when the file was opened; for errors.
    path: String,
    direct: Rc<Descriptor>,
    cached: OnceCell<Arc<OwnedFd>>,
    /// Whether the kernel reads ahead on it.
    reads_ahead: Cell<bool>,
    /// One count for this file, one for each range.
    outstanding: Arc<()>,
    /// The first error of the device; final.
    failed: Cell<Option<i32>>,
}

impl DirectFile {
    pub(super) fn new(disk: DirectDisk, path: &str, descriptor: OwnedFd) -> DirectFile {
        let direct = Rc::new(Descriptor { ring: disk.ring().clone(), open: Some(Arc::new(descriptor)) });
        DirectFile(Rc::new(OpenFile {
            disk,
            path: path.to_owned(),
            direct,
            cached: OnceCell::new(),
            reads_ahead: Cell::new(true),
            outstanding: Arc::new(()),
            failed: Cell::new(None),
        }))
    }

    fn ring(&self) -> &Ring {
        self.0.disk.ring()
    }

    fn held(&self, memory: HeldMemory) -> Held {
        Held { descriptor: Some(self.0.direct.clone()), cached: None, memory }
    }

    fn error(&self, operation: Operation, errno: i32) -> DiskError {
        DiskError::new(DiskErrorKind::from_errno(errno), operation, &self.0.path)
    }

    /// The error of a write or flush; remembered when it is the device's.
    fn failure(&self, operation: Operation, errno: i32) -> DiskError {
        let error = self.error(operation, errno);
        if matches!(error.kind, DiskErrorKind::Io { .. }) {
            self.0.failed.set(Some(errno));
        }
        error
    }

    fn check_sound(&self, operation: Operation) -> Result<(), DiskError> {
        match self.0.failed.get() {
            None => Ok(()),
            Some(errno) => Err(self.error(operation, errno)),
        }
    }

    fn check_aligned(&self, operation: Operation, position: u64, length: usize) -> Result<(), DiskError> {
        let alignment = self.0.disk.facts().alignment.position_bytes;
        if position.is_multiple_of(alignment) && (length as u64).is_multiple_of(alignment) {
            return Ok(());
        }
        Err(DiskError::new(DiskErrorKind::Unaligned, operation, &self.0.path).at(position))
    }

    fn check_write(&self, position: u64, buffer: &BufferSlice) -> Result<(), DiskError> {
        self.check_sound(Operation::Write)?;
        self.check_aligned(Operation::Write, position, buffer.len())?;
        if buffer.as_ptr().addr().is_multiple_of(self.0.disk.facts().alignment.memory_bytes) {
            return Ok(());
        }
        Err(DiskError::new(DiskErrorKind::Unaligned, Operation::Write, &self.0.path).at(position))
    }

    /// `flags` are those of `pwritev2`.
    fn write_entry(&self, position: u64, buffer: &BufferSlice, flags: i32) -> squeue::Entry {
        let descriptor = self.0.direct.ring_fd();
        let (start, length) = (buffer.as_ptr(), length_for_kernel(buffer.len()));
        match self.0.disk.registered_slot(buffer.registration()) {
            Some(slot) => {
                let write = opcode::WriteFixed::new(descriptor, start, length, slot);
                write.offset(position).rw_flags(flags).build()
            }
            None => opcode::Write::new(descriptor, start, length).offset(position).rw_flags(flags).build(),
        }
    }

    fn flush_entry(&self) -> squeue::Entry {
        opcode::Fsync::new(self.0.direct.ring_fd()).flags(types::FsyncFlags::DATASYNC).build()
    }

    /// How much of `length` bytes is done after a write that ended with `result`: `Err` with the error number where that is
    /// final.
    fn after_write(&self, length: usize, result: i32) -> Result<usize, i32> {
        match result {
            0 => Err(libc::EIO),
            1.. => {
                let written = usize::try_from(result).expect("positive").min(length);
                self.ring().count(|counters| counters.bytes_written += written as u64);
                if written == length {
                    return Ok(written);
                }
                // The rest has to start on a block again.
                let alignment = self.0.disk.facts().alignment.position_bytes as usize;
                Ok(written - written % alignment)
            }
            _ if is_passing(result) => Ok(0),
            _ => Err(-result),
        }
    }

    async fn write_rest(&self, mut position: u64, mut buffer: BufferSlice) -> Result<(), DiskError> {
        while !buffer.is_empty() {
            let entry = self.write_entry(position, &buffer, 0);
            let held = self.held(HeldMemory::Slice(buffer.clone()));
            // SAFETY: `held` owns the memory and the descriptor of the entry; neither moves with it.
            let (result, _held) = unsafe { self.ring().run(entry, held) }.await;
            let written = self
                .after_write(buffer.len(), result)
                .map_err(|errno| self.failure(Operation::Write, errno).at(position))?;
            position += written as u64;
            buffer = buffer.slice(written..buffer.len());
        }
        Ok(())
    }

    async fn flush_now(&self) -> Result<(), DiskError> {
        loop {
            self.ring().count(|counters| counters.flushes += 1);
            let entry = self.flush_entry();
            // SAFETY: `held` owns the descriptor; there is no memory.
            let (result, _held) = unsafe { self.ring().run(entry, self.held(HeldMemory::Nothing)) }.await;
            match result {
                0.. => return Ok(()),
                _ if is_passing(result) => {}
                _ => return Err(self.failure(Operation::Flush, -result)),
            }
        }
    }

    /// Fills `buffer` up to `length` bytes, or to the end of the file. Only at the end do reads stop within a `block`.
    async fn fill(
        &self,
        descriptor: types::Fd,
        position: u64,
        mut buffer: AlignedBuffer,
        length: usize,
        block: usize,
    ) -> Result<AlignedBuffer, DiskError> {
        while buffer.len() < length {
            let missing = length_for_kernel(length - buffer.len());
            let at = position + buffer.len() as u64;
            let start = buffer.spare_start();
            let entry = match self.0.disk.registered_slot(buffer.registration()) {
                Some(slot) => opcode::ReadFixed::new(descriptor, start, missing, slot).offset(at).build(),
                None => opcode::Read::new(descriptor, start, missing).offset(at).build(),
            };
            let held = self.held_for_read(HeldMemory::Buffer(buffer));
            // SAFETY: `held` owns the memory and both descriptors of this file; neither moves with it.
            let (result, held) = unsafe { self.ring().run(entry, held) }.await;
            let HeldMemory::Buffer(back) = held.memory else { unreachable!("it was put in above") };
            buffer = back;
            let Some(read) = self.after_read(result, at)? else {
                break;
            };
            buffer.advance(read);
            if !read.is_multiple_of(block) {
                break;
            }
        }
        Ok(buffer)
    }

    /// As [`DirectFile::fill`], into memory of the heap: for what the pool has no buffer for.
    async fn fill_heap(
        &self,
        descriptor: types::Fd,
        position: u64,
        length: usize,
    ) -> Result<Bytes, DiskError> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let missing = length_for_kernel(length - filled);
            let at = position + filled as u64;
            let start = bytes[filled..].as_mut_ptr();
            let entry = opcode::Read::new(descriptor, start, missing).offset(at).build();
            let held = self.held_for_read(HeldMemory::Heap(mem::take(&mut bytes)));
            // SAFETY: `held` owns the memory, which does not move with the vector, and both descriptors of this file.
            let (result, held) = unsafe { self.ring().run(entry, held) }.await;
            let HeldMemory::Heap(back) = held.memory else { unreachable!("it was put in above") };
            bytes = back;
            let Some(read) = self.after_read(result, at)? else {
                break;
            };
            filled += read;
        }
        bytes.truncate(filled);
        Ok(Bytes::from(bytes))
    }

    /// How many bytes a read brought; `None` at the end of the file.
    fn after_read(&self, result: i32, position: u64) -> Result<Option<usize>, DiskError> {
        match result {
            0 => Ok(None),
            1.. => {
                let read = usize::try_from(result).expect("positive");
                self.ring().count(|counters| counters.bytes_read += read as u64);
                Ok(Some(read))
            }
            _ if is_passing(result) => Ok(Some(0)),
            _ => Err(self.error(Operation::Read, -result).at(position)),
        }
    }

    fn held_for_read(&self, memory: HeldMemory) -> Held {
        Held { cached: self.0.cached.get().cloned(), ..self.held(memory) }
    }

    /// The descriptor that reads through the page cache.
    fn cached(&self) -> Result<&Arc<OwnedFd>, DiskError> {
        if let Some(open) = self.0.cached.get() {
            return Ok(open);
        }
        let direct = self.0.direct.shared().as_raw_fd();
        // By the open file and not by its path: the file may have been renamed or removed.
        let opened = std::fs::File::open(format!("/proc/self/fd/{direct}"))
            .or_else(|_no_proc| std::fs::File::open(self.0.disk.absolute(&self.0.path)));
        match opened {
            Ok(file) => Ok(self.0.cached.get_or_init(|| Arc::new(file.into()))),
            Err(error) => Err(self.error(Operation::Open, errno_of(&error))),
        }
    }
}

impl DiskFile for DirectFile {
    async fn write_at(&self, position: u64, buffer: BufferSlice) -> Result<(), DiskError> {
        self.check_write(position, &buffer)?;
        self.write_rest(position, buffer).await
    }

    async fn write_parts_at(&self, mut position: u64, parts: Vec<BufferSlice>) -> Result<(), DiskError> {
        if let [only] = &parts[..] {
            return self.write_at(position, only.clone()).await; // From memory that the kernel knows.
        }
        if parts.is_empty() {
            return self.check_sound(Operation::Write);
        }
        let mut at = position;
        for part in &parts {
            self.check_write(at, part)?;
            at += part.len() as u64;
        }
        let vector = |part: &BufferSlice| libc::iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        };
        let vectors: Vec<libc::iovec> = parts.iter().map(vector).collect();
        let (start, count) = (vectors.as_ptr(), length_for_kernel(vectors.len()));
        let entry = opcode::Writev::new(self.0.direct.ring_fd(), start, count).offset(position).build();
        let held = self.held(HeldMemory::Slices(parts.clone(), vectors));
        // SAFETY: `held` owns the vectors, the memory they name and the descriptor of the entry; none moves with it, and a
        // write only reads that memory.
        let (result, _held) = unsafe { self.ring().run(entry, held) }.await;
        let length = usize::try_from(at - position).expect("bytes in memory");
        let mut written = self
            .after_write(length, result)
            .map_err(|errno| self.failure(Operation::Write, errno).at(position))?;
        for part in parts {
            let done = written.min(part.len());
            written -= done;
            position += done as u64;
            let rest = part.slice(done..part.len());
            let rest_length = rest.len() as u64;
            self.write_rest(position, rest).await?;
            position += rest_length;
        }
        Ok(())
    }

    async fn write_at_and_flush(&self, position: u64, buffer: BufferSlice) -> Result<(), DiskError> {
        self.check_write(position, &buffer)?;
        if buffer.is_empty() {
            return self.flush().await;
        }
        self.ring().count(|counters| counters.flushes += 1);
        // One operation that ends when its bytes are durable: a flush of its own would go to a kernel worker.
        let entry = self.write_entry(position, &buffer, libc::RWF_DSYNC);
        let held = self.held(HeldMemory::Slice(buffer.clone()));
        // SAFETY: `held` owns the memory and the descriptor of the entry; neither moves with it.
        let (result, _held) = unsafe { self.ring().run(entry, held) }.await;
        let written = self
            .after_write(buffer.len(), result)
            .map_err(|errno| self.failure(Operation::Write, errno).at(position))?;
        if written == buffer.len() {
            return Ok(());
        }
        self.write_rest(position + written as u64, buffer.slice(written..buffer.len())).await?;
        self.flush_now().await
    }

    async fn flush(&self) -> Result<(), DiskError> {
        self.check_sound(Operation::Flush)?;
        self.flush_now().await
    }

    async fn read_at(&self, position: u64, length: usize) -> Result<AlignedBuffer, DiskError> {
        assert!(
            length <= BUFFER_BYTES_MAX,
            "a direct read of {length} bytes: {BUFFER_BYTES_MAX} are the most"
        );
        self.check_aligned(Operation::Read, position, length)?;
        let buffer = self.0.disk.pool().take(length).await;
        self.read_into(position, length, buffer).await
    }

    async fn read_into(
        &self,
        position: u64,
        length: usize,
        buffer: AlignedBuffer,
    ) -> Result<AlignedBuffer, DiskError> {
        assert!(buffer.is_empty() && length <= buffer.capacity(), "the caller took a buffer for this read");
        self.check_aligned(Operation::Read, position, length)?;
        let block = self.0.disk.facts().alignment.position_bytes as usize;
        self.fill(self.0.direct.ring_fd(), position, buffer, length, block).await
    }

    async fn read_cached(&self, position: u64, length: usize) -> Result<Bytes, DiskError> {
        let descriptor = types::Fd(self.cached()?.as_raw_fd());
        let buffer = if length <= BUFFER_BYTES_MAX { self.0.disk.pool().try_take(length) } else { None };
        let Some(buffer) = buffer else {
            return self.fill_heap(descriptor, position, length).await;
        };
        let mut buffer = self.fill(descriptor, position, buffer, length, 1).await?;
        Ok(buffer.freeze(0..buffer.len()).into_bytes())
    }

    fn set_read_ahead(&self, on: bool) {
        // Where it cannot be opened, the read that follows says so.
        if self.0.reads_ahead.get() != on
            && let Ok(descriptor) = self.cached()
        {
            page_cache::set_read_ahead(descriptor.as_fd(), on);
            self.0.reads_ahead.set(on);
        }
    }

    fn is_cached(&self, position: u64, length: u64) -> bool {
        if self.0.disk.page_cache_hidden() {
            return false;
        }
        let Ok(descriptor) = self.cached() else {
            return false;
        };
        page_cache::is_cached(descriptor.as_fd(), position, length).unwrap_or_else(|_unknown| {
            self.0.disk.set_page_cache_hidden();
            false
        })
    }

    async fn set_length(&self, length: u64) -> Result<(), DiskError> {
        let descriptor = self.0.direct.shared().clone();
        blocking(move || set_length(&descriptor, length))
            .await
            .map_err(|error| self.error(Operation::Length, errno_of(&error)))
    }

    async fn length(&self) -> Result<u64, DiskError> {
        length(self.0.direct.shared()).map_err(|error| self.error(Operation::Length, errno_of(&error)))
    }

    fn range(&self, position: u64, length: u64) -> Result<FileRange, DiskError> {
        let descriptor = self.cached()?.clone();
        Ok(FileRange::from_descriptor(descriptor, position, length, self.0.outstanding.clone()))
    }

    fn has_outstanding_ranges(&self) -> bool {
        Arc::strong_count(&self.0.outstanding) > 1
    }
}

pub(super) fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Interrupted or short of memory for a moment: worth another try.
fn is_passing(result: i32) -> bool {
    matches!(-result, libc::EINTR | libc::EAGAIN)
}

fn length_for_kernel(length: usize) -> u32 {
    u32::try_from(length.min(LENGTH_MAX)).expect("limited just above")
}

/// The kernel moves at most this much in one operation (2 GiB less a page).
const LENGTH_MAX: usize = 0x7fff_f000;

fn set_length(descriptor: &OwnedFd, length: u64) -> io::Result<()> {
    let length =
        libc::off_t::try_from(length).map_err(|_too_long| io::Error::from_raw_os_error(libc::EFBIG))?;
    // SAFETY: no memory is involved; the descriptor is open.
    if unsafe { libc::ftruncate(descriptor.as_raw_fd(), length) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn length(descriptor: &OwnedFd) -> io::Result<u64> {
    let mut found = mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the memory is as large as the call expects; the descriptor is open.
    if unsafe { libc::fstat(descriptor.as_raw_fd(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled by the call, which succeeded.
    let found = unsafe { found.assume_init() };
    Ok(u64::try_from(found.st_size).expect("a length is not negative"))
}
