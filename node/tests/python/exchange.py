"""Drives the server through librdkafka: writes a file of lines, reads it back, compares every part of every record.

    exchange.py BROKER write TOPIC FILE PARTITIONS CODEC ACKS IDEMPOTENT
    exchange.py BROKER read TOPIC FILE PARTITIONS
    exchange.py BROKER positions TOPIC FILE PARTITIONS
    exchange.py BROKER tail TOPIC
    exchange.py BROKER admin TOPIC
    exchange.py BROKER group TOPIC
    exchange.py BROKER member GROUP TOPIC NOTES STOP ASSIGNOR SESSION_MS [INSTANCE]

Line i becomes a record that any reader can foretell: see records.py.
"""

import sys
import time

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import admin as kafka_admin

import librdkafka_group
import librdkafka_member
from records import DEADLINE_S, FIRST_TIMESTAMP_MS, lines_of, record


def write(broker, topic, path, partitions, codec, acks, idempotent):
    failures = []
    producer = Producer({
        "bootstrap.servers": broker,
        "compression.type": codec,
        "acks": acks,
        "enable.idempotence": idempotent == "true",
        "linger.ms": 20,
        "batch.size": 200_000,
    })
    partitions = int(partitions)
    for index, line in enumerate(lines_of(path)):
        partition, key, value, headers, timestamp = record(index, line, partitions)
        while True:
            try:
                producer.produce(topic, value=value, key=key, partition=partition, headers=headers, timestamp=timestamp,
                                 on_delivery=lambda error, _: failures.append(error) if error else None)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(DEADLINE_S)
    if left or failures:
        sys.exit(f"{left} records were not sent, {len(failures)} failed: {failures[:3]}")


def consumer_of(broker, longest_wait_ms=50):
    return Consumer({
        "bootstrap.servers": broker,
        "group.id": "assigned-by-hand",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "check.crcs": True,
        "enable.partition.eof": True,
        "fetch.wait.max.ms": longest_wait_ms,
    })


def read(broker, topic, path, partitions):
    partitions = int(partitions)
    lines = lines_of(path)
    expected = [[index for index in range(len(lines)) if index % partitions == partition] for partition in range(partitions)]
    consumer = consumer_of(broker)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    next_offset = [0] * partitions
    ended = set()
    deadline = time.time() + DEADLINE_S
    while len(ended) < partitions:
        if time.time() > deadline:
            sys.exit(f"no more records after {next_offset} of {[len(part) for part in expected]}")
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            if message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
                continue
            sys.exit(f"error while reading: {message.error()}")
        partition, offset = message.partition(), message.offset()
        if offset != next_offset[partition]:
            sys.exit(f"partition {partition}: offset {offset} instead of {next_offset[partition]}")
        next_offset[partition] += 1
        index = expected[partition][offset]
        got = (partition, message.key(), message.value(), message.headers() or [], message.timestamp()[1])
        want = record(index, lines[index], partitions)
        if got != want:
            sys.exit(f"record {index} differs: {str(got)[:300]} instead of {str(want)[:300]}")
    if next_offset != [len(part) for part in expected]:
        sys.exit(f"{next_offset} records instead of {[len(part) for part in expected]}")
    consumer.close()


def positions(broker, topic, path, partitions):
    """Offsets by time, seeks into the middle of batches, watermarks. The topic holds what write() wrote."""
    partitions = int(partitions)
    lines = lines_of(path)
    consumer = consumer_of(broker)
    for partition in range(partitions):
        count = len(range(partition, len(lines), partitions))
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        assert (low, high) == (0, count), (low, high, count)
        for offset in (0, 1, count // 3, count // 2 + 1, count - 1):
            timestamp = FIRST_TIMESTAMP_MS + offset * partitions + partition
            for asked, want in ((timestamp, offset), (timestamp - partitions + 1, offset)):
                found = consumer.offsets_for_times([TopicPartition(topic, partition, asked)], timeout=10)[0]
                assert found.error is None and found.offset == want, (asked, found, want)
            consumer.assign([TopicPartition(topic, partition, offset)])
            message = poll_record(consumer)
            assert message.offset() == offset, (message.offset(), offset)
        beyond = consumer.offsets_for_times([TopicPartition(topic, partition, FIRST_TIMESTAMP_MS + len(lines))], timeout=10)[0]
        assert beyond.offset == OFFSET_END, beyond
        before = consumer.offsets_for_times([TopicPartition(topic, partition, 0)], timeout=10)[0]
        assert before.offset == 0, before
    consumer.assign([TopicPartition(topic, 0, 0)])
    poll_record(consumer)
    consumer.seek(TopicPartition(topic, 0, 5))
    assert poll_record(consumer).offset() == 5
    consumer.pause([TopicPartition(topic, 0)])
    assert consumer.poll(0.5) is None, "a record of a paused partition"
    consumer.resume([TopicPartition(topic, 0)])
    assert poll_record(consumer).offset() == 6
    consumer.assign([TopicPartition(topic, 0, 10_000_000)])
    error = poll_error(consumer)
    assert error.code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET), error
    consumer.close()


