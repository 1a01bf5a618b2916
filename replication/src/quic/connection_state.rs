//! One connection as the endpoint's task and the tasks that use it share it: QUIC's own state, and who waits for what.
//!
//! What must hold: once `gone` is set it stays, and nobody waits any more; whoever changes something that has to be sent says
//! so by `needs_drive`, or the packet waits for the next one.

use std::{collections::HashMap, task::Waker};

use quinn_proto::{Connection, Event, Side, StreamEvent, StreamId};

use super::{certificates::authenticated_peer, counters::ConnectionCounters, error::PeerGone};
use crate::NodeId;

/// A datagram that the kernel did not take.
pub(super) struct Unsent {
    pub(super) transmit: quinn_proto::Transmit,
    pub(super) bytes: Vec<u8>,
}

/// What a turn of a connection changed for those outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// Both sides have accepted each other.
    Established,
    /// It ended after that.
    Ended,
    /// It ended before.
    Refused,
}

pub(super) struct ConnectionState {
    pub(super) quic: Connection,
    pub(super) needs_drive: bool,
    pub(super) unsent: Option<Unsent>,
    handshake_done: bool,
    /// The node at the other end; known when the connection is established.
    peer: Option<NodeId>,
    gone: Option<PeerGone>,
    readers: HashMap<StreamId, Waker>,
    writers: HashMap<StreamId, Waker>,
    /// Those that wait for the connection itself: established, a session, the end.
    watchers: Vec<Waker>,
    pub(super) sessions: u64,
    pub(super) frames_sent: u64,
    pub(super) frames_received: u64,
}

impl ConnectionState {
    pub(super) fn new(quic: Connection) -> Self {
        Self {
            quic,
            needs_drive: true,
            unsent: None,
            handshake_done: false,
            peer: None,
            gone: None,
            readers: HashMap::new(),
            writers: HashMap::new(),
            watchers: Vec::new(),
            sessions: 0,
            frames_sent: 0,
            frames_received: 0,
        }
    }

    /// The peer once both sides have accepted each other.
    pub(super) fn peer(&self) -> Option<NodeId> {
        self.peer
    }

    pub(super) fn gone(&self) -> Option<&PeerGone> {
        self.gone.as_ref()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// Wakes this task when anything about the connection itself changes.
    pub(super) fn watch(&mut self, waker: &Waker) {
        if !self.watchers.iter().any(|watcher| watcher.will_wake(waker)) {
            self.watchers.push(waker.clone());
        }
    }

    pub(super) fn wait_to_read(&mut self, stream: StreamId, waker: &Waker) {
        self.readers.insert(stream, waker.clone());
    }

    pub(super) fn wait_to_write(&mut self, stream: StreamId, waker: &Waker) {
        self.writers.insert(stream, waker.clone());
    }

    /// Takes what QUIC has to tell.
    pub(super) fn take_events(&mut self) -> Change {
        let mut change = Change::None;
        while let Some(event) = self.quic.poll() {
            match event {
                Event::Connected => self.handshake_done = true,
                Event::ConnectionLost { reason } => change = self.end(reason.into()),
                Event::Stream(StreamEvent::Readable { id }) => wake(self.readers.remove(&id)),
                Event::Stream(
                    StreamEvent::Writable { id }
                    | StreamEvent::Finished { id }
                    | StreamEvent::Stopped { id, .. },
                ) => wake(self.writers.remove(&id)),
                Event::Stream(StreamEvent::Opened { .. } | StreamEvent::Available { .. }) => {
                    self.wake_watchers();
                }
                Event::HandshakeDataReady | Event::DatagramReceived | Event::DatagramsUnblocked => {}
            }
        }
        if self.is_newly_established() { self.establish() } else { change }
    }

    fn is_newly_established(&self) -> bool {
        if !self.handshake_done || self.peer.is_some() || self.is_gone() {
            return false;
        }
        // The dialled side is done when it has found the dialling side's certificate to be good. The dialling side is done with
        // its own part before that, and would take a refusal for the end of a good connection: it waits for the word.
        self.quic.side() == Side::Server || self.quic.stats().frame_rx.handshake_done > 0
    }

    fn establish(&mut self) -> Change {
        self.peer = authenticated_peer(self.quic.crypto_session().peer_identity());
        if self.peer.is_none() {
            // The handshake does not end without a certificate that was read once already.
            return self.end(PeerGone::Failed("the peer's certificate cannot be read".to_owned()));
        }
        self.wake_watchers();
        Change::Established
    }

    /// Marks it as ended; everybody who waits learns it.
    pub(super) fn end(&mut self, reason: PeerGone) -> Change {
        if self.is_gone() {
            return Change::None;
        }
        self.gone = Some(reason);
        self.wake_watchers();
        self.readers.drain().chain(self.writers.drain()).for_each(|(_, waker)| waker.wake());
        if self.peer.is_some() { Change::Ended } else { Change::Refused }
    }

    fn wake_watchers(&mut self) {
        self.watchers.drain(..).for_each(Waker::wake);
    }

    pub(super) fn counters(&self) -> ConnectionCounters {
        let stats = self.quic.stats();
        ConnectionCounters {
            bytes_sent: stats.udp_tx.bytes,
            bytes_received: stats.udp_rx.bytes,
            packets_sent: stats.path.sent_packets,
            packets_lost: stats.path.lost_packets,
            congestion_events: stats.path.congestion_events,
            congestion_window_bytes: stats.path.cwnd,
            round_trip: stats.path.rtt,
            datagram_bytes_max: stats.path.current_mtu,
            sessions: self.sessions,
            frames_sent: self.frames_sent,
            frames_received: self.frames_received,
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
