//! DescribeLogDirs: how large each partition is in the data directory, and how much room its volume has (KIP-113, KIP-827).
//!
//! There is one directory, and no log moves to another: no log is a future one. How far a log is behind is what Kafka's
//! documentation says of the field: from its end to the partition's high watermark. Kafka's own followers answer zero, since
//! they count from the high watermark that their log reaches; ours count from the one that the leader told.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    rc::Rc,
    sync::Arc,
};

use futures_util::future::join_all;
use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{
        DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
        DescribeLogDirsResult, DescribeLogDirsTopic,
    },
};
use ringmain_storage::LogKey;

use crate::{runtime, shard::Shard};

/// A log of some shard.
struct Size {
    topic: String,
    partition: i32,
    bytes: u64,
    lag_records: u64,
}

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &DescribeLogDirsRequest<'_>,
) -> DescribeLogDirsResponse<'static> {
    let folder =
        std::path::absolute(&shard.config().data_dir).unwrap_or_else(|_| shard.config().data_dir.clone());
    let log_dir = Text::Owned(folder.to_string_lossy().into_owned());
    let result = match runtime::run_blocking(move || Volume::of(&folder)).await {
        Ok(volume) => DescribeLogDirsResult {
            log_dir,
            topics: by_topic(sizes(shard, request.topics.as_deref()).await),
            total_bytes: volume.total_bytes,
            usable_bytes: volume.usable_bytes,
            ..Default::default()
        },
        Err(error) => {
            tracing::warn!(%error, "measure the volume of the data directory");
            DescribeLogDirsResult {
                error_code: ErrorCode::KAFKA_STORAGE_ERROR,
                log_dir,
                ..Default::default()
            }
        }
    };
    DescribeLogDirsResponse { results: vec![result], ..Default::default() }
}

/// The logs that are asked for, or all; what does not exist is left out.
async fn sizes(shard: &Rc<Shard>, asked: Option<&[DescribableLogDirTopic<'_>]>) -> Vec<Size> {
    let wanted = asked.map(|topics| Arc::new(keys(shard, topics)));
    let of_shards = shard.all_shards().map(|target| {
        let wanted = wanted.clone();
        shard.run_on(target, async move |owner| {
            let is_wanted = |key| wanted.as_ref().is_none_or(|keys| keys.contains(&key));
            let partitions =
                owner.all_partitions().into_iter().filter(|partition| is_wanted(partition.key()));
            let size = |partition: Rc<crate::shard::Partition>| Size {
                topic: partition.topic().to_owned(),
                partition: partition.key().partition,
                bytes: partition.log().size_bytes(),
                lag_records: partition.lag_records(),
            };
            partitions.map(size).collect::<Vec<Size>>()
        })
    });
    join_all(of_shards).await.into_iter().flatten().collect()
}

fn keys(shard: &Shard, topics: &[DescribableLogDirTopic<'_>]) -> BTreeSet<LogKey> {
    let key = |topic: &str, partition: &i32| shard.key(topic, *partition);
    topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().filter_map(|index| key(topic.topic, index)))
        .collect()
}

fn by_topic(sizes: Vec<Size>) -> Vec<DescribeLogDirsTopic<'static>> {
    let mut topics: BTreeMap<String, BTreeMap<i32, (u64, u64)>> = BTreeMap::new();
    for Size { topic, partition, bytes, lag_records } in sizes {
        topics.entry(topic).or_default().insert(partition, (bytes, lag_records));
    }
    let partition = |(partition_index, (bytes, lag_records))| DescribeLogDirsPartition {
        partition_index,
        partition_size: to_i64(bytes),
        offset_lag: to_i64(lag_records),
        ..Default::default()
    };
    let topic = |(name, partitions): (String, BTreeMap<i32, (u64, u64)>)| DescribeLogDirsTopic {
        name: Text::Owned(name),
        partitions: partitions.into_iter().map(partition).collect(),
    };
    topics.into_iter().map(topic).collect()
}

/// The file system that the data directory lies on.
struct Volume {
    total_bytes: i64,
    /// What a process without privileges may still write.
    usable_bytes: i64,
}

impl Volume {
    fn of(folder: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(folder)?;
        let bytes = |blocks: u64| to_i64(blocks.saturating_mul(found.f_frsize));
        Ok(Self { total_bytes: bytes(found.f_blocks), usable_bytes: bytes(found.f_bavail) })
    }
}

/// As Kafka: what is too large for the wire is the largest number.
fn to_i64(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_room_and_is_not_larger_than_itself() {
        let volume = Volume::of(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the folder exists");
        assert!(0 < volume.total_bytes);
        assert!((0..=volume.total_bytes).contains(&volume.usable_bytes));
        assert!(Volume::of(Path::new("/no/such/folder")).is_err());
    }

    #[test]
    fn logs_of_all_shards_come_together_by_topic() {
        let size = |topic: &str, partition, bytes, lag_records| Size {
            topic: topic.to_owned(),
            partition,
            bytes,
            lag_records,
        };
        let topics = by_topic(vec![size("b", 1, 7, 0), size("a", 0, u64::MAX, 2), size("b", 0, 5, 9)]);
        type Told<'a> = (&'a str, Vec<(i32, i64, i64)>);
        let listed: Vec<Told<'_>> = topics
            .iter()
            .map(|topic| {
                let told = |p: &DescribeLogDirsPartition| (p.partition_index, p.partition_size, p.offset_lag);
                (&*topic.name, topic.partitions.iter().map(told).collect())
            })
            .collect();
        assert_eq!(listed, [("a", vec![(0, i64::MAX, 2)]), ("b", vec![(0, 5, 9), (1, 7, 0)])]);
    }
}
