//! An open file of the simulated disk.

use alloc::{rc::Rc, string::String, string::ToString};

use bytes::Bytes;

use super::{
    super::{
        AlignedBuffer, BUFFER_BYTES_MAX, BufferSlice, DiskError, DiskErrorKind, DiskFile, FileRange,
        Operation,
    },
    SimulatedDisk,
    inode::InodeId,
    machine::WriteId,
};

/// An open file. Clones share it.
#[derive(Clone)]
pub struct SimulatedFile(Rc<OpenFile>);

struct OpenFile {
    disk: SimulatedDisk,
    path: String,
    inode: InodeId,
    writable: bool,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.disk.machine.borrow_mut().closed(self.inode);
    }
}

/// A write that has begun ends even when nobody waits for it any more.
struct WriteGuard<'a> {
    file: &'a SimulatedFile,
    id: Option<WriteId>,
}

impl WriteGuard<'_> {
    fn end(mut self, durable: bool) -> Result<(), DiskErrorKind> {
        let id = self.id.take().expect("a write ends once");
        let mut machine = self.file.0.disk.machine.borrow_mut();
        if durable { machine.end_durable_write(id) } else { machine.end_write(id) }
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            // Nobody is left to be told.
            let _result = self.file.0.disk.machine.borrow_mut().end_write(id);
        }
    }
}

impl SimulatedFile {
    pub(super) fn new(disk: SimulatedDisk, path: &str, inode: InodeId, writable: bool) -> SimulatedFile {
        disk.machine.borrow_mut().opened(inode);
        SimulatedFile(Rc::new(OpenFile { disk, path: path.to_string(), inode, writable }))
    }

    fn error(&self, kind: DiskErrorKind, operation: Operation) -> DiskError {
        SimulatedDisk::error(kind, operation, &self.0.path)
    }

    fn check_power(&self, operation: Operation) -> Result<(), DiskError> {
        self.0.disk.check_power(operation, &self.0.path)
    }

    async fn latency(&self, operation: Operation) -> Result<(), DiskError> {
        self.0.disk.latency(operation, &self.0.path).await
    }

    fn check_aligned(&self, operation: Operation, position: u64, length: usize) -> Result<(), DiskError> {
        let alignment = self.0.disk.options.alignment.position_bytes;
        if position.is_multiple_of(alignment) && (length as u64).is_multiple_of(alignment) {
            return Ok(());
        }
        Err(self.error(DiskErrorKind::Unaligned, operation).at(position))
    }

    /// A write of any length, as the replacement of a small file needs it.
    pub(super) async fn write_unaligned(&self, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.write(position, bytes, false).await
    }

    async fn write(&self, position: u64, bytes: &[u8], durable: bool) -> Result<(), DiskError> {
        self.check_power(Operation::Write)?;
        let fail = |kind| self.error(kind, Operation::Write).at(position);
        if !self.0.writable {
            return Err(fail(DiskErrorKind::Io { errno: 9 }));
        }
        let begun = self.0.disk.machine.borrow_mut().begin_write(self.0.inode, position, bytes);
        let guard = WriteGuard { file: self, id: Some(begun.map_err(fail)?) };
        self.latency(Operation::Write).await.map_err(|error| error.at(position))?;
        guard.end(durable).map_err(fail)
    }

    async fn write_aligned(
        &self,
        position: u64,
        buffer: BufferSlice,
        durable: bool,
    ) -> Result<(), DiskError> {
        self.check_aligned(Operation::Write, position, buffer.len())?;
        if !(buffer.as_ptr() as usize).is_multiple_of(self.0.disk.options.alignment.memory_bytes) {
            return Err(self.error(DiskErrorKind::Unaligned, Operation::Write).at(position));
        }
        if buffer.is_empty() {
            return self.check_power(Operation::Write);
        }
        self.write(position, &buffer, durable).await
    }

