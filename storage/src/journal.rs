//! The journal of a shard: one place for the small appends of all its logs, so that one write and one flush serve them all.
//!
//! A ring of a few files in `journal/<shard>/`, written into ranges that were written before. It holds what is durable and
//! not yet in its segment; it is read only at a start, by [`replay`].
//!
//! What must hold:
//! - A frame is applied only if it is the next one: generation and sequence never repeat.
//! - A file is entered again only after a *durable* frame says that nothing in it is needed ([`frame::Frame::live_from`]).
//! - Every frame is within its file and ends on a block; two frames never share one.
pub(crate) mod frame;
mod heads;
pub(crate) mod replay;
mod ring;
mod stretches;
mod zeros;

pub use self::ring::JournalStats;
pub(crate) use self::ring::{Journal, Place, frame_for};

use alloc::format;
use alloc::string::String;

use crate::identity::ShardId;

/// Folder of all journals.
pub(crate) const JOURNAL_FOLDER: &str = "journal";

/// Folder of one shard's journal.
pub(crate) fn shard_folder(shard: ShardId) -> String {
    format!("{JOURNAL_FOLDER}/{}", shard.0)
}

/// Path of one file of a journal.
pub(crate) fn file_path(folder: &str, slot: u32) -> String {
    format!("{folder}/{slot}.journal")
}

/// The slot that a file's name stands for.
pub(crate) fn parse_name(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".journal")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}
