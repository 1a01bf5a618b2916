//! Heartbeats: a node that has caught up is unfenced, one that wants to stop hands over first, a silent one is fenced.

use alloc::format;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

use super::{Controller, Decision, Refusal};
use crate::identity::NodeId;
use crate::image::MetadataImage;
use crate::node_image::NodeImage;
use crate::planted;
use crate::record::MetadataRecord;
use crate::sessions::Sessions;

/// What a node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub node_id: NodeId,
    /// Its registration.
    pub registration_epoch: i64,
    /// The version of the image that it has applied.
    pub version: u64,
    /// It wants to lead nothing.
    pub wants_fence: bool,
    /// It wants to stop.
    pub wants_stop: bool,
}

/// What the controller makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// It has seen its own registration.
    pub caught_up: bool,
    /// It leads nothing.
    pub fenced: bool,
    /// It is handing over what it leads.
    pub stopping: bool,
    /// It may stop: nobody looks for a leader on it any more.
    pub may_stop: bool,
}

/// What a node is told to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Same,
    Fenced,
    Unfenced,
    Stopping,
    Stopped,
}

impl Controller<'_> {
    /// Decides a heartbeat. Those that are accepted are told to `sessions` first ([`Sessions::heard`]).
    pub fn heartbeat(
        &self,
        sessions: &Sessions,
        heartbeat: &Heartbeat,
    ) -> Decision<Result<HeartbeatAnswer, Refusal>> {
        let node = match self.registered(heartbeat.node_id, heartbeat.registration_epoch) {
            Ok(node) => node,
            Err(refusal) => return Decision { records: Vec::new(), answer: Err(refusal) },
        };
        // The epoch is the number of records before the registration.
        let caught_up = i64::try_from(heartbeat.version).is_ok_and(|seen| seen > node.registration_epoch)
            || planted::is("unfenced_before_caught_up");
        let next = self.next(sessions, node, heartbeat, caught_up);
        let records = match next {
            Next::Same => Vec::new(),
            Next::Fenced | Next::Stopped if node.fenced => Vec::new(),
            Next::Fenced | Next::Stopped => self.fence(heartbeat.node_id).records,
            Next::Unfenced => self.unfence(heartbeat.node_id, node),
            Next::Stopping => self.hand_over(heartbeat.node_id, node),
        };
        let answer = HeartbeatAnswer {
            caught_up,
            fenced: matches!(next, Next::Fenced | Next::Stopped) || (next == Next::Same && node.fenced),
            stopping: next == Next::Stopping
                || (next == Next::Same && !node.fenced && node.stopping_since.is_some()),
            may_stop: next == Next::Stopped,
        };
        Decision { records, answer: Ok(answer) }
    }

    /// Fences a node: others take over what it leads.
    pub fn fence(&self, node_id: NodeId) -> Decision<()> {
        let Some(node) = self.image.nodes().get(&node_id).filter(|node| !node.fenced) else {
            return Decision { records: Vec::new(), answer: () };
        };
        let mut records = self.without(node_id, |_| false);
        if planted::is("fenced_stays_in_sync") {
            records.clear();
        }
        records.push(MetadataRecord::NodeChanged {
            node_id,
            registration_epoch: node.registration_epoch,
            fenced: true,
            stopping_since: node.stopping_since,
        });
        Decision { records, answer: () }
    }

    /// A node's registration, if it is its newest.
    pub(super) fn registered(&self, node_id: NodeId, registration_epoch: i64) -> Result<&NodeImage, Refusal> {
        let stale = |message| Refusal::new(ErrorCode::STALE_BROKER_EPOCH, message);
        match self.image.nodes().get(&node_id) {
            None => Err(stale(format!("No broker registration found for broker id {node_id}"))),
            Some(node) if node.registration_epoch != registration_epoch => Err(stale(format!(
                "Expected broker epoch {}, but got broker epoch {registration_epoch}",
                node.registration_epoch
            ))),
            Some(node) => Ok(node),
        }
    }

    fn next(&self, sessions: &Sessions, node: &NodeImage, heartbeat: &Heartbeat, caught_up: bool) -> Next {
        let leads = || leads_anything(self.image, heartbeat.node_id) && !planted::is("stops_while_leading");
        match (node.fenced, node.stopping_since) {
            (true, _) if heartbeat.wants_stop => Next::Stopped,
            (true, _) if !heartbeat.wants_fence && caught_up => Next::Unfenced,
            (true, _) => Next::Same,
            (false, Some(since)) => {
                let all_know = sessions.lowest_version(self.image) >= since;
                if leads() || !all_know { Next::Same } else { Next::Stopped }
            }
            (false, None) if heartbeat.wants_fence && heartbeat.wants_stop => Next::Stopped,
            (false, None) if heartbeat.wants_fence => Next::Fenced,
            (false, None) if heartbeat.wants_stop => {
                if leads() {
                    Next::Stopping
                } else {
                    Next::Stopped
                }
            }
            (false, None) => Next::Same,
        }
    }

    fn unfence(&self, node_id: NodeId, node: &NodeImage) -> Vec<MetadataRecord> {
        let mut records = Vec::from([MetadataRecord::NodeChanged {
            node_id,
            registration_epoch: node.registration_epoch,
            fenced: false,
            stopping_since: node.stopping_since,
        }]);
        // One that asked to stop leads nothing until it has started again.
        if node.stopping_since.is_none() {
            records.extend(self.with(node_id));
        }
        records
    }

    fn hand_over(&self, node_id: NodeId, node: &NodeImage) -> Vec<MetadataRecord> {
        let mut records = self.without(node_id, |_| false);
        let known_from = self.image.version() + records.len() as u64 + 1;
        records.push(MetadataRecord::NodeChanged {
            node_id,
            registration_epoch: node.registration_epoch,
            fenced: false,
            stopping_since: Some(known_from),
        });
        records
    }
}

fn leads_anything(image: &MetadataImage, node_id: NodeId) -> bool {
    image.partitions().any(|(_, _, partition)| partition.leader == Some(node_id))
}
