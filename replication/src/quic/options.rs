//! The limits of the transport: times, windows, sizes; and what QUIC is told of them.

use std::{sync::Arc, time::Duration};

use quinn_proto::{AckFrequencyConfig, MtuDiscoveryConfig, TransportConfig, VarInt, congestion::CubicConfig};

/// Sessions that each side may have open on one connection: one for each pair of shards that has partitions in common, and
/// some for followers that catch up. More wait until one has ended.
pub const SESSIONS_MAX: u32 = 32;

/// What a session may have under way that its reader has not taken. At 1 ms round trip it allows 2 GB/s.
const SESSION_WINDOW_BYTES: u32 = 2 << 20;

/// What a connection may have under way. More than all its sessions together: readers that stand still take nothing from
/// the others. This much memory a connection costs at the worst, on each side.
const CONNECTION_WINDOW_BYTES: u32 = (2 * SESSIONS_MAX + 1) * SESSION_WINDOW_BYTES;

/// Bytes sent before the first acknowledgement. Nodes stand close to each other; the socket's buffer takes it.
const INITIAL_WINDOW_BYTES: u64 = 128 << 10;

/// Packets that are acknowledged together. With the usual two, acknowledgements cost a third of the CPU of bulk.
const PACKETS_PER_ACKNOWLEDGEMENT: u32 = 40;

/// How long the last packets of a burst wait for theirs.
const ACKNOWLEDGEMENT_DELAY_MAX: Duration = Duration::from_millis(2);

/// The round trip assumed before one was measured: a lost first packet is repeated after three of them.
const INITIAL_ROUND_TRIP: Duration = Duration::from_millis(30);

const _: () = assert!(CONNECTION_WINDOW_BYTES > 2 * SESSIONS_MAX * SESSION_WINDOW_BYTES);

/// What differs between a node and a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportOptions {
    /// Silence after which a peer is gone. At least five times the longest that a shard may be busy with something else.
    pub idle_timeout: Duration,
    /// Silence after which the dialling side asks for a sign of life.
    pub keep_alive_interval: Duration,
    /// Longest frame that is sent or taken.
    pub frame_bytes_max: usize,
    /// Largest datagram that is tried. What the path does not carry is found out and not used.
    pub datagram_bytes_max: u16,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            // Together less than a second from the death of a peer to its being noticed.
            idle_timeout: Duration::from_millis(700),
            keep_alive_interval: Duration::from_millis(100),
            // The largest batch that a topic can allow, and what goes around it.
            frame_bytes_max: (128 << 20) + (64 << 10),
            // Frames of 9000 bytes, less the headers of IPv6 and UDP.
            datagram_bytes_max: 8952,
        }
    }
}

/// Which side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Dialling,
    Dialled,
}

impl TransportOptions {
    pub(super) fn config(&self, side: Side) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        let idle_ms = u32::try_from(self.idle_timeout.as_millis()).unwrap_or(u32::MAX);
        config.max_idle_timeout(Some(VarInt::from_u32(idle_ms).into()));
        // One side's questions keep both sides sure: two would only wake both twice as often.
        config.keep_alive_interval((side == Side::Dialling).then_some(self.keep_alive_interval));
        config.max_concurrent_bidi_streams(SESSIONS_MAX.into());
        config.max_concurrent_uni_streams(0_u32.into());
        config.datagram_receive_buffer_size(None);
        config.stream_receive_window(SESSION_WINDOW_BYTES.into());
        config.receive_window(CONNECTION_WINDOW_BYTES.into());
        config.send_window(CONNECTION_WINDOW_BYTES.into());
        config.initial_rtt(INITIAL_ROUND_TRIP);
        config.congestion_controller_factory(Arc::new({
            let mut cubic = CubicConfig::default();
            cubic.initial_window(INITIAL_WINDOW_BYTES);
            cubic
        }));
        config.ack_frequency_config(Some({
            let mut acknowledgements = AckFrequencyConfig::default();
            acknowledgements.ack_eliciting_threshold(PACKETS_PER_ACKNOWLEDGEMENT.into());
            acknowledgements.max_ack_delay(Some(ACKNOWLEDGEMENT_DELAY_MAX));
            acknowledgements
        }));
        config.mtu_discovery_config(Some({
            let mut discovery = MtuDiscoveryConfig::default();
            discovery.upper_bound(self.datagram_bytes_max);
            discovery
        }));
        Arc::new(config)
    }
}
