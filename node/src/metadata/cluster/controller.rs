//! The controller: decides, one request after the other, while this node has the leadership of the quorum.
//!
//! A leadership in steps: an empty proposal, so that all that any leader left in the log is applied or gone; the first
//! records, if the cluster is new; then turns. A turn takes what waits, decides each request against the image that the ones
//! before it give, adds what the controller does by itself (fences the silent, elects, balances), proposes everything, and
//! answers once it is committed and applied here.
//!
//! What must hold: nothing is answered or logged before it is committed; nothing is decided while it is not known whether an
//! earlier proposal will be. Failure modes: while no majority answers, nothing is decided, and if it then answers in the same
//! term, the turns go on; when the leadership is over, requests at hand are dropped, which tells their nodes
//! that nothing was done, and asked again elsewhere; where it is not known, they are told that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use ringmain_quorum::{
    ControllerRequest as QuorumRequest, LeaderView, LeaderWatch, Leadership, Proposal, ProposeError, Quorum,
    QuorumStatus, ReplicaId,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::draft::Draft;
use super::journal::tell;
use super::voters::{VoterChange, next_change};
use super::wire::{self, Asked, QuorumDescription, QuorumMember, Reply};
use crate::metadata::controller::{Controller, ControllerOptions, METADATA_FEATURE, METADATA_LEVELS};
use crate::metadata::{
    ClusterId, ImageWatch, MetadataImage, MetadataRecord, NodeId, Sessions, random_topic_id,
};

/// Requests that are proposed together: bounds the time until the first of them is answered.
const TURN_REQUESTS_MAX: usize = 256;
/// A turn begins at least so often: a fraction of any session.
const TURN_PERIOD: Duration = Duration::from_millis(50);
/// How long a proposal waits for a majority. Longer than any lease: a leadership without one ends before.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Before a leadership that could not begin is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the controller looks for partitions without a leader, and for votes that should move.
const UPKEEP_PERIOD: Duration = Duration::from_secs(1);
/// After so long a leader has heard from whoever is there.
const SETTLED: Duration = Duration::from_secs(10);
/// How often leaderships go back to preferred leaders. Kafka looks every five minutes; a move costs clients one retry, and
/// a cluster whose leaders all sit on one node after a rolling restart costs more.
const BALANCE_PERIOD: Duration = Duration::from_secs(30);
/// Share of a node's preferred leaderships that others may have before they go back to it, as Kafka's default.
const IMBALANCE_PERCENT_MAX: usize = 10;

/// What a controller is started with.
pub(super) struct ControllerTask {
    pub(super) quorum: Quorum,
    pub(super) requests: mpsc::Receiver<QuorumRequest>,
    pub(super) watch: ImageWatch,
    pub(super) options: ControllerOptions,
    pub(super) cluster_id: ClusterId,
    /// Voters that there should be.
    pub(super) voters: usize,
    pub(super) session_timeout: Duration,
}

/// Why a leadership's turns end.
struct LeadershipOver;

/// One leadership of this node.
struct Turns<'t> {
    task: &'t ControllerTask,
    leadership: Leadership,
    image: Arc<MetadataImage>,
    sessions: Sessions,
    begun: Instant,
    /// Time for which the leadership was in doubt. Nobody is heard meanwhile, so it is nobody's silence.
    in_doubt: Duration,
    last_turn: Instant,
    next_upkeep: Instant,
    next_balance: Instant,
    /// Members that are to be dropped, and since when.
    gone_since: BTreeMap<ReplicaId, Instant>,
    changing_voters: Option<tokio::task::JoinHandle<()>>,
}

/// A request that is decided and not answered yet.
type Pending = (oneshot::Sender<Bytes>, Reply);

