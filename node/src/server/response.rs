//! One answer on its way to the socket: ranges of memory and of files, in order.
//!
//! Does not do: what is answered (the handlers), sending (`connection.rs`).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ringmain_protocol::{ApiKey, codec::ErrorTally, header::ResponseHeader, messages::AppendedAnswer};
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

/// The answer to a produce request whose one batch was appended, encoded when it is sent: many of them become ready at
/// once, and leave in one piece of memory.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) header: ResponseHeader,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) base_offset: i64,
    pub(crate) log_append_time_ms: i64,
    pub(crate) log_start_offset: i64,
}

impl Appended {
    /// Adds the frame to `into`.
    pub(super) fn write(&self, into: &mut BytesMut) {
        let answer = AppendedAnswer {
            topic: &self.topic,
            index: self.partition,
            base_offset: self.base_offset,
            log_append_time_ms: self.log_append_time_ms,
            log_start_offset: self.log_start_offset,
        };
        answer.write_frame(&self.header, into);
    }
}

/// What an answer consists of.
#[derive(Debug, Default)]
pub(super) enum Body {
    /// The client expects nothing (`acks=0`).
    #[default]
    Nothing,
    Memory(Bytes),
    Appended(Appended),
    Chunks(Vec<Chunk>),
}

/// One whole answer with its length prefix.
#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(super) body: Body,
    /// Close the connection once this is sent.
    pub(super) then_close: bool,
    /// When the answer to a produce request was known, and for how many batches.
    pub(super) produced: Option<(Ticks, usize)>,
    /// The error codes in it.
    pub(super) errors: ErrorTally,
    /// What it answers; known once it has come to its turn.
    pub(super) asked: Option<Asked>,
}

/// A request, as far as its answer has to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) api_key: ApiKey,
    /// When its frame was complete.
    pub(crate) received: Ticks,
}

impl Response {
    /// Nothing is sent.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// An answer in one piece of memory.
    pub(crate) fn memory(bytes: Bytes) -> Self {
        Self { body: Body::Memory(bytes), ..Self::default() }
    }

    /// An answer in several pieces.
    pub(crate) fn chunks(chunks: Vec<Chunk>) -> Self {
        Self { body: Body::Chunks(chunks), ..Self::default() }
    }

    /// The same, with the error codes that it tells.
    pub(crate) fn telling(self, errors: ErrorTally) -> Self {
        Self { errors, ..self }
    }

    /// The answer to a produce request whose one batch was appended.
    pub(crate) fn appended(appended: Appended) -> Self {
        Self { body: Body::Appended(appended), ..Self::default() }
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
        match &self.body {
            Body::Nothing => 0,
            Body::Memory(bytes) => bytes.len(),
            Body::Appended(appended) => {
                let mut frame = BytesMut::new();
                appended.write(&mut frame);
                frame.len()
            }
            Body::Chunks(chunks) => chunks.iter().map(Chunk::length).sum(),
        }
    }
}
