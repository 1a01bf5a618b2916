//! The admin endpoint: health, metrics, the API and the console over HTTP, on threads of its own.
//!
//! What must hold: whatever asks here never runs on a shard's core but for counters that the shard is asked for; a slow
//! or hostile client takes one of [`listener`]'s bounded places and nothing else; it is bound before recovery begins, so
//! that "alive" and "ready" can be told apart; nothing here changes the node unless `admin.writable` says so.
//! Does not do: what is measured (`observability`), what clients of Kafka ask (`handlers`).

mod health;
mod listener;
mod request;
mod response;
mod router;

use std::{io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::{runtime, sync::oneshot};

pub(crate) use request::Request;
pub(crate) use response::Response;

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
}

/// The running endpoint.
pub(crate) struct AdminServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
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
        let state = Arc::new(AdminState { node, address });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("admin".into()).spawn(move || {
            runtime.block_on(listener::serve(socket, state, stopped));
            runtime.shutdown_timeout(STOP_TIME);
        })?;
        Ok(Self { address, stop, thread })
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
        if self.thread.join().is_err() {
            tracing::error!("the admin thread panicked");
        }
    }
}
