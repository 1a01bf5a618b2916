//! A network between members, in user space, that can be cut in one direction, and be slow.
//!
//! Each member has a public port here; what comes in from another member goes on from a port of its own for that pair, so
//! that the way back is known. Members are told apart by the port they send from, which is the one they listen on.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;

/// Larger than any datagram of QUIC.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// See the head of the file.
pub(crate) struct Relay {
    runtime: Option<tokio::runtime::Runtime>,
    cuts: Cuts,
    delay: Delay,
    members: Members,
}

type Cuts = Arc<Mutex<HashSet<(i32, i32)>>>;
/// How long each datagram takes, in milliseconds.
type Delay = Arc<AtomicU64>;
/// Who sends from which port.
type Members = Arc<Mutex<HashMap<u16, i32>>>;

impl Relay {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().expect("a runtime");
        Self {
            runtime: Some(runtime),
            cuts: Cuts::default(),
            delay: Delay::default(),
            members: Members::default(),
        }
    }

    /// A public port for a member that listens on `port`.
    pub(crate) fn add(&self, node: i32, port: u16) -> u16 {
        self.members.lock().expect("lock").insert(port, node);
        let public = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        public.set_nonblocking(true).expect("nonblocking");
        let public_port = public.local_addr().expect("bound").port();
        let (cuts, members) = (Arc::clone(&self.cuts), Arc::clone(&self.members));
        let delay = Arc::clone(&self.delay);
        let runtime = self.runtime.as_ref().expect("alive");
        runtime.spawn(async move {
            let public = Arc::new(UdpSocket::from_std(public).expect("a socket"));
            run(node, port, public, cuts, delay, members).await;
        });
        public_port
    }

    /// Nothing from `from` reaches `to` any more.
    pub(crate) fn cut(&self, from: i32, to: i32) {
        self.cuts.lock().expect("lock").insert((from, to));
    }

    /// Nothing passes between `node` and the others.
    pub(crate) fn isolate(&self, node: i32, others: impl IntoIterator<Item = i32>) {
        for other in others.into_iter().filter(|other| *other != node) {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    /// Every datagram takes so long from now on.
    pub(crate) fn slow_down(&self, delay: Duration) {
        self.delay.store(u64::try_from(delay.as_millis()).expect("a short time"), Ordering::Relaxed);
    }

    pub(crate) fn heal(&self) {
        self.cuts.lock().expect("lock").clear();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn run(node: i32, port: u16, public: Arc<UdpSocket>, cuts: Cuts, delay: Delay, members: Members) {
    let mut pairs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((length, source)) = public.recv_from(&mut datagram).await else { continue };
        let Some(from) = members.lock().expect("lock").get(&source.port()).copied() else { continue };
        if cuts.lock().expect("lock").contains(&(from, node)) {
            continue;
        }
        let pair = match pairs.get(&source) {
            Some(pair) => Arc::clone(pair),
            None => {
                let pair = Arc::new(UdpSocket::bind(("127.0.0.1", 0)).await.expect("a port"));
                tokio::spawn(back(
                    (node, from),
                    Arc::clone(&pair),
                    Arc::clone(&public),
                    source,
                    Arc::clone(&cuts),
                    Arc::clone(&delay),
                ));
                pairs.insert(source, Arc::clone(&pair));
                pair
            }
        };
        send(&pair, &datagram[..length], SocketAddr::from(([127, 0, 0, 1], port)), &delay).await;
    }
}

async fn back(
    direction: (i32, i32),
    pair: Arc<UdpSocket>,
    public: Arc<UdpSocket>,
    to: SocketAddr,
    cuts: Cuts,
    delay: Delay,
) {
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((length, _)) = pair.recv_from(&mut datagram).await else { continue };
        if !cuts.lock().expect("lock").contains(&direction) {
            send(&public, &datagram[..length], to, &delay).await;
        }
    }
}

/// A member that is down hears nothing; that is what the test is about.
async fn send(socket: &Arc<UdpSocket>, datagram: &[u8], to: SocketAddr, delay: &Delay) {
    let delay = Duration::from_millis(delay.load(Ordering::Relaxed));
    if delay.is_zero() {
        let _ = socket.send_to(datagram, to).await;
        return;
    }
    let (socket, datagram) = (Arc::clone(socket), datagram.to_vec());
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        let _ = socket.send_to(&datagram, to).await;
    });
}
