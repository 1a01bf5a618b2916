//! What a coordinator wants done: records written, requests answered.
//!
//! Effects are executed in the order in which they were appended; writes above all, since later records of a key win.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::Answer;

/// The shell's name for a request that waits. Comes back in exactly one [`Effect::Answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestToken(pub u64);

/// The coordinator's name for a write under way. Comes back in exactly one [`crate::Event::Written`].
///
/// Numbers ascend with the order of the writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteToken(pub(crate) u64);

impl WriteToken {
    /// The number, for diagnostics and tests.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// One record for the offsets topic, encoded as Kafka encodes it. Its timestamp is the time of the append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the record is about; compaction keeps the last record of a key.
    pub key: Bytes,
    /// `None` deletes (tombstone).
    pub value: Option<Bytes>,
}

/// Something to be done by the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append these records to the partition of the offsets topic, all or none of them, after the records of every
    /// earlier write; report with [`crate::Event::Written`], in the same order, once they are durable as the topic
    /// demands. Several writes may share a batch; one write may not be torn into several.
    Write {
        /// Names the write in its report.
        write: WriteToken,
        /// Never empty.
        records: Vec<Record>,
    },
    /// Answer a request that waits.
    Answer {
        /// The request, as its event named it.
        request: RequestToken,
        /// What to tell the client. Its variant is that of the event.
        answer: Answer,
    },
}
