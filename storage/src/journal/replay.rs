//! Replay: bring to the segments what only the journals hold. Once per start, before any store opens.
//!
//! Every journal that is found is replayed, whatever the number of shards is now. Per journal:
//! 1. Find all frames. The newest statement of what is needed ([`Frame::live_from`]) says where to begin.
//! 2. From there apply the frames as long as each is the next one. An entry is applied if its log exists, has the same
//!    incarnation, and ends where the entry begins; what the log has already is skipped.
//! 3. Frames behind the first missing one are not applied, but believed as witnesses: where one says that its log was
//!    durable further than the log now reaches, the log misses durable bytes and is marked so; it refuses to open.
//!
//! Replay may be interrupted and done again: applying an entry twice changes nothing. Nothing in the journals is changed, so
//! that they can be replayed until the stores have begun their own generation.
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use futures_util::stream::{self, StreamExt};

use crate::batch::BatchHeader;
use crate::config::{LogConfig, StoreOptions};
use crate::disk::{Disk, DiskErrorKind, DiskFile, EntryKind, OpenMode};
use crate::error::{AppendError, Corruption, OpenError, StoreError};
use crate::identity::{LogIdentity, LogKey, parse_folder};
use crate::journal::frame::{Entry, FileHeader, Frame, may_be_frame};
use crate::journal::{JOURNAL_FOLDER, file_path, parse_name};
use crate::log::Log;
use crate::log::{change, recover};
use crate::offset::Offset;
use crate::partition_id::{self, FolderState, PartitionId};
use crate::store::Store;
use crate::store::shared::Shared;

/// What a start found in the journals.
#[derive(Clone, Debug, Default)]
pub struct ReplayReport {
    /// Frames that were needed.
    pub frames: u64,
    /// Bytes that were brought to their segments.
    pub bytes_applied: u64,
    /// Logs that miss bytes which were durable; they refuse to open.
    pub damaged: Vec<LogKey>,
    /// Places in journals that cannot be read although they were durable.
    pub damaged_frames: Vec<Corruption>,
}

/// A frame, and where it stands.
struct Found {
    frame: Frame,
    path: String,
    position: u64,
}

/// What replay knows of one log.
struct Target<D: Disk> {
    log: Log<D>,
    identity: LogIdentity,
    incarnation: u64,
    /// Below it the log was durable, as far as the frames know.
    durable_to: Offset,
}

/// Applies the journals of every shard that ever wrote on this disk, and finishes deletions that were interrupted.
pub async fn replay_journals<D: Disk>(
    disk: &D,
    options: StoreOptions,
    now_ms: i64,
) -> Result<ReplayReport, StoreError> {
    let mut report = ReplayReport::default();
    for folder in change::deleted_folders(disk.list("").await?) {
        change::remove_folder(disk, &folder).await?;
    }
    let mut folders: Option<BTreeMap<LogKey, (LogIdentity, PartitionId)>> = None;
    for journal in journal_folders(disk).await? {
        let mut frames = find_frames(disk, &journal, options).await?;
        let live_from = frames.iter().map(|found| found.frame.live_from).max().unwrap_or(0);
        frames.retain(|found| found.frame.sequence >= live_from);
        if frames.iter().all(|found| found.frame.entries.is_empty()) {
            continue;
        }
        if folders.is_none() {
            folders = Some(find_folders(disk, options).await?);
        }
        let store = Store::without_journal(disk.clone(), options);
        let known = folders.as_ref().expect("they were just found");
        let (targets, window) = (BTreeMap::new(), Window::default());
        let mut replay = Replay { disk, store, folders: known, targets, window, now_ms, report: &mut report };
        replay.apply(&frames, live_from).await?;
        replay.finish().await?;
    }
    Ok(report)
}

