//! Ports for the servers under test.
//!
//! A port that the kernel draws for a listener that is closed again is soon drawn for somebody's outgoing connection, and
//! the server that was to listen there cannot. What must hold: nobody gets these ports by chance, because they lie below
//! the range from which the kernel draws (`net.ipv4.ip_local_port_range`, 32768 and above unless it was changed); no two
//! callers of one process get the same; processes that run side by side begin at different places.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below it lie the ports of well-known services.
const FIRST: u16 = 10_000;
/// Up to where the kernel begins to draw.
const COUNT: u16 = 22_000;
/// Ports that one process may take before it meets those of the next.
const EACH: u32 = 101;

/// An address on loopback that nobody listens on, and that nobody else is given.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        let begin = std::process::id().wrapping_mul(EACH) % u32::from(COUNT);
        AtomicU16::new(u16::try_from(begin).expect("it is below the count"))
    });
    for _ in 0..COUNT {
        let number =
            next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| Some((number + 1) % COUNT));
        let number = number.expect("the update always has a value");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + number));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of loopback is free");
}
