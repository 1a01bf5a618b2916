//! CreateTopics: names, configurations, then partitions, in Kafka's order, so that the same request gets the same error.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;
use ringmain_storage::TopicId;
use serde::{Deserialize, Serialize};

use super::topic_name::{can_collide, check_topic_name, collide};
use super::{Controller, Decision, NewTopicId, Refusal};
use crate::config::TopicConfig;
use crate::config::layers::ConfigMap;
use crate::identity::NodeId;
use crate::record::{ConfigResource, MetadataRecord};

/// A topic to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 is the default, or what the assignments say.
    pub partitions: i32,
    /// How many replicas each; -1 is the default, or what the assignments say.
    pub replication_factor: i16,
    /// Replicas by partition, where the client wants to choose them.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Its configurations; `None` is a null value, which is refused.
    pub configs: Vec<(String, Option<String>)>,
}

impl CreateTopic {
    /// A topic with every default.
    pub fn with_defaults(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// A topic that was made, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedTopic {
    /// Its id.
    #[serde(with = "crate::foreign::topic_id")]
    pub topic_id: TopicId,
    /// Its partitions.
    pub partitions: i32,
    /// Replicas of each.
    pub replication_factor: i16,
    /// Its own configurations; with those of the layers below they are what CreateTopics answers since version 5.
    pub configs: ConfigMap,
}

impl Controller<'_> {
    /// Makes topics. With `validate_only` the answer is the same and nothing is made. The answers are in the order of
    /// the request.
    pub fn create_topics(
        &self,
        topics: &[CreateTopic],
        validate_only: bool,
        new_topic_id: NewTopicId<'_>,
    ) -> Decision<Vec<Result<CreatedTopic, Refusal>>> {
        if let Err(refusal) = self.check_partition_limits(self.partitions_of(topics)) {
            return Decision { records: Vec::new(), answer: vec![Err(refusal); topics.len()] };
        }
        let mut times_named: BTreeMap<&str, usize> = BTreeMap::new();
        for topic in topics {
            *times_named.entry(&topic.name).or_default() += 1;
        }
        let mut accepted: Vec<&str> = Vec::new();
        let mut records = Vec::new();
        let mut answer = Vec::with_capacity(topics.len());
        for topic in topics {
            let result = if times_named[topic.name.as_str()] > 1 {
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
            } else {
                self.create_topic(topic, &accepted, new_topic_id)
            };
            answer.push(result.map(|(created, topic_records)| {
                accepted.push(&topic.name);
                records.extend(topic_records);
                created
            }));
        }
        if validate_only {
            records.clear();
        }
        Decision { records, answer }
    }

    fn create_topic(
        &self,
        topic: &CreateTopic,
        accepted: &[&str],
        new_topic_id: NewTopicId<'_>,
    ) -> Result<(CreatedTopic, Vec<MetadataRecord>), Refusal> {
        self.check_new_name(&topic.name, accepted)?;
        let configs = self.check_configs(topic)?;
        let topic_id = new_topic_id();
        let placed = if topic.assignments.is_empty() {
            self.place_new_topic(topic, topic_id)?
        } else {
            self.check_assignments(topic)?
        };
        let created = CreatedTopic {
            topic_id,
            partitions: i32::try_from(placed.len()).expect("the number of partitions is limited"),
            replication_factor: placed.first().map_or(0, |replicas| {
                i16::try_from(replicas.len()).expect("replicas are different registered nodes")
            }),
            configs,
        };
        let mut records = vec![MetadataRecord::TopicCreated { topic_id, name: topic.name.clone() }];
        records.extend(created.configs.iter().map(|(name, value)| MetadataRecord::ConfigSet {
            resource: ConfigResource::Topic(topic.name.clone()),
            name: name.clone(),
            value: value.clone(),
        }));
        records.extend(self.partition_records(topic_id, 0, placed)?);
        Ok((created, records))
    }

