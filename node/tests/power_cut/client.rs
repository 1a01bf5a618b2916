//! A blocking client over our own encoders: topics, pipelined produce requests, reading a partition whole.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use ringmain_protocol::{
    ApiKey, ErrorCode,
    codec::{Decode, Encode, Reader},
    frame::{Chunk, FRAME_LENGTH_BYTES, parse_frame_length, request_chunks, request_frame},
    header::{RequestHeader, ResponseHeader},
    messages::{
        CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
        DeleteTopicsResponse, FetchPartition, FetchRequest, FetchResponse, FetchTopic, ProducePartition,
        ProduceRequest, ProduceResponse, ProduceTopic, Request, Response, decode_response,
    },
};

const CLIENT_ID: &str = "power-cut";
const CREATE_TOPICS_VERSION: i16 = 4;
const DELETE_TOPICS_VERSION: i16 = 3;
const PRODUCE_VERSION: i16 = 7;
const FETCH_VERSION: i16 = 11;
const ACKS_ALL: i16 = -1;
const RESPONSE_SIZE_MAX: usize = 64 << 20;
const FETCH_SIZE_MAX: i32 = 4 << 20;
/// A server that says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// How long a topic may take to be there, or gone.
const TOPIC_WAIT_MAX: Duration = Duration::from_secs(20);
const TOPIC_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
    /// Of the next response.
    awaited_id: i32,
    response: Vec<u8>,
}

/// What a partition answered to one fetch.
pub(crate) struct Fetched {
    pub(crate) batches: Vec<u8>,
    pub(crate) high_watermark: i64,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Client { stream, correlation_id: 0, awaited_id: 0, response: Vec::new() })
    }

    /// Creates a topic and waits until each partition can be read.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> io::Result<()> {
        let deadline = Instant::now() + TOPIC_WAIT_MAX;
        loop {
            let configs = configs
                .iter()
                .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) })
                .collect();
            let topic = CreatableTopic {
                name,
                num_partitions: partitions,
                replication_factor: 1,
                configs,
                ..Default::default()
            };
            let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
            let response: CreateTopicsResponse<'_> = self.call(CREATE_TOPICS_VERSION, &request)?;
            match response.topics.first().map(|topic| topic.error_code) {
                Some(ErrorCode::NONE) => break,
                // A predecessor of that name may still be going away.
                Some(ErrorCode::TOPIC_ALREADY_EXISTS) if Instant::now() < deadline => {}
                refused => return Err(io::Error::other(format!("cannot create {name}: {refused:?}"))),
            }
            std::thread::sleep(TOPIC_POLL_INTERVAL);
        }
        for partition in 0..partitions {
            while let Err(error) = self.fetch(name, partition, 0) {
                if Instant::now() > deadline {
                    return Err(error);
                }
                std::thread::sleep(TOPIC_POLL_INTERVAL);
            }
        }
        Ok(())
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> io::Result<()> {
        let request =
            DeleteTopicsRequest { topic_names: vec![name], timeout_ms: 10_000, ..Default::default() };
        let response: DeleteTopicsResponse<'_> = self.call(DELETE_TOPICS_VERSION, &request)?;
        response.responses.iter().try_for_each(|topic| check(topic.error_code, "delete"))
    }

    /// Reads from one partition.
    pub(crate) fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> io::Result<Fetched> {
        let wanted = FetchPartition {
            partition,
            fetch_offset: offset,
            partition_max_bytes: FETCH_SIZE_MAX,
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms: 0,
            max_bytes: FETCH_SIZE_MAX,
            topics: vec![FetchTopic { topic, partitions: vec![wanted], ..Default::default() }],
            ..Default::default()
        };
        let response: FetchResponse<'_, &[u8]> = self.call(FETCH_VERSION, &request)?;
        check(response.error_code, "fetch")?;
        let found = response.responses.iter().flat_map(|topic| &topic.partitions).next();
        let found = found.ok_or_else(|| io::Error::other("a fetch answered nothing about its partition"))?;
        check(found.error_code, "fetch")?;
        Ok(Fetched {
            batches: found.records.unwrap_or_default().to_vec(),
            high_watermark: found.high_watermark,
        })
    }

    /// Sends a produce request with acks=all without waiting for its answer.
    pub(crate) fn send_produce(&mut self, topic: &str, partition: i32, batch: &[u8]) -> io::Result<()> {
        let header = self.next_header(ApiKey::Produce, PRODUCE_VERSION);
        let partitions = vec![ProducePartition { index: partition, records: Some(batch) }];
        let topics = vec![ProduceTopic { name: topic, partitions }];
        let request = ProduceRequest { transactional_id: None, acks: ACKS_ALL, timeout_ms: 30_000, topics };
        for chunk in request_chunks(&header, request).map_err(io::Error::other)? {
            match chunk {
                Chunk::Bytes(bytes) => self.stream.write_all(&bytes)?,
                Chunk::Payload(batch) => self.stream.write_all(batch)?,
            }
        }
        Ok(())
    }

    /// The answer to the oldest produce request that has none yet: the offset of the batch's first record.
    pub(crate) fn receive_produce(&mut self) -> io::Result<i64> {
        let response: ProduceResponse<'_> = self.receive(ApiKey::Produce, PRODUCE_VERSION)?;
        let partition = response.responses.iter().flat_map(|topic| &topic.partitions).next();
        let partition = partition.ok_or_else(|| io::Error::other("an answer about no partition"))?;
        check(partition.error_code, "produce")?;
        Ok(partition.base_offset)
    }

    fn call<'s, Q: Request + Encode, R: Response + Decode<'s>>(
        &'s mut self,
        api_version: i16,
        request: &Q,
    ) -> io::Result<R> {
        let header = self.next_header(Q::API_KEY, api_version);
        let frame = request_frame(&header, request).map_err(io::Error::other)?;
        self.stream.write_all(&frame)?;
        self.receive(Q::API_KEY, api_version)
    }

    fn next_header(&mut self, api_key: ApiKey, api_version: i16) -> RequestHeader<'static> {
        self.correlation_id += 1;
        RequestHeader {
            api_key,
            api_version,
            correlation_id: self.correlation_id,
            client_id: Some(CLIENT_ID),
        }
    }

    fn receive<'s, R: Response + Decode<'s>>(
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
}

fn check(code: ErrorCode, what: &str) -> io::Result<()> {
    if code == ErrorCode::NONE { Ok(()) } else { Err(io::Error::other(format!("cannot {what}: {code}"))) }
}
