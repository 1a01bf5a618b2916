//! Asks one node again and again, on a thread of its own.
//!
//! In steps: where the replicas of the node begin and end, as it says of its own logs; how far those that it leads can be
//! read; less often its groups with what they committed, and how large its logs are. Failure modes: a connection that
//! breaks or does not answer within [`ANSWER_TIME`] is told as the node's problem, and the next turn connects again.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ringmain_protocol::messages::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP};

use super::{GroupReport, NodeReport, ReplicaReport, Survey};
use crate::{
    admin::reach,
    client::{
        Asker, ClientError, Connection, DESCRIBED_AT_ONCE, TopicPartition, committed_once, describe_several,
        list_once, log_dirs_on, offsets_on,
    },
    metadata::{MetadataImage, NodeId},
};

/// Between two turns, unless a turn takes long.
const TURN_TIME: Duration = Duration::from_secs(1);
/// A turn is followed by a pause so many times as long: looking takes a node a tenth of its time at most.
const PAUSE_SHARE: u32 = 9;
/// The longest pause: a page that is so old is of no use.
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// How long a node may take to connect or to answer: somebody waits to see that it is dead.
const ANSWER_TIME: Duration = Duration::from_millis(1500);
/// Groups are asked about every so many turns, sizes every so many others.
const GROUP_TURNS: u64 = 2;
const SIZE_TURNS: u64 = 5;
/// Groups of one node that are described, and whose commits are asked for; the others are only listed.
const DESCRIBED_MAX: usize = 2000;
const COMMITS_MAX: usize = 500;

/// Starts a thread that asks a node; false where the system has none.
pub(super) fn start(survey: Arc<Survey>, node_id: i32) -> bool {
    let thread = thread::Builder::new().name(format!("admin-ask-{node_id}"));
    let started = thread.spawn(move || ask_on(&survey, node_id));
    started.map_err(|error| tracing::warn!(%error, "start a thread that asks node {node_id}")).is_ok()
}

fn ask_on(survey: &Survey, node_id: i32) {
    let mut connection = None;
    let mut report = NodeReport::default();
    let mut turn = 0;
    while survey.goes_on(node_id) {
        let begun = Instant::now();
        match ask(survey, node_id, &mut connection, &report, turn) {
            Ok(answered) => {
                report = answered;
                turn += 1;
                survey.answered(node_id, report.clone());
            }
            Err(error) => {
                connection = None;
                survey.failed(node_id, told(&error));
            }
        }
        let pause = begun.elapsed() * PAUSE_SHARE;
        sleep_while_wanted(survey, pause.clamp(TURN_TIME, PAUSE_MAX));
    }
}

/// As whoever looks at the console wants it: without what the command line advises.
fn told(error: &ClientError) -> String {
    match error {
        ClientError::Unreachable { address, error } => format!("cannot reach {address}: {error}"),
        other => other.to_string(),
    }
}

/// Sleeps in steps, so that a node that stops is not asked on.
fn sleep_while_wanted(survey: &Survey, pause: Duration) {
    let until = Instant::now() + pause;
    while !survey.node.stopping.load(std::sync::atomic::Ordering::Acquire) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(TURN_TIME));
    }
}

/// One turn.
fn ask(
    survey: &Survey,
    node_id: i32,
    kept: &mut Option<Connection>,
    before: &NodeReport,
    turn: u64,
) -> Result<NodeReport, ClientError> {
    let image = survey.node.metadata.image();
    let connection = match kept {
        Some(connection) => connection,
        None => {
            let address =
                reach::address(&survey.node, &image, node_id).ok_or(ClientError::UnknownNode(node_id))?;
            kept.insert(Connection::open(&address, ANSWER_TIME)?)
        }
    };
    let answered_at = Some(Instant::now());
    let mut replicas = replicas(connection, &image, node_id, &before.replicas)?;
    let groups = if turn.is_multiple_of(GROUP_TURNS) {
        Some(Arc::new(groups(connection, node_id)?))
    } else {
        before.groups.clone()
    };
    let mut usable_bytes = before.usable_bytes;
    if turn.is_multiple_of(SIZE_TURNS) {
        let view = log_dirs_on(connection)?;
        usable_bytes = view.usable_bytes;
        for (partition, log) in view.logs {
            if let Some(replica) = replicas.get_mut(&partition) {
                replica.bytes = Some(log.bytes);
            }
        }
    }
    Ok(NodeReport { answered_at, problem: None, replicas: Arc::new(replicas), usable_bytes, groups })
}

fn replicas(
    connection: &mut Connection,
    image: &MetadataImage,
    node_id: i32,
    before: &BTreeMap<TopicPartition, ReplicaReport>,
) -> Result<BTreeMap<TopicPartition, ReplicaReport>, ClientError> {
    let node = NodeId(node_id);
    let (mut kept, mut led) = (Vec::new(), Vec::new());
    for (topic, index, partition) in image.partitions() {
        if partition.replicas.contains(&node) {
            let key = TopicPartition { topic: topic.name.to_string(), index };
            if partition.leader == Some(node) {
                led.push(key.clone());
            }
            kept.push(key);
        }
    }
    let ends = offsets_on(connection, Asker::AnyReplica, LATEST_TIMESTAMP, kept.iter())?;
    let starts = offsets_on(connection, Asker::AnyReplica, EARLIEST_TIMESTAMP, kept.iter())?;
    let high_watermarks = offsets_on(connection, Asker::Consumer, LATEST_TIMESTAMP, led.iter())?;
    let described = ends.into_iter().map(|(key, end)| {
        let earlier = before.get(&key);
        let replica = ReplicaReport {
            start: starts.get(&key).copied(),
            end,
            end_before: earlier.map(|it| it.end),
            high_watermark: high_watermarks.get(&key).copied(),
            bytes: earlier.and_then(|it| it.bytes),
        };
        (key, replica)
    });
    Ok(described.collect())
}

fn groups(connection: &mut Connection, node_id: i32) -> Result<BTreeMap<String, GroupReport>, ClientError> {
    let mut groups: BTreeMap<String, GroupReport> = list_once(connection, node_id)?
        .into_iter()
        .map(|listed| (listed.name.clone(), GroupReport { listed, described: None, committed: None }))
        .collect();
    let names: Vec<String> = groups.keys().take(DESCRIBED_MAX).cloned().collect();
    for chunk in names.chunks(DESCRIBED_AT_ONCE) {
        let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        // One that has moved or is loading is shown as it was listed.
        for view in describe_several(connection, &chunk)?.into_iter().flatten().flatten() {
            if let Some(group) = groups.get_mut(&view.name) {
                group.described = Some(Arc::new(view));
            }
        }
    }
    for name in names.iter().take(COMMITS_MAX) {
        let committed = match committed_once(connection, name) {
            Ok(committed) => committed,
            Err(ClientError::Refused { .. }) => continue,
            Err(error) => return Err(error),
        };
        if let Some(group) = groups.get_mut(name) {
            group.committed = Some(Arc::new(committed));
        }
    }
    Ok(groups)
}