impl ControllerTask {
    /// Decides whenever this node may, until the quorum has ended.
    pub(super) async fn run(mut self) {
        let mut leader = self.quorum.leader();
        loop {
            let leads = std::pin::pin!(leader.wait_for(|view| view.leadership.is_some()));
            // What is asked in between came a moment too late; dropping it tells the node so.
            let view = match select(leads, std::pin::pin!(self.requests.recv())).await {
                Either::Left((view, _)) => view,
                Either::Right((Some(_), _)) => continue,
                Either::Right((None, _)) => return,
            };
            let Some(leadership) = view.and_then(|view| view.leadership) else { return };
            if self.lead(leadership).await.is_none() {
                return;
            }
        }
    }

    /// `None` when the quorum has ended.
    async fn lead(&mut self, leadership: Leadership) -> Option<()> {
        let mut requests = std::mem::replace(&mut self.requests, mpsc::channel(1).1);
        let ended = match Turns::begin(self, leadership).await {
            Ok(mut turns) => turns.run(&mut requests).await,
            Err(LeadershipOver) => {
                // What this node knows of its leadership is a moment old.
                tokio::time::sleep(PAUSE).await;
                Some(())
            }
        };
        self.requests = requests;
        ended
    }
}

impl<'t> Turns<'t> {
    async fn begin(task: &'t ControllerTask, leadership: Leadership) -> Result<Self, LeadershipOver> {
        propose(&task.quorum, leadership, Arc::new([])).await?;
        let now = Instant::now();
        let mut turns = Self {
            task,
            leadership,
            image: task.watch.current(),
            sessions: Sessions::begin(&MetadataImage::default(), 0, 0),
            begun: now,
            in_doubt: Duration::ZERO,
            last_turn: now,
            next_upkeep: now,
            next_balance: now + BALANCE_PERIOD,
            gone_since: BTreeMap::new(),
            changing_voters: None,
        };
        turns.begin_sessions();
        if turns.image.version() == 0 {
            let mut draft = Draft::against(&turns.image);
            let records = first_records(&task.cluster_id);
            draft.add(records).expect("the first records fit an empty image");
            turns.commit(draft).await?;
        }
        let term = leadership.term();
        tracing::info!(term, version = turns.image.version(), "this node is the controller");
        Ok(turns)
    }

    /// Every node has a whole session, but for the controller before this one: it was silent all through the election.
    fn begin_sessions(&mut self) {
        let now_ms = self.now_ms();
        self.sessions = Sessions::begin(&self.image, milliseconds(self.task.session_timeout), now_ms);
        if let Some((node, ago)) = self.task.quorum.take_last_leader() {
            let node_id = NodeId(node.0);
            if let Some(node) = self.image.nodes().get(&node_id) {
                let heard_ms = now_ms.saturating_sub(milliseconds(ago));
                self.sessions.registered(node_id, node.registration_epoch, heard_ms);
            }
        }
    }

    /// The leadership begins one session after zero, so that the time of a word before it can be said.
    fn now_ms(&self) -> u64 {
        milliseconds(self.task.session_timeout + self.begun.elapsed().saturating_sub(self.in_doubt))
    }

    /// Takes turns until the leadership is over; `None` when the quorum has ended.
    async fn run(&mut self, requests: &mut mpsc::Receiver<QuorumRequest>) -> Option<()> {
        let mut leader = self.task.quorum.leader();
        let leadership = self.leadership;
        loop {
            let woken = {
                let over = std::pin::pin!(leader.wait_for(|view| view.leadership != Some(leadership)));
                let wake = std::pin::pin!(next_request(requests, self.wake_at()));
                match select(over, wake).await {
                    Either::Left((Some(_), _)) => Woken::Over,
                    Either::Left((None, _)) => Woken::Ended,
                    Either::Right((woken, _)) => woken,
                }
            };
            let first = match woken {
                Woken::Request(first) => Some(first),
                Woken::Time => None,
                Woken::Over if self.leads_again(&mut leader).await? => continue,
                Woken::Over => {
                    tracing::info!(term = leadership.term(), "this node is the controller no more");
                    return Some(());
                }
                Woken::Ended => return None,
            };
            if self.turn(first, requests).await.is_err() {
                return Some(());
            }
        }
    }

