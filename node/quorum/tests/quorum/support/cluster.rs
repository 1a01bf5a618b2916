//! Some members with a relay between them.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use ringmain_quorum::{Address, NodeId, SnapshotOptions};

use super::member::{Member, MemberPlan, timing};
use super::{ClusterCards, Relay, TestDirectory};

/// What takes longer has failed: far more than an election, with other tests on the same cores.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Waits until `found` gives something.
pub(crate) async fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A port for one member, which nobody else gets while it is down: not one of those (32,768 and above) that the system gives to
/// whoever asks for any, as the relays of the tests beside this one do.
fn member_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(14_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port < 32_768, "a free port");
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// See the head of the file. Members are numbered from 1; those beyond `voters` are no part of the first cluster.
pub(crate) struct Cluster {
    pub(crate) plans: BTreeMap<i32, MemberPlan>,
    pub(crate) members: BTreeMap<i32, Member>,
    pub(crate) relay: Relay,
    _directory: TestDirectory,
}

impl Cluster {
    /// Plans `nodes` members, of which the first `voters` form the cluster.
    pub(crate) fn plan(voters: i32, nodes: i32) -> Self {
        let directory = TestDirectory::new();
        let cards = ClusterCards::new(directory.path(), "test-cluster");
        let relay = Relay::new();
        let mut places = BTreeMap::new();
        for node in 1..=nodes {
            let port = member_port();
            let address = Address { host: "127.0.0.1".to_owned(), port: relay.add(node, port) };
            places.insert(node, (port, address));
        }
        let voters: BTreeMap<_, _> = places
            .iter()
            .take_while(|(node, _)| **node <= voters)
            .map(|(n, (_, a))| (NodeId(*n), a.clone()))
            .collect();
        let plans = places
            .into_iter()
            .map(|(node, (port, address))| {
                let plan = MemberPlan {
                    node: NodeId(node),
                    cluster_id: "test-cluster".to_owned(),
                    path: directory.path().join(format!("{node}.redb")),
                    port,
                    address,
                    voters: voters.clone(),
                    certificates: cards.of_node(NodeId(node)),
                    timing: timing(),
                    snapshot: SnapshotOptions::default(),
                };
                (node, plan)
            })
            .collect();
        Self { plans, members: BTreeMap::new(), relay, _directory: directory }
    }

    /// Plans and starts `voters` members, and waits for a leader.
    pub(crate) async fn start(voters: i32) -> Self {
        let mut cluster = Self::plan(voters, voters);
        cluster.start_all();
        cluster.leader().await;
        cluster
    }

    pub(crate) fn start_all(&mut self) {
        for node in self.plans.keys().copied().collect::<Vec<_>>() {
            if !self.members.contains_key(&node) {
                self.start_member(node);
            }
        }
    }

    pub(crate) fn start_member(&mut self, node: i32) {
        let member = Member::start(&self.plans[&node]);
        assert!(self.members.insert(node, member).is_none(), "it runs already");
    }

    pub(crate) fn kill(&mut self, node: i32) {
        self.members.remove(&node).expect("it runs").kill();
    }

    pub(crate) fn stop(&mut self, node: i32) {
        self.members.remove(&node).expect("it runs").stop();
    }

    pub(crate) fn member(&self, node: i32) -> &Member {
        &self.members[&node]
    }

    /// The member that may decide; of several that think so, the one of the newest term.
    pub(crate) fn leader_now(&self) -> Option<i32> {
        let leaders = self.members.iter().filter_map(|(node, member)| Some((member.leadership()?, *node)));
        leaders.max().map(|(_, node)| node)
    }

    pub(crate) async fn leader(&self) -> i32 {
        eventually("a leader", || self.leader_now()).await
    }

    /// Proposes until it is committed, wherever the leader is. What is not known to be committed is not proposed again, and
    /// returned as `false`.
    pub(crate) async fn propose(&self, proposal_id: u64) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "proposal {proposal_id} finds no leader");
            let Some(leader) = self.leader_now() else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            match self.member(leader).propose(proposal_id).await {
                Ok(_) => return true,
                Err(ringmain_quorum::ProposeError::NotLeader(_)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(ringmain_quorum::ProposeError::Unknown(_)) => return false,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits until all members that run have applied the whole log, and returns it. Whatever one has applied, the others
    /// have applied or will apply: never something else.
    pub(crate) async fn settled(&self) -> Vec<u64> {
        let ledgers = eventually("the same applied everywhere", || {
            let last = self.member(self.leader_now()?).quorum.status().last_index;
            let ledgers: Vec<_> = self.members.values().map(|member| member.entries()).collect();
            for pair in ledgers.windows(2) {
                let common = pair[0].len().min(pair[1].len());
                assert_eq!(pair[0][..common], pair[1][..common], "members applied different records");
            }
            let all_applied =
                self.members.values().all(|member| member.quorum.status().applied_index == last);
            let all_equal = ledgers.windows(2).all(|pair| pair[0].len() == pair[1].len());
            (all_applied && all_equal).then_some(ledgers)
        })
        .await;
        ledgers[0].iter().map(|entry| entry.proposal_id).collect()
    }
}
