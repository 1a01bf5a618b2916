//! Who is heard.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use ringmain_quorum::{NodeId, QuorumOptions, QuorumStore, Transport};

use crate::support::{Cluster, ClusterCards, TestDirectory, runtime};

/// The configured voters of another cluster with the same addresses find no place in this one.
#[test]
fn a_node_of_another_authority_is_refused_and_changes_nothing() {
    runtime().block_on(async {
        let mut cluster = Cluster::plan(3, 4);
        let directory = TestDirectory::new();
        let strangers = ClusterCards::new(directory.path(), "test-cluster");
        let stranger = cluster.plans.get_mut(&4).expect("planned");
        stranger.certificates = strangers.of_node(NodeId(4));
        cluster.start_all();
        assert!(cluster.propose(1).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let leader = cluster.leader().await;
        assert_eq!(cluster.member(leader).quorum.status().members.len(), 3);
        assert_eq!(cluster.member(4).quorum.status().members.len(), 0);
    });
}

#[test]
fn a_node_with_the_certificate_of_another_is_refused() {
    runtime().block_on(async {
        let mut cluster = Cluster::plan(3, 4);
        let as_node_3 = Arc::clone(&cluster.plans[&3].certificates);
        cluster.plans.get_mut(&4).expect("planned").certificates = as_node_3;
        cluster.start_all();
        assert!(cluster.propose(1).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let leader = cluster.leader().await;
        assert_eq!(cluster.member(leader).quorum.status().members.len(), 3, "node 4 came in as node 3");
    });
}

#[test]
fn a_node_of_a_cluster_with_another_id_is_refused() {
    runtime().block_on(async {
        let mut cluster = Cluster::plan(3, 4);
        cluster.plans.get_mut(&4).expect("planned").cluster_id = "another-cluster".to_owned();
        cluster.start_all();
        assert!(cluster.propose(1).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let leader = cluster.leader().await;
        assert_eq!(cluster.member(leader).quorum.status().members.len(), 3);
    });
}

#[test]
fn random_bytes_on_the_port_and_on_a_stream_change_nothing() {
    runtime().block_on(async {
        let cluster = Cluster::start(3).await;
        let noise = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for length in 0..1200_usize {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .collect();
            noise.send_to(&bytes, ("127.0.0.1", cluster.plans[&1].port)).expect("sends");
        }
        // With a good certificate, and nonsense on the streams.
        let limits = Arc::new(quinn::TransportConfig::default());
        let certificates = &cluster.plans[&2].certificates;
        let client = certificates.client_config(NodeId(1), limits).expect("a configuration");
        let endpoint =
            quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("an endpoint");
        let to = std::net::SocketAddr::from(([127, 0, 0, 1], cluster.plans[&1].port));
        let name = certificates.server_name(NodeId(1));
        let connecting = endpoint.connect_with(client, to, &name).expect("dials");
        let connection = connecting.await.expect("connects");
        for length in [0_u32, 1, 100, u32::MAX] {
            let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
            send.write_all(&length.to_be_bytes()).await.expect("writes");
            // The other side may have given the stream up already.
            let _ = send.write_all(&[0x55; 100]).await;
            let _ = send.finish();
            let answer = receive.read_to_end(1 << 16).await.unwrap_or_default();
            assert!(answer.len() < 5 || answer[4] == 1, "nonsense was answered with success: {answer:?}");
        }
        for id in 1..=5 {
            assert!(cluster.propose(id).await);
        }
        assert_eq!(cluster.settled().await, [1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_lone_node_needs_no_network() {
    runtime().block_on(async {
        let directory = TestDirectory::new();
        let path = directory.path().join("lone.redb");
        let plans = Cluster::plan(1, 1).plans;
        let plan = &plans[&1];
        for round in 0..3_u64 {
            let store = QuorumStore::open(&path, "lone", NodeId(1)).expect("opens");
            let options = QuorumOptions {
                cluster_id: "lone".to_owned(),
                address: plan.address.clone(),
                voters: plan.voters.clone(),
                timing: plan.timing,
                snapshot: plan.snapshot,
            };
            let ledger = Arc::<std::sync::Mutex<crate::support::Ledger>>::default();
            let no_network: Option<Transport> = None;
            let (quorum, _requests) =
                ringmain_quorum::Quorum::start(options, store, Box::new(Arc::clone(&ledger)), no_network)
                    .await
                    .expect("starts");
            let view = quorum.leader().wait_for(|view| view.leadership.is_some()).await.expect("leads");
            assert_eq!(ledger.lock().expect("lock").proposals(), (0..round).collect::<Vec<_>>());
            let leadership = view.leadership.expect("asked for");
            let proposal = crate::support::proposal(round);
            quorum.propose(leadership, proposal, crate::support::LONG).await.expect("commits");
            quorum.stop().await;
        }
    });
}
