//! Who leads a partition, asked of all nodes again and again while it is wanted.
//!
//! A thread for each node, so that a dead or silent one holds up nobody. A client that people run asks
//! less often and waits between: here the cluster is measured, and nobody's back-off.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::driver::wire::client::Client;
use crate::driver::wire::cluster::ClusterView;

/// Time from one question to the next; the resolution of when a new leader was known.
const ASK_INTERVAL: Duration = Duration::from_millis(5);
/// How soon watchers notice that they are wanted.
const IDLE_INTERVAL: Duration = Duration::from_millis(2);
/// A node that says nothing for so long is asked anew on another connection.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// Who wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The producer, which lost its leader.
    Producer = 1,
    /// The scenario, which took the leader away.
    Scenario = 2,
}

/// A leadership, and when it was heard of first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) node: i32,
    pub(crate) address: SocketAddr,
    pub(crate) epoch: i32,
    pub(crate) heard_at: Instant,
}

#[derive(Debug)]
struct Shared {
    topic: String,
    partition: i32,
    /// Bits of those who want to know.
    askers: AtomicU8,
    is_over: AtomicBool,
    newest: Mutex<Option<Leadership>>,
}

/// The watchers. They end with this value.
#[derive(Debug)]
pub(crate) struct LeaderWatch {
    shared: Arc<Shared>,
    watchers: Vec<JoinHandle<()>>,
}

impl LeaderWatch {
    /// Begins to ask.
    pub(crate) fn start(addresses: &[SocketAddr], topic: &str, partition: i32) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            topic: topic.to_owned(),
            partition,
            askers: AtomicU8::new(0),
            is_over: AtomicBool::new(false),
            newest: Mutex::new(None),
        });
        let mut watch = Self { shared, watchers: Vec::new() };
        for address in addresses {
            let (shared, address) = (Arc::clone(&watch.shared), *address);
            let watcher = std::thread::Builder::new().name(format!("watch {address}"));
            watch.watchers.push(watcher.spawn(move || shared.watch(address))?);
        }
        Ok(watch)
    }

    /// Whether to ask; while nothing is wrong nobody needs to know.
    pub(crate) fn want(&self, asker: Asker, wants: bool) {
        if wants {
            self.shared.askers.fetch_or(asker as u8, Ordering::Relaxed);
        } else {
            self.shared.askers.fetch_and(!(asker as u8), Ordering::Relaxed);
        }
    }

    /// The newest leadership that anybody told of.
    pub(crate) fn newest(&self) -> Option<Leadership> {
        *self.shared.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LeaderWatch {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for watcher in self.watchers.drain(..) {
            // A watcher that panicked has said so, and the run goes on without it.
            let _ended = watcher.join();
        }
    }
}

impl Shared {
    fn watch(&self, address: SocketAddr) {
        let mut client = None;
        while !self.is_over.load(Ordering::Relaxed) {
            if self.askers.load(Ordering::Relaxed) == 0 {
                std::thread::sleep(IDLE_INTERVAL);
                continue;
            }
            // A node that is down is what this is about; it is asked again.
            client = self.ask(client.take(), address).ok();
            std::thread::sleep(ASK_INTERVAL);
        }
    }

    fn ask(&self, client: Option<Client>, address: SocketAddr) -> io::Result<Client> {
        let mut client = match client {
            Some(client) => client,
            None => Client::connect_within(address, ANSWER_MAX)?,
        };
        let view = ClusterView::ask(&mut client, &self.topic)?;
        if let Some((partition, address)) = view.leader_of(self.partition) {
            let Some(node) = partition.leader else { return Ok(client) };
            let found = Leadership { node, address, epoch: partition.leader_epoch, heard_at: Instant::now() };
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if newest.is_none_or(|known| known.epoch < found.epoch) {
                *newest = Some(found);
            }
        }
        Ok(client)
    }
}
