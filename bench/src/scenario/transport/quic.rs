//! Frames by the nodes' own transport: two endpoints, each on an executor of its own as on a shard.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringmain_replication::NodeId;
use ringmain_replication::quic::certificates::{Authority, IdentityFiles, IssueOptions, NodeIdentity};
use ringmain_replication::quic::{Connection, Endpoint, Session, TransportOptions};
use ringmain_storage::disk::direct::{Executor, RingOptions, sleep, spawn};

use super::settings::TransportSettings;
use super::{ANSWER, COUNT, Kind, Measured, Stopwatch, frame, latency_histogram, nanoseconds};
use crate::measure::Work;
use crate::system;

const DIALLED: NodeId = NodeId(1);
const DIALLING: NodeId = NodeId(2);

/// How often the end looks whether all has been said.
const LOOK: Duration = Duration::from_millis(1);

/// Certificates of a cluster of two, in a folder that goes with the run.
pub(super) struct Certificates {
    directory: PathBuf,
}

impl Certificates {
    pub(super) fn make() -> io::Result<Self> {
        let name = format!("ringmain-bench-transport-{}", std::process::id());
        let made = Self { directory: std::env::temp_dir().join(name) };
        let (authority, _) = Authority::create(&made.directory, "bench", 1).map_err(io::Error::other)?;
        for node in [DIALLED, DIALLING] {
            let options = IssueOptions { node, hosts: Vec::new(), valid_days: 1 };
            authority.issue(&options).map_err(io::Error::other)?;
        }
        Ok(made)
    }

    fn identity(&self, node: NodeId) -> io::Result<NodeIdentity> {
        NodeIdentity::load(&IdentityFiles::in_directory(&self.directory, node)).map_err(io::Error::other)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("cannot remove {}: {error}", self.directory.display());
        }
    }
}

