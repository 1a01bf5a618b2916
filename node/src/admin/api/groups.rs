//! `GET /api/v1/groups` and `GET /api/v1/group`: who reads for each group, and how far behind it is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Page, Problem, Search, Window, respond};
use crate::{
    admin::{
        AdminState, Request, Response,
        survey::{GroupReport, Seen},
    },
    client::{MemberView, TopicPartition},
};

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    state: String,
    protocol: String,
    coordinator: i32,
    members: Option<usize>,
    /// Topics that it committed offsets of or reads.
    topics: Vec<String>,
    /// Offsets between the commits and the ends of the logs.
    lag: Option<i64>,
    /// Whether the end of some log is not known, so that the lag may be larger.
    lag_is_partial: bool,
}

#[derive(Debug, Serialize)]
struct Described {
    #[serde(flatten)]
    line: Line,
    who: Vec<Member>,
    partitions: Page<Progress>,
}

#[derive(Debug, Serialize)]
struct Member {
    id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    assigned: usize,
}

/// How far the group is in one partition.
#[derive(Debug, Serialize)]
struct Progress {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    start: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
    /// Who reads it, by member id.
    member: Option<String>,
    client_id: Option<String>,
}

/// Answers with a part of the list.
pub(in crate::admin) fn groups(request: &Request, state: &AdminState) -> Response {
    respond::<Page<Line>>((|| {
        let window = Window::of(request)?;
        let search = Search::of(request);
        let seen = state.survey.look();
        let all = all(&seen);
        let mut lines: Vec<Line> =
            all.values().filter(|group| search.finds(&group.listed.name)).map(|it| line(&seen, it)).collect();
        match request.parameter("sort").unwrap_or_default().as_str() {
            "" | "name" => {}
            "-name" => lines.reverse(),
            "lag" => lines.sort_by_key(|line| line.lag),
            "-lag" => lines.sort_by_key(|line| std::cmp::Reverse(line.lag)),
            _ => return Err("sort takes name or lag, -name or -lag".to_owned().into()),
        }
        Ok(window.lines(lines))
    })())
}

/// Answers with one group.
pub(in crate::admin) fn group(request: &Request, state: &AdminState) -> Response {
    respond::<Described>((|| {
        let window = Window::of(request)?;
        let name = request.required("name")?;
        let seen = state.survey.look();
        let all = all(&seen);
        let group = all.get(name.as_str()).ok_or_else(|| Problem::unknown("group", &name))?;
        let who = members(group).iter().map(|member| Member {
            id: member.member_id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            host: member.host.clone(),
            assigned: member.assigned.len(),
        });
        let partitions = window.lines(progress(&seen, group));
        Ok(Described { line: line(&seen, group), who: who.collect(), partitions })
    })())
}

/// The groups of all nodes. One that moves between two answers is in both; what a node says that answers counts more than
/// what one said that does not any more.
fn all(seen: &Seen) -> BTreeMap<&str, &GroupReport> {
    let (silent, answering): (Vec<_>, Vec<_>) =
        seen.reports.values().partition(|report| report.problem.is_some());
    let reports = silent.into_iter().chain(answering).filter_map(|report| report.groups.as_ref());
    reports.flat_map(|groups| groups.iter().map(|(name, group)| (name.as_str(), group))).collect()
}

fn members(group: &GroupReport) -> &[MemberView] {
    group.described.as_ref().and_then(|view| view.members.as_deref()).unwrap_or_default()
}

fn line(seen: &Seen, group: &GroupReport) -> Line {
    let partitions = progress(seen, group);
    let topics: BTreeSet<&str> = partitions.iter().map(|it| it.topic.as_str()).collect();
    let listed = &group.listed;
    let view = group.described.as_ref();
    let protocol = view.map(|view| view.protocol.clone()).filter(|protocol| !protocol.is_empty());
    Line {
        name: listed.name.clone(),
        state: view.map(|view| view.state.clone()).or_else(|| listed.state.clone()).unwrap_or_default(),
        protocol: protocol.unwrap_or_else(|| listed.protocol_type.clone()),
        coordinator: listed.coordinator,
        members: view.and_then(|view| Some(view.members.as_ref()?.len())),
        topics: topics.into_iter().map(str::to_owned).collect(),
        lag: partitions.iter().filter_map(|it| it.lag).reduce(|one, other| one.saturating_add(other)),
        lag_is_partial: partitions.iter().any(|it| it.committed.is_some() && it.lag.is_none()),
    }
}

/// Every partition that it committed an offset of or that a member reads.
fn progress(seen: &Seen, group: &GroupReport) -> Vec<Progress> {
    let mut readers: BTreeMap<&TopicPartition, Option<&MemberView>> = BTreeMap::new();
    let committed = group.committed.as_ref();
    readers.extend(committed.into_iter().flat_map(|committed| committed.keys()).map(|key| (key, None)));
    for member in members(group) {
        readers.extend(member.assigned.iter().map(|key| (key, Some(member))));
    }
    let one = |(key, reader): (&TopicPartition, Option<&MemberView>)| {
        let committed = committed.and_then(|committed| committed.get(key).copied());
        let log = leader_log(seen, key);
        let end = log.and_then(|log| log.1);
        Progress {
            topic: key.topic.clone(),
            partition: key.index,
            committed,
            start: log.and_then(|log| log.0),
            end,
            // A commit past the end is of a log that was deleted and made anew: nothing waits for it.
            lag: end.zip(committed).map(|(end, committed)| end.saturating_sub(committed).max(0)),
            member: reader.map(|reader| reader.instance_id.as_ref().unwrap_or(&reader.member_id).clone()),
            client_id: reader.map(|reader| reader.client_id.clone()),
        }
    };
    readers.into_iter().map(one).collect()
}

/// Where the log of a partition begins and ends, as its leader said.
fn leader_log(seen: &Seen, key: &TopicPartition) -> Option<(Option<i64>, Option<i64>)> {
    let topic = seen.image.topic(&key.topic)?;
    let partition = topic.partitions.get(usize::try_from(key.index).ok()?)?;
    let replica = seen.replica(partition.leader?.0, key)?;
    Some((replica.start, replica.high_watermark))
}
