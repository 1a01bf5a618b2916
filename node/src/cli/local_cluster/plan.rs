//! What each node of a cluster on one machine gets: ports that follow each other, cores, a directory.
//!
//! Kafka's ports and those of operators are the next ones after the first node's. The ports between nodes are UDP, from
//! [`PEER_PORT_DISTANCE`] above the first Kafka port, [`PEER_PORTS_EACH`] or more for each node; where one is taken, all of
//! them move up.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::config::{HostPort, NodeConfig, Shards, Voter};

/// How far the first port between nodes lies above the first Kafka port.
const PEER_PORT_DISTANCE: u16 = 1000;

/// Ports between nodes that each node has at least: round numbers are easier to read.
const PEER_PORTS_EACH: usize = 10;

/// How often the ports between nodes move up before it is given up.
const PEER_PORT_TRIES: u16 = 20;

/// Nodes that keep the metadata; the others learn from them. More would only be slower on one machine.
const VOTERS_MAX: usize = 3;

/// A cluster on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Where the files of the cluster are, but for the data.
    pub(super) directory: PathBuf,
    /// Shards of each node.
    pub(super) shards: usize,
    pub(super) nodes: Vec<NodePlan>,
    pub(super) voters: Vec<Voter>,
}

/// One of its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodePlan {
    pub(super) node_id: i32,
    pub(super) config_file: PathBuf,
    /// As the configuration file names it.
    pub(super) data_dir: PathBuf,
    pub(super) listen: HostPort,
    pub(super) admin: Option<HostPort>,
    pub(super) peer: HostPort,
    pub(super) first_core: usize,
}

impl Plan {
    /// Where the certificates are.
    pub(super) fn certificates(&self) -> PathBuf {
        self.directory.join("certificates")
    }
}

/// A cluster whose data and files lie below the data directory.
pub(super) fn in_data_directory(base: &NodeConfig, count: usize) -> Result<Plan, Failure> {
    if base.data_dir.join("format").exists() {
        return Err(Failure::Other(format!(
            "{} holds the data of one node that is alone; choose another directory for several with --data-dir",
            base.data_dir.display()
        )));
    }
    // Named from the file, so that the whole directory can be moved.
    plan(base, count, base.data_dir.join("cluster"), |name| Path::new("..").join(name))
}

/// A cluster whose files lie in a directory; its data beside them, unless a data directory was given.
pub(super) fn in_directory(base: &NodeConfig, count: usize, directory: &Path) -> Result<Plan, Failure> {
    let data = if base.settings.is_set("data_dir") {
        let absolute = std::path::absolute(&base.data_dir);
        absolute.map_err(|error| Failure::Io {
            operation: format!("tell where {} is", base.data_dir.display()),
            error,
        })?
    } else {
        PathBuf::new()
    };
    plan(base, count, directory.to_owned(), |name| data.join(name))
}

fn plan(
    base: &NodeConfig,
    count: usize,
    directory: PathBuf,
    data_dir: impl Fn(&str) -> PathBuf,
) -> Result<Plan, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let shards = match base.shards {
        Shards::Auto => (cores / count).max(1),
        Shards::Count(shards) => shards,
    };
    if base.network.listen.port == 0 {
        return Err(Failure::Other(
            "several nodes need ports that follow each other; name the first with --listen, not port 0"
                .to_owned(),
        ));
    }
    // What is told apart by the port alone would be told wrong for all but one.
    if base.network.advertised.is_some() {
        return Err(Failure::Other(
            "network.advertised names one node, and there are several; leave it out, and let --listen name an address \
             that clients can reach"
                .to_owned(),
        ));
    }
    let peers = peer_ports(&base.network.listen, count, shards)?;
    let mut nodes = Vec::with_capacity(count);
    for (index, peer_port) in peers.into_iter().enumerate() {
        let name = format!("node-{}", index + 1);
        nodes.push(NodePlan {
            node_id: i32::try_from(index + 1).expect("the number of nodes is limited"),
            config_file: directory.join(format!("{name}.toml")),
            data_dir: data_dir(&name),
            listen: later(&base.network.listen, index)?,
            admin: base.network.admin.as_ref().map(|first| later(first, index)).transpose()?,
            peer: HostPort { host: base.network.listen.host.clone(), port: peer_port },
            first_core: (base.first_core + index * shards) % cores,
        });
    }
    let voters = nodes.iter().take(VOTERS_MAX);
    let voters = voters.map(|node| Voter { node_id: node.node_id, address: node.peer.clone() }).collect();
    Ok(Plan { directory, shards, nodes, voters })
}