/// Measures one row.
pub(super) fn measure(
    kind: Kind,
    settings: &TransportSettings,
    datagram_bytes: u16,
    certificates: &Certificates,
) -> io::Result<Measured> {
    let options = TransportOptions { datagram_bytes_max: datagram_bytes, ..TransportOptions::default() };
    let (identity, core) = (certificates.identity(DIALLED)?, settings.cores[1]);
    let (say_address, address) = mpsc::channel();
    let dialled = thread::spawn(move || {
        system::pin_thread(core)?;
        let executor = Executor::new(RingOptions::default()).map_err(io::Error::other)?;
        let ring = executor.ring().clone();
        executor.run(async move {
            let endpoint = Endpoint::bind(&ring, any_port(), identity, Arc::new(|_| true), options);
            let endpoint = endpoint.map_err(io::Error::other)?;
            say_address.send(endpoint.local_address()).map_err(io::Error::other)?;
            serve(&endpoint).await
        })
    });
    let address = address.recv().map_err(io::Error::other)?;
    let (identity, settings) = (certificates.identity(DIALLING)?, settings.clone());
    let dialling = thread::spawn(move || {
        system::pin_thread(settings.cores[0])?;
        let executor = Executor::new(RingOptions::default()).map_err(io::Error::other)?;
        let ring = executor.ring().clone();
        executor.run(async move {
            let endpoint = Endpoint::bind(&ring, any_port(), identity, Arc::new(|_| true), options);
            let endpoint = endpoint.map_err(io::Error::other)?;
            let connection = endpoint.connect(DIALLED, address).await.map_err(io::Error::other)?;
            let measured = match kind {
                Kind::Bulk => bulk(&connection, &settings).await,
                Kind::Echo => echo(&connection, &settings).await,
            };
            drop(connection);
            endpoint.stop().await;
            measured
        })
    });
    let (measured, sent) = joined(dialling)?;
    let arrived = joined(dialled)?;
    if arrived != sent {
        return Err(io::Error::other(format!("{sent} bytes were sent, {arrived} arrived")));
    }
    Ok(measured)
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn joined<T>(thread: thread::JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread.join().map_err(|_| io::Error::other("an end of the transport failed"))?
}

/// Takes the frames of one connection until it ends; returns the bytes of all.
async fn serve(endpoint: &Endpoint) -> io::Result<u64> {
    let arrived = Rc::new(Cell::new(0));
    let connection = endpoint.accept().await.ok_or_else(|| io::Error::other("nobody dialled"))?;
    while let Ok(mut session) = connection.accept_session().await {
        let arrived = arrived.clone();
        spawn(async move {
            while let Ok(Some(frame)) = session.receiver.receive().await {
                arrived.set(arrived.get() + frame.len() as u64);
                if frame.first() == Some(&ANSWER) && session.sender.send([frame]).await.is_err() {
                    return;
                }
            }
            // The word that all was taken. Who asked may be gone as soon as it has it.
            let _heard = session.sender.finish().await.is_ok();
        });
    }
    endpoint.stop().await;
    Ok(arrived.get())
}

/// Says that no more comes, and waits for the word that all was taken.
async fn finish(session: &mut Session) -> io::Result<()> {
    session.sender.finish().await.map_err(io::Error::other)?;
    match session.receiver.receive().await.map_err(io::Error::other)? {
        None => Ok(()),
        Some(_) => Err(io::Error::other("an answer that nobody asked for")),
    }
}

async fn bulk(connection: &Connection, settings: &TransportSettings) -> io::Result<(Measured, u64)> {
    let frame = Bytes::from(frame(settings.frame_bytes(), COUNT));
    let stopwatch = Rc::new(RefCell::new(Stopwatch::begin(settings.row_duration())));
    let (work, sent) = (Rc::new(Cell::new(Work::default())), Rc::new(Cell::new(0)));
    let ended: Rc<RefCell<Vec<io::Result<()>>>> = Rc::default();
    for _ in 0..settings.sessions {
        let mut session = connection.open_session().await.map_err(io::Error::other)?;
        let (frame, stopwatch, work, sent) = (frame.clone(), stopwatch.clone(), work.clone(), sent.clone());
        let ended = ended.clone();
        spawn(async move {
            let outcome: io::Result<()> = async {
                loop {
                    let counts = stopwatch.borrow_mut().counts(Instant::now())?;
                    let Some(counts) = counts else { break };
                    session.sender.send([frame.clone()]).await.map_err(io::Error::other)?;
                    sent.set(sent.get() + frame.len() as u64);
                    if counts {
                        let mut total = work.get();
                        total.add(Work { requests: 1, records: 1, bytes: frame.len() as u64 });
                        work.set(total);
                    }
                }
                finish(&mut session).await
            }
            .await;
            ended.borrow_mut().push(outcome);
        });
    }
    while ended.borrow().len() < settings.sessions as usize {
        sleep(LOOK).await;
    }
    ended.take().into_iter().collect::<io::Result<()>>()?;
    let stopwatch = Rc::into_inner(stopwatch).ok_or_else(|| io::Error::other("a session goes on"))?;
    Ok((stopwatch.into_inner().finish(work.get(), latency_histogram())?, sent.get()))
}

async fn echo(connection: &Connection, settings: &TransportSettings) -> io::Result<(Measured, u64)> {
    let frame = Bytes::from(frame(settings.question_bytes as usize, ANSWER));
    let mut session = connection.open_session().await.map_err(io::Error::other)?;
    let (mut stopwatch, mut work, mut sent) = (Stopwatch::begin(settings.row_duration()), Work::default(), 0);
    let mut latencies = latency_histogram();
    loop {
        let asked = Instant::now();
        let Some(counts) = stopwatch.counts(asked)? else { break };
        session.sender.send([frame.clone()]).await.map_err(io::Error::other)?;
        let answer = session.receiver.receive().await.map_err(io::Error::other)?;
        if answer.as_ref() != Some(&frame) {
            return Err(io::Error::other("the answer is not the question"));
        }
        sent += frame.len() as u64;
        if counts {
            latencies.saturating_record(nanoseconds(asked.elapsed()));
            work.add(Work { requests: 1, records: 1, bytes: frame.len() as u64 });
        }
    }
    finish(&mut session).await?;
    Ok((stopwatch.finish(work, latencies)?, sent))
}
