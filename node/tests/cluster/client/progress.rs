//! The progress of a group without members: commits through the coordinator, and looks at what is committed.
//!
//! An attempt whose answer does not come, or that was refused by a coordinator that had begun to write, is unknown.

use std::{io, net::SocketAddr, sync::Arc};

use ringmain_protocol::{
    ErrorCode,
    messages::{
        FindCoordinatorRequest, FindCoordinatorResponse, OffsetCommitRequest, OffsetCommitRequestPartition,
        OffsetCommitRequestTopic, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchRequestTopic,
        OffsetFetchResponse,
    },
};

use super::view::View;
use crate::history::{Commit, Outcome, Position};
use crate::recorder::Recorder;

const FIND_COORDINATOR_VERSION: i16 = 2;
const OFFSET_COMMIT_VERSION: i16 = 6;
const OFFSET_FETCH_VERSION: i16 = 5;

/// The progress.
pub(crate) struct Progress {
    recorder: Arc<Recorder>,
    group: u32,
    name: String,
    topic: String,
    coordinator: Option<i32>,
    /// What was asked for last in each partition: the same is not committed again once it is acknowledged.
    acknowledged: Vec<i64>,
}

impl Progress {
    pub(crate) fn new(recorder: &Arc<Recorder>, group: u32, topic: &str) -> Progress {
        Progress {
            recorder: recorder.clone(),
            group,
            name: format!("group-{group}"),
            topic: topic.to_owned(),
            coordinator: None,
            acknowledged: Vec::new(),
        }
    }

    pub(crate) fn group(&self) -> u32 {
        self.group
    }

    /// Commits these positions, if they are not committed yet.
    pub(crate) fn commit(&mut self, view: &mut View, positions: &[i64]) {
        self.acknowledged.resize(positions.len(), 0);
        let changed: Vec<(i32, i64)> = (0..)
            .zip(positions.iter().zip(&self.acknowledged))
            .filter(|(_, (position, acknowledged))| position != acknowledged)
            .map(|(partition, (position, _))| (partition, *position))
            .collect();
        if changed.is_empty() {
            return;
        }
        let Some(node) = self.find_coordinator(view) else { return };
        let begin = self.recorder.now();
        let answer = self.ask_to_commit(view, node, &changed);
        let end = self.recorder.now();
        self.recorder.count();
        let mut codes: Vec<(i32, ErrorCode)> = Vec::new();
        match answer {
            Ok(answered) => codes = answered,
            Err(_) => {
                view.disconnect(node);
                self.coordinator = None;
            }
        }
        for (partition, offset) in changed {
            let code = codes.iter().find(|(index, _)| *index == partition).map(|(_, code)| *code);
            let outcome = match code {
                Some(ErrorCode::NONE) => Outcome::Acknowledged(()),
                // Said before anything is written.
                Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => Outcome::Failed,
                _ => Outcome::Unknown,
            };
            match outcome {
                Outcome::Acknowledged(()) => self.acknowledged[partition as usize] = offset,
                Outcome::Failed | Outcome::Unknown => self.coordinator = None,
            }
            let commit = Commit { group: self.group, partition, offset, begin, end, outcome };
            self.recorder.history().commits.push(commit);
        }
    }

    fn ask_to_commit(
        &self,
        view: &mut View,
        node: i32,
        positions: &[(i32, i64)],
    ) -> io::Result<Vec<(i32, ErrorCode)>> {
        let partitions = positions.iter().map(|(partition, offset)| OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            ..Default::default()
        });
        let topic = OffsetCommitRequestTopic { name: &self.topic, partitions: partitions.collect() };
        let request = OffsetCommitRequest {
            group_id: &self.name,
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let response: OffsetCommitResponse<'_> =
            view.connection(node)?.call(OFFSET_COMMIT_VERSION, &request)?;
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        Ok(partitions.map(|partition| (partition.partition_index, partition.error_code)).collect())
    }

    /// What is committed in each partition; `None` if nobody says it now.
    pub(crate) fn look(&mut self, view: &mut View, partitions: usize) -> Option<Vec<Option<i64>>> {
        let node = self.find_coordinator(view)?;
        let begin = self.recorder.now();
        let told = match self.ask_for_positions(view, node, partitions) {
            Ok(told) => told,
            Err(_) => {
                view.disconnect(node);
                self.coordinator = None;
                return None;
            }
        };
        let end = self.recorder.now();
        self.recorder.count();
        let Some(told) = told else {
            self.coordinator = None;
            return None;
        };
        let positions = (0..).zip(&told).map(|(partition, offset)| Position {
            group: self.group,
            partition,
            offset: *offset,
            begin,
            end,
        });
        self.recorder.history().positions.extend(positions);
        Some(told)
    }

    fn ask_for_positions(
        &self,
        view: &mut View,
        node: i32,
        partitions: usize,
    ) -> io::Result<Option<Vec<Option<i64>>>> {
        let partition_indexes = (0..).take(partitions).collect();
        let topic = OffsetFetchRequestTopic { name: &self.topic, partition_indexes };
        let request =
            OffsetFetchRequest { group_id: &self.name, topics: Some(vec![topic]), ..Default::default() };
        let response: OffsetFetchResponse<'_> =
            view.connection(node)?.call(OFFSET_FETCH_VERSION, &request)?;
        if response.error_code != ErrorCode::NONE {
            return Ok(None);
        }
        let mut told = vec![None; partitions];
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            if partition.error_code != ErrorCode::NONE {
                return Ok(None);
            }
            let index = usize::try_from(partition.partition_index).map_err(io::Error::other)?;
            let offset = partition.committed_offset;
            *told.get_mut(index).ok_or_else(|| io::Error::other("a partition that nobody asked for"))? =
                (offset >= 0).then_some(offset);
        }
        Ok(Some(told))
    }

    fn find_coordinator(&mut self, view: &mut View) -> Option<i32> {
        if self.coordinator.is_none() {
            let asked = view.next_node();
            self.coordinator = match self.ask_for_coordinator(view, asked) {
                Ok(found) => found,
                Err(_) => {
                    view.disconnect(asked);
                    None
                }
            };
        }
        self.coordinator
    }

    fn ask_for_coordinator(&self, view: &mut View, node: i32) -> io::Result<Option<i32>> {
        let request = FindCoordinatorRequest { key: &self.name, ..Default::default() };
        let response: FindCoordinatorResponse<'_> =
            view.connection(node)?.call(FIND_COORDINATOR_VERSION, &request)?;
        if response.error_code != ErrorCode::NONE {
            return Ok(None);
        }
        let address: Result<SocketAddr, _> = format!("{}:{}", response.host, response.port).parse();
        address.map_err(io::Error::other)?;
        Ok(Some(response.node_id))
    }
}
