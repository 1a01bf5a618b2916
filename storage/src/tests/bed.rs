//! A store on a simulated disk, and batches to put into it.
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use futures_util::future::join3;
use zerocopy::IntoBytes;

use crate::batch::{RecordBatchHeader, checksum_of};
use crate::config::{LogConfig, StoreOptions};
use crate::disk::simulated::{SimulatedDisk, SimulatedDiskOptions, block_on};
use crate::disk::{Alignment, BufferPoolOptions, Disk};
use crate::error::AppendError;
use crate::identity::{LogIdentity, ShardId, TopicId};
use crate::log::{Appended, Fetched, Log, Piece};
use crate::offset::{LeaderEpoch, Offset};
use crate::store::{Progress, Store, replay_journals};

pub(super) const START_MS: i64 = 1_700_000_000_000;

/// Options that make everything happen with little data.
pub(super) fn small_options() -> StoreOptions {
    StoreOptions {
        unwritten_bytes_max: 4 << 20,
        tail_bytes_max: 256 << 10,
        journal_files: 3,
        journal_file_bytes: 64 << 10,
        direct_write_bytes_min: 16 << 10,
        growing_write_bytes_min: 16 << 10,
        zeros_ahead_bytes: 0,
        zeros_after_bytes: 0,
        idle_after_ms: 1_000,
        checkpoint_interval_bytes: 64 << 10,
        walk_bytes_max: 1 << 20,
        open_files_max: 8,
        producers_max: 100,
        key_map_bytes_max: 1 << 20,
        key_hash_secret: [1, 2],
    }
}

pub(super) fn small_config() -> LogConfig {
    LogConfig { segment_bytes: 64 << 10, index_interval_bytes: 1024, ..LogConfig::default() }
}

pub(super) fn disk(seed: u64) -> SimulatedDisk {
    disk_with(seed, true)
}

pub(super) fn disk_with(seed: u64, one_flush_covers_all: bool) -> SimulatedDisk {
    SimulatedDisk::new(options_of_disk(seed, one_flush_covers_all))
}

/// A disk whose operations wait a little, so that others run in between.
pub(super) fn waiting_disk(seed: u64) -> SimulatedDisk {
    waiting_disk_with(seed, true)
}

pub(super) fn waiting_disk_with(seed: u64, one_flush_covers_all: bool) -> SimulatedDisk {
    SimulatedDisk::new(SimulatedDiskOptions { polls_max: 3, ..options_of_disk(seed, one_flush_covers_all) })
}

fn options_of_disk(seed: u64, one_flush_covers_all: bool) -> SimulatedDiskOptions {
    SimulatedDiskOptions {
        seed,
        alignment: Alignment { memory_bytes: 512, position_bytes: 512 },
        one_flush_covers_all,
        capacity_bytes: 1 << 30,
        buffers: BufferPoolOptions { budget_bytes: 32 << 20, ..BufferPoolOptions::default() },
        polls_max: 0,
    }
}

pub(super) fn identity(topic: &str, partition: i32) -> LogIdentity {
    let mut id = [7; 16];
    id[..topic.len().min(16)].copy_from_slice(&topic.as_bytes()[..topic.len().min(16)]);
    LogIdentity { topic_id: TopicId(id), topic: String::from(topic), partition }
}

/// A batch of `records` records that carries `payload`; the log takes the records' bytes as they are.
pub(super) fn batch(records: i32, payload: &[u8]) -> Vec<u8> {
    batch_of(records, payload, START_MS, (-1, -1, -1))
}

/// The same, with a timestamp and a producer (id, epoch, base sequence).
pub(super) fn batch_of(records: i32, payload: &[u8], timestamp: i64, producer: (i64, i16, i32)) -> Vec<u8> {
    let header = RecordBatchHeader {
        base_offset: 0.into(),
        batch_length: (49 + i32::try_from(payload.len()).expect("small")).into(),
        partition_leader_epoch: (-1).into(),
        magic: 2,
        crc: 0.into(),
        attributes: 0.into(),
        last_offset_delta: (records - 1).into(),
        base_timestamp: timestamp.into(),
        max_timestamp: timestamp.into(),
        producer_id: producer.0.into(),
        producer_epoch: producer.1.into(),
        base_sequence: producer.2.into(),
        record_count: records.into(),
    };
    let mut bytes = Vec::from(header.as_bytes());
    bytes.extend_from_slice(payload);
    let crc = checksum_of(&bytes);
    RecordBatchHeader::peek_mut(&mut bytes).expect("a header").crc = crc.into();
    bytes
}

