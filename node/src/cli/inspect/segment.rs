//! `inspect segment`: the record batches of a segment's file, one a line, and whether each is what was written.
//!
//! A segment is its batches one after the other and nothing else; behind the last one of an open segment stand zeros, or
//! older batches of the same partition. The walk ends there, and says at which position and why.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Stdout, Write};
use std::path::Path;

use ringmain_protocol::records::{BATCH_HEADER_BYTES, RecordBatch, RecordBatchHeader};
use serde_json::json;

use crate::cli::arguments::InspectFileArguments;
use crate::cli::failure::Failure;

/// The largest batch that is believed: a damaged length must not make us read a gigabyte to find out.
const BATCH_BYTES_MAX: usize = 128 << 20;

/// Bytes of one read.
const PIECE_BYTES: usize = 1 << 20;

/// What stands where the next batch should begin.
enum Found {
    /// The whole batch.
    Batch(Vec<u8>),
    /// The file ends.
    End,
    /// Zeros: what an open segment has behind its last batch.
    Zeros,
    /// Something else.
    Other(String),
}

/// Prints every batch of the file.
pub(super) fn inspect(arguments: &InspectFileArguments) -> Result<(), Failure> {
    let path = arguments.file.as_path();
    let failed = |operation: &str| {
        let operation = format!("{operation} {}", path.display());
        move |error| Failure::Io { operation: operation.clone(), error }
    };
    let file = File::open(path).map_err(failed("open"))?;
    let mut source = BufReader::with_capacity(PIECE_BYTES, file);
    let mut output = BufWriter::new(io::stdout());
    let mut walk =
        Walk { position: 0, next_offset: base_offset_of(path), batches: 0, records: 0, damaged: 0 };
    if !arguments.json {
        writeln!(output, "POSITION  OFFSETS  RECORDS  BYTES  CODEC  EPOCH  PRODUCER  TIMES  CHECKSUM")
            .map_err(Failure::output)?;
    }
    let end = loop {
        match walk.next(&mut source).map_err(failed("read"))? {
            Found::Batch(bytes) => walk.print(&bytes, arguments.json, &mut output)?,
            Found::End => break "the file ends behind the last batch".to_owned(),
            Found::Zeros => {
                break "zeros follow the last batch: the segment is open, or was cut off".to_owned();
            }
            Found::Other(what) => break format!("no batch stands there: {what}"),
        }
    };
    walk.summarise(&end, arguments.json, &mut output)?;
    output.flush().map_err(Failure::output)?;
    if walk.damaged == 0 {
        return Ok(());
    }
    Err(Failure::Other(format!("{} batch(es) of {} are damaged", walk.damaged, path.display())))
}

