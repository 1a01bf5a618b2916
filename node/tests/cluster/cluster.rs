//! Three nodes with a network between them, and what a run wants to know about them.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

use ringmain_protocol::ErrorCode;

use super::{
    client::{
        connection::Connection,
        final_logs,
        view::{self, Description, View},
    },
    disk::{FileSystem, Machine},
    history::FinalLog,
    network::Network,
    node::Node,
    product::Product,
};

pub(crate) const NODES: [i32; 3] = [1, 2, 3];
/// Longer than any start that is not a hang.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Once all faults are healed, all replicas have to be in sync within this.
const HEAL_LIMIT: Duration = Duration::from_secs(60);
/// A node that leads and cannot go on has to be replaced within this, on however busy a machine.
const HANDOVER_LIMIT: Duration = Duration::from_secs(20);
/// For an answer from a node that may be one of those that give none.
const PATIENCE: Duration = Duration::from_millis(700);
const POLL: Duration = Duration::from_millis(50);

/// A cluster. Dropped, everything of it is gone; its folder stays if it was [kept](Cluster::keep).
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) folder: PathBuf,
    is_kept: bool,
}

impl Cluster {
    /// Starts three nodes on nothing; with a seed, on disks of their own that it makes forget.
    pub(crate) fn start(name: &str, disks: Option<u64>) -> Result<Cluster, String> {
        let product = Product::from_environment();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{name}-{}", process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        product.found(&folder)?;
        let network = Network::start(&NODES)?;
        let mut nodes = Vec::new();
        for (number, file_system) in NODES.into_iter().zip(FileSystem::ALL.into_iter().cycle()) {
            let seed = |seed| seed ^ u64::from(number.unsigned_abs());
            let disk = disks.map(|disks| Machine::start(file_system, &folder, seed(disks))).transpose()?;
            nodes.push(Node::new(number, &NODES, &product, &folder, disk)?);
        }
        let mut cluster = Cluster { nodes, network, folder, is_kept: false };
        for node in &mut cluster.nodes {
            node.start()?;
        }
        cluster.wait_until_ready().inspect_err(|_| cluster.is_kept = true)?;
        Ok(cluster)
    }

