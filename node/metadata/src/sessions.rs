//! Which nodes are alive: when each was heard last, and which version of the image it had then.
//!
//! Pure: time is an argument, in milliseconds of any clock that never goes back. Not part of the image: a controller that
//! takes over knows nobody's last word, gives every node a whole timeout, and waits for each to say what it has seen.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::identity::NodeId;
use crate::image::MetadataImage;

/// The sessions of all nodes with the active controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    timeout_ms: u64,
    nodes: BTreeMap<NodeId, Session>,
}

/// What is known of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Session {
    registration_epoch: i64,
    heard_ms: u64,
    /// The version of the image that the node has applied; 0 until it says so.
    version: u64,
}

impl Sessions {
    /// The sessions of a controller that begins: every registered node has a whole timeout.
    pub fn begin(image: &MetadataImage, timeout_ms: u64, now_ms: u64) -> Self {
        let mut sessions = Self { timeout_ms, nodes: BTreeMap::new() };
        for (node_id, node) in image.nodes() {
            sessions.registered(*node_id, node.registration_epoch, now_ms);
        }
        sessions
    }

    /// A registration was committed.
    pub fn registered(&mut self, node_id: NodeId, registration_epoch: i64, now_ms: u64) {
        let version = match self.nodes.get(&node_id) {
            Some(session) if session.registration_epoch == registration_epoch => session.version,
            _ => 0,
        };
        self.nodes.insert(node_id, Session { registration_epoch, heard_ms: now_ms, version });
    }

    /// A node sent a heartbeat that the controller accepted.
    pub fn heard(&mut self, node_id: NodeId, registration_epoch: i64, version: u64, now_ms: u64) {
        self.nodes.insert(node_id, Session { registration_epoch, heard_ms: now_ms, version });
    }

    /// A node was unregistered.
    pub fn forget(&mut self, node_id: NodeId) {
        self.nodes.remove(&node_id);
    }

    /// Whether a node that is not fenced was heard within the timeout.
    pub fn is_live(&self, image: &MetadataImage, node_id: NodeId, now_ms: u64) -> bool {
        let unfenced = image.nodes().get(&node_id).is_some_and(|node| !node.fenced);
        unfenced && self.nodes.get(&node_id).is_some_and(|session| now_ms <= self.end_ms(session))
    }

    /// The nodes to fence: unfenced, and silent for longer than the timeout.
    pub fn silent(&self, image: &MetadataImage, now_ms: u64) -> Vec<NodeId> {
        let unfenced = image.nodes().iter().filter(|(_, node)| !node.fenced).map(|(node_id, _)| *node_id);
        unfenced.filter(|node_id| !self.is_live(image, *node_id, now_ms)).collect()
    }

    /// When the next session ends if nothing is heard.
    pub fn next_end_ms(&self, image: &MetadataImage) -> Option<u64> {
        let unfenced = self.nodes.iter().filter(|(id, _)| image.nodes().get(id).is_some_and(|n| !n.fenced));
        unfenced.map(|(_, session)| self.end_ms(session)).min()
    }

    /// The lowest version that every active node has applied; `u64::MAX` when there is none.
    pub fn lowest_version(&self, image: &MetadataImage) -> u64 {
        let active = image.nodes().iter().filter(|(_, node)| node.is_active());
        active
            .map(|(id, _)| self.nodes.get(id).map_or(0, |session| session.version))
            .min()
            .unwrap_or(u64::MAX)
    }

    fn end_ms(&self, session: &Session) -> u64 {
        session.heard_ms.saturating_add(self.timeout_ms)
    }
}
