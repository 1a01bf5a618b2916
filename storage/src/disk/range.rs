//! A part of a file for a reader on any core: what an answer refers to instead of a copy.

use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;

/// A part of a file that stays readable while this lives, even if the file's name is removed.
#[derive(Clone)]
pub struct FileRange {
    source: Source,
    position: u64,
    length: u64,
    /// Counted by the file to know whether somebody still reads.
    _outstanding: Arc<()>,
}

#[derive(Clone)]
enum Source {
    /// The bytes themselves: a simulated disk has no descriptors.
    Memory(Bytes),
    #[cfg(feature = "direct")]
    Descriptor(Arc<std::os::fd::OwnedFd>),
}

impl FileRange {
    pub(super) fn from_memory(bytes: Bytes, position: u64, outstanding: Arc<()>) -> FileRange {
        let length = bytes.len() as u64;
        FileRange { source: Source::Memory(bytes), position, length, _outstanding: outstanding }
    }

    #[cfg(feature = "direct")]
    pub(super) fn from_descriptor(
        descriptor: Arc<std::os::fd::OwnedFd>,
        position: u64,
        length: u64,
        outstanding: Arc<()>,
    ) -> FileRange {
        FileRange { source: Source::Descriptor(descriptor), position, length, _outstanding: outstanding }
    }

    /// Where the range starts in the file.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes it covers.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// A part of this range, counted from its start.
    ///
    /// # Panics
    /// When it lies outside.
    #[cfg_attr(
        not(feature = "direct"),
        expect(irrefutable_let_patterns, reason = "without real disks all ranges are in memory")
    )]
    #[must_use]
    pub fn slice(&self, start: u64, length: u64) -> FileRange {
        assert!(
            start.checked_add(length).is_some_and(|end| end <= self.length),
            "a part outside of the range"
        );
        let mut part = self.clone();
        if let Source::Memory(bytes) = &self.source {
            let start = usize::try_from(start).expect("a range in memory fits into memory");
            let length = usize::try_from(length).expect("a range in memory fits into memory");
            part.source = Source::Memory(bytes.slice(start..start + length));
        }
        part.position += start;
        part.length = length;
        part
    }

    /// The bytes, where the disk is simulated; `None` where there is a descriptor to send from.
    pub fn memory(&self) -> Option<&Bytes> {
        match &self.source {
            Source::Memory(bytes) => Some(bytes),
            #[cfg(feature = "direct")]
            Source::Descriptor(_) => None,
        }
    }

    /// The buffered, read-only descriptor to send from, where the disk is real.
    #[cfg(feature = "direct")]
    pub fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        match &self.source {
            Source::Memory(_) => None,
            Source::Descriptor(descriptor) => Some(descriptor.as_fd()),
        }
    }
}

impl fmt::Debug for FileRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRange({}..{})", self.position, self.position + self.length)
    }
}
