//! When to dial again a peer that could not be reached, or has gone.

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    time::{Duration, Instant},
};

use ringmain_storage::disk::direct::sleep;

use super::{connection::Connection, endpoint::Endpoint, error::ConnectError};
use crate::NodeId;

/// The pause after a first failure: a process that starts anew needs about so long.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause: a peer that is back is dialled within it.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A connection that lasted so long was a good one: what ends it is a new story.
const GOOD_AFTER: Duration = Duration::from_secs(5);

/// Pauses that grow with each failure, and differ between the shards and nodes that all lost one peer.
#[derive(Debug, Clone, Default)]
pub struct RedialPauses {
    failures: u32,
}

impl RedialPauses {
    /// The pause after one more failure; `chance` is random, its high bits are used.
    pub fn after_failure(&mut self, chance: u64) -> Duration {
        let longest = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        // Between a half and the whole.
        let share = (chance >> 48) as u32;
        longest / 2 + longest / 2 * share / u32::from(u16::MAX)
    }

    /// All is well: the next failure is the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Keeps a connection to one address of one node, dialling whenever there is none.
pub struct Redial {
    endpoint: Endpoint,
    peer: NodeId,
    address: SocketAddr,
    pauses: RedialPauses,
    random: RandomState,
    current: Option<(Connection, Instant)>,
    dialled: u64,
}

impl Redial {
    /// Dials nothing yet.
    pub fn new(endpoint: Endpoint, peer: NodeId, address: SocketAddr) -> Self {
        let (pauses, random) = (RedialPauses::default(), RandomState::new());
        Self { endpoint, peer, address, pauses, random, current: None, dialled: 0 }
    }

    /// The connection that there is, or a new one. After a failure it waits before it says so: just call it again.
    pub async fn connection(&mut self) -> Result<Connection, ConnectError> {
        if let Some((connection, since)) = &self.current {
            if connection.gone().is_none() {
                return Ok(connection.clone());
            }
            let was_good = since.elapsed() >= GOOD_AFTER;
            self.current = None;
            if was_good {
                self.pauses.reset();
            } else {
                self.pause().await;
            }
        }
        match self.endpoint.connect(self.peer, self.address).await {
            Ok(connection) => {
                self.current = Some((connection.clone(), Instant::now()));
                Ok(connection)
            }
            Err(error) => {
                self.pause().await;
                Err(error)
            }
        }
    }

    async fn pause(&mut self) {
        self.dialled += 1;
        let chance = self.random.hash_one((self.peer, self.dialled));
        sleep(self.pauses.after_failure(chance)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        for chance in [0, u64::MAX / 3, u64::MAX] {
            let mut pauses = RedialPauses::default();
            let first = pauses.after_failure(chance);
            assert!(first >= PAUSE_MIN / 2 && first <= PAUSE_MIN);
            let mut last = first;
            for _ in 0..50 {
                let next = pauses.after_failure(chance);
                assert!(next >= last && next <= PAUSE_MAX);
                last = next;
            }
            assert!(last >= PAUSE_MAX / 2);
            pauses.reset();
            assert_eq!(pauses.after_failure(chance), first);
        }
        let pause = |chance| RedialPauses::default().after_failure(chance);
        assert!(pause(0) < pause(u64::MAX / 2) && pause(u64::MAX / 2) < pause(u64::MAX));
    }
}
