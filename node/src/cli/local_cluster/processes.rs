//! The processes of a cluster on one machine: started, listened to, stopped together.
//!
//! 1. Each node is a child process of this program with its own configuration file, in a process group of its own, so
//!    that Ctrl-C reaches this process alone; the kernel stops the nodes when this process is killed.
//! 2. What a node says is repeated on standard error with its number before each line. On its standard output it says
//!    when it is ready; once all have, there is a line for each node on ours.
//! 3. SIGTERM and SIGINT are passed on as SIGTERM; this process ends when all nodes have. A second one kills them.
//!
//! Failure: a node that ends before all were ready stops the others, and the command fails. One that ends later is told,
//! and the others go on.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::plan::{NodePlan, Plan};
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::server::signals::{self, Signals, Wanted};
use crate::server::summary::READY;

/// How often it is looked whether a node has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Longer lines of a node are cut: nothing that it says is so long, and a line is kept in memory.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// What the threads tell the one that runs the nodes.
enum Event {
    /// The node at this place of the plan is ready.
    Ready(usize),
    /// Somebody wants an end.
    Signal(&'static str),
}

/// A node of the plan, and its process.
struct Node<'a> {
    plan: &'a NodePlan,
    process: Child,
    is_ready: bool,
    ended: Option<ExitStatus>,
    readers: Vec<JoinHandle<()>>,
}

/// Starts the nodes and waits until all have ended.
pub(super) fn run(plan: &Plan) -> Result<(), Failure> {
    // Before any thread starts, so that only the one that waits for the signals gets them.
    let signals = signals::block(false).map_err(|error| Failure::Other(error.to_string()))?;
    let (events, received) = mpsc::channel();
    let mut nodes = Vec::with_capacity(plan.nodes.len());
    for (place, node) in plan.nodes.iter().enumerate() {
        match start(node, place, &events) {
            Ok(started) => nodes.push(started),
            Err(failure) => {
                stop(&mut nodes);
                return wait_for_all(nodes, &received).and(Err(failure));
            }
        }
    }
    pass_on(signals, events)?;
    let result = attend(&mut nodes, &received);
    let ended = wait_for_all(nodes, &received);
    result.and(ended)
}

fn start<'a>(plan: &'a NodePlan, place: usize, events: &Sender<Event>) -> Result<Node<'a>, Failure> {
    let failed = |operation: &str| {
        let operation = format!("{operation} node {}", plan.node_id);
        move |error| Failure::Io { operation, error }
    };
    let program = std::env::current_exe().map_err(failed("find this program, to start"))?;
    let mut command = Command::new(program);
    command.arg("start").arg("--config").arg(&plan.config_file);
    command.args(["--with-parent", &std::process::id().to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    // What they say has gone into the file already, and one value would hold for all nodes.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGMAIN_")) {
        command.env_remove(name);
    }
    let mut process = command.spawn().map_err(failed("start"))?;
    let output = process.stdout.take().expect("it was asked for");
    let diagnostics = process.stderr.take().expect("it was asked for");
    let events = events.clone();
    let node_id = plan.node_id;
    let readers = vec![
        read_lines("output", output, move |line| {
            if line.starts_with("Ringmain ") && line.ends_with(READY) {
                // Nobody waits for it any more once the nodes are told to stop.
                let _ = events.send(Event::Ready(place));
            }
        })?,
        read_lines("diagnostics", diagnostics, move |line| {
            use std::io::Write;
            // Whoever read it has gone; the nodes do not depend on it.
            let _ = writeln!(std::io::stderr(), "node {node_id} | {line}");
        })?,
    ];
    Ok(Node { plan, process, is_ready: false, ended: None, readers })
}

/// Reads a node's output to its end on a thread of its own, so that the node is never held up by it.
fn read_lines(
    name: &str,
    output: impl Read + Send + 'static,
    mut take: impl FnMut(&str) + Send + 'static,
) -> Result<JoinHandle<()>, Failure> {
    let read = move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut output).take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => take(String::from_utf8_lossy(&line).trim_end()),
            }
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(read)
        .map_err(|error| Failure::Io { operation: "start a thread".to_owned(), error })
}

