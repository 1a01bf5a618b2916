//! One answer on its way to the socket: ranges of memory and of files, in order.
//!
//! Does not do: encoding (the handlers), sending (`connection.rs`).

use bytes::Bytes;
use ringmain_storage::disk::FileRange;

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
}

impl Response {
    /// Nothing is sent.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// An answer in one piece of memory.
    pub(crate) fn memory(bytes: Bytes) -> Self {
        Self { chunks: vec![Chunk::Memory(bytes)], then_close: false }
    }

    /// Closes the connection after the answers before it; sends nothing.
    pub(crate) fn close() -> Self {
        Self { chunks: Vec::new(), then_close: true }
    }

    /// In bytes.
    #[cfg(test)]
    pub(crate) fn length(&self) -> usize {
        self.chunks.iter().map(Chunk::length).sum()
    }
}
