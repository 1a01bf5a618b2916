//! The files of a cluster on one machine: an authority, a certificate for each node, a configuration for each node.
//!
//! Certificates that are there are kept: they are what makes a second start the same cluster. Configurations are written
//! anew, as the arguments say.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use ringmain_replication::NodeId;
use ringmain_replication::quic::certificates::{Authority, IdentityFiles, IssueOptions};

use super::plan::{NodePlan, Plan};
use crate::cli::failure::Failure;
use crate::config::{ConfigSources, NodeConfig};
use crate::metadata::random_cluster_id;

/// Days for which the certificates hold: as those of the 'cert' commands.
const AUTHORITY_DAYS: u32 = 7300;
const NODE_DAYS: u32 = 1825;

/// Options that each node gets a value of its own for.
const OF_EACH_NODE: [&str; 13] = [
    "data_dir",
    "node_id",
    "shards",
    "first_core",
    "network.listen",
    "network.advertised",
    "network.admin",
    "cluster.listen",
    "cluster.advertised_host",
    "cluster.voters",
    "cluster.ca_certificate",
    "cluster.certificate",
    "cluster.key",
];

/// Of those, the ones that arguments or the environment may give, and that the plan spreads over the nodes.
const SPREAD: [&str; 5] = ["data_dir", "shards", "first_core", "network.listen", "network.admin"];

/// Writes what is missing, and the configurations; each is checked as a start would.
pub(super) fn write(plan: &Plan, base: &NodeConfig) -> Result<(), Failure> {
    for (key, _) in base.settings.given() {
        if OF_EACH_NODE.contains(&key) && !SPREAD.contains(&key) {
            return Err(Failure::Other(format!(
                "{key} ({}) is different for each node and given by --nodes; leave it out",
                base.settings.origin(key)
            )));
        }
    }
    fs::create_dir_all(&plan.directory).map_err(failed("make the directory", &plan.directory))?;
    certificates(plan)?;
    for node in &plan.nodes {
        fs::write(&node.config_file, text(plan, node, base)).map_err(failed("write", &node.config_file))?;
        NodeConfig::load(&ConfigSources {
            file: Some(node.config_file.clone()),
            ..ConfigSources::default()
        })?;
    }
    Ok(())
}

/// The id of the cluster whose certificates are in the plan's directory.
pub(super) fn cluster_id(plan: &Plan) -> Result<String, Failure> {
    Ok(Authority::load(&plan.certificates())?.cluster_id().to_owned())
}

fn certificates(plan: &Plan) -> Result<(), Failure> {
    let directory = plan.certificates();
    let authority = if directory.join("cluster.key").exists() {
        Authority::load(&directory)?
    } else {
        let id = random_cluster_id()
            .map_err(|error| Failure::Io { operation: "make a cluster id".to_owned(), error })?;
        Authority::create(&directory, id.as_str(), AUTHORITY_DAYS)?.0
    };
    for node in &plan.nodes {
        let id = NodeId(node.node_id);
        let files = IdentityFiles::in_directory(&directory, id);
        // A start that was killed may have left a key without its certificate, which nobody has seen.
        if !files.certificate.exists() {
            match fs::remove_file(&files.key) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failed("remove", &files.key)(error));
                }
                _ => {}
            }
            let hosts = vec![node.peer.host.clone()];
            authority.issue(&IssueOptions { node: id, hosts, valid_days: NODE_DAYS })?;
        }
    }
    Ok(())
}

/// A node's configuration file.
fn text(plan: &Plan, node: &NodePlan, base: &NodeConfig) -> String {
    let number = node.node_id;
    let voters: Vec<String> = plan.voters.iter().map(|voter| quoted(&voter.to_string())).collect();
    let admin = node.admin.as_ref().map_or_else(|| "off".to_owned(), ToString::to_string);
    let lines = [
        format!(
            "# Node {number} of a cluster on one machine. Start it with: ringmain start --config node-{number}.toml"
        ),
        "# Paths are relative to this file.".to_owned(),
        format!("node_id = {number}"),
        format!("data_dir = {}", quoted(&node.data_dir.display().to_string())),
        format!("shards = {}", plan.shards),
        format!("first_core = {}", node.first_core),
        format!("network.listen = {}", quoted(&node.listen.to_string())),
        format!("network.admin = {}", quoted(&admin)),
        String::new(),
        "# UDP: the control plane on this port, each shard on one after it.".to_owned(),
        format!("cluster.listen = {}", quoted(&node.peer.to_string())),
        "# The same on every node.".to_owned(),
        format!("cluster.voters = [{}]", voters.join(", ")),
        "cluster.ca_certificate = \"certificates/cluster.crt\"".to_owned(),
        format!("cluster.certificate = \"certificates/node-{number}.crt\""),
        format!("cluster.key = \"certificates/node-{number}.key\""),
    ];
    let mut text = lines.join("\n");
    text.push('\n');
    let given = base.settings.given().filter(|(key, _)| !OF_EACH_NODE.contains(key));
    let given: Vec<String> = given.map(|(key, value)| format!("{key} = {}\n", quoted(value))).collect();
    let defaults = base
        .topic_defaults
        .iter()
        .map(|(name, value)| format!("topic_defaults.{} = {}\n", quoted(name), quoted(value)));
    for (index, line) in given.into_iter().chain(defaults).enumerate() {
        let heading = if index == 0 { "\n# As given for all nodes.\n" } else { "" };
        // Writing to a text cannot fail.
        let _ = write!(text, "{heading}{line}");
    }
    text
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn failed<'a>(operation: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> Failure + 'a {
    move |error| Failure::Io { operation: format!("{operation} {}", path.display()), error }
}
