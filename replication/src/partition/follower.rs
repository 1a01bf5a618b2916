//! The follower's part: it asks, appends, cuts what the leader does not have, and tells what it has persisted.

use alloc::vec::Vec;

use ringmain_storage::{LeaderEpoch, Offset};

use super::divergence;
use super::effect::Effect;
use super::fetch::{FetchAnswer, FetchId, Fetched, OutgoingFetch};
use super::{Assignment, Partition, Role};
use crate::identity::NodeId;
use crate::planted;

/// A fetch that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outstanding {
    fetch: FetchId,
    position: Offset,
    last_epoch: Option<LeaderEpoch>,
    since_ms: i64,
}

/// What only a follower has.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) leader: NodeId,
    pub(super) outstanding: Option<Outstanding>,
    /// The answer whose records are being appended, and the high watermark that it brought.
    appending: Option<(FetchId, Offset)>,
    /// After a refusal: not to ask again before.
    not_before_ms: i64,
    /// The high watermark that the leader told last; it may be beyond the end of this log.
    pub(super) told_high_watermark: Option<Offset>,
}

impl Partition {
    pub(super) fn follow(&mut self, now_ms: i64, assignment: &Assignment, effects: &mut Vec<Effect>) {
        self.role = match assignment.leader {
            Some(leader) => Role::Follower(Follower {
                leader,
                outstanding: None,
                appending: None,
                not_before_ms: i64::MIN,
                told_high_watermark: None,
            }),
            None => Role::Outside,
        };
        if planted::is("truncate-to-high-watermark") && self.high_watermark < self.log.end {
            self.truncate(self.high_watermark, effects);
        }
        self.ask(now_ms, effects);
    }

    /// Asks for what follows the log's end, under a new name.
    pub(super) fn ask(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        if self.is_truncating || self.is_failed {
            return;
        }
        let fetch = FetchId { node_epoch: self.node_epoch, number: self.fetches };
        let Role::Follower(follower) = &mut self.role else { return };
        self.fetches += 1;
        let last_epoch = self.log.epoch_before_end();
        follower.appending = None;
        follower.outstanding =
            Some(Outstanding { fetch, position: self.log.end, last_epoch, since_ms: now_ms });
        effects.push(Effect::SendFetch { leader: follower.leader });
    }

    /// What this follower asks its leader now.
    pub fn outgoing_fetch(&self) -> Option<OutgoingFetch> {
        let Role::Follower(follower) = &self.role else { return None };
        let outstanding = follower.outstanding?;
        Some(OutgoingFetch {
            leader: follower.leader,
            leader_epoch: self.leader_epoch,
            fetch: outstanding.fetch,
            position: outstanding.position,
            last_epoch: outstanding.last_epoch,
            persisted: self.log.persisted,
            log_start: self.log.start,
            high_watermark: self.high_watermark,
        })
    }

    /// The leader hears at once what this follower has persisted: its clients wait for it.
    pub(super) fn follower_persisted(&mut self, effects: &mut Vec<Effect>) {
        if let Role::Follower(follower) = &self.role
            && follower.outstanding.is_some()
        {
            effects.push(Effect::SendFetch { leader: follower.leader });
        }
    }

    pub(super) fn fetch_answered(&mut self, now_ms: i64, answer: &FetchAnswer, effects: &mut Vec<Effect>) {
        if self.is_stale(answer) {
            return;
        }
        let Role::Follower(follower) = &mut self.role else { return };
        follower.outstanding = None;
        match answer.outcome {
            Fetched::Records { base } if base == self.log.end => {
                follower.appending = Some((answer.fetch, answer.high_watermark));
                follower.told_high_watermark = Some(answer.high_watermark);
                // The answer may have to wait for room, and then enters again.
                follower.outstanding = Some(Outstanding {
                    fetch: answer.fetch,
                    position: answer.position,
                    last_epoch: self.log.epoch_before_end(),
                    since_ms: now_ms,
                });
                self.follow_log_start(answer.log_start, effects);
                effects.push(Effect::AppendFetched { fetch: answer.fetch });
            }
            // The leader's log starts inside of a batch, and the batch comes whole.
            Fetched::Records { base } if base < self.log.end && self.log.is_empty() => {
                self.restart_at(base, effects)
            }
            // The leader's log was compacted: one batch stands for several, and this log ends in the midst of them. Nothing is
            // lost by cutting them off: what is left of them is in the leader's batch.
            Fetched::Records { base } if base < self.log.end => self.cut_into_batch(base, effects),
            Fetched::Records { .. } => self.ask_later(now_ms),
            Fetched::Nothing => {
                self.learn_high_watermark(answer.high_watermark, effects);
                self.follow_log_start(answer.log_start, effects);
                self.ask(now_ms, effects);
            }
            Fetched::Diverged { leader, own } => {
                let to = divergence::cut(leader, own, self.log.start);
                if to < self.log.end {
                    self.truncate(to, effects);
                } else {
                    self.ask_later(now_ms);
                }
            }
            Fetched::OutOfRange => self.restart_at(answer.log_start, effects),
            Fetched::Refused(_) => self.ask_later(now_ms),
        }
    }

