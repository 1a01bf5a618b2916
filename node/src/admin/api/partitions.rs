//! `GET /api/v1/partitions`: where each partition is, and how far each of its replicas.

use serde::Serialize;

use super::{Page, Problem, Search, Window, cluster::key, respond};
use crate::{
    admin::{AdminState, Request, Response, standing::Standing, survey::Seen},
    client::TopicPartition,
    metadata::{NodeId, PartitionImage},
};

#[derive(Debug, Serialize)]
struct Line {
    topic: String,
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    standing: Standing,
    is_moving: bool,
    /// The log start offset.
    start: Option<i64>,
    high_watermark: Option<i64>,
    /// The leader's log end offset.
    end: Option<i64>,
    records_per_second: Option<f64>,
    replicas: Vec<Replica>,
}

#[derive(Debug, Serialize)]
struct Replica {
    node: i32,
    in_sync: bool,
    is_adding: bool,
    is_removing: bool,
    /// Records that the leader had and this one did not, when it was asked; `null` where one of both did not answer.
    lag: Option<i64>,
    end: Option<i64>,
    bytes: Option<i64>,
}

/// Answers with a part of the list.
pub(in crate::admin) fn partitions(request: &Request, state: &AdminState) -> Response {
    respond::<Page<Line>>((|| {
        let window = Window::of(request)?;
        let search = Search::of(request);
        let topic = request.parameter("topic");
        let node = request.number("node")?.map(NodeId);
        let only = request.parameter("only").unwrap_or_default();
        let seen = state.survey.look();
        if let Some(topic) = topic.as_ref().filter(|topic| seen.image.topic(topic).is_none()) {
            return Err(Problem::unknown("topic", topic));
        }
        let mut found = Vec::new();
        for (of, index, partition) in seen.image.partitions() {
            let is_wanted = topic.as_ref().is_none_or(|topic| **topic == *of.name)
                && search.finds(&of.name)
                && node.is_none_or(|node| partition.replicas.contains(&node));
            let standing = Standing::of(&seen.image, of, partition);
            if is_wanted && standing.is_among(&only) {
                found.push((&of.name, index, partition, standing));
            }
        }
        let page = window.lines(found);
        // Only what is shown is looked up.
        let lines = page.lines.into_iter();
        let lines =
            lines.map(|(topic, index, partition, standing)| line(&seen, topic, index, partition, standing));
        Ok(Page { from: page.from, matching: page.matching, lines: lines.collect() })
    })())
}

fn line(seen: &Seen, topic: &str, index: i32, partition: &PartitionImage, standing: Standing) -> Line {
    let key = key(topic, index);
    let leader = partition.leader.map(|leader| leader.0);
    let led = leader.and_then(|leader| seen.replica(leader, &key));
    Line {
        topic: topic.to_owned(),
        partition: index,
        leader,
        leader_epoch: partition.leader_epoch.value(),
        standing,
        is_moving: partition.is_reassigning(),
        start: led.and_then(|led| led.start),
        high_watermark: led.and_then(|led| led.high_watermark),
        end: led.map(|led| led.end),
        records_per_second: seen.rates.of(&key),
        replicas: partition.replicas.iter().map(|node| replica(seen, &key, partition, *node)).collect(),
    }
}

fn replica(seen: &Seen, key: &TopicPartition, partition: &PartitionImage, node: NodeId) -> Replica {
    let said = seen.replica(node.0, key);
    let answers = seen.reports.get(&node.0).is_some_and(|report| report.problem.is_none());
    Replica {
        node: node.0,
        in_sync: partition.in_sync.contains(&node),
        is_adding: partition.adding.contains(&node),
        is_removing: partition.removing.contains(&node),
        lag: match partition.leader {
            Some(leader) if leader == node => Some(0),
            Some(leader) if answers => seen.lag(leader.0, node.0, key),
            _ => None,
        },
        end: said.map(|said| said.end),
        bytes: said.and_then(|said| said.bytes),
    }
}
