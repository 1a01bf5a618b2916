//! One connection to one broker: frames out and in, versions negotiated once.
//!
//! [`Connection::send`] and [`Connection::receive`] are apart, so that a caller can send ahead; answers come in the order
//! of the requests. Every wait is bounded by the timeout of the socket.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::Bytes;
use ringmain_protocol::codec::{Decode, Encode, Reader};
use ringmain_protocol::frame::{self, Chunk, FRAME_LENGTH_BYTES};
use ringmain_protocol::header::{RequestHeader, ResponseHeader};
use ringmain_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, ProduceRequest, Request, Response, decode_response,
};
use ringmain_protocol::{ApiKey, ErrorCode};

use super::error::ClientError;
use crate::config::HostPort;

/// How the tools call themselves.
const CLIENT_ID: &str = "ringmain-cli";

/// The largest answer that is taken: what a broker sends at most for a fetch of ours, with room for a large batch.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// How long a host may take to accept: one that is gone refuses nothing, and another one may answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The last version of Fetch that names topics: the tools know no ids.
const FETCH_VERSION_MAX: i16 = 12;

/// A connection to a broker.
#[derive(Debug)]
pub(crate) struct Connection {
    address: HostPort,
    stream: TcpStream,
    /// The version to use for each API that the broker serves and we know.
    versions: BTreeMap<ApiKey, i16>,
    next_correlation_id: i32,
    /// Requests whose answers are to come.
    waiting: VecDeque<Sent>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
}

/// The bytes of an answer, and what they are.
#[derive(Debug)]
pub(crate) struct Answer {
    address: HostPort,
    bytes: Vec<u8>,
    api_key: ApiKey,
    version: i16,
}

impl Connection {
    pub(crate) fn open(address: &HostPort, timeout: Duration) -> Result<Self, ClientError> {
        let unreachable = |error| ClientError::Unreachable { address: address.clone(), error };
        let stream = connect(address, timeout.min(CONNECT_LIMIT)).map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        stream.set_read_timeout(Some(timeout)).map_err(unreachable)?;
        stream.set_write_timeout(Some(timeout)).map_err(unreachable)?;
        let mut connection = Self {
            address: address.clone(),
            stream,
            // The version that every broker ever understood.
            versions: BTreeMap::from([(ApiKey::ApiVersions, 0)]),
            next_correlation_id: 0,
            waiting: VecDeque::new(),
        };
        connection.versions = connection.negotiate()?;
        Ok(connection)
    }

    /// Sends a request and waits for its answer; none may be waiting.
    pub(crate) fn call<R: Request + Encode>(&mut self, request: &R) -> Result<Answer, ClientError> {
        self.send(request)?;
        self.receive()
    }

    /// Sends a request.
    pub(crate) fn send<R: Request + Encode>(&mut self, request: &R) -> Result<(), ClientError> {
        let sent = self.next(R::API_KEY)?;
        let frame = frame::request_frame(&header(sent), request).map_err(|error| self.protocol(error))?;
        self.write(&frame)?;
        self.waiting.push_back(sent);
        Ok(())
    }

    /// Sends a produce request, whose records are not copied. One with acks=0 gets no answer.
    pub(crate) fn send_produce(&mut self, request: ProduceRequest<'_, Bytes>) -> Result<(), ClientError> {
        let sent = self.next(ApiKey::Produce)?;
        let is_answered = request.acks != 0;
        let chunks = frame::request_chunks(&header(sent), request).map_err(|error| self.protocol(error))?;
        for chunk in chunks {
            match chunk {
                Chunk::Bytes(bytes) | Chunk::Payload(bytes) => self.write(&bytes)?,
            }
        }
        if is_answered {
            self.waiting.push_back(sent);
        }
        Ok(())
    }

