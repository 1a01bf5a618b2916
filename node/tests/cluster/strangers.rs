//! Who does not belong to the cluster, on its own network: packets sent again, changed and made up, and a node that has a
//! certificate of another authority under the number and the address of one of ours.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{
    cluster::{Cluster, NODES},
    faults::Nemesis,
    machine,
    network::{self, Network},
    node::Node,
    product::{PEER_PORTS, Product},
    support::tools,
};

/// How long the stranger tries.
const STRANGER_TRIES: Duration = Duration::from_millis(2_500);

/// Everything that strangers try, one after the other; nothing of it may have an effect.
pub(crate) fn annoy(cluster: &mut Cluster, nemesis: &mut Nemesis<'_>) -> Result<(), String> {
    thread::sleep(Duration::from_secs(1));
    let before = cluster.describe(nemesis.topic()).ok_or("nobody describes the topic")?;
    for victim in NODES {
        let peer = NODES.into_iter().find(|node| *node != victim).expect("three nodes");
        let said = send_hostile_packets(victim, peer)?;
        nemesis.note(&format!("to node {victim}: {said}"));
        cluster.nobody_has_ended()?;
    }
    let after = cluster.describe(nemesis.topic()).ok_or("nobody describes the topic any more")?;
    if before != after {
        return Err(format!("packets of strangers had an effect: {before:?} became {after:?}"));
    }
    let stopped = NODES[2];
    nemesis.note(&format!("node {stopped} stops, and a stranger comes in its place"));
    cluster.node(stopped).terminate()?;
    let with_two = settled(cluster, nemesis, stopped)?;
    let folder = cluster.folder.join("stranger");
    let mut stranger = stranger(&folder, stopped)?;
    stranger.start()?;
    thread::sleep(STRANGER_TRIES);
    let still_with_two = cluster.describe(nemesis.topic()).ok_or("nobody describes the topic any more")?;
    stranger.kill()?;
    if with_two != still_with_two {
        return Err(format!("a stranger had an effect: {with_two:?} became {still_with_two:?}"));
    }
    nemesis.note("the stranger had no effect");
    Ok(())
}

/// What the others say once they have done without a node.
fn settled(
    cluster: &mut Cluster,
    nemesis: &Nemesis<'_>,
    without: i32,
) -> Result<super::client::view::Description, String> {
    for _ in 0..100 {
        let Some(now) = cluster.describe(nemesis.topic()) else { continue };
        let is_out = now.partitions.iter().all(|one| one.leader >= 0 && !one.in_sync.contains(&without));
        if is_out && !now.nodes.contains(&without) {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(format!("the others do not do without node {without}"))
}

fn send_hostile_packets(victim: i32, peer: i32) -> Result<String, String> {
    let mut command = Command::new("python3");
    command
        .arg(tools::sources().join("python/hostile_peer.py"))
        .arg(network::link(victim))
        .arg(Network::address(victim).to_string())
        .args([PEER_PORTS.start().to_string(), PEER_PORTS.end().to_string()])
        .arg(Network::address(peer).to_string())
        .arg(victim.to_string())
        .stderr(Stdio::piped());
    machine::confine(&mut command, None)?;
    tools::run(&mut command).map(|said| said.trim().to_owned())
}

/// A node with the number, the address and the list of voters of one of ours, from another cluster.
fn stranger(folder: &Path, number: i32) -> Result<Node, String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Product::Ringmain.found(folder)?;
    Node::new(number, &NODES, &Product::Ringmain, folder, None)
}
