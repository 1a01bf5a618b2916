//! One connection to one node: requests, answers, and a limit on how long it may say nothing.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use ringmain_protocol::{
    ApiKey,
    codec::{Decode, Encode, Reader},
    frame::{Chunk, FRAME_LENGTH_BYTES, parse_frame_length, request_chunks, request_frame},
    header::{RequestHeader, ResponseHeader},
    messages::{ProduceRequest, Request, Response, decode_response},
};

const CLIENT_ID: &str = "cluster-run";
const RESPONSE_SIZE_MAX: usize = 64 << 20;
/// A machine that is there accepts at once; one whose cable is out never does.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
/// As `request.timeout.ms` of a client, shortened: a paused node holds its clients up for so long.
pub(crate) const SILENCE_MAX: Duration = Duration::from_millis(2_500);

/// A connection. After any error it is of no use any more.
pub(crate) struct Connection {
    stream: TcpStream,
    correlation_id: i32,
    /// Of the next response.
    awaited_id: i32,
    response: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Connection { stream, correlation_id: 0, awaited_id: 0, response: Vec::new() })
    }

    /// A request and its answer.
    pub(crate) fn call<'s, Q: Request + Encode, R: Response + Decode<'s>>(
        &'s mut self,
        api_version: i16,
        request: &Q,
    ) -> io::Result<R> {
        let header = self.next_header(Q::API_KEY, api_version);
        let frame = request_frame(&header, request).map_err(io::Error::other)?;
        self.stream.write_all(&frame)?;
        self.receive(Q::API_KEY, api_version)
    }

    /// From now on an answer is awaited for so long.
    pub(crate) fn set_patience(&self, limit: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(limit))
    }

    /// Whether something came within this time; nothing of it is taken.
    pub(crate) fn hears_within(&self, limit: Duration) -> io::Result<bool> {
        self.set_patience(limit)?;
        let heard = self.stream.peek(&mut [0]);
        self.set_patience(SILENCE_MAX)?;
        match heard {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends records without waiting for the answer.
    pub(crate) fn send_records(
        &mut self,
        api_version: i16,
        request: ProduceRequest<'_, &[u8]>,
    ) -> io::Result<()> {
        let header = self.next_header(ApiKey::Produce, api_version);
        for chunk in request_chunks(&header, request).map_err(io::Error::other)? {
            match chunk {
                Chunk::Bytes(bytes) => self.stream.write_all(&bytes)?,
                Chunk::Payload(batch) => self.stream.write_all(batch)?,
            }
        }
        Ok(())
    }

    /// The answer to the oldest request that has none yet.
    pub(crate) fn receive<'s, R: Response + Decode<'s>>(
        &'s mut self,
        api_key: ApiKey,
        api_version: i16,
    ) -> io::Result<R> {
        self.awaited_id += 1;
        let mut prefix = [0; FRAME_LENGTH_BYTES];
        self.stream.read_exact(&mut prefix)?;
        let size = parse_frame_length(prefix, RESPONSE_SIZE_MAX).map_err(io::Error::other)?;
        self.response.resize(size, 0);
        self.stream.read_exact(&mut self.response)?;
        let mut reader = Reader::new(&self.response);
        let header = ResponseHeader::decode(&mut reader, api_key, api_version).map_err(io::Error::other)?;
        if header.correlation_id != self.awaited_id {
            return Err(io::Error::other("answers came in another order than their requests"));
        }
        decode_response(&mut reader, api_version).map_err(io::Error::other)
    }

    fn next_header(&mut self, api_key: ApiKey, api_version: i16) -> RequestHeader<'static> {
        self.correlation_id += 1;
        let correlation_id = self.correlation_id;
        RequestHeader { api_key, api_version, correlation_id, client_id: Some(CLIENT_ID) }
    }
}
