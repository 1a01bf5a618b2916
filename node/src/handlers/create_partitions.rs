//! CreatePartitions: more partitions for topics that exist.

use std::{collections::BTreeSet, rc::Rc};

use ringmain_protocol::{
    codec::Text,
    messages::{
        CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
    },
};

use super::{refusal_parts, refused_by_service};
use crate::{metadata::controller::CreatePartitions, shard::Shard};

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &CreatePartitionsRequest<'_>,
) -> CreatePartitionsResponse<'static> {
    let wanted: Vec<CreatePartitions> = request.topics.iter().map(wanted).collect();
    let names: Vec<String> = wanted.iter().map(|wanted| wanted.topic.clone()).collect();
    let results = match shard.metadata().create_partitions(wanted, request.validate_only).await {
        Ok(results) => {
            shard.applied_everywhere().await;
            results
        }
        Err(error) => refused_by_service(names.len(), &error),
    };
    // Kafka answers a name that stands twice in a request once.
    let mut answered = BTreeSet::new();
    let once = names.into_iter().zip(results).filter(|(name, _)| answered.insert(name.clone()));
    let results = once.map(|(name, result)| {
        let (error_code, error_message) = refusal_parts(result);
        CreatePartitionsTopicResult { name: Text::Owned(name), error_code, error_message }
    });
    CreatePartitionsResponse { results: results.collect(), ..Default::default() }
}

fn wanted(topic: &CreatePartitionsTopic<'_>) -> CreatePartitions {
    let assignments = topic.assignments.as_ref();
    CreatePartitions {
        topic: topic.name.to_owned(),
        total: topic.count,
        assignments: assignments.map(|all| all.iter().map(|one| one.broker_ids.clone()).collect()),
    }
}
