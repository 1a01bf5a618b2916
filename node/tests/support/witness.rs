//! A client that behaves well while others do not: it writes and reads all the time, and notices every disturbance.

use super::frames::{self, Connection};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Pause between two rounds: the witness must not be what keeps the machine busy.
const PAUSE: Duration = Duration::from_millis(2);

/// A client in a thread of its own. Every round appends one batch and reads it back at its offset.
pub(crate) struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Witness {
    /// Creates a topic and begins.
    pub(crate) fn start(address: SocketAddr, topic: &str) -> Self {
        frames::create_topic(address, topic, 1, &[]);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, topic) = (Arc::clone(&stop), topic.to_owned());
        let thread = std::thread::spawn(move || {
            let mut connection = Connection::open(address).expect("the server accepts");
            let mut rounds = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let value = format!("round {}", rounds.len());
                let batch = frames::batch(&[value.as_bytes()]);
                let begin = Instant::now();
                let answer = connection.ask(&frames::produce(1, &topic, 0, -1, &batch));
                let (error, offset) = frames::produced(&answer);
                assert_eq!(error, 0, "the witness' produce fails");
                assert_eq!(
                    offset,
                    i64::try_from(rounds.len()).expect("few"),
                    "the witness' offsets have a gap"
                );
                let request = frames::fetch(2, &topic, offset, Duration::from_secs(1), 1 << 20);
                let fetched = frames::fetched(&connection.ask(&request));
                assert_eq!(fetched.error, 0, "the witness' fetch fails");
                let found = frames::batches(&fetched.records);
                let (base, read) = found.first().expect("what was acknowledged can be read");
                // All but the offset and the leader's epoch is as it was sent.
                assert!(*base == offset && read[16..] == batch[16..], "the witness reads other bytes");
                rounds.push(begin.elapsed());
                std::thread::sleep(PAUSE);
            }
            rounds
        });
        Self { stop, thread }
    }

    /// Ends it; panics if it met any error. What it saw.
    pub(crate) fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut rounds = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert!(!rounds.is_empty(), "the witness did not get to do anything");
        rounds.sort_unstable();
        let at = |numerator: usize| rounds[(rounds.len() - 1) * numerator / 1_000];
        Seen { rounds: rounds.len(), median: at(500), p99: at(990), worst: at(1_000) }
    }
}

/// How long the rounds of a witness took.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) rounds: usize,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) worst: Duration,
}
