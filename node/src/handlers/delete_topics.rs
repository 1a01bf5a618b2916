//! DeleteTopics: by name or id; answered once no shard serves them any more.

use std::{collections::BTreeSet, rc::Rc};

use ringmain_protocol::{
    codec::{Text, Uuid},
    messages::{DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse},
};
use ringmain_storage::TopicId;

use super::refused_by_service;
use crate::{
    metadata::controller::{DeleteTopic, DeletedTopic, Refusal},
    shard::Shard,
};

pub(super) async fn answer(
    shard: &Rc<Shard>,
    request: &DeleteTopicsRequest<'_>,
) -> DeleteTopicsResponse<'static> {
    let by_name =
        request.topic_names.iter().map(|name| DeleteTopic { name: Some((*name).to_owned()), topic_id: None });
    let by_either = request.topics.iter().map(|topic| DeleteTopic {
        name: topic.name.map(str::to_owned),
        topic_id: Some(TopicId(topic.topic_id.0)).filter(|_| !topic.topic_id.is_nil()),
    });
    let wanted: Vec<DeleteTopic> = by_name.chain(by_either).collect();
    let results = match shard.metadata().delete_topics(wanted.clone()).await {
        Ok(results) => {
            shard.applied_everywhere().await;
            results
        }
        Err(error) => refused_by_service(wanted.len(), &error),
    };
    // Kafka answers what stands twice in a request once.
    let mut answered = BTreeSet::new();
    let once = wanted
        .into_iter()
        .zip(results)
        .filter(|(wanted, _)| answered.insert((wanted.name.clone(), wanted.topic_id)));
    let responses = once.map(|(wanted, result)| match result {
        Ok(DeletedTopic { name, topic_id }) => DeletableTopicResult {
            name: Some(Text::Owned(name)),
            topic_id: Uuid(topic_id.0),
            ..Default::default()
        },
        Err(Refusal { code, message }) => DeletableTopicResult {
            name: wanted.name.map(Text::Owned),
            topic_id: wanted.topic_id.map_or(Uuid::NIL, |topic_id| Uuid(topic_id.0)),
            error_code: code,
            error_message: message.map(Text::Owned),
        },
    });
    DeleteTopicsResponse { responses: responses.collect(), ..Default::default() }
}
