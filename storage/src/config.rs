//! What an operator or a topic may choose about logs, and the limits that nobody chooses.
//!
//! `LogConfig` belongs to a topic, `StoreOptions` to the node. Times are milliseconds, sizes bytes.

/// Settings of one log; the names are Kafka's topic configs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is sealed before it would grow beyond this. Costs a few files each.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment whose first record is older is sealed at the next append.
    pub segment_ms: i64,
    /// `retention.ms`: sealed segments whose newest record is older are deleted; `None` keeps all.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`: the oldest sealed segments are deleted while the rest is at least this large.
    pub retention_bytes: Option<u64>,
    /// `index.interval.bytes`: one entry of the offset index for so many bytes.
    pub index_interval_bytes: u32,
    /// `write.caching`: an append is answered once written, and flushed later.
    pub write_caching: bool,
    /// `cleanup.policy` with `compact`: only the last value of each key is kept; `None` without.
    pub compaction: Option<CompactionConfig>,
    /// `producer.id.expiration.ms`: a producer that was silent for so long is forgotten.
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    /// Kafka's defaults.
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            retention_ms: Some(7 * 24 * 3_600_000),
            retention_bytes: None,
            index_interval_bytes: 4096,
            write_caching: false,
            compaction: None,
            producer_id_expiration_ms: 24 * 3_600_000,
        }
    }
}

/// When and how a log is compacted; the names are Kafka's topic configs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionConfig {
    /// `min.cleanable.dirty.ratio`, in millionths: a pass begins once so much of the log was not compacted yet.
    pub min_dirty_millionths: u32,
    /// `min.compaction.lag.ms`: records that are younger stay as they are.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`: records that wait so long are compacted whatever their share is.
    pub max_lag_ms: i64,
    /// `delete.retention.ms`: so long the mark of a deleted key stays once a pass has seen it.
    pub delete_retention_ms: i64,
}

impl Default for CompactionConfig {
    /// Kafka's defaults.
    fn default() -> CompactionConfig {
        CompactionConfig {
            min_dirty_millionths: 500_000,
            min_lag_ms: 0,
            max_lag_ms: i64::MAX,
            delete_retention_ms: 24 * 3_600_000,
        }
    }
}

impl LogConfig {
    /// Age at which a segment is sealed: in a compacted log what is in it must become old enough in time.
    pub(crate) fn segment_age_ms(&self) -> i64 {
        let lag = self.compaction.map(|compaction| compaction.max_lag_ms).filter(|lag| *lag > 0);
        lag.map_or(self.segment_ms, |lag| lag.min(self.segment_ms))
    }
}

/// Smallest `segment.bytes` that a log obeys; a smaller one would make a file for each few batches.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// Largest position in a segment: indexes hold positions in 32 bits.
pub(crate) const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

/// Settings of a shard's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes that may wait to be written before the shard has to stop reading from its sockets.
    pub unwritten_bytes_max: usize,
    /// Memory of tails that stay readable after they were written. The oldest goes first.
    pub tail_bytes_max: usize,
    /// Most files of one shard's journal, made as they are needed. At least 2: one is written while the other is emptied.
    pub journal_files: u32,
    /// Size of a journal file. More bytes mean fewer, larger writes to segments and a longer replay.
    pub journal_file_bytes: u64,
    /// A partition with at least so much unwritten gets a write of its own instead of a place in the journal.
    pub direct_write_bytes_min: usize,
    /// The same where the write makes the segment's file grow and is to be flushed, which costs more. At least as much.
    pub growing_write_bytes_min: usize,
    /// Most zeros that are written ahead of a segment's end at a time; two such chunks may lie there. They take disk space
    /// while the log is written to, and a flush a chunk. 0 for none.
    pub zeros_ahead_bytes: u64,
    /// A log gets zeros ahead once it takes so many bytes within a second, in writes of moderate size.
    pub zeros_after_bytes: u64,
    /// A log that nobody appended to for so long is settled, checkpointed and gives its memory back.
    pub idle_after_ms: i64,
    /// Bytes after which an open segment is checkpointed; a start scans at most this much of a log, plus one round.
    pub checkpoint_interval_bytes: u64,
    /// Bytes of all logs together that a start shall have to walk at most, roughly: logs with more than their share are
    /// checkpointed sooner.
    pub walk_bytes_max: u64,
    /// Segment files that one shard keeps open; the least recently used is closed.
    pub open_files_max: usize,
    /// Producers remembered for each partition; the one that was silent longest is forgotten first.
    pub producers_max: usize,
    /// Memory for the keys of one compaction, of which there is one a shard. Each takes some 30 bytes; with too little a
    /// pass covers less and more passes are needed.
    pub key_map_bytes_max: usize,
    /// Secret with which keys are hashed during a compaction.
    pub key_hash_secret: [u64; 2],
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            unwritten_bytes_max: 32 << 20,
            tail_bytes_max: 128 << 20,
            journal_files: 8,
            journal_file_bytes: 64 << 20,
            direct_write_bytes_min: 64 << 10,
            growing_write_bytes_min: 512 << 10,
            zeros_ahead_bytes: 4 << 20,
            zeros_after_bytes: 4 << 20,
            idle_after_ms: 3_000,
            checkpoint_interval_bytes: 64 << 20,
            walk_bytes_max: 1 << 30,
            open_files_max: 1_000,
            producers_max: 10_000,
            key_map_bytes_max: 128 << 20,
            key_hash_secret: [0, 0],
        }
    }
}

/// Bytes of one partition that one round writes, and so the most that a power cut can tear.
/// Recovery relies on it to tell a torn end from a damaged middle.
pub(crate) const ROUND_BYTES_MAX: usize = 8 << 20;

/// Bytes of one partition that are settled without a flush at most. They are durable in the journal, but a power cut can tear
/// them in the segment as it can a round.
pub(crate) const SETTLED_UNFLUSHED_BYTES_MAX: u64 = 4 << 20;
