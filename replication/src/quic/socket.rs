//! A UDP socket of one shard: many datagrams with one call in both directions, readiness through the shard's ring.
//!
//! What must hold: every call returns at once; the port belongs to this socket alone (no SO_REUSEPORT: the kernel would give
//! a connection's packets to any shard).

use std::{
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
};

use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

/// What the kernel may hold for us: the most that arrives while a shard is busy for some milliseconds. The system may allow
/// less (net.core.rmem_max); then such moments cost lost packets, which QUIC repeats.
const BUFFER_BYTES: usize = 4 << 20;

/// Buffers for one call. Each takes what the kernel merged into one: up to 64 KiB of one peer's datagrams.
const RECEIVE_BUFFERS: usize = 8;

/// The longest that UDP can carry, merged or not.
const RECEIVE_BUFFER_BYTES: usize = 64 << 10;

/// The longest that one call can send, however many datagrams it is cut into.
const SEND_BYTES_MAX: usize = 65_507;

pub(super) struct PeerSocket {
    socket: UdpSocket,
    state: UdpSocketState,
}

/// Where datagrams arrive, before they are taken apart.
pub(super) struct ReceiveBuffers {
    memory: Vec<Box<[u8]>>,
    described: [RecvMeta; RECEIVE_BUFFERS],
}

/// One or more datagrams of one sender, of equal lengths but for the last.
pub(super) struct Received<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: Option<std::net::IpAddr>,
    pub(super) congestion: Option<quinn_proto::EcnCodepoint>,
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
}

impl ReceiveBuffers {
    pub(super) fn new() -> Self {
        let memory = (0..RECEIVE_BUFFERS).map(|_| vec![0; RECEIVE_BUFFER_BYTES].into()).collect();
        Self { memory, described: [RecvMeta::default(); RECEIVE_BUFFERS] }
    }

    /// What the first `filled` buffers hold.
    pub(super) fn received(&self, filled: usize) -> impl Iterator<Item = Received<'_>> {
        self.described[..filled].iter().zip(&self.memory).map(|(about, memory)| Received {
            from: about.addr,
            to: about.dst_ip,
            congestion: about.ecn.and_then(|ecn| quinn_proto::EcnCodepoint::from_bits(ecn as u8)),
            bytes: &memory[..about.len],
            // Zero only for an empty datagram, which has nothing to be cut.
            stride: about.stride.max(1),
        })
    }
}

impl PeerSocket {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        // Whatever the system allows is good enough to work.
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket.set_send_buffer_size(BUFFER_BYTES)?;
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What the kernel really holds for us.
    pub(super) fn receive_buffer_bytes(&self) -> io::Result<usize> {
        self.state.recv_buffer_size((&self.socket).into())
    }

    /// Whether packets could be cut on their way, which would make the search for the longest one meaningless.
    pub(super) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    /// Datagrams of `length` bytes that one call can send.
    pub(super) fn datagrams_per_send(&self, length: u16) -> usize {
        // Beyond the cap the call would fail for all of them.
        self.state.max_gso_segments().min(SEND_BYTES_MAX / usize::from(length.max(1))).max(1)
    }

    /// Receives what is there. `None`: nothing is. Fewer buffers filled than there are: nothing is left.
    pub(super) fn try_receive(&self, buffers: &mut ReceiveBuffers) -> io::Result<Option<usize>> {
        let mut memory = buffers.memory.iter_mut();
        let mut slices: [IoSliceMut<'_>; RECEIVE_BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(memory.next().map_or(&mut [], |slice| &mut slice[..])));
        match self.state.recv((&self.socket).into(), &mut slices, &mut buffers.described) {
            Ok(filled) => Ok(Some(filled)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends datagrams. `false`: the kernel takes no more now.
    pub(super) fn try_send(&self, transmit: &quinn_proto::Transmit, bytes: &[u8]) -> io::Result<bool> {
        let transmit = Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
            contents: &bytes[..transmit.size],
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        match self.state.try_send((&self.socket).into(), &transmit) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl ReceiveBuffers {
    pub(super) fn is_full(filled: usize) -> bool {
        filled == RECEIVE_BUFFERS
    }
}

impl AsFd for PeerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
