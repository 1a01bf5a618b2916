//! The cluster as one look shows it. The answers are of slightly different moments, and of different brokers.

use std::collections::BTreeMap;

use crate::client::{Client, ClientError, MoveView, NodesView, Placement, QuorumView};

/// One look.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) nodes: NodesView,
    /// `None` where there is no quorum to tell about, or nobody who can.
    pub(super) quorum: Option<QuorumView>,
    pub(super) partitions: Vec<Placement>,
    /// `None` while no controller can tell.
    pub(super) moves: Option<Vec<MoveView>>,
    /// Of the topics for which it matters: those with a replica that is not in sync.
    pub(super) min_in_sync: BTreeMap<String, usize>,
}

impl Snapshot {
    /// Asks for everything. Without a controller some of it is not known, and the rest is told all the same.
    pub(super) fn gather(client: &mut Client) -> Result<Self, ClientError> {
        let nodes = client.cluster_nodes()?;
        let partitions = client.placements(None)?;
        let quorum = known(client.briefly(Client::quorum))?.flatten();
        let moves = known(client.briefly(Client::moves))?;
        let mut topics: Vec<&str> = partitions
            .iter()
            .filter(|placement| placement.in_sync.len() < placement.replicas.len())
            .map(|placement| placement.partition.topic.as_str())
            .collect();
        topics.dedup();
        let min_in_sync = client.min_in_sync(&topics)?;
        Ok(Self { nodes, quorum, partitions, moves, min_in_sync })
    }

    /// Who decides: the leader of the quorum. Kafka's nodes name one of themselves, by chance, to spread the requests.
    pub(super) fn controller(&self) -> Option<i32> {
        self.quorum.as_ref().map_or(self.nodes.controller, |quorum| quorum.leader)
    }

    /// The move of a partition, if it moves.
    pub(super) fn move_of(&self, placement: &Placement) -> Option<&MoveView> {
        self.moves.iter().flatten().find(|moving| moving.partition == placement.partition)
    }

    /// Who should lead when it can.
    pub(super) fn preferred_leader(placement: &Placement) -> Option<i32> {
        placement.replicas.first().copied()
    }
}

/// What only a controller can tell is not known while there is none; that is no failure of the command.
fn known<T>(result: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ClientError::Refused { .. } | ClientError::Connection { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
