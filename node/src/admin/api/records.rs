//! `GET /api/v1/records`: records of a partition, decompressed, as text where they are text.

use hyper::StatusCode;
use memchr::memmem::Finder;
use ringmain_protocol::records::Record;
use serde::Serialize;

use super::{Problem, respond};
use crate::{
    admin::{
        AdminState, Request, Response,
        browse::{self, Begin},
        reach,
    },
    client::{ClientError, TopicPartition},
};

/// Records in one answer, unless asked for fewer, and at most.
const COUNT: usize = 50;
const COUNT_MAX: usize = 500;
/// Bytes of a key or value that are told, unless asked for others, and at most: a page shows hundreds of them.
const SHOWN_BYTES: usize = 4 << 10;
const SHOWN_BYTES_MAX: usize = 1 << 20;
/// The same, of an answer with many records.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Headers of one record.
const HEADERS_MAX: usize = 100;

#[derive(Debug, Serialize)]
struct Records {
    topic: String,
    partition: i32,
    leader: i32,
    start: i64,
    high_watermark: i64,
    from: i64,
    /// The offset to go on at.
    next: i64,
    /// Records that were looked at.
    scanned: u64,
    /// Why it ends before it should.
    problem: Option<String>,
    records: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    offset: i64,
    timestamp: i64,
    /// `null` is a key that is null.
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<Header>,
}

#[derive(Debug, Serialize)]
struct Header {
    key: Bytes,
    value: Option<Bytes>,
}

/// Bytes of others, as text where they are UTF-8, else in hexadecimal digits.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Bytes {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    /// How many there are; more than are told where they were cut.
    bytes: usize,
    is_cut: bool,
}

/// Answers with records.
pub(in crate::admin) fn records(request: &Request, state: &AdminState) -> Response {
    respond((|| {
        let topic = request.required("topic")?;
        let partition: i32 = request.number("partition")?.unwrap_or(0);
        let count = request.number("count")?.unwrap_or(COUNT).clamp(1, COUNT_MAX);
        let shown_bytes = request.number("bytes")?.unwrap_or(SHOWN_BYTES).min(SHOWN_BYTES_MAX);
        let shown_bytes = shown_bytes.min(ANSWER_BYTES_MAX / count);
        let from = match (request.number("offset")?, request.number("time")?) {
            (Some(offset), None) => Begin::Offset(offset),
            (None, Some(time)) => Begin::Time(time),
            (None, None) => Begin::Last(request.number("last")?.unwrap_or(count as i64)),
            (Some(_), Some(_)) => return Err("choose between offset and time".to_owned().into()),
        };
        let contains = request.parameter("contains").filter(|text| !text.is_empty());
        let finder = contains.as_ref().map(|text| Finder::new(text.as_bytes()));
        let image = state.node.metadata.image();
        let found = image.topic(&topic).ok_or_else(|| Problem::unknown("topic", &topic))?;
        let of = usize::try_from(partition).ok().and_then(|index| found.partitions.get(index));
        let of = of.ok_or_else(|| Problem::unknown("partition", &format!("{topic}-{partition}")))?;
        let leaderless =
            || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the partition has no leader at present");
        let leader = of.leader.ok_or_else(leaderless)?.0;
        let address = reach::address(&state.node, &image, leader).ok_or_else(leaderless)?;
        let key = TopicPartition { topic, index: partition };
        let take = |record: &Record<'_>| wanted(record, finder.as_ref()).then(|| shown(record, shown_bytes));
        let read = browse::read(&address, &key, from, count, take)?;
        Ok(Records {
            topic: key.topic,
            partition,
            leader,
            start: read.start,
            high_watermark: read.high_watermark,
            from: read.from,
            next: read.next,
            scanned: read.scanned,
            problem: read.problem,
            records: read.records,
        })
    })())
}

/// What the leader's failure means for who looks.
impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, error.to_string())
    }
}

fn wanted(record: &Record<'_>, finder: Option<&Finder<'_>>) -> bool {
    let Some(finder) = finder else { return true };
    let has = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| finder.find(bytes).is_some());
    has(record.key)
        || has(record.value)
        || record.headers.iter().any(|header| has(Some(header.key)) || has(header.value))
}

fn shown(record: &Record<'_>, bytes_max: usize) -> Shown {
    let headers = record.headers.iter().take(HEADERS_MAX).map(|header| Header {
        key: Bytes::new(header.key, bytes_max),
        value: header.value.map(|value| Bytes::new(value, bytes_max)),
    });
    Shown {
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.map(|key| Bytes::new(key, bytes_max)),
        value: record.value.map(|value| Bytes::new(value, bytes_max)),
        headers: headers.collect(),
    }
}

impl Bytes {
    fn new(all: &[u8], bytes_max: usize) -> Self {
        let cut = &all[..all.len().min(bytes_max)];
        let is_cut = cut.len() < all.len();
        let text = match std::str::from_utf8(cut) {
            Ok(text) => Some(text),
            // Cut in the middle of a character.
            Err(error) if is_cut && error.error_len().is_none() => {
                std::str::from_utf8(&cut[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        let hex = text.is_none().then(|| cut.iter().map(|byte| format!("{byte:02x}")).collect());
        Self { text: text.map(str::to_owned), hex, bytes: all.len(), is_cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_as_what_they_are() {
        let text = |text: &str, bytes, is_cut| Bytes { text: Some(text.into()), hex: None, bytes, is_cut };
        assert_eq!(Bytes::new(b"", 10), text("", 0, false));
        assert_eq!(Bytes::new("gr\u{fc}n".as_bytes(), 10), text("gr\u{fc}n", 5, false));
        assert_eq!(Bytes::new("gr\u{fc}n".as_bytes(), 3), text("gr", 5, true));
        assert_eq!(Bytes::new("gr\u{fc}n".as_bytes(), 4), text("gr\u{fc}", 5, true));
        let hex = Bytes { text: None, hex: Some("ff00".into()), bytes: 3, is_cut: true };
        assert_eq!(Bytes::new(b"\xff\x00\x01", 2), hex);
        // Ends in the middle of a character, and not because it was cut.
        assert_eq!(Bytes::new(b"a\xc3", 10).hex.as_deref(), Some("61c3"));
    }
}
