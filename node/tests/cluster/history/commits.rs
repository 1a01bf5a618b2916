//! What groups committed, were told and were given.
//!
//! A group's commits rise: nobody commits less than what it has been told. A commit whose outcome is unknown may still take
//! effect later, over one that was acknowledged meanwhile: being told such an offset proves nothing.

use super::{AgreedLog, Anomaly, Commit, History, Outcome, Position};
use std::collections::{BTreeMap, BTreeSet};

/// Commits and positions of one group in one partition.
#[derive(Default)]
struct Progress {
    commits: Vec<Commit>,
    positions: Vec<Position>,
}

/// Checks the progress of every group.
pub(super) fn check(history: &History, logs: &BTreeMap<i32, AgreedLog>, found: &mut Vec<Anomaly>) {
    let mut groups: BTreeMap<(u32, i32), Progress> = BTreeMap::new();
    for commit in &history.commits {
        groups.entry((commit.group, commit.partition)).or_default().commits.push(*commit);
    }
    for position in &history.positions {
        groups.entry((position.group, position.partition)).or_default().positions.push(*position);
    }
    for ((group, partition), progress) in &mut groups {
        progress.positions.sort_by_key(|position| position.begin);
        progress.told_what_was_committed(found);
        progress.told_no_less_than_before(found);
        let Some(committed) = progress.committed() else { continue };
        let Some(log) = logs.get(partition) else { continue };
        let given = given_to(history, *group, *partition);
        let end = committed.min(log.end);
        for (offset, _) in log.records.range(..end.max(log.start)) {
            if !given.contains(offset) {
                let (group, partition, offset) = (*group, *partition, *offset);
                found.push(Anomaly::GroupSkipped { group, partition, offset });
            }
        }
    }
}

fn given_to(history: &History, group: u32, partition: i32) -> BTreeSet<i64> {
    let sessions = history.sessions.iter();
    let of_group = sessions.filter(|session| session.group == Some(group) && session.partition == partition);
    of_group.flat_map(|session| session.reads.iter().map(|read| read.offset)).collect()
}

impl Progress {
    /// The highest offset that was acknowledged.
    fn committed(&self) -> Option<i64> {
        self.acknowledged_before(std::time::Duration::MAX)
    }

    fn acknowledged_before(&self, moment: std::time::Duration) -> Option<i64> {
        let earlier = self.commits.iter().filter(|commit| commit.end <= moment);
        let kept = earlier.filter(|commit| commit.outcome == Outcome::Acknowledged(()));
        kept.map(|commit| commit.offset).max()
    }

    /// Whether a commit of that offset may take effect whenever it likes.
    fn is_adrift(&self, offset: Option<i64>, until: std::time::Duration) -> bool {
        self.commits.iter().any(|commit| {
            commit.outcome == Outcome::Unknown && Some(commit.offset) == offset && commit.begin <= until
        })
    }

    fn told_what_was_committed(&self, found: &mut Vec<Anomaly>) {
        for position in &self.positions {
            let (group, partition) = (position.group, position.partition);
            let was_asked = self.commits.iter().any(|commit| {
                commit.outcome != Outcome::Failed
                    && commit.begin <= position.end
                    && Some(commit.offset) == position.offset
            });
            if let Some(offset) = position.offset
                && !was_asked
            {
                found.push(Anomaly::CommitInvented { group, partition, found: offset });
            }
            let Some(committed) = self.acknowledged_before(position.begin) else { continue };
            let is_less = position.offset.is_none_or(|offset| offset < committed);
            if is_less && !self.is_adrift(position.offset, position.end) {
                let found_offset = position.offset;
                found.push(Anomaly::CommitLost { group, partition, committed, found: found_offset });
            }
        }
    }

    fn told_no_less_than_before(&self, found: &mut Vec<Anomaly>) {
        let mut highest: Option<Position> = None;
        for position in &self.positions {
            if let Some(before) = highest
                && before.end <= position.begin
                && position.offset < before.offset
                && !self.is_adrift(position.offset, position.end)
            {
                let (group, partition) = (position.group, position.partition);
                let told = before.offset.expect("more than something is something");
                found.push(Anomaly::CommitWentBack { group, partition, told, found: position.offset });
            }
            if highest.is_none_or(|before| position.offset > before.offset) {
                highest = Some(*position);
            }
        }
    }
}
