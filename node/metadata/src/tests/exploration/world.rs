//! The explored cluster: a controller, nodes that lag behind it, and what clients were told.
//!
//! Each node acts by the image that it has applied, however old; a leader acknowledges by the sets in it and those that
//! it proposed since. So the rules of the controller are tried together with the rules of the leaders that follow it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::checks::{check_image, check_replay, check_step};
use super::node::{Key, Node, in_common};
use super::random::Random;
use crate::controller::{
    AlterPartition, AlterPartitions, Controller, ControllerOptions, Decision, Heartbeat, RegisterNode,
    Surviving,
};
use crate::tests::cluster::{Cluster, TIMEOUT_MS, registration};
use crate::{IncarnationId, MetadataImage, NodeId, PartitionImage, Sessions};

/// A broken rule, in words.
pub(super) type Outcome = Result<(), String>;

/// The nodes: so many that replicas can move, in two racks of different size.
pub(super) const NODES: i32 = 5;

pub(super) struct World {
    pub(super) random: Random,
    pub(super) now_ms: u64,
    pub(super) sessions: Sessions,
    pub(super) options: ControllerOptions,
    /// Every image that there was.
    pub(super) history: Vec<Rc<MetadataImage>>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    /// Requests of leaders on their way.
    pub(super) on_the_way: VecDeque<AlterPartitions>,
    /// What was acknowledged and not given up by an unclean election.
    pub(super) acknowledged: BTreeMap<Key, Vec<u64>>,
    /// Partitions that had a leader from outside: they may have lost something.
    pub(super) given_up: BTreeSet<Key>,
    /// An administrator wants anybody to lead.
    pub(super) asked_unclean: bool,
    /// A rule that was broken beside a decision.
    pub(super) broken: Option<String>,
    registration_epochs: BTreeSet<i64>,
    next_record: u64,
    incarnations: u8,
    pub(super) trace: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let cluster = Cluster::new();
        let mut world = Self {
            random: Random::new(seed),
            now_ms: 0,
            sessions: cluster.sessions,
            options: cluster.options,
            history: vec![Rc::new(cluster.image)],
            nodes: (1..=NODES).map(|node| (NodeId(node), Node::default())).collect(),
            on_the_way: VecDeque::new(),
            acknowledged: BTreeMap::new(),
            given_up: BTreeSet::new(),
            asked_unclean: false,
            broken: None,
            registration_epochs: BTreeSet::new(),
            next_record: 0,
            incarnations: 0,
            trace: Vec::new(),
        };
        for node in 1..=NODES {
            world.start(NodeId(node)).expect("a first start breaks no rule");
            world.catch_up(NodeId(node));
            world.heartbeat(NodeId(node)).expect("a first heartbeat breaks no rule");
        }
        world
    }

    pub(super) fn image(&self) -> Rc<MetadataImage> {
        Rc::clone(self.history.last().expect("there is one"))
    }

    pub(super) fn note(&mut self, what: String) {
        self.trace.push(format!("{} v{}: {what}", self.now_ms, self.image().version()));
    }

    /// Decides, commits and checks.
    pub(super) fn decide<T>(
        &mut self,
        decide: impl FnOnce(&Controller<'_>, &Sessions) -> Decision<T>,
    ) -> Result<T, String> {
        let before = self.image();
        let decision = decide(&Controller::new(&before, &self.options), &self.sessions);
        if decision.records.is_empty() {
            return Ok(decision.answer);
        }
        let after = before.after(&decision.records).map_err(|error| format!("does not fit: {error}"))?;
        check_replay(&before, &decision.records, &after)?;
        check_step(&before, &after, self.asked_unclean)?;
        check_image(&after)?;
        self.history.push(Rc::new(after));
        self.note_elections(&before);
        self.check_entered(&before)?;
        Ok(decision.answer)
    }

    /// Notes who leads, and who does so from outside: what was acknowledged there may be lost.
    fn note_elections(&mut self, before: &MetadataImage) {
        let image = self.image();
        for (topic, partition, state) in image.partitions() {
            let key = (topic.id, partition);
            if before.partition(key.0, key.1) == Some(state) {
                continue;
            }
            if state.recovering {
                self.given_up.insert(key);
            }
            let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<_>>();
            self.note(format!(
                "  {}-{partition}: {:?} leads {:?} of {:?} in {}/{}, eligible {:?}, adding {:?}, removing {:?}",
                topic.name,
                state.leader.map(|leader| leader.0),
                ids(&state.in_sync),
                ids(&state.replicas),
                state.leader_epoch.value(),
                state.partition_epoch.0,
                ids(&state.eligible),
                ids(&state.adding),
                ids(&state.removing),
            ));
        }
        self.acknowledged.retain(|key, _| image.partition(key.0, key.1).is_some());
    }

    /// Who enters an in-sync set has everything that was acknowledged.
    fn check_entered(&self, before: &MetadataImage) -> Outcome {
        let image = self.image();
        for (topic, partition, state) in image.partitions() {
            let key = (topic.id, partition);
            let was = |node: &NodeId| before.partition(key.0, key.1).is_none_or(|p| p.in_sync.contains(node));
            let Some(known) = self.acknowledged.get(&key).filter(|_| !self.given_up.contains(&key)) else {
                continue;
            };
            for node_id in state.in_sync.iter().filter(|node| !was(node)) {
                let node = &self.nodes[node_id];
                let registered = image.nodes().get(node_id).map(|node| node.registration_epoch);
                let kept = node.logs.get(&key).map_or(0, |log| in_common(log, known));
                if node.up && node.epoch.is_some() && node.epoch == registered && kept < known.len() {
                    let count = known.len();
                    return Err(format!(
                        "{node_id} enters {key:?} with {kept} of {count} acknowledged records"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Who leads by the newest image and acts on it has everything that was acknowledged.
    fn check_leader(&mut self, node_id: NodeId) {
        let (image, node) = (self.image(), &self.nodes[&node_id]);
        for (key, led) in &node.led {
            let newest = image.partition(key.0, key.1).map(|p| (p.leader, p.leader_epoch));
            let known = self.acknowledged.get(key).map_or(&[][..], Vec::as_slice);
            let kept = in_common(&node.logs[key], known);
            if newest == Some((Some(node_id), led.leader_epoch))
                && kept < known.len()
                && !self.given_up.contains(key)
            {
                let count = known.len();
                self.broken =
                    Some(format!("{node_id} leads {key:?} with {kept} of {count} acknowledged records"));
            }
        }
    }

    pub(super) fn start(&mut self, node_id: NodeId) -> Outcome {
        self.incarnations = self.incarnations.wrapping_add(1).max(1);
        let node = self.nodes.get_mut(&node_id).expect("one of ours");
        *node = Node {
            up: true,
            heard: true,
            incarnation_id: IncarnationId([self.incarnations; 16]),
            disk_of: node.disk_of,
            logs: std::mem::take(&mut node.logs),
            applied: self.history.len() - 1,
            ..Node::default()
        };
        self.register(node_id)
    }

    pub(super) fn register(&mut self, node_id: NodeId) -> Outcome {
        let rack = if node_id.0 % 2 == 0 { "even" } else { "odd" };
        let (now_ms, node) = (self.now_ms, &self.nodes[&node_id]);
        let request = RegisterNode {
            incarnation_id: node.incarnation_id,
            previous: Vec::from_iter(node.disk_of),
            surviving: Surviving::Everything,
            ..registration(node_id.0, 0, Some(rack))
        };
        let image = self.image();
        let other = image.nodes().get(&node_id).is_some_and(|n| n.incarnation_id != request.incarnation_id);
        let is_live = other && self.sessions.is_live(&image, node_id, now_ms);
        let answer =
            self.decide(|controller, sessions| controller.register_node(sessions, now_ms, &request))?;
        if is_live && answer.is_ok() {
            return Err(format!("{node_id} registers while another start of it is alive"));
        }
        self.note(format!("{node_id} registers: {answer:?}"));
        let Ok(epoch) = answer else { return Ok(()) };
        if !self.registration_epochs.insert(epoch) {
            return Err(format!("the registration epoch {epoch} was given twice"));
        }
        self.sessions.registered(node_id, epoch, now_ms);
        let node = self.nodes.get_mut(&node_id).expect("one of ours");
        node.epoch = Some(epoch);
        node.disk_of = Some(node.incarnation_id);
        Ok(())
    }

    pub(super) fn heartbeat(&mut self, node_id: NodeId) -> Outcome {
        let node = &self.nodes[&node_id];
        if !node.up || !node.heard {
            return Ok(());
        }
        let Some(registration_epoch) = node.epoch else { return self.register(node_id) };
        let version = self.history[node.applied].version();
        let wants_stop = node.wants_stop;
        let heartbeat = Heartbeat { node_id, registration_epoch, version, wants_fence: false, wants_stop };
        if self.image().nodes().get(&node_id).is_some_and(|n| n.registration_epoch == registration_epoch) {
            self.sessions.heard(node_id, registration_epoch, version, self.now_ms);
        }
        let before = self.image();
        let answer = self.decide(|controller, sessions| controller.heartbeat(sessions, &heartbeat))?;
        let node = self.nodes.get_mut(&node_id).expect("one of ours");
        match answer {
            // Unregistered, or another start took its place: it leads nothing and registers anew.
            Err(_) => {
                node.epoch = None;
                node.led.clear();
            }
            Ok(answer) if answer.may_stop => {
                node.up = false;
                self.note(format!("{node_id} stops"));
                self.check_stop(node_id, &before)?;
            }
            Ok(answer) => {
                let has_seen = i64::try_from(version).is_ok_and(|version| version > registration_epoch);
                let was_fenced = before.nodes().get(&node_id).is_some_and(|node| node.fenced);
                if was_fenced && !answer.fenced && !has_seen {
                    return Err(format!("{node_id} is unfenced before it has seen its registration"));
                }
            }
        }
        Ok(())
    }

    /// Nobody who is alive looks for a leader on a node that may stop.
    fn check_stop(&self, stopped: NodeId, before: &MetadataImage) -> Outcome {
        let image = self.image();
        let led = |p: &PartitionImage| p.leader == Some(stopped);
        if before.partitions().any(|(_, _, partition)| led(partition)) {
            return Err(format!("{stopped} stops while it leads"));
        }
        // One that was fenced or led nothing stops at once.
        if !before.nodes().get(&stopped).is_some_and(|n| !n.fenced && n.stopping_since.is_some()) {
            return Ok(());
        }
        for (node_id, node) in &self.nodes {
            if *node_id == stopped || !node.up || node.wants_stop || !image.is_active(*node_id) {
                continue;
            }
            let seen = &self.history[node.applied];
            if node.obeys(seen) && seen.partitions().any(|(_, _, partition)| led(partition)) {
                return Err(format!("{node_id} takes {stopped} for a leader when it stops"));
            }
        }
        Ok(())
    }

    pub(super) fn fence_silent(&mut self) -> Outcome {
        for node_id in self.sessions.silent(&self.image(), self.now_ms) {
            self.decide(|controller, _| controller.fence(node_id))?;
            self.note(format!("{node_id} is fenced"));
        }
        Ok(())
    }

    /// The node applies some newer image.
    pub(super) fn catch_up(&mut self, node_id: NodeId) {
        let newest = self.history.len() - 1;
        let applied = self.nodes[&node_id].applied;
        let to =
            if self.random.percent(70) { newest } else { applied + self.random.below(newest - applied + 1) };
        self.apply(node_id, to);
    }

    pub(super) fn apply(&mut self, node_id: NodeId, to: usize) {
        let image = Rc::clone(&self.history[to]);
        let node = self.nodes.get_mut(&node_id).expect("one of ours");
        if node.up && node.heard {
            node.applied = to;
            node.apply(node_id, &image);
            self.check_leader(node_id);
        }
    }

    /// The leader writes a record, as a client asks it to.
    pub(super) fn append(&mut self, node_id: NodeId, key: Key) {
        self.next_record += 1;
        let record = self.next_record;
        let node = self.nodes.get_mut(&node_id).expect("one of ours");
        node.logs.entry(key).or_default().push(record);
        self.acknowledge(node_id, key);
    }

    /// The leader tells clients what is safe by all that it knows.
    pub(super) fn acknowledge(&mut self, node_id: NodeId, key: Key) {
        let node = &self.nodes[&node_id];
        let seen = &self.history[node.applied];
        let (Some(topic), Some(state)) = (seen.topic_by_id(key.0), seen.partition(key.0, key.1)) else {
            return;
        };
        assert!(state.leader == Some(node_id) && state.leader_epoch == node.led[&key].leader_epoch);
        let enough = state.min_in_sync(seen.configured_min_in_sync(topic));
        let end = node.acknowledged(key, state, enough);
        let log = node.logs[&key].clone();
        let led = self.nodes.get_mut(&node_id).and_then(|node| node.led.get_mut(&key)).expect("led");
        if end > led.high_watermark {
            led.high_watermark = end;
            let known = self.acknowledged.entry(key).or_default();
            if in_common(&log[..end], known) < known.len().min(end) && !self.given_up.contains(&key) {
                self.broken = Some(format!("{node_id} acknowledged something else in {key:?}"));
            }
            if end > known.len() {
                *known = log[..end].to_vec();
            }
            self.note(format!("  {node_id} acknowledges {} of {}", end, log.len()));
        }
    }

    /// A follower fetches from whom it takes for the leader, if that one agrees.
    pub(super) fn fetch(&mut self, follower_id: NodeId, key: Key) {
        let follower = &self.nodes[&follower_id];
        let seen = &self.history[follower.applied];
        let Some(state) = seen.partition(key.0, key.1) else { return };
        let Some(leader_id) = state.leader.filter(|leader| *leader != follower_id) else { return };
        let (true, Some(epoch)) = (follower.obeys(seen), follower.epoch) else { return };
        if !state.replicas.contains(&follower_id) {
            return;
        }
        let leader = &self.nodes[&leader_id];
        let agrees = leader.led.get(&key).is_some_and(|led| led.leader_epoch == state.leader_epoch);
        if !leader.up || !agrees {
            return;
        }
        let source = leader.logs[&key].clone();
        let log = self.nodes.get_mut(&follower_id).expect("one of ours").logs.entry(key).or_default();
        log.truncate(in_common(log, &source));
        let end = if self.random.percent(80) { source.len() } else { log.len().max(source.len() / 2) };
        log.extend_from_slice(&source[log.len()..end.max(log.len())]);
        let fetched = log.len();
        let led = self.nodes.get_mut(&leader_id).and_then(|node| node.led.get_mut(&key)).expect("it leads");
        led.followers.insert(follower_id, (fetched, epoch));
        self.acknowledge(leader_id, key);
    }

    /// The leader proposes another in-sync set: without one that lags, or with all that have everything.
    pub(super) fn propose(&mut self, node_id: NodeId, key: Key, shrink: bool) {
        let node = &self.nodes[&node_id];
        let seen = Rc::clone(&self.history[node.applied]);
        let (Some(state), Some(registration_epoch)) = (seen.partition(key.0, key.1), node.epoch) else {
            return;
        };
        let (led, length) = (&node.led[&key], node.logs[&key].len());
        let has_all = |id: &NodeId| led.followers.get(id).is_some_and(|fetched| fetched.0 == length);
        let mut wanted = state.in_sync.clone();
        if shrink {
            let lagging = wanted.iter().copied().find(|id| *id != node_id && !has_all(id));
            wanted.retain(|id| Some(*id) != lagging);
        } else {
            wanted.extend(state.replicas.iter().filter(|id| !state.in_sync.contains(id) && has_all(id)));
        }
        let epoch_of = |id: &NodeId| led.followers.get(id).map_or(0, |fetched| fetched.1);
        let known = |id: &NodeId| if *id == node_id { registration_epoch } else { epoch_of(id) };
        // One that was in sync from the beginning has not fetched yet: the leader knows it by the image.
        let by_image = |id: &NodeId| seen.nodes().get(id).map_or(0, |node| node.registration_epoch);
        let in_sync = wanted.iter().map(|id| (*id, if known(id) == 0 { by_image(id) } else { known(id) }));
        let item = AlterPartition {
            topic_id: key.0,
            partition: key.1,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            in_sync: in_sync.collect(),
            recovering: false,
        };
        let changes = wanted != state.in_sync || state.recovering;
        if changes {
            let led = self.nodes.get_mut(&node_id).and_then(|node| node.led.get_mut(&key)).expect("led");
            led.proposed.extend(wanted.iter().copied());
            self.on_the_way.push_back(AlterPartitions {
                node_id,
                registration_epoch,
                partitions: vec![item],
            });
        }
    }

    /// A request of a leader arrives, in whatever order, perhaps twice.
    pub(super) fn deliver(&mut self) -> Outcome {
        if self.on_the_way.is_empty() {
            return Ok(());
        }
        let index = self.random.below(self.on_the_way.len());
        let request = if self.random.percent(90) {
            self.on_the_way.remove(index).expect("there is one")
        } else {
            self.on_the_way[index].clone()
        };
        let answer = self.decide(|controller, _| controller.alter_partitions(&request))?;
        let wanted: Vec<i32> = request.partitions[0].in_sync.iter().map(|(node, _)| node.0).collect();
        let code = match &answer {
            Ok(items) => items[0].as_ref().err().map(|refusal| refusal.code),
            Err(refusal) => Some(refusal.code),
        };
        self.note(format!("{} wants {wanted:?}: {code:?}", request.node_id));
        Ok(())
    }

    /// Everybody is alive, heard, and has seen everything.
    pub(super) fn heal(&mut self) -> Outcome {
        let stopped: Vec<NodeId> =
            self.nodes.iter().filter(|(_, n)| !n.up || n.wants_stop).map(|(id, _)| *id).collect();
        self.now_ms += TIMEOUT_MS + 1;
        for node in self.nodes.values_mut() {
            node.heard = node.up;
        }
        for _ in 0..2 {
            for node_id in self.nodes.keys().copied().collect::<Vec<_>>() {
                if !stopped.contains(&node_id) {
                    self.heartbeat(node_id)?;
                }
            }
        }
        self.fence_silent()?;
        for node_id in stopped {
            self.start(node_id)?;
        }
        Ok(())
    }
}
