//! The protocol written by hand: requests byte by byte, and a client made of them that behaves well.
//!
//! Independent of the server's codec on purpose. Only old, plain versions are used, because they never change.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub(crate) const PRODUCE: i16 = 0;
pub(crate) const FETCH: i16 = 1;
pub(crate) const LIST_OFFSETS: i16 = 2;
pub(crate) const METADATA: i16 = 3;
pub(crate) const OFFSET_COMMIT: i16 = 8;
pub(crate) const OFFSET_FETCH: i16 = 9;
pub(crate) const FIND_COORDINATOR: i16 = 10;
pub(crate) const JOIN_GROUP: i16 = 11;
pub(crate) const HEARTBEAT: i16 = 12;
pub(crate) const LEAVE_GROUP: i16 = 13;
pub(crate) const SYNC_GROUP: i16 = 14;
pub(crate) const DESCRIBE_GROUPS: i16 = 15;
pub(crate) const LIST_GROUPS: i16 = 16;
pub(crate) const API_VERSIONS: i16 = 18;
pub(crate) const CREATE_TOPICS: i16 = 19;
pub(crate) const DELETE_TOPICS: i16 = 20;
pub(crate) const DELETE_RECORDS: i16 = 21;
pub(crate) const CREATE_PARTITIONS: i16 = 37;
pub(crate) const DELETE_GROUPS: i16 = 42;

/// Longer than any answer of a healthy server on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A request being written.
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    /// Begins with header version 1: key, version, correlation id, client id.
    pub(crate) fn request(key: i16, version: i16, correlation_id: i32) -> Self {
        Self(vec![0; 4]).i16(key).i16(version).i32(correlation_id).string("raw")
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn i8(self, value: i8) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn string(self, text: &str) -> Self {
        self.i16(i16::try_from(text.len()).expect("a short text")).raw(text.as_bytes())
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.i32(i32::try_from(bytes.len()).expect("it fits a frame")).raw(bytes)
    }

    /// The frame with its size in front.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let size = u32::try_from(self.0.len() - 4).expect("it fits a frame");
        self.0[..4].copy_from_slice(&size.to_be_bytes());
        self.0
    }
}

/// Puts the size in front of a frame written elsewhere.
pub(crate) fn with_size(frame: &[u8]) -> Vec<u8> {
    let mut whole = u32::try_from(frame.len()).expect("it fits a frame").to_be_bytes().to_vec();
    whole.extend_from_slice(frame);
    whole
}

pub(crate) fn api_versions(correlation_id: i32) -> Vec<u8> {
    Frame::request(API_VERSIONS, 0, correlation_id).finish()
}

/// Produce version 7 with one batch for one partition.
pub(crate) fn produce(correlation_id: i32, topic: &str, partition: i32, acks: i16, batch: &[u8]) -> Vec<u8> {
    Frame::request(PRODUCE, 7, correlation_id)
        .i16(-1)
        .i16(acks)
        .i32(10_000)
        .i32(1)
        .string(topic)
        .i32(1)
        .i32(partition)
        .bytes(batch)
        .finish()
}

/// Fetch version 4 of partition 0.
pub(crate) fn fetch(
    correlation_id: i32,
    topic: &str,
    offset: i64,
    wait: Duration,
    max_bytes: i32,
) -> Vec<u8> {
    fetch_partition(correlation_id, (topic, 0), offset, wait, max_bytes)
}

/// Fetch version 4 of one partition.
pub(crate) fn fetch_partition(
    correlation_id: i32,
    (topic, partition): (&str, i32),
    offset: i64,
    wait: Duration,
    max_bytes: i32,
) -> Vec<u8> {
    Frame::request(FETCH, 4, correlation_id)
        .i32(-1)
        .i32(i32::try_from(wait.as_millis()).expect("a short wait"))
        .i32(1)
        .i32(max_bytes)
        .i8(0)
        .i32(1)
        .string(topic)
        .i32(1)
        .i32(partition)
        .i64(offset)
        .i32(max_bytes)
        .finish()
}