/// Waits for signals on a thread that lives as long as the process.
fn pass_on(signals: Signals, events: Sender<Event>) -> Result<(), Failure> {
    let wait = move || {
        while let Ok(Wanted::Stop(signal)) = signals.wait() {
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    };
    let started = thread::Builder::new().name("signals".to_owned()).spawn(wait);
    started.map(drop).map_err(|error| Failure::Io { operation: "start a thread".to_owned(), error })
}

/// Looks after the nodes until they are to stop, or there are none left.
fn attend(nodes: &mut [Node<'_>], received: &Receiver<Event>) -> Result<(), Failure> {
    loop {
        match received.recv_timeout(LOOK_INTERVAL) {
            Ok(Event::Ready(place)) => {
                nodes[place].is_ready = true;
                if nodes.iter().all(|node| node.is_ready) {
                    // Whoever started this may not read it: that is no reason to stop the nodes.
                    let _ = print(&lines(nodes));
                }
            }
            Ok(Event::Signal(signal)) => {
                eprintln!("ringmain: {signal}: the nodes stop");
                stop(nodes);
                return Ok(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => unreachable!("the thread of the signals lives on"),
        }
        let were_ready = nodes.iter().all(|node| node.is_ready);
        let ended = newly_ended(nodes)?;
        for (node_id, status) in &ended {
            if !were_ready {
                stop(nodes);
                return Err(Failure::Other(format!(
                    "node {node_id} ended before the cluster was ready ({status}); it says why above; the others are \
                     stopped"
                )));
            }
            let left = nodes.iter().filter(|node| node.ended.is_none()).count();
            let file = nodes.iter().find(|node| node.plan.node_id == *node_id);
            let file = file.map(|node| node.plan.config_file.display().to_string()).unwrap_or_default();
            eprintln!(
                "ringmain: node {node_id} ended ({status}); {left} go on. It starts again with: ringmain start --config \
                 {file}"
            );
        }
        if nodes.iter().all(|node| node.ended.is_some()) {
            return Err(Failure::Other("all nodes have ended without being told to".to_owned()));
        }
    }
}

/// A line for each node, and what to do next.
fn lines(nodes: &[Node<'_>]) -> String {
    let mut text = String::new();
    for Node { plan, process, .. } in nodes {
        let NodePlan { node_id, listen, .. } = plan;
        text.push_str(&format!("node {node_id} pid {} kafka {listen}\n", process.id()));
    }
    let brokers = &nodes[0].plan.listen;
    let replicas = nodes.len().min(3);
    text.push_str(&format!(
        "\nThe cluster is ready. Try it:\n  ringmain cluster status --brokers {brokers}\n  ringmain topic create logs \
         --partitions 3 --replication-factor {replicas} --brokers {brokers}\n  kill -9 {}\nCtrl-C stops all nodes.\n",
        nodes[0].process.id()
    ));
    text
}

/// Tells every node that runs to stop.
fn stop(nodes: &mut [Node<'_>]) {
    for node in nodes.iter_mut().filter(|node| node.ended.is_none()) {
        // It was not waited for, so the number is still its own, even if it has ended.
        if let Err(error) = signals::terminate(node.process.id()) {
            eprintln!("ringmain: cannot tell node {} to stop: {error}", node.plan.node_id);
        }
    }
}

/// Waits for the nodes to end; kills them when there is another signal. One that ended before has been told.
fn wait_for_all(mut nodes: Vec<Node<'_>>, received: &Receiver<Event>) -> Result<(), Failure> {
    let told: Vec<i32> =
        nodes.iter().filter(|node| node.ended.is_some()).map(|node| node.plan.node_id).collect();
    while nodes.iter().any(|node| node.ended.is_none()) {
        if let Ok(Event::Signal(signal)) = received.recv_timeout(LOOK_INTERVAL) {
            eprintln!("ringmain: {signal} again: the nodes are killed");
            for node in nodes.iter_mut().filter(|node| node.ended.is_none()) {
                node.process.kill().map_err(|error| Failure::Io {
                    operation: format!("kill node {}", node.plan.node_id),
                    error,
                })?;
            }
        }
        newly_ended(&mut nodes)?;
    }
    let mut failed = Vec::new();
    for node in nodes {
        // They end with their pipes; a panic in one has been reported by itself.
        node.readers.into_iter().for_each(|reader| drop(reader.join()));
        let untold = node.ended.filter(|_| !told.contains(&node.plan.node_id));
        if let Some(status) = untold.filter(|status| !status.success()) {
            failed.push(format!("node {} ended with {status}", node.plan.node_id));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Other(failed.join(", "))) }
}

/// The nodes that have ended since this was asked last.
fn newly_ended(nodes: &mut [Node<'_>]) -> Result<Vec<(i32, ExitStatus)>, Failure> {
    let mut ended = Vec::new();
    for node in nodes.iter_mut().filter(|node| node.ended.is_none()) {
        let status = node.process.try_wait().map_err(|error| Failure::Io {
            operation: format!("ask how node {} is", node.plan.node_id),
            error,
        })?;
        if let Some(status) = status {
            node.ended = Some(status);
            ended.push((node.plan.node_id, status));
        }
    }
    Ok(ended)
}
