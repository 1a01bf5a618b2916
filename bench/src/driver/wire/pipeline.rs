//! One connection that keeps a fixed number of Produce requests in flight, without blocking.
//!
//! The requests lie encoded behind one another in a ring of as many frames as may be in flight: a
//! free frame is patched in place and neighbours go out in one system call, so a request costs this
//! side no copy. Answers come in the order of the requests, so a frame is free again when its
//! answer has come; without answers (acks=0), when it was written.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use ringmain_protocol::frame::{FRAME_LENGTH_BYTES, parse_frame_length};

use crate::driver::wire::client::other;
use crate::driver::wire::produce_frame::{ProduceAnswer, ProduceFrame};

/// Answers to Produce requests have some 60 bytes; this holds those of a thousand.
const INBOX_BYTES: usize = 64 << 10;

/// A connection and the requests under way on it.
///
/// Invariant: `answered <= written <= pushed <= answered + depth`, where `written` counts the
/// frames that were written wholly.
#[derive(Debug)]
pub(crate) struct Pipeline {
    stream: TcpStream,
    ring: Vec<u8>,
    frame_size: usize,
    depth: usize,
    /// Requests that were given to this connection so far.
    pushed: u64,
    /// Bytes of them that the kernel took.
    written_bytes: u64,
    /// Requests that are done.
    answered: u64,
    /// When the request in each frame of the ring began.
    began: Vec<Instant>,
    inbox: Vec<u8>,
    inbox_filled: usize,
}

impl Pipeline {
    /// Connects; up to `depth` requests will be in flight.
    pub(crate) fn connect(address: SocketAddr, frame: &ProduceFrame, depth: usize) -> io::Result<Self> {
        assert!(depth > 0, "a pipeline carries something");
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            ring: frame.bytes().repeat(depth),
            frame_size: frame.bytes().len(),
            depth,
            pushed: 0,
            written_bytes: 0,
            answered: 0,
            began: vec![Instant::now(); depth],
            inbox: vec![0; INBOX_BYTES],
            inbox_filled: 0,
        })
    }

    /// To wait for it.
    pub(crate) fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Whether another request may be pushed.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight() < self.depth as u64
    }

    /// Requests pushed and not done.
    pub(crate) fn in_flight(&self) -> u64 {
        self.pushed - self.answered
    }

    /// Whether the kernel did not take everything.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.written_bytes < self.pushed * self.frame_size as u64
    }

    /// Adds a request to `partition` that counts as begun at `began`. It is sent by [`write`](Self::write).
    pub(crate) fn push(&mut self, frame: &ProduceFrame, partition: i32, began: Instant) {
        assert!(self.has_room(), "the caller asked whether there is room");
        let slot = self.slot(self.pushed);
        let range = slot * self.frame_size..(slot + 1) * self.frame_size;
        frame.patch(&mut self.ring[range], correlation_id(self.pushed), partition);
        self.began[slot] = began;
        self.pushed += 1;
    }

    /// Writes what was pushed, as far as the kernel takes it.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let ring_size = self.ring.len() as u64;
        let end = self.pushed * self.frame_size as u64;
        while self.written_bytes < end {
            let from = self.written_bytes % ring_size;
            let until = ring_size.min(from + (end - self.written_bytes));
            match self.stream.write(&self.ring[from as usize..until as usize]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written_bytes += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes the requests that were written wholly as done: there will be no answer.
    pub(crate) fn retire_written(&mut self, mut done: impl FnMut()) {
        let written = self.written_bytes / self.frame_size as u64;
        while self.answered < written {
            done();
            self.answered += 1;
        }
    }

    /// Reads answers that have come; `done` is told when each of their requests began.
    pub(crate) fn read(&mut self, answer: &ProduceAnswer, mut done: impl FnMut(Instant)) -> io::Result<()> {
        let count = match self.stream.read(&mut self.inbox[self.inbox_filled..]) {
            Ok(0) => return Err(other("the broker closed the connection".into())),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.inbox_filled += count;
        let mut at = 0;
        while let Some(size) = frame_size(&self.inbox[at..self.inbox_filled])? {
            if self.in_flight() == 0 {
                return Err(other("an answer came that nobody waits for".into()));
            }
            answer.check(&self.inbox[at..at + size], correlation_id(self.answered))?;
            done(self.began[self.slot(self.answered)]);
            self.answered += 1;
            at += size;
        }
        self.inbox.copy_within(at..self.inbox_filled, 0);
        self.inbox_filled -= at;
        Ok(())
    }

    /// The connection, once nothing is under way on it.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert!(self.in_flight() == 0, "nothing is under way any more");
        self.stream
    }

    fn slot(&self, request: u64) -> usize {
        (request % self.depth as u64) as usize
    }
}

/// Size of the frame at the beginning of `bytes`, if it is there wholly.
fn frame_size(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(prefix) = bytes.first_chunk::<FRAME_LENGTH_BYTES>() else { return Ok(None) };
    let limit = INBOX_BYTES - FRAME_LENGTH_BYTES;
    let size = FRAME_LENGTH_BYTES + parse_frame_length(*prefix, limit).map_err(io::Error::other)?;
    Ok((bytes.len() >= size).then_some(size))
}

/// The correlation id of the request with this number on a connection: they repeat after 2^31.
fn correlation_id(request: u64) -> i32 {
    (request & i32::MAX as u64) as i32
}