/// The offset that a segment's name says it begins at; `None` when the file has another name.
fn base_offset_of(path: &Path) -> Option<i64> {
    let digits = path.file_stem()?.to_str()?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

struct Walk {
    position: u64,
    /// The offset that the next batch must have, where it is known.
    next_offset: Option<i64>,
    batches: u64,
    records: u64,
    damaged: u64,
}

impl Walk {
    fn next(&self, source: &mut impl Read) -> io::Result<Found> {
        let mut bytes = Vec::new();
        source.take(BATCH_HEADER_BYTES as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(Found::End);
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Found::Zeros);
        }
        let Some(header) = RecordBatchHeader::peek(&bytes) else {
            return Ok(Found::Other(format!(
                "{} bytes are left, a batch's header has {BATCH_HEADER_BYTES}",
                bytes.len()
            )));
        };
        let offset = header.base_offset.get();
        if let Some(expected) = self.next_offset.filter(|expected| *expected != offset) {
            return Ok(Found::Other(format!("it would begin at offset {offset}, expected {expected}")));
        }
        let length = match header.size_bytes() {
            Some(length) if (BATCH_HEADER_BYTES..=BATCH_BYTES_MAX).contains(&length) => length,
            _ => return Ok(Found::Other(format!("its length would be {}", header.batch_length.get()))),
        };
        source.take((length - BATCH_HEADER_BYTES) as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Ok(Found::Other(format!("it has {length} bytes, the file ends after {}", bytes.len())));
        }
        Ok(Found::Batch(bytes))
    }

    fn print(&mut self, bytes: &[u8], as_json: bool, output: &mut BufWriter<Stdout>) -> Result<(), Failure> {
        let position = self.position;
        self.position += bytes.len() as u64;
        let batch = match RecordBatch::parse(bytes) {
            Ok((batch, _)) => batch,
            Err(error) => {
                self.damaged += 1;
                self.next_offset = None;
                return writeln!(output, "{position}  damaged: {error}").map_err(Failure::output);
            }
        };
        let header = batch.header();
        let checksum = batch.verify_checksum();
        self.batches += 1;
        self.records += u64::try_from(header.record_count.get()).unwrap_or(0);
        self.damaged += u64::from(checksum.is_err());
        self.next_offset = Some(batch.last_offset().saturating_add(1));
        let codec = batch.attributes().compression().map_or("unknown", |codec| codec.name());
        let verdict = checksum.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        let line = if as_json {
            json!({
                "position": position,
                "base_offset": batch.base_offset(),
                "last_offset": batch.last_offset(),
                "records": header.record_count.get(),
                "bytes": bytes.len(),
                "codec": codec,
                "leader_epoch": header.partition_leader_epoch.get(),
                "producer_id": header.producer_id.get(),
                "producer_epoch": header.producer_epoch.get(),
                "base_sequence": header.base_sequence.get(),
                "base_timestamp": header.base_timestamp.get(),
                "max_timestamp": header.max_timestamp.get(),
                "checksum": verdict,
            })
            .to_string()
        } else {
            format!(
                "{position}  {}-{}  {}  {}  {codec}  {}  {}/{}@{}  {}-{}  {verdict}",
                batch.base_offset(),
                batch.last_offset(),
                header.record_count.get(),
                bytes.len(),
                header.partition_leader_epoch.get(),
                header.producer_id.get(),
                header.producer_epoch.get(),
                header.base_sequence.get(),
                header.base_timestamp.get(),
                header.max_timestamp.get(),
            )
        };
        writeln!(output, "{line}").map_err(Failure::output)
    }

    fn summarise(&self, end: &str, as_json: bool, output: &mut BufWriter<Stdout>) -> Result<(), Failure> {
        if as_json {
            return Ok(());
        }
        writeln!(
            output,
            "{} batches with {} records up to position {}; {end}.",
            self.batches, self.records, self.position
        )
        .map_err(Failure::output)
    }
}

#[cfg(test)]
mod tests {
    use ringmain_protocol::records::{RecordBatchBuilder, stamp};

    use super::*;

    fn batch(base_offset: i64, values: &[&[u8]]) -> Vec<u8> {
        let mut builder = RecordBatchBuilder::new();
        values.iter().for_each(|value| builder.push(5, None, Some(value)));
        let mut bytes = builder.finish();
        stamp(&mut bytes, base_offset, 0);
        bytes
    }

    /// The batches found, and what stands behind them.
    fn walked(mut file: &[u8]) -> (usize, String) {
        let mut walk = Walk { position: 0, next_offset: Some(0), batches: 0, records: 0, damaged: 0 };
        let mut count = 0;
        loop {
            match walk.next(&mut file).expect("memory is read") {
                Found::Batch(bytes) => {
                    let (found, _) = RecordBatch::parse(&bytes).expect("a batch");
                    walk.next_offset = Some(found.last_offset() + 1);
                    count += 1;
                }
                Found::End => return (count, "end".to_owned()),
                Found::Zeros => return (count, "zeros".to_owned()),
                Found::Other(what) => return (count, what),
            }
        }
    }

    #[test]
    fn the_walk_ends_where_the_batches_end() {
        let (one, two) = (batch(0, &[b"a", b"b"]), batch(2, &[b"c"]));
        assert_eq!(walked(&[]), (0, "end".to_owned()));
        assert_eq!(walked(&[&one[..], &two].concat()), (2, "end".to_owned()));
        assert_eq!(walked(&[&one[..], &[0; 200]].concat()), (1, "zeros".to_owned()));
        let (count, end) = walked(&[&one[..], &batch(7, &[b"old"])].concat());
        assert_eq!((count, end.as_str()), (1, "it would begin at offset 7, expected 2"));
        let (count, end) = walked(&[&one[..], &two[..two.len() - 1]].concat());
        assert!(count == 1 && end.contains("the file ends after"), "{end}");
        let (count, end) = walked(&[&one[..], b"short"].concat());
        assert!(count == 1 && end.contains("5 bytes are left"), "{end}");
    }

    #[test]
    fn a_segments_name_says_its_first_offset() {
        assert_eq!(base_offset_of(Path::new("t-0/00000000000000001234.log")), Some(1234));
        assert_eq!(base_offset_of(Path::new("copy.log")), None);
    }
}
