//! One answer on its way to the socket: ranges of memory and of files, in order.
//!
//! Does not do: encoding (the handlers), sending (`connection.rs`).

use bytes::Bytes;
use ringmain_storage::disk::FileRange;

use crate::runtime::Ticks;

/// A part of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Chunk {
    /// Bytes in memory.
    Memory(Bytes),
    /// A range of a segment, sent from the page cache.
    File(FileRange),
}

#[cfg(test)]
impl Chunk {
    /// In bytes.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File(range) => usize::try_from(range.length()).expect("an answer fits into memory sizes"),
        }
    }
}

/// One whole answer with its length prefix; empty where the client expects none (`acks=0`).
#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(crate) chunks: Vec<Chunk>,
    /// Close the connection once this is sent.
    pub(crate) then_close: bool,
    /// When the answer to a produce request was known, and for how many batches.
    pub(crate) produced: Option<(Ticks, usize)>,
}

impl Response {
    /// Nothing is sent.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// An answer in one piece of memory.
    pub(crate) fn memory(bytes: Bytes) -> Self {
        Self { chunks: vec![Chunk::Memory(bytes)], ..Self::default() }
    }

    /// The same, as the answer for so many batches that was known at `ready`.
    pub(crate) fn produced(self, ready: Ticks, batches: usize) -> Self {
        Self { produced: Some((ready, batches)), ..self }
    }

    /// Closes the connection after the answers before it; sends nothing.
    pub(crate) fn close() -> Self {
        Self { then_close: true, ..Self::default() }
    }

    /// In bytes.
    #[cfg(test)]
    pub(crate) fn length(&self) -> usize {
        self.chunks.iter().map(Chunk::length).sum()
    }
}