def poll_record(consumer):
    deadline = time.time() + DEADLINE_S
    while time.time() < deadline:
        message = consumer.poll(1)
        if message is None or (message.error() and message.error().code() == KafkaError._PARTITION_EOF):
            continue
        if message.error():
            sys.exit(f"error instead of a record: {message.error()}")
        return message
    sys.exit("no record came")


def poll_error(consumer):
    deadline = time.time() + DEADLINE_S
    while time.time() < deadline:
        message = consumer.poll(1)
        if message is not None and message.error() and message.error().code() != KafkaError._PARTITION_EOF:
            return message.error()
    sys.exit("no error came")


def tail(broker, topic):
    """A reader that waits at the end gets each record soon after it was written."""
    consumer = consumer_of(broker, longest_wait_ms=4_000)
    consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
    while True:
        message = consumer.poll(15)
        assert message is not None, "the end of the partition is not told"
        if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
            break
    producer = Producer({"bootstrap.servers": broker, "acks": "all", "linger.ms": 0})
    slowest = 0.0
    for number in range(50):
        begin = time.time()
        producer.produce(topic, value=b"%d" % number, partition=0)
        producer.flush(10)
        message = poll_record(consumer)
        assert message.value() == b"%d" % number, message.value()
        slowest = max(slowest, time.time() - begin)
    print(f"slowest of 50 records to a waiting reader: {slowest * 1000:.0f} ms")
    # A long poll that ends by its timeout instead of by the append would take seconds.
    assert slowest < 2, slowest
    consumer.close()


def admin(broker, topic):
    client = kafka_admin.AdminClient({"bootstrap.servers": broker})

    def code_of(futures):
        for future in futures.values():
            try:
                future.result(10)
                return None
            except KafkaException as error:
                return error.args[0].code()
        raise AssertionError("no result")

    new = kafka_admin.NewTopic(topic, num_partitions=2, replication_factor=1, config={"retention.ms": "86400000"})
    assert code_of(client.create_topics([new], validate_only=True)) is None
    assert code_of(client.create_topics([new])) is None
    assert code_of(client.create_topics([new])) == KafkaError.TOPIC_ALREADY_EXISTS
    bad = kafka_admin.NewTopic(topic + "-bad", num_partitions=1, replication_factor=1, config={"retention.ms": "soon"})
    assert code_of(client.create_topics([bad])) == KafkaError.INVALID_CONFIG
    assert code_of(client.create_topics([kafka_admin.NewTopic("no/name", 1, 1)])) == KafkaError.TOPIC_EXCEPTION
    assert code_of(client.create_topics([kafka_admin.NewTopic(topic + "-3", 1, 3)])) == KafkaError.INVALID_REPLICATION_FACTOR
    metadata = client.list_topics(topic, timeout=10)
    assert len(metadata.topics[topic].partitions) == 2, metadata.topics
    assert metadata.cluster_id, "no cluster id"
    assert code_of(client.create_partitions([kafka_admin.NewPartitions(topic, 4)])) is None
    assert code_of(client.create_partitions([kafka_admin.NewPartitions(topic, 3)])) == KafkaError.INVALID_PARTITIONS
    resource = kafka_admin.ConfigResource(kafka_admin.ResourceType.TOPIC, topic)
    entries = list(client.describe_configs([resource]).values())[0].result(10)
    assert entries["retention.ms"].value == "86400000" and not entries["retention.ms"].is_default
    assert entries["segment.bytes"].is_default
    altered = kafka_admin.ConfigResource(kafka_admin.ResourceType.TOPIC, topic, incremental_configs=[
        kafka_admin.ConfigEntry("segment.bytes", "1048576",
                                incremental_operation=kafka_admin.AlterConfigOpType.SET),
        kafka_admin.ConfigEntry("retention.ms", None, incremental_operation=kafka_admin.AlterConfigOpType.DELETE),
    ])
    assert code_of(client.incremental_alter_configs([altered])) is None
    time.sleep(0.5)
    entries = list(client.describe_configs([resource]).values())[0].result(10)
    assert entries["segment.bytes"].value == "1048576" and entries["retention.ms"].is_default
    if hasattr(client, "describe_cluster"):
        cluster = client.describe_cluster().result(10)
        assert len(cluster.nodes) == 1 and cluster.cluster_id == metadata.cluster_id
    if hasattr(client, "delete_records"):
        producer = Producer({"bootstrap.servers": broker})
        for number in range(10):
            producer.produce(topic, value=b"%d" % number, partition=0)
        assert producer.flush(10) == 0
        deleted = client.delete_records([TopicPartition(topic, 0, 4)])
        assert [future.result(10).low_watermark for future in deleted.values()] == [4]
    assert code_of(client.delete_topics([topic])) is None
    deadline = time.time() + 10
    while topic in client.list_topics(timeout=10).topics:
        assert time.time() < deadline, "the deleted topic is still listed"
        time.sleep(0.1)
    assert code_of(client.delete_topics([topic])) == KafkaError.UNKNOWN_TOPIC_OR_PART


if __name__ == "__main__":
    commands = {"write": write, "read": read, "positions": positions, "tail": tail, "admin": admin,
                "group": librdkafka_group.exercise, "member": librdkafka_member.live}
    commands[sys.argv[2]](sys.argv[1], *sys.argv[3:])