    fn take_bytes(&self, position: u64, length: usize, into: impl FnOnce(&[u8])) -> Result<(), DiskError> {
        let mut machine = self.0.disk.machine.borrow_mut();
        if let Some(kind) = machine.faults().of_next_read() {
            return Err(self.error(kind, Operation::Read).at(position));
        }
        into(machine.inode(self.0.inode).read(position, length));
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    async fn write_at(&self, position: u64, buffer: BufferSlice) -> Result<(), DiskError> {
        self.write_aligned(position, buffer, false).await
    }

    async fn write_at_and_flush(&self, position: u64, buffer: BufferSlice) -> Result<(), DiskError> {
        if buffer.is_empty() {
            return self.flush().await;
        }
        self.write_aligned(position, buffer, true).await
    }

    async fn flush(&self) -> Result<(), DiskError> {
        self.check_power(Operation::Flush)?;
        let begun = self.0.disk.machine.borrow_mut().begin_flush();
        let covered = begun.map_err(|kind| self.error(kind, Operation::Flush))?;
        self.latency(Operation::Flush).await?;
        let ended = self.0.disk.machine.borrow_mut().end_flush(self.0.inode, covered);
        ended.map_err(|kind| self.error(kind, Operation::Flush))
    }

    async fn read_at(&self, position: u64, length: usize) -> Result<AlignedBuffer, DiskError> {
        assert!(
            length <= BUFFER_BYTES_MAX,
            "a direct read of {length} bytes: {BUFFER_BYTES_MAX} are the most"
        );
        self.check_aligned(Operation::Read, position, length)?;
        let buffer = self.0.disk.pool.take(length).await;
        self.read_into(position, length, buffer).await
    }

    async fn read_into(
        &self,
        position: u64,
        length: usize,
        mut buffer: AlignedBuffer,
    ) -> Result<AlignedBuffer, DiskError> {
        assert!(buffer.is_empty() && length <= buffer.capacity(), "the caller took a buffer for this read");
        self.check_aligned(Operation::Read, position, length)?;
        self.latency(Operation::Read).await?;
        self.take_bytes(position, length, |bytes| buffer.append(bytes))?;
        Ok(buffer)
    }

    async fn read_cached(&self, position: u64, length: usize) -> Result<Bytes, DiskError> {
        self.latency(Operation::Read).await?;
        let mut read = Bytes::new();
        self.take_bytes(position, length, |bytes| read = Bytes::copy_from_slice(bytes))?;
        let range = position..position + read.len() as u64;
        self.0.disk.machine.borrow_mut().inode(self.0.inode).note_cached(range);
        Ok(read)
    }

    fn is_cached(&self, position: u64, length: u64) -> bool {
        let mut machine = self.0.disk.machine.borrow_mut();
        !machine.is_off() && machine.inode(self.0.inode).is_cached(position..position + length)
    }

    async fn set_length(&self, length: u64) -> Result<(), DiskError> {
        self.check_power(Operation::Length)?;
        let set = self.0.disk.machine.borrow_mut().set_length(self.0.inode, length);
        set.map_err(|kind| self.error(kind, Operation::Length))?;
        self.latency(Operation::Length).await
    }

    async fn length(&self) -> Result<u64, DiskError> {
        self.check_power(Operation::Length)?;
        Ok(self.0.disk.machine.borrow_mut().inode(self.0.inode).visible().len() as u64)
    }

    fn range(&self, position: u64, length: u64) -> Result<FileRange, DiskError> {
        self.check_power(Operation::Open)?;
        let mut machine = self.0.disk.machine.borrow_mut();
        let inode = machine.inode(self.0.inode);
        let length = usize::try_from(length).expect("simulated files fit into memory");
        let bytes = Bytes::copy_from_slice(inode.read(position, length));
        let token = inode.lend(position..position + bytes.len() as u64);
        Ok(FileRange::from_memory(bytes, position, token))
    }

    fn has_outstanding_ranges(&self) -> bool {
        let mut machine = self.0.disk.machine.borrow_mut();
        !machine.is_off() && machine.inode(self.0.inode).has_outstanding()
    }
}
