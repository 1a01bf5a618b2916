//! Who leads each partition of a topic, so that requests go where they are served.
//!
//! A broker that is alone is reached at the address that was given, whatever it says of itself. Leaders
//! are looked up once: a run during which they change fails, since its figures would mean something else.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::driver::wire::client::{Client, other};
use crate::driver::wire::cluster::ClusterView;

/// How long partitions may take to have leaders that know it.
const WAIT_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Addresses of the leaders, in the order of the partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaders(Vec<SocketAddr>);

impl Leaders {
    /// Looks up those of partitions `0..partition_count`, at any node.
    pub(crate) fn find(address: SocketAddr, topic: &str, partition_count: u32) -> io::Result<Self> {
        let mut client = Client::connect(address)?;
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let view = ClusterView::ask(&mut client, topic)?;
            if view.nodes.len() <= 1 {
                return Ok(Self(vec![address; partition_count as usize]));
            }
            let partitions = 0..partition_count.cast_signed();
            let found = partitions.map(|partition| view.leader_of(partition).map(|(_, address)| address));
            if let Some(all) = found.collect() {
                return Ok(Self(all));
            }
            if Instant::now() > deadline {
                return Err(other(format!("not all partitions of {topic} have a leader")));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Number of partitions.
    pub(crate) fn partition_count(&self) -> u32 {
        u32::try_from(self.0.len()).expect("there are as many as were asked for")
    }

    /// The one leader of some partitions. A connection speaks to one node, so several are an error.
    pub(crate) fn of(&self, partitions: impl IntoIterator<Item = i32>) -> io::Result<SocketAddr> {
        let mut found = None;
        for partition in partitions {
            let index = usize::try_from(partition).map_err(io::Error::other)?;
            let leader = self.0.get(index);
            let leader = *leader.ok_or_else(|| other(format!("there is no partition {partition}")))?;
            if *found.get_or_insert(leader) != leader {
                return Err(other(
                    "the partitions of one connection have several leaders: give each partition a connection"
                        .into(),
                ));
            }
        }
        found.ok_or_else(|| other("a connection needs a partition".into()))
    }

    /// The leader of all connections, if there is but one.
    pub(crate) fn is_one(&self) -> bool {
        self.0.iter().all(|leader| *leader == self.0[0])
    }

    /// The offsets at `timestamp` of all partitions. Waits where a leader does not know that it leads.
    pub(crate) fn offsets(&self, topic: &str, timestamp: i64) -> io::Result<Vec<i64>> {
        let first = *self.0.first().ok_or_else(|| other("a topic has partitions".into()))?;
        if self.is_one() {
            return Client::connect(first)?.offsets(topic, self.partition_count(), timestamp);
        }
        let partitions = (0..).zip(&self.0);
        partitions
            .map(|(partition, leader)| {
                let mut client = Client::connect(*leader)?;
                let deadline = Instant::now() + WAIT_MAX;
                loop {
                    match client.offset(topic, partition, timestamp) {
                        Ok(offset) => return Ok(offset),
                        Err(error) if Instant::now() > deadline => return Err(error),
                        Err(_) => std::thread::sleep(POLL_INTERVAL),
                    }
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_one_leader() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let leaders = Leaders(vec![address(1), address(2), address(1)]);
        assert_eq!(leaders.of([0, 2]).expect("one leader"), address(1));
        assert_eq!(leaders.of([1]).expect("one leader"), address(2));
        assert!(leaders.of([0, 1]).is_err(), "two leaders");
        assert!(leaders.of([3]).is_err(), "no such partition");
        assert!(!leaders.is_one());
    }
}
