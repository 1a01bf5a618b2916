//! Open a log: create it, or find out from its files where it ends.
//!
//! The checkpoint says how the log was at its recovery point; from there the segments are walked batch by batch. After a
//! clean stop there is nothing to walk. Without a checkpoint all segments are.
//!
//! A walk flushes what it found and cut, once: the process may have been killed before its own flush.
//!
//! Where the walk stops, a power cut may have torn the last round: what follows is cut off, durably, before anything is
//! appended, so that a later walk cannot take it for new batches. But a batch that continues the log further behind than
//! a power cut can tear proves that what stands here was durable once: then the log refuses to open.
use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::checkpoint::{self, Checkpoint};
use crate::config::{LogConfig, ROUND_BYTES_MAX, SETTLED_UNFLUSHED_BYTES_MAX};
use crate::disk::{BUFFER_BYTES_MAX, DirectoryEntry, Disk, DiskErrorKind, DiskFile, EntryKind};
use crate::error::{Corruption, Damage, OpenError};
use crate::identity::LogIdentity;
use crate::log::change::remove_if_there;
use crate::log::checkpointing::WalkBytes;
use crate::log::compaction;
use crate::log::leader_epochs::LeaderEpochs;
use crate::log::producers::Producers;
use crate::log::restart::open_restarted;
use crate::log::{Log, LogState};
use crate::offset::{LeaderEpoch, Offset};
use crate::partition_id::{self, FolderState, PartitionId};
use crate::segment::index::SegmentIndex;
use crate::segment::scan::{Found, Scan, find_continuation};
use crate::segment::{self, Segment, SegmentSummary, index_path, log_path, producers_path};
use crate::store::shared::Shared;

/// Bytes of one log that a power cut can tear at most: a round, what `write.caching` leaves unflushed before it, the last
/// buffer of each, which may reach beyond, and what was settled without a flush.
pub(crate) const UNFLUSHED_BYTES_MAX: u64 =
    2 * (ROUND_BYTES_MAX as u64 + BUFFER_BYTES_MAX as u64) + SETTLED_UNFLUSHED_BYTES_MAX;

/// A walk of at least so much is not left to be done again by the next start: a checkpoint costs three flushes, which this
/// start waits for. Smaller ones get their checkpoints from the upkeep, which bounds what all logs together have to walk.
const WALK_BYTES_MAX: u64 = 64 << 20;

/// A log being opened.
struct Recovery<'a, D: Disk> {
    shared: &'a Shared<D>,
    identity: &'a LogIdentity,
    folder: String,
    config: LogConfig,
    now_ms: i64,
    /// Base offsets and lengths of the segment files that were found, in order.
    files: Vec<(Offset, u64)>,
    segments: VecDeque<Segment>,
    next_offset: Offset,
    producers: Producers,
    leader_epochs: LeaderEpochs,
    /// A truncation to this offset was interrupted: what lies behind it does not count.
    cut_at: Option<Offset>,
    /// Below it the log was compacted.
    compacted_offset: Offset,
    /// Bytes that were walked.
    walked_bytes: u64,
    /// Whether the file of the segment that was walked last has to be flushed.
    is_unflushed: bool,
    /// Whether the folder has to be flushed: files were walked from their beginning, empty ones too, and nothing says that their
    /// names are durable.
    is_name_unflushed: bool,
}

/// Opens a log: creates its folder, or recovers it. `id` is what the folder says, if that is known.
pub(crate) async fn open_log<D: Disk>(
    shared: Rc<Shared<D>>,
    identity: LogIdentity,
    id: Option<PartitionId>,
    config: LogConfig,
    now_ms: i64,
) -> Result<Log<D>, OpenError> {
    let folder = identity.folder();
    let found = match id {
        Some(id) => Some(id),
        None => read_id(&shared, &folder).await?,
    };
    let Some(id) = found else { return create(shared, identity, config, now_ms).await };
    if id.key != identity.key() {
        let (expected, found) = (identity.topic_id, id.key.topic_id);
        return Err(OpenError::OtherTopic { folder, expected, found });
    }
    if let FolderState::Restarting(offset) = id.state {
        return open_restarted(shared, identity, id, offset, config, now_ms).await;
    }
    let log = recover(shared, identity, id, config, now_ms).await?;
    match id.state {
        FolderState::Settled | FolderState::Restarting(_) => {}
        FolderState::Truncating(offset) => log.finish_truncation(offset).await.map_err(change_failed)?,
        FolderState::Missing(expected) => {
            log.let_go();
            return Err(OpenError::Missing { folder, expected, found: log.log_end_offset() });
        }
    }
    Ok(log)
}

