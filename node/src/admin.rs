//! The admin endpoint: health, metrics, the API and the console over HTTP, on threads of its own.
//!
//! What must hold: whatever asks here never runs on a shard's core but for counters that the shard is asked for; a slow
//! or hostile client takes one of [`listener`]'s bounded places and nothing else; it is bound before recovery begins, so
//! that "alive" and "ready" can be told apart; nothing here changes the node unless `admin.writable` says so.
//! Does not do: what is measured (`observability`), what clients of Kafka ask (`handlers`).

mod api;
mod browse;
mod health;
mod history;
mod listener;
mod log_level;
mod measured;
mod page;
mod reach;
mod request;
mod response;
mod router;
mod standing;
mod survey;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{runtime, sync::oneshot};

pub(crate) use request::Request;
pub(crate) use response::Response;

use self::{history::History, survey::Survey};
use crate::{config::HostPort, shard::NodeShared};

/// Threads for requests that wait: for shards, for other nodes.
const WAITING_THREADS_MAX: usize = 8;
/// How long a stop waits for requests that are being answered.
const STOP_TIME: Duration = Duration::from_millis(200);

/// What every request may look at.
pub(crate) struct AdminState {
    pub(crate) node: Arc<NodeShared>,
    /// Where the endpoint is bound.
    address: SocketAddr,
    survey: Arc<Survey>,
    history: Arc<History>,
}

/// The running endpoint.
pub(crate) struct AdminServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    /// Dropped, it ends the thread that samples.
    sampling: mpsc::Sender<()>,
    sampler: JoinHandle<()>,
}

impl AdminServer {
    /// Binds and begins to serve.
    pub(crate) fn start(address: &HostPort, node: Arc<NodeShared>) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind((address.host.as_str(), address.port))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(WAITING_THREADS_MAX)
            .thread_name("admin-wait")
            .build()?;
        let (survey, history) = (Survey::new(node.clone()), Arc::new(History::default()));
        let (sampling, sampled) = mpsc::channel();
        let sampler = history::start(history.clone(), node.clone(), survey.clone(), sampled)?;
        let state = Arc::new(AdminState { node, address, survey, history });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("admin".into()).spawn(move || {
            runtime.block_on(listener::serve(socket, state, stopped));
            runtime.shutdown_timeout(STOP_TIME);
        })?;
        Ok(Self { address, stop, thread, sampling, sampler })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the threads.
    pub(crate) fn stop(self) {
        // The only failure is that it has ended already.
        if self.stop.send(()).is_err() {
            tracing::debug!("the admin thread had ended before it was told to");
        }
        drop(self.sampling);
        if self.thread.join().is_err() || self.sampler.join().is_err() {
            tracing::error!("an admin thread panicked");
        }
    }
}
