//! ElectLeaders: leaders chosen anew on demand (KIP-183, KIP-460).

use std::{collections::BTreeSet, rc::Rc};

use ringmain_protocol::{
    ErrorCode,
    codec::Text,
    messages::{ElectLeadersRequest, ElectLeadersResponse, PartitionElectionResult, ReplicaElectionResult},
};

use super::{refusal_parts, refused_by_service};
use crate::{
    metadata::controller::{ElectedPartition, ElectionKind, Refusal},
    shard::Shard,
};

/// The values of `election_type`.
const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &ElectLeadersRequest<'_>,
) -> ElectLeadersResponse<'static> {
    let named = request.topic_partitions.as_ref().map(|topics| {
        let partitions = topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic.to_owned(), *index)));
        partitions.collect::<Vec<_>>()
    });
    let kind = match request.election_type {
        PREFERRED => ElectionKind::Preferred,
        UNCLEAN => ElectionKind::Unclean,
        unknown => return refused(named, unknown),
    };
    let elected = match shard.metadata().elect_leaders(kind, named.clone()).await {
        Ok(elected) => {
            shard.applied_everywhere().await;
            elected
        }
        Err(error) => {
            let named = named.unwrap_or_default();
            let results = refused_by_service(named.len(), &error);
            let outcomes = named.into_iter().zip(results);
            outcomes
                .map(|((topic, partition), result)| ElectedPartition { topic, partition, result })
                .collect()
        }
    };
    let mut results = grouped(elected);
    // As Kafka: a topic that is asked for is named even if nothing is said of it.
    let mut unnamed: BTreeSet<String> = match &request.topic_partitions {
        Some(asked) => asked.iter().map(|topic| topic.topic.to_owned()).collect(),
        None => shard.image().topics().map(|topic| topic.name.to_string()).collect(),
    };
    for result in &results {
        unnamed.remove(result.topic.as_ref());
    }
    let silent = |topic| ReplicaElectionResult { topic: Text::Owned(topic), ..Default::default() };
    results.extend(unnamed.into_iter().map(silent));
    ElectLeadersResponse { replica_election_results: results, ..Default::default() }
}

fn refused(named: Option<Vec<(String, i32)>>, kind: i8) -> ElectLeadersResponse<'static> {
    let refusal = || Refusal::new(ErrorCode::INVALID_REQUEST, format!("Unknown election type {kind}"));
    let outcomes = named.unwrap_or_default().into_iter();
    let outcomes =
        outcomes.map(|(topic, partition)| ElectedPartition { topic, partition, result: Err(refusal()) });
    ElectLeadersResponse {
        error_code: ErrorCode::INVALID_REQUEST,
        replica_election_results: grouped(outcomes.collect()),
        ..Default::default()
    }
}

/// Outcomes by topic, each in the place of its first partition.
fn grouped(outcomes: Vec<ElectedPartition>) -> Vec<ReplicaElectionResult<'static>> {
    let mut results: Vec<ReplicaElectionResult<'static>> = Vec::new();
    for ElectedPartition { topic, partition, result } in outcomes {
        let (error_code, error_message) = refusal_parts(result);
        let error_message = error_message.or_else(|| words(error_code).map(Text::Borrowed));
        let outcome = PartitionElectionResult { partition_id: partition, error_code, error_message };
        match results.last_mut().filter(|last| last.topic == topic) {
            Some(last) => last.partition_result.push(outcome),
            None => results
                .push(ReplicaElectionResult { topic: Text::Owned(topic), partition_result: vec![outcome] }),
        }
    }
    results
}

/// Kafka's words for what needs no more of them.
fn words(error_code: ErrorCode) -> Option<&'static str> {
    match error_code {
        ErrorCode::ELECTION_NOT_NEEDED => Some("Leader election not needed for topic partition."),
        ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE => Some("The preferred leader was not available."),
        ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE => {
            Some("Eligible topic partition leaders are not available.")
        }
        _ => None,
    }
}
