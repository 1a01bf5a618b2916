//! What a cluster's configuration has to be, and what is said of one that is not.

use std::path::{Path, PathBuf};

use ringmain_replication::NodeId;
use ringmain_replication::quic::certificates::{Authority, IssueOptions};

use super::super::{ConfigSources, NodeConfig, Voter, describe};
use crate::metadata::store::tests::TemporaryDirectory;

const CLUSTER_ID: &str = "3vQmXyJ0T5mJ0mG1o0cW3w";

/// The files of node 1 and a configuration that names them relative to itself.
fn directory_with_certificates(name: &str) -> TemporaryDirectory {
    let directory = TemporaryDirectory::new(name);
    let certificates = directory.path().join("certificates");
    let (authority, _) = Authority::create(&certificates, CLUSTER_ID, 10).expect("made");
    authority.issue(&IssueOptions { node: NodeId(1), hosts: Vec::new(), valid_days: 10 }).expect("issued");
    directory
}

const CERTIFICATES: &str = "ca_certificate = 'certificates/cluster.crt'\n\
                            certificate = 'certificates/node-1.crt'\n\
                            key = 'certificates/node-1.key'\n";

fn load(directory: &Path, text: &str) -> Result<NodeConfig, String> {
    let file = directory.join("node.toml");
    std::fs::write(&file, text).expect("written");
    let shown = format!("{}/", directory.display());
    let sources = ConfigSources { file: Some(file), ..ConfigSources::default() };
    NodeConfig::load(&sources).map_err(|problems| problems.to_string().replace(&shown, ""))
}

#[test]
fn a_node_is_alone_by_default() {
    assert_eq!(NodeConfig::default().cluster, None);
    assert_eq!(NodeConfig::default().topics.default_replication_factor, 1);
}

#[test]
fn a_cluster_of_three_is_read() {
    let directory = directory_with_certificates("cluster-three");
    let text = format!(
        "shards = 2\n[cluster]\nlisten = '0.0.0.0:9192'\nadvertised_host = 'a.example'\n\
         voters = ['1@a.example:9192', '2@b.example:9192', '3@[::1]:9192']\n{CERTIFICATES}\
         session_timeout_ms = '2s'\n"
    );
    let config = load(directory.path(), &text).expect("valid");
    let cluster = config.cluster.as_ref().expect("in a cluster");
    assert_eq!(cluster.listen.to_string(), "0.0.0.0:9192");
    assert_eq!(cluster.advertised_host(), "a.example");
    assert_eq!(cluster.voters.len(), 3);
    assert_eq!(cluster.voters[2].to_string(), "3@[::1]:9192");
    assert_eq!(cluster.certificate, directory.path().join("certificates/node-1.crt"));
    assert_eq!((cluster.heartbeat_ms, cluster.session_timeout_ms), (200, 2000));
    assert_eq!((cluster.replica_lag_ms, cluster.replication_fetch_bytes_max), (10_000, 8 << 20));
    // As many replicas as voters, up to three, and clients are told so.
    assert_eq!(config.topics.default_replication_factor, 3);
    let facts = describe::NodeFacts { listener: String::new(), advertised_listener: String::new() };
    let described = describe::describe_node(&config, &facts, &config.topic_defaults.layers());
    let factor = described.iter().find(|config| config.name == "default.replication.factor");
    assert_eq!(factor.and_then(|config| config.value.as_deref()), Some("3"));
}

#[test]
fn every_problem_says_what_to_do() {
    let directory = directory_with_certificates("cluster-problems");
    let problems = load(
        directory.path(),
        "shards = 4\nnetwork.listen = '127.0.0.1:0'\n[cluster]\nlisten = '0.0.0.0:65533'\n\
         voters = ['1@a:9192', '2@b:9192', '2@c:9192', '3@0.0.0.0:9192', '4@b:9192']\n\
         ca_certificate = 'certificates/cluster.crt'\ncertificate = 'certificates/node-7.crt'\n\
         heartbeat_ms = '1s'\n",
    )
    .expect_err("invalid");
    let expected = [
        "node.toml:4: cluster.listen: 0.0.0.0:65533 means every address of this machine; set cluster.advertised_host",
        "node.toml:4: cluster.listen: port 65533 leaves no room for the ports of 4 shards, which follow it; choose one \
         up to 65531",
        "node.toml:2: network.listen: the clients of a cluster are told each node's port",
        "node.toml:5: cluster.voters: node 2 is listed twice (2@b:9192 and 2@c:9192); remove one",
        "node.toml:5: cluster.voters: 3@0.0.0.0:9192 cannot be dialled",
        "node.toml:5: cluster.voters: 2@b:9192 and 4@b:9192 are at the same address; correct one",
        "node.toml:5: cluster.voters: it names this node as 1@a:9192, but cluster.listen has port 65533",
        "node.toml:7: cluster.certificate: cannot read certificates/node-7.crt: No such file or directory",
        "cluster.key: a node of a cluster needs it; 'ringmain cert node' writes it",
        "cluster.session_timeout_ms: 1000 ms is shorter than 3 heartbeats of 1000 ms",
    ];
    for part in expected {
        assert!(problems.contains(part), "no '{part}' in:\n{problems}");
    }
    assert_eq!(problems.lines().count(), expected.len(), "{problems}");
}