/// CreateTopics version 2.
pub(crate) fn create_topics(names: &[String], partitions: i32, configs: &[(&str, &str)]) -> Vec<u8> {
    let mut frame = Frame::request(CREATE_TOPICS, 2, 1).i32(i32::try_from(names.len()).expect("few"));
    for name in names {
        frame = frame.string(name).i32(partitions).i16(1).i32(0);
        frame = frame.i32(i32::try_from(configs.len()).expect("few"));
        for (key, value) in configs {
            frame = frame.string(key).string(value);
        }
    }
    frame.i32(30_000).i8(0).finish()
}

/// DeleteTopics version 1.
pub(crate) fn delete_topics(names: &[String]) -> Vec<u8> {
    let count = i32::try_from(names.len()).expect("few");
    let frame = Frame::request(DELETE_TOPICS, 1, 1).i32(count);
    names.iter().fold(frame, |frame, name| frame.string(name)).i32(30_000).finish()
}

/// A record batch (magic 2) around records that are already encoded.
pub(crate) fn batch_of(records: &[u8], count: i32, codec: i16) -> Vec<u8> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let time = i64::try_from(now.as_millis()).expect("before the year 292 million");
    let mut covered = Vec::with_capacity(40 + records.len());
    covered.extend_from_slice(&codec.to_be_bytes());
    covered.extend_from_slice(&(count - 1).to_be_bytes());
    covered.extend_from_slice(&time.to_be_bytes());
    covered.extend_from_slice(&time.to_be_bytes());
    covered.extend_from_slice(&(-1_i64).to_be_bytes());
    covered.extend_from_slice(&(-1_i16).to_be_bytes());
    covered.extend_from_slice(&(-1_i32).to_be_bytes());
    covered.extend_from_slice(&count.to_be_bytes());
    covered.extend_from_slice(records);
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend_from_slice(&i32::try_from(9 + covered.len()).expect("it fits a batch").to_be_bytes());
    batch.extend_from_slice(&(-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&crc32c(&covered).to_be_bytes());
    batch.extend_from_slice(&covered);
    batch
}

/// A batch of records that have only a value.
pub(crate) fn batch(values: &[&[u8]]) -> Vec<u8> {
    let records: Vec<u8> =
        values.iter().enumerate().flat_map(|(index, value)| record(index, value)).collect();
    batch_of(&records, i32::try_from(values.len()).expect("few"), 0)
}

pub(crate) fn record(index: usize, value: &[u8]) -> Vec<u8> {
    let mut body = vec![0];
    varint(&mut body, 0);
    varint(&mut body, i64::try_from(index).expect("small"));
    varint(&mut body, -1);
    varint(&mut body, i64::try_from(value.len()).expect("small"));
    body.extend_from_slice(value);
    varint(&mut body, 0);
    let mut record = Vec::with_capacity(body.len() + 5);
    varint(&mut record, i64::try_from(body.len()).expect("small"));
    record.extend_from_slice(&body);
    record
}

#[expect(clippy::cast_sign_loss, reason = "the zigzag form is defined on the bits")]
fn varint(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
}

/// CRC-32C (Castagnoli), byte by byte.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, byte| {
        let index = usize::from(crc.to_le_bytes()[0] ^ byte);
        TABLE[index] ^ (crc >> 8)
    })
}

