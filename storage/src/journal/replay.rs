//! Replay: bring to the segments what only the journals hold. Once per start, before any store opens.
//!
//! Every journal that is found is replayed, whatever the number of shards is now. Per journal:
//! 1. Find the heads of all frames. The newest statement of what is needed ([`super::frame::Frame::live_from`]) says where
//!    to begin.
//! 2. Open the logs that they tell of: each is recovered from its segments.
//! 3. Apply the frames as long as each is the next one. An entry is applied if its log exists, has the same
//!    incarnation, and ends where the entry begins. A frame of which the logs have everything is not read: after the end of a
//!    process that is nearly all of them, since settlings are written long before they are flushed.
//! 4. Frames behind the first missing one are not applied, but believed as witnesses: where one says that its log was
//!    durable further than the log now reaches, the log misses durable bytes and is marked so; it refuses to open.
//!
//! The logs that were opened are left to the stores as they are ([`RecoveredLogs`]): opening them again would read their
//! folders, and walk their segments, twice.
//!
//! Replay may be interrupted and done again: applying an entry twice changes nothing. Nothing in the journals is changed, so
//! that they can be replayed until the stores have begun their own generation.
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::batch::BatchHeader;
use crate::config::{LogConfig, StoreOptions};
use crate::disk::{Disk, DiskErrorKind, EntryKind};
use crate::error::{AppendError, Corruption, OpenError, StoreError};
use crate::identity::{LogIdentity, LogKey, parse_folder};
use crate::journal::JOURNAL_FOLDER;
use crate::journal::frame::Entry;
use crate::journal::heads::{self, Found, Frames};
use crate::journal::stretches::{Contents, STRETCHES_AT_ONCE, stretches};
use crate::log::recovered::RecoveredLogs;
use crate::log::{Log, change, recover};
use crate::offset::Offset;
use crate::partition_id::{self, FolderState, PartitionId};
use crate::store::Store;
use crate::store::shared::Shared;

/// What a start found in the journals.
#[derive(Debug, Default)]
pub struct ReplayReport {
    /// Frames that were needed.
    pub frames: u64,
    /// Bytes that were read of the journals, payloads included.
    pub bytes_read: u64,
    /// Logs that were opened.
    pub logs: usize,
    /// Bytes of their segments that were walked.
    pub bytes_walked: u64,
    /// Bytes that were brought to their segments.
    pub bytes_applied: u64,
    /// Logs that miss bytes which were durable; they refuse to open.
    pub damaged: Vec<LogKey>,
    /// Places in journals that cannot be read although they were durable.
    pub damaged_frames: Vec<Corruption>,
    /// The logs that were opened, for the stores that will have them.
    pub recovered: RecoveredLogs,
    /// How long it took to find the frames.
    pub finding: Duration,
    /// How long it took to open the logs.
    pub opening: Duration,
    /// How long it took to apply the frames and to make that durable.
    pub applying: Duration,
}

/// What replay knows of one log.
struct Target<D: Disk> {
    log: Log<D>,
    identity: LogIdentity,
    incarnation: u64,
    /// Below it the log was durable, as far as the frames know.
    durable_to: Offset,
}