#[test]
fn a_certificate_of_another_node_is_refused() {
    let directory = directory_with_certificates("cluster-other-node");
    let text = format!(
        "node_id = 2\n[cluster]\nlisten = '127.0.0.1:9192'\nvoters = ['1@127.0.0.1:9092']\n{CERTIFICATES}"
    );
    let problem = load(directory.path(), &text).expect_err("invalid");
    assert!(
        problem.contains("node-1.crt is the certificate of node 1, and this is node 2; use"),
        "{problem}"
    );
    std::fs::write(directory.path().join("certificates/node-1.crt"), "nothing").expect("written");
    let problem = load(directory.path(), &text).expect_err("invalid");
    assert!(problem.contains("cluster.certificate: certificates/node-1.crt: no "), "{problem}");
}

#[test]
fn nodes_of_one_host_keep_their_ports_apart() {
    let directory = directory_with_certificates("cluster-ports");
    let with_second_at = |port: u16| {
        let voters = format!("voters = ['1@127.0.0.1:9192', '2@127.0.0.1:{port}']");
        load(
            directory.path(),
            &format!("shards = 2\n[cluster]\nlisten = '127.0.0.1:9192'\n{voters}\n{CERTIFICATES}"),
        )
    };
    with_second_at(9195).expect("valid");
    let problem = with_second_at(9194).expect_err("invalid");
    assert!(problem.contains("take the ports 9193 to 9194, and node 2 is at 127.0.0.1:9194"), "{problem}");
}

#[test]
fn parts_of_a_cluster_without_an_address_are_refused() {
    let directory = TemporaryDirectory::new("cluster-alone");
    let problem = load(directory.path(), "cluster.voters = ['1@a:9192']\n").expect_err("invalid");
    assert!(problem.contains("cluster.voters: it is set, but cluster.listen is not"), "{problem}");
}

#[test]
fn what_all_nodes_must_agree_on_is_not_taken_from_one_file() {
    let directory = directory_with_certificates("cluster-min-in-sync");
    let text = format!(
        "[cluster]\nlisten = '127.0.0.1:9192'\nvoters = ['1@127.0.0.1:9192']\n{CERTIFICATES}\
         [topic_defaults]\nmin.insync.replicas = 2\n"
    );
    let problem = load(directory.path(), &text).expect_err("invalid");
    assert!(problem.starts_with("topic_defaults: min.insync.replicas has no effect"), "{problem}");
}

/// The files that the documentation shows can be used as they are, on hosts that have the certificates.
#[test]
fn the_examples_are_valid() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/three-hosts");
    let directory = TemporaryDirectory::new("cluster-examples");
    let (authority, _) = Authority::create(directory.path(), CLUSTER_ID, 10).expect("made");
    for node in 1..=3 {
        authority
            .issue(&IssueOptions { node: NodeId(node), hosts: Vec::new(), valid_days: 10 })
            .expect("issued");
        let text = std::fs::read_to_string(examples.join(format!("node-{node}.toml"))).expect("there");
        let config = load(directory.path(), &text).expect("valid");
        assert_eq!((config.node_id, config.topics.default_replication_factor), (node, 3));
    }
}

#[test]
fn voters_are_written_as_they_are_read() {
    for text in ["1@a:1", "0@127.0.0.1:9192", "7@[::1]:65535"] {
        assert_eq!(Voter::parse(text).expect(text).to_string(), text);
    }
    for text in ["", "a:1", "x@a:1", "-1@a:1", "1@a", "1@:1", "1@::1:9"] {
        assert!(Voter::parse(text).is_err(), "{text}");
    }
    assert_eq!(Voter::parse_list("").expect("empty"), []);
    assert_eq!(Voter::parse_list("1@a:1, 2@b:2").expect("two").len(), 2);
}

#[test]
fn a_path_of_a_file_is_relative_to_it_and_one_of_a_flag_is_not() {
    let directory = TemporaryDirectory::new("cluster-paths");
    let config = load(directory.path(), "data_dir = 'data'\n").expect("valid");
    assert_eq!(config.data_dir, directory.path().join("data"));
    let flags = vec![("data_dir".to_owned(), "data".to_owned(), "--data-dir".to_owned())];
    let config = NodeConfig::load(&ConfigSources { flags, ..ConfigSources::default() }).expect("valid");
    assert_eq!(config.data_dir, PathBuf::from("data"));
}
