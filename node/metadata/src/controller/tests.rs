//! Requests and their answers as tables. The words are those of Kafka 4.2.0, asked with the same requests.

use super::*;
use crate::identity::PartitionEpoch;
use crate::record::ConfigResource;
use ringmain_storage::LeaderEpoch;

fn options() -> ControllerOptions {
    ControllerOptions {
        node_id: NodeId(1),
        default_partitions: 1,
        default_replication_factor: 1,
        partitions_max: 100_000,
        partitions_per_request_max: 10_000,
        topic_defaults: TopicDefaults::default(),
    }
}

/// One node, and the topics `t1` with three partitions and `a.b`.
fn image() -> MetadataImage {
    let registered = MetadataRecord::LoneNodeStarted {
        node_id: NodeId(1),
        registration_epoch: 0,
        host: "localhost".to_owned(),
        port: 9092,
        rack: None,
    };
    let image = MetadataImage::default().after(&[registered]).expect("applies");
    let topics = [
        CreateTopic { partitions: 3, ..CreateTopic::with_defaults("t1") },
        CreateTopic::with_defaults("a.b"),
    ];
    let decision = create(&image, &topics);
    image.after(&decision.records).expect("applies")
}

fn create(image: &MetadataImage, topics: &[CreateTopic]) -> Decision<Vec<Result<CreatedTopic, Refusal>>> {
    let mut next = image.version();
    let mut new_topic_id = || {
        next += 1;
        TopicId(u128::from(next).to_be_bytes())
    };
    Controller::new(image, &options()).create_topics(topics, false, &mut new_topic_id)
}

fn name_of<T: std::fmt::Debug>(result: &Result<T, Refusal>) -> (&'static str, String) {
    match result {
        Ok(_) => ("NONE", String::new()),
        Err(refusal) => (refusal.code.name().unwrap_or("?"), refusal.message.clone().unwrap_or_default()),
    }
}

fn created(topic: CreateTopic) -> (&'static str, String) {
    name_of(&create(&image(), &[topic]).answer[0])
}