/// Applies the journals of every shard that ever wrote on this disk, and finishes deletions that were interrupted. `clock`
/// tells the time since some moment, for the report.
pub async fn replay_journals<D: Disk>(
    disk: &D,
    options: StoreOptions,
    now_ms: i64,
    clock: impl Fn() -> Duration,
) -> Result<ReplayReport, StoreError> {
    let mut report = ReplayReport::default();
    for folder in change::deleted_folders(disk.list("").await?) {
        change::remove_folder(disk, &folder).await?;
    }
    let block_bytes = Shared::new(disk.clone(), options).block_bytes;
    let mut folders: Option<BTreeMap<LogKey, (LogIdentity, PartitionId)>> = None;
    for journal in journal_folders(disk).await? {
        let began = clock();
        let frames = heads::find(disk, &journal, block_bytes).await?;
        report.bytes_read += frames.bytes_read;
        let found = clock();
        report.finding += found.saturating_sub(began);
        if frames.found.iter().all(|found| found.frame.entries.is_empty()) {
            continue;
        }
        if folders.is_none() {
            folders = Some(find_folders(disk, options).await?);
        }
        let store = Store::without_journal(disk.clone(), options);
        store.take_over(mem::take(&mut report.recovered));
        let known = folders.as_ref().expect("they were just found");
        let targets = BTreeMap::new();
        let mut replay = Replay { disk, store, folders: known, targets, now_ms, report: &mut report };
        replay.open_targets(&frames).await?;
        let opened = clock();
        replay.report.opening += opened.saturating_sub(found);
        replay.apply(&frames).await?;
        replay.finish().await?;
        report.applying += clock().saturating_sub(opened);
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

struct Replay<'a, D: Disk> {
    disk: &'a D,
    store: Store<D>,
    folders: &'a BTreeMap<LogKey, (LogIdentity, PartitionId)>,
    /// Logs that were opened; `None` for those that cannot be.
    targets: BTreeMap<LogKey, Option<Target<D>>>,
    now_ms: i64,
    report: &'a mut ReplayReport,
}

impl<D: Disk> Replay<'_, D> {
    async fn apply(&mut self, frames: &Frames<D::File>) -> Result<(), StoreError> {
        let needed: Vec<bool> = frames.may_be_applied().map(|found| self.is_needed(found)).collect();
        let to_read = frames.may_be_applied().zip(&needed).filter(|(_, needed)| **needed);
        let reads = stretches(to_read.map(|(found, _)| found)).into_iter();
        let reads = reads.map(|stretch| Contents::read(&frames.files[stretch.file].file, stretch));
        let mut reads = stream::iter(reads).buffered(STRETCHES_AT_ONCE);
        let mut contents: Option<Contents> = None;
        let mut next = frames.live_from;
        // What cannot be applied at all stands behind all that may be.
        let needed = needed.into_iter().chain(core::iter::repeat(false));
        for (found, is_needed) in frames.found.iter().zip(needed) {
            let mut is_next = found.frame.sequence == next;
            if is_next && is_needed {
                while !contents.as_ref().is_some_and(|contents| contents.covers(found)) {
                    let read = reads.next().await.expect("what is needed is in a stretch")?;
                    self.report.bytes_read += read.length();
                    contents = Some(read);
                }
                let bytes = contents.as_ref().and_then(|contents| contents.frame(found));
                match bytes.filter(|bytes| is_whole(found, bytes)) {
                    Some(bytes) => self.apply_frame(found, bytes).await?,
                    None => is_next = false,
                }
            }
            if is_next {
                next += 1;
                self.report.frames += 1;
            } else {
                self.note_missing_frame(found, frames, next);
            }
            found.frame.entries.iter().for_each(|entry| self.bear_witness(entry));
        }
        drop(reads);
        self.flush().await
    }

    /// Whether some log lacks what a frame holds, as far as can be told before those in front of it are applied.
    fn is_needed(&self, found: &Found) -> bool {
        let lacks = |entry: &Entry| {
            let target = self.targets.get(&entry.key).and_then(Option::as_ref);
            target
                .is_some_and(|target| target.takes(entry) && target.log.log_end_offset() < entry.next_offset)
        };
        let mut entries = found.frame.entries.iter();
        if crate::planted::is("needed-frame-passed-over") { entries.all(lacks) } else { entries.any(lacks) }
    }

    /// A frame is missing before this one. If a later one says that it was durable, the journal is damaged.
    fn note_missing_frame(&mut self, found: &Found, frames: &Frames<D::File>, missing: u64) {
        let was_durable = frames.found.iter().any(|later| later.frame.flushed_sequence >= missing);
        if was_durable && self.report.damaged_frames.is_empty() {
            self.report.damaged_frames.push(Corruption {
                file: frames.files[found.file].path.clone(),
                position: found.position,
                expected: format!("frame {missing}, which was durable"),
                got: format!("frame {}", found.frame.sequence),
            });
        }
    }

    /// Remembers how far an entry says that its log was durable.
    fn bear_witness(&mut self, entry: &Entry) {
        if let Some(Some(target)) = self.targets.get_mut(&entry.key)
            && target.takes(entry)
        {
            target.durable_to = target.durable_to.max(entry.flushed_offset);
        }
    }

    async fn apply_frame(&mut self, found: &Found, bytes: &[u8]) -> Result<(), StoreError> {
        for (entry, payload, _) in found.frame.payloads(bytes) {
            self.apply_entry(entry, payload).await?;
        }
        Ok(())
    }

    async fn apply_entry(&mut self, entry: &Entry, payload: &[u8]) -> Result<(), StoreError> {
        let target = self.targets.get(&entry.key).and_then(Option::as_ref);
        let Some(target) = target.filter(|target| target.takes(entry)) else { return Ok(()) };
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

    /// Opens the logs of all entries that may be applied, many at once.
    async fn open_targets(&mut self, frames: &Frames<D::File>) -> Result<(), StoreError> {
        let entries = frames.may_be_applied().flat_map(|found| &found.frame.entries);
        let keys: BTreeSet<LogKey> = entries.map(|entry| entry.key).collect();
        let this = &*self;
        let opening = keys.into_iter().map(|key| async move { Ok((key, this.target(key).await?)) });
        let opened: Vec<Result<_, StoreError>> =
            stream::iter(opening).buffer_unordered(LOGS_AT_ONCE).collect().await;
        for target in opened {
            let (key, target) = target?;
            if let Some(target) = &target {
                self.report.logs += 1;
                self.report.bytes_walked += target.log.walk_bytes();
            }
            self.targets.insert(key, target);
        }
        Ok(())
    }

    /// The log of an entry; `None` when it does not exist or cannot be opened, which `open_log` will say again.
    async fn target(&self, key: LogKey) -> Result<Option<Target<D>>, StoreError> {
        let Some((identity, id)) = self.folders.get(&key) else { return Ok(None) };
        match self.store.open_known(identity.clone(), *id, LogConfig::default(), self.now_ms).await {
            Ok(log) => {
                let durable_to = log.flushed_offset().min(Offset::ZERO);
                Ok(Some(Target { log, identity: identity.clone(), incarnation: id.incarnation, durable_to }))
            }
            Err(OpenError::Disk(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Marks the logs that miss durable bytes, and leaves the others to the stores. Everything that was applied is durable
    /// in the segments by now.
    async fn finish(self) -> Result<(), StoreError> {
        let Replay { disk, store, targets, report, .. } = self;
        report.recovered = store.take_back();
        let mut checkpoints = Vec::new();
        for target in targets.into_values().flatten() {
            if target.log.log_end_offset() < target.durable_to {
                let state = FolderState::Missing(target.durable_to);
                let id = PartitionId { key: target.log.key(), incarnation: target.incarnation, state };
                let path = format!("{}/{}", target.identity.folder(), partition_id::FILE_NAME);
                disk.replace(&path, &id.to_file(), true).await?;
                report.damaged.push(target.log.key());
            } else if let Some(recovered) = target.log.hand_over() {
                report.recovered.insert(recovered);
            } else if target.log.stopped().is_none() {
                // It is opened again from its folder, and need not be walked again.
                checkpoints.push(target.log);
            }
        }
        let checkpoints = checkpoints.iter().map(Log::checkpoint_now);
        let mut written = stream::iter(checkpoints).buffer_unordered(LOGS_AT_ONCE);
        while let Some(result) = written.next().await {
            result?;
        }
        Ok(())
    }
}

impl<D: Disk> Target<D> {
    /// Whether an entry is of this log as it is: not of what was cut from it, or of a former self.
    fn takes(&self, entry: &Entry) -> bool {
        self.incarnation == entry.incarnation || crate::planted::is("any-incarnation")
    }
}

/// Whether all payloads of a frame are as they were written; a torn frame is as good as missing.
fn is_whole(found: &Found, bytes: &[u8]) -> bool {
    found.frame.payloads(bytes).all(|(_, _, is_whole)| is_whole) || crate::planted::is("torn-frame-applied")
}

fn append_failed(error: AppendError) -> StoreError {
    match error {
        AppendError::Offline(error) => StoreError::Disk(error),
        other => StoreError::Replay(other),
    }
}
