//! Nodes of a cluster for tests: their certificates, an executor, endpoints on free ports of this machine.
#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod relay;

use std::{
    fs,
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use ringmain_replication::{
    NodeId,
    quic::{
        Connection, Endpoint, Session, TransportOptions,
        certificates::{Authority, IdentityFiles, IssueOptions, MemberCheck, NodeIdentity},
    },
};
use ringmain_storage::disk::direct::{Executor, Ring, RingOptions, sleep};

pub(crate) const CLUSTER: &str = "3vQmXyJ0T5mJ0mG1o0cW3w";

/// A cluster's certificates, in a directory that goes with the test.
pub(crate) struct Cluster {
    pub(crate) directory: PathBuf,
}

impl Cluster {
    pub(crate) fn new(cluster_id: &str, nodes: i32) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("ringmain-quic-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        let directory = std::env::temp_dir().join(name);
        let (authority, _) = Authority::create(&directory, cluster_id, 10).expect("an authority");
        for node in 1..=nodes {
            let options = IssueOptions { node: NodeId(node), hosts: Vec::new(), valid_days: 5 };
            authority.issue(&options).expect("a certificate");
        }
        Self { directory }
    }

    pub(crate) fn identity(&self, node: i32) -> NodeIdentity {
        identity(&self.directory, node)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).expect("removes its directory");
    }
}

pub(crate) fn identity(directory: &Path, node: i32) -> NodeIdentity {
    NodeIdentity::load(&IdentityFiles::in_directory(directory, NodeId(node))).expect("loads")
}

/// Runs a test in an executor of its own.
pub(crate) fn in_executor<F: Future<Output = ()> + 'static>(test: impl FnOnce(Ring) -> F) {
    let executor = Executor::new(RingOptions::default()).expect("a ring");
    let ring = executor.ring().clone();
    executor.run(test(ring));
}

pub(crate) fn everybody() -> MemberCheck {
    Arc::new(|_| true)
}

pub(crate) fn free_port() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

pub(crate) fn endpoint(ring: &Ring, identity: NodeIdentity) -> Endpoint {
    Endpoint::bind(ring, free_port(), identity, everybody(), TransportOptions::default()).expect("binds")
}

/// Two nodes of one cluster that have found each other: the dialling one is node 2.
pub(crate) struct Pair {
    pub(crate) dialling_endpoint: Endpoint,
    pub(crate) dialled_endpoint: Endpoint,
    pub(crate) dialling: Connection,
    pub(crate) dialled: Connection,
}

impl Pair {
    pub(crate) async fn connect(ring: &Ring, cluster: &Cluster) -> Self {
        let dialled_endpoint = endpoint(ring, cluster.identity(1));
        let address = dialled_endpoint.local_address();
        Self::connect_through(ring, cluster, dialled_endpoint, address).await
    }

    pub(crate) async fn connect_through(
        ring: &Ring,
        cluster: &Cluster,
        dialled_endpoint: Endpoint,
        address: SocketAddr,
    ) -> Self {
        let dialling_endpoint = endpoint(ring, cluster.identity(2));
        let dialling = dialling_endpoint.connect(NodeId(1), address).await.expect("connects");
        let dialled = dialled_endpoint.accept().await.expect("accepts");
        assert_eq!((dialling.peer(), dialled.peer()), (NodeId(1), NodeId(2)));
        Self { dialling_endpoint, dialled_endpoint, dialling, dialled }
    }

    /// A session, both ends of it.
    pub(crate) async fn session(&self) -> (Session, Session) {
        let mut opened = self.dialling.open_session().await.expect("opens");
        opened.sender.send([Bytes::from_static(b"hello")]).await.expect("sends");
        let mut accepted = self.dialled.accept_session().await.expect("accepts");
        assert_eq!(next(&mut accepted).await, b"hello"[..]);
        (opened, accepted)
    }

    pub(crate) async fn stop(self) {
        self.dialling_endpoint.stop().await;
        self.dialled_endpoint.stop().await;
    }
}

pub(crate) async fn next(session: &mut Session) -> Bytes {
    session.receiver.receive().await.expect("is whole").expect("there is one more")
}

/// Bytes that differ everywhere, and from those of another seed.
pub(crate) fn content(seed: u64, length: usize) -> Bytes {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// The same numbers for the same seed (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not after 20 s: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