async fn journal_folders<D: Disk>(disk: &D) -> Result<Vec<String>, StoreError> {
    let entries = match disk.list(JOURNAL_FOLDER).await {
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let folders = entries.into_iter().filter(|entry| entry.kind == EntryKind::Directory);
    Ok(folders.map(|entry| format!("{JOURNAL_FOLDER}/{}", entry.name)).collect())
}

/// The partitions' folders, by what they say about themselves. One whose content cannot be what was written is left to
/// `open_log`, which refuses it. One that cannot be read now may open later: without it in the list the journals' entries of
/// its log would be passed over and then overwritten, so the start ends with the error.
async fn find_folders<D: Disk>(
    disk: &D,
    options: StoreOptions,
) -> Result<BTreeMap<LogKey, (LogIdentity, PartitionId)>, StoreError> {
    let shared = &Shared::new(disk.clone(), options);
    let mut entries = disk.list("").await?;
    entries.retain(|entry| entry.kind == EntryKind::Directory);
    let read = entries.iter().map(|entry| identify(shared, &entry.name));
    let mut read = stream::iter(read).buffer_unordered(LOGS_AT_ONCE);
    let mut folders = BTreeMap::new();
    while let Some(found) = read.next().await {
        folders.extend(found?.map(|(identity, id)| (id.key, (identity, id))));
    }
    Ok(folders)
}

/// The log of a folder; `None` when it is no partition's, or does not credibly say which.
async fn identify<D: Disk>(
    shared: &Shared<D>,
    folder: &str,
) -> Result<Option<(LogIdentity, PartitionId)>, StoreError> {
    let Some((topic, partition)) = parse_folder(folder) else { return Ok(None) };
    let id = match recover::read_id(shared, folder).await {
        Ok(id) => id,
        Err(OpenError::Disk(error)) if error.kind != DiskErrorKind::TooLarge => return Err(error.into()),
        Err(_) => None,
    };
    let Some(id) = id else { return Ok(None) };
    let identity = LogIdentity { topic_id: id.key.topic_id, topic: topic.into(), partition };
    Ok((identity.key() == id.key).then_some((identity, id)))
}

/// Logs that are looked at or opened at once: each waits for a few small reads and flushes.
const LOGS_AT_ONCE: usize = 32;

/// All frames of one journal, by sequence.
async fn find_frames<D: Disk>(
    disk: &D,
    folder: &str,
    options: StoreOptions,
) -> Result<Vec<Found>, StoreError> {
    let shared = Shared::new(disk.clone(), options);
    let block_bytes = shared.block_bytes;
    let mut frames: Vec<Found> = Vec::new();
    for entry in disk.list(folder).await? {
        let Some(slot) = parse_name(&entry.name) else { continue };
        let path = file_path(folder, slot);
        let file = disk.open(&path, OpenMode::Read).await?;
        let contents = read_whole(&file, entry.size_bytes, block_bytes).await?;
        let Ok(header) = FileHeader::from_bytes(&path, &contents) else { continue };
        let mut position = block_bytes;
        while position < contents.len() {
            let rest = &contents[position..];
            let frame = may_be_frame(rest).then(|| Frame::decode(rest, block_bytes)).flatten();
            let is_current =
                |frame: &Frame| frame.generation == header.generation || crate::planted::is("any-generation");
            match frame.filter(is_current) {
                Some(frame) => {
                    let length = frame.length;
                    frames.push(Found { frame, path: path.clone(), position: position as u64 });
                    position += length;
                }
                // Not a frame of this generation. A later one may witness what is missing here.
                None => position += block_bytes,
            }
        }
    }
    frames.sort_by_key(|found| (found.frame.sequence, found.frame.generation));
    Ok(frames)
}

/// Reads a journal file. It has a bounded size, and is not kept.
async fn read_whole<F: DiskFile>(file: &F, length: u64, block_bytes: usize) -> Result<Vec<u8>, StoreError> {
    let mut contents = Vec::new();
    let whole_blocks = length - length % block_bytes as u64;
    while (contents.len() as u64) < whole_blocks {
        let piece = file.read_at(contents.len() as u64, PIECE_BYTES).await?;
        if piece.is_empty() {
            break;
        }
        contents.extend_from_slice(piece.as_slice());
    }
    Ok(contents)
}

/// Bytes of one read.
const PIECE_BYTES: usize = 1 << 20;

/// A stretch of a journal file. Small frames stand close together: one read brings hundreds of them.
#[derive(Default)]
struct Window {
    path: String,
    position: u64,
    contents: Vec<u8>,
}

impl Window {
    /// From where a frame begins: the whole frame, and what a usual read brings besides.
    async fn read<D: Disk>(disk: &D, found: &Found) -> Result<Self, StoreError> {
        let file = disk.open(&found.path, OpenMode::Read).await?;
        let wanted = found.frame.length.max(PIECE_BYTES);
        let mut contents = Vec::with_capacity(wanted);
        while contents.len() < wanted {
            let position = found.position + contents.len() as u64;
            let piece = file.read_at(position, (wanted - contents.len()).min(PIECE_BYTES)).await?;
            if piece.is_empty() {
                break;
            }
            contents.extend_from_slice(piece.as_slice());
        }
        Ok(Self { path: found.path.clone(), position: found.position, contents })
    }

    /// The bytes of a frame that lies within.
    fn frame(&self, found: &Found) -> Option<&[u8]> {
        let start = usize::try_from(found.position.checked_sub(self.position)?).ok()?;
        let frame = self.contents.get(start..start.checked_add(found.frame.length)?)?;
        (self.path == found.path).then_some(frame)
    }
}

struct Replay<'a, D: Disk> {
    disk: &'a D,
    store: Store<D>,
    folders: &'a BTreeMap<LogKey, (LogIdentity, PartitionId)>,
    /// Logs that were opened; `None` for those that cannot be.
    targets: BTreeMap<LogKey, Option<Target<D>>>,
    /// What was read of the journal last.
    window: Window,
    now_ms: i64,
    report: &'a mut ReplayReport,
}