#[test]
fn topics_are_refused_as_kafka_does() {
    let named = CreateTopic::with_defaults;
    let sized = |name: &str, partitions, replication_factor| CreateTopic {
        partitions,
        replication_factor,
        ..CreateTopic::with_defaults(name)
    };
    let assigned = |assignments: &[(i32, &[i32])]| CreateTopic {
        assignments: assignments
            .iter()
            .map(|(partition, replicas)| (*partition, replicas.to_vec()))
            .collect(),
        ..CreateTopic::with_defaults("assigned")
    };
    let table = [
        (named("new"), "NONE", ""),
        (named("t1"), "TOPIC_ALREADY_EXISTS", "Topic 't1' already exists."),
        (named("a_b"), "INVALID_TOPIC_EXCEPTION", "Topic 'a_b' collides with existing topic: a.b"),
        (named("a.b"), "TOPIC_ALREADY_EXISTS", "Topic 'a.b' already exists."),
        (named("."), "INVALID_TOPIC_EXCEPTION", "Topic name is invalid: '.' is not allowed"),
        (
            sized("rf3", 1, 3),
            "INVALID_REPLICATION_FACTOR",
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because \
             only 1 broker(s) are registered.",
        ),
        (
            sized("rf0", 1, 0),
            "INVALID_REPLICATION_FACTOR",
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            sized("p0", 0, 1),
            "INVALID_PARTITIONS",
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            sized("p-2", -2, 1),
            "INVALID_PARTITIONS",
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (sized("huge", 20_000, 1), "POLICY_VIOLATION", "Excessively large number of partitions per request."),
        (assigned(&[(0, &[1]), (1, &[1])]), "NONE", ""),
        (
            assigned(&[(0, &[7])]),
            "INVALID_REPLICA_ASSIGNMENT",
            "The manual partition assignment includes broker 7, but no such broker is registered.",
        ),
        (
            assigned(&[(0, &[1, 1])]),
            "INVALID_REPLICA_ASSIGNMENT",
            "The manual partition assignment includes the broker 1 more than once.",
        ),
        (
            assigned(&[(0, &[1]), (2, &[1])]),
            "INVALID_REPLICA_ASSIGNMENT",
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            assigned(&[(0, &[])]),
            "INVALID_REPLICA_ASSIGNMENT",
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            CreateTopic { replication_factor: 1, ..assigned(&[(0, &[1])]) },
            "INVALID_REQUEST",
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
    ];
    for (topic, code, message) in table {
        let name = topic.name.clone();
        assert_eq!(created(topic), (code, message.to_owned()), "{name}");
    }
}

#[test]
fn configs_of_new_topics_are_checked() {
    let with = |name: &str, value: Option<&str>| CreateTopic {
        configs: vec![(name.to_owned(), value.map(str::to_owned))],
        ..CreateTopic::with_defaults("configured")
    };
    let table = [
        (with("retention.ms", Some("5")), "NONE", ""),
        (with("nosuch.config", Some("1")), "INVALID_CONFIG", "Unknown topic config name: nosuch.config"),
        (
            with("retention.ms", None),
            "INVALID_CONFIG",
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            with("segment.bytes", Some("1")),
            "INVALID_CONFIG",
            "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576",
        ),
    ];
    for (topic, code, message) in table {
        assert_eq!(created(topic), (code, message.to_owned()));
    }
}

#[test]
fn one_refused_topic_does_not_touch_the_others() {
    let named = CreateTopic::with_defaults;
    let topics = [named("x"), named("twice"), named("t1"), named("twice"), named("x.y"), named("x_y")];
    let decision = create(&image(), &topics);
    let codes: Vec<_> = decision.answer.iter().map(|result| name_of(result).0).collect();
    assert_eq!(
        codes,
        [
            "NONE",
            "INVALID_REQUEST",
            "TOPIC_ALREADY_EXISTS",
            "INVALID_REQUEST",
            "NONE",
            "INVALID_TOPIC_EXCEPTION"
        ]
    );
    let after = image().after(&decision.records).expect("applies");
    assert_eq!(after.topics().len(), 4);
}

#[test]
fn validate_only_answers_the_same_and_changes_nothing() {
    let image = image();
    let topics = [CreateTopic { partitions: 5, ..CreateTopic::with_defaults("new") }];
    let decision = Controller::new(&image, &options()).create_topics(&topics, true, &mut || TopicId([9; 16]));
    assert!(decision.records.is_empty());
    assert_eq!(
        decision.answer[0].as_ref().map(|topic| (topic.partitions, topic.replication_factor)),
        Ok((5, 1))
    );
}

#[test]
fn a_new_topic_has_its_partitions_and_configs() {
    let topic = CreateTopic {
        partitions: 2,
        configs: vec![("retention.ms".to_owned(), Some("5".to_owned()))],
        ..CreateTopic::with_defaults("new")
    };
    let decision = create(&image(), &[topic]);
    let after = image().after(&decision.records).expect("applies");
    let made = after.topic("new").expect("made");
    assert_eq!(made.partitions.len(), 2);
    assert_eq!(made.partitions[1].replicas, [NodeId(1)]);
    assert_eq!(made.partitions[1].leader_epoch, LeaderEpoch::ZERO);
    assert_eq!(made.partitions[1].partition_epoch, PartitionEpoch(0));
    assert_eq!(after.topic_config("new", NodeId(1), &TopicDefaults::default()).retention_ms, Some(5));
}

#[test]
fn partitions_beyond_the_nodes_limit_are_refused() {
    let image = image();
    let few = ControllerOptions { partitions_max: 6, ..options() };
    let topics = [CreateTopic { partitions: 3, ..CreateTopic::with_defaults("new") }];
    let decision = Controller::new(&image, &few).create_topics(&topics, false, &mut || TopicId([9; 16]));
    assert_eq!(
        name_of(&decision.answer[0]),
        (
            "POLICY_VIOLATION",
            "3 more partition(s) would make 7, beyond the limit of 6 (topics.partitions_max).".to_owned()
        )
    );
}

#[test]
fn topics_are_deleted_by_name_or_id() {
    let image = image();
    let id = image.topic("t1").expect("there").id;
    let item = |name: Option<&str>, topic_id| DeleteTopic { name: name.map(str::to_owned), topic_id };
    let items = [
        item(Some("t1"), None),
        item(None, Some(id)),
        item(Some("nope"), None),
        item(None, Some(TopicId([7; 16]))),
        item(None, None),
        item(Some("a.b"), Some(id)),
    ];
    let decision = Controller::new(&image, &options()).delete_topics(&items);
    let codes: Vec<_> = decision.answer.iter().map(|result| name_of(result).0).collect();
    assert_eq!(
        codes,
        [
            "INVALID_REQUEST",
            "INVALID_REQUEST",
            "UNKNOWN_TOPIC_OR_PARTITION",
            "UNKNOWN_TOPIC_ID",
            "INVALID_REQUEST",
            "INVALID_REQUEST"
        ]
    );
    assert_eq!(decision.records, [], "of what is named twice nothing is deleted");
    let decision = Controller::new(&image, &options()).delete_topics(&items[1..4]);
    assert_eq!(decision.records, [MetadataRecord::TopicDeleted { topic_id: id }]);
}

#[test]
fn partitions_are_added_as_kafka_does() {
    let image = image();
    let item = |topic: &str, total, assignments: Option<&[&[i32]]>| CreatePartitions {
        topic: topic.to_owned(),
        total,
        assignments: assignments.map(|all| all.iter().map(|replicas| replicas.to_vec()).collect()),
    };
    let table = [
        (item("t1", 5, None), "NONE", ""),
        (item("t1", 4, Some(&[&[1]])), "NONE", ""),
        (item("t1", 3, None), "INVALID_PARTITIONS", "Topic already has 3 partition(s)."),
        (
            item("t1", 2, None),
            "INVALID_PARTITIONS",
            "The topic t1 currently has 3 partition(s); 2 would not be an increase.",
        ),
        (
            item("t1", -1, None),
            "INVALID_PARTITIONS",
            "The topic t1 currently has 3 partition(s); -1 would not be an increase.",
        ),
        (item("nope", 5, None), "UNKNOWN_TOPIC_OR_PARTITION", ""),
        (
            item("t1", 5, Some(&[&[1]])),
            "INVALID_REPLICA_ASSIGNMENT",
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (
            item("t1", 4, Some(&[&[9]])),
            "INVALID_REPLICA_ASSIGNMENT",
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (item("t1", 20_000, None), "POLICY_VIOLATION", "Excessively large number of partitions per request."),
    ];
    for (item, code, message) in table {
        let decision =
            Controller::new(&image, &options()).create_partitions(std::slice::from_ref(&item), false);
        assert_eq!(name_of(&decision.answer[0]), (code, message.to_owned()), "{item:?}");
        if code == "NONE" {
            let after = image.after(&decision.records).expect("applies");
            assert_eq!(after.topic("t1").map(|topic| topic.partitions.len()), Some(item.total as usize));
        }
    }
}

fn altered(image: &MetadataImage, target: ConfigTarget, changes: AlterConfigs) -> (&'static str, String) {
    let decision = Controller::new(image, &options()).alter_configs(&[(target, changes)], false);
    name_of(&decision.answer[0])
}

fn set(name: &str, value: &str) -> (String, ConfigChange) {
    (name.to_owned(), ConfigChange::Set(Some(value.to_owned())))
}

#[test]
fn configs_are_altered_as_kafka_does() {
    let t1 = || ConfigTarget::Topic("t1".to_owned());
    let topic = |name: &str| ConfigTarget::Topic(name.to_owned());
    let broker = |id: &str| ConfigTarget::Broker(id.to_owned());
    let append = |name: &str, value: &str| (name.to_owned(), ConfigChange::Append(Some(value.to_owned())));
    let table = [
        (t1(), vec![set("retention.ms", "1000")], "NONE", ""),
        (
            t1(),
            vec![set("retention.ms", "x")],
            "INVALID_CONFIG",
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (t1(), vec![set("nosuch", "x")], "INVALID_CONFIG", "Unknown topic config name: nosuch"),
        (t1(), vec![("nosuch".to_owned(), ConfigChange::Delete)], "NONE", ""),
        (
            t1(),
            vec![append("retention.ms", "5")],
            "INVALID_CONFIG",
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (t1(), vec![append("cleanup.policy", "compact")], "NONE", ""),
        (
            t1(),
            vec![append("cleanup.policy", "zzz")],
            "INVALID_CONFIG",
            "Invalid value zzz for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (
            t1(),
            vec![set("segment.ms", "5000"), set("segment.ms", "6000")],
            "INVALID_REQUEST",
            "Error due to duplicate config keys",
        ),
        (
            t1(),
            vec![("segment.ms".to_owned(), ConfigChange::Set(None))],
            "INVALID_REQUEST",
            "Null value not supported for : segment.ms",
        ),
        (
            topic("nope"),
            vec![set("retention.ms", "1")],
            "UNKNOWN_TOPIC_OR_PARTITION",
            "The topic 'nope' does not exist.",
        ),
        (topic(""), vec![], "INVALID_REQUEST", "Default topic resources are not allowed."),
        (broker("1"), vec![set("log.retention.ms", "100000")], "NONE", ""),
        (broker(""), vec![set("log.segment.bytes", "2000000")], "NONE", ""),
        (
            broker("1"),
            vec![set("num.partitions", "3")],
            "INVALID_REQUEST",
            "Cannot update these configs dynamically: Set(num.partitions)",
        ),
        (
            broker("1"),
            vec![set("log.retention.ms", "zz")],
            "INVALID_REQUEST",
            "Invalid value zz for configuration log.retention.ms: Not a number of type LONG",
        ),
        (
            broker("9"),
            vec![set("log.retention.ms", "1")],
            "BROKER_ID_NOT_REGISTERED",
            "No node with id 9 found.",
        ),
    ];
    for (target, changes, code, message) in table {
        let outcome = altered(&image(), target.clone(), AlterConfigs::Changes(changes.clone()));
        assert_eq!(outcome, (code, message.to_owned()), "{target:?} {changes:?}");
    }
}

#[test]
fn lists_grow_and_shrink_from_their_default() {
    let mut image = image();
    let mut change = |change: ConfigChange| {
        let target = ConfigTarget::Topic("t1".to_owned());
        let changes = AlterConfigs::Changes(vec![("cleanup.policy".to_owned(), change)]);
        let decision = Controller::new(&image, &options()).alter_configs(&[(target, changes)], false);
        assert_eq!(decision.answer, [Ok(())]);
        image = image.after(&decision.records).expect("applies");
        let value = image.topic_overrides("t1").get("cleanup.policy").cloned();
        (value, decision.records.len())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(change(ConfigChange::Append(some("compact"))), (some("delete,compact"), 1));
    assert_eq!(change(ConfigChange::Append(some("compact"))), (some("delete,compact"), 0));
    assert_eq!(change(ConfigChange::Subtract(some("delete"))), (some("compact"), 1));
    assert_eq!(change(ConfigChange::Subtract(some("compact"))), (some(""), 1));
    assert_eq!(change(ConfigChange::Delete), (None, 1));
    assert_eq!(change(ConfigChange::Delete), (None, 0));
}

#[test]
fn alter_configs_replaces_what_was_set() {
    let image = image();
    let target = ConfigTarget::Topic("t1".to_owned());
    let replace = |configs: &[(&str, &str)]| {
        AlterConfigs::Replace(configs.iter().map(|(n, v)| ((*n).to_owned(), Some((*v).to_owned()))).collect())
    };
    let alter = |image: &MetadataImage, changes| {
        let decision = Controller::new(image, &options()).alter_configs(&[(target.clone(), changes)], false);
        assert_eq!(decision.answer, [Ok(())]);
        image.after(&decision.records).expect("applies")
    };
    let image = alter(&image, replace(&[("retention.ms", "1"), ("segment.ms", "2")]));
    let image = alter(&image, replace(&[("segment.ms", "3")]));
    let configs: Vec<_> = image.topic_overrides("t1").iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(configs, [("segment.ms", "3")]);
}

#[test]
fn a_resource_named_twice_is_refused() {
    let item =
        || (ConfigTarget::Topic("t1".to_owned()), AlterConfigs::Changes(vec![set("retention.ms", "1")]));
    let decision = Controller::new(&image(), &options()).alter_configs(&[item(), item()], false);
    assert!(decision.records.is_empty());
    assert!(decision.answer.iter().all(|result| name_of(result).0 == "INVALID_REQUEST"));
}

#[test]
fn producer_ids_come_in_blocks_and_never_twice() {
    let mut image = image();
    let mut firsts = Vec::new();
    for _ in 0..3 {
        let decision = Controller::new(&image, &options()).allocate_producer_ids(NodeId(1));
        firsts.push(decision.answer.expect("given").first);
        image = image.after(&decision.records).expect("applies");
    }
    assert_eq!(firsts, [0, 1000, 2000]);
}

#[test]
fn replicas_are_spread_over_the_nodes() {
    let registered = |id| MetadataRecord::LoneNodeStarted {
        node_id: NodeId(id),
        registration_epoch: 0,
        host: "localhost".to_owned(),
        port: 9092,
        rack: None,
    };
    let image = MetadataImage::default().after(&[1, 2, 3].map(registered)).expect("applies");
    let topics =
        [CreateTopic { partitions: 6, replication_factor: 2, ..CreateTopic::with_defaults("spread") }];
    let after = image.after(&create(&image, &topics).records).expect("applies");
    let mut led = alloc::collections::BTreeMap::new();
    for partition in &after.topic("spread").expect("made").partitions {
        assert_eq!(partition.replicas.len(), 2);
        assert_ne!(partition.replicas[0], partition.replicas[1]);
        *led.entry(partition.leader.expect("led")).or_insert(0) += 1;
    }
    assert_eq!(led.into_values().collect::<Vec<_>>(), [2, 2, 2]);
    assert!(after.configs(&ConfigResource::Cluster).is_empty());
}
