//! One member of a group: who it is, what it supports, what it waits for.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::RequestToken;
use crate::event::{Join, Protocol};

/// Bytes of a member beside its texts, metadata and assignment: the struct, its places in the indexes, its deadline.
const MEMBER_OVERHEAD_BYTES: usize = 512;
/// Bytes of a protocol beside its name and its metadata.
const PROTOCOL_OVERHEAD_BYTES: usize = 64;

/// A protocol that a member supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberProtocol {
    pub(crate) name: Arc<str>,
    pub(crate) metadata: Bytes,
}

/// The process that a member is, as DescribeGroups shows it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: Arc<str>,
    pub(crate) host: Arc<str>,
}

impl Client {
    pub(crate) fn of(join: &Join<'_>) -> Self {
        Self { id: Arc::from(join.client_id), host: Arc::from(join.client_host) }
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.id.len() + self.host.len()
    }
}

/// What a member says anew with each join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    /// The most wanted first; never empty, no name twice.
    pub(crate) protocols: Vec<MemberProtocol>,
}

impl Wishes {
    /// What a join asks for; of protocols with the same name the first counts.
    pub(crate) fn of(join: &Join<'_>) -> Self {
        let mut protocols = Vec::with_capacity(join.protocols.len().min(PROTOCOLS_USUAL));
        let mut names = BTreeSet::new();
        for Protocol { name, metadata } in join.protocols {
            if names.insert(*name) {
                let metadata = Bytes::copy_from_slice(metadata);
                protocols.push(MemberProtocol { name: Arc::from(*name), metadata });
            }
        }
        Self {
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols,
        }
    }

    /// What it sent with a protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|known| &*known.name == protocol).map(|known| &known.metadata)
    }

    /// Members with the same protocols share their names, but each may be the last that has them.
    pub(crate) fn held_bytes(&self) -> usize {
        let protocols = self.protocols.iter();
        protocols.map(|protocol| protocol_bytes(&protocol.name, &protocol.metadata)).sum()
    }
}

fn protocol_bytes(name: &str, metadata: &[u8]) -> usize {
    PROTOCOL_OVERHEAD_BYTES + name.len() + metadata.len()
}

/// Clients support one protocol or two; more are rare.
const PROTOCOLS_USUAL: usize = 4;

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client: Client,
    pub(crate) wishes: Wishes,
    /// What the leader of the last generation gave it, once that was written; empty without.
    pub(crate) assignment: Bytes,
    /// It has not been told its first generation yet, and cannot send heartbeats.
    pub(crate) is_new: bool,
    /// The join that waits for the rebalance.
    pub(super) waiting_join: Option<RequestToken>,
    /// The sync that waits for the leader's assignment.
    pub(super) waiting_sync: Option<RequestToken>,
    /// It was told the current generation and has not asked for its assignment.
    pub(super) owes_sync: bool,
    /// When its session ends. None while it waits for an answer of ours (new members excepted).
    pub(super) session_deadline_ms: Option<i64>,
}

impl Member {
    pub(crate) fn new(id: Arc<str>, instance_id: Option<Arc<str>>, join: &Join<'_>) -> Self {
        Self {
            id,
            instance_id,
            client: Client::of(join),
            wishes: Wishes::of(join),
            assignment: Bytes::new(),
            is_new: true,
            waiting_join: None,
            waiting_sync: None,
            owes_sync: false,
            session_deadline_ms: None,
        }
    }

    /// What a newcomer would hold at most, before anything is made of its join.
    pub(crate) fn bytes_of(join: &Join<'_>) -> usize {
        let id = join.instance_id.unwrap_or(join.client_id).len() + join.uuid.len();
        let texts = id + join.instance_id.map_or(0, str::len) + join.client_id.len() + join.client_host.len();
        let protocols = join.protocols.iter();
        let protocols: usize =
            protocols.map(|protocol| protocol_bytes(protocol.name, protocol.metadata)).sum();
        MEMBER_OVERHEAD_BYTES + texts + 1 + protocols
    }

    /// A member as the log has it.
    pub(crate) fn loaded(
        id: Arc<str>,
        instance_id: Option<Arc<str>>,
        client: Client,
        wishes: Wishes,
        assignment: Bytes,
    ) -> Self {
        Self {
            id,
            instance_id,
            client,
            wishes,
            assignment,
            is_new: false,
            waiting_join: None,
            waiting_sync: None,
            owes_sync: false,
            session_deadline_ms: None,
        }
    }

    /// Whether it waits for the end of the rebalance.
    pub(crate) fn waits_for_join(&self) -> bool {
        self.waiting_join.is_some()
    }

    /// Whether some answer of ours is due to it: while it is, the member cannot be blamed for silence.
    pub(crate) fn waits(&self) -> bool {
        self.waiting_join.is_some() || self.waiting_sync.is_some()
    }

    pub(crate) fn waiting_join(&self) -> Option<RequestToken> {
        self.waiting_join
    }

    pub(crate) fn waiting_sync(&self) -> Option<RequestToken> {
        self.waiting_sync
    }

    pub(crate) fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    /// Whether a join says what the member said before. The order of the protocols counts.
    pub(crate) fn matches(&self, wishes: &Wishes) -> bool {
        self.wishes.protocols == wishes.protocols
    }

    /// Of the candidates, the one that the member wants most.
    pub(crate) fn vote(&self, is_candidate: impl Fn(&str) -> bool) -> Option<&Arc<str>> {
        self.wishes.protocols.iter().map(|protocol| &protocol.name).find(|name| is_candidate(name))
    }

    pub(crate) fn held_bytes(&self) -> usize {
        MEMBER_OVERHEAD_BYTES
            + self.id.len()
            + self.instance_id.as_ref().map_or(0, |id| id.len())
            + self.client.held_bytes()
            + self.wishes.held_bytes()
            + self.assignment.len()
    }
}