impl<D: Disk> Replay<'_, D> {
    async fn apply(&mut self, frames: &[Found], live_from: u64) -> Result<(), StoreError> {
        self.open_targets(frames, live_from).await?;
        let mut next = live_from;
        for found in frames {
            let is_next = found.frame.sequence == next || crate::planted::is("any-sequence");
            let payloads = if is_next { self.read_payloads(found).await? } else { None };
            let Some(contents) = payloads else {
                self.note_missing_frame(found, frames, next);
                found.frame.entries.iter().for_each(|entry| self.bear_witness(entry));
                continue;
            };
            next = found.frame.sequence + 1;
            self.report.frames += 1;
            for (entry, payload, _) in found.frame.payloads(&contents) {
                self.apply_entry(entry, payload).await?;
            }
        }
        self.flush().await
    }

    /// The bytes of a frame if all its payloads are whole; a torn one is as good as missing.
    async fn read_payloads(&mut self, found: &Found) -> Result<Option<Vec<u8>>, StoreError> {
        if self.window.frame(found).is_none() {
            self.window = Window::read(self.disk, found).await?;
        }
        let Some(contents) = self.window.frame(found) else { return Ok(None) };
        let all_whole = found.frame.payloads(contents).all(|(_, _, is_whole)| is_whole);
        Ok((all_whole || crate::planted::is("torn-frame-applied")).then(|| contents.to_vec()))
    }

    /// A frame is missing before this one. If a later one says that it was durable, the journal is damaged.
    fn note_missing_frame(&mut self, found: &Found, frames: &[Found], missing: u64) {
        let was_durable = frames.iter().any(|later| later.frame.flushed_sequence >= missing);
        if was_durable && self.report.damaged_frames.is_empty() {
            self.report.damaged_frames.push(Corruption {
                file: found.path.clone(),
                position: found.position,
                expected: format!("frame {missing}, which was durable"),
                got: format!("frame {}", found.frame.sequence),
            });
        }
    }

    /// Remembers how far an entry says that its log was durable.
    fn bear_witness(&mut self, entry: &Entry) {
        if let Some(Some(target)) = self.targets.get_mut(&entry.key)
            && target.incarnation == entry.incarnation
        {
            target.durable_to = target.durable_to.max(entry.flushed_offset);
        }
    }

    async fn apply_entry(&mut self, entry: &Entry, payload: &[u8]) -> Result<(), StoreError> {
        if !self.open_target(entry.key).await? {
            return Ok(());
        }
        let Some(Some(target)) = self.targets.get_mut(&entry.key) else { return Ok(()) };
        if target.incarnation != entry.incarnation && !crate::planted::is("any-incarnation") {
            return Ok(());
        }
        target.durable_to = target.durable_to.max(entry.flushed_offset);
        let log = target.log.clone();
        let mut rest = payload;
        while let Ok(header) = BatchHeader::parse(rest) {
            let Some((batch, behind)) = rest.split_at_checked(header.length) else { break };
            rest = behind;
            if header.base_offset == log.log_end_offset().value() {
                self.append(&log, batch).await?;
            }
        }
        Ok(())
    }

    async fn append(&mut self, log: &Log<D>, batch: &[u8]) -> Result<(), StoreError> {
        loop {
            match log.append_assigned(batch, self.now_ms) {
                Ok(_) => break,
                Err(AppendError::Inactive) => log.activate().await.map_err(append_failed)?,
                Err(AppendError::NoRoom) => self.write_round().await?,
                Err(error) => return Err(append_failed(error)),
            }
        }
        self.report.bytes_applied += batch.len() as u64;
        Ok(())
    }

    async fn write_round(&mut self) -> Result<(), StoreError> {
        self.store.pending().await;
        let mut round = self.store.begin_round();
        for progress in round.write().await.into_iter().chain(round.flush().await) {
            progress.result?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        while self.store.unwritten_bytes() > 0 {
            self.write_round().await?;
        }
        self.store.flush_cached().await?;
        Ok(())
    }

    /// Opens the logs of all entries that will be applied, many at once, unless a frame turns out to be torn.
    async fn open_targets(&mut self, frames: &[Found], live_from: u64) -> Result<(), StoreError> {
        let follow = |(found, sequence): &(&Found, u64)| found.frame.sequence == *sequence;
        let applied = frames.iter().zip(live_from..).take_while(follow);
        let keys: BTreeSet<LogKey> =
            applied.flat_map(|(found, _)| &found.frame.entries).map(|entry| entry.key).collect();
        let this = &*self;
        let opening = keys.into_iter().map(|key| async move { Ok((key, this.target(key).await?)) });
        let opened: Vec<Result<_, StoreError>> =
            stream::iter(opening).buffer_unordered(LOGS_AT_ONCE).collect().await;
        for target in opened {
            let (key, target) = target?;
            self.targets.insert(key, target);
        }
        Ok(())
    }

    /// The log of an entry; `None` when it does not exist or cannot be opened, which `open_log` will say again.
    async fn target(&self, key: LogKey) -> Result<Option<Target<D>>, StoreError> {
        let Some((identity, id)) = self.folders.get(&key) else { return Ok(None) };
        match self.store.open_log(identity.clone(), LogConfig::default(), self.now_ms).await {
            Ok(log) => {
                let durable_to = log.flushed_offset().min(Offset::ZERO);
                Ok(Some(Target { log, identity: identity.clone(), incarnation: id.incarnation, durable_to }))
            }
            Err(OpenError::Disk(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Whether the log of an entry is open, after an attempt to open it if there was none.
    async fn open_target(&mut self, key: LogKey) -> Result<bool, StoreError> {
        if let Some(target) = self.targets.get(&key) {
            return Ok(target.is_some());
        }
        let target = self.target(key).await?;
        let opened = target.is_some();
        self.targets.insert(key, target);
        Ok(opened)
    }

    /// Marks the logs that miss durable bytes, and leaves checkpoints, so that their opening does not walk them again.
    /// Everything that was applied is durable in the segments by now.
    async fn finish(self) -> Result<(), StoreError> {
        for target in self.targets.values().flatten() {
            if target.log.log_end_offset() >= target.durable_to {
                continue;
            }
            let state = FolderState::Missing(target.durable_to);
            let id = PartitionId { key: target.log.key(), incarnation: target.incarnation, state };
            let path = format!("{}/{}", target.identity.folder(), partition_id::FILE_NAME);
            self.disk.replace(&path, &id.to_file(), true).await?;
            self.report.damaged.push(target.log.key());
        }
        let logs = self.targets.values().flatten().map(|target| &target.log);
        let checkpoints = logs.filter(|log| log.stopped().is_none()).map(Log::checkpoint_now);
        let mut written = stream::iter(checkpoints).buffer_unordered(LOGS_AT_ONCE);
        while let Some(result) = written.next().await {
            result?;
        }
        Ok(())
    }
}

fn append_failed(error: AppendError) -> StoreError {
    match error {
        AppendError::Offline(error) => StoreError::Disk(error),
        other => StoreError::Replay(other),
    }
}
