//! `dev --nodes`: a whole cluster on this machine, each node a process of its own, and `--write-config`: only its files.
//!
//! `plan` gives each node its ports, cores and directory, `files` writes certificates and configurations, `processes`
//! runs the nodes. What must hold: a second start on the same directory is the same cluster, with the same certificates
//! and the same data; no node outlives the process that was told to run them.

mod files;
mod plan;
mod processes;

use super::arguments::DevArguments;
use super::failure::Failure;
use super::node;
use super::output::print;

/// Nodes that `--write-config` writes when it is not told how many.
const NODES: usize = 3;

/// Whether the arguments ask for several nodes.
pub(super) fn is_asked_for(arguments: &DevArguments) -> bool {
    arguments.nodes.is_some() || arguments.write_config.is_some()
}

/// Writes the files of a cluster, and runs it unless only the files were wanted.
pub(super) fn run(arguments: DevArguments) -> Result<(), Failure> {
    let count = arguments.nodes.unwrap_or(NODES);
    let written_only = arguments.write_config.clone();
    // The configuration that one node would have: what is given holds for all, what cannot is spread over them.
    let base = node::dev(arguments)?.config;
    let plan = match &written_only {
        Some(directory) => plan::in_directory(&base, count, directory)?,
        None => plan::in_data_directory(&base, count)?,
    };
    files::write(&plan, &base)?;
    if written_only.is_none() {
        return processes::run(&plan);
    }
    let mut text = format!(
        "{count} nodes of cluster {}, their certificates and configurations are in {}. Start each with:\n",
        files::cluster_id(&plan)?,
        plan.directory.display()
    );
    for node in &plan.nodes {
        text.push_str(&format!("  ringmain start --config {}\n", node.config_file.display()));
    }
    print(&text)
}
