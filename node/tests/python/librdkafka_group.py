"""A consumer of librdkafka lives three times in a group of the topic's name and commits in three ways; each life must go on
exactly where the one before committed. Then the admin calls about groups."""

import time

from confluent_kafka import (OFFSET_INVALID, Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError,
                             KafkaException, Producer, TopicPartition)
from confluent_kafka.admin import AdminClient, NewTopic

from records import DEADLINE_S

OF_EACH = 100


def exercise(broker, topic):
    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.create_topics([NewTopic(topic, 2, 1)]).values():
        future.result(10)
    producer = Producer({"bootstrap.servers": broker})
    for number in range(2 * OF_EACH):
        producer.produce(topic, b"%d" % number, partition=number % 2)
    assert producer.flush(30) == 0

    consumed = [0, 0]
    answers = []

    def by_request(consumer):
        for partition in consumer.commit(asynchronous=False):
            assert partition.error is None, partition
        while_stable(admin, topic)

    def later(consumer):
        consumer.commit(asynchronous=True)
        consumer.pause(consumer.assignment())
        deadline = time.time() + 10
        while not answers and time.time() < deadline:
            assert consumer.poll(0.05) is None, "a record of a paused partition"
        assert answers and answers[0] is None, answers

    life(broker, topic, consumed, 50, by_request, {"enable.auto.commit": False})
    committed(admin, topic, consumed)
    noted = {"enable.auto.commit": False, "on_commit": lambda error, partitions: answers.append(error)}
    life(broker, topic, consumed, 50, later, noted)
    committed(admin, topic, consumed)
    life(broker, topic, consumed, 2 * OF_EACH - sum(consumed), lambda consumer: None, {"auto.commit.interval.ms": 200})
    committed(admin, topic, consumed)
    when_empty(admin, topic)


def life(broker, topic, consumed, at_least, then, options):
    """Joins the group, checks that it goes on at what was consumed, reads at least so many records more, and leaves."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": topic, "auto.offset.reset": "earliest",
                         "fetch.wait.max.ms": 100, "heartbeat.interval.ms": 500, **options})
    consumer.subscribe([topic])
    read = 0
    deadline = time.time() + DEADLINE_S
    while read < at_least:
        assert time.time() < deadline, f"no more records after {consumed}"
        message = consumer.poll(0.5)
        if message is None:
            continue
        assert message.error() is None, message.error()
        assert message.offset() == consumed[message.partition()], (message.partition(), message.offset(), consumed)
        consumed[message.partition()] += 1
        read += 1
    then(consumer)
    consumer.close()


def offsets_of(admin, group):
    asked = [ConsumerGroupTopicPartitions(group, [TopicPartition(group, 0), TopicPartition(group, 1)])]
    answered = admin.list_consumer_group_offsets(asked)[group].result(10)
    return [partition.offset for partition in answered.topic_partitions]


def committed(admin, group, want):
    found = offsets_of(admin, group)
    # A partition of which nothing was read has no committed offset.
    want = [offset or OFFSET_INVALID for offset in want]
    assert found == want, (found, want)


def code_of(futures):
    for future in futures.values():
        try:
            future.result(10)
        except KafkaException as error:
            return error.args[0].code()
    return None


def while_stable(admin, group):
    described = admin.describe_consumer_groups([group])[group].result(10)
    assert described.state == ConsumerGroupState.STABLE and described.partition_assignor == "range", vars(described)
    assert len(described.members) == 1 and len(described.members[0].assignment.topic_partitions) == 2, vars(described)
    assert described.coordinator.id >= 0
    assert code_of(admin.delete_consumer_groups([group])) == KafkaError.NON_EMPTY_GROUP


def when_empty(admin, group):
    def listed(states):
        found = admin.list_consumer_groups(states=states).result(10)
        assert not found.errors, found.errors
        return [one.state for one in found.valid if one.group_id == group]

    assert listed(set()) == [ConsumerGroupState.EMPTY], listed(set())
    assert listed({ConsumerGroupState.STABLE}) == []
    altered = ConsumerGroupTopicPartitions(group, [TopicPartition(group, 0, 5, metadata="by hand")])
    answered = admin.alter_consumer_group_offsets([altered])[group].result(10)
    assert all(partition.error is None for partition in answered.topic_partitions), answered.topic_partitions
    committed(admin, group, [5, OF_EACH])
    assert code_of(admin.delete_consumer_groups([group])) is None
    assert code_of(admin.delete_consumer_groups([group])) == KafkaError.GROUP_ID_NOT_FOUND
    assert listed(set()) == []
    committed(admin, group, [None, None])

