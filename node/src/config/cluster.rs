//! The cluster that a node belongs to, as its configuration says: where the nodes meet, who keeps the metadata, by which
//! certificates they know each other.
//!
//! What must hold: a `ClusterConfig` that was checked names every voter once, at an address that can be dialled, and its
//! certificate is this node's. Does not do: whether the others can be reached, and whether their files agree.

use std::fmt;
use std::path::PathBuf;

use ringmain_replication::quic::certificates::{IdentityFiles, NodeIdentity};

use super::{HostPort, NodeConfig, Shards};

/// How a node takes part in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Where the other nodes connect, by UDP: the control thread on this port, shard n on this port + 1 + n.
    pub listen: HostPort,
    /// The host that the other nodes dial; `None` is the one of `listen`.
    pub advertised_host: Option<String>,
    /// The nodes that keep the metadata, the same list on every node; a node that is not in it learns from them.
    pub voters: Vec<Voter>,
    /// The certificate of the cluster's authority.
    pub ca_certificate: PathBuf,
    /// The certificate of this node.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// How often a node tells the controller that it is there.
    pub heartbeat_ms: u64,
    /// A node that was silent for so long is fenced.
    pub session_timeout_ms: u64,
    /// A follower that was not caught up for so long leaves the in-sync set.
    pub replica_lag_ms: u64,
    /// Records in one answer to one follower.
    pub replication_fetch_bytes_max: usize,
}

/// A node that keeps the metadata, and where its control thread is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Its number.
    pub node_id: i32,
    /// Where it listens for other nodes (`cluster.listen` there).
    pub address: HostPort,
}

impl Voter {
    /// Parses `ID@HOST:PORT`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed =
            || format!("'{text}' is not a voter; write ID@HOST:PORT, for example 1@db-1.example:9192");
        let (id, address) = text.trim().split_once('@').ok_or_else(malformed)?;
        let node_id = id.parse().ok().filter(|id| *id >= 0).ok_or_else(malformed)?;
        Ok(Self { node_id, address: HostPort::parse(address)? })
    }

    /// Parses a list of them, with commas between; an empty text is an empty list.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        text.split(',').filter(|part| !part.trim().is_empty()).map(Self::parse).collect()
    }
}

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node_id, self.address)
    }
}

/// The topic configuration by which the controller counts too.
const MIN_IN_SYNC: &str = "min.insync.replicas";

/// Heartbeats that have to fit into a session: one may be lost, one may be late.
const HEARTBEATS_PER_SESSION: u64 = 3;

/// Options that mean nothing without `cluster.listen`, and would be set by somebody who believes to have a cluster.
const NEEDS_LISTEN: [&str; 4] =
    ["cluster.voters", "cluster.ca_certificate", "cluster.certificate", "cluster.key"];

impl ClusterConfig {
    /// The host that the other nodes dial.
    pub fn advertised_host(&self) -> &str {
        self.advertised_host.as_deref().unwrap_or(&self.listen.host)
    }

    /// The files by which this node and the others know each other.
    pub fn identity_files(&self) -> IdentityFiles {
        IdentityFiles {
            authority: self.ca_certificate.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        }
    }

    /// Replicas of a topic that is made without a number, where the configuration leaves it open.
    pub(super) fn default_replication_factor(&self) -> i16 {
        const REPLICAS: i16 = 3;
        i16::try_from(self.voters.len()).unwrap_or(REPLICAS).clamp(1, REPLICAS)
    }

