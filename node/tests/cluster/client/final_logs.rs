//! The logs of all replicas after healing, each read from the node that has it.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use ringmain_protocol::{
    ErrorCode,
    messages::{FetchPartition, FetchRequest, FetchResponse, FetchTopic},
    records::batches,
};

use super::{
    connection::Connection,
    reader::{DECOMPRESSED_MAX, FETCH_VERSION},
    value::record_of,
};
use crate::history::{Batch, FinalLog};

const FETCH_SIZE_MAX: i32 = 8 << 20;
/// A follower hears of the last high watermark with its next fetch.
const SETTLE_LIMIT: Duration = Duration::from_secs(15);
const SETTLE_POLL: Duration = Duration::from_millis(50);

/// Reads one partition whole from one node, when its high watermark has reached `end`.
pub(crate) fn read(
    node: i32,
    address: SocketAddr,
    topic: &str,
    partition: i32,
    end: i64,
) -> Result<FinalLog, String> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    let what = |error: io::Error| format!("partition {partition} of {topic} on node {node}: {error}");
    let mut connection = Connection::open(address).map_err(what)?;
    let mut log = FinalLog { node, partition, ..FinalLog::default() };
    let mut position = 0;
    let mut begun = false;
    loop {
        let fetched = fetch(&mut connection, topic, partition, position).map_err(what)?;
        let (code, high_watermark) = (fetched.code, fetched.high_watermark);
        let may_settle = Instant::now() < deadline;
        match code {
            ErrorCode::NONE => {}
            code if code.is_retriable() && may_settle => {
                thread::sleep(SETTLE_POLL);
                continue;
            }
            code => return Err(what(io::Error::other(format!("{code} at offset {position}")))),
        }
        if !begun {
            (log.start, position, begun) = (fetched.log_start, fetched.log_start, true);
            if log.start > 0 {
                continue;
            }
        }
        log.end = high_watermark;
        let before = position;
        position = take(&mut log, &fetched.records, position)
            .map_err(|reason| format!("partition {partition} on node {node}: {reason}"))?;
        if position >= high_watermark && (high_watermark >= end || !may_settle) {
            return Ok(log);
        }
        if position == before {
            if !may_settle {
                let reason = format!("it stays at {position} of {high_watermark}");
                return Err(what(io::Error::other(reason)));
            }
            thread::sleep(SETTLE_POLL);
        }
    }
}

struct Fetched {
    code: ErrorCode,
    high_watermark: i64,
    log_start: i64,
    records: Vec<u8>,
}

fn fetch(connection: &mut Connection, topic: &str, partition: i32, position: i64) -> io::Result<Fetched> {
    let wanted = FetchPartition {
        partition,
        fetch_offset: position,
        partition_max_bytes: FETCH_SIZE_MAX,
        last_fetched_epoch: -1,
        ..Default::default()
    };
    let request = FetchRequest {
        max_wait_ms: 0,
        max_bytes: FETCH_SIZE_MAX,
        topics: vec![FetchTopic { topic, partitions: vec![wanted], ..Default::default() }],
        ..Default::default()
    };
    let response: FetchResponse<'_, &[u8]> = connection.call(FETCH_VERSION, &request)?;
    let found = response.responses.iter().flat_map(|topic| &topic.partitions).next();
    let found = found.ok_or_else(|| io::Error::other("a fetch answered nothing about its partition"))?;
    Ok(Fetched {
        code: found.error_code,
        high_watermark: found.high_watermark,
        log_start: found.log_start_offset.max(0),
        records: found.records.unwrap_or_default().to_vec(),
    })
}

/// Adds the batches to the log; the next position.
fn take(log: &mut FinalLog, bytes: &[u8], mut position: i64) -> Result<i64, String> {
    for batch in batches(bytes) {
        // The last one may be cut off by the size limit of the answer.
        let Ok(batch) = batch else { break };
        if batch.base_offset() < position {
            return Err(format!("a batch at {} where {position} was asked for", batch.base_offset()));
        }
        let base_offset = batch.base_offset();
        batch.verify_checksum().map_err(|error| format!("the batch at {base_offset}: {error}"))?;
        log.batches.push(Batch { base_offset, digest: digest(batch.bytes()) });
        let unpacked = batch
            .decompress(DECOMPRESSED_MAX)
            .map_err(|error| format!("the batch at {base_offset}: {error}"))?;
        for record in batch.records(&unpacked) {
            let record = record.map_err(|error| format!("the batch at {base_offset}: {error}"))?;
            log.records.push((record.offset, record_of(record.value, log.partition)));
        }
        position = batch.last_offset() + 1;
    }
    Ok(position)
}

/// FNV-1a of 64 bits: any two different batches of one run have different ones.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