    /// Whether this is not the answer to what this follower asks now: another leadership, another fetch, another
    /// position (rule 2).
    fn is_stale(&self, answer: &FetchAnswer) -> bool {
        let Role::Follower(follower) = &self.role else { return true };
        if answer.leader_epoch != self.leader_epoch || self.is_truncating {
            return true;
        }
        if planted::is("late-divergence-obeyed") && matches!(answer.outcome, Fetched::Diverged { .. }) {
            return false;
        }
        follower
            .outstanding
            .is_none_or(|asked| asked.fetch != answer.fetch || asked.position != answer.position)
    }

    pub(super) fn fetched_appended(
        &mut self,
        now_ms: i64,
        fetch: FetchId,
        end: Offset,
        last_epoch: LeaderEpoch,
        effects: &mut Vec<Effect>,
    ) {
        assert!(last_epoch <= self.leader_epoch, "records of a leadership that is to come: {last_epoch}");
        let Role::Follower(follower) = &mut self.role else {
            panic!("only a follower appends what it fetched: {fetch:?}");
        };
        let appending = follower.appending.take();
        let (_, high_watermark) = appending
            .filter(|(appending, _)| *appending == fetch)
            .expect("an append follows its effect at once");
        self.log.grow(end, last_epoch);
        self.learn_high_watermark(high_watermark, effects);
        self.ask(now_ms, effects);
    }

    /// The answer was of no use.
    pub(super) fn fetch_failed(&mut self, now_ms: i64, fetch: FetchId) {
        if let Role::Follower(follower) = &self.role
            && follower.outstanding.is_some_and(|asked| asked.fetch == fetch)
        {
            self.ask_later(now_ms);
        }
    }

    /// Asks at the tick that comes after a pause: at once would be again and again.
    fn ask_later(&mut self, now_ms: i64) {
        let not_before_ms = now_ms.saturating_add(self.settings.fetch_retry_ms);
        if let Role::Follower(follower) = &mut self.role {
            follower.outstanding = None;
            follower.appending = None;
            follower.not_before_ms = not_before_ms;
        }
    }

    /// Asks again where the answer does not come, or it was time to wait.
    pub(super) fn repeat_fetch(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let Role::Follower(follower) = &self.role else { return };
        let is_due = match follower.outstanding {
            Some(asked) => now_ms.saturating_sub(asked.since_ms) >= self.settings.fetch_timeout_ms,
            None => now_ms >= follower.not_before_ms,
        };
        if is_due {
            self.ask(now_ms, effects);
        }
    }

    /// What is committed stays committed: a follower never takes a high watermark back, whatever a new leader knows yet.
    fn learn_high_watermark(&mut self, leader: Offset, effects: &mut Vec<Effect>) {
        if let Role::Follower(follower) = &mut self.role {
            follower.told_high_watermark = Some(leader);
        }
        let known = leader.min(self.log.end);
        if known > self.high_watermark {
            self.high_watermark = known;
            effects.push(Effect::HighWatermarkAdvanced { to: known });
        }
    }

    fn follow_log_start(&mut self, leader: Offset, effects: &mut Vec<Effect>) {
        if leader > self.log.start {
            // Only what is committed is ever deleted; more may not be known here yet.
            let to = leader.min(self.high_watermark);
            if to > self.log.start {
                effects.push(Effect::AdvanceLogStart { to });
            }
        }
    }

    pub(super) fn truncate(&mut self, to: Offset, effects: &mut Vec<Effect>) {
        assert!(
            to < self.log.end && to >= self.log.start,
            "a cut outside of the log: {to} in {:?}",
            self.log
        );
        let loses_committed = to < self.high_watermark;
        self.high_watermark = self.high_watermark.min(to);
        self.stop_asking();
        effects.push(Effect::TruncateLog { to, loses_committed });
    }

    /// Makes room for a batch of the leader that begins before this log's end.
    fn cut_into_batch(&mut self, base: Offset, effects: &mut Vec<Effect>) {
        if base <= self.log.start {
            self.restart_at(base, effects);
            return;
        }
        self.high_watermark = self.high_watermark.min(base);
        self.stop_asking();
        effects.push(Effect::TruncateLog { to: base, loses_committed: false });
    }

    fn restart_at(&mut self, at: Offset, effects: &mut Vec<Effect>) {
        self.stop_asking();
        effects.push(Effect::RestartLog { at });
    }

    fn stop_asking(&mut self) {
        self.is_truncating = true;
        if let Role::Follower(follower) = &mut self.role {
            follower.outstanding = None;
            follower.appending = None;
        }
    }
}
