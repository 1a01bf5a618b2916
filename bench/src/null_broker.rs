//! A broker that stores nothing: the harness's own ceiling, and the peer of its tests.
//!
//! It counts records, answers at once, and serves a fetch from the last batch it was given, stamped
//! anew. One thread a connection; it checks nothing, since nothing here is to be trusted with data.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use ringmain_protocol::codec::{Encode, Reader};
use ringmain_protocol::frame::{
    Chunk, FRAME_LENGTH_BYTES, parse_frame_length, response_chunks, response_frame,
};
use ringmain_protocol::header::RequestHeader;
use ringmain_protocol::messages::{
    CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse, DeletableTopicResult,
    DeleteTopicsRequest, DeleteTopicsResponse, EARLIEST_TIMESTAMP, FetchPartitionResponse, FetchRequest,
    FetchResponse, FetchTopicResponse, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
    ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopicResponse, Request, Response,
    decode_request,
};
use ringmain_protocol::records::{RecordBatchHeader, stamp};
use ringmain_protocol::{ApiKey, ErrorCode};

use crate::driver::wire::client::other;

/// Largest request that is read; Kafka's default.
const REQUEST_SIZE_MAX: usize = 100 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;
/// The only node's id.
const NODE_ID: i32 = 1;

/// What a partition remembers.
#[derive(Debug, Clone, Default)]
struct Partition {
    next_offset: i64,
    /// The last batch, and how many records it has.
    batch: Vec<u8>,
    record_count: i64,
}

type Topics = BTreeMap<String, Vec<Partition>>;

/// Serves until accepting fails.
pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    let topics = Arc::new(Mutex::new(Topics::new()));
    loop {
        let (stream, peer) = listener.accept()?;
        let topics = Arc::clone(&topics);
        std::thread::spawn(move || {
            if let Err(error) = serve_connection(stream, &topics) {
                eprintln!("null broker: connection from {peer}: {error}");
            }
        });
    }
}

fn serve_connection(mut stream: TcpStream, topics: &Mutex<Topics>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut inbox = vec![0; READ_BYTES];
    let mut filled = 0;
    let mut answers = Vec::new();
    loop {
        let count = stream.read(&mut inbox[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let mut at = 0;
        let mut needed = READ_BYTES;
        while let Some(prefix) = inbox[at..filled].first_chunk() {
            let size = parse_frame_length(*prefix, REQUEST_SIZE_MAX).map_err(io::Error::other)?;
            needed = FRAME_LENGTH_BYTES + size;
            let Some(frame) = inbox[at..filled].get(..needed) else { break };
            answer(&frame[FRAME_LENGTH_BYTES..], topics, &mut answers)?;
            at += needed;
        }
        inbox.copy_within(at..filled, 0);
        filled -= at;
        inbox.resize(inbox.len().max(needed), 0);
        stream.write_all(&answers)?;
        answers.clear();
    }
}

/// Appends the answer to one request to `answers`.
fn answer(request: &[u8], topics: &Mutex<Topics>, answers: &mut Vec<u8>) -> io::Result<()> {
    let mut reader = Reader::new(request);
    let header = RequestHeader::decode(&mut reader).map_err(io::Error::other)?;
    // A thread that panicked leaves counters that are no worse than before.
    let mut topics = topics.lock().unwrap_or_else(PoisonError::into_inner);
    match header.api_key {
        ApiKey::Produce => {
            let request: ProduceRequest<'_, &[u8]> = decode(&mut reader, &header)?;
            let acks = request.acks;
            let response = produce(&mut topics, request)?;
            if acks != 0 {
                append(answers, &header, &response)?;
            }
        }
        ApiKey::Fetch => {
            let request: FetchRequest<'_> = decode(&mut reader, &header)?;
            let response = fetch(&topics, &request);
            let chunks = response_chunks(&header.response(header.api_version), response);
            for chunk in chunks.map_err(io::Error::other)? {
                match chunk {
                    Chunk::Bytes(bytes) | Chunk::Payload(bytes) => answers.extend_from_slice(&bytes),
                }
            }
        }
        ApiKey::ListOffsets => {
            append(answers, &header, &list_offsets(&topics, &decode(&mut reader, &header)?))?
        }
        ApiKey::Metadata => append(answers, &header, &metadata(&topics, decode(&mut reader, &header)?))?,
        ApiKey::CreateTopics => {
            append(answers, &header, &create_topics(&mut topics, decode(&mut reader, &header)?)?)?;
        }
        ApiKey::DeleteTopics => {
            append(answers, &header, &delete_topics(&mut topics, decode(&mut reader, &header)?))?;
        }
        unserved => return Err(other(format!("{unserved} is not served here"))),
    }
    Ok(())
}

fn decode<'a, R: Request + ringmain_protocol::codec::Decode<'a>>(
    reader: &mut Reader<'a>,
    header: &RequestHeader<'_>,
) -> io::Result<R> {
    decode_request(reader, header.api_version).map_err(io::Error::other)
}

fn append<R: Response + Encode>(
    answers: &mut Vec<u8>,
    header: &RequestHeader<'_>,
    response: &R,
) -> io::Result<()> {
    let frame = response_frame(&header.response(header.api_version), response).map_err(io::Error::other)?;
    answers.extend_from_slice(&frame);
    Ok(())
}

fn partition<'t>(topics: &'t Topics, topic: &str, index: i32) -> Option<&'t Partition> {
    topics.get(topic)?.get(usize::try_from(index).ok()?)
}

