//! Producers that send as much as they may until the server fails.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use ringmain_storage::disk::simulated::Random;

use super::{client::Client, ledger::Ledger};

/// As real clients do.
const REQUESTS_IN_FLIGHT_MAX: usize = 5;
/// Bytes that all producers send in one life of the server: the disk is small and everything is read back each time.
const BYTES_MAX: usize = 8 << 20;

/// Some producers and what they share.
pub(crate) struct Producers {
    threads: Vec<JoinHandle<io::Result<()>>>,
    acknowledged: Arc<AtomicUsize>,
}

impl Producers {
    pub(crate) fn start(
        count: u64,
        address: SocketAddr,
        topic: &str,
        ledger: &Arc<Mutex<Ledger>>,
        seed: u64,
    ) -> Producers {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let sent_bytes = Arc::new(AtomicUsize::new(0));
        let thread = |number| {
            let (topic, ledger) = (topic.to_owned(), ledger.clone());
            let (acknowledged, sent_bytes) = (acknowledged.clone(), sent_bytes.clone());
            let mut random = Random::new(seed ^ number);
            thread::spawn(move || produce(address, &topic, &ledger, &mut random, &acknowledged, &sent_bytes))
        };
        Producers { threads: (0..count).map(thread).collect(), acknowledged }
    }

    /// Batches that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(crate) fn are_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for all; the first reason why one ended early.
    pub(crate) fn join(self) -> io::Result<()> {
        let results =
            self.threads.into_iter().map(|thread| thread.join().expect("a producer does not panic"));
        results.fold(Ok(()), io::Result::and)
    }
}

fn produce(
    address: SocketAddr,
    topic: &str,
    ledger: &Mutex<Ledger>,
    random: &mut Random,
    acknowledged: &AtomicUsize,
    sent_bytes: &AtomicUsize,
) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    let mut in_flight = VecDeque::new();
    loop {
        let may_send = sent_bytes.load(Ordering::Relaxed) < BYTES_MAX;
        if may_send && in_flight.len() < REQUESTS_IN_FLIGHT_MAX {
            let batch = ledger.lock().expect("nobody panics with the ledger").next_batch(random);
            sent_bytes.fetch_add(batch.bytes.len(), Ordering::Relaxed);
            client.send_produce(topic, batch.partition, &batch.bytes)?;
            in_flight.push_back(batch);
            continue;
        }
        let Some(batch) = in_flight.pop_front() else { return Ok(()) };
        let base_offset = client.receive_produce()?;
        ledger.lock().expect("nobody panics with the ledger").acknowledged(&batch, base_offset);
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}
