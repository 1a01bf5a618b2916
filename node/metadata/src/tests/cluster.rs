//! Clusters to decide against: registration, heartbeats and commits as a driver makes them.

use crate::config::TopicDefaults;
use crate::controller::{
    Controller, ControllerOptions, CreateTopic, Decision, Heartbeat, METADATA_FEATURE, Refusal, RegisterNode,
    Surviving,
};
use crate::{
    Endpoint, IncarnationId, LevelRange, MetadataImage, MetadataRecord, NodeId, PartitionImage,
    PeerEndpoints, Sessions, TopicId,
};

/// How long a node may be silent.
pub(super) const TIMEOUT_MS: u64 = 1000;

/// A controller with its image, its sessions and a clock.
pub(super) struct Cluster {
    pub(super) image: MetadataImage,
    pub(super) sessions: Sessions,
    pub(super) now_ms: u64,
    pub(super) options: ControllerOptions,
    topics_made: u8,
}

pub(super) fn registration(node: i32, incarnation: u8, rack: Option<&str>) -> RegisterNode {
    RegisterNode {
        cluster_id: "cluster".to_owned(),
        node_id: NodeId(node),
        incarnation_id: IncarnationId([incarnation; 16]),
        endpoints: vec![Endpoint { listener: "PLAINTEXT".to_owned(), host: "h".to_owned(), port: 9092 }],
        rack: rack.map(str::to_owned),
        peer: PeerEndpoints { host: "h".to_owned(), control_port: 9192, data_ports: vec![9292] },
        levels: LevelRange { least: 0, most: 1 },
        previous: Vec::new(),
        surviving: Surviving::Everything,
    }
}

impl Cluster {
    /// A cluster without nodes.
    pub(super) fn new() -> Self {
        let records = [
            MetadataRecord::ClusterCreated { cluster_id: "cluster".to_owned() },
            MetadataRecord::FeatureLevelSet { feature: METADATA_FEATURE.to_owned(), level: 1 },
        ];
        let image = MetadataImage::default().after(&records).expect("applies");
        let options = ControllerOptions {
            node_id: NodeId(1),
            default_partitions: 1,
            default_replication_factor: 1,
            partitions_max: 1000,
            partitions_per_request_max: 1000,
            topic_defaults: TopicDefaults::default(),
        };
        let sessions = Sessions::begin(&image, TIMEOUT_MS, 0);
        Self { image, sessions, now_ms: 0, options, topics_made: 0 }
    }

    /// Nodes 1 to `count`, all alive.
    pub(super) fn of(count: i32) -> Self {
        let mut cluster = Self::new();
        for node in 1..=count {
            cluster.start(registration(node, 1, None)).expect("registers");
            cluster.beat(node);
        }
        cluster
    }

    pub(super) fn controller(&self) -> Controller<'_> {
        Controller::new(&self.image, &self.options)
    }

    /// Commits what was decided.
    pub(super) fn commit<T>(&mut self, decision: Decision<T>) -> T {
        self.image = self.image.after(&decision.records).expect("what is decided fits the image");
        decision.answer
    }

    pub(super) fn start(&mut self, request: RegisterNode) -> Result<i64, Refusal> {
        let decision = self.controller().register_node(&self.sessions, self.now_ms, &request);
        let answer = self.commit(decision);
        if let Ok(epoch) = answer {
            self.sessions.registered(request.node_id, epoch, self.now_ms);
        }
        answer
    }

    /// A heartbeat of a node that has seen everything.
    pub(super) fn heartbeat(&mut self, node: i32, wants_stop: bool) -> crate::controller::HeartbeatAnswer {
        let (node_id, version) = (NodeId(node), self.image.version());
        let registration_epoch = self.image.nodes()[&node_id].registration_epoch;
        self.sessions.heard(node_id, registration_epoch, version, self.now_ms);
        let heartbeat = Heartbeat { node_id, registration_epoch, version, wants_fence: false, wants_stop };
        let decision = self.controller().heartbeat(&self.sessions, &heartbeat);
        self.commit(decision).expect("registered")
    }

    pub(super) fn beat(&mut self, node: i32) {
        self.heartbeat(node, false);
    }

    /// Everybody but `silent` is heard for a whole timeout, and who is silent is fenced.
    pub(super) fn silence(&mut self, silent: &[i32]) {
        self.now_ms += TIMEOUT_MS + 1;
        let nodes: Vec<i32> = self.image.nodes().keys().map(|node| node.0).collect();
        nodes.into_iter().filter(|node| !silent.contains(node)).for_each(|node| self.beat(node));
        for node in self.sessions.silent(&self.image, self.now_ms) {
            let decision = self.controller().fence(node);
            self.commit(decision);
        }
    }

    /// A topic with one partition.
    pub(super) fn topic(&mut self, name: &str, replicas: &[i32], configs: &[(&str, &str)]) -> TopicId {
        let topic = CreateTopic {
            assignments: vec![(0, replicas.to_vec())],
            configs: configs.iter().map(|(n, v)| ((*n).to_owned(), Some((*v).to_owned()))).collect(),
            ..CreateTopic::with_defaults(name)
        };
        self.create(&[topic]).remove(0).expect("made")
    }

    pub(super) fn create(&mut self, topics: &[CreateTopic]) -> Vec<Result<TopicId, Refusal>> {
        let mut made = self.topics_made;
        let decision = self.controller().create_topics(topics, false, &mut || {
            made += 1;
            TopicId([made; 16])
        });
        self.topics_made = made;
        self.commit(decision).into_iter().map(|result| result.map(|topic| topic.topic_id)).collect()
    }

    pub(super) fn partition(&self, topic: &str) -> PartitionImage {
        PartitionImage::clone(&self.image.topic(topic).expect("there").partitions[0])
    }
}