fn produce<'a>(topics: &mut Topics, request: ProduceRequest<'a, &[u8]>) -> io::Result<ProduceResponse<'a>> {
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let index = asked.index;
            let found =
                usize::try_from(index).ok().and_then(|index| topics.get_mut(topic.name)?.get_mut(index));
            let Some(partition) = found else {
                let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                partitions.push(ProducePartitionResponse { index, error_code, ..Default::default() });
                continue;
            };
            let batch = asked.records.unwrap_or_default();
            let header =
                RecordBatchHeader::peek(batch).ok_or_else(|| other("a batch has no header".into()))?;
            let base_offset = partition.next_offset;
            partition.record_count = header.record_count.get().into();
            partition.next_offset += partition.record_count;
            if partition.batch.len() != batch.len() {
                partition.batch = batch.to_vec();
            }
            partitions.push(ProducePartitionResponse { index, base_offset, ..Default::default() });
        }
        responses.push(ProduceTopicResponse { name: topic.name.into(), partitions });
    }
    Ok(ProduceResponse { responses, ..Default::default() })
}

fn fetch<'a>(topics: &Topics, request: &FetchRequest<'a>) -> FetchResponse<'a, bytes::Bytes> {
    let responses = request.topics.iter().map(|asked| {
        let partitions = asked.partitions.iter().map(|asked_partition| {
            let partition_index = asked_partition.partition;
            let Some(found) = partition(topics, asked.topic, partition_index) else {
                let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                return FetchPartitionResponse { partition_index, error_code, ..Default::default() };
            };
            FetchPartitionResponse {
                partition_index,
                high_watermark: found.next_offset,
                last_stable_offset: found.next_offset,
                log_start_offset: 0,
                records: Some(copies(
                    found,
                    asked_partition.fetch_offset,
                    asked_partition.partition_max_bytes,
                )),
                ..Default::default()
            }
        });
        FetchTopicResponse {
            topic: asked.topic.into(),
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    FetchResponse { responses: responses.collect(), ..Default::default() }
}

/// Copies of the partition's batch from `offset` to its end, at most `max_bytes` but one at least.
fn copies(partition: &Partition, offset: i64, max_bytes: i32) -> bytes::Bytes {
    let max_bytes = usize::try_from(max_bytes).unwrap_or_default();
    let mut bytes = Vec::new();
    let mut base_offset = offset;
    while base_offset < partition.next_offset
        && (bytes.is_empty() || bytes.len() + partition.batch.len() <= max_bytes)
    {
        let from = bytes.len();
        bytes.extend_from_slice(&partition.batch);
        stamp(&mut bytes[from..], base_offset, 0);
        base_offset += partition.record_count;
    }
    bytes.into()
}

fn list_offsets<'a>(topics: &Topics, request: &ListOffsetsRequest<'a>) -> ListOffsetsResponse<'a> {
    let answered = request.topics.iter().map(|asked| {
        let partitions = asked.partitions.iter().map(|asked_partition| {
            let partition_index = asked_partition.partition_index;
            let Some(found) = partition(topics, asked.name, partition_index) else {
                let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                return ListOffsetsPartitionResponse { partition_index, error_code, ..Default::default() };
            };
            let is_start = asked_partition.timestamp == EARLIEST_TIMESTAMP;
            let offset = if is_start { 0 } else { found.next_offset };
            ListOffsetsPartitionResponse { partition_index, offset, ..Default::default() }
        });
        ListOffsetsTopicResponse { name: asked.name.into(), partitions: partitions.collect() }
    });
    ListOffsetsResponse { topics: answered.collect(), ..Default::default() }
}

fn metadata<'a>(topics: &Topics, request: MetadataRequest<'a>) -> MetadataResponse<'a> {
    let asked = request.topics.unwrap_or_default();
    let described = asked.into_iter().map(|asked| {
        let name = asked.name.unwrap_or_default();
        let Some(partitions) = topics.get(name) else {
            let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            return MetadataTopic { error_code, name: Some(name.into()), ..Default::default() };
        };
        let partitions = (0_i32..).zip(partitions).map(|(partition_index, _)| MetadataPartition {
            partition_index,
            leader_id: NODE_ID,
            replica_nodes: vec![NODE_ID],
            isr_nodes: vec![NODE_ID],
            ..Default::default()
        });
        MetadataTopic { name: Some(name.into()), partitions: partitions.collect(), ..Default::default() }
    });
    MetadataResponse { topics: described.collect(), controller_id: NODE_ID, ..Default::default() }
}

fn create_topics<'a>(
    topics: &mut Topics,
    request: CreateTopicsRequest<'a>,
) -> io::Result<CreateTopicsResponse<'a>> {
    let mut created = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let count = usize::try_from(topic.num_partitions).map_err(io::Error::other)?;
        topics.insert(topic.name.to_owned(), vec![Partition::default(); count]);
        created.push(CreatableTopicResult { name: topic.name.into(), ..Default::default() });
    }
    Ok(CreateTopicsResponse { topics: created, ..Default::default() })
}

fn delete_topics<'a>(topics: &mut Topics, request: DeleteTopicsRequest<'a>) -> DeleteTopicsResponse<'a> {
    let deleted = request.topic_names.into_iter().map(|name| {
        let error_code = match topics.remove(name) {
            Some(_) => ErrorCode::NONE,
            None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        DeletableTopicResult { name: Some(name.into()), error_code, ..Default::default() }
    });
    DeleteTopicsResponse { responses: deleted.collect(), ..Default::default() }
}
