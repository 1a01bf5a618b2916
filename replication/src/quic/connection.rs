//! A connection to another node: sessions in both directions, and its end.
//!
//! What must hold: a connection that nobody holds any more is closed; sessions hold it.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
};

use quinn_proto::{ConnectionHandle, Dir, StreamId};

use super::{
    connection_state::ConnectionState,
    counters::ConnectionCounters,
    driver::{EndpointState, SharedConnection},
    error::{EndCode, PeerGone},
    session::Session,
};
use crate::NodeId;

/// A connection to a node of this cluster. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Connection(Rc<Held>);

struct Held {
    endpoint: Rc<RefCell<EndpointState>>,
    handle: ConnectionHandle,
    state: SharedConnection,
    frame_bytes_max: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.endpoint.borrow_mut().close(self.handle, &self.state, EndCode::NOT_NEEDED);
    }
}

impl Connection {
    pub(super) fn new(
        endpoint: Rc<RefCell<EndpointState>>,
        handle: ConnectionHandle,
        state: SharedConnection,
        frame_bytes_max: usize,
    ) -> Self {
        Self(Rc::new(Held { endpoint, handle, state, frame_bytes_max }))
    }

    /// The node at the other end, as its certificate says.
    pub fn peer(&self) -> NodeId {
        self.0.state.borrow().peer().expect("a connection is handed out when its peer is known")
    }

    /// What it has done so far.
    pub fn counters(&self) -> ConnectionCounters {
        self.0.state.borrow().counters()
    }

    /// Whether it has ended, and why.
    pub fn gone(&self) -> Option<PeerGone> {
        self.0.state.borrow().gone().cloned()
    }

    /// Waits for its end.
    pub async fn closed(&self) -> PeerGone {
        poll_fn(|context| {
            let state = &mut *self.0.state.borrow_mut();
            match state.gone() {
                Some(reason) => Poll::Ready(reason.clone()),
                None => {
                    state.watch(context.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Begins a session; waits while too many are open, until some of them have ended. The peer hears of it by the first
    /// frame.
    pub async fn open_session(&self) -> Result<Session, PeerGone> {
        let stream = self.next_stream(|state| state.quic.streams().open(Dir::Bi)).await?;
        Ok(Session::new(self.clone(), stream, self.0.frame_bytes_max))
    }

    /// The next session that the peer began.
    pub async fn accept_session(&self) -> Result<Session, PeerGone> {
        let stream = self.next_stream(|state| state.quic.streams().accept(Dir::Bi)).await?;
        Ok(Session::new(self.clone(), stream, self.0.frame_bytes_max))
    }

    async fn next_stream(
        &self,
        take: impl Fn(&mut ConnectionState) -> Option<StreamId>,
    ) -> Result<StreamId, PeerGone> {
        poll_fn(|context| {
            self.poll_with(|state| match take(state) {
                Some(stream) => {
                    state.sessions += 1;
                    Poll::Ready(Ok(stream))
                }
                None => {
                    state.watch(context.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// Ends the connection for all who use it.
    pub fn close(&self, code: EndCode) {
        self.0.endpoint.borrow_mut().close(self.0.handle, &self.0.state, code);
    }

    /// Waits until both sides have accepted each other.
    pub(super) async fn established(&self) -> Result<(), PeerGone> {
        poll_fn(|context: &mut Context<'_>| {
            self.poll_with(|state| {
                if state.peer().is_some() {
                    return Poll::Ready(Ok(()));
                }
                state.watch(context.waker());
                Poll::Pending
            })
        })
        .await
    }

    /// Does something to the connection while it lasts.
    pub(super) fn poll_with<T, E: From<PeerGone>>(
        &self,
        act: impl FnOnce(&mut ConnectionState) -> Poll<Result<T, E>>,
    ) -> Poll<Result<T, E>> {
        let state = &mut *self.0.state.borrow_mut();
        match state.gone() {
            Some(reason) => Poll::Ready(Err(reason.clone().into())),
            None => act(state),
        }
    }

    /// Does something to the connection whether it lasts or not.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut ConnectionState) -> T) -> T {
        act(&mut self.0.state.borrow_mut())
    }

    /// Has what was changed sent.
    pub(super) fn ring(&self) {
        self.0.state.borrow_mut().needs_drive = true;
        self.0.endpoint.borrow_mut().ring();
    }
}
