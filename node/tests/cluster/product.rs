//! Whose nodes run: ours, or Kafka's, by which the runs themselves are tested.
//!
//! `RINGMAIN_CLUSTER_TARGET=FOLDER` names the folder with the jars of a Kafka 3.9 broker; everything else is the same.

use std::{
    env, fs,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Command,
};

use super::{machine, network::Network};

/// Where clients connect on each node, and where nodes meet.
const CLIENT_PORT: u16 = 9092;
const ADMIN_PORT: u16 = 9644;
const PEER_PORT: u16 = 9192;
const SHARDS: u16 = 2;
/// The control plane, and the data plane of each shard.
pub(crate) const PEER_PORTS: RangeInclusive<u16> = PEER_PORT..=PEER_PORT + SHARDS;
const KAFKA_CLUSTER_ID: &str = "ringmainClusterTests00";
/// Three brokers and the clients share two cores.
const KAFKA_OPTIONS: [&str; 4] = ["-Xmx320m", "-Xms160m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// What the nodes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Product {
    Ringmain,
    /// With its jars.
    Kafka(PathBuf),
}

impl Product {
    pub(crate) fn from_environment() -> Product {
        match env::var_os("RINGMAIN_CLUSTER_TARGET") {
            Some(jars) => Product::Kafka(jars.into()),
            None => Product::Ringmain,
        }
    }

    /// Where clients connect.
    pub(crate) fn client_address(node: i32) -> SocketAddr {
        (Network::address(node), CLIENT_PORT).into()
    }

    /// Where other nodes connect.
    pub(crate) fn peer_address(node: i32) -> SocketAddr {
        (Network::address(node), PEER_PORT).into()
    }

    /// Writes what the whole cluster shares.
    pub(crate) fn found(&self, folder: &Path) -> Result<(), String> {
        match self {
            Product::Kafka(_) => Ok(()),
            Product::Ringmain => ringmain(&["cert", "init", "--directory"], &folder.join("certificates")),
        }
    }

    /// Writes the configuration of a node into its folder.
    pub(crate) fn configure(
        &self,
        folder: &Path,
        node: i32,
        nodes: &[i32],
        data_dir: &Path,
    ) -> Result<(), String> {
        let home = node_folder(folder, node);
        fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let (name, text) = match self {
            Product::Ringmain => {
                let number = node.to_string();
                let words = ["cert", "node", "--node-id", &number, "--directory"];
                ringmain(&words, &folder.join("certificates"))?;
                ("ringmain.toml", ringmain_configuration(node, nodes, data_dir))
            }
            Product::Kafka(_) => ("server.properties", kafka_configuration(node, nodes, data_dir)),
        };
        fs::write(home.join(name), text).map_err(|error| format!("{name}: {error}"))
    }

    /// The command that runs a node, in the foreground. Prepares its data directory if that takes a program.
    pub(crate) fn command(&self, folder: &Path, node: i32, data_dir: &Path) -> Result<Command, String> {
        let home = node_folder(folder, node);
        match self {
            Product::Ringmain => {
                let mut command = Command::new(binary());
                command.arg("start").arg("--config").arg(home.join("ringmain.toml"));
                // What is meant for these tests is no option of a node.
                for (name, _) in env::vars_os() {
                    if name.to_string_lossy().starts_with("RINGMAIN_") {
                        command.env_remove(name);
                    }
                }
                Ok(command)
            }
            Product::Kafka(jars) => {
                let class_path = format!("{}/*", jars.display());
                let properties = home.join("server.properties");
                let properties = properties.to_str().ok_or("the tests' paths are UTF-8")?;
                if !data_dir.join("meta.properties").exists() {
                    let words = [
                        "-Xmx128m",
                        "-cp",
                        &class_path,
                        "kafka.tools.StorageTool",
                        "format",
                        "--cluster-id",
                        KAFKA_CLUSTER_ID,
                        "--config",
                        properties,
                    ];
                    machine::run("java", &words)?;
                }
                let mut command = Command::new("java");
                command.args(KAFKA_OPTIONS).args(["-cp", &class_path, "kafka.Kafka", properties]);
                Ok(command)
            }
        }
    }
}

/// Where a node keeps its configuration, its data and what it says.
pub(crate) fn node_folder(folder: &Path, node: i32) -> PathBuf {
    folder.join(format!("node-{node}"))
}

fn ringmain(words: &[&str], folder: &Path) -> Result<(), String> {
    let folder = folder.to_str().ok_or("the tests' paths are UTF-8")?;
    machine::run(&binary(), &[words, &[folder]].concat())
}

/// The program of our nodes: the one that was built with the tests, or another one, for example an installed one.
fn binary() -> String {
    env::var("RINGMAIN_CLUSTER_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ringmain").to_owned())
}

fn ringmain_configuration(node: i32, nodes: &[i32], data_dir: &Path) -> String {
    let voters: Vec<String> =
        nodes.iter().map(|node| format!("\"{node}@{}\"", Product::peer_address(*node))).collect();
    format!(
        "node_id = {node}
data_dir = \"{}\"
shards = {SHARDS}

[network]
listen = \"{}\"
admin = \"{}:{ADMIN_PORT}\"

[cluster]
listen = \"{}\"
voters = [{}]
ca_certificate = \"../certificates/cluster.crt\"
certificate = \"../certificates/node-{node}.crt\"
key = \"../certificates/node-{node}.key\"
replica_lag_ms = 2500

[groups]
offsets_topic_partitions = 4
initial_rebalance_delay_ms = 0

[memory]
tail_bytes_per_shard = \"64MiB\"
",
        data_dir.display(),
        Product::client_address(node),
        Network::address(node),
        Product::peer_address(node),
        voters.join(", "),
    )
}

fn kafka_configuration(node: i32, nodes: &[i32], data_dir: &Path) -> String {
    let voters: Vec<String> =
        nodes.iter().map(|node| format!("{node}@{}", Product::peer_address(*node))).collect();
    format!(
        "process.roles=broker,controller
node.id={node}
listeners=PLAINTEXT://{client},CONTROLLER://{peer}
advertised.listeners=PLAINTEXT://{client}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.voters={voters}
log.dirs={data_dir}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=5000
unclean.leader.election.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=3
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
",
        client = Product::client_address(node),
        peer = Product::peer_address(node),
        voters = voters.join(","),
        data_dir = data_dir.display(),
    )
}