    /// Keeps the folder when the cluster goes.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
    }

    pub(crate) fn bootstrap() -> Vec<(i32, SocketAddr)> {
        NODES.map(|node| (node, Product::client_address(node))).into()
    }

    pub(crate) fn view(topic: &str) -> View {
        View::new(&Cluster::bootstrap(), topic, 0)
    }

    pub(crate) fn node(&mut self, number: i32) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.number() == number).expect("one of ours")
    }

    /// Waits until every node knows all nodes.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let begin = Instant::now();
        let mut view = Cluster::view("none");
        loop {
            self.nobody_has_ended()?;
            let waits_for = NODES
                .into_iter()
                .find(|node| !view.describe(*node).is_ok_and(|description| description.nodes == NODES));
            let Some(node) = waits_for else { return Ok(()) };
            if begin.elapsed() > START_LIMIT {
                let said: Vec<String> = self.nodes.iter().map(Node::last_words).collect();
                return Err(format!(
                    "node {node} does not know all nodes after {START_LIMIT:?}; they said:\n{}",
                    said.join("\n---\n")
                ));
            }
            thread::sleep(POLL);
        }
    }

    /// An error if a node that should run does not.
    pub(crate) fn nobody_has_ended(&mut self) -> Result<(), String> {
        for node in &mut self.nodes {
            if let Some(status) = node.ended() {
                let words = node.last_words();
                return Err(format!("node {} ended with {status}:\n{words}", node.number()));
            }
        }
        Ok(())
    }

    /// Makes a topic with three replicas and waits until all are in sync.
    pub(crate) fn create_topic(
        &mut self,
        topic: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), String> {
        let begin = Instant::now();
        for node in NODES.into_iter().cycle() {
            let created = Connection::open(Product::client_address(node)).and_then(|mut connection| {
                view::create_topic(&mut connection, topic, partitions, 3, configs)
            });
            match created {
                Ok(ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS) => break,
                other if begin.elapsed() > START_LIMIT => {
                    return Err(format!("{topic} cannot be made: {other:?}"));
                }
                _ => thread::sleep(POLL),
            }
        }
        self.wait_until_in_sync(topic, partitions).map(drop)
    }

    /// Waits until every node says that all replicas of the topic are in sync and who leads; how long that took.
    pub(crate) fn wait_until_in_sync(&mut self, topic: &str, partitions: i32) -> Result<Duration, String> {
        let begin = Instant::now();
        let partitions = usize::try_from(partitions).expect("a handful");
        let mut view = Cluster::view(topic);
        loop {
            self.nobody_has_ended()?;
            let described: Vec<_> =
                NODES.map(|node| view.describe(node).map_err(|error| error.to_string())).into();
            let is_healthy = |description: &Description| {
                description.partitions.len() == partitions
                    && description.partitions.iter().all(|one| one.leader >= 0 && one.in_sync == NODES)
            };
            let all_healthy = described.iter().all(|described| described.as_ref().is_ok_and(is_healthy));
            let leaders = |description: &Description| {
                let of = description.partitions.iter();
                of.map(|one| (one.leader, one.leader_epoch)).collect::<Vec<_>>()
            };
            let agreed = described.windows(2).all(|pair| match (&pair[0], &pair[1]) {
                (Ok(one), Ok(other)) => leaders(one) == leaders(other),
                _ => false,
            });
            if all_healthy && agreed {
                return Ok(begin.elapsed());
            }
            if begin.elapsed() > HEAL_LIMIT {
                return Err(format!(
                    "not all replicas of {topic} are in sync after {HEAL_LIMIT:?}: {described:#?}"
                ));
            }
            thread::sleep(POLL);
        }
    }

    /// What any node that answers soon says about the topic.
    pub(crate) fn describe(&mut self, topic: &str) -> Option<Description> {
        let mut view = Cluster::view(topic);
        view.patience = PATIENCE;
        NODES.into_iter().find_map(|node| view.describe(node).ok())
    }

    /// Waits until nobody but the others leads, as each of them says it; how long that took.
    pub(crate) fn wait_until_led_without(&mut self, node: i32, topic: &str) -> Result<Duration, String> {
        let begin = Instant::now();
        let mut view = Cluster::view(topic);
        loop {
            self.nobody_has_ended()?;
            let mut others = NODES.into_iter().filter(|other| *other != node);
            let lead = |description: Description| {
                let mut leaders = description.partitions.iter().map(|one| one.leader);
                leaders.all(|leader| leader >= 0 && leader != node)
            };
            if others.all(|other| view.describe(other).is_ok_and(lead)) {
                return Ok(begin.elapsed());
            }
            if begin.elapsed() > HANDOVER_LIMIT {
                return Err(format!("the others do not lead without node {node} after {HANDOVER_LIMIT:?}"));
            }
            thread::sleep(POLL);
        }
    }

    /// Every replica's log of every partition.
    pub(crate) fn final_logs(&mut self, topic: &str, partitions: i32) -> Result<Vec<FinalLog>, String> {
        let described = self.describe(topic).ok_or("nobody describes the topic")?;
        let mut logs = Vec::new();
        for (partition, leader) in (0..partitions).zip(described.partitions.iter().map(|one| one.leader)) {
            let of_leader = final_logs::read(leader, Product::client_address(leader), topic, partition, 0)?;
            let end = of_leader.end;
            logs.push(of_leader);
            for node in NODES.into_iter().filter(|node| *node != leader) {
                logs.push(final_logs::read(node, Product::client_address(node), topic, partition, end)?);
            }
        }
        Ok(logs)
    }

    /// Undoes every fault: cables, cuts, pauses, and nodes that do not run.
    pub(crate) fn heal(&mut self) -> Result<(), String> {
        self.network.heal()?;
        for node in &mut self.nodes {
            node.resume()?;
            node.mend_disk()?;
            node.restore_power()?;
            node.start()?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear();
        if self.is_kept || thread::panicking() {
            eprintln!("kept: {}", self.folder.display());
        } else if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} does not go: {error}", self.folder.display());
        }
    }
}
