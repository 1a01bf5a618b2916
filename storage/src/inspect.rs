//! What is in our own files, in words: for `ringmain inspect` and for whoever stands before a file that does not open.
//!
//! Pure functions over bytes. A damaged file is described by what is wrong with it.
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::checkpoint::{self, Checkpoint};
use crate::error::Corruption;
use crate::journal::frame::{FileHeader, Frame, may_be_frame};
use crate::partition_id::{self, FolderState, PartitionId};
use crate::segment::index::SegmentIndex;
use crate::segment::parse_name;

/// Frames of a journal begin on blocks of this size at least.
const JOURNAL_BLOCK_BYTES: usize = 4096;

/// A part of a file: its title, then names and values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is.
    pub title: String,
    /// Names and values, in the file's order.
    pub fields: Vec<(&'static str, String)>,
}

impl Section {
    fn new(title: impl Into<String>, fields: Vec<(&'static str, String)>) -> Section {
        Section { title: title.into(), fields }
    }
}

/// Describes a file of a data directory by its name (the last part of `path`) and its bytes. `None` when no file of ours has
/// such a name; segments are not described here, they are record batches and nothing else.
pub fn describe(path: &str, bytes: &[u8]) -> Option<Result<Vec<Section>, Corruption>> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        partition_id::FILE_NAME => Some(PartitionId::from_file(path, bytes).map(|id| describe_id(&id))),
        checkpoint::FILE_NAME => {
            Some(Checkpoint::from_file(path, bytes).map(|found| describe_checkpoint(&found)))
        }
        _ if name.ends_with(".journal") => Some(describe_journal(path, bytes)),
        _ => match parse_name(name)? {
            (base_offset, "index") => Some(SegmentIndex::from_file(path, bytes, base_offset).map(|index| {
                let fields = Vec::from([("entries", index.len().to_string())]);
                Vec::from([Section::new(format!("index of the segment at offset {base_offset}"), fields)])
            })),
            _ => None,
        },
    }
}

fn describe_id(id: &PartitionId) -> Vec<Section> {
    let state = match id.state {
        FolderState::Settled => "settled".to_string(),
        FolderState::Truncating(offset) => {
            format!("truncating: everything from offset {offset} on has to go")
        }
        FolderState::Restarting(offset) => {
            format!("restarting at offset {offset}: the next start finishes that")
        }
        FolderState::Missing(offset) => format!("misses bytes below offset {offset} that were durable"),
    };
    let fields = Vec::from([
        ("topic id", id.key.topic_id.to_string()),
        ("partition", id.key.partition.to_string()),
        ("incarnation", id.incarnation.to_string()),
        ("state", state),
    ]);
    Vec::from([Section::new("partition", fields)])
}

fn describe_checkpoint(found: &Checkpoint) -> Vec<Section> {
    let mut sections = Vec::from([Section::new(
        "checkpoint",
        Vec::from([
            ("topic id", found.key.topic_id.to_string()),
            ("partition", found.key.partition.to_string()),
            ("log start offset", found.log_start_offset.to_string()),
            ("recovery point", found.recovery_point.to_string()),
            ("compacted below", found.compacted_offset.to_string()),
            ("index entries of the open segment", found.open_index.len().to_string()),
        ]),
    )]);
    if let Some(replacement) = &found.replacement {
        let replaced: Vec<String> = replacement.replaced.iter().map(ToString::to_string).collect();
        let fields = Vec::from([("segments that one replaces", replaced.join(", "))]);
        sections.push(Section::new("replacement, perhaps not carried out", fields));
    }
    for segment in &found.segments {
        let fields = Vec::from([
            ("next offset", segment.next_offset.to_string()),
            ("bytes", segment.size_bytes.to_string()),
            ("largest timestamp", segment.max_timestamp.to_string()),
        ]);
        sections.push(Section::new(format!("segment at offset {}", segment.base_offset), fields));
    }
    for (epoch, start) in found.leader_epochs.entries() {
        let fields = Vec::from([("first offset", start.to_string())]);
        sections.push(Section::new(format!("leader epoch {epoch}"), fields));
    }
    for producer in found.producers.snapshots() {
        let fields = Vec::from([
            ("epoch", producer.producer_epoch.to_string()),
            ("last sequence", producer.last_sequence.to_string()),
            ("last append", producer.last_append_ms.to_string()),
        ]);
        sections.push(Section::new(format!("producer {}", producer.producer_id), fields));
    }
    sections
}

fn describe_journal(path: &str, bytes: &[u8]) -> Result<Vec<Section>, Corruption> {
    let header = FileHeader::from_bytes(path, bytes)?;
    let fields = Vec::from([
        ("generation", header.generation.to_string()),
        ("first sequence", header.first_sequence.to_string()),
    ]);
    let mut sections = Vec::from([Section::new("journal file", fields)]);
    let mut position = JOURNAL_BLOCK_BYTES;
    while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
        let frame = may_be_frame(rest).then(|| Frame::decode(rest, JOURNAL_BLOCK_BYTES)).flatten();
        let Some(frame) = frame else {
            position += JOURNAL_BLOCK_BYTES;
            continue;
        };
        let is_old = frame.generation != header.generation;
        let title =
            format!("frame {} at position {position}{}", frame.sequence, if is_old { " (old)" } else { "" });
        let mut fields = Vec::from([
            ("generation", frame.generation.to_string()),
            ("live from", frame.live_from.to_string()),
            ("flushed sequence", frame.flushed_sequence.to_string()),
        ]);
        for (entry, payload, is_whole) in frame.payloads(rest) {
            let damage = if is_whole { "" } else { ", damaged" };
            fields.push((
                "entry",
                format!(
                    "{} offsets {}..{}, {} bytes{damage}",
                    entry.key,
                    entry.base_offset,
                    entry.next_offset,
                    payload.len()
                ),
            ));
        }
        sections.push(Section::new(title, fields));
        position += frame.length;
    }
    Ok(sections)
}
