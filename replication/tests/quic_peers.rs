//! Who gets a connection and who does not, and how the end of a peer is noticed: strangers, noise, replays, deaths.
#![expect(clippy::unwrap_used, reason = "a failed test says enough by its line")]

mod quic_support;

use std::{
    cell::Cell,
    io::{BufRead, BufReader},
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use quic_support::{
    CLUSTER, Cluster, Pair, Random, endpoint, eventually, everybody, free_port, identity, in_executor, next,
    relay::{Faults, Relay},
};
use ringmain_replication::{
    NodeId,
    quic::{
        ConnectError, Connection, EndCode, Endpoint, PeerGone, Redial, TransportOptions,
        certificates::{MemberCheck, NodeIdentity},
    },
};
use ringmain_storage::disk::direct::{Ring, sleep, spawn};

/// Where another process of this test finds its certificates, and whom it has to dial.
const PEER_DIRECTORY: &str = "RINGMAIN_TEST_PEER_DIRECTORY";
const PEER_DIALS: &str = "RINGMAIN_TEST_PEER_DIALS";
const PEER_LISTENS: &str = "RINGMAIN_TEST_PEER_LISTENS";
const PEER_IDLE_MS: &str = "RINGMAIN_TEST_PEER_IDLE_MS";

/// Answers each frame of each session of each connection with itself, for as long as there are any.
fn serve_echo(endpoint: &Endpoint) {
    let endpoint = endpoint.clone();
    spawn(async move {
        while let Some(connection) = endpoint.accept().await {
            spawn(async move {
                while let Ok(mut session) = connection.accept_session().await {
                    spawn(async move {
                        while let Ok(Some(frame)) = session.receiver.receive().await {
                            if session.sender.send([frame]).await.is_err() {
                                break;
                            }
                        }
                    });
                }
            });
        }
    });
}

async fn echo_works(connection: &Connection) {
    let mut session = connection.open_session().await.unwrap();
    let frame = quic_support::content(5, 100_000);
    session.sender.send([frame.clone()]).await.unwrap();
    assert!(next(&mut session).await == frame);
}

async fn refused(dialling: &Endpoint, peer: i32, address: SocketAddr) -> String {
    match dialling.connect(NodeId(peer), address).await {
        Err(ConnectError::Peer { reason: reason @ PeerGone::Failed(_), .. }) => reason.to_string(),
        Err(other) => panic!("refused, but not for its certificate: {other}"),
        Ok(_) => panic!("a stranger was let in"),
    }
}

#[test]
fn strangers_change_nothing() {
    let cluster = Cluster::new(CLUSTER, 3);
    let twin = Cluster::new(CLUSTER, 2);
    let other = Cluster::new("otherotherotherother0w", 2);
    in_executor(|ring| async move {
        let listening = endpoint(&ring, cluster.identity(1));
        let address = listening.local_address();
        serve_echo(&listening);
        let node = endpoint(&ring, cluster.identity(2));
        let connection = node.connect(NodeId(1), address).await.unwrap();
        echo_works(&connection).await;
        let before = listening.counters();

        // Another authority with the same names, and another cluster: both sides would refuse; here the dialling one does.
        for stranger in [twin.identity(2), other.identity(2)] {
            let stranger = endpoint(&ring, stranger);
            let reason = refused(&stranger, 1, address).await;
            // Of an authority of the same name it is the signature that does not fit.
            assert!(reason.contains("UnknownIssuer") || reason.contains("BadSignature"), "{reason}");
            stranger.stop().await;
        }
        // The right cluster, but not the node that was dialled.
        let reason = refused(&node, 3, address).await;
        assert!(reason.contains("OtherNode"), "{reason}");

        echo_works(&connection).await;
        assert_eq!(connection.gone(), None);
        let after = listening.counters();
        assert_eq!(after.connections_established, before.connections_established);
        eventually("the refusals are counted", || listening.counters().connections_refused == 3).await;
        drop(connection);
        node.stop().await;
        listening.stop().await;
    });
}

/// A node is let in from the moment that it is a member, not before, and learns that it was refused.
#[test]
fn only_members_are_let_in() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let admitted = Arc::new(AtomicBool::new(false));
        let asked = admitted.clone();
        let is_member: MemberCheck = Arc::new(move |node| node == NodeId(2) && asked.load(SeqCst));
        let options = TransportOptions::default();
        let listening = Endpoint::bind(&ring, free_port(), cluster.identity(1), is_member, options).unwrap();
        serve_echo(&listening);
        let node = endpoint(&ring, cluster.identity(2));
        refused(&node, 1, listening.local_address()).await;
        assert_eq!(listening.counters().connections_established, 0);

        admitted.store(true, SeqCst);
        let connection = node.connect(NodeId(1), listening.local_address()).await.unwrap();
        echo_works(&connection).await;
        drop(connection);
        node.stop().await;
        listening.stop().await;
    });
}

