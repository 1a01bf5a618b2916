//! The metadata of three real processes on one machine: who decides, who is there, what a disk that was emptied means.
//!
//! Topics have one replica each: what replicas do is tried elsewhere.

mod support;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::ports::free_address;

/// Longer than anything that is not a hang.
const LIMIT: Duration = Duration::from_secs(30);
/// From the end of a controller to the next change. About 0.8 s on a machine with nothing else to do, which is for the
/// benchmarks to hold; here others compile and test beside it.
const NEXT_CHANGE: Duration = Duration::from_secs(6);
/// From the end of a node to its fencing: the session of 1 s, and as above.
const FENCED: Duration = Duration::from_secs(6);

const NODES: [usize; 3] = [1, 2, 3];

/// Three nodes of one cluster, each a process. Dropped, they are killed and their data go.
struct Cluster {
    folder: PathBuf,
    first_port: u16,
    processes: [Option<Child>; 3],
    /// Where the output of each one's last start begins.
    begun: [usize; 3],
}

fn ringmain(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The first of three that follow each other.
fn three_free_addresses() -> SocketAddr {
    loop {
        let [first, second, third] = [(); 3].map(|()| free_address());
        if second.port() == first.port() + 1 && third.port() == second.port() + 1 {
            return first;
        }
    }
}

/// A folder with the configurations of three nodes.
fn write_configuration(name: &str) -> (PathBuf, u16) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()));
    let listen = three_free_addresses();
    let path = folder.to_str().expect("the test's folder is text");
    let output =
        ringmain(&["dev", "--nodes", "3", "--write-config", path, "--admin", "off", "--shards", "1"])
            .args(["--listen", &listen.to_string()])
            .output()
            .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (folder, listen.port())
}

impl Cluster {
    /// Starts all three and waits until all are ready.
    fn start(name: &str) -> Self {
        let (folder, first_port) = write_configuration(name);
        let mut cluster = Self { folder, first_port, processes: [None, None, None], begun: [0; 3] };
        NODES.iter().for_each(|node| cluster.spawn(*node));
        NODES.iter().for_each(|node| cluster.wait_until_ready(*node));
        cluster
    }

    fn spawn(&mut self, node: usize) {
        self.begun[node - 1] = self.output(node).len();
        let output = self.folder.join(format!("output-{node}"));
        let output = File::options().create(true).append(true).open(output).expect("output can be kept");
        let config = self.folder.join(format!("node-{node}.toml"));
        let child = ringmain(&["start", "--config"])
            .arg(config)
            .stdout(output.try_clone().expect("a file handle can be copied"))
            .stderr(output)
            .spawn()
            .expect("the binary runs");
        self.processes[node - 1] = Some(child);
    }

    fn restart(&mut self, node: usize) {
        self.spawn(node);
        self.wait_until_ready(node);
    }

    fn output(&self, node: usize) -> String {
        fs::read_to_string(self.folder.join(format!("output-{node}"))).unwrap_or_default()
    }

