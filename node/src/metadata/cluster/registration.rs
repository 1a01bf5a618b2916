//! This node as a member of its cluster: it registers this start, says that it is there, and hands over before it stops.
//!
//! In steps: this start is noted on the disk; the controller is asked to register it until it does; that is noted, too; then
//! a heartbeat every period, which names the version of the image that all shards have applied. What must hold: the version
//! stays zero until the node accepts clients, so that nobody makes it a leader before. Failure modes: a registration that is
//! refused for good, or taken away, ends the node with the reason; while no controller answers, it goes on asking.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ringmain_protocol::ErrorCode;
use ringmain_quorum::Quorum;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ClusterHandle;
use super::asking;
use super::starts::{Starts, StartsError};
use super::wire::{self, Asked, Reply};
use crate::config::{ClusterConfig, HostPort};
use crate::metadata::controller::{
    ControllerAnswer, ControllerRequest, Heartbeat, HeartbeatAnswer, METADATA_LEVELS, Refusal, RegisterNode,
    Surviving,
};
use crate::metadata::{ClusterId, Endpoint, MetadataError, NodeId, PeerEndpoints};

/// How long one attempt to register may take.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts to register.
const REGISTER_PAUSE: Duration = Duration::from_millis(100);
/// How often a node that reaches no controller says so.
const TELL_PERIOD: Duration = Duration::from_secs(3);
/// A node that wants to stop and reaches no controller for so long stops without one.
const ALONE_TIMEOUT: Duration = Duration::from_secs(3);

/// A start that is about to be registered.
pub(super) struct Registration {
    handle: ClusterHandle,
    quorum: Quorum,
    starts: Starts,
    request: RegisterNode,
    period: Duration,
    /// A shard that gets nothing done for so long makes the node ask to be fenced.
    silence_max: Duration,
}

/// Why a node cannot be a member any more.
enum Ended {
    Refused(Refusal),
    Disk(StartsError),
    Stopped,
}

impl Registration {
    /// What this start will say of itself.
    pub(super) fn new(
        handle: &ClusterHandle,
        quorum: Quorum,
        starts: Starts,
        cluster_id: &ClusterId,
        cluster: &ClusterConfig,
        advertised: &HostPort,
        rack: Option<String>,
    ) -> Self {
        let shards = u16::try_from(handle.0.applied.len()).expect("a node has fewer shards than ports");
        // The configuration leaves room for a port a shard.
        let data_ports = (0..shards).map(|shard| cluster.listen.port + 1 + shard).collect();
        let endpoint = Endpoint {
            listener: "PLAINTEXT".to_owned(),
            host: advertised.host.clone(),
            port: advertised.port,
        };
        let request = RegisterNode {
            cluster_id: cluster_id.as_str().to_owned(),
            node_id: NodeId(quorum.replica().node.0),
            incarnation_id: handle.incarnation(),
            endpoints: vec![endpoint],
            rack,
            peer: PeerEndpoints {
                host: cluster.advertised_host().to_owned(),
                control_port: cluster.listen.port,
                data_ports,
            },
            levels: METADATA_LEVELS,
            previous: starts.previous(),
            surviving: Surviving::Unknown,
        };
        let period = Duration::from_millis(cluster.heartbeat_ms);
        let silence_max = Duration::from_millis(cluster.replica_lag_ms);
        Self { handle: handle.clone(), quorum, starts, request, period, silence_max }
    }

    /// Registers, then says that the node is there until it may stop.
    pub(super) async fn run(mut self, surviving: Surviving, wants_stop: watch::Receiver<bool>) {
        self.request.surviving = match surviving {
            _ if self.request.previous.is_empty() => Surviving::Unknown,
            Surviving::Everything if !self.starts.is_same_boot() => Surviving::Flushed,
            surviving => surviving,
        };
        let ended = match self.register(&wants_stop).await {
            Ok(epoch) => self.say_that_it_is_there(epoch, wants_stop).await,
            Err(ended) => ended,
        };
        match ended {
            Ended::Stopped => {}
            Ended::Refused(refusal) => self.handle.fail(refused(&refusal)),
            Ended::Disk(error) => self.handle.fail(error.to_string()),
        }
        self.handle.0.may_stop.store(true, Ordering::Release);
    }

    async fn register(&mut self, wants_stop: &watch::Receiver<bool>) -> Result<i64, Ended> {
        self.starts.intend(self.request.incarnation_id).map_err(Ended::Disk)?;
        let body = wire::encode(&Asked::Decide(ControllerRequest::RegisterNode(self.request.clone())));
        let mut teller = Teller::new();
        while !*wants_stop.borrow() {
            match self.ask(&body, REGISTER_TIMEOUT).await {
                Ok(ControllerAnswer::RegisterNode(Ok(epoch))) => {
                    self.starts.confirm(self.request.incarnation_id).map_err(Ended::Disk)?;
                    self.handle.0.registration.store(epoch, Ordering::Release);
                    tracing::info!(epoch, surviving = ?self.request.surviving, "registered with the cluster");
                    return Ok(epoch);
                }
                Ok(ControllerAnswer::RegisterNode(Err(refusal))) => match refusal.code {
                    // The session of the start before this one is not over yet, or somebody else runs with this id.
                    ErrorCode::DUPLICATE_BROKER_REGISTRATION => {
                        teller.tell("cannot register yet: a node with this id is still alive");
                    }
                    _ => return Err(Ended::Refused(refusal)),
                },
                Ok(_) => return Err(Ended::Refused(Refusal::of(ErrorCode::UNKNOWN_SERVER_ERROR))),
                Err(MetadataError::Stopped) => return Err(Ended::Stopped),
                Err(error) => teller.tell(&format!("cannot register yet: {error}")),
            }
            tokio::time::sleep(REGISTER_PAUSE).await;
        }
        Err(Ended::Stopped)
    }

