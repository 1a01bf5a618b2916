//! Asking the controller, wherever it is.
//!
//! In steps: this member if it leads, else the leader that it knows, else each voter, who say where the leader is. What was
//! certainly not done is tried again until the time is over; what may have been done is not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use tokio::time::Instant;

use crate::codec::Coded;
use crate::controller_request::AskError;
use crate::leadership::{LeaderView, LeaderWatch};
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
        let asked = target.as_ref().map_or(peers.me(), |(replica, _)| *replica);
        let call = std::pin::pin!(async {
            match target {
                Some((replica, address)) if replica != peers.me() => {
                    there(peers, replica, &address, body.clone(), deadline).await
                }
                _ => here(peers, answers, body.clone(), deadline).await,
            }
        });
        // One that died answers nothing; the others notice long before the time is over.
        let attempt = match select(call, std::pin::pin!(replaced(leader.clone(), asked))).await {
            Either::Left((attempt, _)) => attempt,
            Either::Right(_) => Attempt::Unknown(format!("{asked} was replaced meanwhile")),
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

/// Resolves when this member hears of another leader than `asked` and than it knew before.
async fn replaced(mut leader: LeaderWatch, asked: ReplicaId) {
    let before = leader.current().leader;
    let is_another = |view: &LeaderView| {
        view.leader.as_ref().is_some_and(|(now, _)| *now != asked) && view.leader != before
    };
    if leader.wait_for(is_another).await.is_none() {
        std::future::pending::<()>().await;
    }
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
