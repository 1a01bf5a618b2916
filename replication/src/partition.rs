//! One partition as its replica on this node sees it: role, epochs, high watermark, produce requests that wait.
//!
//! What must hold:
//! - `high_watermark` never goes back while this replica leads, and never passes what this replica itself has
//!   persisted to the degree that its [`CommitRule`] asks for;
//! - a produce request is answered exactly once;
//! - requests of one partition are answered in the order of their offsets.
//!
//! Does not do yet: followers. With one replica the in-sync set is the leader alone; the progress of others enters
//! through further events and the same [`Partition::advance_high_watermark`].

mod assignment;
mod divergence;
mod effect;
mod event;
mod fetch;
mod in_sync;
mod progress;
mod proposal;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;

pub use effect::{Effect, ProduceOutcome, ProduceRefusal};
pub use event::{Acks, CommitRule, Event, RequestToken};
use ringmain_storage::{LeaderEpoch, Offset};

/// What a waiting produce request needs before it may be answered.
#[derive(Debug)]
struct WaitingProduce {
    request: RequestToken,
    /// Offset after the request's last record.
    end: Offset,
    /// When the client stops waiting (`timeout_ms` of its request).
    deadline_ms: i64,
}

/// Where the replica's log stands. `flushed <= written <= end` always.
#[derive(Debug, Clone, Copy)]
struct Progress {
    written: Offset,
    flushed: Offset,
}

/// The state of one replica of one partition.
#[derive(Debug)]
pub struct Partition {
    leading: bool,
    leader_epoch: LeaderEpoch,
    commit_rule: CommitRule,
    /// Fewest in-sync replicas for which `acks=all` is accepted (`min.insync.replicas`).
    min_in_sync_replicas: u32,
    /// Replicas in the in-sync set, the leader included.
    in_sync_replicas: u32,
    progress: Progress,
    /// Below it, all in-sync replicas have it; consumers may read. Exclusive.
    high_watermark: Offset,
    /// The first failure of the log; from then on nothing is accepted.
    failed: bool,
    /// `acks=1`: wait until the leader has written. Ordered by `end`.
    waiting_for_write: VecDeque<WaitingProduce>,
    /// `acks=all`: wait for the high watermark. Ordered by `end`.
    waiting_for_commit: VecDeque<WaitingProduce>,
}

impl Partition {
    /// A replica whose log was recovered up to `log_end`; everything below it was flushed by recovery.
    pub fn new(log_end: Offset, commit_rule: CommitRule, min_in_sync_replicas: u32) -> Self {
        Self {
            leading: false,
            leader_epoch: LeaderEpoch::new(-1),
            commit_rule,
            min_in_sync_replicas,
            in_sync_replicas: 1,
            progress: Progress { written: log_end, flushed: log_end },
            high_watermark: log_end,
            failed: false,
            waiting_for_write: VecDeque::new(),
            waiting_for_commit: VecDeque::new(),
        }
    }

    /// Below it, all in-sync replicas have every record. Exclusive.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The epoch in which this replica leads or follows.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Whether this replica leads and its log is healthy.
    pub fn is_leading(&self) -> bool {
        self.leading && !self.failed
    }

    /// Whether some produce request waits for an answer.
    pub fn has_waiting(&self) -> bool {
        !self.waiting_for_write.is_empty() || !self.waiting_for_commit.is_empty()
    }

    /// Applies one event. Effects are appended in the order in which they must be executed.
    pub fn step(&mut self, now_ms: i64, event: Event, effects: &mut alloc::vec::Vec<Effect>) {
        match event {
            Event::BecomeLeader { leader_epoch, in_sync_replicas } => {
                self.become_leader(leader_epoch, in_sync_replicas);
            }
            Event::Configure { commit_rule, min_in_sync_replicas } => {
                self.commit_rule = commit_rule;
                self.min_in_sync_replicas = min_in_sync_replicas;
                self.advance_high_watermark(effects);
            }
            Event::Produce { request, acks } => self.produce(request, acks, effects),
            Event::Appended { request, acks, end, timeout_ms } => {
                self.appended(now_ms.saturating_add(timeout_ms.into()), request, acks, end, effects);
            }
            Event::Written { up_to } => {
                self.progress.written = self.progress.written.max(up_to);
                answer_up_to(&mut self.waiting_for_write, up_to, effects);
                self.advance_high_watermark(effects);
            }
            Event::Flushed { up_to } => {
                self.progress.flushed = self.progress.flushed.max(up_to);
                self.progress.written = self.progress.written.max(up_to);
                answer_up_to(&mut self.waiting_for_write, up_to, effects);
                self.advance_high_watermark(effects);
            }
            Event::LogFailed => {
                self.failed = true;
                self.answer_all(ProduceOutcome::StorageFailed, effects);
            }
            Event::WriteRefused => self.answer_all(ProduceOutcome::StorageFailed, effects),
            Event::Tick => self.expire(now_ms, effects),
            Event::Resign => {
                self.leading = false;
                self.answer_all(ProduceOutcome::NotLeader, effects);
            }
        }
    }

