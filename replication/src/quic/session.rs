//! A session: one bidirectional stream of frames, such as the fetches of one pair of shards.
//!
//! What must hold:
//! - Frames arrive whole and in order, or the session fails. Sessions of one connection do not wait for each other, neither
//!   for lost packets nor for a reader that stands still.
//! - A dropped future of `send` or `receive` loses nothing: the next call goes on where it stopped.
//! - An end of a session that was dropped in the middle of a frame tells the other side so, instead of ending cleanly.

use std::{future::poll_fn, task::Poll};

use bytes::Bytes;
use quinn_proto::{ReadError, StreamId, WriteError};

use super::{
    connection::Connection,
    error::{EndCode, SessionError},
    frame::{self, FrameAssembly, FrameTooLong},
};

/// The longest slice handed to QUIC at once: what was acknowledged of a slice is let go of only with its end.
const SLICE_BYTES_MAX: usize = 256 << 10;

/// Both directions of a session.
pub struct Session {
    /// Towards the peer.
    pub sender: FrameSender,
    /// From the peer.
    pub receiver: FrameReceiver,
}

impl Session {
    pub(super) fn new(connection: Connection, stream: StreamId, frame_bytes_max: usize) -> Self {
        let shared = std::rc::Rc::new(OpenSession(connection.clone()));
        Self {
            sender: FrameSender {
                connection: connection.clone(),
                stream,
                frame_bytes_max,
                unsent: Vec::new(),
                ended: false,
                _open: shared.clone(),
            },
            receiver: FrameReceiver {
                connection,
                stream,
                assembly: FrameAssembly::new(frame_bytes_max),
                frame_bytes_max,
                ended: false,
                _open: shared,
            },
        }
    }
}

/// Counts the session as open until both directions have gone.
struct OpenSession(Connection);

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.0.with(|state| state.sessions -= 1);
    }
}

/// Sends the frames of a session.
pub struct FrameSender {
    connection: Connection,
    stream: StreamId,
    frame_bytes_max: usize,
    /// Slices of frames that QUIC has not taken yet, in order.
    unsent: Vec<Bytes>,
    ended: bool,
    _open: std::rc::Rc<OpenSession>,
}

impl FrameSender {
    /// Sends one frame, made of slices that are not copied before they are encrypted. Returns when QUIC has taken all of it,
    /// which is when the peer has room for it.
    pub async fn send(&mut self, slices: impl IntoIterator<Item = Bytes>) -> Result<(), SessionError> {
        if self.ended {
            return Err(SessionError::Ended);
        }
        let slices: Vec<Bytes> = slices.into_iter().filter(|slice| !slice.is_empty()).collect();
        let length = slices.iter().map(Bytes::len).fold(0, usize::saturating_add);
        let header = frame::header(length, self.frame_bytes_max).map_err(|FrameTooLong(length)| {
            SessionError::FrameTooLong { length, max: self.frame_bytes_max }
        })?;
        self.unsent.push(header);
        for mut slice in slices {
            while slice.len() > SLICE_BYTES_MAX {
                self.unsent.push(slice.split_to(SLICE_BYTES_MAX));
            }
            self.unsent.push(slice);
        }
        self.flush().await?;
        self.connection.with(|state| state.frames_sent += 1);
        Ok(())
    }

    /// Hands QUIC what is left of earlier frames.
    async fn flush(&mut self) -> Result<(), SessionError> {
        let (connection, stream, unsent) = (&self.connection, self.stream, &mut self.unsent);
        let flushed = poll_fn(|context| {
            let mut wrote = false;
            let polled = connection.poll_with(|state| {
                while !unsent.is_empty() {
                    match state.quic.send_stream(stream).write_chunks(unsent) {
                        Ok(written) => {
                            unsent.drain(..written.chunks);
                            wrote = true;
                        }
                        Err(WriteError::Blocked) => {
                            state.wait_to_write(stream, context.waker());
                            return Poll::Pending;
                        }
                        Err(WriteError::Stopped(code)) => {
                            return Poll::Ready(Err(SessionError::Refused(EndCode::from_wire(code))));
                        }
                        Err(WriteError::ClosedStream) => return Poll::Ready(Err(SessionError::Ended)),
                    }
                }
                Poll::Ready(Ok(()))
            });
            if wrote {
                connection.ring();
            }
            polled
        })
        .await;
        if flushed.is_err() {
            self.ended = true;
        }
        flushed
    }

