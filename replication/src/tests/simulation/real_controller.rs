//! The controller of the node (`ringmain-metadata`), decided by its own rules over its own records: what it promises to the
//! replicas and what they promise to it are looked at together.
//!
//! Its records are committed at once and never lost. It does not know that a network is between it and the nodes.

use std::collections::BTreeMap;

use ringmain_metadata::config::TopicDefaults;
use ringmain_metadata::controller::{
    AlterPartition, AlterPartitions, Controller, ControllerOptions, Decision, ElectionKind, Heartbeat,
    METADATA_FEATURE, Reassignment, RegisterNode, Surviving,
};
use ringmain_metadata::{
    ConfigResource, Endpoint, IncarnationId, LevelRange, MetadataImage, MetadataRecord, PartitionImage,
    PeerEndpoints, Sessions, TopicId,
};
use ringmain_protocol::ErrorCode;

use super::controller::PartitionState;
use crate::{AssignedReplica, Assignment, InSyncAnswer, InSyncProposal, NodeEpoch, NodeId, PartitionEpoch};

const TOPIC: &str = "t";
const TOPIC_ID: TopicId = TopicId([7; 16]);
const CLUSTER: &str = "simulated";

/// The real controller with its image.
#[derive(Debug)]
pub(super) struct RealController {
    image: MetadataImage,
    sessions: Sessions,
    options: ControllerOptions,
    /// The newest process of each node; connections of older ones have ended.
    processes: BTreeMap<NodeId, u32>,
}

fn told(node: NodeId) -> ringmain_metadata::NodeId {
    ringmain_metadata::NodeId(node.0)
}

fn heard(node: &ringmain_metadata::NodeId) -> NodeId {
    NodeId(node.0)
}

fn all_heard(nodes: &[ringmain_metadata::NodeId]) -> Vec<NodeId> {
    nodes.iter().map(heard).collect()
}

fn incarnation(process: u32) -> IncarnationId {
    let mut incarnation = [1; 16];
    incarnation[..4].copy_from_slice(&process.to_le_bytes());
    IncarnationId(incarnation)
}

fn milliseconds(now_ms: i64) -> u64 {
    u64::try_from(now_ms).expect("a simulation begins at 0")
}

impl RealController {
    /// A cluster whose nodes once were there, and have ended before the partitions were made.
    pub(super) fn new(
        nodes: &[NodeId],
        replicas: &[Vec<NodeId>],
        min_in_sync: usize,
        session_ms: i64,
    ) -> Self {
        let image = MetadataImage::default();
        let options = ControllerOptions {
            node_id: ringmain_metadata::NodeId(0),
            default_partitions: 1,
            default_replication_factor: 1,
            partitions_max: 1000,
            partitions_per_request_max: 1000,
            topic_defaults: TopicDefaults::default(),
        };
        let sessions = Sessions::begin(&image, milliseconds(session_ms), 0);
        let mut this = Self { image, sessions, options, processes: BTreeMap::new() };
        this.apply(&[
            MetadataRecord::ClusterCreated { cluster_id: CLUSTER.to_owned() },
            MetadataRecord::FeatureLevelSet { feature: METADATA_FEATURE.to_owned(), level: 1 },
        ]);
        for node in nodes {
            this.decide(|controller, sessions| {
                controller.register_node(sessions, 0, &registration(*node, 0, Vec::new(), false))
            })
            .expect("nobody is registered yet");
        }
        let mut records = vec![
            MetadataRecord::TopicCreated { topic_id: TOPIC_ID, name: TOPIC.to_owned() },
            MetadataRecord::ConfigSet {
                resource: ConfigResource::Topic(TOPIC.to_owned()),
                name: "min.insync.replicas".to_owned(),
                value: min_in_sync.to_string(),
            },
        ];
        records.extend((0..).zip(replicas).map(|(partition, replicas)| {
            let replicas: Vec<_> = replicas.iter().copied().map(told).collect();
            let state =
                PartitionImage { leader: None, ..PartitionImage::created(replicas.clone(), replicas) };
            MetadataRecord::PartitionCreated { topic_id: TOPIC_ID, partition, state }
        }));
        this.apply(&records);
        this
    }

