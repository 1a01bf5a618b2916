//! Clients: producers that repeat themselves until they are answered, and consumers that read anywhere.

use ringmain_storage::Offset;

use super::message::{Message, ProduceRequest, Produced};
use super::world::{Happening, World};
use crate::Acks;

/// A record that is not acknowledged yet.
#[derive(Debug, Clone, Copy)]
struct Outstanding {
    sequence: usize,
    attempt: u32,
    sent_ms: i64,
}

/// A producer. With `acks=all` it is idempotent: its records carry sequence numbers, which the log checks.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) partition: usize,
    pub(super) acks: Acks,
    next: usize,
    outstanding: Vec<Outstanding>,
    in_flight_max: usize,
    /// Where it believes the leader is.
    leader: usize,
    /// No new records any more.
    pub(super) is_finishing: bool,
    /// Records that were acknowledged since the faults ended.
    pub(super) acknowledged: usize,
    /// Offset of the newest record that was acknowledged; older ones are never asked for again.
    pub(super) newest_acknowledged: Option<i64>,
}

/// When a client takes silence for a loss.
const REQUEST_TIMEOUT_MS: i64 = 150;

impl Client {
    pub(super) fn new(partition: usize, acks: Acks, in_flight_max: usize) -> Self {
        Self {
            partition,
            acks,
            next: 0,
            outstanding: Vec::new(),
            in_flight_max,
            leader: 0,
            is_finishing: false,
            acknowledged: 0,
            newest_acknowledged: None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.outstanding.is_empty()
    }
}

impl World {
    pub(super) fn client_tick(&mut self, client: usize) {
        let now_ms = self.now_ms;
        let state = &mut self.clients[client];
        if state.outstanding.len() < state.in_flight_max && !state.is_finishing {
            state.outstanding.push(Outstanding { sequence: state.next, attempt: 0, sent_ms: i64::MIN });
            state.next += 1;
        }
        let mut due = Vec::new();
        for outstanding in &mut state.outstanding {
            if now_ms.saturating_sub(outstanding.sent_ms) >= REQUEST_TIMEOUT_MS {
                outstanding.attempt += 1;
                outstanding.sent_ms = now_ms;
                let (sequence, attempt) = (outstanding.sequence, outstanding.attempt);
                due.push(ProduceRequest { client, sequence, attempt });
            }
        }
        // Silence, or a refusal: look elsewhere.
        if due.iter().any(|request| request.attempt > 1) {
            self.find_leader(client);
        }
        let (partition, leader) = (self.clients[client].partition, self.clients[client].leader);
        for request in due {
            self.send(self.client_address(client), leader, Message::Produce { partition, request });
        }
        let wait_ms = self.random.between(self.plan.client_ms_max / 3, self.plan.client_ms_max);
        self.after(wait_ms, Happening::ClientTick { client });
    }

    fn find_leader(&mut self, client: usize) {
        let known = self.controller.partitions[self.clients[client].partition].leader;
        self.clients[client].leader = match known {
            Some(leader) if self.random.permille(800) => super::node::index(leader),
            _ => self.random.below(self.nodes.len()),
        };
    }

    pub(super) fn client_receives(&mut self, client: usize, request: ProduceRequest, outcome: Produced) {
        let state = &mut self.clients[client];
        let place = state.outstanding.iter().position(|outstanding| outstanding.sequence == request.sequence);
        let Some(place) = place else { return };
        match outcome {
            Produced::Refused => {
                // Only what is news is believed; the next tick tries again.
                if state.outstanding[place].attempt == request.attempt {
                    state.outstanding[place].sent_ms = i64::MIN;
                }
            }
            Produced::At(offset) => {
                state.newest_acknowledged = state.newest_acknowledged.max(Some(offset));
                state.acknowledged += 1;
                state.outstanding.remove(place);
            }
            // It was committed, and then deleted before the answer came through.
            Produced::Deleted => {
                state.acknowledged += 1;
                state.outstanding.remove(place);
            }
        }
    }

    /// A consumer reads what some replica shows.
    pub(super) fn consumer_tick(&mut self, partition: usize) {
        let node = self.random.below(self.nodes.len());
        if let Some(machine) = &self.nodes[node].machines[partition]
            && self.nodes[node].paused_until_ms <= self.now_ms
            && (machine.is_leading() || machine.is_following())
        {
            let log = &self.nodes[node].logs[partition];
            let up_to: Offset = machine.high_watermark();
            let next = self.consumed[partition].max(log.start);
            for offset in next..up_to.value() {
                let record = log.get(offset).expect("what is readable is in the log");
                self.histories[partition].consumed(offset, record);
            }
            self.consumed[partition] = next.max(up_to.value());
        }
        let wait_ms = self.random.between(10, 50);
        self.after(wait_ms, Happening::ConsumerTick { partition });
    }
}
