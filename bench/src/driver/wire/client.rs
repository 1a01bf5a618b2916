//! A blocking client for what happens outside measurements: topics, offsets.
//!
//! The versions are those that every broker of the last years serves, so no negotiation is needed.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ringmain_protocol::codec::{Decode, Encode, Reader};
use ringmain_protocol::frame::{FRAME_LENGTH_BYTES, parse_frame_length, request_frame};
use ringmain_protocol::header::{RequestHeader, ResponseHeader};
use ringmain_protocol::messages::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    MetadataRequest, MetadataRequestTopic, MetadataResponse, Request, Response, decode_response,
};
use ringmain_protocol::{ApiKey, ErrorCode};

/// How this harness names itself to brokers.
pub(crate) const CLIENT_ID: &str = "ringmain-bench";

const METADATA_VERSION: i16 = 4;
const CREATE_TOPICS_VERSION: i16 = 4;
const DELETE_TOPICS_VERSION: i16 = 3;
const LIST_OFFSETS_VERSION: i16 = 1;

/// Longest response that is accepted; a Metadata response about a thousand partitions has 30 KiB.
const RESPONSE_SIZE_MAX: usize = 64 << 20;
/// A broker that says nothing for so long is taken to hang.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a created topic may take to get leaders for all partitions.
const LEADERS_WAIT_MAX: Duration = Duration::from_secs(60);
const LEADERS_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// One connection, one request at a time.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
    response: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot connect to {address}: {error}")))?;
        Self::from_stream(stream)
    }

    /// Connects to a node that may be dead or silent: no call takes longer than `limit` for each of its
    /// steps.
    pub(crate) fn connect_within(address: SocketAddr, limit: Duration) -> io::Result<Self> {
        let client = Self::from_stream(TcpStream::connect_timeout(&address, limit)?)?;
        client.stream.set_read_timeout(Some(limit))?;
        client.stream.set_write_timeout(Some(limit))?;
        Ok(client)
    }

    /// Takes over a connection on which nothing is under way.
    pub(crate) fn from_stream(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Self { stream, correlation_id: 0, response: Vec::new() })
    }

    /// Creates a topic and waits until each partition has a leader, which need not be this broker.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partition_count: u32,
        replication_factor: i16,
        configs: &[(String, String)],
    ) -> io::Result<()> {
        let num_partitions = i32::try_from(partition_count).map_err(io::Error::other)?;
        let configs =
            configs.iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value) }).collect();
        let topic =
            CreatableTopic { name, num_partitions, replication_factor, configs, ..Default::default() };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let response: CreateTopicsResponse<'_> = self.call(CREATE_TOPICS_VERSION, &request)?;
        for topic in &response.topics {
            check(topic.error_code, || format!("cannot create topic {name} ({:?})", topic.error_message))?;
        }
        self.await_leaders(name, partition_count)
    }

    /// Deletes a topic.
    pub(crate) fn delete_topic(&mut self, name: &str) -> io::Result<()> {
        let request =
            DeleteTopicsRequest { topic_names: vec![name], timeout_ms: 60_000, ..Default::default() };
        let response: DeleteTopicsResponse<'_> = self.call(DELETE_TOPICS_VERSION, &request)?;
        response
            .responses
            .iter()
            .try_for_each(|topic| check(topic.error_code, || format!("cannot delete topic {name}")))
    }

    /// Number of partitions of a topic that exists.
    pub(crate) fn partition_count(&mut self, topic: &str) -> io::Result<u32> {
        let (count, led) = self.partitions(topic)?;
        if led == count { Ok(count) } else { Err(other(format!("a partition of {topic} has no leader"))) }
    }

    /// The offsets at `timestamp` of partitions `0..partition_count`; see the constants of ListOffsets.
    /// Waits where a leader is not ready yet.
    pub(crate) fn offsets(
        &mut self,
        topic: &str,
        partition_count: u32,
        timestamp: i64,
    ) -> io::Result<Vec<i64>> {
        let deadline = Instant::now() + LEADERS_WAIT_MAX;
        loop {
            let mut offsets = vec![None; partition_count as usize];
            let refused = self.list_offsets(topic, timestamp, &mut offsets)?;
            let Some((index, code)) = refused else {
                let complete: Option<Vec<i64>> = offsets.into_iter().collect();
                return complete.ok_or_else(|| other(format!("offsets of {topic} are missing")));
            };
            if !code.is_retriable() || Instant::now() > deadline {
                return Err(other(format!("cannot list the offset of {topic}-{index}: {code}")));
            }
            std::thread::sleep(LEADERS_POLL_INTERVAL);
        }
    }

    /// The offset at `timestamp` of one partition, if the node at the other end leads it.
    pub(crate) fn offset(&mut self, topic: &str, partition_index: i32, timestamp: i64) -> io::Result<i64> {
        let asked = ListOffsetsPartition { partition_index, timestamp, ..Default::default() };
        let topics = vec![ListOffsetsTopic { name: topic, partitions: vec![asked] }];
        let request = ListOffsetsRequest { topics, ..Default::default() };
        let response: ListOffsetsResponse<'_> = self.call(LIST_OFFSETS_VERSION, &request)?;
        let found = response.topics.iter().flat_map(|topic| &topic.partitions).next();
        let found = found.ok_or_else(|| other("an answer names no partition".into()))?;
        check(found.error_code, || format!("cannot list the offset of {topic}-{partition_index}"))?;
        Ok(found.offset)
    }

    /// Fills in one offset for each partition, and returns the first refusal if there is one.
    fn list_offsets(
        &mut self,
        topic: &str,
        timestamp: i64,
        offsets: &mut [Option<i64>],
    ) -> io::Result<Option<(i32, ErrorCode)>> {
        let partitions = (0_i32..).zip(&*offsets);
        let partitions = partitions
            .map(|(partition_index, _)| ListOffsetsPartition {
                partition_index,
                timestamp,
                ..Default::default()
            })
            .collect();
        let request = ListOffsetsRequest {
            topics: vec![ListOffsetsTopic { name: topic, partitions }],
            ..Default::default()
        };
        let response: ListOffsetsResponse<'_> = self.call(LIST_OFFSETS_VERSION, &request)?;
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            let index = partition.partition_index;
            if partition.error_code != ErrorCode::NONE {
                return Ok(Some((index, partition.error_code)));
            }
            let place = usize::try_from(index).ok().and_then(|index| offsets.get_mut(index));
            *place.ok_or_else(|| other(format!("an offset of {topic}-{index} was not asked for")))? =
                Some(partition.offset);
        }
        Ok(None)
    }

    fn await_leaders(&mut self, topic: &str, partition_count: u32) -> io::Result<()> {
        let deadline = Instant::now() + LEADERS_WAIT_MAX;
        loop {
            let (_, led) = self.partitions(topic)?;
            if led == partition_count {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(other(format!("{led} of {partition_count} partitions of {topic} have a leader")));
            }
            std::thread::sleep(LEADERS_POLL_INTERVAL);
        }
    }

    /// How many partitions the topic has, and how many of them have a leader.
    fn partitions(&mut self, topic: &str) -> io::Result<(u32, u32)> {
        let topics = Some(vec![MetadataRequestTopic { name: Some(topic), ..Default::default() }]);
        let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
        let response: MetadataResponse<'_> = self.call(METADATA_VERSION, &request)?;
        let mut counts = (0, 0);
        for found in &response.topics {
            // A topic just created may not be known yet, or have no leaders yet.
            if !found.error_code.is_retriable() {
                check(found.error_code, || format!("cannot describe topic {topic}"))?;
            }
            for partition in &found.partitions {
                counts.0 += 1;
                counts.1 += u32::from(partition.error_code == ErrorCode::NONE && partition.leader_id >= 0);
            }
        }
        Ok(counts)
    }

    /// Sends a request and reads its response.
    pub(crate) fn call<'s, Q: Request + Encode, R: Response + Decode<'s>>(
        &'s mut self,
        api_version: i16,
        request: &Q,
    ) -> io::Result<R> {
        self.correlation_id += 1;
        let api_key = Q::API_KEY;
        let correlation_id = self.correlation_id;
        let header = RequestHeader { api_key, api_version, correlation_id, client_id: Some(CLIENT_ID) };
        let frame = request_frame(&header, request).map_err(io::Error::other)?;
        self.stream.write_all(&frame)?;
        self.read_response()?;
        let mut reader = Reader::new(&self.response);
        read_header(&mut reader, api_key, api_version, correlation_id)?;
        decode_response(&mut reader, api_version).map_err(io::Error::other)
    }

    fn read_response(&mut self) -> io::Result<()> {
        let mut prefix = [0; FRAME_LENGTH_BYTES];
        self.stream.read_exact(&mut prefix)?;
        let size = parse_frame_length(prefix, RESPONSE_SIZE_MAX).map_err(io::Error::other)?;
        self.response.resize(size, 0);
        self.stream.read_exact(&mut self.response)
    }
}

/// Reads a response's header, which must belong to the request.
pub(crate) fn read_header(
    reader: &mut Reader<'_>,
    api_key: ApiKey,
    api_version: i16,
    correlation_id: i32,
) -> io::Result<()> {
    let header = ResponseHeader::decode(reader, api_key, api_version).map_err(io::Error::other)?;
    if header.correlation_id == correlation_id {
        return Ok(());
    }
    let found = header.correlation_id;
    Err(other(format!("response {found} came where {correlation_id} was due")))
}

/// Fails if the broker answered with an error.
pub(crate) fn check(code: ErrorCode, what: impl FnOnce() -> String) -> io::Result<()> {
    if code == ErrorCode::NONE { Ok(()) } else { Err(other(format!("{}: {code}", what()))) }
}

/// An error with a sentence.
pub(crate) fn other(sentence: String) -> io::Error {
    io::Error::other(sentence)
}