fn change_failed(error: crate::error::ChangeError) -> OpenError {
    use crate::error::ChangeError;
    match error {
        ChangeError::Disk(error) | ChangeError::Offline(error) => OpenError::Disk(error),
        ChangeError::Corrupt(corruption) => OpenError::Corrupt(corruption),
        ChangeError::OutOfRange { .. } => unreachable!("finishing a truncation checks no range"),
    }
}

/// What a folder says about itself; `None` when there is no folder, or its creation was interrupted, which leaves the
/// empty file of the first segment at most.
pub(crate) async fn read_id<D: Disk>(
    shared: &Shared<D>,
    folder: &str,
) -> Result<Option<PartitionId>, OpenError> {
    let path = format!("{folder}/{}", partition_id::FILE_NAME);
    let file = match shared.disk.read_small(&path, partition_id::FILE_BYTES_MAX).await {
        Ok(file) => file,
        Err(error) if error.kind == DiskErrorKind::NotFound => {
            let entries = match shared.disk.list(folder).await {
                Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
                entries => entries?,
            };
            let has_content =
                |entry: &DirectoryEntry| entry.size_bytes > 0 && segment::parse_name(&entry.name).is_some();
            if entries.iter().any(has_content) {
                let expected = "topic id, partition and incarnation".into();
                return Err(OpenError::Corrupt(
                    Corruption { file: path, position: 0, expected, got: "no file".into() }.into(),
                ));
            }
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let id = PartitionId::from_file(&path, &file).map_err(|error| OpenError::Corrupt(error.into()))?;
    Ok(Some(id))
}

/// Creates a log: its folder, with the file of the first segment in it. The flush of the folder that the id needs makes that
/// file's name durable, too, so no round has to create it: the first rounds of a topic would do nothing else.
async fn create<D: Disk>(
    shared: Rc<Shared<D>>,
    identity: LogIdentity,
    config: LogConfig,
    now_ms: i64,
) -> Result<Log<D>, OpenError> {
    let folder = identity.folder();
    shared.disk.create_directory(&folder).await?;
    let is_behind_id = crate::planted::is("file-created-behind-id");
    if !is_behind_id {
        shared.create_file(&folder, identity.key(), Offset::ZERO).await?;
    }
    let incarnation = partition_id::first_incarnation(now_ms);
    let id = PartitionId { key: identity.key(), incarnation, state: FolderState::Settled };
    let path = format!("{folder}/{}", partition_id::FILE_NAME);
    shared.disk.replace(&path, &id.to_file(), true).await?;
    if is_behind_id {
        shared.create_file(&folder, identity.key(), Offset::ZERO).await?;
    }
    let mut state = LogState::empty_at(Offset::ZERO, config, incarnation, shared.block_bytes, now_ms);
    let summary = SegmentSummary::empty(Offset::ZERO, now_ms);
    state.segments = VecDeque::from([Segment::found(summary, Some(SegmentIndex::default()), 0)]);
    Ok(Log::new(shared, identity, state))
}

async fn recover<D: Disk>(
    shared: Rc<Shared<D>>,
    identity: LogIdentity,
    id: PartitionId,
    config: LogConfig,
    now_ms: i64,
) -> Result<Log<D>, OpenError> {
    let folder = identity.folder();
    let checkpoint = read_checkpoint(&shared, &identity).await?;
    let entries = shared.disk.list(&folder).await?;
    let (checkpoint, is_changed) =
        compaction::finish_replacement(&shared, &folder, checkpoint, &entries).await?;
    let entries = if is_changed { shared.disk.list(&folder).await? } else { entries };
    let recovery_point = checkpoint.as_ref().map(|checkpoint| checkpoint.recovery_point);
    let log_start = checkpoint.as_ref().map(|checkpoint| checkpoint.log_start_offset);
    let mut recovery = Recovery {
        shared: &shared,
        identity: &identity,
        folder,
        config,
        now_ms,
        files: segment_files(&entries),
        segments: VecDeque::new(),
        next_offset: Offset::ZERO,
        producers: Producers::default(),
        leader_epochs: LeaderEpochs::default(),
        cut_at: match id.state {
            FolderState::Truncating(offset) => Some(offset),
            FolderState::Settled | FolderState::Missing(_) | FolderState::Restarting(_) => None,
        },
        compacted_offset: checkpoint.as_ref().map_or(Offset::ZERO, |checkpoint| checkpoint.compacted_offset),
        walked_bytes: 0,
        is_unflushed: false,
        is_name_unflushed: false,
    };
    let checkpointed_segment = checkpoint.as_ref().and_then(|checkpoint| checkpoint.segments.last());
    let checkpointed_segment = checkpointed_segment.map_or(Offset::ZERO, |open| open.base_offset);
    recovery.begin(checkpoint).await?;
    recovery.walk().await?;
    let first = log_start.unwrap_or(recovery.first_offset());
    let log_start_offset = recovery.cut_at.map_or(first, |cut_at| first.min(cut_at));
    recovery.start_at(log_start_offset).await?;
    let needs_checkpoint = recovery.walked_bytes >= WALK_BYTES_MAX && recovery_point.is_none();
    let mut state =
        recovery.into_state(log_start_offset, id.incarnation, recovery_point.unwrap_or(Offset::ZERO));
    state.checkpointed_segment = checkpointed_segment;
    let log = Log::new(shared, identity, state);
    if needs_checkpoint {
        log.checkpoint_now().await?;
    }
    Ok(log)
}

/// The checkpoint, if there is a good one. A damaged one is as good as none.
async fn read_checkpoint<D: Disk>(
    shared: &Shared<D>,
    identity: &LogIdentity,
) -> Result<Option<Checkpoint>, OpenError> {
    let path = format!("{}/{}", identity.folder(), checkpoint::FILE_NAME);
    let file = match shared.disk.read_small(&path, checkpoint::FILE_BYTES_MAX).await {
        Ok(file) => file,
        Err(error) if matches!(error.kind, DiskErrorKind::NotFound | DiskErrorKind::TooLarge) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Checkpoint::from_file(&path, &file).ok().filter(|checkpoint| checkpoint.key == identity.key()))
}

/// Base offsets and lengths of the segment files of a folder, in order.
fn segment_files(entries: &[DirectoryEntry]) -> Vec<(Offset, u64)> {
    let mut files = Vec::new();
    for entry in entries {
        if let (EntryKind::File, Some((base_offset, "log"))) = (entry.kind, segment::parse_name(&entry.name))
        {
            files.push((base_offset, entry.size_bytes));
        }
    }
    files.sort_unstable();
    files
}

impl<D: Disk> Recovery<'_, D> {
    /// Takes over what the checkpoint knows, and sets where the walk begins.
    async fn begin(&mut self, checkpoint: Option<Checkpoint>) -> Result<(), Damage> {
        let Some(mut checkpoint) = checkpoint else {
            self.begin_at_first_file();
            // Each may be of a segment that compaction has replaced since; all are made again. The folder is flushed at the
            // end of the walk.
            for base_offset in self.files.iter().map(|(base, _)| *base) {
                remove_if_there(&self.shared.disk, &index_path(&self.folder, base_offset)).await?;
            }
            return Ok(());
        };
        if let Some(cut_at) = self.cut_at
            && cut_at < checkpoint.recovery_point
        {
            self.cut_checkpoint(&mut checkpoint, cut_at).await;
        }
        let Some(open) = checkpoint.segments.pop() else { return Ok(()) };
        let first = checkpoint.segments.first().map_or(open.base_offset, |first| first.base_offset);
        self.remove_files_below(first).await?;
        for summary in checkpoint.segments {
            let length = self.length_of(&summary)?;
            let mut sealed = Segment::found(summary, None, length);
            sealed.is_sealed = length == summary.size_bytes;
            self.segments.push_back(sealed);
        }
        let length = self.length_of(&open)?;
        let mut segment = Segment::found(open, Some(checkpoint.open_index), length);
        segment.has_file = self.file_length(open.base_offset).is_some();
        segment.name_is_durable = segment.has_file;
        self.segments.push_back(segment);
        self.next_offset = open.next_offset;
        self.producers = checkpoint.producers;
        self.leader_epochs = checkpoint.leader_epochs;
        Ok(())
    }

    fn begin_at_first_file(&mut self) {
        let base_offset = self.files.first().map_or(Offset::ZERO, |(base_offset, _)| *base_offset);
        let mut segment = Segment::new(base_offset, self.now_ms);
        if let Some(length) = self.file_length(base_offset) {
            let summary = SegmentSummary::empty(base_offset, self.now_ms);
            segment = Segment::found(summary, Some(SegmentIndex::default()), length);
        }
        self.next_offset = base_offset;
        self.segments.push_back(segment);
    }

    /// Takes a checkpoint back to the segment in which an interrupted truncation ends; that one is walked from its start.
    async fn cut_checkpoint(&self, checkpoint: &mut Checkpoint, cut_at: Offset) {
        let keep = checkpoint.segments.partition_point(|segment| segment.base_offset < cut_at).max(1);
        checkpoint.segments.truncate(keep);
        let Some(open) = checkpoint.segments.last_mut() else { return };
        *open = SegmentSummary::empty(open.base_offset, open.created_ms);
        checkpoint.recovery_point = open.base_offset;
        checkpoint.open_index = SegmentIndex::default();
        checkpoint.leader_epochs.truncate(open.base_offset);
        checkpoint.producers.truncate(open.base_offset);
    }

    fn file_length(&self, base_offset: Offset) -> Option<u64> {
        let at = self.files.binary_search_by_key(&base_offset, |(base, _)| *base).ok()?;
        Some(self.files[at].1)
    }

    /// Length of the file of a segment that the checkpoint knows; it has at least the bytes that were durable.
    fn length_of(&self, summary: &SegmentSummary) -> Result<u64, Corruption> {
        let length = self.file_length(summary.base_offset).unwrap_or(0);
        if length >= summary.size_bytes {
            return Ok(length);
        }
        Err(Corruption {
            file: log_path(&self.folder, summary.base_offset),
            position: length,
            expected: format!("{} bytes that were durable", summary.size_bytes),
            got: format!("{length} bytes"),
        })
    }

    /// Removes segments that the checkpoint does not know any more: their removal was interrupted.
    async fn remove_files_below(&mut self, first: Offset) -> Result<(), Damage> {
        for base_offset in self.files.iter().map(|(base, _)| *base).filter(|base| *base < first) {
            for path in [index_path, producers_path, log_path].map(|path| path(&self.folder, base_offset)) {
                remove_if_there(&self.shared.disk, &path).await?;
            }
        }
        self.files.retain(|(base, _)| *base >= first);
        Ok(())
    }

    /// Walks the open segment and those behind it, and cuts off what a power cut has torn.
    async fn walk(&mut self) -> Result<(), Damage> {
        loop {
            let stop = self.walk_segment().await?;
            let open = self.segments.back().expect("the walk has a segment").summary;
            self.remove_replaced(&open).await?;
            let next = self.files.iter().find(|(base, _)| *base > open.base_offset).copied();
            let is_past_cut = self.cut_at.is_some_and(|cut_at| self.next_offset >= cut_at);
            match next {
                Some((base_offset, length)) if base_offset == self.next_offset && !is_past_cut => {
                    self.flush_walked().await?;
                    let summary = SegmentSummary::empty(base_offset, self.now_ms);
                    self.segments.push_back(Segment::found(summary, Some(SegmentIndex::default()), length));
                }
                _ => return self.end(stop).await,
            }
        }
    }

    /// Removes segments that begin inside of one that was walked: it was put into their place, and the checkpoint that
    /// would say so is lost. Offsets follow each other without a gap inside a segment, so nothing else can look so.
    async fn remove_replaced(&mut self, walked: &SegmentSummary) -> Result<(), Damage> {
        let is_replaced = |base: Offset| base > walked.base_offset && base < walked.next_offset;
        let replaced: Vec<Offset> =
            self.files.iter().map(|(base, _)| *base).filter(|base| is_replaced(*base)).collect();
        if replaced.is_empty() {
            return Ok(());
        }
        for base_offset in replaced {
            for path in [index_path, producers_path, log_path].map(|path| path(&self.folder, base_offset)) {
                remove_if_there(&self.shared.disk, &path).await?;
            }
        }
        self.shared.disk.flush_directory(&self.folder).await?;
        self.files.retain(|(base, _)| !is_replaced(*base));
        Ok(())
    }

    /// Walks the open segment to its last good batch. Says what stands behind it.
    async fn walk_segment(&mut self) -> Result<Stop, Damage> {
        let mut segment = self.segments.pop_back().expect("the walk has a segment");
        let base_offset = segment.summary.base_offset;
        let length = self.file_length(base_offset).unwrap_or(0);
        // The name of a file is durable when something in it was, and with nothing known of it that is not sure.
        self.is_name_unflushed |= segment.summary.size_bytes == 0 && self.file_length(base_offset).is_some();
        if length == segment.summary.size_bytes {
            self.segments.push_back(segment);
            return Ok(Stop::End { rest_is_zero: true });
        }
        let key = self.identity.key();
        let file = self.shared.file(&self.folder, key, base_offset).await?;
        let block_bytes = self.shared.block_bytes as u64;
        let epoch = self.leader_epochs.latest().map_or(-1, LeaderEpoch::value);
        let start = segment.summary.size_bytes;
        let mut scan = Scan::new(&file, block_bytes, length, start, self.next_offset.value(), epoch);
        let stop = loop {
            if self.cut_at.is_some_and(|cut_at| scan.next_offset() >= cut_at.value()) {
                break Stop::End { rest_is_zero: false };
            }
            match scan.next().await? {
                Found::Batch(header) => {
                    segment.note(&header, self.config.index_interval_bytes);
                    self.leader_epochs
                        .note(LeaderEpoch::new(header.leader_epoch), Offset::new(header.base_offset));
                    self.producers.note(&header, self.now_ms, self.shared.options.producers_max);
                }
                Found::End => break Stop::End { rest_is_zero: scan.rest_is_zero() },
                Found::Bad { position, expected, got } => break Stop::Bad { position, expected, got },
            }
        };
        let walked = segment.summary.size_bytes - start;
        // It may only be in the device's cache: the process was killed before its flush.
        self.is_unflushed = walked > 0;
        self.walked_bytes += walked;
        self.next_offset = segment.summary.next_offset;
        self.segments.push_back(segment);
        Ok(stop)
    }

    /// Makes durable what was walked of the last segment.
    async fn flush_walked(&mut self) -> Result<(), Damage> {
        if core::mem::take(&mut self.is_unflushed) && !crate::planted::is("walk-not-flushed") {
            let open = self.segments.back().expect("the walk has a segment").summary;
            self.shared.file(&self.folder, self.identity.key(), open.base_offset).await?.flush().await?;
        }
        Ok(())
    }

    /// The log ends where the walk stopped: cuts off what follows, unless it proves damage.
    async fn end(&mut self, stop: Stop) -> Result<(), Damage> {
        let open = self.segments.back().expect("the walk has a segment").summary;
        let length = self.file_length(open.base_offset).unwrap_or(0);
        let later: Vec<(Offset, u64)> =
            self.files.iter().filter(|(base, _)| *base > open.base_offset).copied().collect();
        if self.cut_at.is_none() {
            self.refuse_damage(&stop, &open, length, &later).await?;
        }
        for (base_offset, _) in later.into_iter().rev() {
            for path in [index_path, producers_path, log_path].map(|path| path(&self.folder, base_offset)) {
                remove_if_there(&self.shared.disk, &path).await?;
            }
            self.shared.disk.flush_directory(&self.folder).await?;
        }
        let block_bytes = self.shared.block_bytes as u64;
        let is_padding = matches!(stop, Stop::End { rest_is_zero: true })
            && length <= open.size_bytes.next_multiple_of(block_bytes);
        if length > open.size_bytes && !is_padding && !crate::planted::is("torn-tail-kept") {
            let file = self.shared.file(&self.folder, self.identity.key(), open.base_offset).await?;
            file.set_length(open.size_bytes).await?;
            self.is_unflushed = true;
            self.segments.back_mut().expect("the walk has a segment").durable_length = open.size_bytes;
        }
        self.flush_walked().await?;
        if self.is_name_unflushed && !crate::planted::is("walked-name-not-flushed") {
            self.shared.disk.flush_directory(&self.folder).await?;
        }
        Ok(())
    }

    /// Refuses the log when more follows than a power cut can tear.
    async fn refuse_damage(
        &self,
        stop: &Stop,
        open: &SegmentSummary,
        length: u64,
        later: &[(Offset, u64)],
    ) -> Result<(), Damage> {
        let later_bytes: u64 = later.iter().map(|(_, length)| *length).sum();
        let from = open.size_bytes + UNFLUSHED_BYTES_MAX;
        let mut proof =
            (later_bytes > UNFLUSHED_BYTES_MAX).then(|| format!("{later_bytes} bytes in later segments"));
        if proof.is_none() && length > from {
            let file = self.shared.file(&self.folder, self.identity.key(), open.base_offset).await?;
            let block_bytes = self.shared.block_bytes as u64;
            let epoch = self.leader_epochs.latest().map_or(-1, LeaderEpoch::value);
            let above = self.next_offset.value();
            let found = find_continuation(&file, block_bytes, length, from, above, epoch).await?;
            proof = found.map(|position| format!("a batch that continues the log at position {position}"));
        }
        let Some(proof) = proof else { return Ok(()) };
        let (position, expected, got) = match stop {
            Stop::Bad { position, expected, got } => (*position, expected.clone(), got.clone()),
            Stop::End { .. } => (
                open.size_bytes,
                format!("a batch with base offset {}", self.next_offset),
                String::from("zeros"),
            ),
        };
        let file = log_path(&self.folder, open.base_offset);
        Err(Corruption { file, position, expected: format!("{expected}, for behind it stands {proof}"), got }
            .into())
    }

    fn first_offset(&self) -> Offset {
        self.segments.front().map_or(self.next_offset, |first| first.summary.base_offset)
    }

    /// A log whose records were all deleted and whose end was not durable begins again at its start.
    async fn start_at(&mut self, log_start_offset: Offset) -> Result<(), Damage> {
        if log_start_offset <= self.next_offset {
            return Ok(());
        }
        for (base_offset, _) in core::mem::take(&mut self.files) {
            for path in [index_path, producers_path, log_path].map(|path| path(&self.folder, base_offset)) {
                remove_if_there(&self.shared.disk, &path).await?;
            }
        }
        self.shared.disk.flush_directory(&self.folder).await?;
        self.shared.close_files(self.identity.key());
        self.segments = VecDeque::from([Segment::new(log_start_offset, self.now_ms)]);
        self.leader_epochs = LeaderEpochs::default();
        self.next_offset = log_start_offset;
        Ok(())
    }

    fn into_state(self, log_start_offset: Offset, incarnation: u64, checkpointed_offset: Offset) -> LogState {
        let (end, block_bytes) = (self.next_offset, self.shared.block_bytes);
        LogState {
            log_start_offset,
            segments: self.segments,
            producers: self.producers,
            leader_epochs: self.leader_epochs,
            checkpointed_offset,
            walk_bytes: WalkBytes::new(self.walked_bytes),
            compacted_offset: self.compacted_offset.min(end),
            ..LogState::empty_at(end, self.config, incarnation, block_bytes, self.now_ms)
        }
    }
}

/// Why a walk stopped.
enum Stop {
    /// The file ends, or goes on with zeros.
    End { rest_is_zero: bool },
    /// Something that is not the next batch.
    Bad { position: u64, expected: String, got: String },
}
