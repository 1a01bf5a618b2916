//! The nodes of the cluster as processes: which they are, how one is killed and comes back.
//!
//! Nodes are told of in lines `node ID pid PID kafka HOST:PORT`, which `ringmain dev --nodes` and
//! `bench/cluster.sh` print; the command that starts one again prints the line of the new process.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::driver::wire::client::other;
use crate::scenario::failover::settings::How;
use crate::system::{Signal, send_signal};
use crate::target::resolve;

/// Stands for the node's id in the command that starts one.
pub(super) const PLACE_OF_ID: &str = "{node}";
/// The kernel takes no longer to end a process that was killed.
const END_MAX: Duration = Duration::from_secs(30);

/// A node that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) id: i32,
    pub(super) pid: u32,
    pub(super) address: SocketAddr,
}

impl Node {
    /// Reads `node ID pid PID kafka HOST:PORT`.
    fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let ["node", id, "pid", pid, "kafka", address] = words[..] else {
            return Err(format!("{line:?} is not \"node ID pid PID kafka HOST:PORT\""));
        };
        Ok(Self {
            id: id.parse().map_err(|error| format!("node {id}: {error}"))?,
            pid: pid.parse().map_err(|error| format!("pid {pid}: {error}"))?,
            address: resolve(address)?,
        })
    }
}

/// All of them, and how one is started.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    start_command: Option<String>,
}

impl Nodes {
    /// From a file's text; lines about anything else are passed over, so that output of a program will do.
    pub(super) fn parse(text: &str, start_command: Option<String>) -> Result<Self, String> {
        let lines = text.lines().filter(|line| line.starts_with("node "));
        let nodes = lines.map(Node::parse).collect::<Result<Vec<_>, _>>()?;
        if nodes.len() < 2 {
            return Err(format!("a failover needs two nodes or more, {} were named", nodes.len()));
        }
        Ok(Self { nodes, start_command })
    }

    /// Where all of them take clients.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// A node by the id that the cluster knows it by.
    pub(super) fn find(&self, id: i32) -> io::Result<&Node> {
        let found = self.nodes.iter().find(|node| node.id == id);
        found.ok_or_else(|| other(format!("node {id} leads, but its process was not named")))
    }

    /// Takes a node out, and says when.
    pub(super) fn strike(&self, id: i32, how: How) -> io::Result<Instant> {
        let node = self.find(id)?;
        let signal = match how {
            How::Kill => Signal::Kill,
            How::Freeze => Signal::Stop,
        };
        let at = Instant::now();
        send_signal(node.pid, signal)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot kill node {id}: {error}")))?;
        Ok(at)
    }

    /// Brings a node back that was struck, and waits until its process is there.
    pub(super) fn bring_back(&mut self, id: i32, how: How) -> io::Result<()> {
        let node = self.find(id)?.clone();
        if how == How::Freeze {
            return send_signal(node.pid, Signal::Continue);
        }
        await_end(node.pid)?;
        let command = self.start_command.as_ref();
        let command = command.ok_or_else(|| other("nothing starts a node again: --restart".into()))?;
        let command = command.replace(PLACE_OF_ID, &id.to_string());
        let output = Command::new("sh")
            .args(["-c", &command])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| io::Error::new(error.kind(), format!("{command}: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(other(format!("{command}: {}", output.status)));
        }
        let line = text.lines().find(|line| line.starts_with("node "));
        let started = Node::parse(line.unwrap_or_default()).map_err(other)?;
        if started.id != id {
            return Err(other(format!("{command}: started node {} in place of {id}", started.id)));
        }
        self.nodes.iter_mut().filter(|node| node.id == id).for_each(|node| *node = started.clone());
        Ok(())
    }
}

/// Waits until a process is gone, or nothing is left of it but its exit code.
fn await_end(pid: u32) -> io::Result<()> {
    let deadline = Instant::now() + END_MAX;
    while Instant::now() < deadline {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Ok(()) };
        if stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('Z')) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(other(format!("process {pid} was killed and does not end")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read_from_what_programs_print() {
        let text = "ready\nnode 1 pid 42 kafka 127.0.0.1:9092\nnode 2 pid 43 kafka 127.0.0.1:9093\n";
        let nodes = Nodes::parse(text, None).expect("two nodes");
        assert_eq!(nodes.count(), 2);
        let second = nodes.find(2).expect("is named");
        assert_eq!((second.pid, second.address.port()), (43, 9093));
        assert!(nodes.find(3).is_err());
        assert!(Nodes::parse("node 1 pid 42 kafka 127.0.0.1:9092", None).is_err(), "one is no cluster");
        assert!(
            Nodes::parse(&text.replace("pid 43", "pid x"), None).expect_err("no number").contains("pid x")
        );
    }

    #[test]
    fn a_process_that_was_killed_has_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep can be run");
        let node = |id, pid| format!("node {id} pid {pid} kafka 127.0.0.1:1\n");
        let text = node(1, child.id()) + &node(2, 1);
        let nodes = Nodes::parse(&text, None).expect("two nodes");
        nodes.strike(1, How::Kill).expect("a child can be killed");
        await_end(child.id()).expect("it ends, waited for or not");
        child.wait().expect("a child can be waited for");
    }
}
