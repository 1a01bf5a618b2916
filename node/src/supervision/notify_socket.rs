//! The socket on which systemd is told things: a datagram of `NAME=VALUE` lines to the address in `NOTIFY_SOCKET`.
//!
//! Our own, for it is less than what a library would ask for: a path or an abstract name, one call of the kernel.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A supervisor that does not read for so long misses what it is told.
const SEND_TIME: Duration = Duration::from_secs(1);

/// Where the supervisor listens.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
    /// Whether the last attempt failed; it is told once.
    failing: AtomicBool,
}

impl NotifySocket {
    /// Of a name as it stands in `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    pub(super) fn open(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "neither a path nor an abstract name",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIME))?;
        Ok(Self { socket, address, failing: AtomicBool::new(false) })
    }

    /// Sends lines of `NAME=VALUE`.
    pub(super) fn send(&self, lines: &str) {
        let sent = self.socket.send_to_addr(lines.as_bytes(), &self.address);
        match sent {
            Ok(_) => self.failing.store(false, Ordering::Relaxed),
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "cannot tell systemd how this process is");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(listener: &UnixDatagram, socket: &NotifySocket) -> String {
        socket.send("READY=1\nSTATUS=well");
        let mut datagram = [0; 64];
        let length = listener.recv(&mut datagram).expect("it was sent");
        String::from_utf8_lossy(&datagram[..length]).into_owned()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_reached() {
        let path = std::env::temp_dir().join(format!("ringmain-notify-{}", std::process::id()));
        let listener = UnixDatagram::bind(&path).expect("the folder for temporary files can be written to");
        let socket = NotifySocket::open(path.as_os_str()).expect("a path");
        assert_eq!(received(&listener, &socket), "READY=1\nSTATUS=well");
        std::fs::remove_file(&path).expect("it is there");
        drop(listener);
        socket.send("WATCHDOG=1");
        assert!(socket.failing.load(Ordering::Relaxed), "nobody listens, and that is no reason to end");

        let name = format!("ringmain-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("short enough");
        let listener = UnixDatagram::bind_addr(&address).expect("the name is free");
        let socket = NotifySocket::open(OsStr::new(&format!("@{name}"))).expect("an abstract name");
        assert_eq!(received(&listener, &socket), "READY=1\nSTATUS=well");
        assert!(NotifySocket::open(OsStr::new("vsock:2:1234")).is_err());
    }
}
