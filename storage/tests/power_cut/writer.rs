//! Writes through the real disk until the power goes, and knows what the disk has promised.
//!
//! Every block is written once, over zeros that are durable (`written`) or behind the end (`grown`), so a torn write that
//! nobody was promised harms no other.

use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use ringmain_storage::disk::{
    BufferSlice, Disk, DiskError, DiskFile, OpenMode,
    direct::{DirectDisk, DirectFile},
    simulated::Random,
};

const BLOCK: usize = 4096;
const WRITTEN_FILES: usize = 12;
const WRITTEN_BLOCKS: u64 = 256;
const GROWN_FILES: usize = 3;
/// Blocks of written files in one round.
const ROUND_BLOCKS: usize = 6;

/// What a round does before it counts as promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// What the trait asks for: one flush for overwrites where the disk allows it, each grown file its own.
    Flushed,
    /// Nothing. The control: some of it has to be lost.
    Nothing,
}

/// What was promised: which block of which file, and when.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<BTreeMap<(String, u64), u64>>>);

impl Ledger {
    fn promise(&self, blocks: &[(String, u64, u64)]) {
        let mut promised = self.0.lock().expect("nobody panics with the ledger");
        promised.extend(blocks.iter().map(|(file, block, stamp)| ((file.clone(), *block), *stamp)));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect("nobody panics with the ledger").len()
    }

    /// The promises that `root` does not keep, as sentences.
    pub(crate) fn broken(&self, root: &Path) -> Vec<String> {
        let promised = self.0.lock().expect("nobody panics with the ledger");
        let broken = promised.iter().filter_map(|((file, block), stamp)| {
            let found = read_stamp(&root.join(file), *block);
            (!keeps(file, *stamp, found))
                .then(|| format!("{file} block {block}: promised {stamp}, found {found:?}"))
        });
        broken.collect()
    }
}

/// Whether a block that was found keeps the promise of `stamp`. Blocks of files are written once. A checkpoint is replaced:
/// the cut may come after a newer one became durable and before that was promised, and then it is there as a whole.
fn keeps(file: &str, stamp: u64, found: Option<u64>) -> bool {
    if file.contains("/checkpoint-") { found >= Some(stamp) } else { found == Some(stamp) }
}

/// Prepares a folder and then writes in rounds until the disk fails. Sets `ready` before the first round.
pub(crate) async fn write_until_failure(
    disk: DirectDisk,
    folder: String,
    promise: Promise,
    ledger: Ledger,
    ready: Arc<AtomicBool>,
    seed: u64,
) {
    let mut files = match Files::prepare(&disk, &folder).await {
        Ok(files) => files,
        Err(error) => panic!("the power is still on: {error}"),
    };
    ready.store(true, Ordering::Release);
    let mut random = Random::new(seed);
    while files.has_room() {
        match files.write_round(&disk, promise, &mut random).await {
            Ok(blocks) => ledger.promise(&blocks),
            Err(_power_cut) => return,
        }
    }
}

struct Files {
    folder: String,
    written: Vec<(DirectFile, u64)>,
    grown: Vec<(DirectFile, u64)>,
    flushed: DirectFile,
    next_stamp: u64,
}

impl Files {
    async fn prepare(disk: &DirectDisk, folder: &str) -> Result<Files, DiskError> {
        disk.create_directory(folder).await?;
        let zeros = block_of(disk, 0, (WRITTEN_BLOCKS as usize) * BLOCK);
        let mut written = Vec::new();
        for number in 0..WRITTEN_FILES {
            let file = disk.open(&format!("{folder}/written-{number}"), OpenMode::CreateNew).await?;
            file.write_at_and_flush(0, zeros.clone()).await?;
            written.push((file, 0));
        }
        let mut grown = Vec::new();
        for number in 0..GROWN_FILES {
            grown.push((disk.open(&format!("{folder}/grown-{number}"), OpenMode::CreateNew).await?, 0));
        }
        let flushed = disk.open(&format!("{folder}/flushed"), OpenMode::CreateNew).await?;
        flushed.write_at_and_flush(0, zeros.slice(0..BLOCK)).await?;
        disk.flush_directory(folder).await?;
        Ok(Files { folder: folder.to_owned(), written, grown, flushed, next_stamp: 1 })
    }

    fn has_room(&self) -> bool {
        self.written.iter().filter(|(_file, next)| *next < WRITTEN_BLOCKS).count() >= ROUND_BLOCKS
    }

    async fn write_round(
        &mut self,
        disk: &DirectDisk,
        promise: Promise,
        random: &mut Random,
    ) -> Result<Vec<(String, u64, u64)>, DiskError> {
        let mut blocks = Vec::new();
        for _ in 0..ROUND_BLOCKS {
            let number = random.below(WRITTEN_FILES as u64) as usize;
            let (file, next) = &mut self.written[number];
            if *next < WRITTEN_BLOCKS {
                let stamp = self.next_stamp;
                file.write_at(*next * BLOCK as u64, block_of(disk, stamp, BLOCK)).await?;
                blocks.push((format!("{}/written-{number}", self.folder), *next, stamp));
                (*next, self.next_stamp) = (*next + 1, stamp + 1);
            }
        }
        let number = random.below(GROWN_FILES as u64) as usize;
        let (grown, next) = &mut self.grown[number];
        let stamp = self.next_stamp;
        grown.write_at(*next * BLOCK as u64, block_of(disk, stamp, BLOCK)).await?;
        blocks.push((format!("{}/grown-{number}", self.folder), *next, stamp));
        (*next, self.next_stamp) = (*next + 1, stamp + 1);
        if promise == Promise::Flushed {
            self.flushed.flush().await?;
            grown.flush().await?;
            if !disk.one_flush_covers_all() {
                for (file, _next) in &self.written {
                    file.flush().await?;
                }
            }
            let checkpoint = format!("{}/checkpoint-{}", self.folder, stamp % 4);
            disk.replace(&checkpoint, &stamped(stamp), true).await?;
            blocks.push((checkpoint, 0, stamp));
        }
        Ok(blocks)
    }
}

fn block_of(disk: &DirectDisk, stamp: u64, length: usize) -> BufferSlice {
    let mut buffer = disk.buffers().try_take(length).expect("the writer uses little memory");
    match stamp {
        0 => buffer.append(&vec![0; length]),
        _ => buffer.append(&stamped(stamp)),
    }
    buffer.freeze(0..length)
}

/// A block full of its stamp: a torn one shows.
fn stamped(stamp: u64) -> Vec<u8> {
    stamp.to_le_bytes().repeat(BLOCK / size_of::<u64>())
}

fn read_stamp(path: &Path, block: u64) -> Option<u64> {
    let mut bytes = [0; BLOCK];
    File::open(path).ok()?.read_exact_at(&mut bytes, block * BLOCK as u64).ok()?;
    let stamp = u64::from_le_bytes(*bytes.first_chunk()?);
    (bytes[..] == stamped(stamp)[..]).then_some(stamp)
}
