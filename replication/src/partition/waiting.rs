//! Produce requests that wait: for the leader's write, or for the high watermark.
//!
//! What must hold: each is answered once, in the order of offsets.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use ringmain_storage::Offset;

use super::effect::{Effect, ProduceOutcome};
use super::event::RequestToken;

/// What a waiting produce request needs before it may be answered.
#[derive(Debug)]
pub(super) struct WaitingProduce {
    pub(super) request: RequestToken,
    /// Offset after the request's last record.
    pub(super) end: Offset,
    /// When the client stops waiting (`timeout_ms` of its request).
    pub(super) deadline_ms: i64,
}

/// A queue of them, ordered by `end`.
#[derive(Debug, Default)]
pub(super) struct Waiting(VecDeque<WaitingProduce>);

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, waiting: WaitingProduce) {
        if self.0.back().is_none_or(|last| last.end <= waiting.end) {
            self.0.push_back(waiting);
            return;
        }
        // A duplicate of a batch still in flight has a lower end than the newest one: it takes its place in the order.
        let place = self.0.partition_point(|earlier| earlier.end <= waiting.end);
        self.0.insert(place, waiting);
    }

    pub(super) fn answer_up_to(&mut self, up_to: Offset, effects: &mut Vec<Effect>) {
        while let Some(waiting) = self.0.pop_front_if(|waiting| waiting.end <= up_to) {
            effects.push(answer(waiting.request, ProduceOutcome::Done));
        }
    }

    pub(super) fn answer_all(&mut self, outcome: ProduceOutcome, effects: &mut Vec<Effect>) {
        effects.extend(self.0.drain(..).map(|waiting| answer(waiting.request, outcome)));
    }

    pub(super) fn expire(&mut self, now_ms: i64, outcome: ProduceOutcome, effects: &mut Vec<Effect>) {
        self.0.retain(|waiting| {
            let is_expired = waiting.deadline_ms <= now_ms;
            if is_expired {
                effects.push(answer(waiting.request, outcome));
            }
            !is_expired
        });
    }
}

fn answer(request: RequestToken, outcome: ProduceOutcome) -> Effect {
    Effect::AnswerProduce { request, outcome }
}