/// More at once than are answered without a proof of where they stand: all get through, each after one more round.
#[test]
fn many_dial_at_once() {
    const CONNECTIONS: u64 = 100;
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let listening = endpoint(&ring, cluster.identity(1));
        let address = listening.local_address();
        serve_echo(&listening);
        let node = endpoint(&ring, cluster.identity(2));
        let done = Rc::new(Cell::new(0));
        for _ in 0..CONNECTIONS {
            let (node, done) = (node.clone(), done.clone());
            spawn(async move {
                let connection = node.connect(NodeId(1), address).await.unwrap();
                echo_works(&connection).await;
                done.set(done.get() + 1);
            });
        }
        eventually("all have got through", || done.get() == CONNECTIONS).await;
        let ended = || listening.counters().connections_ended;
        eventually("connections that nobody holds end", || ended() == CONNECTIONS).await;
        assert_eq!(listening.counters().connections_established, CONNECTIONS);
        node.stop().await;
        listening.stop().await;
    });
}

#[test]
fn noise_on_the_port_is_ignored() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let pair_listening = endpoint(&ring, cluster.identity(1));
        serve_echo(&pair_listening);
        let address = pair_listening.local_address();
        let node = endpoint(&ring, cluster.identity(2));
        let connection = node.connect(NodeId(1), address).await.unwrap();
        let noise = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut random = Random(99);
        for round in 0..3000_u32 {
            let length = random.below(1600) as usize;
            let mut bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            // Some begin as first packets of a connection do: long header, version 1, ids of a good length.
            if round % 3 == 0 && length > 30 {
                bytes[..6].copy_from_slice(&[0xc0 | random.below(16) as u8, 0, 0, 0, 1, 8]);
                bytes[14] = 8;
                if round % 2 == 0 {
                    bytes.resize(1250, 7);
                }
            }
            noise.send_to(&bytes, address).unwrap();
            if round % 100 == 0 {
                echo_works(&connection).await;
            }
        }
        echo_works(&connection).await;
        let counters = pair_listening.counters();
        assert!(counters.datagrams_ignored > 1000, "{counters:?}");
        assert_eq!(counters.connections_established, 1);
        assert_eq!(connection.gone(), None);
        drop(connection);
        node.stop().await;
        pair_listening.stop().await;
    });
}

/// Everything that was sent is sent again, while the connection lasts and after it: no frame arrives twice, and nobody is let
/// in by what another one once said.
#[test]
fn replays_change_nothing() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let dialled_endpoint = endpoint(&ring, cluster.identity(1));
        let relay = Relay::start(dialled_endpoint.local_address(), 3, Faults::default());
        let pair = Pair::connect_through(&ring, &cluster, dialled_endpoint, relay.address).await;
        let (mut session, mut peer) = pair.session().await;
        for number in 0..10_u8 {
            session.sender.send([Bytes::from(vec![number; 2000])]).await.unwrap();
            assert_eq!(next(&mut peer).await, vec![number; 2000]);
        }
        let replay = async |times: u64| {
            let before = relay.harmed.load(SeqCst);
            relay.replay.store(true, SeqCst);
            eventually("it was sent again", || relay.harmed.load(SeqCst) > before).await;
            sleep(Duration::from_millis(50 * times)).await;
        };
        replay(1).await;
        session.sender.send([Bytes::from_static(b"once")]).await.unwrap();
        assert_eq!(next(&mut peer).await, b"once"[..]);
        assert_eq!(pair.dialled.counters().frames_received, 12);
        assert_eq!(pair.dialled.gone(), None);

        pair.dialling.close(EndCode::NOT_NEEDED);
        assert_eq!(pair.dialled.closed().await, PeerGone::Closed(EndCode::NOT_NEEDED));
        sleep(Duration::from_millis(400)).await;
        replay(20).await;
        let counters = pair.dialled_endpoint.counters();
        assert_eq!(counters.connections_established, 1, "{counters:?}");
        drop((session, peer));
        pair.stop().await;
    });
}

