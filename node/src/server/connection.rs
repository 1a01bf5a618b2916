//! One client connection on its shard: bytes to framed requests, answers back in order.
//!
//! What must hold: memory grows with the bytes that arrived, never with a length that a client claims; a frame outside
//! the limits closes the connection; answers leave in the order of their requests; a client that neither sends nor takes
//! anything is closed after `connections.max.idle.ms`.
//! Does not do: what a request means (`handlers.rs`).

use std::{
    cell::Cell,
    io::IoSlice,
    net::SocketAddr,
    ops::ControlFlow,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use ringmain_protocol::ApiKey;
use ringmain_storage::disk::FileRange;

use super::{
    outgoing::Outgoing,
    response::{Asked, Body, Chunk, Response},
    response_queue::ResponseQueue,
};
use crate::{
    handlers,
    observability::Stage,
    runtime::{self, SEND_RANGES_MAX, Socket, Ticks},
    shard::{RequestBytesGuard, Shard},
};

/// First receive buffer of a connection: a small request and its answer need no more.
const RECEIVE_BYTES_MIN: usize = 16 << 10;
/// Largest receive buffer of a connection whose frames are smaller than it: a megabyte a system call is past the knee.
const RECEIVE_BYTES_MAX: usize = 1 << 20;
/// Bytes moved to or from one socket before other tasks get their turn.
const TURN_BYTES: usize = 1 << 20;

/// Bytes of an unfinished frame that are not counted against the shard's budget.
const PARTIAL_BYTES_FREE: usize = 1 << 20;
/// How long an unfinished large frame may wait for the shard's budget. Several such frames could hold all of it and wait
/// for each other for ever.
const PARTIAL_WAIT: Duration = Duration::from_secs(10);
/// How long a client may take nothing of an answer, which pins the memory that it is sent from.
const SEND_STALL_MAX: Duration = Duration::from_secs(60);

/// What the rest of the shard may see and do with a connection.
pub(crate) struct Connection {
    socket: Socket,
    peer: SocketAddr,
    responses: ResponseQueue,
    last_active: Cell<Instant>,
}

impl Connection {
    /// A connection just accepted.
    pub(crate) fn new(socket: Socket, peer: SocketAddr) -> Rc<Self> {
        Rc::new(Self {
            socket,
            peer,
            responses: ResponseQueue::default(),
            last_active: Cell::new(Instant::now()),
        })
    }

    /// Address of the client.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// How long nothing moved in either direction.
    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_active.get())
    }

    /// Whether a request is under way.
    pub(crate) fn is_answering(&self) -> bool {
        !self.responses.is_idle()
    }

    /// Whether the client takes nothing of what it asked for.
    pub(crate) fn is_stalled(&self, now: Instant) -> bool {
        self.responses.is_sending() && self.idle_for(now) >= SEND_STALL_MAX
    }

    /// Takes no more requests; those that were received are answered, then the connection ends.
    pub(crate) fn drain(&self) {
        self.socket.shutdown_receiving();
    }

    /// Ends the connection; its tasks end by themselves.
    pub(crate) fn close(&self) {
        self.responses.close();
        self.socket.shutdown();
    }

    /// Serves the connection until it ends. Runs the writer beside the reader.
    pub(crate) async fn serve(self: Rc<Self>, shard: Rc<Shard>) {
        let (writer, sending) = (self.clone(), shard.clone());
        runtime::spawn(async move {
            if let Err(error) = writer.send_responses(&sending).await {
                tracing::debug!(peer = %writer.peer, %error, "send to client");
            }
            writer.close();
        });
        match self.receive_requests(&shard).await {
            Ok(Ended::Finished | Ended::Refused) => self.finish().await,
            Ok(Ended::Closed) => {}
            Err(error) => tracing::debug!(peer = %self.peer, %error, "receive from client"),
        }
        self.close();
    }

    /// A client that only closed its sending side still gets the answers to what it sent.
    async fn finish(&self) {
        const ANSWER_TIME: Duration = Duration::from_secs(5);
        const STEP: Duration = Duration::from_millis(5);
        let deadline = Instant::now() + ANSWER_TIME;
        while self.is_answering() && !self.responses.is_closed() && Instant::now() < deadline {
            runtime::sleep(STEP).await;
        }
    }

    async fn receive_requests(self: &Rc<Self>, shard: &Rc<Shard>) -> std::io::Result<Ended> {
        let mut buffer = BytesMut::new();
        let mut target_bytes = RECEIVE_BYTES_MIN;
        let mut turn_bytes = 0;
        let mut is_drained = true;
        let mut partial: Option<RequestBytesGuard>;
        loop {
            if let Some(ended) = self.handle_frames(shard, &mut buffer).await {
                return Ok(ended);
            }
            // A frame that is long in coming counts like one that is worked on.
            partial = (buffer.len() > PARTIAL_BYTES_FREE).then(|| shard.request_bytes().add(buffer.len()));
            if partial.is_some() && !shard.request_bytes().room_within(PARTIAL_WAIT).await {
                shard.counters().frames_refused.increment();
                tracing::debug!(peer = %self.peer, "end a connection that holds back a large frame");
                return Ok(Ended::Closed);
            }
            if is_drained {
                turn_bytes = 0;
                self.wait_for_more(shard, &mut buffer).await?;
            }
            reserve(&mut buffer, target_bytes);
            let capacity = buffer.capacity() - buffer.len();
            let Some(received) = self.socket.try_receive(&mut buffer)? else {
                is_drained = true;
                continue;
            };
            if received == 0 {
                return Ok(Ended::Finished);
            }
            self.last_active.set(Instant::now());
            shard.counters().received_bytes.add(received as u64);
            shard.clock().read();
            if received == capacity && target_bytes < RECEIVE_BYTES_MAX {
                target_bytes *= 2;
            }
            // Less than there was room for: another call would only say that there is nothing more.
            is_drained = received < capacity;
            turn_bytes += received;
            if turn_bytes >= TURN_BYTES {
                turn_bytes = 0;
                runtime::yield_to_reactor().await;
            }
        }
    }

    /// Begins every request that arrived whole. `Some`: the connection ends.
    async fn handle_frames(self: &Rc<Self>, shard: &Rc<Shard>, buffer: &mut BytesMut) -> Option<Ended> {
        let frame_bytes_max = shard.config().limits.request_bytes_max;
        loop {
            let frame = match split_frame(buffer, frame_bytes_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(refusal) => {
                    shard.counters().frames_refused.increment();
                    tracing::debug!(peer = %self.peer, %refusal, "refuse a frame");
                    return Some(Ended::Closed);
                }
            };
            if handlers::waits_for_answers(&frame) {
                self.responses.idle().await;
            }
            self.responses.room().await;
            shard.request_bytes().room().await;
            if self.responses.is_closed() {
                return Some(Ended::Closed);
            }
            let slot = self.responses.push(frame.len(), asked(shard, &frame));
            if handlers::handle(shard, self, frame, slot).await.is_break() {
                return Some(Ended::Refused);
            }
        }
    }

    /// Waits until there is something to receive. An idle connection holds no memory meanwhile: the next one that receives
    /// uses the same buffer, which is still in the cache.
    async fn wait_for_more(&self, shard: &Shard, buffer: &mut BytesMut) -> std::io::Result<()> {
        if !buffer.is_empty() {
            return self.socket.readable().await;
        }
        shard.receive_buffers().put(std::mem::take(buffer));
        self.socket.readable().await?;
        *buffer = shard.receive_buffers().take();
        Ok(())
    }

    async fn send_responses(&self, shard: &Shard) -> std::io::Result<()> {
        while self.responses.ready().await {
            let mut outgoing = shard.outgoing().take();
            self.responses.take_ready(&mut outgoing.responses);
            let ended = self.send_all(shard, &mut outgoing).await?;
            shard.outgoing().put(outgoing);
            if ended.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends and empties `outgoing`. `Break`: one of the answers ends the connection.
    async fn send_all(&self, shard: &Shard, outgoing: &mut Outgoing) -> std::io::Result<ControlFlow<()>> {
        let Outgoing { responses, produced, asked, pieces } = outgoing;
        let mut ended = ControlFlow::Continue(());
        for Response { body, then_close, produced: of, errors, asked: to } in responses.drain(..) {
            produced.extend(of);
            asked.extend(to);
            if let Some(to) = to.filter(|_| !errors.is_empty()) {
                shard.requests().failed(to.api_key, &errors);
            }
            match body {
                Body::Nothing => {}
                Body::Memory(bytes) => pieces.add(bytes),
                Body::Appended(appended) => appended.write(pieces.copies()),
                Body::Chunks(chunks) => {
                    for chunk in chunks {
                        match chunk {
                            Chunk::Memory(bytes) => pieces.add(bytes),
                            Chunk::File(range) => {
                                self.send_memory(shard, pieces.all(), true).await?;
                                self.send_file(shard, &range).await?;
                            }
                        }
                    }
                }
            }
            if then_close {
                ended = ControlFlow::Break(());
                break;
            }
        }
        self.send_memory(shard, pieces.all(), false).await?;
        note_sent(shard, produced, asked);
        Ok(ended)
    }

    /// Sends and empties `ranges`.
    async fn send_memory(
        &self,
        shard: &Shard,
        ranges: &mut Vec<Bytes>,
        more_follows: bool,
    ) -> std::io::Result<()> {
        let mut first = 0;
        let mut turn_bytes = 0;
        while first < ranges.len() {
            let sent = {
                let mut slices = [IoSlice::new(&[]); SEND_RANGES_MAX];
                let count = (ranges.len() - first).min(SEND_RANGES_MAX);
                for (slice, range) in slices.iter_mut().zip(&ranges[first..]) {
                    *slice = IoSlice::new(range);
                }
                self.socket.try_send(&slices[..count], more_follows)?
            };
            let Some(mut sent) = sent else {
                self.socket.writable().await?;
                continue;
            };
            self.last_active.set(Instant::now());
            shard.counters().sent_bytes.add(sent as u64);
            turn_bytes += sent;
            while first < ranges.len() && sent >= ranges[first].len() {
                sent -= ranges[first].len();
                first += 1;
            }
            if sent > 0 {
                ranges[first].advance(sent);
            }
            if turn_bytes >= TURN_BYTES {
                turn_bytes = 0;
                runtime::yield_to_reactor().await;
            }
        }
        ranges.clear();
        Ok(())
    }

    async fn send_file(&self, shard: &Shard, range: &FileRange) -> std::io::Result<()> {
        let Some(file) = range.descriptor() else {
            let bytes = range.memory().cloned().expect("a range without a descriptor lies in memory");
            return self.send_memory(shard, &mut vec![bytes], false).await;
        };
        let mut position = range.position();
        let end = position + range.length();
        let mut turn_bytes = 0;
        while position < end {
            // All of a turn in one call: each call ends with a push that wakes the client.
            let left_of_turn = TURN_BYTES - turn_bytes;
            let length = usize::try_from(end - position).map_or(left_of_turn, |left| left.min(left_of_turn));
            match self.socket.try_send_file(file, position, length)? {
                None => self.socket.writable().await?,
                Some(0) => return Err(std::io::Error::other("segment is shorter than the range to send")),
                Some(sent) => {
                    self.last_active.set(Instant::now());
                    shard.counters().sendfile_bytes.add(sent as u64);
                    position += sent as u64;
                    turn_bytes += sent;
                    if turn_bytes >= TURN_BYTES {
                        turn_bytes = 0;
                        runtime::yield_to_reactor().await;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a frame asks, by its first field.
fn asked(shard: &Shard, frame: &[u8]) -> Option<Asked> {
    let api_key = ApiKey::from_code(i16::from_be_bytes(*frame.first_chunk()?))?;
    Some(Asked { api_key, received: shard.clock().recent() })
}

/// Takes note that answers are with the kernel now.
fn note_sent(shard: &Shard, produced: &mut Vec<(Ticks, usize)>, asked: &mut Vec<Asked>) {
    if asked.is_empty() && produced.is_empty() {
        return;
    }
    let now = shard.clock().read();
    for Asked { api_key, received } in asked.drain(..) {
        shard.requests().answered(api_key, shard.clock().nanoseconds(received, now));
    }
    for (ready, batches) in produced.drain(..) {
        shard.stages().add(Stage::Respond, shard.clock().nanoseconds(ready, now), batches as u64);
    }
}

/// Why the reader stopped.
enum Ended {
    /// The client sent its end.
    Finished,
    /// A request that cannot be answered; the answers before it are still sent.
    Refused,
    /// A frame of impossible length, or the writer closed.
    Closed,
}

/// A frame that no Kafka client sends.
#[derive(Debug, thiserror::Error)]
#[error("frame of {claimed} bytes is outside {FRAME_BYTES_MIN}..={allowed}")]
struct FrameRefused {
    claimed: i32,
    allowed: usize,
}

/// API key, version, correlation id: no request is shorter.
const FRAME_BYTES_MIN: usize = 8;
/// Of the length prefix.
const PREFIX_BYTES: usize = 4;

/// Takes the first whole frame, without its length prefix.
fn split_frame(buffer: &mut BytesMut, frame_bytes_max: usize) -> Result<Option<Bytes>, FrameRefused> {
    let Some(prefix) = buffer.first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let claimed = i32::from_be_bytes(*prefix);
    let refused = FrameRefused { claimed, allowed: frame_bytes_max };
    let length = usize::try_from(claimed).map_err(|_| FrameRefused { claimed, allowed: frame_bytes_max })?;
    if !(FRAME_BYTES_MIN..=frame_bytes_max).contains(&length) {
        return Err(refused);
    }
    if buffer.len() < PREFIX_BYTES + length {
        return Ok(None);
    }
    buffer.advance(PREFIX_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// Makes room for the next receive: `target_bytes`, or, in the middle of a larger frame, as much again as has arrived.
fn reserve(buffer: &mut BytesMut, target_bytes: usize) {
    if buffer.capacity() - buffer.len() < target_bytes / 4 {
        buffer.reserve(target_bytes.max(buffer.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(parts: &[&[u8]]) -> BytesMut {
        parts.concat().as_slice().into()
    }

    #[test]
    fn frames_are_taken_one_by_one() {
        let mut received = buffer(&[&8_i32.to_be_bytes(), b"abcdefgh", &9_i32.to_be_bytes(), b"12345"]);
        let first = split_frame(&mut received, 100).expect("a frame in bounds");
        assert_eq!(first.as_deref(), Some(&b"abcdefgh"[..]));
        assert!(split_frame(&mut received, 100).expect("a frame in bounds").is_none());
        received.extend_from_slice(b"6789");
        let second = split_frame(&mut received, 100).expect("a frame in bounds");
        assert_eq!(second.as_deref(), Some(&b"123456789"[..]));
        assert!(received.is_empty());
    }

    #[test]
    fn lengths_outside_the_limits_are_refused_before_anything_is_reserved() {
        for claimed in [-1, i32::MIN, 0, 3, 7, 101, i32::MAX] {
            let mut received = buffer(&[&claimed.to_be_bytes()]);
            assert!(split_frame(&mut received, 100).is_err(), "{claimed}");
        }
    }

    #[test]
    fn room_grows_with_what_arrived_not_with_what_is_claimed() {
        let mut received = buffer(&[&(100_i32 << 20).to_be_bytes()]);
        reserve(&mut received, RECEIVE_BYTES_MIN);
        assert!(received.capacity() < 2 * RECEIVE_BYTES_MIN);
    }
}