    pub(super) fn version(&self) -> u64 {
        self.image.version()
    }

    fn apply(&mut self, records: &[MetadataRecord]) {
        self.image = self.image.after(records).expect("what is decided fits the image");
    }

    fn decide<T>(&mut self, decide: impl FnOnce(&Controller<'_>, &Sessions) -> Decision<T>) -> T {
        let decision = decide(&Controller::new(&self.image, &self.options), &self.sessions);
        self.apply(&decision.records);
        decision.answer
    }

    pub(super) fn register(
        &mut self,
        now_ms: i64,
        node: NodeId,
        process: u32,
        lost: bool,
    ) -> Option<NodeEpoch> {
        // Processes count from 0, and the one that the cluster began with was before them.
        let process = process + 1;
        if process < self.processes.get(&node).copied().unwrap_or(0) {
            return None;
        }
        let before = self.image.nodes()[&told(node)].incarnation_id;
        let request = registration(node, process, vec![before], lost);
        let now_ms = milliseconds(now_ms);
        let registered =
            self.decide(|controller, sessions| controller.register_node(sessions, now_ms, &request));
        let epoch = registered.ok()?;
        self.processes.insert(node, process);
        self.sessions.registered(told(node), epoch, now_ms);
        Some(NodeEpoch(epoch))
    }

    pub(super) fn heartbeat(&mut self, now_ms: i64, node: NodeId, node_epoch: NodeEpoch) {
        let (node_id, version) = (told(node), self.image.version());
        let registration_epoch = node_epoch.0;
        if self.image.nodes()[&node_id].registration_epoch != registration_epoch {
            return;
        }
        self.sessions.heard(node_id, registration_epoch, version, milliseconds(now_ms));
        let heartbeat =
            Heartbeat { node_id, registration_epoch, version, wants_fence: false, wants_stop: false };
        self.decide(|controller, sessions| controller.heartbeat(sessions, &heartbeat))
            .expect("its registration is the newest");
    }

    pub(super) fn fence_silent(&mut self, now_ms: i64) {
        for node in self.sessions.silent(&self.image, milliseconds(now_ms)) {
            self.fence(heard(&node));
        }
    }

    pub(super) fn fence(&mut self, node: NodeId) {
        self.decide(|controller, _| controller.fence(told(node)));
    }

    /// As an operator does it: the one who shall lead becomes the preferred leader, then preferred leaders are elected.
    pub(super) fn move_leader(&mut self, index: usize, to: NodeId) {
        let state = self.state(index);
        let is_possible = state.leader != Some(told(to)) && state.in_sync.contains(&told(to));
        if !is_possible || state.is_reassigning() || !self.image.is_active(told(to)) {
            return;
        }
        let others = state.replicas.iter().map(heard).filter(|node| *node != to);
        let replicas: Vec<NodeId> = [to].into_iter().chain(others).collect();
        self.reassign(index, &replicas);
        let named = [(TOPIC.to_owned(), partition_number(index))];
        self.decide(|controller, _| controller.elect_leaders(ElectionKind::Preferred, Some(&named)));
    }

    pub(super) fn reassign(&mut self, index: usize, target: &[NodeId]) {
        if self.state(index).is_reassigning() {
            return;
        }
        let replicas = Some(target.iter().map(|node| node.0).collect());
        let item = Reassignment { topic: TOPIC.to_owned(), partition: partition_number(index), replicas };
        self.decide(|controller, _| controller.reassign(&[item]));
    }

    /// As the node's driver asks and hears.
    pub(super) fn propose(&mut self, index: usize, from: NodeId, proposal: &InSyncProposal) -> InSyncAnswer {
        let registered = |node: NodeId| self.image.nodes()[&told(node)].registration_epoch;
        let in_sync = proposal.in_sync.iter().map(|member| {
            (told(member.node), member.node_epoch.map_or_else(|| registered(member.node), |epoch| epoch.0))
        });
        let partition = AlterPartition {
            topic_id: TOPIC_ID,
            partition: partition_number(index),
            leader_epoch: proposal.leader_epoch,
            partition_epoch: ringmain_metadata::PartitionEpoch(proposal.partition_epoch.0),
            in_sync: in_sync.collect(),
            recovering: false,
        };
        let request = AlterPartitions {
            node_id: told(from),
            registration_epoch: registered(from),
            partitions: vec![partition],
        };
        let answer = self.decide(|controller, _| controller.alter_partitions(&request));
        match answer.expect("the leader is registered").remove(0) {
            Ok(altered) => InSyncAnswer::Committed {
                leader_epoch: altered.state.leader_epoch,
                partition_epoch: PartitionEpoch(altered.state.partition_epoch.0),
                in_sync: all_heard(&altered.state.in_sync),
            },
            Err(refusal) if refusal.code == ErrorCode::INELIGIBLE_REPLICA => InSyncAnswer::Ineligible {
                leader_epoch: proposal.leader_epoch,
                partition_epoch: proposal.partition_epoch,
            },
            Err(_) => InSyncAnswer::Stale,
        }
    }

    fn state(&self, index: usize) -> &PartitionImage {
        self.image.partition(TOPIC_ID, partition_number(index)).expect("a partition")
    }

    pub(super) fn partition(&self, index: usize) -> PartitionState {
        let state = self.state(index);
        let stays = |node: &NodeId| !state.removing.contains(&told(*node));
        let replicas = all_heard(&state.replicas);
        PartitionState {
            target: state.is_reassigning().then(|| replicas.iter().copied().filter(stays).collect()),
            replicas,
            in_sync: all_heard(&state.in_sync),
            eligible: all_heard(&state.eligible),
            leader: state.leader.as_ref().map(heard),
            leader_epoch: state.leader_epoch.value(),
            partition_epoch: state.partition_epoch.0,
        }
    }

    pub(super) fn assignment(&self, index: usize, node: NodeId) -> Assignment {
        let state = self.state(index);
        let registered = |node: &ringmain_metadata::NodeId| {
            self.image.nodes().get(node).map(|node| NodeEpoch(node.registration_epoch))
        };
        let replica = |node: &ringmain_metadata::NodeId| AssignedReplica {
            node: heard(node),
            node_epoch: registered(node),
            is_eligible: self.image.is_active(*node),
        };
        Assignment {
            registered: registered(&told(node)),
            replicas: state.replicas.iter().map(replica).collect(),
            leader: state.leader.as_ref().map(heard),
            leader_epoch: state.leader_epoch,
            in_sync: all_heard(&state.in_sync),
            partition_epoch: PartitionEpoch(state.partition_epoch.0),
        }
    }
}

fn partition_number(index: usize) -> i32 {
    i32::try_from(index).expect("few partitions")
}

fn registration(node: NodeId, process: u32, previous: Vec<IncarnationId>, lost: bool) -> RegisterNode {
    let host = || "h".to_owned();
    RegisterNode {
        cluster_id: CLUSTER.to_owned(),
        node_id: told(node),
        incarnation_id: incarnation(process),
        endpoints: vec![Endpoint { listener: "PLAINTEXT".to_owned(), host: host(), port: 9092 }],
        rack: None,
        peer: PeerEndpoints { host: host(), control_port: 9192, data_ports: vec![9292] },
        levels: LevelRange { least: 0, most: 1 },
        previous,
        surviving: if lost { Surviving::Unknown } else { Surviving::Everything },
    }
}