    /// Until this start of it has said so.
    fn wait_until_ready(&mut self, node: usize) {
        let begin = Instant::now();
        while !self.output(node)[self.begun[node - 1]..].contains("is ready.") {
            let child = self.processes[node - 1].as_mut().expect("it was started");
            let ended = child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "node {node} ended:\n{}", self.output(node));
            assert!(begin.elapsed() < LIMIT, "node {node} is not ready:\n{}", self.output(node));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// kill -9, and the end of the process.
    fn kill(&mut self, node: usize) {
        let mut child = self.processes[node - 1].take().expect("it runs");
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    }

    /// SIGTERM; how the process ended.
    fn stop(&mut self, node: usize) -> (ExitStatus, Duration) {
        let mut child = self.processes[node - 1].take().expect("it runs");
        let begin = Instant::now();
        let sent = Command::new("kill").arg(child.id().to_string()).status().expect("kill can be run");
        assert!(sent.success());
        loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                return (status, begin.elapsed());
            }
            assert!(begin.elapsed() < LIMIT, "node {node} does not stop:\n{}", self.output(node));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn brokers(&self, node: usize) -> String {
        format!("127.0.0.1:{}", usize::from(self.first_port) + node - 1)
    }

    /// What a tool prints that asks `node`.
    fn ask(&self, node: usize, arguments: &[&str]) -> Result<String, String> {
        let output = ringmain(arguments).args(["--brokers", &self.brokers(node)]).output();
        let output = output.expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn create_topic(&self, node: usize, name: &str) {
        let arguments = ["topic", "create", name, "--partitions", "3", "--replication-factor", "1"];
        let created = self.ask(node, &arguments);
        assert!(created.is_ok(), "create {name} on node {node}: {created:?}");
    }

    fn has_topic(&self, node: usize, name: &str) -> bool {
        let list = self.ask(node, &["topic", "list"]).expect("a list");
        list.lines().any(|line| line.split_whitespace().next() == Some(name))
    }

    /// What `node` knows of `about`: its line in the list of nodes.
    fn node_line(&self, node: usize, about: usize) -> String {
        let list = self.ask(node, &["cluster", "nodes"]).expect("a list");
        let is_about = |line: &&str| line.split_whitespace().next() == Some(about.to_string().as_str());
        list.lines().find(is_about).unwrap_or_default().to_owned()
    }

    fn controller(&self, asked: usize) -> usize {
        let is_controller = |node: &usize| self.node_line(asked, *node).contains("controller");
        let mut found = None;
        wait_for("a controller", || {
            found = NODES.into_iter().find(is_controller);
            found.is_some()
        });
        found.expect("it was found")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for node in NODES {
                eprintln!("node {node} said:\n{}", self.output(node));
            }
        }
        // A folder that stays behind costs space, not the result.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begin.elapsed()
}

fn others(node: usize) -> (usize, usize) {
    (node % 3 + 1, (node + 1) % 3 + 1)
}

#[test]
fn a_change_is_made_on_any_node_and_survives_the_controller() {
    let mut cluster = Cluster::start("cluster-changes");
    for node in NODES {
        cluster.create_topic(node, &format!("made-on-{node}"));
    }
    for (node, made_on) in NODES.into_iter().flat_map(|node| NODES.map(|made_on| (node, made_on))) {
        let name = format!("made-on-{made_on}");
        wait_for("a topic that another node made", || cluster.has_topic(node, &name));
    }

    let controller = cluster.controller(1);
    let (next, other) = others(controller);
    cluster.kill(controller);
    let begin = Instant::now();
    cluster.create_topic(next, "after-the-controller");
    let took = begin.elapsed();
    assert!(took < NEXT_CHANGE, "the next change took {took:?}");
    wait_for("the topic on the other node", || cluster.has_topic(other, "after-the-controller"));
    let fenced =
        wait_for("the fencing of the dead node", || cluster.node_line(next, controller).contains("fenced"));
    assert!(took + fenced < FENCED, "the dead node was fenced after {took:?} + {fenced:?}");

    cluster.restart(controller);
    for node in NODES {
        wait_for("the node to be active again", || cluster.node_line(node, controller).contains("active"));
    }
    assert!(cluster.has_topic(controller, "after-the-controller"));
    let partitions = cluster.ask(controller, &["cluster", "partitions"]).expect("a list");
    assert!(!partitions.contains("nobody leads"), "{partitions}");
}

#[test]
fn a_stop_is_no_failure_whoever_is_left() {
    let mut cluster = Cluster::start("cluster-stop");
    let controller = cluster.controller(1);
    let (next, other) = others(controller);
    for (node, whose) in [(controller, "the controller"), (next, "one of two"), (other, "the last")] {
        let (status, took) = cluster.stop(node);
        assert!(status.success(), "{whose} ended with {status}:\n{}", cluster.output(node));
        assert!(took < Duration::from_secs(8), "{whose} took {took:?}");
        if whose == "the controller" {
            cluster.create_topic(next, "without-a-wait");
        }
    }
    NODES.iter().for_each(|node| cluster.spawn(*node));
    NODES.iter().for_each(|node| cluster.wait_until_ready(*node));
    NODES.iter().for_each(|node| assert!(cluster.has_topic(*node, "without-a-wait")));
}

#[test]
fn a_node_whose_disk_was_emptied_comes_back_and_votes() {
    let mut cluster = Cluster::start("cluster-wiped");
    let controller = cluster.controller(1);
    let (wiped, other) = others(controller);
    cluster.create_topic(controller, "before");
    cluster.kill(wiped);
    fs::remove_dir_all(cluster.folder.join(format!("node-{wiped}"))).expect("its data can be removed");
    cluster.restart(wiped);
    assert!(cluster.has_topic(wiped, "before"));

    wait_for("its new directory to vote", || {
        cluster.output(controller).contains("changed the members of the quorum")
    });
    // Of three voters two are left, and one of them is the node that came back: without its vote nothing is decided.
    cluster.kill(other);
    cluster.create_topic(controller, "with-its-vote");
    assert!(cluster.has_topic(wiped, "with-its-vote"));
}

#[test]
fn a_node_that_is_taken_out_leaves_the_quorum() {
    let mut cluster = Cluster::start("cluster-taken-out");
    let gone = cluster.controller(1);
    let (next, other) = others(gone);
    cluster.kill(gone);
    wait_for("the fencing of the dead node", || cluster.node_line(next, gone).contains("fenced"));
    let taken_out = cluster.ask(next, &["cluster", "decommission", &gone.to_string(), "--dead"]);
    assert!(taken_out.is_ok(), "{taken_out:?}");
    let members = |cluster: &Cluster| -> Vec<String> {
        let status = cluster.ask(other, &["cluster", "status"]).expect("a status");
        let voters = status.lines().find_map(|line| line.split("; voters ").nth(1)).unwrap_or_default();
        // Learners would follow the voters in the same line.
        let named =
            voters.split([',', ';']).map(|member| member.trim().split(" (").next().unwrap_or_default());
        named.map(str::to_owned).collect()
    };
    let left = [next.min(other), next.max(other)].map(|node| node.to_string());
    wait_for("its vote and its directory to go", || members(&cluster) == left);
    assert_eq!(cluster.node_line(next, gone), "", "nothing speaks of it any more");
    cluster.create_topic(other, "without-it");
}

#[test]
fn certificates_of_another_cluster_are_refused() {
    let mut cluster = Cluster::start("cluster-strangers");
    let controller = cluster.controller(1);
    let (stranger, other) = others(controller);
    let (foreign, _) = write_configuration("cluster-foreign");
    cluster.kill(stranger);
    let certificates = cluster.folder.join("certificates");
    for entry in fs::read_dir(&certificates).expect("certificates").map(|entry| entry.expect("an entry")) {
        let theirs = foreign.join("certificates").join(entry.file_name());
        fs::rename(entry.path(), entry.path().with_extension("ours")).expect("renamed");
        fs::copy(theirs, entry.path()).expect("copied");
    }
    fs::remove_dir_all(&foreign).expect("removed");

    // Its data directory belongs to the cluster that it was in.
    cluster.spawn(stranger);
    let mut child = cluster.processes[stranger - 1].take().expect("it was started");
    assert!(!child.wait().expect("a child can be waited for").success());
    let said = cluster.output(stranger);
    assert!(said.contains("but the node's certificate is of cluster"), "{said}");

    // With an empty one it starts, and nobody hears it.
    fs::remove_dir_all(cluster.folder.join(format!("node-{stranger}"))).expect("its data can be removed");
    let ready = cluster.output(stranger).matches("is ready.").count();
    cluster.spawn(stranger);
    wait_for("the stranger to knock", || {
        cluster.output(stranger).contains("cannot register yet")
            || cluster.output(stranger).contains("not in the quorum yet")
    });
    assert_eq!(cluster.output(stranger).matches("is ready.").count(), ready);
    assert!(cluster.node_line(controller, stranger).contains("fenced"));
    cluster.create_topic(other, "undisturbed");
    assert!(cluster.has_topic(controller, "undisturbed"));
}