    /// Waits while no majority answers and nobody else is known to lead. True if this leadership goes on: in its term nobody
    /// else has decided anything, so all that is known here still holds. `None` when the quorum has ended.
    async fn leads_again(&mut self, leader: &mut LeaderWatch) -> Option<bool> {
        let (leadership, me) = (self.leadership, self.task.quorum.replica());
        let since = Instant::now();
        let is_known = |view: &LeaderView| {
            let is_mine = view.leader.as_ref().is_some_and(|(leader, _)| *leader == me);
            view.leadership.is_some() || view.term != leadership.term() || !is_mine
        };
        let view = leader.wait_for(is_known).await?;
        if view.leadership != Some(leadership) {
            return Some(false);
        }
        let now = Instant::now();
        self.in_doubt += now - since;
        self.last_turn = now;
        let (term, waited_ms) = (leadership.term(), milliseconds(now - since));
        tracing::info!(term, waited_ms, "a majority answers again: this node decides again");
        Some(true)
    }

    fn wake_at(&self) -> Instant {
        let left_ms = self.sessions.next_end_ms(&self.image).map(|end| end.saturating_sub(self.now_ms()));
        let left = left_ms.map_or(TURN_PERIOD, |left_ms| Duration::from_millis(left_ms.saturating_add(1)));
        Instant::now() + left.min(TURN_PERIOD)
    }

    async fn turn(
        &mut self,
        first: Option<QuorumRequest>,
        requests: &mut mpsc::Receiver<QuorumRequest>,
    ) -> Result<(), LeadershipOver> {
        self.notice_a_stall();
        let mut draft = Draft::against(&self.image);
        let mut pending = Vec::new();
        let mut waiting = first.into_iter().collect::<Vec<_>>();
        while waiting.len() < TURN_REQUESTS_MAX
            && let Ok(next) = requests.try_recv()
        {
            waiting.push(next);
        }
        let drained = waiting.len() < TURN_REQUESTS_MAX;
        for request in waiting {
            pending.extend(self.decide(&mut draft, request));
        }
        // Whose heartbeat may still wait is not silent.
        if drained {
            self.fence_the_silent(&mut draft);
        }
        self.upkeep(&mut draft);
        let outcome = self.commit(draft).await;
        for (answer, reply) in pending {
            let reply = match &outcome {
                Ok(()) => reply,
                // Dropped: nothing was done.
                Err(CommitError::NotDone) => continue,
                Err(CommitError::Unknown) => Reply::Unknown,
            };
            // Who asked may be gone.
            let _ = answer.send(wire::encode(&reply));
        }
        outcome.map_err(LeadershipOver::from)
    }

    /// After this process did not run for a while, what the others sent meanwhile has yet to be read: nobody was silent.
    fn notice_a_stall(&mut self) {
        let now = Instant::now();
        if now - self.last_turn > self.task.session_timeout / 2 {
            let now_ms = self.now_ms();
            for (node_id, node) in self.image.nodes() {
                self.sessions.registered(*node_id, node.registration_epoch, now_ms);
            }
        }
        self.last_turn = now;
    }

    fn decide(&mut self, draft: &mut Draft, request: QuorumRequest) -> Option<Pending> {
        let QuorumRequest { from, body, answer, .. } = request;
        let refused = |answer, problem: String| Some((answer, Reply::Refused(problem)));
        let request = match wire::decode(&body) {
            Ok(Asked::Decide(request)) => request,
            Ok(Asked::DescribeQuorum) => {
                let description = describe(&self.task.quorum.status());
                return Some((answer, Reply::Quorum(description)));
            }
            Err(error) => return refused(answer, error.to_string()),
        };
        if request.in_the_name_of().is_some_and(|node| node.0 != from.0) {
            return refused(answer, format!("node {from} asks in the name of another"));
        }
        let now_ms = self.now_ms();
        let mut new_topic_id = || random_topic_id().expect("the kernel's random generator is there");
        let decision = Controller::new(draft.image(), &self.task.options).decide(
            &request,
            &mut self.sessions,
            now_ms,
            &mut new_topic_id,
        );
        if let Err(error) = draft.add(decision.records) {
            tracing::error!("a decision of this controller is impossible: {error}; it was {request:?}");
            return refused(answer, "the controller failed to decide it".to_owned());
        }
        Some((answer, Reply::Decided { version: draft.image().version(), answer: decision.answer }))
    }

