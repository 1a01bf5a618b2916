//! One connection that fetches records, one request in flight, without blocking for the response.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use ringmain_protocol::ApiKey;
use ringmain_protocol::codec::Reader;
use ringmain_protocol::frame::{FRAME_LENGTH_BYTES, parse_frame_length, request_frame};
use ringmain_protocol::header::RequestHeader;
use ringmain_protocol::messages::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, decode_response};

use crate::driver::wire::client::{CLIENT_ID, check, other, read_header};

/// The last version before topic ids that consumers of all ages speak.
const FETCH_VERSION: i16 = 11;
/// How long the broker may wait for records: what consumers ask for by default.
pub(crate) const FETCH_WAIT_MAX: Duration = Duration::from_millis(500);
/// A response with one batch may exceed what was asked for, by at most the largest batch.
const RESPONSE_SIZE_MAX: usize = 1 << 30;

/// The connection and the response that is coming in.
#[derive(Debug)]
pub(crate) struct Fetcher {
    stream: TcpStream,
    correlation_id: i32,
    /// When the request in flight was sent.
    requested: Option<Instant>,
    /// Room for responses, never less than the largest so far: clearing it again for each would
    /// cost this side as much as the reading.
    response: Vec<u8>,
    /// Size of the frame that is coming in, or of its prefix as long as that is not known.
    expected: usize,
    /// How much of it has come.
    filled: usize,
}

impl Fetcher {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            correlation_id: 0,
            requested: None,
            response: vec![0; FRAME_LENGTH_BYTES],
            expected: FRAME_LENGTH_BYTES,
            filled: 0,
        })
    }

    /// To wait for it.
    pub(crate) fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Whether a request is in flight.
    pub(crate) fn is_waiting(&self) -> bool {
        self.requested.is_some()
    }

    /// Asks for records of some partitions of a topic.
    pub(crate) fn request(
        &mut self,
        topic: &str,
        partitions: Vec<FetchPartition>,
        max_bytes: i32,
    ) -> io::Result<()> {
        self.correlation_id += 1;
        let header = RequestHeader {
            api_key: ApiKey::Fetch,
            api_version: FETCH_VERSION,
            correlation_id: self.correlation_id,
            client_id: Some(CLIENT_ID),
        };
        let request = FetchRequest {
            max_wait_ms: i32::try_from(FETCH_WAIT_MAX.as_millis()).map_err(io::Error::other)?,
            min_bytes: 1,
            max_bytes,
            topics: vec![FetchTopic { topic, partitions, ..Default::default() }],
            ..Default::default()
        };
        let frame = request_frame(&header, &request).map_err(io::Error::other)?;
        self.requested = Some(Instant::now());
        self.filled = 0;
        self.expected = FRAME_LENGTH_BYTES;
        self.send(&frame)
    }

    /// Requests are small and the broker reads before it answers, so there nearly always is room.
    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let written = match self.stream.write(frame) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(error) => return Err(error),
        };
        if written < frame.len() {
            self.stream.set_nonblocking(false)?;
            self.stream.write_all(&frame[written..])?;
            self.stream.set_nonblocking(true)?;
        }
        Ok(())
    }

    /// Reads what has come; says whether the response is whole.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        loop {
            match self.stream.read(&mut self.response[self.filled..self.expected]) {
                Ok(0) => return Err(other("the broker closed the connection".into())),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if self.filled == FRAME_LENGTH_BYTES {
                let prefix = self.response.first_chunk().expect("that many bytes have come");
                let size = parse_frame_length(*prefix, RESPONSE_SIZE_MAX).map_err(io::Error::other)?;
                self.expected = FRAME_LENGTH_BYTES + size;
                self.response.resize(self.response.len().max(self.expected), 0);
            }
            if self.filled == self.expected {
                return Ok(true);
            }
        }
    }

    /// The response that has come wholly, without errors, and how long it took.
    pub(crate) fn take_response(&mut self, topic: &str) -> io::Result<(FetchResponse<'_, &[u8]>, Duration)> {
        let requested = self.requested.take().expect("a response follows a request");
        let waited = requested.elapsed();
        let mut reader = Reader::new(&self.response[FRAME_LENGTH_BYTES..self.expected]);
        read_header(&mut reader, ApiKey::Fetch, FETCH_VERSION, self.correlation_id)?;
        let response: FetchResponse<'_, &[u8]> =
            decode_response(&mut reader, FETCH_VERSION).map_err(io::Error::other)?;
        check(response.error_code, || format!("cannot fetch from {topic}"))?;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let index = partition.partition_index;
            check(partition.error_code, || format!("cannot fetch from {topic}-{index}"))?;
        }
        Ok((response, waited))
    }
}
