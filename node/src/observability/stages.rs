//! Where the time of produced batches goes: one histogram for each stage between the socket and the socket.
//!
//! What must hold: a batch counts once in each stage that it passes through, so that the means of the stages add up to the
//! mean time that it spends in the node. The number of series is fixed.

use super::histogram::{Histogram, HistogramValues};

/// A stage of a produced batch. Each begins where the one before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// From the turn of its request to its end: header and request decoded, batch checked.
    Parse,
    /// On the way to the shard that owns its partition, where that is another one, and its answer's way back.
    CrossCore,
    /// Waiting: before the append for room or for the log to be activated, after it for the round under way to end.
    Queue,
    /// Producer state, copy into the tail, index.
    Append,
    /// A round's writes.
    Write,
    /// A round's flush.
    Flush,
    /// The only write of a round and its flush, which the device gets as one.
    WriteAndFlush,
    /// Waiting for other replicas. Counts nothing while every partition has one replica.
    Replicate,
    /// From the last answer that its request needed until the kernel has the bytes of the response.
    Respond,
}

impl Stage {
    const ALL: [Self; 9] = [
        Self::Parse,
        Self::CrossCore,
        Self::Queue,
        Self::Append,
        Self::Write,
        Self::Flush,
        Self::WriteAndFlush,
        Self::Replicate,
        Self::Respond,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::CrossCore => "cross_core",
            Self::Queue => "queue",
            Self::Append => "append",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::WriteAndFlush => "write_and_flush",
            Self::Replicate => "replicate",
            Self::Respond => "respond",
        }
    }
}

/// The histograms of one shard.
#[derive(Debug, Default)]
pub(crate) struct Stages([Histogram; Stage::ALL.len()]);

impl Stages {
    /// Takes note of the time that `batches` batches took in a stage.
    #[inline]
    pub(crate) fn add(&self, stage: Stage, nanoseconds: u64, batches: u64) {
        self.0[stage as usize].add(nanoseconds, batches);
    }

    pub(crate) fn values(&self) -> StageValues {
        StageValues(self.0.iter().map(Histogram::values).collect())
    }
}

/// What the histograms held at one moment.
#[derive(Debug, Clone)]
pub(crate) struct StageValues(Vec<HistogramValues>);

impl StageValues {
    /// Each stage by its label.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &HistogramValues)> {
        Stage::ALL.iter().map(|stage| stage.label()).zip(&self.0)
    }
}
