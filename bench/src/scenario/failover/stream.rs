//! The producer of a kill, on a thread of its own, and when it was told of acknowledgements.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::driver::wire::client::other;
use crate::driver::wire::cluster::Cluster;
use crate::driver::wire::leader_watch::LeaderWatch;
use crate::driver::wire::stubborn::{Acknowledged, Sent, StubbornProducer, Work};
use crate::scenario::options::Driver;
use crate::system;

/// A producer that runs. Dropped, it is told to stop and nobody waits for it.
#[derive(Debug)]
pub(super) struct Stream {
    is_over: Arc<AtomicBool>,
    producer: Option<JoinHandle<io::Result<Sent>>>,
    news: Receiver<Acknowledged>,
    /// When records were acknowledged, ascending.
    times: Vec<Instant>,
}

impl Stream {
    /// Begins to send.
    pub(super) fn start(
        driver: Driver,
        cluster: &Cluster,
        work: Work,
        watch: &Arc<LeaderWatch>,
    ) -> io::Result<Self> {
        let (told, news) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = std::thread::Builder::new().name("producer".into());
        let producer = match driver {
            Driver::Wire => {
                let producer = cluster.ask_any(|client| {
                    StubbornProducer::new(client, work.clone(), Arc::clone(watch), told.clone())
                })?;
                thread.spawn(move || producer.run(&flag))?
            }
            #[cfg(feature = "librdkafka")]
            Driver::Librdkafka => {
                let addresses = cluster.addresses().to_vec();
                thread.spawn(move || super::library::run(&addresses, &work, told, &flag))?
            }
            #[cfg(not(feature = "librdkafka"))]
            Driver::Librdkafka => return Err(crate::scenario::without_librdkafka()),
        };
        Ok(Self { is_over, producer: Some(producer), news, times: Vec::new() })
    }

    /// Listens until `deadline`. Fails once the producer has failed.
    pub(super) fn go_on(&mut self, deadline: Instant) -> io::Result<()> {
        loop {
            if system::is_interrupted() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "the run was interrupted"));
            }
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.news.recv_timeout(wait) {
                Ok(acknowledged) => self.times.push(acknowledged.at),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    let ended = self.join()?;
                    return Err(other(format!("the producer ended by itself: {ended:?}")));
                }
            }
        }
    }

    /// When a record was acknowledged last.
    pub(super) fn last(&self) -> Option<Instant> {
        self.times.last().copied()
    }

    /// Stops, waits for what is under way, and says what was sent and when it was acknowledged.
    pub(super) fn finish(mut self) -> io::Result<(Sent, Vec<Instant>)> {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = self.join()?;
        self.times.extend(self.news.try_iter().map(|acknowledged| acknowledged.at));
        Ok((sent, std::mem::take(&mut self.times)))
    }

    fn join(&mut self) -> io::Result<Sent> {
        let producer = self.producer.take().ok_or_else(|| other("the producer has ended".into()))?;
        producer.join().unwrap_or_else(|_| Err(other("the producer broke".into())))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