    async fn say_that_it_is_there(&self, epoch: i64, mut wants_stop: watch::Receiver<bool>) -> Ended {
        let mut teller = Teller::new();
        let mut last_answer = Instant::now();
        let mut was_fenced = true;
        let mut hung = false;
        let mut runs_since = Instant::now();
        let mut last_turn = runs_since;
        loop {
            let stop = *wants_stop.borrow_and_update();
            let begun = Instant::now();
            // A turn takes a fraction of that: this process did not run, and who was silent could not speak.
            if begun - last_turn > self.silence_max / 2 {
                runs_since = begun;
            }
            last_turn = begun;
            let silence = self.handle.longest_silence().min(begun - runs_since);
            if hung != (silence > self.silence_max) {
                hung = !hung;
                tell_hung(hung, silence);
            }
            match self.beat(epoch, hung, stop).await {
                Ok(Ok(answer)) => {
                    last_answer = Instant::now();
                    if answer.may_stop {
                        return Ended::Stopped;
                    }
                    if answer.fenced != was_fenced && !stop {
                        tell_fenced(answer);
                    }
                    was_fenced = answer.fenced;
                }
                Ok(Err(refusal)) if stop => {
                    tracing::warn!("cannot hand over: {}", refused(&refusal));
                    return Ended::Stopped;
                }
                Ok(Err(refusal)) => return Ended::Refused(refusal),
                Err(MetadataError::Stopped) => return Ended::Stopped,
                Err(error) => {
                    let silent = last_answer.elapsed();
                    if stop && silent > ALONE_TIMEOUT {
                        tracing::warn!("stops without handing over: {error}");
                        return Ended::Stopped;
                    }
                    if silent > ALONE_TIMEOUT {
                        teller
                            .tell(&format!("no controller has answered for {} s: {error}", silent.as_secs()));
                    }
                }
            }
            let next = begun + self.period;
            // Told to stop, it does not wait for the next one.
            let _ = tokio::time::timeout_at(next, wants_stop.wait_for(|now| *now != stop)).await;
        }
    }

    async fn beat(
        &self,
        registration_epoch: i64,
        wants_fence: bool,
        wants_stop: bool,
    ) -> Result<Result<HeartbeatAnswer, Refusal>, MetadataError> {
        let version = if self.handle.is_serving() { self.handle.version_applied() } else { 0 };
        let node_id = self.request.node_id;
        let heartbeat = Heartbeat { node_id, registration_epoch, version, wants_fence, wants_stop };
        let body = wire::encode(&Asked::Decide(ControllerRequest::Heartbeat(heartbeat)));
        // Two periods: a controller that commits something slowly still answers, one that died is left alone.
        match self.ask(&body, self.period * 2).await? {
            ControllerAnswer::Heartbeat(answer) => Ok(answer),
            _ => Err(MetadataError::Unintelligible),
        }
    }

    async fn ask(&self, body: &Bytes, timeout: Duration) -> Result<ControllerAnswer, MetadataError> {
        match asking::attempt(&self.quorum, body.clone(), timeout).await? {
            Reply::Decided { answer, .. } => Ok(answer),
            Reply::Unknown => Err(MetadataError::Unknown),
            Reply::Refused(problem) => {
                tracing::error!("the controller refuses to hear this node: {problem}");
                Err(MetadataError::Unintelligible)
            }
            Reply::Quorum(_) => Err(MetadataError::Unintelligible),
        }
    }
}

fn tell_hung(hung: bool, silence: Duration) {
    if hung {
        let seconds = silence.as_secs();
        tracing::error!("a shard has got nothing done for {seconds} s, its disk may hang: ask to be fenced");
    } else {
        tracing::info!("all shards go on again");
    }
}

fn tell_fenced(answer: HeartbeatAnswer) {
    if answer.fenced {
        tracing::warn!("this node was silent for too long and is fenced: others lead");
    } else {
        tracing::info!("this node is unfenced: it may lead");
    }
}

/// A sentence for the operator.
fn refused(refusal: &Refusal) -> String {
    let what = refusal.message.clone().unwrap_or_else(|| format!("{:?}", refusal.code));
    match refusal.code {
        ErrorCode::STALE_BROKER_EPOCH => format!(
            "this node is no longer registered: it was taken out of the cluster, or another process took its id ({what})"
        ),
        _ => format!("the cluster refuses this node: {what}"),
    }
}

/// Says what lasts, every now and then.
struct Teller(Instant);

impl Teller {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn tell(&mut self, what: &str) {
        if self.0.elapsed() >= TELL_PERIOD {
            self.0 = Instant::now();
            tracing::warn!("{what}");
        }
    }
}