/// The address that many ports further.
fn later(first: &HostPort, distance: usize) -> Result<HostPort, Failure> {
    match u16::try_from(usize::from(first.port) + distance) {
        Ok(port) => Ok(HostPort { host: first.host.clone(), port }),
        Err(_) => Err(Failure::Other(format!(
            "port {} leaves no room for the ports of the nodes after it; choose a lower one",
            first.port
        ))),
    }
}

/// The first port between nodes of each node; all that it needs were free.
fn peer_ports(first: &HostPort, count: usize, shards: usize) -> Result<Vec<u16>, Failure> {
    let each = PEER_PORTS_EACH.max(shards + 1);
    for attempt in 0..PEER_PORT_TRIES {
        let begin = u32::from(first.port)
            + u32::from(PEER_PORT_DISTANCE)
            + u32::from(attempt) * u32::try_from(each * count).unwrap_or(u32::MAX);
        let ports: Option<Vec<u16>> = (0..count)
            .map(|index| u16::try_from(begin as usize + index * each).ok())
            .filter(|port| port.is_none_or(|port| usize::from(port) + shards <= usize::from(u16::MAX)))
            .collect();
        let Some(ports) = ports.filter(|ports| ports.len() == count) else { break };
        let mut needed =
            ports.iter().flat_map(|port| *port..=*port + u16::try_from(shards).unwrap_or(u16::MAX));
        if needed.all(|port| UdpSocket::bind((first.host.as_str(), port)).is_ok()) {
            return Ok(ports);
        }
    }
    Err(Failure::Other(format!(
        "no {count} times {each} free UDP ports on {} from {} on, by which the nodes reach each other; choose another \
         first port with --listen",
        first.host,
        u32::from(first.port) + u32::from(PEER_PORT_DISTANCE)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigSources;

    fn base(flags: &[(&str, &str)]) -> NodeConfig {
        let flag =
            |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned(), format!("--set {key}"));
        let flags = flags.iter().map(flag).collect();
        NodeConfig::load(&ConfigSources { flags, ..ConfigSources::default() }).expect("valid")
    }

    #[test]
    fn nodes_follow_each_other() {
        let base = base(&[
            ("network.listen", "127.0.0.1:11092"),
            ("network.admin", "127.0.0.1:11644"),
            ("shards", "2"),
            ("data_dir", "/nowhere/data"),
        ]);
        let plan = in_data_directory(&base, 5).expect("planned");
        assert_eq!(plan.directory, Path::new("/nowhere/data/cluster"));
        let texts = |address: fn(&NodePlan) -> String| plan.nodes.iter().map(address).collect::<Vec<_>>();
        let ports = |first: u16| (0..5).map(|step| format!("127.0.0.1:{}", first + step)).collect::<Vec<_>>();
        assert_eq!(texts(|node| node.listen.to_string()), ports(11092));
        assert_eq!(texts(|node| node.admin.as_ref().expect("on").to_string()), ports(11644));
        assert_eq!(plan.nodes[4].data_dir, Path::new("../node-5"));
        assert_eq!((plan.shards, plan.voters.len()), (2, 3));
        let first = plan.nodes[0].peer.port;
        assert!(first >= 12092);
        let distances = plan.nodes.iter().map(|node| usize::from(node.peer.port - first));
        assert_eq!(distances.collect::<Vec<_>>(), [0, 10, 20, 30, 40]);
        assert_eq!(plan.voters[2], Voter { node_id: 3, address: plan.nodes[2].peer.clone() });
    }

    #[test]
    fn ports_between_nodes_move_up_when_one_is_taken() {
        let taken = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let port = taken.local_addr().expect("bound").port();
        let first = HostPort { host: "127.0.0.1".to_owned(), port: port - PEER_PORT_DISTANCE };
        let ports = peer_ports(&first, 3, 1).expect("others are free");
        assert!(ports[0] > port && ports[1] == ports[0] + 10, "{ports:?}");
    }

    #[test]
    fn what_cannot_be_spread_is_refused() {
        let refused =
            |flags: &[(&str, &str)]| in_data_directory(&base(flags), 3).expect_err("refused").to_string();
        assert!(refused(&[("network.listen", "127.0.0.1:0")]).contains("not port 0"));
        assert!(refused(&[("network.listen", "127.0.0.1:65534")]).contains("choose"));
        assert!(refused(&[("network.advertised", "a:1")]).contains("names one node"));
    }

    #[test]
    fn written_files_keep_their_data_beside_them() {
        let plan = in_directory(&base(&[]), 3, Path::new("three")).expect("planned");
        assert_eq!(plan.nodes[0].data_dir, Path::new("node-1"));
        assert_eq!(plan.nodes[0].config_file, Path::new("three/node-1.toml"));
        let plan = in_directory(&base(&[("data_dir", "/srv")]), 3, Path::new("three")).expect("planned");
        assert_eq!(plan.nodes[1].data_dir, Path::new("/srv/node-2"));
    }
}
