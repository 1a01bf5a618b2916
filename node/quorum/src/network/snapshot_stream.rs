//! A snapshot on a stream: the request says whose vote it comes with, what it covers and how long it is; then the chunks.
//!
//! A chunk at a time is on its way beyond what the receiver has read: QUIC holds the sender back. The time allowed is for
//! each chunk, so that a large snapshot on a slow network is slow, not impossible.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::time::Instant;

use super::RequestKind;
use super::frame::{ANSWER_BYTES_MAX, StreamError, read_frame, write_frame};
use super::peers::{CallError, Peers};
use crate::codec::{Coded, DecodeError, Reader};
use crate::raft::{Snapshot, SnapshotMeta, Vote};
use crate::replica_id::{Address, ReplicaId};

/// Bytes of a chunk at most.
const CHUNK_BYTES_MAX: usize = 256 << 10;
/// Bytes of a snapshot at most: metadata of some hundred thousand partitions takes a tenth of it.
pub const SNAPSHOT_BYTES_MAX: u64 = 1 << 30;

/// The body of the request.
pub(super) struct SnapshotHead {
    pub(super) vote: Vote,
    pub(super) meta: SnapshotMeta,
    pub(super) length: u64,
}

impl Coded for SnapshotHead {
    fn encode(&self, into: &mut Vec<u8>) {
        self.vote.encode(into);
        self.meta.encode(into);
        into.put_u64(self.length);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let vote = Vote::decode(reader)?;
        let meta = SnapshotMeta::decode(reader)?;
        let length = reader.u64("the length of a snapshot")?;
        if length > SNAPSHOT_BYTES_MAX {
            return Err(DecodeError::Impossible { what: "the length of a snapshot", value: length });
        }
        Ok(Self { vote, meta, length })
    }
}

/// Sends a snapshot and waits until it is installed.
pub(super) async fn send(
    peers: &Arc<Peers>,
    to: ReplicaId,
    address: &Address,
    vote: Vote,
    snapshot: Snapshot,
    timeout: Duration,
) -> Result<Bytes, CallError> {
    let (mut send, mut receive, peer) = peers.stream(to, address, Instant::now() + timeout).await?;
    let mut data = snapshot.snapshot;
    let head = SnapshotHead { vote, meta: snapshot.meta, length: data.len() as u64 };
    let mut next = peers.request(to, RequestKind::Snapshot, head.to_bytes());
    let lost = |problem: &dyn std::fmt::Display| CallError::Lost(to, problem.to_string());
    loop {
        let sent = tokio::time::timeout(timeout, write_frame(&mut send, &next)).await;
        sent.map_err(|_| lost(&"it takes too long"))?.map_err(|error| lost(&error))?;
        if data.is_empty() {
            break;
        }
        next = data.copy_to_bytes(data.len().min(CHUNK_BYTES_MAX)).into();
    }
    // A stream that the peer has given up already ends as an error of the read.
    let _ = send.finish();
    let answer = tokio::time::timeout(timeout, read_frame(&mut receive, ANSWER_BYTES_MAX)).await;
    peer.take_answer(to, answer.map_err(|_| "it takes too long".to_owned()))
}

/// Reads the chunks of a snapshot of this length.
pub(super) async fn receive(
    stream: &mut quinn::RecvStream,
    length: u64,
    timeout: Duration,
) -> Result<Bytes, StreamError> {
    let mut data = BytesMut::new();
    while (data.len() as u64) < length {
        let chunk = tokio::time::timeout(timeout, read_frame(stream, CHUNK_BYTES_MAX))
            .await
            .map_err(|_| StreamError::Ended)??;
        if chunk.is_empty() || (data.len() + chunk.len()) as u64 > length {
            return Err(StreamError::TooLong {
                length: data.len() + chunk.len(),
                length_max: CHUNK_BYTES_MAX,
            });
        }
        data.extend_from_slice(&chunk);
    }
    Ok(data.freeze())
}