    fn check_new_name(&self, name: &str, accepted: &[&str]) -> Result<(), Refusal> {
        if self.image.topic(name).is_some() {
            return Err(Refusal::new(
                ErrorCode::TOPIC_ALREADY_EXISTS,
                format!("Topic '{name}' already exists."),
            ));
        }
        check_topic_name(name)?;
        if !can_collide(name) {
            return Ok(());
        }
        let existing = self.image.topics().map(|topic| topic.name.as_ref());
        match existing.chain(accepted.iter().copied()).find(|other| collide(name, other)) {
            None => Ok(()),
            Some(other) => Err(Refusal::new(
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                format!("Topic '{name}' collides with existing topic: {other}"),
            )),
        }
    }

    fn check_configs(&self, topic: &CreateTopic) -> Result<ConfigMap, Refusal> {
        let invalid = |message: String| Refusal::new(ErrorCode::INVALID_CONFIG, message);
        let nulls: Vec<&str> = topic
            .configs
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        if !nulls.is_empty() {
            return Err(invalid(format!("Null value not supported for topic configs: {}", nulls.join(","))));
        }
        let configs: ConfigMap =
            topic.configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
        let layers = self.image.config_layers(self.options.node_id, &self.options.topic_defaults);
        TopicConfig::resolve(&layers, &configs).map_err(|error| invalid(error.to_string()))?;
        Ok(configs)
    }

    fn place_new_topic(&self, topic: &CreateTopic, topic_id: TopicId) -> Result<Vec<Vec<NodeId>>, Refusal> {
        let replication_factor = match topic.replication_factor {
            -1 => self.options.default_replication_factor,
            given => given,
        };
        let replication_factor =
            usize::try_from(replication_factor).ok().filter(|factor| *factor > 0).ok_or_else(|| {
                Refusal::new(
                    ErrorCode::INVALID_REPLICATION_FACTOR,
                    "Replication factor must be larger than 0, or -1 to use the default value.",
                )
            })?;
        let partitions = match topic.partitions {
            -1 => self.options.default_partitions,
            given => given,
        };
        let partitions = usize::try_from(partitions).ok().filter(|count| *count > 0).ok_or_else(|| {
            Refusal::new(
                ErrorCode::INVALID_PARTITIONS,
                "Number of partitions was set to an invalid non-positive value.",
            )
        })?;
        self.place(topic_id, 0, partitions, replication_factor)
    }

    fn check_assignments(&self, topic: &CreateTopic) -> Result<Vec<Vec<NodeId>>, Refusal> {
        let invalid = |message: &str| Refusal::new(ErrorCode::INVALID_REQUEST, message);
        if topic.replication_factor != -1 {
            return Err(invalid(
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            ));
        }
        if topic.partitions != -1 {
            return Err(invalid(
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            ));
        }
        let mut by_partition = BTreeMap::new();
        let mut replication_factor = None;
        for (partition, replicas) in &topic.assignments {
            let assigned = self.check_manual_replicas(replicas, replication_factor)?;
            replication_factor = Some(assigned.len());
            if by_partition.insert(*partition, assigned).is_some() {
                return Err(Refusal::new(
                    ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                    format!("Found multiple manual partition assignments for partition {partition}"),
                ));
            }
        }
        if !by_partition.keys().copied().eq(0..topic.assignments.len() as i32) {
            return Err(Refusal::new(
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "partitions should be a consecutive 0-based integer sequence",
            ));
        }
        Ok(by_partition.into_values().collect())
    }

    /// How many partitions a request asks for, whatever else is wrong with it.
    fn partitions_of(&self, topics: &[CreateTopic]) -> usize {
        let partitions_of = |topic: &CreateTopic| match topic.partitions {
            _ if !topic.assignments.is_empty() => topic.assignments.len(),
            -1 => usize::try_from(self.options.default_partitions).unwrap_or(0),
            given => usize::try_from(given).unwrap_or(0),
        };
        topics.iter().map(partitions_of).sum()
    }
}
