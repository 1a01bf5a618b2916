//! What the clients of a cluster saw, and whether any cluster that keeps its promises could have shown it to them.
//!
//! Pure: no clock, no socket, no thread. A [`History`] is what producers, readers and groups wrote down while faults happened,
//! and the logs of all replicas after the faults were healed; [`check`] gives every [`Anomaly`] in it. What must hold:
//! - a record that was acknowledged is in the log, once, at the offset that its producer was told;
//! - records of one producer stand in the order in which it sent them;
//! - what a reader was shown is in the log, at that offset, and nothing between two records of a session is passed over;
//! - the replicas of a partition are equal, batch by batch;
//! - an acknowledged commit is what the group finds afterwards, and what a group has committed it has been given.
//!
//! Unknown outcomes stay unknown: such a record may be in the log or not, such a commit may take effect at any time.
//! What this does not do: judge how long anything took.

mod anomaly;
mod commits;
mod logs;
mod reads;
mod sends;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use anomaly::Anomaly;

/// A record as its value tells it: one incarnation of a producer and the number that it gave the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) producer: u32,
    pub(crate) number: u32,
}

/// What a client knows about something that it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome<T> {
    Acknowledged(T),
    /// Refused by every attempt, and no attempt can have had an effect.
    Failed,
    Unknown,
}

/// A batch that a producer sent: records with consecutive numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Send {
    pub(crate) producer: u32,
    pub(crate) partition: i32,
    pub(crate) first_number: u32,
    pub(crate) count: u32,
    /// The offset of the first record, if the cluster said it: a duplicate may be acknowledged without one.
    pub(crate) outcome: Outcome<Option<i64>>,
}

/// A session of a reader in one partition: what it was given, in that order, without a seek.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Session {
    pub(crate) reader: String,
    pub(crate) partition: i32,
    /// The group whose progress it reads for.
    pub(crate) group: Option<u32>,
    pub(crate) reads: Vec<Read>,
    /// A node said that its log ends before the offset that the reader had reached.
    pub(crate) cut_off_at: Option<i64>,
}

/// A record that a reader was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) offset: i64,
    pub(crate) record: Record,
    pub(crate) node: i32,
    pub(crate) at: Duration,
}

/// A commit of a group's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) group: u32,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) begin: Duration,
    pub(crate) end: Duration,
    pub(crate) outcome: Outcome<()>,
}

/// What a group was told about its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) group: u32,
    pub(crate) partition: i32,
    /// `None`: nothing is committed.
    pub(crate) offset: Option<i64>,
    pub(crate) begin: Duration,
    pub(crate) end: Duration,
}

/// The log of one replica after healing, up to its high watermark.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FinalLog {
    pub(crate) node: i32,
    pub(crate) partition: i32,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) records: Vec<(i64, Record)>,
    pub(crate) batches: Vec<Batch>,
}

/// A batch of a final log: where it begins, and a digest of all its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) base_offset: i64,
    pub(crate) digest: u64,
}

/// Something that a client was told which can never be right, noticed where it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) client: String,
    pub(crate) partition: i32,
    pub(crate) said: String,
}

/// Everything that was seen in one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) sends: Vec<Send>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) commits: Vec<Commit>,
    pub(crate) positions: Vec<Position>,
    pub(crate) final_logs: Vec<FinalLog>,
    pub(crate) contradictions: Vec<Contradiction>,
}

/// Every anomaly of a history; none if a cluster that keeps its promises can have made it.
pub(crate) fn check(history: &History) -> Vec<Anomaly> {
    let mut found: Vec<Anomaly> = history.contradictions.iter().cloned().map(Anomaly::Contradicted).collect();
    let logs = logs::compare(&history.final_logs, &mut found);
    sends::check(&history.sends, &logs, &mut found);
    reads::check(&history.sessions, &logs, &mut found);
    commits::check(history, &logs, &mut found);
    found
}

/// The log that the replicas of a partition agree on: the one of the first, where they do not.
struct AgreedLog {
    start: i64,
    end: i64,
    records: BTreeMap<i64, Record>,
    /// Where each record is: one offset, if all is well.
    places: BTreeMap<Record, Vec<i64>>,
}
