//! What may happen next, and how often.

use super::checks::check_placed;
use super::node::Key;
use super::world::{NODES, Outcome, World};
use crate::controller::{
    AlterConfigs, ConfigChange, ConfigTarget, CreatePartitions, CreateTopic, DeleteTopic, ElectionKind,
    Reassignment,
};
use crate::tests::cluster::TIMEOUT_MS;
use crate::{NodeId, PartitionImage, Sessions, TopicId};

/// Topics at once: few, so that one life meets one partition often.
const TOPICS: usize = 3;

impl World {
    pub(super) fn step(&mut self) -> Outcome {
        match self.random.below(100) {
            0..20 => self.time_passes()?,
            20..45 => self.leader_acts()?,
            45..65 => self.follower_fetches(),
            65..75 => self.deliver()?,
            75..80 => {
                let node = self.any_node();
                self.catch_up(node);
            }
            80..88 => self.node_fails()?,
            _ => self.administrator_acts()?,
        }
        self.broken.take().map_or(Ok(()), Err)
    }

    fn any_node(&mut self) -> NodeId {
        NodeId(1 + i32::try_from(self.random.below(NODES as usize)).expect("few nodes"))
    }

    fn time_passes(&mut self) -> Outcome {
        self.now_ms += 100 + self.random.below(TIMEOUT_MS as usize / 2) as u64;
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            if self.random.percent(80) {
                self.heartbeat(node)?;
            }
            if self.random.percent(60) {
                self.catch_up(node);
            }
        }
        self.fence_silent()?;
        if self.random.percent(20) {
            self.decide(|controller, _| controller.balance_leaders())?;
        }
        if self.random.percent(10) {
            self.decide(|controller, _| controller.elect_unclean_leaders())?;
        }
        if self.random.percent(3) {
            self.sessions = Sessions::begin(&self.image(), TIMEOUT_MS, self.now_ms);
            self.note("another controller takes over".to_owned());
        }
        Ok(())
    }

    fn leader_acts(&mut self) -> Outcome {
        let acts = |world: &Self| -> Vec<(NodeId, Key)> {
            let up = world.nodes.iter().filter(|(_, node)| node.up);
            up.flat_map(|(id, node)| node.led.keys().map(|key| (*id, *key))).collect()
        };
        let led = acts(self);
        let Some((node, key)) = self.random.pick(&led) else { return Ok(()) };
        match self.random.below(10) {
            0..5 => self.append(node, key),
            5..8 => self.propose(node, key, false),
            _ => self.propose(node, key, true),
        }
        Ok(())
    }

    fn follower_fetches(&mut self) {
        let partitions: Vec<Key> =
            self.image().partitions().map(|(topic, index, _)| (topic.id, index)).collect();
        let (node, key) = (self.any_node(), self.random.pick(&partitions));
        if let Some(key) = key {
            self.fetch(node, key);
        }
    }

    fn node_fails(&mut self) -> Outcome {
        let (id, what) = (self.any_node(), self.random.below(100));
        let node = self.nodes.get_mut(&id).expect("one of ours");
        match what {
            0..25 if node.up => {
                node.up = false;
                self.note(format!("{id} dies"));
            }
            25..40 if node.up => {
                node.up = false;
                node.logs.clear();
                node.disk_of = None;
                self.note(format!("{id} dies with its disk"));
            }
            40..55 if node.up => {
                node.heard = !node.heard;
                let heard = node.heard;
                self.note(format!("{id} is heard: {heard}"));
            }
            55..62 if node.up => {
                node.wants_stop = true;
                self.note(format!("{id} wants to stop"));
            }
            // A start does not wait until the last one is noticed to be gone.
            _ if !node.up || what > 95 => {
                self.note(format!("{id} starts"));
                self.start(id)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn administrator_acts(&mut self) -> Outcome {
        let image = self.image();
        let named: Vec<(String, i32, PartitionImage)> =
            image.partitions().map(|(topic, i, state)| (topic.name.to_string(), i, state.clone())).collect();
        let Some((topic, partition, state)) = self.random.pick(&named) else { return self.create_topic() };
        match self.random.below(100) {
            0..12 if image.topics().len() < TOPICS => self.create_topic()?,
            0..4 => {
                let item = DeleteTopic { name: Some(topic.clone()), topic_id: None };
                self.decide(|controller, _| controller.delete_topics(&[item]))?;
                self.note(format!("{topic} is deleted"));
            }
            4..10 => {
                let total =
                    i32::try_from(image.topic(&topic).map_or(0, |t| t.partitions.len()) + 1).unwrap_or(1);
                let item = CreatePartitions { topic, total: total.min(3), assignments: None };
                self.decide(|controller, _| controller.create_partitions(&[item], false))?;
            }
            10..35 => {
                let nodes: Vec<i32> = (1..=NODES).collect();
                let count = 1 + self.random.below(3);
                let replicas = self.random.some(&nodes, count);
                self.note(format!("{topic}-{partition} moves to {replicas:?}"));
                let item = Reassignment { topic, partition, replicas: Some(replicas) };
                self.decide(|controller, _| controller.reassign(&[item]))?;
            }
            35..42 => {
                self.note(format!("{topic}-{partition} moves back"));
                let item = Reassignment { topic, partition, replicas: None };
                self.decide(|controller, _| controller.reassign(&[item]))?;
            }
            42..50 => {
                self.decide(|controller, _| controller.elect_leaders(ElectionKind::Preferred, None))?;
            }
            50..51 => {
                self.note("anybody shall lead".to_owned());
                self.asked_unclean = true;
                self.decide(|controller, _| controller.elect_leaders(ElectionKind::Unclean, None))?;
                self.asked_unclean = false;
            }
            51..70 => self.configure(topic, &state)?,
            70..75 => {
                let node = self.any_node();
                self.allocate(node)?;
            }
            75..80 => {
                let plan = {
                    let node = self.any_node();
                    crate::controller::Controller::new(&image, &self.options).drain(node)
                };
                self.decide(|controller, _| controller.reassign(&plan.reassignments))?;
            }
            80..84 => {
                let node = self.any_node();
                self.decide(|controller, _| controller.unregister_node(node))?.ok();
                self.note(format!("{node} is unregistered"));
            }
            _ => {}
        }
        Ok(())
    }

    fn configure(&mut self, topic: String, state: &PartitionImage) -> Outcome {
        let rarely = self.random.percent(4);
        let (name, value) = if rarely {
            ("unclean.leader.election.enable", "true".to_owned())
        } else {
            ("min.insync.replicas", (1 + self.random.below(state.replicas.len() + 1)).to_string())
        };
        self.note(format!("{topic} has {name}={value}"));
        let target = if self.random.percent(80) {
            ConfigTarget::Topic(topic)
        } else {
            ConfigTarget::Broker(String::new())
        };
        let change =
            if self.random.percent(80) { ConfigChange::Set(Some(value)) } else { ConfigChange::Delete };
        let changes = AlterConfigs::Changes(vec![(name.to_owned(), change)]);
        self.decide(|controller, _| controller.alter_configs(&[(target, changes)], false))?;
        Ok(())
    }

    fn allocate(&mut self, node: NodeId) -> Outcome {
        let first = self.image().next_producer_id();
        let block = self.decide(|controller, _| controller.allocate_producer_ids(node))?;
        match block {
            Ok(block) if block.first == first && self.image().next_producer_id() == first + block.count => {
                Ok(())
            }
            other => Err(format!("producer ids from {first}: {other:?}")),
        }
    }

    fn create_topic(&mut self) -> Outcome {
        let name = format!("t{}", self.random.below(TOPICS));
        let topic = CreateTopic {
            partitions: 1 + i32::try_from(self.random.below(2)).unwrap_or(0),
            replication_factor: 1 + i16::try_from(self.random.below(4)).unwrap_or(0),
            ..CreateTopic::with_defaults(name.clone())
        };
        let id = TopicId((self.history.len() as u128 | 1 << 64).to_be_bytes());
        let answer = self.decide(|controller, _| controller.create_topics(&[topic], false, &mut || id))?;
        self.note(format!("{name} is made: {:?}", answer[0].as_ref().map_err(|refusal| refusal.code)));
        match &answer[0] {
            Ok(_) => check_placed(&self.image(), &name),
            Err(_) => Ok(()),
        }
    }

    /// When everybody is well for long enough, everything is as it should be.
    pub(super) fn end_well(&mut self) -> Outcome {
        self.note("everybody is well".to_owned());
        self.on_the_way.clear();
        self.heal()?;
        for _ in 0..8 {
            self.quiet_round()?;
        }
        let image = self.image();
        for (topic, partition, state) in image.partitions() {
            let missing = state.replicas.iter().find(|node| !state.in_sync.contains(node));
            // Where a disk took the last copy along, somebody has to say so.
            let waits = state.leader.is_none();
            if !waits
                && (missing.is_some() || state.is_reassigning() || state.leader != state.preferred_leader())
            {
                return Err(format!("{}-{partition} does not become well: {state:?}", topic.name));
            }
        }
        Ok(())
    }

    /// Everybody does everything once.
    fn quiet_round(&mut self) -> Outcome {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        for node in &nodes {
            self.heartbeat(*node)?;
            self.apply(*node, self.history.len() - 1);
        }
        let partitions: Vec<Key> =
            self.image().partitions().map(|(topic, index, _)| (topic.id, index)).collect();
        for key in partitions {
            let Some(leader) = self.image().partition(key.0, key.1).and_then(|state| state.leader) else {
                continue;
            };
            for node in &nodes {
                (0..6).for_each(|_| self.fetch(*node, key));
            }
            if self.nodes[&leader].led.contains_key(&key) {
                self.propose(leader, key, false);
            }
            while !self.on_the_way.is_empty() {
                self.deliver()?;
            }
        }
        self.decide(|controller, _| controller.balance_leaders())?;
        self.broken.take().map_or(Ok(()), Err)
    }
}
