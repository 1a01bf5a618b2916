//! Connections of the admin endpoint: accepted, bounded, read and answered.
//!
//! What must hold: at most [`CONNECTIONS_MAX`] connections; a client that sends or takes nothing for [`STUCK_TIME`] loses
//! its place; a request is bounded in its head, its body and its time; a slow client never holds up another one.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::select;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::spawn_blocking,
    time::{Sleep, sleep, timeout},
};

use super::{
    AdminState, Request, Response,
    router::{self, Pace},
};

/// Several collectors and browsers, each with a few connections; and few enough descriptors.
const CONNECTIONS_MAX: usize = 64;
/// The request line and the headers that any browser sends.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Bodies are a word or two.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Time for a client to send a request or to take a part of the answer; also how long an idle connection is kept.
const STUCK_TIME: Duration = Duration::from_secs(10);
/// Requests that may wait for other nodes at the same time; fewer than there are threads, so that a scrape finds one.
const PATIENT_MAX: usize = 5;
/// How long such a request waits for its turn.
const TURN_TIME: Duration = Duration::from_secs(5);
/// Before accepting again after the system refused, which it does when descriptors are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What all connections share.
struct Shared {
    state: Arc<AdminState>,
    patient: Semaphore,
}

/// Accepts and answers until told to stop.
pub(super) async fn serve(
    socket: std::net::TcpListener,
    state: Arc<AdminState>,
    stopped: oneshot::Receiver<()>,
) {
    match TcpListener::from_std(socket) {
        Ok(listener) => {
            let shared = Arc::new(Shared { state, patient: Semaphore::new(PATIENT_MAX) });
            // Whichever ends first: the other one is dropped with the runtime.
            select(pin!(accept(listener, shared)), stopped).await;
        }
        Err(error) => tracing::error!(%error, "serve the admin endpoint"),
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut refused = false;
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                refused = false;
                let shared = shared.clone();
                tokio::spawn(async move {
                    converse(stream, peer, shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Once for each time that it begins: it may last.
                if !std::mem::replace(&mut refused, true) {
                    tracing::warn!(%error, "accept an admin connection");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(respond(request, peer, shared).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(STUCK_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Unstuck::new(stream)), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, %peer, "serve an admin connection");
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    shared: Arc<Shared>,
) -> hyper::Response<Full<Bytes>> {
    let response = match whole(request, peer).await {
        Ok(request) => answer(request, shared).await,
        Err(refusal) => refusal,
    };
    response.into_http()
}

/// Reads a request to its end.
async fn whole(request: hyper::Request<Incoming>, peer: SocketAddr) -> Result<Request, Response> {
    let (head, body) = request.into_parts();
    let body = match timeout(STUCK_TIME, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let reason = format!("a body may have {BODY_BYTES_MAX} bytes");
            return Err(Response::text(StatusCode::PAYLOAD_TOO_LARGE, reason));
        }
        Ok(Err(error)) => return Err(Response::text(StatusCode::BAD_REQUEST, error.to_string())),
        Err(_) => return Err(Response::text(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    };
    let text =
        |name| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok(Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body,
        peer,
        // In the target where a client asks as it would ask a proxy.
        host: head
            .uri
            .authority()
            .map(|it| it.to_string())
            .or_else(|| text(header::HOST))
            .unwrap_or_default(),
        accept: text(header::ACCEPT).unwrap_or_default(),
        origin: text(header::ORIGIN),
    })
}

/// Answers on a thread that may wait, when it is the request's turn.
async fn answer(request: Request, shared: Arc<Shared>) -> Response {
    let route = match router::find(&request, &shared.state) {
        Ok(route) => route,
        Err(refusal) => return refusal,
    };
    let turn = match route.pace {
        Pace::Prompt => None,
        Pace::Patient => match timeout(TURN_TIME, shared.patient.acquire()).await {
            Ok(Ok(turn)) => Some(turn),
            _ => {
                let reason = "too many requests wait for other nodes already";
                return Response::refusal(StatusCode::SERVICE_UNAVAILABLE, reason);
            }
        },
    };
    let state = shared.state.clone();
    let answered = spawn_blocking(move || router::answer(route, &request, &state)).await;
    drop(turn);
    // A panic ends the process before it gets here; what is left is the end of the runtime.
    answered.unwrap_or_else(|_| Response::text(StatusCode::SERVICE_UNAVAILABLE, "the node stops"))
}

/// A stream whose writes fail when the other side takes nothing for [`STUCK_TIME`]. Reads are bounded by what reads.
struct Unstuck {
    stream: TcpStream,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Unstuck {
    fn new(stream: TcpStream) -> Self {
        Self { stream, deadline: None }
    }

    fn bounded<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(STUCK_TIME)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Unstuck {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Unstuck {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