/// How waiting for an answer ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    /// A frame without its size: correlation id, then the answer.
    Frame(Vec<u8>),
    /// The server closed the connection.
    Closed,
    /// Nothing came in the time given.
    Silence,
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self { stream })
    }

    /// Sends bytes; `false` if the server has closed the connection.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Waits for one frame, no longer than the limit in all.
    pub(crate) fn receive(&mut self, limit: Duration) -> Reply {
        let end = Instant::now() + limit;
        let mut size = [0; 4];
        match self.fill(&mut size, end) {
            Some(Reply::Frame(_)) | None => {}
            Some(ended) => return ended,
        }
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(size)).expect("32 bits")];
        self.fill(&mut frame, end).unwrap_or(Reply::Frame(frame))
    }

    fn fill(&mut self, buffer: &mut [u8], end: Instant) -> Option<Reply> {
        let mut filled = 0;
        while filled < buffer.len() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(Reply::Silence);
            }
            self.stream.set_read_timeout(Some(left)).expect("a timeout above zero");
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Some(Reply::Closed),
                Ok(count) => filled += count,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Some(Reply::Silence);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Some(Reply::Closed),
            }
        }
        None
    }

    /// Sends a request that must be answered; the answer after its correlation id.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        assert!(self.send(request), "the server closed the connection");
        match self.receive(ANSWER_LIMIT) {
            Reply::Frame(frame) => frame[4..].to_vec(),
            ended => panic!("no answer to a valid request: {ended:?}"),
        }
    }
}

/// Reads an answer from its front.
pub(crate) struct Answer<'a>(pub(crate) &'a [u8]);

impl Answer<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk().expect("the answer is long enough");
        self.0 = rest;
        *head
    }

    pub(crate) fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    pub(crate) fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    pub(crate) fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let (head, rest) = self.0.split_at(length);
        self.0 = rest;
        head.to_vec()
    }

    pub(crate) fn string(&mut self) -> String {
        let length = usize::try_from(self.i16()).unwrap_or(0);
        String::from_utf8(self.bytes(length)).expect("names are UTF-8")
    }
}

/// Error code and base offset in an answer to `produce`.
pub(crate) fn produced(answer: &[u8]) -> (i16, i64) {
    let mut answer = Answer(answer);
    assert_eq!(answer.i32(), 1, "one topic");
    answer.string();
    assert_eq!(answer.i32(), 1, "one partition");
    answer.i32();
    (answer.i16(), answer.i64())
}

/// DeleteRecords version 0 of partition 0: error code and low watermark.
pub(crate) fn delete_records(connection: &mut Connection, topic: &str, offset: i64) -> (i16, i64) {
    let request = Frame::request(DELETE_RECORDS, 0, 1)
        .i32(1)
        .string(topic)
        .i32(1)
        .i32(0)
        .i64(offset)
        .i32(10_000)
        .finish();
    let answer = connection.ask(&request);
    let mut answer = Answer(&answer);
    answer.i32();
    assert_eq!(answer.i32(), 1, "one topic");
    answer.string();
    assert_eq!(answer.i32(), 1, "one partition");
    answer.i32();
    let low_watermark = answer.i64();
    (answer.i16(), low_watermark)
}

/// The first offset of partition 0 at its leader, by ListOffsets version 1: error code and offset.
pub(crate) fn first_offset(connection: &mut Connection, topic: &str) -> (i16, i64) {
    const EARLIEST: i64 = -2;
    let request =
        Frame::request(LIST_OFFSETS, 1, 1).i32(-1).i32(1).string(topic).i32(1).i32(0).i64(EARLIEST).finish();
    let answer = connection.ask(&request);
    let mut answer = Answer(&answer);
    assert_eq!(answer.i32(), 1, "one topic");
    answer.string();
    assert_eq!(answer.i32(), 1, "one partition");
    answer.i32();
    let error = answer.i16();
    answer.i64();
    (error, answer.i64())
}

/// What a fetch of one partition brought.
pub(crate) struct Fetched {
    pub(crate) error: i16,
    pub(crate) high_watermark: i64,
    pub(crate) records: Vec<u8>,
}

/// The one partition in an answer to `fetch`.
pub(crate) fn fetched(answer: &[u8]) -> Fetched {
    let mut answer = Answer(answer);
    answer.i32();
    assert_eq!(answer.i32(), 1, "one topic");
    answer.string();
    assert_eq!(answer.i32(), 1, "one partition");
    answer.i32();
    let error = answer.i16();
    let high_watermark = answer.i64();
    answer.i64();
    assert!(answer.i32() <= 0, "no aborted transactions");
    let length = usize::try_from(answer.i32()).unwrap_or(0);
    Fetched { error, high_watermark, records: answer.bytes(length) }
}

