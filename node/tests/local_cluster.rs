//! `dev --nodes`: three processes from one command, and the files that it writes for them.

mod support;

use std::fs;

use support::local_cluster::{LocalCluster, ports_in_a_row, ringmain, runs, scratch, send, until};

#[test]
fn no_node_outlives_the_command() {
    let data_dir = scratch("killed");
    let mut cluster = LocalCluster::start(&data_dir, 3, ports_in_a_row(3));
    let pids = cluster.pids();
    send("KILL", &pids[2]);
    let told = cluster.line_with("node 3 ended");
    assert!(told.contains("2 go on"), "{told}");
    assert!(runs(&pids[0]) && runs(&pids[1]));
    cluster.process.kill().expect("a child can be killed");
    until("the nodes end with the command", || pids.iter().all(|pid| !runs(pid)));
    fs::remove_dir_all(data_dir).expect("the data can be removed");
}

#[test]
fn a_stop_ends_all_nodes_and_a_second_start_is_the_same_cluster() {
    let data_dir = scratch("again");
    let first_port = ports_in_a_row(3);
    let mut cluster = LocalCluster::start(&data_dir, 3, first_port);
    let pids = cluster.pids();
    let lines = data_dir.join("lines");
    fs::write(&lines, (0..5000).map(|number| format!("line {number}\n")).collect::<String>())
        .expect("written");
    let path = lines.to_str().expect("the tests' paths are UTF-8");
    cluster.printed(&["topic", "create", "kept", "--replication-factor", "3"]);
    cluster.printed(&["topic", "produce", "kept", path, "--quiet"]);
    assert_eq!(cluster.terminate().code(), Some(0));
    assert!(pids.iter().all(|pid| !runs(pid)));
    let certificate = data_dir.join("cluster/certificates/cluster.crt");
    let before = fs::read(&certificate).expect("written");

    let mut cluster = LocalCluster::start(&data_dir, 3, first_port);
    cluster.pids();
    assert_eq!(fs::read(&certificate).expect("kept"), before);
    let read = cluster.printed(&["topic", "consume", "kept", "--until-end"]);
    assert!(read == fs::read_to_string(&lines).expect("there"), "{} bytes came back", read.len());
    cluster.printed(&["cluster", "status", "--wait", "60"]);
    assert_eq!(cluster.terminate().code(), Some(0));
    fs::remove_dir_all(data_dir).expect("the data can be removed");
}

#[test]
fn a_node_that_cannot_start_stops_the_others_and_says_why() {
    let data_dir = scratch("taken");
    let first_port = ports_in_a_row(3);
    let _taken = std::net::TcpListener::bind(("127.0.0.1", first_port + 1)).expect("it was free");
    let mut cluster = LocalCluster::start(&data_dir, 3, first_port);
    cluster.line_with("node 2 | ringmain: ");
    cluster.line_with("node 2 ended before the cluster was ready");
    let status = cluster.process.wait().expect("our child");
    assert_eq!(status.code(), Some(1));
    fs::remove_dir_all(data_dir).expect("the data can be removed");
}

#[test]
fn files_are_written_for_starts_by_hand() {
    let directory = scratch("files");
    let first_port = ports_in_a_row(3);
    let listen = format!("127.0.0.1:{first_port}");
    let written = ringmain()
        .args([
            "dev",
            "--nodes",
            "3",
            "--listen",
            &listen,
            "--set",
            "topics.default_partitions=7",
            "--write-config",
        ])
        .arg(&directory)
        .output()
        .expect("the binary runs");
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let told = String::from_utf8(written.stdout).expect("text");
    for node in 1..=3 {
        let file = directory.join(format!("node-{node}.toml"));
        assert!(told.contains(&format!("ringmain start --config {}", file.display())), "{told}");
        let checked = ringmain().args(["start", "--check", "--config"]).arg(&file).output().expect("runs");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let text = fs::read_to_string(&file).expect("written");
        assert!(text.contains("topics.default_partitions = \"7\""), "{text}");
        assert!(
            text.contains(&format!("network.listen = \"127.0.0.1:{}\"", first_port + node - 1)),
            "{text}"
        );
    }
    assert!(!directory.join("node-1").exists(), "nothing was started");
    let refused = ringmain().args(["dev", "--nodes", "3", "--set", "node_id=4"]).output().expect("runs");
    let problem = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(problem.contains("node_id (--set node_id) is different for each node"), "{problem}");
    fs::remove_dir_all(directory).expect("the files can be removed");
}