    /// Says that no more frames come, and waits until the peer has all of them.
    pub async fn finish(&mut self) -> Result<(), SessionError> {
        if self.ended {
            return Err(SessionError::Ended);
        }
        self.flush().await?;
        self.ended = true;
        let (connection, stream) = (self.connection.clone(), self.stream);
        connection.with(|state| state.quic.send_stream(stream).finish()).map_err(|_| SessionError::Ended)?;
        connection.ring();
        poll_fn(|context| {
            connection.poll_with(|state| match state.quic.send_stream(stream).stopped() {
                Ok(None) => {
                    state.wait_to_write(stream, context.waker());
                    Poll::Pending
                }
                Ok(Some(code)) => Poll::Ready(Err(SessionError::Refused(EndCode::from_wire(code)))),
                // QUIC forgets a stream when its end was acknowledged.
                Err(_) => Poll::Ready(Ok(())),
            })
        })
        .await
    }
}

impl Drop for FrameSender {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (stream, in_frame) = (self.stream, !self.unsent.is_empty());
        self.connection.with(|state| {
            let mut sender = state.quic.send_stream(stream);
            // An error means that the stream has ended already.
            let _ended_before = if in_frame {
                sender.reset(EndCode::ABANDONED.wire()).is_err()
            } else {
                sender.finish().is_err()
            };
        });
        self.connection.ring();
    }
}

/// Receives the frames of a session.
pub struct FrameReceiver {
    connection: Connection,
    stream: StreamId,
    assembly: FrameAssembly,
    frame_bytes_max: usize,
    ended: bool,
    _open: std::rc::Rc<OpenSession>,
}

impl FrameReceiver {
    /// The next frame. `None`: the peer has said that no more come.
    pub async fn receive(&mut self) -> Result<Option<Bytes>, SessionError> {
        if self.ended {
            return Ok(None);
        }
        let received = poll_fn(|context| {
            let mut told = false;
            let (stream, assembly, max) = (self.stream, &mut self.assembly, self.frame_bytes_max);
            let polled = self.connection.poll_with(|state| {
                let mut receiver = state.quic.recv_stream(stream);
                let Ok(mut chunks) = receiver.read(true) else {
                    return Poll::Ready(Err(SessionError::Ended));
                };
                let outcome = read_frame(&mut chunks, assembly, max);
                told = chunks.finalize().should_transmit();
                match outcome {
                    Poll::Pending => state.wait_to_read(stream, context.waker()),
                    Poll::Ready(Ok(Some(_))) => state.frames_received += 1,
                    Poll::Ready(_) => {}
                }
                outcome
            });
            if told {
                self.connection.ring();
            }
            polled
        })
        .await;
        if !matches!(received, Ok(Some(_))) {
            self.ended = true;
            if matches!(received, Err(SessionError::FrameTooLong { .. })) {
                self.refuse(EndCode::FRAME_TOO_LONG);
            }
        }
        received
    }

    /// Tells the peer that nothing more is read.
    fn refuse(&mut self, code: EndCode) {
        let stream = self.stream;
        // An error means that the stream has ended already.
        let _ended_before =
            self.connection.with(|state| state.quic.recv_stream(stream).stop(code.wire()).is_err());
        self.connection.ring();
    }
}

/// Reads until a frame is whole or nothing more is there.
fn read_frame(
    chunks: &mut quinn_proto::Chunks<'_>,
    assembly: &mut FrameAssembly,
    frame_bytes_max: usize,
) -> Poll<Result<Option<Bytes>, SessionError>> {
    loop {
        match chunks.next(assembly.wanted()) {
            Ok(Some(chunk)) => match assembly.push(&chunk.bytes) {
                Ok(Some(frame)) => return Poll::Ready(Ok(Some(frame))),
                Ok(None) => {}
                Err(FrameTooLong(length)) => {
                    return Poll::Ready(Err(SessionError::FrameTooLong { length, max: frame_bytes_max }));
                }
            },
            Ok(None) if assembly.is_between_frames() => return Poll::Ready(Ok(None)),
            Ok(None) => return Poll::Ready(Err(SessionError::Abandoned(EndCode::ABANDONED))),
            Err(ReadError::Blocked) => return Poll::Pending,
            Err(ReadError::Reset(code)) => {
                return Poll::Ready(Err(SessionError::Abandoned(EndCode::from_wire(code))));
            }
        }
    }
}

impl Drop for FrameReceiver {
    fn drop(&mut self) {
        if !self.ended {
            self.refuse(EndCode::NOT_NEEDED);
        }
    }
}
