//! What the transport has done, as plain numbers; the node knows how they are exported.

use std::time::Duration;

/// Of one endpoint since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointCounters {
    /// System calls that received something.
    pub receive_calls: u64,
    /// Datagrams that arrived, whoever sent them.
    pub datagrams_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Datagrams that belonged to no connection and began none: old, replayed, or no QUIC at all.
    pub datagrams_ignored: u64,
    /// System calls that sent something.
    pub send_calls: u64,
    /// Datagrams that were sent.
    pub datagrams_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Times that the kernel took no more.
    pub sends_delayed: u64,
    /// Sends that failed; QUIC takes them for lost packets.
    pub sends_failed: u64,
    /// Times that the shard's thread came so late that its peers had to be asked before they could be taken for gone.
    pub stalls: u64,
    /// Connections that came about, in both directions.
    pub connections_established: u64,
    /// Those that did not: refused by one side, or never answered.
    pub connections_refused: u64,
    /// Established connections that ended.
    pub connections_ended: u64,
    /// Of those, the ones whose peer fell silent.
    pub peers_silent: u64,
}

/// Of all connections with one node: what was counted since the endpoint's start, and how the open ones are now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerCounters {
    /// Bytes sent in datagrams.
    pub bytes_sent: u64,
    /// Bytes received in datagrams.
    pub bytes_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets that were not acknowledged, and whose content was sent again.
    pub packets_lost: u64,
    /// Times that the rate was taken back.
    pub congestion_events: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Bytes that may be under way now on all of them.
    pub congestion_window_bytes: u64,
    /// The longest of their round trips, smoothed.
    pub round_trip: Duration,
}

impl PeerCounters {
    /// One more connection, which is open.
    pub(super) fn add_open(&mut self, connection: &ConnectionCounters) {
        self.add_ended(connection);
        self.connections += 1;
        self.congestion_window_bytes += connection.congestion_window_bytes;
        self.round_trip = self.round_trip.max(connection.round_trip);
    }

    /// What one that has ended did while it was open.
    pub(super) fn add_ended(&mut self, connection: &ConnectionCounters) {
        self.bytes_sent += connection.bytes_sent;
        self.bytes_received += connection.bytes_received;
        self.packets_sent += connection.packets_sent;
        self.packets_lost += connection.packets_lost;
        self.congestion_events += connection.congestion_events;
    }
}

/// Of one connection now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionCounters {
    /// Bytes sent in datagrams.
    pub bytes_sent: u64,
    /// Bytes received in datagrams.
    pub bytes_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets that were not acknowledged, and whose content was sent again.
    pub packets_lost: u64,
    /// Times that the rate was taken back.
    pub congestion_events: u64,
    /// Bytes that may be under way now.
    pub congestion_window_bytes: u64,
    /// Round trip, smoothed.
    pub round_trip: Duration,
    /// Largest datagram that the path carries, as far as is known.
    pub datagram_bytes_max: u16,
    /// Sessions that are open.
    pub sessions: u64,
    /// Frames handed over to be sent.
    pub frames_sent: u64,
    /// Frames that arrived whole.
    pub frames_received: u64,
}