/// The batches in fetched bytes: base offset and the whole batch; a batch that is cut at the end is left out.
pub(crate) fn batches(mut records: &[u8]) -> Vec<(i64, &[u8])> {
    let mut found = Vec::new();
    while let Some((head, _)) = records.split_first_chunk::<12>() {
        let base = i64::from_be_bytes(head[..8].try_into().expect("eight bytes"));
        let length = i32::from_be_bytes(head[8..].try_into().expect("four bytes"));
        let length = 12 + usize::try_from(length).expect("a batch has a length");
        if length > records.len() {
            break;
        }
        let (batch, rest) = records.split_at(length);
        found.push((base, batch));
        records = rest;
    }
    found
}

/// The values of the records of one uncompressed batch.
pub(crate) fn values(batch: &[u8]) -> Vec<Vec<u8>> {
    let count = i32::from_be_bytes(batch[57..61].try_into().expect("four bytes"));
    let mut rest = &batch[61..];
    (0..count)
        .map(|_| {
            let size = usize::try_from(read_varint(&mut rest)).expect("a size");
            let (mut record, after) = rest.split_at(size);
            rest = after;
            record = &record[1..];
            read_varint(&mut record);
            read_varint(&mut record);
            let key = usize::try_from(read_varint(&mut record)).unwrap_or(0);
            record = &record[key..];
            let value = usize::try_from(read_varint(&mut record)).unwrap_or(0);
            record[..value].to_vec()
        })
        .collect()
}

#[expect(clippy::cast_possible_wrap, reason = "the zigzag form is defined on the bits")]
fn read_varint(bytes: &mut &[u8]) -> i64 {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("the varint ends");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Whether the checksum of a batch is right.
pub(crate) fn is_intact(batch: &[u8]) -> bool {
    batch.len() > 61 && batch[17..21] == crc32c(&batch[21..]).to_be_bytes()
}

/// Every batch of a partition from an offset to its high watermark, or the error that ended the reading.
pub(crate) fn read_all(
    connection: &mut Connection,
    partition: (&str, i32),
    mut offset: i64,
) -> Result<Vec<(i64, Vec<u8>)>, i16> {
    let mut found = Vec::new();
    loop {
        let request = fetch_partition(1, partition, offset, Duration::ZERO, 8 << 20);
        let fetched = fetched(&connection.ask(&request));
        if fetched.error != 0 {
            return Err(fetched.error);
        }
        let batches = batches(&fetched.records);
        if batches.is_empty() {
            assert!(
                offset >= fetched.high_watermark,
                "offset {offset} below the high watermark brings nothing"
            );
            return Ok(found);
        }
        for (base, batch) in batches {
            let delta = i32::from_be_bytes(batch[23..27].try_into().expect("four bytes"));
            offset = base + i64::from(delta) + 1;
            found.push((base, batch.to_vec()));
        }
    }
}

/// Creates a topic and waits until its first partition takes a record's worth of questions.
pub(crate) fn create_topic(address: SocketAddr, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let mut connection = Connection::open(address).expect("the server accepts");
    let end = Instant::now() + ANSWER_LIMIT;
    loop {
        let answer = connection.ask(&create_topics(&[name.to_owned()], partitions, configs));
        let mut answer = Answer(&answer);
        answer.i32();
        assert_eq!(answer.i32(), 1, "one topic");
        answer.string();
        match answer.i16() {
            0 => break,
            // Left behind by an earlier run against the same broker.
            36 if Instant::now() < end => drop(connection.ask(&delete_topics(&[name.to_owned()]))),
            error => panic!("{name} cannot be created: error {error}"),
        }
    }
    let end = Instant::now() + ANSWER_LIMIT;
    while fetched(&connection.ask(&fetch(1, name, 0, Duration::ZERO, 1))).error != 0 {
        assert!(Instant::now() < end, "{name} does not get ready");
        std::thread::sleep(Duration::from_millis(10));
    }
}
