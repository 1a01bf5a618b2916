//! One member on a thread of its own.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringmain_quorum::{
    Address, Certificates, Committed, ControllerRequest, Leadership, NodeId, Proposal, ProposeError, Quorum,
    QuorumOptions, QuorumStore, SnapshotOptions, Timing, Transport,
};
use tokio::sync::{mpsc, oneshot};

use super::ledger::{Ledger, LedgerEntry};

/// How long a proposal waits for a majority.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Everything that a member is started with, again and again.
#[derive(Clone)]
pub(crate) struct MemberPlan {
    pub(crate) node: NodeId,
    pub(crate) cluster_id: String,
    pub(crate) path: PathBuf,
    pub(crate) port: u16,
    pub(crate) address: Address,
    pub(crate) voters: BTreeMap<NodeId, Address>,
    pub(crate) certificates: Arc<dyn Certificates>,
    pub(crate) timing: Timing,
    pub(crate) snapshot: SnapshotOptions,
}

/// A running member.
pub(crate) struct Member {
    pub(crate) quorum: Quorum,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    handle: tokio::runtime::Handle,
    end: oneshot::Sender<End>,
    thread: JoinHandle<()>,
}

enum End {
    Kill,
    Stop,
}

/// The product's timing; slow machines of the tests included.
pub(crate) fn timing() -> Timing {
    Timing::default()
}

impl Member {
    /// Starts it. What is asked of the controller is answered with the node and term that answered.
    pub(crate) fn start(plan: &MemberPlan) -> Self {
        let (started, starting) = std::sync::mpsc::channel();
        let (end, ending) = oneshot::channel();
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let plan = plan.clone();
        let node = plan.node;
        let state = Arc::clone(&ledger);
        let thread = std::thread::spawn(move || {
            let runtime = super::runtime();
            let (quorum, requests) = runtime.block_on(start(plan, state));
            runtime.spawn(answer(node, requests));
            started.send((quorum.clone(), runtime.handle().clone())).expect("the test waits");
            match runtime.block_on(ending) {
                Ok(End::Stop) => runtime.block_on(quorum.stop()),
                _ => drop(quorum),
            }
            runtime.shutdown_background();
        });
        let (quorum, handle) = starting.recv().expect("the member starts");
        Self { quorum, ledger, handle, end, thread }
    }

    /// Ends it at once; nobody is told.
    pub(crate) fn kill(self) {
        self.end_by(End::Kill);
    }

    /// Ends it in order.
    pub(crate) fn stop(self) {
        self.end_by(End::Stop);
    }

    fn end_by(self, how: End) {
        let Self { quorum, end, thread, handle, .. } = self;
        drop((quorum, handle));
        assert!(end.send(how).is_ok(), "the member's thread has ended by itself");
        thread.join().expect("the member's thread ends");
    }

    /// Runs something in the member's own runtime, as its node would. `None` if the member was killed meanwhile.
    pub(crate) async fn run<F>(&self, future: F) -> Option<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(future).await.ok()
    }

    /// Starts something in the member's own runtime.
    pub(crate) fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// The leadership of this member, if it has it.
    pub(crate) fn leadership(&self) -> Option<Leadership> {
        self.quorum.leader().current().leadership
    }

    pub(crate) async fn propose(&self, proposal_id: u64) -> Result<Committed, ProposeError> {
        let Some(leadership) = self.leadership() else { return Err(ProposeError::NotLeader(None)) };
        self.propose_in(leadership, proposal_id).await
    }

    pub(crate) async fn propose_in(
        &self,
        leadership: Leadership,
        proposal_id: u64,
    ) -> Result<Committed, ProposeError> {
        let quorum = self.quorum.clone();
        let proposal = proposal(proposal_id);
        let proposed = async move { quorum.propose(leadership, proposal, PROPOSE_TIMEOUT).await };
        let killed = || Err(ProposeError::Unknown("the member was killed".to_owned()));
        self.run(proposed).await.unwrap_or_else(killed)
    }

    pub(crate) fn entries(&self) -> Vec<LedgerEntry> {
        self.ledger.lock().expect("lock").entries.clone()
    }

    pub(crate) fn proposals(&self) -> Vec<u64> {
        self.ledger.lock().expect("lock").proposals()
    }
}

pub(crate) fn proposal(proposal_id: u64) -> Proposal {
    let records = [Bytes::from(format!("record of {proposal_id}")), Bytes::new()];
    Proposal { proposal_id, records: Arc::new(records) }
}

async fn start(plan: MemberPlan, ledger: Arc<Mutex<Ledger>>) -> (Quorum, mpsc::Receiver<ControllerRequest>) {
    // The thread of the member before may still be closing the file, and its socket.
    let deadline = Instant::now() + Duration::from_secs(5);
    let (store, socket) = loop {
        let store = QuorumStore::open(&plan.path, &plan.cluster_id, plan.node);
        let socket = UdpSocket::bind(("127.0.0.1", plan.port));
        match (store, socket) {
            (Ok(store), Ok(socket)) => break (store, socket),
            (Err(error), _) if Instant::now() > deadline => panic!("{error}"),
            (_, Err(error)) if Instant::now() > deadline => panic!("{error}"),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let options = QuorumOptions {
        cluster_id: plan.cluster_id,
        address: plan.address,
        voters: plan.voters,
        timing: plan.timing,
        snapshot: plan.snapshot,
    };
    let transport = Transport { socket, certificates: plan.certificates };
    Quorum::start(options, store, Box::new(ledger), Some(transport)).await.expect("the quorum starts")
}

async fn answer(node: NodeId, mut requests: mpsc::Receiver<ControllerRequest>) {
    while let Some(request) = requests.recv().await {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let answer = format!("{body} from {} to {node} in term {}", request.from, request.leadership.term());
        // Who asked may be gone.
        let _ = request.answer.send(answer.into());
    }
}