#[test]
fn a_path_that_is_cut_is_noticed_by_both() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let dialled_endpoint = endpoint(&ring, cluster.identity(1));
        let relay = Relay::start(dialled_endpoint.local_address(), 3, Faults::default());
        let pair = Pair::connect_through(&ring, &cluster, dialled_endpoint, relay.address).await;
        // Idle for longer than the timeout: signs of life keep it.
        sleep(Duration::from_millis(1500)).await;
        assert_eq!((pair.dialling.gone(), pair.dialled.gone()), (None, None));
        relay.cut.store(true, SeqCst);
        let begun = Instant::now();
        assert_eq!(pair.dialling.closed().await, PeerGone::Silent);
        assert_eq!(pair.dialled.closed().await, PeerGone::Silent);
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(pair.dialled_endpoint.counters().peers_silent, 1);
        assert_eq!(pair.dialling_endpoint.counters().peers_silent, 1);
        pair.stop().await;
    });
}

/// A thread that comes back after longer than the idle timeout asks its peers before it takes them for gone.
#[test]
fn a_thread_that_stood_still_keeps_its_peers() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let listening = endpoint(&ring, cluster.identity(1));
        serve_echo(&listening);
        let node = endpoint(&ring, cluster.identity(2));
        let connection = node.connect(NodeId(1), listening.local_address()).await.unwrap();
        for _ in 0..3 {
            // Both ends stand still: they share this thread.
            std::thread::sleep(2 * TransportOptions::default().idle_timeout);
            sleep(Duration::from_millis(300)).await;
            assert_eq!(connection.gone(), None);
            echo_works(&connection).await;
        }
        assert!(node.counters().stalls >= 3 && listening.counters().stalls >= 3);
        drop(connection);
        node.stop().await;
        listening.stop().await;
    });
}

#[test]
fn nodes_meet_over_ipv6() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let bind = |identity| {
            let address = "[::1]:0".parse().unwrap();
            Endpoint::bind(&ring, address, identity, everybody(), TransportOptions::default())
        };
        let Ok(listening) = bind(cluster.identity(1)) else {
            eprintln!("SKIPPED: this machine has no IPv6");
            return;
        };
        serve_echo(&listening);
        let node = bind(cluster.identity(2)).unwrap();
        let connection = node.connect(NodeId(1), listening.local_address()).await.unwrap();
        echo_works(&connection).await;
        drop(connection);
        node.stop().await;
        listening.stop().await;
    });
}

#[test]
fn a_stopping_node_says_so() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let pair = Pair::connect(&ring, &cluster).await;
        let address = pair.dialled_endpoint.local_address();
        let waiting = pair.dialled_endpoint.clone();
        let told = Rc::new(Cell::new(false));
        let flag = told.clone();
        spawn(async move {
            assert!(waiting.accept().await.is_none());
            flag.set(true);
        });
        let begun = Instant::now();
        pair.dialled_endpoint.stop().await;
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(pair.dialling.closed().await, PeerGone::Closed(EndCode::STOPPING));
        assert_eq!(pair.dialled.gone(), Some(PeerGone::ClosedHere));
        eventually("accepting ends", || told.get()).await;

        // The port is free again, and a node that starts there is found by those who look for it.
        let again =
            Endpoint::bind(&ring, address, cluster.identity(1), everybody(), TransportOptions::default());
        let again = again.unwrap();
        serve_echo(&again);
        let mut redial = Redial::new(pair.dialling_endpoint.clone(), NodeId(1), address);
        let connection = redial.connection().await.unwrap();
        echo_works(&connection).await;
        assert!(
            pair.dialled_endpoint.connect(NodeId(2), address).await.is_err(),
            "a stopped endpoint dials nobody"
        );
        drop(connection);
        again.stop().await;
        pair.stop().await;
    });
}