    /// What is wrong, each with the option to blame.
    fn problems(&self, node: &NodeConfig, problem: &mut dyn FnMut(&'static str, String)) {
        self.check_addresses(node, problem);
        self.check_voters(node, problem);
        self.check_certificates(node, problem);
        // Leader and controller must count alike, so what one node's file says is not asked.
        if node.topic_defaults.get(MIN_IN_SYNC).is_some() {
            problem(
                "topic_defaults",
                format!(
                    "{MIN_IN_SYNC} has no effect in one node's file; set it for a topic ('ringmain topic alter NAME --set \
                     {MIN_IN_SYNC}=2'), or for all as a broker configuration of the cluster (kafka-configs.sh \
                     --entity-type brokers --entity-default)"
                ),
            );
        }
        if self.session_timeout_ms < self.heartbeat_ms.saturating_mul(HEARTBEATS_PER_SESSION) {
            problem(
                "cluster.session_timeout_ms",
                format!(
                    "{} ms is shorter than {HEARTBEATS_PER_SESSION} heartbeats of {} ms, so one lost packet would fence \
                     the node; set it to at least {} ms, or cluster.heartbeat_ms lower",
                    self.session_timeout_ms,
                    self.heartbeat_ms,
                    self.heartbeat_ms.saturating_mul(HEARTBEATS_PER_SESSION)
                ),
            );
        }
    }

    fn check_addresses(&self, node: &NodeConfig, problem: &mut dyn FnMut(&'static str, String)) {
        let HostPort { host, port } = &self.listen;
        match &self.advertised_host {
            Some(host) if is_wildcard(host) => problem(
                "cluster.advertised_host",
                format!("{host} is not a host that another node can connect to; set its name or address"),
            ),
            None if self.listen.is_wildcard() => problem(
                "cluster.listen",
                format!(
                    "{} means every address of this machine; set cluster.advertised_host to the name or address that \
                     the other nodes reach this one by",
                    self.listen
                ),
            ),
            _ => {}
        }
        let shards = shard_count(node);
        if *port == 0 {
            problem("cluster.listen", format!("the other nodes need a fixed port; write {host}:9192"));
        } else if u16::try_from(usize::from(*port) + shards).is_err() {
            problem(
                "cluster.listen",
                format!(
                    "port {port} leaves no room for the ports of {shards} shards, which follow it; choose one up to {}",
                    usize::from(u16::MAX).saturating_sub(shards)
                ),
            );
        }
        if node.network.advertised.as_ref().unwrap_or(&node.network.listen).port == 0 {
            problem(
                "network.listen",
                "the clients of a cluster are told each node's port, so it cannot be 0; choose one"
                    .to_owned(),
            );
        }
    }

    fn check_voters(&self, node: &NodeConfig, problem: &mut dyn FnMut(&'static str, String)) {
        const KEY: &str = "cluster.voters";
        if self.voters.is_empty() {
            problem(
                KEY,
                "a cluster needs the nodes that keep its metadata; list three, the same on every node: \
                 [\"1@host-1:9192\", \"2@host-2:9192\", \"3@host-3:9192\"]"
                    .to_owned(),
            );
        }
        for (index, voter) in self.voters.iter().enumerate() {
            let Voter { node_id, address } = voter;
            if address.is_wildcard() || address.port == 0 {
                problem(
                    KEY,
                    format!(
                        "{voter} cannot be dialled; write its name or address, and its cluster.listen port"
                    ),
                );
            }
            for other in &self.voters[..index] {
                if other.node_id == *node_id {
                    problem(KEY, format!("node {node_id} is listed twice ({other} and {voter}); remove one"));
                } else if other.address == *address {
                    problem(KEY, format!("{other} and {voter} are at the same address; correct one"));
                }
            }
        }
        let Some(own) = self.voters.iter().find(|voter| voter.node_id == node.node_id) else { return };
        let port = self.listen.port;
        if own.address.port != port {
            problem(
                KEY,
                format!(
                    "it names this node as {own}, but cluster.listen has port {port}; make them the same here, and in \
                     the list of every node"
                ),
            );
        }
        let last = usize::from(port) + shard_count(node);
        let neighbours = self.voters.iter().filter(|voter| {
            voter.node_id != own.node_id
                && voter.address.host == own.address.host
                && voter.address.port > port
        });
        for neighbour in neighbours.filter(|voter| usize::from(voter.address.port) <= last) {
            problem(
                "cluster.listen",
                format!(
                    "this node's shards take the ports {} to {last}, and node {} is at {} on the same host; put the \
                     nodes' ports further apart",
                    usize::from(port) + 1,
                    neighbour.node_id,
                    neighbour.address
                ),
            );
        }
    }

    fn check_certificates(&self, node: &NodeConfig, problem: &mut dyn FnMut(&'static str, String)) {
        let mut complete = true;
        let files = [
            (
                "cluster.ca_certificate",
                &self.ca_certificate,
                "'ringmain cert init' writes it, as cluster.crt",
            ),
            ("cluster.certificate", &self.certificate, "'ringmain cert node' writes it, as node-N.crt"),
            ("cluster.key", &self.key, "'ringmain cert node' writes it, as node-N.key"),
        ];
        for (key, path, origin) in files {
            if path.as_os_str().is_empty() {
                problem(key, format!("a node of a cluster needs it; {origin}"));
                complete = false;
            } else if let Err(error) = std::fs::File::open(path) {
                problem(key, format!("cannot read {}: {error}; {origin}", path.display()));
                complete = false;
            }
        }
        if !complete {
            return;
        }
        match NodeIdentity::load(&self.identity_files()) {
            Ok(identity) if identity.node_id().0 != node.node_id => problem(
                "cluster.certificate",
                format!(
                    "{} is the certificate of node {}, and this is node {}; use the file that 'ringmain cert node \
                     --node-id {}' wrote, or correct node_id",
                    self.certificate.display(),
                    identity.node_id(),
                    node.node_id,
                    node.node_id
                ),
            ),
            Ok(_) => {}
            Err(error) => problem("cluster.certificate", error.to_string()),
        }
    }
}

/// What is wrong with the cluster part of a node's configuration, each with the option to blame.
pub(super) fn problems(node: &NodeConfig, problem: &mut dyn FnMut(&'static str, String)) {
    let mut named = |key: &'static str, message: String| problem(key, format!("{key}: {message}"));
    match &node.cluster {
        Some(cluster) => cluster.problems(node, &mut named),
        None => {
            for key in NEEDS_LISTEN.into_iter().filter(|key| node.settings.is_set(key)) {
                named(
                    key,
                    "it is set, but cluster.listen is not, so this node would be alone; set cluster.listen to \
                     HOST:PORT, or remove it"
                        .to_owned(),
                );
            }
        }
    }
}

fn is_wildcard(host: &str) -> bool {
    HostPort { host: host.to_owned(), port: 0 }.is_wildcard()
}

/// Shards, as far as the configuration or the machine says.
fn shard_count(node: &NodeConfig) -> usize {
    match node.shards {
        Shards::Count(count) => count,
        Shards::Auto => std::thread::available_parallelism().map_or(1, Into::into),
    }
}

#[cfg(test)]
mod tests;
