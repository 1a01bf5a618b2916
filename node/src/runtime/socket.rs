//! Non-blocking TCP sockets of one shard: receive into spare capacity, send memory and file ranges without a copy.
//!
//! What must hold: every call returns at once; where the kernel has nothing to give or take, the task waits for
//! readiness through the shard's ring. `shutdown` ends all waits.
//! Does not do: framing, limits, order of answers (`server/connection.rs`).

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use bytes::{BufMut, BytesMut};
use ringmain_storage::disk::direct::Ring;

/// Connections that the kernel queues before it drops new ones.
const LISTEN_BACKLOG: i32 = 4096;
/// Most memory ranges in one send; the kernel's limit is 1,024.
pub(crate) const SEND_RANGES_MAX: usize = 64;

/// A listening socket that shares its port with the other shards'.
pub(crate) struct Listener {
    socket: socket2::Socket,
    ring: Ring,
}

/// Binds a port that several shards listen on. Bind the first one before any shard starts, so that a port in use is
/// reported once and clearly.
pub(crate) fn bind(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM.nonblocking().cloexec(),
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Listener {
    /// Starts to listen on a bound socket.
    pub(crate) fn listen(socket: socket2::Socket, ring: Ring) -> io::Result<Self> {
        socket.listen(LISTEN_BACKLOG)?;
        Ok(Self { socket, ring })
    }

    /// Takes no more connections: [`Listener::accept`] fails from now on.
    pub(crate) fn shutdown(&self) {
        // A listening socket can be shut down unless it was before.
        if let Err(error) = self.socket.shutdown(std::net::Shutdown::Both) {
            tracing::debug!(%error, "shut the listener down");
        }
    }

    /// The next connection. An error concerns one connection or a shortage (EMFILE): back off and go on.
    pub(crate) async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        loop {
            match self.socket.accept4(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) {
                Ok((socket, address)) => {
                    let address = address
                        .as_socket()
                        .ok_or_else(|| io::Error::other("peer address is not an IP address"))?;
                    socket.set_tcp_nodelay(true)?;
                    return Ok((Socket { descriptor: socket.into(), ring: self.ring.clone() }, address));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ring.poll_readable(self.socket.as_fd()).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A connected socket. Shared by the task that receives and the one that sends.
pub(crate) struct Socket {
    descriptor: OwnedFd,
    ring: Ring,
}

impl Socket {
    /// Receives what is there into the spare capacity of `buffer`, which must have some. `None`: nothing is there yet.
    /// `Some(0)`: the peer will send no more.
    pub(crate) fn try_receive(&self, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
        let spare = buffer.spare_capacity_mut();
        assert!(!spare.is_empty(), "receive needs spare capacity: an empty buffer would look like the end");
        // SAFETY: the pointer and length describe the spare capacity, which the kernel may fill.
        let received =
            unsafe { libc::recv(self.raw(), spare.as_mut_ptr().cast(), spare.len(), libc::MSG_DONTWAIT) };
        match usize::try_from(received) {
            Ok(received) => {
                // SAFETY: the kernel initialised the first `received` bytes of the spare capacity.
                unsafe { buffer.advance_mut(received) };
                Ok(Some(received))
            }
            Err(_) => would_block(io::Error::last_os_error()),
        }
    }

    /// Waits until there is something to receive, or the connection ended.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.ring.poll_readable(self.descriptor.as_fd()).await?;
        Ok(())
    }

    /// Waits until the kernel takes more, or the connection ended.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.ring.poll_writable(self.descriptor.as_fd()).await?;
        Ok(())
    }

    /// Sends memory ranges. `None`: the kernel's buffer is full. `more_follows` keeps the last packet open for the file
    /// range that comes next.
    pub(crate) fn try_send(&self, ranges: &[IoSlice<'_>], more_follows: bool) -> io::Result<Option<usize>> {
        // SAFETY: an all-zero msghdr is valid: null pointers with zero lengths.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        // IoSlice is guaranteed to have the layout of iovec; sendmsg does not write through it.
        message.msg_iov = ranges.as_ptr().cast_mut().cast();
        message.msg_iovlen = ranges.len().min(SEND_RANGES_MAX) as _;
        let more = if more_follows { libc::MSG_MORE } else { 0 };
        // SAFETY: `message` points to `ranges`, which outlives the call; nothing is retained after it.
        let sent =
            unsafe { libc::sendmsg(self.raw(), &message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | more) };
        usize::try_from(sent).map(Some).or_else(|_| would_block(io::Error::last_os_error()))
    }

    /// Sends a range of a file straight from the page cache. `None`: the kernel's buffer is full. `Some(0)`: the file
    /// ends before the range does.
    pub(crate) fn try_send_file(
        &self,
        file: BorrowedFd<'_>,
        position: u64,
        length: usize,
    ) -> io::Result<Option<usize>> {
        let mut offset = libc::off_t::try_from(position)
            .map_err(|_| io::Error::other("file position does not fit the system's offset type"))?;
        // SAFETY: both descriptors are open for the time of the call; `offset` is a local the kernel updates.
        let sent = unsafe { libc::sendfile(self.raw(), file.as_raw_fd(), &mut offset, length) };
        usize::try_from(sent).map(Some).or_else(|_| would_block(io::Error::last_os_error()))
    }

    /// Takes no more from the peer: what it has sent can still be read, then comes the end.
    pub(crate) fn shutdown_receiving(&self) {
        // SAFETY: a plain system call on an open descriptor. The only error is that the peer has gone already.
        unsafe { libc::shutdown(self.raw(), libc::SHUT_RD) };
    }

    /// Ends both directions: every wait on this socket resolves, the peer sees the end at once.
    pub(crate) fn shutdown(&self) {
        // SAFETY: a plain system call on an open descriptor. The only error is that the peer has gone already.
        unsafe { libc::shutdown(self.raw(), libc::SHUT_RDWR) };
    }

    fn raw(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

fn would_block(error: io::Error) -> io::Result<Option<usize>> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error),
    }
}

/// A second handle to the same bound port, for another shard.
pub(crate) fn bind_again(first: &socket2::Socket) -> io::Result<socket2::Socket> {
    let address = first
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("listen address is not an IP address"))?;
    bind(address)
}
