//! The leader answers the fetches of followers and learns from them what they have.

use alloc::vec::Vec;

use ringmain_storage::Offset;

use super::super::divergence::{self, EpochEnd};
use super::super::effect::Effect;
use super::super::fetch::{AnsweredFetch, FetchOutcome, FetchRefusal, FollowerFetch};
use super::super::replica::ParkedFetch;
use super::super::{Partition, Role};
use super::Leader;
use crate::planted;

impl Partition {
    /// A follower asks. Nothing is learnt from a fetch of another leadership, of an older process of the follower, or
    /// from a position that the two histories do not share.
    pub(in crate::partition) fn follower_fetch(
        &mut self,
        now_ms: i64,
        fetch: &FollowerFetch,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(refusal) = self.admit(fetch) {
            self.answer(fetch, FetchOutcome::Refused(refusal), effects);
            return;
        }
        let (log, rule) = (self.log, self.commit_rule);
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(replica) = leader.replicas.iter_mut().find(|replica| replica.node == fetch.from) else {
            return;
        };
        if let Some(outcome) = other_history(fetch, log.start, log.end) {
            if replica.answered < Some(fetch.fetch) {
                replica.answered = Some(fetch.fetch);
                self.answer(fetch, outcome, effects);
            }
            return;
        }
        replica.fetched(now_ms, fetch, rule, log.end);
        // The same fetch again only tells what is persisted; its answer is on the way.
        if replica.answered < Some(fetch.fetch) {
            if log.end > fetch.position {
                replica.answered = Some(fetch.fetch);
                replica.parked = None;
                self.answer(fetch, FetchOutcome::Records, effects);
            } else if replica.parked.is_none_or(|parked| parked.fetch < fetch.fetch) {
                let parked = ParkedFetch {
                    fetch: fetch.fetch,
                    position: fetch.position,
                    since_ms: now_ms,
                    known_high_watermark: fetch.high_watermark,
                };
                replica.parked = Some(parked);
            }
        }
        self.advance_high_watermark(effects);
        self.consider_expansion(now_ms, fetch.from, effects);
        // An earlier leader had records deleted and told this follower, but not this replica: they stay deleted.
        let deleted = fetch.log_start.min(self.high_watermark);
        if deleted > self.log.start {
            effects.push(Effect::AdvanceLogStart { to: deleted });
        }
    }

    fn admit(&mut self, fetch: &FollowerFetch) -> Result<(), FetchRefusal> {
        let leader_epoch = self.leader_epoch;
        let Role::Leader(leader) = &mut self.role else { return Err(FetchRefusal::NotLeader) };
        if self.is_failed {
            return Err(FetchRefusal::NotLeader);
        }
        if fetch.leader_epoch < leader_epoch && !planted::is("no-epoch-fence-on-fetch") {
            return Err(FetchRefusal::FencedLeaderEpoch);
        }
        if fetch.leader_epoch > leader_epoch {
            return Err(FetchRefusal::UnknownLeaderEpoch);
        }
        leader.admit(fetch)
    }

    fn answer(&self, fetch: &FollowerFetch, outcome: FetchOutcome, effects: &mut Vec<Effect>) {
        // A refusal is in the terms of who asked: it must recognise it, and ask again soon.
        let is_refusal = matches!(outcome, FetchOutcome::Refused(_));
        effects.push(Effect::AnswerFetch(AnsweredFetch {
            to: fetch.from,
            leader_epoch: if is_refusal { fetch.leader_epoch } else { self.leader_epoch },
            fetch: fetch.fetch,
            position: fetch.position,
            high_watermark: self.high_watermark,
            log_start: self.log.start,
            outcome,
        }));
    }

    /// There are new records: whoever waits for them gets them.
    pub(in crate::partition) fn answer_parked_fetches(&mut self, effects: &mut Vec<Effect>) {
        self.answer_parked(effects, |parked, log_end, _| {
            (log_end > parked.position).then_some(FetchOutcome::Records)
        });
    }

    /// Fetches that waited long, and those whose follower does not know the high watermark yet. The second is not done
    /// when it advances, because the next records take it along.
    pub(in crate::partition) fn answer_old_fetches(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let wait_ms_max = self.settings.fetch_wait_ms_max;
        self.answer_parked(effects, |parked, _, high_watermark| {
            let is_old = now_ms.saturating_sub(parked.since_ms) >= wait_ms_max;
            (is_old || parked.known_high_watermark < high_watermark).then_some(FetchOutcome::Nothing)
        });
    }

    fn answer_parked(
        &mut self,
        effects: &mut Vec<Effect>,
        outcome: impl Fn(&ParkedFetch, Offset, Offset) -> Option<FetchOutcome>,
    ) {
        let (log, high_watermark, leader_epoch) = (self.log, self.high_watermark, self.leader_epoch);
        let Role::Leader(leader) = &mut self.role else { return };
        for replica in &mut leader.replicas {
            let Some(parked) = replica.parked else { continue };
            let Some(outcome) = outcome(&parked, log.end, high_watermark) else { continue };
            replica.parked = None;
            replica.answered = Some(parked.fetch);
            effects.push(Effect::AnswerFetch(AnsweredFetch {
                to: replica.node,
                leader_epoch,
                fetch: parked.fetch,
                position: parked.position,
                high_watermark,
                log_start: log.start,
                outcome,
            }));
        }
    }
}

impl Leader {
    /// Whether the fetch is of a process of the replica that is not known to be gone.
    fn admit(&mut self, fetch: &FollowerFetch) -> Result<(), FetchRefusal> {
        let replica = self.replicas.iter_mut().find(|replica| replica.node == fetch.from);
        let replica = replica.ok_or(FetchRefusal::NotReplica)?;
        let node_epoch = fetch.fetch.node_epoch;
        if Some(node_epoch) < replica.node_epoch && !planted::is("older-process-counts") {
            return Err(FetchRefusal::NotReplica);
        }
        if Some(node_epoch) > replica.node_epoch {
            replica.restart(node_epoch);
            self.in_sync.restarted(fetch.from, node_epoch);
        }
        Ok(())
    }
}

/// What is answered where the follower's log is not a beginning of the leader's.
fn other_history(fetch: &FollowerFetch, log_start: Offset, log_end: Offset) -> Option<FetchOutcome> {
    if fetch.position < log_start {
        return Some(FetchOutcome::OutOfRange);
    }
    match (fetch.last_epoch, fetch.own_end) {
        (Some(last_epoch), Some(own)) if divergence::parts_at(fetch.position, last_epoch, own) => {
            Some(FetchOutcome::Diverged(EpochEnd { epoch: own.epoch, end: own.end }))
        }
        // No epoch as low is left here: all that the follower has was deleted, or never was.
        (Some(_), None) => Some(FetchOutcome::OutOfRange),
        _ => (fetch.position > log_end).then_some(FetchOutcome::OutOfRange),
    }
}
