//! A path between two nodes that drops, delays, doubles and reorders datagrams, from a seed; or repeats what it has seen.
//!
//! It stands at an address that the dialling node takes for the other node's. Runs on a thread of its own, so that what it
//! does to time is independent of the executor under test.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::Random;

/// Datagrams that it can repeat.
const SEEN_MAX: usize = 1000;

/// What happens to a datagram, in thousandths.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) dropped: u64,
    pub(crate) doubled: u64,
    pub(crate) delayed: u64,
    pub(crate) delay_max: Duration,
}

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// Set: nothing goes through any more, in either direction.
    pub(crate) cut: Arc<AtomicBool>,
    pub(crate) harmed: Arc<AtomicU64>,
    /// Set: everything that ever went to the dialled node goes there once more, from the same address.
    pub(crate) replay: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn start(to: SocketAddr, seed: u64, faults: Faults) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").expect("binds");
        let back = UdpSocket::bind("127.0.0.1:0").expect("binds");
        for socket in [&front, &back] {
            socket.set_nonblocking(true).expect("can");
        }
        let address = front.local_addr().expect("is bound");
        let (cut, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (harmed, replay) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let path = Path {
            front,
            back,
            to,
            client: None,
            random: Random(seed | 1),
            faults,
            held: BinaryHeap::new(),
            number: 0,
            cut: cut.clone(),
            harmed: harmed.clone(),
            replay: replay.clone(),
            seen: Vec::new(),
        };
        let until = stop.clone();
        let thread = Some(thread::spawn(move || path.run(&until)));
        Self { address, cut, harmed, replay, stop, thread }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let ended = self.thread.take().expect("runs until now").join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

/// A datagram that is late, by due time and then by number: its content, and whether it goes to the dialled node.
type Held = (Instant, u64, Vec<u8>, bool);

struct Path {
    front: UdpSocket,
    back: UdpSocket,
    to: SocketAddr,
    client: Option<SocketAddr>,
    random: Random,
    faults: Faults,
    held: BinaryHeap<Reverse<Held>>,
    number: u64,
    cut: Arc<AtomicBool>,
    harmed: Arc<AtomicU64>,
    replay: Arc<AtomicBool>,
    seen: Vec<Vec<u8>>,
}

impl Path {
    fn run(mut self, until: &AtomicBool) {
        let mut buffer = vec![0; 65_536];
        while !until.load(SeqCst) {
            let mut idle = true;
            while let Ok((length, from)) = self.front.recv_from(&mut buffer) {
                self.client = Some(from);
                self.pass(&buffer[..length], true);
                idle = false;
            }
            while let Ok((length, _)) = self.back.recv_from(&mut buffer) {
                self.pass(&buffer[..length], false);
                idle = false;
            }
            if self.replay.swap(false, SeqCst) {
                self.seen.iter().for_each(|bytes| self.send(bytes, true));
                self.harmed.fetch_add(self.seen.len() as u64, SeqCst);
            }
            let now = Instant::now();
            while self.held.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
                let Reverse((_, _, bytes, forth)) = self.held.pop().expect("was there");
                self.send(&bytes, forth);
            }
            if idle {
                thread::sleep(Duration::from_micros(50));
            }
        }
    }

    fn pass(&mut self, bytes: &[u8], forth: bool) {
        if forth && self.seen.len() < SEEN_MAX {
            self.seen.push(bytes.to_vec());
        }
        let chance = self.random.below(1000);
        if self.cut.load(SeqCst) || chance < self.faults.dropped {
            self.harmed.fetch_add(1, SeqCst);
            return;
        }
        let copies = if self.random.below(1000) < self.faults.doubled { 2 } else { 1 };
        for _ in 0..copies {
            if self.random.below(1000) < self.faults.delayed {
                let delay = self.random.below(self.faults.delay_max.as_micros() as u64);
                self.number += 1;
                let due = Instant::now() + Duration::from_micros(delay);
                self.held.push(Reverse((due, self.number, bytes.to_vec(), forth)));
                self.harmed.fetch_add(1, SeqCst);
            } else {
                self.send(bytes, forth);
            }
        }
    }

    fn send(&self, bytes: &[u8], forth: bool) {
        // What the kernel does not take is one more lost datagram.
        let _lost = match (forth, self.client) {
            (true, _) => self.back.send_to(bytes, self.to).is_err(),
            (false, Some(client)) => self.front.send_to(bytes, client).is_err(),
            (false, None) => true,
        };
    }
}
