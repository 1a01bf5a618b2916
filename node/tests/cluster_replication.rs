//! Three processes replicate: logs are equal byte by byte, nodes that were away catch up, killed leaders are replaced and
//! nothing acknowledged is lost, and whoever catches up holds up nobody.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::frames;
use support::ports::free_address;
use support::whole_machine;

/// Far longer than a change of leaders takes, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three nodes, started by hand from files that `dev` wrote.
struct Nodes {
    directory: PathBuf,
    first_port: u16,
    processes: [Option<Child>; 3],
}

/// One row of `ringmain topic describe`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    leader: String,
    in_sync: Vec<String>,
    end: u64,
}

fn ringmain() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command.stdin(Stdio::null());
    command
}

impl Nodes {
    fn start(name: &str) -> Self {
        let name = format!("replication-{}-{name}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // Of an earlier process with the same number.
        let _ = fs::remove_dir_all(&directory);
        let first_port = three_ports();
        let written = ringmain()
            .args(["dev", "--nodes", "3", "--shards", "1", "--admin", "off"])
            .args(["--listen", &format!("127.0.0.1:{first_port}"), "--write-config"])
            .arg(&directory)
            .arg("--data-dir")
            .arg(directory.join("data"))
            .args(["--set", "cluster.replica_lag_ms=3000"])
            .output()
            .expect("the binary runs");
        assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
        let mut nodes = Self { directory, first_port, processes: [None, None, None] };
        (1..=3).for_each(|node| nodes.spawn(node));
        (1..=3).for_each(|node| nodes.wait_until_ready(node));
        nodes
    }

    fn output(&self, node: usize) -> PathBuf {
        self.directory.join(format!("node-{node}.txt"))
    }

    fn spawn(&mut self, node: usize) {
        // A new file for each start: what is waited for must be of this one.
        let output = File::create(self.output(node)).expect("a file for what a node says");
        let errors = File::options()
            .create(true)
            .append(true)
            .open(self.directory.join(format!("node-{node}.log")))
            .expect("a file for what a node reports");
        let child = ringmain()
            .args(["start", "--config"])
            .arg(self.directory.join(format!("node-{node}.toml")))
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("the binary runs");
        self.processes[node - 1] = Some(child);
    }

    fn wait_until_ready(&self, node: usize) {
        until(&format!("node {node} is ready"), || {
            fs::read_to_string(self.output(node)).is_ok_and(|said| said.contains("is ready"))
        });
    }

    fn restart(&mut self, node: usize) {
        self.spawn(node);
        self.wait_until_ready(node);
    }

    /// kill -9.
    fn kill(&mut self, node: usize) {
        let mut child = self.processes[node - 1].take().expect("the node runs");
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    }

    /// SIGTERM to all, and their ends.
    fn stop(&mut self) {
        let children: Vec<Child> = self.processes.iter_mut().filter_map(Option::take).collect();
        for child in &children {
            let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            assert!(sent.expect("kill can be run").success());
        }
        for mut child in children {
            let status = child.wait().expect("a child can be waited for");
            assert_eq!(status.code(), Some(0), "a node that was told to stop");
        }
    }

    fn brokers(&self) -> String {
        let address = |node| format!("127.0.0.1:{}", self.first_port + node);
        [0, 1, 2].map(address).join(",")
    }

    /// Runs a tool with some input; what it said.
    fn run(&self, words: &[&str], input: &[u8]) -> Result<String, String> {
        let mut child = ringmain()
            .args(words)
            .args(["--brokers", &self.brokers()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdin = child.stdin.take().expect("asked for");
        let input = input.to_vec();
        // It may end before it has read all: then its status says why.
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let output = child.wait_with_output().expect("a child can be waited for");
        writer.join().expect("the writer ends");
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).expect("text"))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn create(&self, topic: &str, partitions: &str) {
        let words = ["topic", "create", topic, "--partitions", partitions, "--replication-factor", "3"];
        until(&format!("{topic} is made"), || self.run(&words, b"").is_ok());
        until("all replicas are in sync", || self.rows(topic).values().all(|row| row.in_sync.len() == 3));
    }

    /// Produces lines with acks=all; every one is acknowledged when it returns.
    fn produce(&self, topic: &str, lines: &[String]) {
        let mut input = lines.join("\n");
        input.push('\n');
        self.run(&["topic", "produce", topic], input.as_bytes()).expect("all lines are acknowledged");
    }

    fn consume(&self, topic: &str, count: usize) -> Vec<String> {
        let count_words = count.to_string();
        let words = ["topic", "consume", topic, "--from", "earliest", "--count", &count_words];
        let said = self.run(&words, b"").expect("the topic can be read");
        said.lines().map(str::to_owned).collect()
    }

    /// The partitions as the cluster tells them; empty while nobody tells.
    fn rows(&self, topic: &str) -> BTreeMap<u32, Row> {
        let said = self.run(&["topic", "describe", topic], b"").unwrap_or_default();
        let rows = said.lines().skip_while(|line| !line.starts_with("PARTITION")).skip(1);
        let row = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [partition, leader, _, in_sync, _, end] = words[..] else { return None };
            let in_sync = in_sync.split(',').map(str::to_owned).collect();
            Some((
                partition.parse().ok()?,
                Row { leader: leader.to_owned(), in_sync, end: end.parse().ok()? },
            ))
        };
        rows.map_while(row).collect()
    }

    fn leader(&self, topic: &str, partition: u32) -> usize {
        let mut leader = None;
        until("there is a leader", || {
            leader = self.rows(topic).get(&partition).and_then(|row| row.leader.parse().ok());
            leader.is_some()
        });
        leader.expect("it was just found")
    }

    fn connection(&self, node: usize) -> frames::Connection {
        let port = self.first_port + u16::try_from(node - 1).expect("a small number");
        frames::Connection::open(([127, 0, 0, 1], port).into()).expect("the node accepts clients")
    }

    fn delete(&self, topic: &str) {
        self.run(&["topic", "delete", topic], b"").expect("the topic is deleted");
    }

    /// Whether a node has files of a partition.
    fn keeps(&self, node: usize, folder: &str) -> bool {
        self.directory.join(format!("data/node-{node}/{folder}")).exists()
    }

    fn wait_in_sync(&self, topic: &str) {
        until("all replicas are in sync", || {
            let rows = self.rows(topic);
            !rows.is_empty() && rows.values().all(|row| row.in_sync.len() == 3)
        });
    }

    /// The bytes of a partition's segments on one node, in order.
    fn log(&self, node: usize, topic: &str, partition: u32) -> Vec<u8> {
        let folder = self.directory.join(format!("data/node-{node}/{topic}-{partition}"));
        let mut segments: Vec<PathBuf> = fs::read_dir(&folder)
            .expect("the node keeps a replica")
            .map(|entry| entry.expect("the folder can be read").path())
            .filter(|path| path.extension().is_some_and(|it| it == "log"))
            .collect();
        segments.sort();
        segments.iter().flat_map(|path| fs::read(path).expect("a segment can be read")).collect()
    }

    /// Stops all nodes, so that all is in the segments, and compares the logs of a partition.
    fn assert_logs_are_equal(&mut self, topic: &str) {
        let rows = self.rows(topic);
        self.stop();
        for (partition, row) in rows {
            let logs = [1, 2, 3].map(|node| self.log(node, topic, partition));
            assert_eq!(logs[0].is_empty(), row.end == 0, "{topic}-{partition} has its records");
            assert!(
                logs[0] == logs[1] && logs[1] == logs[2],
                "{topic}-{partition} differs: {:?}",
                logs.map(|it| it.len())
            );
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
        if !std::thread::panicking() {
            // A folder that stays behind costs space, not the result.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// The first of three ports that follow each other and are free.
fn three_ports() -> u16 {
    loop {
        let [one, two, three] = [(); 3].map(|()| free_address().port());
        if two == one + 1 && three == two + 1 {
            return one;
        }
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn lines(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name} {number} {}", "x".repeat(number % 700))).collect()
}

#[test]
fn a_follower_that_was_killed_catches_up_and_is_in_sync_again() {
    let _alone = whole_machine();
    let mut nodes = Nodes::start("follower");
    nodes.create("away", "3");
    nodes.produce("away", &lines("before", 5_000));
    let leader = nodes.leader("away", 0);
    let follower = leader % 3 + 1;
    nodes.kill(follower);
    nodes.produce("away", &lines("meanwhile", 30_000));
    until("the killed follower leaves the in-sync sets", || {
        let rows = nodes.rows("away");
        !rows.is_empty() && rows.values().all(|row| row.in_sync.len() == 2)
    });
    nodes.restart(follower);
    nodes.wait_in_sync("away");
    nodes.produce("away", &lines("after", 1_000));
    let ends: u64 = nodes.rows("away").values().map(|row| row.end).sum();
    assert_eq!(ends, 36_000);
    nodes.assert_logs_are_equal("away");
}

#[test]
fn a_killed_leader_is_replaced_and_nothing_is_lost() {
    let _alone = whole_machine();
    let mut nodes = Nodes::start("leader");
    nodes.create("kept", "1");
    let mut acknowledged = lines("first", 3_000);
    nodes.produce("kept", &acknowledged);
    for kill in 0..2 {
        let leader = nodes.leader("kept", 0);
        nodes.kill(leader);
        // The tool retries until somebody else leads.
        let more = lines(&format!("kill {kill}"), 3_000);
        nodes.produce("kept", &more);
        acknowledged.extend(more);
        let next = nodes.leader("kept", 0);
        assert_ne!(next, leader, "a killed node leads nothing");
        nodes.restart(leader);
        nodes.wait_in_sync("kept");
    }
    assert_eq!(nodes.consume("kept", acknowledged.len()), acknowledged, "each once, in order");
    nodes.assert_logs_are_equal("kept");
}

#[test]
fn deleted_records_are_gone_from_every_replica() {
    let _alone = whole_machine();
    let mut nodes = Nodes::start("trimmed");
    nodes.create("trimmed", "1");
    nodes.produce("trimmed", &lines("first", 500));
    let leader = nodes.leader("trimmed", 0);
    assert_eq!(frames::delete_records(&mut nodes.connection(leader), "trimmed", 300), (0, 300));
    // The answer was of all replicas: whoever leads next begins there, too.
    nodes.kill(leader);
    until("another node leads", || nodes.leader("trimmed", 0) != leader);
    let next = nodes.leader("trimmed", 0);
    assert_eq!(frames::first_offset(&mut nodes.connection(next), "trimmed"), (0, 300));
    // One that is down is not waited for, and deletes them when it comes back.
    until("the killed node is not in sync", || nodes.rows("trimmed")[&0].in_sync.len() == 2);
    let at = nodes.leader("trimmed", 0);
    assert_eq!(frames::delete_records(&mut nodes.connection(at), "trimmed", 450), (0, 450));
    nodes.restart(leader);
    nodes.wait_in_sync("trimmed");
    let at = nodes.leader("trimmed", 0);
    assert_eq!(frames::delete_records(&mut nodes.connection(at), "trimmed", 450), (0, 450));
    assert_eq!(frames::first_offset(&mut nodes.connection(at), "trimmed"), (0, 450));
}

#[test]
fn topics_that_were_deleted_meanwhile_are_gone_from_a_node_that_comes_back() {
    let _alone = whole_machine();
    let mut nodes = Nodes::start("deleted");
    for (topic, partitions) in [("gone", "2"), ("again", "1"), ("kept", "1")] {
        nodes.create(topic, partitions);
        nodes.produce(topic, &lines(topic, 200));
    }
    let away = nodes.leader("kept", 0) % 3 + 1;
    nodes.kill(away);
    nodes.delete("gone");
    nodes.delete("again");
    let make = ["topic", "create", "again", "--partitions", "1", "--replication-factor", "3"];
    until("another topic of the same name is made", || nodes.run(&make, b"").is_ok());
    nodes.produce("again", &lines("second", 100));
    assert!(nodes.keeps(away, "gone-0") && nodes.keeps(away, "again-0"));
    nodes.restart(away);
    nodes.wait_in_sync("again");
    nodes.wait_in_sync("kept");
    until("its files are gone", || (0..2).all(|partition| !nodes.keeps(away, &format!("gone-{partition}"))));
    assert_eq!(nodes.consume("again", 100), lines("second", 100));

    // A disk that was emptied meanwhile gets what there is, and nothing of what was deleted.
    nodes.kill(away);
    nodes.delete("again");
    fs::remove_dir_all(nodes.directory.join(format!("data/node-{away}"))).expect("its data can be removed");
    nodes.restart(away);
    nodes.wait_in_sync("kept");
    assert!(nodes.keeps(away, "kept-0") && !nodes.keeps(away, "again-0"));
    nodes.assert_logs_are_equal("kept");
}

#[test]
fn whoever_catches_up_holds_up_nobody() {
    let _alone = whole_machine();
    let mut nodes = Nodes::start("slow");
    nodes.create("big", "1");
    nodes.create("quick", "1");
    let leader = nodes.leader("big", 0);
    let follower = leader % 3 + 1;
    nodes.kill(follower);
    let chunk = lines("bulk", 50_000);
    for _ in 0..4 {
        nodes.produce("big", &chunk);
    }
    nodes.spawn(follower);
    // While it catches up, everything else is acknowledged as ever.
    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        let begin = Instant::now();
        nodes.produce("quick", &lines(&format!("quick {round}"), 10));
        slowest = slowest.max(begin.elapsed());
    }
    assert!(
        slowest < Duration::from_secs(5),
        "one request took {slowest:?} beside a follower that catches up"
    );
    nodes.wait_in_sync("big");
    nodes.wait_in_sync("quick");
    nodes.assert_logs_are_equal("big");
}