    fn become_leader(&mut self, leader_epoch: LeaderEpoch, in_sync_replicas: u32) {
        // Metadata older than what this replica already obeyed must not make it write a second history.
        assert!(
            leader_epoch >= self.leader_epoch,
            "leader epoch went back from {:?} to {leader_epoch:?}",
            self.leader_epoch
        );
        self.leading = true;
        self.leader_epoch = leader_epoch;
        self.in_sync_replicas = in_sync_replicas;
    }

    fn produce(&mut self, request: RequestToken, acks: Acks, effects: &mut alloc::vec::Vec<Effect>) {
        let refusal = if self.failed {
            Some(ProduceRefusal::StorageFailed)
        } else if !self.leading {
            Some(ProduceRefusal::NotLeader)
        } else if acks == Acks::All && self.in_sync_replicas < self.min_in_sync_replicas {
            Some(ProduceRefusal::NotEnoughReplicas)
        } else {
            None
        };
        effects.push(match refusal {
            Some(refusal) => Effect::RefuseProduce { request, refusal },
            None => Effect::AppendToLog { request, leader_epoch: self.leader_epoch },
        });
    }

    fn appended(
        &mut self,
        deadline_ms: i64,
        request: RequestToken,
        acks: Acks,
        end: Offset,
        effects: &mut alloc::vec::Vec<Effect>,
    ) {
        let persisted = match acks {
            Acks::None => end,
            Acks::Leader => self.progress.written,
            Acks::All => self.high_watermark,
        };
        if persisted >= end {
            // Nothing to wait for; or a duplicate whose first copy is already committed.
            effects.push(Effect::AnswerProduce { request, outcome: ProduceOutcome::Done });
            return;
        }
        let queue = match acks {
            Acks::None | Acks::Leader => &mut self.waiting_for_write,
            Acks::All => &mut self.waiting_for_commit,
        };
        let waiting = WaitingProduce { request, end, deadline_ms };
        if queue.back().is_none_or(|last| last.end <= end) {
            queue.push_back(waiting);
            return;
        }
        // A duplicate of a batch still in flight has a lower end than the newest one: it takes its place in the order.
        let place = queue.partition_point(|waiting| waiting.end <= end);
        queue.insert(place, waiting);
    }

    /// The high watermark is the least that every in-sync replica has persisted; with one replica, its own.
    fn advance_high_watermark(&mut self, effects: &mut alloc::vec::Vec<Effect>) {
        assert!(
            self.progress.flushed <= self.progress.written,
            "flushed past what was written: {:?}",
            self.progress
        );
        let persisted = match self.commit_rule {
            CommitRule::Flushed => self.progress.flushed,
            CommitRule::Written => self.progress.written,
        };
        if !self.leading || persisted <= self.high_watermark {
            return;
        }
        self.high_watermark = persisted;
        effects.push(Effect::HighWatermarkAdvanced { to: persisted });
        answer_up_to(&mut self.waiting_for_commit, persisted, effects);
    }

    fn answer_all(&mut self, outcome: ProduceOutcome, effects: &mut alloc::vec::Vec<Effect>) {
        for waiting in self.waiting_for_write.drain(..).chain(self.waiting_for_commit.drain(..)) {
            effects.push(Effect::AnswerProduce { request: waiting.request, outcome });
        }
    }

    fn expire(&mut self, now_ms: i64, effects: &mut alloc::vec::Vec<Effect>) {
        for queue in [&mut self.waiting_for_write, &mut self.waiting_for_commit] {
            queue.retain(|waiting| {
                let expired = waiting.deadline_ms <= now_ms;
                if expired {
                    effects.push(Effect::AnswerProduce {
                        request: waiting.request,
                        outcome: ProduceOutcome::TimedOut,
                    });
                }
                !expired
            });
        }
    }
}

fn answer_up_to(queue: &mut VecDeque<WaitingProduce>, up_to: Offset, effects: &mut alloc::vec::Vec<Effect>) {
    while let Some(waiting) = queue.pop_front_if(|waiting| waiting.end <= up_to) {
        effects.push(Effect::AnswerProduce { request: waiting.request, outcome: ProduceOutcome::Done });
    }
}
