//! I6: when nothing goes wrong any more, everything comes into order within a bound.

use super::Outcome;
use super::node;
use super::world::World;
use crate::Acks;

/// Longest time until order, in milliseconds of the simulation: many times the longest of its timeouts.
const LIVENESS_MS_MAX: i64 = 20_000;
/// How often order is looked at.
const LOOK_MS: i64 = 100;
/// Records that each client must get through before it may stop.
const RECORDS_AFTER: usize = 3;

impl World {
    /// Lives through the faults and the calm after them.
    pub(super) fn live(mut self) -> Outcome {
        self.run_until(self.plan.chaos_ms);
        self.calm();
        let limit_ms = self.now_ms + LIVENESS_MS_MAX;
        loop {
            self.run_until(self.now_ms + LOOK_MS);
            for client in &mut self.clients {
                client.is_finishing |= client.acknowledged >= RECORDS_AFTER;
            }
            match self.disorder() {
                None => break,
                Some(disorder) => {
                    assert!(self.now_ms < limit_ms, "I6: no order after the faults: {disorder}")
                }
            }
        }
        self.check_the_end();
        Outcome {
            hash: self.hash,
            events: self.events,
            acknowledged: self.histories.iter().map(|history| history.acknowledged.len() as u64).sum(),
            elections: self.controller.elections,
        }
    }

    /// What is not yet in order.
    fn disorder(&self) -> Option<String> {
        if let Some(client) = self.clients.iter().position(|client| !client.is_finishing || !client.is_idle())
        {
            return Some(format!("client {client} waits: {:?}", self.clients[client]));
        }
        (0..self.histories.len()).find_map(|partition| self.disorder_of(partition))
    }

    fn disorder_of(&self, partition: usize) -> Option<String> {
        let state = &self.controller.partitions[partition];
        let Some(leader) = state.leader else {
            return Some(format!("p{partition} has no leader: {state:?}"));
        };
        if state.in_sync.len() != state.replicas.len() || state.target.is_some() {
            return Some(format!("p{partition} is not in sync: {state:?}"));
        }
        let log = &self.nodes[node::index(leader)].logs[partition];
        for replica in &state.replicas {
            let replica = &self.nodes[node::index(*replica)];
            let Some(machine) = &replica.machines[partition] else {
                return Some("not registered".to_owned());
            };
            let copy = &replica.logs[partition];
            if copy.end() != log.end()
                || machine.high_watermark().value() != log.end()
                || copy.start != log.start
            {
                return Some(format!("p{partition}: {machine:?} beside a log to {}", log.end()));
            }
        }
        None
    }

    fn check_the_end(&self) {
        let is_idempotent: Vec<bool> = self.clients.iter().map(|client| client.acks == Acks::All).collect();
        for (partition, history) in self.histories.iter().enumerate() {
            let state = &self.controller.partitions[partition];
            let leader = node::index(state.leader.expect("in order"));
            let log = &self.nodes[leader].logs[partition];
            for replica in &state.replicas {
                let copy = &self.nodes[node::index(*replica)].logs[partition];
                let is_equal = copy.from(copy.start, usize::MAX / 2) == log.from(log.start, usize::MAX / 2);
                assert!(is_equal, "I6: p{partition} differs between {leader} and {replica}");
            }
            assert!(log.start <= history.log_start, "I1: records below {} are gone", log.start);
            history.check_final(log, &is_idempotent);
        }
    }
}
