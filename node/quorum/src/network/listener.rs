//! Accepts connections and reads requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringmain_replication::NodeId;

use super::Port;
use super::answers::Answers;
use super::frame::{FRAME_BYTES_MAX, Refusal, Request, read_frame, write_frame};
use crate::codec::Coded;

/// Connections at most: every node of a large cluster, twice over for those that come back before the old one is over.
const CONNECTIONS_MAX: usize = 512;
/// A handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// A request whose bytes take longer to come is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The listening side of the endpoint.
pub(crate) struct Listener {
    pub(crate) port: Port,
    pub(crate) answers: Arc<Answers>,
}

/// Counts a connection for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener {
    /// Serves until the endpoint is closed.
    pub(crate) async fn run(self) {
        let connections = Arc::new(AtomicUsize::new(0));
        while let Some(incoming) = self.port.endpoint.accept().await {
            if connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
                connections.fetch_sub(1, Ordering::Relaxed);
                incoming.refuse();
                continue;
            }
            let counted = Counted(Arc::clone(&connections));
            let (port, answers) = (self.port.clone(), Arc::clone(&self.answers));
            tokio::spawn(async move {
                serve(incoming, &port, answers).await;
                drop(counted);
            });
        }
    }
}

async fn serve(incoming: quinn::Incoming, port: &Port, answers: Arc<Answers>) {
    let from = incoming.remote_address();
    let connection = match tokio::time::timeout(HANDSHAKE_TIMEOUT, incoming).await {
        Ok(Ok(connection)) => connection,
        // One who gave up by himself, most often because this process did not run for a while.
        Ok(Err(
            error @ (quinn::ConnectionError::ConnectionClosed(_)
            | quinn::ConnectionError::ApplicationClosed(_)
            | quinn::ConnectionError::Reset),
        )) => return tracing::debug!("a connection from {from} was given up: {error}"),
        Ok(Err(error)) => return tracing::warn!("a connection from {from} was refused: {error}"),
        Err(_) => return tracing::warn!("a connection from {from} did not finish its handshake"),
    };
    let Some(node) = port.certificates.peer(connection.peer_identity()) else {
        tracing::warn!("a connection from {from} was refused: its certificate is of no node");
        return connection.close(0_u32.into(), b"the certificate is of no node");
    };
    // Ends with the connection: the peer closed it, or it is idle.
    while let Ok((send, receive)) = connection.accept_bi().await {
        tokio::spawn(answer(send, receive, node, Arc::clone(&answers)));
    }
}

async fn answer(
    mut send: quinn::SendStream,
    mut receive: quinn::RecvStream,
    node: NodeId,
    answers: Arc<Answers>,
) {
    let frame = match tokio::time::timeout(REQUEST_TIMEOUT, read_frame(&mut receive, FRAME_BYTES_MAX)).await {
        Ok(Ok(frame)) => frame,
        // Nothing was asked that could be answered; dropping the stream resets it.
        Ok(Err(error)) => return tracing::debug!("a request of node {node} did not come whole: {error}"),
        Err(_) => return tracing::debug!("a request of node {node} takes too long"),
    };
    let answer = match Request::from_bytes(frame) {
        Ok(request) => answers.answer(node, request, &mut receive).await,
        Err(error) => Err(Refusal::Malformed(error.to_string())),
    };
    if let Err(refusal) = &answer {
        tracing::debug!("a request of node {node} was refused: {refusal}");
    }
    let written = write_frame(&mut send, &answer.to_bytes()).await;
    if let Err(error) =
        written.and_then(|()| Ok(send.finish().map_err(|_| quinn::WriteError::ClosedStream)?))
    {
        tracing::debug!("an answer to node {node} could not be sent: {error}");
    }
}