/// Opens a store as a node does: replay first.
pub(super) async fn open<D: Disk>(disk: &D, options: StoreOptions) -> Store<D> {
    let replayed = replay_journals(disk, options, START_MS, || Duration::ZERO).await;
    let store = Store::open(disk.clone(), ShardId(0), options).await.expect("the store opens");
    store.take_over(replayed.expect("the journals replay").recovered);
    store
}

/// Appends, waiting for whatever an append has to wait for.
pub(super) async fn append<D: Disk>(store: &Store<D>, log: &Log<D>, batch: &[u8], now_ms: i64) -> Appended {
    append_in_epoch(store, log, batch, LeaderEpoch::ZERO, now_ms).await
}

pub(super) async fn append_in_epoch<D: Disk>(
    store: &Store<D>,
    log: &Log<D>,
    batch: &[u8],
    epoch: LeaderEpoch,
    now_ms: i64,
) -> Appended {
    loop {
        match log.append(batch, epoch, now_ms) {
            Ok(appended) => return appended,
            Err(AppendError::Inactive) => log.activate().await.expect("the tail block can be read"),
            Err(AppendError::NoRoom) => {
                round(store).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Options with which logs get zeros ahead, in chunks of 4 KiB and more.
pub(super) fn options_with_zeros() -> StoreOptions {
    StoreOptions {
        direct_write_bytes_min: 4 << 10,
        growing_write_bytes_min: 12 << 10,
        zeros_ahead_bytes: 32 << 10,
        zeros_after_bytes: 1,
        ..small_options()
    }
}

/// The same with so little memory that logs are settled for it, without a flush, all the time.
pub(super) fn options_with_little_memory() -> StoreOptions {
    StoreOptions { tail_bytes_max: 8 << 10, ..options_with_zeros() }
}

/// One round, if there is anything to do: what was written, what was flushed. Zeros that were asked for before it are written
/// beside it, and logs settled.
pub(super) async fn round<D: Disk>(store: &Store<D>) -> (Vec<Progress>, Vec<Progress>) {
    let rounds = async { if store.has_work() { round_alone(store).await } else { (Vec::new(), Vec::new()) } };
    let zeros = async {
        if store.wants_zeros() {
            store.write_zeros_ahead().await;
        }
    };
    let settling = async {
        if store.has_to_settle() {
            store.settle_beside().await;
        }
    };
    join3(rounds, zeros, settling).await.0
}

/// As [`round`], without zeros; there is something to do.
pub(super) async fn round_alone<D: Disk>(store: &Store<D>) -> (Vec<Progress>, Vec<Progress>) {
    store.pending().await;
    let mut round = store.begin_round();
    let written = round.write().await;
    (written, round.flush().await)
}

/// The bytes of what was read.
pub(super) fn bytes_of(fetched: &Fetched) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in &fetched.pieces {
        match piece {
            Piece::Memory(part) => bytes.extend_from_slice(part),
            Piece::File(range) => bytes.extend_from_slice(range.memory().expect("the disk is simulated")),
        }
    }
    assert_eq!(bytes.len(), fetched.length);
    bytes
}

/// All bytes from an offset to the log's end, read in pieces of at most `max_bytes`.
pub(super) async fn read_all<D: Disk>(log: &Log<D>, from: Offset, max_bytes: usize) -> Vec<u8> {
    let mut next = from;
    let mut bytes = Vec::new();
    while next < log.log_end_offset() {
        let fetched =
            log.read(next, log.log_end_offset(), max_bytes, true).await.expect("the log can be read");
        assert!(fetched.next_offset > next, "a read at {next} makes progress");
        next = fetched.next_offset;
        bytes.extend(bytes_of(&fetched));
    }
    bytes
}

/// A batch as the log has it once appended.
pub(super) fn stamped(batch: &[u8], base_offset: Offset, epoch: LeaderEpoch) -> Vec<u8> {
    let mut stamped = batch.to_vec();
    ringmain_protocol::records::stamp(&mut stamped, base_offset.value(), epoch.value());
    stamped
}

pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    block_on(test)
}
