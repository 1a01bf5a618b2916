//! Asking the controller, wherever it is.
//!
//! In steps: this member if it leads, else the leader that it knows, else each voter, who say where the leader is. What was
//! certainly not done is tried again until the time is over; what may have been done is not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::codec::Coded;
use crate::controller_request::AskError;
use crate::leadership::LeaderWatch;
use crate::network::{Answers, CONTROLLER_BYTES_MAX, CallError, ControllerAnswer, Peers, RequestKind};
use crate::replica_id::{Address, ReplicaId};

/// Between two attempts while nobody leads.
const PAUSE: Duration = Duration::from_millis(25);

/// What an attempt came to.
enum Attempt {
    Answer(Bytes),
    /// Not done; perhaps this one leads.
    Elsewhere(Option<(ReplicaId, Address)>),
    /// Not done.
    NotDone(String),
    Unknown(String),
}

pub(crate) async fn ask(
    peers: &Arc<Peers>,
    answers: &Answers,
    leader: &LeaderWatch,
    voters: &[(ReplicaId, Address)],
    body: Bytes,
    timeout: Duration,
) -> Result<Bytes, AskError> {
    if body.len() > CONTROLLER_BYTES_MAX {
        return Err(AskError::TooLarge(body.len()));
    }
    let deadline = Instant::now() + timeout;
    let mut others = voters.iter().filter(|(voter, _)| voter.node != peers.me().node).cycle();
    let mut hint = None;
    let mut problem = "nobody leads".to_owned();
    while Instant::now() < deadline {
        let target = hint.take().or_else(|| leader.current().leader).or_else(|| others.next().cloned());
        let attempt = match target {
            None => here(peers, answers, body.clone(), deadline).await,
            Some((replica, _)) if replica == peers.me() => here(peers, answers, body.clone(), deadline).await,
            Some((replica, address)) => there(peers, replica, &address, body.clone(), deadline).await,
        };
        match attempt {
            Attempt::Answer(answer) => return Ok(answer),
            Attempt::Unknown(problem) => return Err(AskError::Unknown(problem)),
            Attempt::Elsewhere(Some(leader)) => hint = Some(leader),
            Attempt::Elsewhere(None) => {}
            Attempt::NotDone(reason) => problem = reason,
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)).await;
    }
    Err(AskError::NoController(problem))
}

async fn here(peers: &Peers, answers: &Answers, body: Bytes, deadline: Instant) -> Attempt {
    match tokio::time::timeout_at(deadline, answers.ask(peers.me().node, body)).await {
        Ok(Ok(answer)) => attempt_of(answer),
        Ok(Err(refusal)) => Attempt::NotDone(refusal.to_string()),
        Err(_) => Attempt::Unknown("it takes too long".to_owned()),
    }
}

async fn there(
    peers: &Arc<Peers>,
    replica: ReplicaId,
    address: &Address,
    body: Bytes,
    deadline: Instant,
) -> Attempt {
    let timeout = deadline.saturating_duration_since(Instant::now());
    match peers.call(replica, address, RequestKind::Ask, body.into(), timeout).await {
        Ok(answer) => attempt_of(answer),
        Err(error @ (CallError::Unreachable(..) | CallError::Refused(..))) => {
            Attempt::NotDone(error.to_string())
        }
        Err(error @ CallError::Lost(..)) => Attempt::Unknown(error.to_string()),
    }
}

fn attempt_of(answer: Bytes) -> Attempt {
    match ControllerAnswer::from_bytes(answer) {
        Ok(ControllerAnswer::Answer(answer)) => Attempt::Answer(answer),
        Ok(ControllerAnswer::NotLeader(leader)) => Attempt::Elsewhere(leader),
        Err(error) => Attempt::Unknown(error.to_string()),
    }
}