    fn fence_the_silent(&self, draft: &mut Draft) {
        for node_id in self.sessions.silent(draft.image(), self.now_ms()) {
            let decision = Controller::new(draft.image(), &self.task.options).fence(node_id);
            add_own(draft, decision.records);
        }
    }

    fn upkeep(&mut self, draft: &mut Draft) {
        let now = Instant::now();
        if now < self.next_upkeep {
            return;
        }
        self.next_upkeep = now + UPKEEP_PERIOD;
        let decision = Controller::new(draft.image(), &self.task.options).elect_unclean_leaders();
        add_own(draft, decision.records);
        if now >= self.next_balance {
            self.next_balance = now + BALANCE_PERIOD;
            if is_imbalanced(draft.image()) {
                let decision = Controller::new(draft.image(), &self.task.options).balance_leaders();
                add_own(draft, decision.records);
            }
        }
        self.keep_voters();
    }

    /// Begins the next change of the voters, if one is due and none is under way.
    fn keep_voters(&mut self) {
        if self.changing_voters.as_ref().is_some_and(|change| !change.is_finished()) {
            return;
        }
        let status = self.task.quorum.status();
        let is_settled = self.begun.elapsed() > SETTLED;
        let change = next_change(&status, &self.image, self.task.voters, is_settled);
        let change = match change {
            Some(VoterChange::Drop(gone)) => match self.gone_for_long(&gone) {
                gone if gone.is_empty() => return,
                gone => VoterChange::Drop(gone),
            },
            Some(change) => change,
            None => return self.gone_since.clear(),
        };
        let quorum = self.task.quorum.clone();
        self.changing_voters = Some(tokio::spawn(async move {
            let (what, outcome) = match change {
                VoterChange::Set(voters) => {
                    (format!("{} vote", names(&voters)), quorum.set_voters(voters).await)
                }
                VoterChange::Drop(gone) => {
                    (format!("{} leave", names(&gone)), quorum.remove_members(gone).await)
                }
            };
            match outcome {
                Ok(()) => tracing::info!("changed the members of the quorum: {what}"),
                Err(error) => tracing::warn!("cannot change the members of the quorum ({what}): {error}"),
            }
        }));
    }

    /// Those of them that were to be dropped at every look for long enough, and those whose nodes were taken out: an operator
    /// has said that nobody waits for them.
    fn gone_for_long(&mut self, gone: &BTreeSet<ReplicaId>) -> BTreeSet<ReplicaId> {
        let now = Instant::now();
        self.gone_since.retain(|replica, _| gone.contains(replica));
        gone.iter().for_each(|replica| _ = self.gone_since.entry(*replica).or_insert(now));
        let is_over = |replica: &ReplicaId, since: Instant| {
            now - since > SETTLED || self.image.was_taken_out(NodeId(replica.node.0))
        };
        let long = self.gone_since.iter().filter(|(replica, since)| is_over(replica, **since));
        long.map(|(replica, _)| *replica).collect()
    }

