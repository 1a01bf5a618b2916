"""The admin calls of kafka-python about the cluster and one topic, with their usual results and their usual errors.

Each series has calls of its own shape for the same requests.
"""

import kafka
from kafka import KafkaProducer, TopicPartition
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic

from records import becomes

SECOND_SERIES = kafka.__version__.startswith("2.")


def fails(expected, call):
    try:
        call()
    except expected:
        return
    raise AssertionError(f"no {expected.__name__}")


def exercise(broker, topic):
    admin = KafkaAdminClient(bootstrap_servers=broker)
    cluster = admin.describe_cluster()
    assert len(cluster["brokers"]) == 1 and cluster["cluster_id"], cluster
    if SECOND_SERIES:
        create = lambda name, partitions, replicas, configs: admin.create_topics(
            [NewTopic(name, partitions, replicas, topic_configs=configs)])
        grow = lambda count: admin.create_partitions({topic: NewPartitions(count)})
    else:
        create = lambda name, partitions, replicas, configs: admin.create_topics(
            {name: {"num_partitions": partitions, "replication_factor": replicas, "configs": configs}})
        grow = lambda count: admin.create_partitions({topic: count})
    create(topic, 2, 1, {"retention.ms": "86400000"})
    fails(errors.TopicAlreadyExistsError, lambda: create(topic, 2, 1, {}))
    fails(errors.InvalidReplicationFactorError, lambda: create(topic + "-3", 1, 3, {}))
    fails(errors.InvalidTopicError, lambda: create("no/name", 1, 1, {}))
    partitions = lambda: len(admin.describe_topics([topic])[0]["partitions"])
    becomes("two partitions", lambda: partitions() == 2)
    grow(4)
    becomes("four partitions", lambda: partitions() == 4)
    fails(errors.InvalidPartitionsError, lambda: grow(3))
    configs(admin, topic)
    if not SECOND_SERIES:
        delete_records(admin, broker, topic)
    admin.delete_topics([topic])
    becomes("the deletion", lambda: topic not in admin.list_topics())
    fails(errors.UnknownTopicOrPartitionError, lambda: admin.delete_topics([topic]))
    admin.close()


def configs(admin, topic):
    def described():
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        if SECOND_SERIES:
            entries = admin.describe_configs([resource])[0].resources[0][4]
            return {entry[0]: entry[1] for entry in entries}
        entries = admin.describe_configs([resource], config_filter="all")["topic"][topic]
        return {name: entry["value"] for name, entry in entries.items()}

    assert described()["retention.ms"] == "86400000", described()
    change = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"segment.bytes": "1048576"})
    if SECOND_SERIES:
        # Sets the whole: what is not named goes back to its default.
        admin.alter_configs([change])
        retention = "604800000"
    else:
        admin.alter_configs([change])
        retention = "86400000"
    becomes("a change", lambda: (described()["segment.bytes"], described()["retention.ms"]) == ("1048576", retention))
    if not SECOND_SERIES:
        admin.alter_configs([change], incremental=False)
        becomes("a change of the whole", lambda: described()["segment.bytes"] == "1048576")


def delete_records(admin, broker, topic):
    producer = KafkaProducer(bootstrap_servers=broker)
    for number in range(10):
        assert producer.send(topic, b"%d" % number, partition=0).get(10).offset == number
    producer.close()
    part = TopicPartition(topic, 0)
    deleted = admin.delete_records({part: 4})
    assert deleted[part]["low_watermark"] == 4, deleted
    folders = admin.describe_log_dirs([topic])
    assert folders and topic in str(folders), folders
    producers = admin.describe_producers([part])
    assert "9" in str(producers), producers
