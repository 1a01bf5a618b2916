//! `GET /api/v1/topics` and `GET /api/v1/topic`: the topics, each as a line of sums, and one of them.

use serde::Serialize;

use super::{Page, Problem, Search, Window, cluster::key, respond};
use crate::{
    admin::{AdminState, Request, Response, standing::Standing, survey::Seen},
    metadata::{TopicImage, is_internal_topic},
};

/// A topic in sums.
#[derive(Debug, Clone, Serialize)]
struct Line {
    name: String,
    is_internal: bool,
    partitions: usize,
    /// Replicas of the partition that has most.
    replicas: usize,
    min_in_sync: usize,
    standing: Standing,
    /// Partitions with something wrong.
    problems: usize,
    moving: usize,
    /// Offsets between the start and the high watermark: records, but for those that compaction took out.
    records: Option<i64>,
    /// Of one copy of each partition.
    bytes: Option<i64>,
    records_per_second: Option<f64>,
}

/// One topic, with what is configured for it alone.
#[derive(Debug, Serialize)]
struct Described {
    #[serde(flatten)]
    line: Line,
    id: String,
    configs: Vec<(String, String)>,
}

/// Answers with a part of the list.
pub(in crate::admin) fn topics(request: &Request, state: &AdminState) -> Response {
    respond::<Page<Line>>((|| {
        let window = Window::of(request)?;
        let search = Search::of(request);
        let with_internal = request.flag("internal");
        let seen = state.survey.look();
        let topics = seen.image.topics().filter(|topic| search.finds(&topic.name));
        let shown = topics.filter(|topic| with_internal || !is_internal_topic(&topic.name));
        let mut lines: Vec<Line> = shown.map(|topic| line(&seen, topic)).collect();
        sort(&mut lines, &request.parameter("sort").unwrap_or_default())?;
        Ok(window.lines(lines))
    })())
}

/// Answers with one topic.
pub(in crate::admin) fn topic(request: &Request, state: &AdminState) -> Response {
    respond::<Described>((|| {
        let name = request.required("name")?;
        let seen = state.survey.look();
        let topic = seen.image.topic(&name).ok_or_else(|| Problem::unknown("topic", &name))?;
        let configs = seen.image.topic_overrides(&name).iter();
        let configs = configs.map(|(name, value)| (name.to_string(), value.to_string()));
        Ok(Described { line: line(&seen, topic), id: topic.id.to_string(), configs: configs.collect() })
    })())
}

/// By name unless asked otherwise; a dash in front turns the order around.
fn sort(lines: &mut [Line], by: &str) -> Result<(), Problem> {
    let (by, is_reversed) = by.strip_prefix('-').map_or((by, false), |by| (by, true));
    let whole = |number: Option<f64>| number.map(|number| number as i64);
    match by {
        "" | "name" => {}
        "partitions" => lines.sort_by_key(|line| line.partitions),
        "problems" => lines.sort_by_key(|line| (std::cmp::Reverse(line.standing), line.problems)),
        "records" => lines.sort_by_key(|line| line.records),
        "bytes" => lines.sort_by_key(|line| line.bytes),
        "rate" => lines.sort_by_key(|line| whole(line.records_per_second)),
        _ => return Err("sort takes name, partitions, problems, records, bytes or rate".to_owned().into()),
    }
    if is_reversed {
        lines.reverse();
    }
    Ok(())
}

fn line(seen: &Seen, topic: &TopicImage) -> Line {
    let mut line = Line {
        name: topic.name.to_string(),
        is_internal: is_internal_topic(&topic.name),
        partitions: topic.partitions.len(),
        replicas: 0,
        min_in_sync: seen.image.configured_min_in_sync(topic),
        standing: Standing::Fine,
        problems: 0,
        moving: 0,
        records: None,
        bytes: None,
        records_per_second: None,
    };
    for (index, partition) in (0..).zip(&topic.partitions) {
        let standing = Standing::of(&seen.image, topic, partition);
        line.standing = line.standing.min(standing);
        line.problems += usize::from(standing != Standing::Fine);
        line.moving += usize::from(partition.is_reassigning());
        line.replicas = line.replicas.max(partition.replicas.len());
        let key = key(&topic.name, index);
        add(&mut line.records_per_second, seen.rates.of(&key));
        let Some(leader) = partition.leader.and_then(|leader| seen.replica(leader.0, &key)) else { continue };
        let start_and_end = leader.start.zip(leader.high_watermark);
        add(&mut line.records, start_and_end.map(|(start, end)| (end - start).max(0)));
        add(&mut line.bytes, leader.bytes);
    }
    line
}

fn add<T: std::ops::Add<Output = T> + Copy>(sum: &mut Option<T>, one: Option<T>) {
    *sum = match (*sum, one) {
        (Some(sum), Some(one)) => Some(sum + one),
        (sum, one) => sum.or(one),
    };
}
