//! How long offsets live, and groups without any (KIP-211).
//!
//! - Empty groups: the retention counts from the moment when the last member left.
//! - Consumers without a group: from each commit.
//! - Groups of consumers that are stable: from each commit, but only for topics that nobody reads any more.
//! - An expiry of its own (old clients asked for it) takes the place of the retention.
//!
//! Each group is looked at once an interval, at a time of its own: a pass over all groups at once would stop a shard.

use super::Group;
use crate::deadlines::Timer;
use crate::step::Step;
use crate::writes::Deletion;
use crate::{CommittedOffset, GroupState};

impl Group {
    pub(crate) fn schedule_retention_check(&mut self, step: &mut Step<'_>) {
        let interval_ms = step.settings.offsets_retention_check_interval_ms;
        self.schedule_retention_check_after(step, interval_ms);
    }

    pub(crate) fn schedule_retention_check_after(&mut self, step: &mut Step<'_>, delay_ms: i64) {
        // An interval of nothing would keep the shard busy with nothing else.
        let at_ms = step.after_ms(delay_ms.max(1));
        step.deadlines.schedule(Timer::Retention(self.number), &mut self.retention_deadline_ms, at_ms);
    }

    pub(crate) fn cancel_retention_check(&mut self, step: &mut Step<'_>) {
        step.deadlines.cancel(Timer::Retention(self.number), &mut self.retention_deadline_ms);
    }

    /// Looks whether offsets expired, or the whole group.
    pub(crate) fn on_retention_deadline(&mut self, step: &mut Step<'_>) {
        self.schedule_retention_check(step);
        let expired = match self.retention_base() {
            Some(base) => self
                .offsets
                .expired(|topic, offset| !self.is_subscribed(topic) && self.is_expired(step, base, offset)),
            None => return,
        };
        let is_all = self.offsets.partitions().len() == expired.len();
        if is_all && self.state == GroupState::Empty && self.members.pending_len() == 0 && self.writes == 0 {
            step.counters.offsets_expired += expired.len() as u64;
            self.write_tombstones(step, None);
        } else if !expired.is_empty() {
            self.delete_partitions(step, expired, Deletion::Expired);
        }
    }

    fn retention_base(&self) -> Option<Base> {
        match (&self.protocol_type, self.state) {
            (None, GroupState::Empty) => Some(Base::Commit),
            (Some(_), GroupState::Empty) => Some(self.state_since_ms.map_or(Base::Commit, Base::Since)),
            (Some(_), GroupState::Stable) if self.is_of_consumers() && self.subscribed.is_some() => {
                Some(Base::Commit)
            }
            _ => None,
        }
    }

    fn is_expired(&self, step: &Step<'_>, base: Base, offset: &CommittedOffset) -> bool {
        if let Some(expires_at_ms) = offset.expires_at_ms {
            return step.now_ms >= expires_at_ms;
        }
        let from_ms = match base {
            Base::Commit => offset.committed_at_ms,
            Base::Since(since_ms) => since_ms,
        };
        step.now_ms.saturating_sub(from_ms) >= step.settings.offsets_retention_ms
    }
}

/// From when the retention counts.
#[derive(Debug, Clone, Copy)]
enum Base {
    Commit,
    Since(i64),
}
