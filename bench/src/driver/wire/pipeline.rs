//! One connection that keeps a fixed number of Produce requests in flight, without blocking.
//!
//! The requests lie encoded in a ring of as many slots as may be in flight: a free one is patched in
//! place and neighbours go out in one system call, so a request costs this side no copy. Of large
//! requests only the part that differs lies in the ring; the batch is shared by all of them, so ten
//! thousand connections need no gigabytes, and the batch stays in the processor's cache. Answers come
//! in the order of the requests, so a slot is free again when its answer has come; without answers
//! (acks=0), when it was written.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Instant;

use ringmain_protocol::frame::{FRAME_LENGTH_BYTES, parse_frame_length};

use crate::driver::wire::client::other;
use crate::driver::wire::produce_frame::{ProduceAnswer, ProduceFrame};

/// Answers to Produce requests have some 60 bytes; this holds those of a thousand.
const INBOX_BYTES: usize = 64 << 10;
/// Smaller requests lie in the ring as a whole: one piece for each is cheaper than two.
const SHARED_FRAME_BYTES_MIN: usize = 4096;
/// Pieces in one system call; the kernel takes 1024, but no socket buffer so much.
const PIECES_MAX: usize = 64;

/// A connection and the requests under way on it.
///
/// Invariant: `answered <= written <= pushed <= answered + depth`, where `written` counts the
/// frames that were written wholly.
#[derive(Debug)]
pub(crate) struct Pipeline {
    stream: TcpStream,
    frame: Rc<ProduceFrame>,
    /// A slot for each request: all of its frame, or its head.
    ring: Vec<u8>,
    slot_size: usize,
    depth: usize,
    /// Requests that were given to this connection so far.
    pushed: u64,
    /// Bytes of them that the kernel took.
    written_bytes: u64,
    /// Requests that are done.
    answered: u64,
    /// When the request in each slot of the ring began.
    began: Vec<Instant>,
    inbox: Vec<u8>,
    inbox_filled: usize,
}

impl Pipeline {
    /// Connects; up to `depth` requests will be in flight.
    pub(crate) fn connect(address: SocketAddr, frame: Rc<ProduceFrame>, depth: usize) -> io::Result<Self> {
        assert!(depth > 0, "a pipeline carries something");
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let is_shared = frame.bytes().len() >= SHARED_FRAME_BYTES_MIN;
        let slot_size = if is_shared { frame.head_size() } else { frame.bytes().len() };
        Ok(Self {
            stream,
            ring: frame.bytes()[..slot_size].repeat(depth),
            frame,
            slot_size,
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
        self.written_bytes < self.pushed_bytes()
    }

    /// Adds a request to `partition` that counts as begun at `began`. It is sent by [`write`](Self::write).
    pub(crate) fn push(&mut self, partition: i32, began: Instant) {
        assert!(self.has_room(), "the caller asked whether there is room");
        let slot = self.slot(self.pushed);
        let range = slot * self.slot_size..(slot + 1) * self.slot_size;
        self.frame.patch(&mut self.ring[range], correlation_id(self.pushed), partition);
        self.began[slot] = began;
        self.pushed += 1;
    }

    /// Writes what was pushed, as far as the kernel takes it.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        while self.has_unwritten() {
            let result = if self.slot_size == self.frame.bytes().len() {
                self.write_contiguous()
            } else {
                self.write_pieces()
            };
            match result {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written_bytes += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// From the ring, which holds whole frames, up to its end.
    fn write_contiguous(&mut self) -> io::Result<usize> {
        let ring_size = self.ring.len() as u64;
        let from = self.written_bytes % ring_size;
        let until = ring_size.min(from + (self.pushed_bytes() - self.written_bytes));
        self.stream.write(&self.ring[from as usize..until as usize])
    }

    /// Heads from the ring, each followed by the batch that all share.
    fn write_pieces(&mut self) -> io::Result<usize> {
        let frame_size = self.frame.bytes().len();
        let batch = &self.frame.bytes()[self.slot_size..];
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        let mut request = self.written_bytes / frame_size as u64;
        let mut skip = (self.written_bytes % frame_size as u64) as usize;
        while request < self.pushed && count + 2 <= PIECES_MAX {
            let slot = self.slot(request);
            let head = &self.ring[slot * self.slot_size..(slot + 1) * self.slot_size];
            if skip < head.len() {
                pieces[count] = IoSlice::new(&head[skip..]);
                count += 1;
            }
            pieces[count] = IoSlice::new(&batch[skip.saturating_sub(head.len())..]);
            count += 1;
            request += 1;
            skip = 0;
        }
        self.stream.write_vectored(&pieces[..count])
    }

    /// Takes the requests that were written wholly as done: there will be no answer. `done` is told
    /// when each of them began.
    pub(crate) fn retire_written(&mut self, mut done: impl FnMut(Instant)) {
        let written = self.written_bytes / self.frame.bytes().len() as u64;
        while self.answered < written {
            done(self.began[self.slot(self.answered)]);
            self.answered += 1;
        }
    }

    /// Reads all answers that have come; `done` is told when each of their requests began.
    pub(crate) fn read(&mut self, answer: &ProduceAnswer, mut done: impl FnMut(Instant)) -> io::Result<()> {
        loop {
            let room = self.inbox.len() - self.inbox_filled;
            let count = match self.stream.read(&mut self.inbox[self.inbox_filled..]) {
                Ok(0) => return Err(other("the broker closed the connection".into())),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.inbox_filled += count;
            self.take_answers(answer, &mut done)?;
            // What did not fill the room was all there is.
            if count < room {
                return Ok(());
            }
        }
    }

    fn take_answers(&mut self, answer: &ProduceAnswer, done: &mut impl FnMut(Instant)) -> io::Result<()> {
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

    fn pushed_bytes(&self) -> u64 {
        self.pushed * self.frame.bytes().len() as u64
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