/// A node in a process of its own.
struct Peer {
    process: Child,
    address: SocketAddr,
}

impl Peer {
    fn start(cluster: &Cluster, listens: SocketAddr, dials: Option<SocketAddr>, idle: Duration) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "another_process", "--nocapture"]);
        command.env(PEER_DIRECTORY, &cluster.directory).env(PEER_LISTENS, listens.to_string());
        command.env(PEER_IDLE_MS, idle.as_millis().to_string());
        if let Some(dials) = dials {
            command.env(PEER_DIALS, dials.to_string());
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let address = output.lines().find_map(|line| Some(line.ok()?.split_once("listens ")?.1.to_owned()));
        Self { process, address: address.expect("says where").parse().unwrap() }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have been killed before.
        let _gone = self.process.kill().is_err();
        let _reaped = self.process.wait().is_ok();
    }
}

/// Not a test of its own: what [`Peer`] runs.
#[test]
fn another_process() {
    let Some(directory) = std::env::var_os(PEER_DIRECTORY) else { return };
    let me: NodeIdentity = identity(directory.as_ref(), 1);
    let listens = std::env::var(PEER_LISTENS).unwrap().parse().unwrap();
    let dials = std::env::var(PEER_DIALS).ok().map(|address| address.parse().unwrap());
    let idle_ms = std::env::var(PEER_IDLE_MS).unwrap().parse().unwrap();
    in_executor(move |ring| async move {
        let listening = with_idle(&ring, listens, me, Duration::from_millis(idle_ms));
        serve_echo(&listening);
        println!("listens {}", listening.local_address());
        if let Some(address) = dials {
            let connection = listening.connect(NodeId(2), address).await.unwrap();
            connection.closed().await;
        }
        sleep(Duration::from_secs(120)).await;
    });
}

fn with_idle(ring: &Ring, address: SocketAddr, identity: NodeIdentity, idle_timeout: Duration) -> Endpoint {
    let options = TransportOptions { idle_timeout, ..TransportOptions::default() };
    // The kernel ends the ring of a killed process a while after the process, and its socket with it.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Endpoint::bind(ring, address, identity.clone(), everybody(), options) {
            Ok(endpoint) => return endpoint,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Killed: whom it dialled and who dialled it both notice, in less than a second on a machine with nothing else to do.
#[test]
fn a_killed_peer_is_noticed() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let node = endpoint(&ring, cluster.identity(2));
        let idle = TransportOptions::default().idle_timeout;
        let mut peer = Peer::start(&cluster, free_port(), Some(node.local_address()), idle);
        let dialled_us = node.accept().await.unwrap();
        let we_dialled = node.connect(NodeId(1), peer.address).await.unwrap();
        echo_works(&we_dialled).await;
        peer.kill();
        let killed = Instant::now();
        for (side, connection) in [("it dialled", &dialled_us), ("we dialled", &we_dialled)] {
            assert_eq!(connection.closed().await, PeerGone::Silent);
            println!("{side}: noticed {} ms after the kill", killed.elapsed().as_millis());
        }
        assert!(killed.elapsed() < Duration::from_secs(5));
        node.stop().await;
    });
}

/// Killed and started anew at once: it says that it knows nothing of old connections, long before silence would tell.
#[test]
fn a_peer_that_starts_anew_is_noticed_and_dialled_again() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let patient = Duration::from_secs(60);
        let node = with_idle(&ring, free_port(), cluster.identity(2), patient);
        let mut first = Peer::start(&cluster, free_port(), None, patient);
        let address = first.address;
        let mut redial = Redial::new(node.clone(), NodeId(1), address);
        let connection = redial.connection().await.unwrap();
        echo_works(&connection).await;
        first.kill();
        let _second = Peer::start(&cluster, address, None, patient);
        let begun = Instant::now();
        assert_eq!(connection.closed().await, PeerGone::Restarted);
        assert!(begun.elapsed() < Duration::from_secs(20));
        println!("noticed {} ms after the new start", begun.elapsed().as_millis());
        let again = redial.connection().await.unwrap();
        assert_eq!(again.peer(), NodeId(1));
        echo_works(&again).await;
        drop(again);
        node.stop().await;
    });
}