    /// Proposes a draft; afterwards it is committed, and the image is the one after it.
    async fn commit(&mut self, draft: Draft) -> Result<(), CommitError> {
        if draft.records().is_empty() {
            return Ok(());
        }
        let records = draft.records().to_vec();
        let (proposals, image) = draft.into_proposals();
        let many = proposals.len() > 1;
        for proposal in proposals {
            match propose(&self.task.quorum, self.leadership, proposal).await {
                // Of several the first ones are in the log.
                Err(CommitError::NotDone) if many => return Err(CommitError::Unknown),
                other => other?,
            }
        }
        for record in &records {
            tell(&self.image, record);
        }
        self.image = Arc::new(image);
        Ok(())
    }
}

/// Why a draft is not known to be committed.
enum CommitError {
    /// It never will be.
    NotDone,
    /// It may be.
    Unknown,
}

impl From<CommitError> for LeadershipOver {
    /// Either way the next turn must begin with a look at what is in the log.
    fn from(_: CommitError) -> Self {
        Self
    }
}

async fn propose(quorum: &Quorum, leadership: Leadership, records: Arc<[Bytes]>) -> Result<(), CommitError> {
    let proposal = Proposal { proposal_id: 0, records };
    match quorum.propose(leadership, proposal, PROPOSE_TIMEOUT).await {
        Ok(_) => Ok(()),
        Err(ProposeError::NotLeader(_)) => Err(CommitError::NotDone),
        Err(error @ ProposeError::TooLarge { .. }) => {
            tracing::error!("a decision cannot be proposed: {error}");
            Err(CommitError::NotDone)
        }
        Err(error) => {
            tracing::warn!("{error}");
            Err(CommitError::Unknown)
        }
    }
}

enum Woken {
    Request(QuorumRequest),
    Time,
    /// Another leadership has begun, or this one is in doubt.
    Over,
    /// The quorum has ended.
    Ended,
}

async fn next_request(requests: &mut mpsc::Receiver<QuorumRequest>, until: Instant) -> Woken {
    match tokio::time::timeout_at(until, requests.recv()).await {
        Ok(Some(request)) => Woken::Request(request),
        Ok(None) => Woken::Ended,
        Err(_) => Woken::Time,
    }
}

/// What the controller decides by itself fits the image that it was decided against.
fn add_own(draft: &mut Draft, records: Vec<MetadataRecord>) {
    if let Err(error) = draft.add(records) {
        tracing::error!("a decision of this controller is impossible: {error}");
    }
}

/// What a new cluster begins with.
fn first_records(cluster_id: &ClusterId) -> Vec<MetadataRecord> {
    vec![
        MetadataRecord::ClusterCreated { cluster_id: cluster_id.as_str().to_owned() },
        MetadataRecord::FeatureLevelSet { feature: METADATA_FEATURE.to_owned(), level: METADATA_LEVELS.most },
    ]
}

/// Whether others lead too much of what some node is to lead.
fn is_imbalanced(image: &MetadataImage) -> bool {
    image.nodes().iter().filter(|(_, node)| node.is_active()).any(|(node_id, _)| {
        let preferred = || image.partitions().filter(|(_, _, p)| p.preferred_leader() == Some(*node_id));
        let led_by_others = preferred().filter(|(_, _, p)| p.leader != Some(*node_id)).count();
        led_by_others * 100 > preferred().count() * IMBALANCE_PERCENT_MAX
    })
}

fn describe(status: &QuorumStatus) -> QuorumDescription {
    let members = |is_voter: bool| {
        let members = status.members.iter().filter(|member| member.is_voter == is_voter);
        let described = members.map(|member| QuorumMember {
            node: member.replica.node.0,
            directory: member.replica.directory.0,
            host: member.address.host.clone(),
            port: member.address.port,
            log_end: member.matched_index.map_or(0, |last| last + 1),
            answered_ago_ms: member.answered_ago.map(milliseconds),
        });
        described.collect()
    };
    QuorumDescription {
        leader: status.replica.node.0,
        term: status.term,
        high_watermark: status.committed_index.map_or(0, |last| last + 1),
        voters: members(true),
        observers: members(false),
    }
}

fn names(replicas: &BTreeSet<ReplicaId>) -> String {
    replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
