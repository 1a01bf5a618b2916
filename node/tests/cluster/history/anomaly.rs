//! What can be wrong with a history, one variant an anomaly, said so that a reader knows where to look.

use super::{Contradiction, Record};
use std::fmt;

/// An anomaly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Anomaly {
    /// Acknowledged, and not in the log.
    Lost { partition: i32, record: Record, offset: Option<i64>, log_end: i64 },
    /// In the log, but not where its producer was told.
    Moved { partition: i32, record: Record, acknowledged: i64, found: i64 },
    /// In the log more than once.
    Duplicated { partition: i32, record: Record, offsets: Vec<i64> },
    /// Behind a record that its producer sent later.
    Reordered { partition: i32, record: Record, offset: i64, behind: Record },
    /// Some records of a batch are in the log and some are not.
    Torn { partition: i32, first: Record, sent: u32, found: u32 },
    /// In the log, though its producer was told for certain that it is not.
    FailedButPresent { partition: i32, record: Record, offset: i64 },
    /// In the log, or read, and nobody sent it there.
    Invented { partition: i32, record: Record, offset: i64 },
    /// A log with an offset that has no record, between two that have.
    Hole { node: i32, partition: i32, offset: i64 },
    /// Two replicas of one partition differ after healing.
    Diverged { partition: i32, nodes: [i32; 2], offset: i64 },
    /// A reader was shown what is not in the log.
    UncommittedRead { reader: String, node: i32, partition: i32, offset: i64, record: Record },
    /// One offset was shown with two values.
    TwoValues { partition: i32, offset: i64, one: Record, other: Record, seen_by: String },
    /// A session passed over a record of the log.
    Skipped { reader: String, partition: i32, after: i64, next: i64 },
    /// A session was given an offset again.
    WentBack { reader: String, partition: i32, after: i64, next: i64 },
    /// The log ended before what a reader had already been shown.
    CutOff { reader: String, partition: i32, offset: i64 },
    /// A group was told less than it had committed before it asked.
    CommitLost { group: u32, partition: i32, committed: i64, found: Option<i64> },
    /// A group was told less than it had been told before.
    CommitWentBack { group: u32, partition: i32, told: i64, found: Option<i64> },
    /// A group was told an offset that it never committed.
    CommitInvented { group: u32, partition: i32, found: i64 },
    /// A group has committed a record that none of its readers was given.
    GroupSkipped { group: u32, partition: i32, offset: i64 },
    /// A client was told something that contradicts what it had been told.
    Contradicted(Contradiction),
}

impl Anomaly {
    /// The kind, to count by.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Anomaly::Lost { .. } => "acknowledged record lost",
            Anomaly::Moved { .. } => "acknowledged record at another offset",
            Anomaly::Duplicated { .. } => "record present twice",
            Anomaly::Reordered { .. } => "order of a producer broken",
            Anomaly::Torn { .. } => "batch torn",
            Anomaly::FailedButPresent { .. } => "failed record present",
            Anomaly::Invented { .. } => "record that nobody produced",
            Anomaly::Hole { .. } => "hole in a log",
            Anomaly::Diverged { .. } => "replicas differ",
            Anomaly::UncommittedRead { .. } => "uncommitted read",
            Anomaly::TwoValues { .. } => "two values at one offset",
            Anomaly::Skipped { .. } => "reader skipped a record",
            Anomaly::WentBack { .. } => "reader went back",
            Anomaly::CutOff { .. } => "log cut off below a reader",
            Anomaly::CommitLost { .. } => "commit lost",
            Anomaly::CommitWentBack { .. } => "commit went back",
            Anomaly::CommitInvented { .. } => "commit that nobody made",
            Anomaly::GroupSkipped { .. } => "group skipped a record",
            Anomaly::Contradicted(_) => "client contradicted",
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of producer {}", self.number, self.producer)
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Anomaly::Lost { partition, record, offset, log_end } => {
                write!(f, "partition {partition}, {record}, at offset {offset:?}; the log ends at {log_end}")
            }
            Anomaly::Moved { partition, record, acknowledged, found } => {
                write!(f, "partition {partition}, {record}, acknowledged at {acknowledged}, found at {found}")
            }
            Anomaly::Duplicated { partition, record, offsets } => {
                write!(f, "partition {partition}, {record}, at {offsets:?}")
            }
            Anomaly::Reordered { partition, record, offset, behind } => {
                write!(f, "partition {partition}, {record} at {offset} stands behind {behind}")
            }
            Anomaly::Torn { partition, first, sent, found } => {
                write!(f, "partition {partition}, {found} of {sent} records from {first} on")
            }
            Anomaly::FailedButPresent { partition, record, offset }
            | Anomaly::Invented { partition, record, offset } => {
                write!(f, "partition {partition}, {record}, at {offset}")
            }
            Anomaly::Hole { node, partition, offset } => {
                write!(f, "partition {partition} on node {node}, no record at {offset}")
            }
            Anomaly::Diverged { partition, nodes: [one, other], offset } => {
                write!(f, "partition {partition}, nodes {one} and {other}, from offset {offset} on")
            }
            Anomaly::UncommittedRead { reader, node, partition, offset, record } => {
                write!(f, "partition {partition}, {reader} was given {record} at {offset} by node {node}")
            }
            Anomaly::TwoValues { partition, offset, one, other, seen_by } => {
                write!(f, "partition {partition}, offset {offset}: {one}, and for {seen_by} {other}")
            }
            Anomaly::Skipped { reader, partition, after, next }
            | Anomaly::WentBack { reader, partition, after, next } => {
                write!(f, "partition {partition}, {reader} was given {next} after {after}")
            }
            Anomaly::CutOff { reader, partition, offset } => {
                write!(f, "partition {partition}, {reader} had reached {offset}")
            }
            Anomaly::CommitLost { group, partition, committed, found } => {
                write!(f, "group {group}, partition {partition}: committed {committed}, found {found:?}")
            }
            Anomaly::CommitWentBack { group, partition, told, found } => {
                write!(f, "group {group}, partition {partition}: was told {told}, then {found:?}")
            }
            Anomaly::CommitInvented { group, partition, found } => {
                write!(f, "group {group}, partition {partition}: {found}")
            }
            Anomaly::GroupSkipped { group, partition, offset } => {
                write!(f, "group {group}, partition {partition}: offset {offset}")
            }
            Anomaly::Contradicted(Contradiction { client, partition, said }) => {
                write!(f, "partition {partition}, {client}: {said}")
            }
        }
    }
}
