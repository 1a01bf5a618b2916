//! Raft's requests to one other member, as openraft sends them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use super::peers::{CallError, Peers};
use super::{RequestKind, snapshot_stream};
use crate::codec::Coded;
use crate::raft::{
    AppendRequest, AppendResponse, Snapshot, SnapshotResponse, TransferRequest, TransferResponse, Types,
    Vote, VoteRequest, VoteResponse,
};
use crate::replica_id::{Address, ReplicaId};
use crate::store::{READ_BYTES_MAX, entry_size_bytes};

/// A follower's flush on a busy disk takes less; openraft gives up on heartbeats by itself, and earlier.
const CALL_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Makes a client for each other member.
pub(crate) struct RaftClients(pub(crate) Arc<Peers>);

/// Requests to one other member.
pub(crate) struct RaftClient {
    peers: Arc<Peers>,
    target: ReplicaId,
    address: Address,
}

impl RaftNetworkFactory<Types> for RaftClients {
    type Network = RaftClient;

    async fn new_client(&mut self, target: ReplicaId, node: &Address) -> RaftClient {
        RaftClient { peers: Arc::clone(&self.0), target, address: node.clone() }
    }
}

impl RaftClient {
    async fn call<T: Coded>(
        &self,
        kind: RequestKind,
        request: &impl Coded,
        option: &RPCOption,
    ) -> Result<T, RPCError<Types>> {
        let timeout = option.hard_ttl().max(CALL_TIMEOUT_MIN);
        let answer = self.peers.call(self.target, &self.address, kind, request.to_bytes(), timeout).await;
        T::from_bytes(answer.map_err(rpc_error)?).map_err(|error| NetworkError::new(&error).into())
    }
}

/// openraft waits before it tries again what is unreachable; what was lost it tries at once.
fn rpc_error(error: CallError) -> RPCError<Types> {
    match error {
        CallError::Unreachable(..) | CallError::Refused(..) => Unreachable::new(&error).into(),
        CallError::Lost(..) => NetworkError::new(&error).into(),
    }
}

/// Leaves so many entries in the request that it fits a message; the id of the last that stays, if any has to go.
fn cut_to_fit(request: &mut AppendRequest) -> Option<crate::raft::LogId> {
    let mut size_bytes = 0;
    let fitting = request
        .entries
        .iter()
        .take_while(|entry| {
            size_bytes += entry_size_bytes(entry);
            size_bytes <= READ_BYTES_MAX
        })
        .count()
        .max(1);
    if fitting >= request.entries.len() {
        return None;
    }
    request.entries.truncate(fitting);
    request.entries.last().map(|entry| entry.log_id)
}

impl RaftNetworkV2<Types> for RaftClient {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        mut request: AppendRequest,
        option: RPCOption,
    ) -> Result<AppendResponse, RPCError<Types>> {
        let cut = cut_to_fit(&mut request);
        let response = self.call(RequestKind::Append, &request, &option).await?;
        Ok(match (response, cut) {
            (AppendResponse::Success, Some(last)) => AppendResponse::PartialSuccess(Some(last)),
            (response, _) => response,
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RPCError<Types>> {
        self.call(RequestKind::Vote, &request, &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RPCError<Types>> {
        self.call(RequestKind::PreVote, &request, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse, StreamingError<Types>> {
        let send =
            snapshot_stream::send(&self.peers, self.target, &self.address, vote, snapshot, option.hard_ttl());
        let mut send = std::pin::pin!(send);
        let mut cancel = std::pin::pin!(cancel);
        let sent = std::future::poll_fn(|context| {
            if let std::task::Poll::Ready(closed) = cancel.as_mut().poll(context) {
                return std::task::Poll::Ready(Err(StreamingError::Closed(closed)));
            }
            send.as_mut().poll(context).map(|sent| sent.map_err(|error| rpc_error(error).into()))
        });
        let answer = sent.await?;
        SnapshotResponse::from_bytes(answer).map_err(|error| NetworkError::new(&error).into())
    }

    async fn transfer_leader(
        &mut self,
        request: TransferRequest,
        option: RPCOption,
    ) -> Result<TransferResponse, RPCError<Types>> {
        self.call(RequestKind::Transfer, &request, &option).await
    }
}

impl From<CallError> for io::Error {
    fn from(error: CallError) -> Self {
        io::Error::other(error.to_string())
    }
}
