//! The tables of the file, and how a value in them looks: a checksum, then the bytes.

use redb::TableDefinition;

/// The layout of the tables and of what is in them.
pub(super) const LAYOUT: u32 = 1;

/// `layout`, `cluster`, `replica`: written once.
pub(super) const IDENTITY: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("identity");
/// `vote`, `committed` (a hint, see `store/log.rs`) and `purged` (the last entry that is only in the snapshot).
pub(super) const PROMISES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("promises");
/// Log entries by index.
pub(super) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// `meta` and `data` of the one snapshot.
pub(super) const SNAPSHOT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("snapshot");

pub(super) use crate::codec::seal as sealed;
