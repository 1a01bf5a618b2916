"""Drives the server through kafka-python, of the second and the third series:

    kafka_python.py BROKER write TOPIC FILE PARTITIONS CODEC ACKS IDEMPOTENT
    kafka_python.py BROKER read TOPIC FILE PARTITIONS
    kafka_python.py BROKER positions TOPIC FILE PARTITIONS
    kafka_python.py BROKER admin TOPIC
    kafka_python.py BROKER group TOPIC

Two records it cannot send as the other clients do: a header without a value, and one that has neither key nor value.
"""

import sys
import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

import kafka_python_admin
import kafka_python_group
import records
from records import DEADLINE_S, FIRST_TIMESTAMP_MS, lines_of


def sent(index, line, partitions):
    """The nearest that it can send to what the others send."""
    partition, key, value, headers, timestamp = records.record(index, line, partitions)
    if key is None and value is None:
        value = b"neither"
    return partition, key, value, [header for header in headers if header[1] is not None], timestamp


def write(broker, topic, path, partitions, codec, acks, idempotent):
    options = {"enable_idempotence": idempotent == "true"}
    if kafka.__version__.startswith("2.0"):
        options = {}
    producer = KafkaProducer(
        bootstrap_servers=broker,
        compression_type=None if codec == "none" else codec,
        acks=acks if acks == "all" else int(acks),
        linger_ms=20,
        batch_size=100_000,
        **options,
    )
    futures = []
    for index, line in enumerate(lines_of(path)):
        partition, key, value, headers, timestamp = sent(index, line, int(partitions))
        futures.append(producer.send(topic, value, key, headers, partition, timestamp))
    producer.flush(DEADLINE_S)
    for future in futures:
        future.get(DEADLINE_S)
    producer.close()


def consumer_of(broker, **options):
    return KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False, auto_offset_reset="none",
                         fetch_max_wait_ms=100, **options)


def read(broker, topic, path, partitions):
    partitions = int(partitions)
    lines = lines_of(path)
    consumer = consumer_of(broker)
    consumer.assign([TopicPartition(topic, partition) for partition in range(partitions)])
    consumer.seek_to_beginning()
    next_offset = [0] * partitions
    deadline = time.time() + DEADLINE_S
    while sum(next_offset) < len(lines):
        if time.time() > deadline:
            sys.exit(f"no more records after {next_offset}")
        for batch in consumer.poll(1_000).values():
            for got in batch:
                if got.offset != next_offset[got.partition]:
                    sys.exit(f"partition {got.partition}: offset {got.offset} instead of {next_offset[got.partition]}")
                next_offset[got.partition] += 1
                index = got.offset * partitions + got.partition
                found = (got.partition, got.key, got.value, list(got.headers), got.timestamp)
                want = [make(index, lines[index], partitions) for make in (sent, records.record)]
                if found not in want:
                    sys.exit(f"record {index} differs: {str(found)[:300]} instead of {str(want)[:600]}")
    consumer.close()


def positions(broker, topic, path, partitions):
    """Offsets by time, seeks into the middle of batches, watermarks, a pause. The topic holds what write() wrote."""
    partitions = int(partitions)
    lines = lines_of(path)
    consumer = consumer_of(broker, max_poll_records=1)
    for partition in range(partitions):
        part = TopicPartition(topic, partition)
        count = len(range(partition, len(lines), partitions))
        assert consumer.beginning_offsets([part]) == {part: 0}
        assert consumer.end_offsets([part]) == {part: count}
        consumer.assign([part])
        for offset in (0, 1, count // 3, count // 2 + 1, count - 1):
            timestamp = FIRST_TIMESTAMP_MS + offset * partitions + partition
            for asked in (timestamp, timestamp - partitions + 1):
                found = consumer.offsets_for_times({part: asked})[part]
                assert (found.offset, found.timestamp) == (offset, timestamp), (asked, found, offset)
            consumer.seek(part, offset)
            assert poll_one(consumer).offset == offset
        assert consumer.offsets_for_times({part: FIRST_TIMESTAMP_MS + len(lines)})[part] is None
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer.assign([first, second])
    consumer.seek(first, 5)
    consumer.seek(second, 7)
    consumer.pause(first)
    assert [poll_one(consumer).offset for _ in range(20)] == list(range(7, 27)), "a record of a paused partition"
    consumer.pause(second)
    consumer.resume(first)
    assert poll_one(consumer).offset == 5
    consumer.assign([first])
    consumer.seek(first, 10_000_000)
    try:
        poll_one(consumer)
        raise AssertionError("a record at an offset that is not there")
    except KafkaError as error:
        assert "OffsetOutOfRange" in type(error).__name__, error
    consumer.close()


def poll_one(consumer):
    deadline = time.time() + DEADLINE_S
    while time.time() < deadline:
        for batch in consumer.poll(1_000).values():
            return batch[0]
    sys.exit("no record came")


if __name__ == "__main__":
    commands = {"write": write, "read": read, "positions": positions,
                "admin": kafka_python_admin.exercise, "group": kafka_python_group.exercise}
    commands[sys.argv[2]](sys.argv[1], *sys.argv[3:])
