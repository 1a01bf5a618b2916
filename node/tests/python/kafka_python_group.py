"""A consumer of kafka-python lives three times in a group of the topic's name and commits in three ways; each life must go
on exactly where the one before committed. Then the admin calls about groups."""

import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition, errors
from kafka.admin import KafkaAdminClient

from kafka_python_admin import SECOND_SERIES, fails
from records import becomes

OF_EACH = 100


def exercise(broker, topic):
    admin = KafkaAdminClient(bootstrap_servers=broker)
    if SECOND_SERIES:
        admin.create_topics([kafka.admin.NewTopic(topic, 2, 1)])
    else:
        admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 1}})
    producer = KafkaProducer(bootstrap_servers=broker)
    futures = [producer.send(topic, b"%d" % number, partition=number % 2) for number in range(2 * OF_EACH)]
    for future in futures:
        future.get(30)
    producer.close()

    consumed = [0, 0]

    def by_request(consumer):
        consumer.commit()
        while_stable(admin, topic)

    def later(consumer):
        answers = []
        consumer.commit_async(callback=lambda offsets, answer: answers.append(answer))
        deadline = time.time() + 10
        consumer.pause(*consumer.assignment())
        while not answers and time.time() < deadline:
            assert not consumer.poll(50), "a record of a paused partition"
        assert answers and not isinstance(answers[0], Exception), answers

    life(broker, topic, consumed, 50, by_request, enable_auto_commit=False)
    committed(broker, topic, consumed)
    life(broker, topic, consumed, 50, later, enable_auto_commit=False)
    committed(broker, topic, consumed)
    life(broker, topic, consumed, 2 * OF_EACH - sum(consumed), lambda consumer: None, enable_auto_commit=True,
         auto_commit_interval_ms=200)
    committed(broker, topic, consumed)
    if SECOND_SERIES:
        when_empty_in_the_second_series(admin, topic)
    else:
        when_empty(admin, topic)
    admin.close()


def life(broker, topic, consumed, at_least, then, **options):
    """Joins the group, checks that it goes on at what was consumed, reads at least so many records more, and leaves."""
    consumer = KafkaConsumer(topic, bootstrap_servers=broker, group_id=topic, auto_offset_reset="earliest",
                             max_poll_records=20, fetch_max_wait_ms=100, heartbeat_interval_ms=500, **options)
    read = 0
    deadline = time.time() + 60
    while read < at_least:
        assert time.time() < deadline, f"no more records after {consumed}"
        for batch in consumer.poll(500).values():
            for record in batch:
                assert record.offset == consumed[record.partition], (record, consumed)
                consumed[record.partition] += 1
                read += 1
    then(consumer)
    consumer.close()


def committed(broker, group, want):
    # A consumer that never joins may ask, too.
    consumer = KafkaConsumer(bootstrap_servers=broker, group_id=group, enable_auto_commit=False)
    found = [consumer.committed(TopicPartition(group, partition)) or 0 for partition in range(2)]
    assert found == want, (found, want)
    consumer.close()


def while_stable(admin, group):
    if SECOND_SERIES:
        described = admin.describe_consumer_groups([group])[0]
        assert (described.state, described.protocol_type, described.protocol) == ("Stable", "consumer", "range"), described
        assignment = described.members[0].member_assignment.assignment
        assert len(described.members) == 1 and assignment == [(group, [0, 1])], described
        refused = admin.delete_consumer_groups([group])
        assert refused[0][1] is errors.NonEmptyGroupError, refused
        return
    described = admin.describe_groups([group])[group]
    assert (described["group_state"], described["protocol_type"], described["protocol_data"]) == (
        "Stable", "consumer", "range"), described
    assert len(described["members"]) == 1 and group in str(described["members"][0]["member_assignment"]), described
    refused = admin.delete_groups([group])
    assert "NonEmptyGroup" in str(refused), refused


def when_empty_in_the_second_series(admin, group):
    assert (group, "consumer") in admin.list_consumer_groups()
    assert admin.describe_consumer_groups([group])[0].state == "Empty"
    offsets = admin.list_consumer_group_offsets(group)
    assert {part.partition: offset.offset for part, offset in offsets.items()} == {0: OF_EACH, 1: OF_EACH}, offsets
    deleted = admin.delete_consumer_groups([group])
    assert deleted[0][1] is errors.NoError, deleted
    deleted = admin.delete_consumer_groups([group])
    assert deleted[0][1] is errors.GroupIdNotFoundError, deleted


def when_empty(admin, group):
    listed = [found for found in admin.list_groups() if found["group_id"] == group]
    assert listed and listed[0]["protocol_type"] == "consumer" and listed[0]["group_state"].upper() == "EMPTY", listed
    assert not [found for found in admin.list_groups(states_filter=["Stable"]) if found["group_id"] == group]
    first, second = TopicPartition(group, 0), TopicPartition(group, 1)
    offsets = lambda: {part: found.offset for part, found in admin.list_group_offsets([group])[group].items()}
    assert offsets() == {first: OF_EACH, second: OF_EACH}, offsets()
    altered = admin.alter_group_offsets(group, {first: kafka.structs.OffsetAndMetadata(5, "by hand", -1)})
    assert altered == {first: errors.NoError}, altered
    assert offsets()[first] == 5, offsets()
    assert admin.delete_group_offsets(group, [first]) == {first: errors.NoError}
    becomes("the deletion of an offset", lambda: offsets() == {second: OF_EACH})
    deleted = admin.delete_groups([group])
    deleted_again = admin.delete_groups([group])
    assert "GroupIdNotFound" not in str(deleted) and "GroupIdNotFound" in str(deleted_again), (deleted, deleted_again)
    assert not [found for found in admin.list_groups() if found["group_id"] == group]
