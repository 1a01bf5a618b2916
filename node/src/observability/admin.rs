//! The admin endpoint: health and metrics over HTTP, on a thread of its own.
//!
//! What must hold: a request is at most [`REQUEST_BYTES_MAX`] long and takes at most [`REQUEST_TIME`]; one is served at
//! a time, so that whatever asks cannot take more than this thread.
//! Does not do: anything that changes the node.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::metrics;
use crate::{config::HostPort, shard::NodeShared};

/// A request line and the headers that any HTTP client sends.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// Time for a client to send its request or to take the answer.
const REQUEST_TIME: Duration = Duration::from_secs(2);
/// What Prometheus asks for.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The running endpoint.
pub(crate) struct AdminServer {
    address: std::net::SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl AdminServer {
    /// Binds and begins to serve.
    pub(crate) fn start(address: &HostPort, node: Arc<NodeShared>) -> io::Result<Self> {
        let listener = TcpListener::bind((address.host.as_str(), address.port))?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let seen = stopping.clone();
        let thread = std::thread::Builder::new().name("admin".into()).spawn(move || {
            for stream in listener.incoming() {
                if seen.load(Ordering::Acquire) {
                    return;
                }
                let served = stream.and_then(|stream| serve(stream, &node));
                if let Err(error) = served {
                    tracing::debug!(%error, "serve an admin request");
                }
            }
        })?;
        Ok(Self { address, stopping, thread })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// Ends the thread.
    pub(crate) fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        // A connection wakes it; if none can be made, the process is about to end anyway.
        if TcpStream::connect_timeout(&self.address, REQUEST_TIME).is_ok() && self.thread.join().is_err() {
            tracing::error!("the admin thread panicked");
        }
    }
}

fn serve(mut stream: TcpStream, node: &NodeShared) -> io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_TIME))?;
    stream.set_write_timeout(Some(REQUEST_TIME))?;
    let request = read_request(&mut stream)?;
    let (status, kind, body) = answer(&request, node);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// The request line.
fn read_request(stream: &mut TcpStream) -> io::Result<String> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let received = stream.read(&mut part)?;
        if received == 0 || request.len() + received > REQUEST_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        request.extend_from_slice(&part[..received]);
    }
    let text = String::from_utf8_lossy(&request);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn answer(request_line: &str, node: &NodeShared) -> (&'static str, &'static str, String) {
    let mut words = request_line.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    match (method, path) {
        // Every shard has recovered before this endpoint is bound.
        ("GET", "/healthz" | "/readyz") => ("200 OK", TEXT, "ok\n".into()),
        ("GET", "/metrics") => ("200 OK", OPENMETRICS, metrics::render(node)),
        ("GET", "/") => ("200 OK", TEXT, "Ringmain: /healthz /readyz /metrics\n".into()),
        ("GET", _) => ("404 Not Found", TEXT, "not found\n".into()),
        _ => ("405 Method Not Allowed", TEXT, "only GET\n".into()),
    }
}