    /// Waits for the answer to the oldest request.
    pub(crate) fn receive(&mut self) -> Result<Answer, ClientError> {
        let Some(sent) = self.waiting.pop_front() else {
            return Err(self.protocol("an answer was waited for, but no request was sent"));
        };
        let mut prefix = [0; FRAME_LENGTH_BYTES];
        self.stream.read_exact(&mut prefix).map_err(|error| self.failed(error))?;
        let length =
            frame::parse_frame_length(prefix, ANSWER_BYTES_MAX).map_err(|error| self.protocol(error))?;
        // Grows with what arrives: a length alone reserves nothing.
        let mut bytes = Vec::new();
        let received = (&self.stream).take(length as u64).read_to_end(&mut bytes);
        if received.map_err(|error| self.failed(error))? < length {
            return Err(self.failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut reader = Reader::new(&bytes);
        let header = ResponseHeader::decode(&mut reader, sent.api_key, sent.version)
            .map_err(|error| self.protocol(error))?;
        if header.correlation_id != sent.correlation_id {
            return Err(self.protocol("an answer has the correlation id of another request"));
        }
        let body_at = bytes.len() - reader.remaining();
        bytes.drain(..body_at);
        Ok(Answer { address: self.address.clone(), bytes, api_key: sent.api_key, version: sent.version })
    }

    /// The version in which an API is spoken.
    pub(crate) fn version(&self, api_key: ApiKey) -> Result<i16, ClientError> {
        let unknown = ClientError::Version { address: self.address.clone(), api: api_key };
        self.versions.get(&api_key).copied().ok_or(unknown)
    }

    /// Requests that were sent and not answered.
    pub(crate) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    fn negotiate(&mut self) -> Result<BTreeMap<ApiKey, i16>, ClientError> {
        let answer = self.call(&ApiVersionsRequest::default())?;
        let response: ApiVersionsResponse<'_> = answer.decode()?;
        if response.error_code != ErrorCode::NONE {
            let action = format!("agree on versions with {}", self.address);
            return Err(ClientError::refused(response.error_code, None, action));
        }
        let common = response.api_keys.iter().filter_map(|range| {
            let api_key = ApiKey::from_code(range.api_key)?;
            let version = known_max(api_key).min(range.max_version);
            let is_common = version >= range.min_version && api_key.versions().contains(version);
            is_common.then_some((api_key, version))
        });
        Ok(common.collect())
    }

    fn next(&mut self, api_key: ApiKey) -> Result<Sent, ClientError> {
        let version = self.version(api_key)?;
        self.next_correlation_id = self.next_correlation_id.wrapping_add(1);
        Ok(Sent { api_key, version, correlation_id: self.next_correlation_id })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.stream.write_all(bytes).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> ClientError {
        let error = match error.kind() {
            // What the system says of a timeout of the socket is "try again".
            io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "no answer in time"),
            io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the broker closed it"),
            _ => error,
        };
        ClientError::Connection { address: self.address.clone(), error }
    }

    fn protocol(&self, problem: impl ToString) -> ClientError {
        ClientError::Protocol { address: self.address.clone(), problem: problem.to_string() }
    }
}

impl Answer {
    /// The answer's message.
    pub(crate) fn decode<'a, S: Response + Decode<'a>>(&'a self) -> Result<S, ClientError> {
        assert_eq!(self.api_key, S::API_KEY, "an answer is decoded as what was asked for");
        let mut reader = Reader::new(&self.bytes);
        let decoded = decode_response(&mut reader, self.version);
        decoded.map_err(|error| ClientError::Protocol {
            address: self.address.clone(),
            problem: format!("its answer to {} cannot be read: {error}", self.api_key),
        })
    }

    /// An address that the answer names.
    pub(crate) fn host_port(&self, host: &str, port: i32) -> Result<HostPort, ClientError> {
        let port = u16::try_from(port).map_err(|_| ClientError::Protocol {
            address: self.address.clone(),
            problem: format!("it names {host}:{port}, which is no address"),
        })?;
        Ok(HostPort { host: host.to_owned(), port })
    }
}

fn header(sent: Sent) -> RequestHeader<'static> {
    RequestHeader {
        api_key: sent.api_key,
        api_version: sent.version,
        correlation_id: sent.correlation_id,
        client_id: Some(CLIENT_ID),
    }
}

/// The newest version that the tools speak.
fn known_max(api_key: ApiKey) -> i16 {
    if api_key == ApiKey::Fetch { FETCH_VERSION_MAX } else { api_key.versions().max }
}

/// Tries each address of the name; the last error speaks for all.
fn connect(address: &HostPort, timeout: Duration) -> io::Result<TcpStream> {
    let mut problem = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for resolved in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&resolved, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => problem = error,
        }
    }
    Err(problem)
}
