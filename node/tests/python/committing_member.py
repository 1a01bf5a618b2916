"""A member of a group that commits what it has read, record by record and through crashes of the broker, and notes it.

    committing_member.py BROKER GROUP TOPIC RECORDS NOTES STOP     reads every partition up to RECORDS
    committing_member.py BROKER GROUP TOPIC PARTITIONS             prints what is committed: "partition offset"

Lines in NOTES: "assigned 0,2", "read partition offset", "committed partition offset" once the broker acknowledged it, and
"refused error" where it did so for good. Ends when the file STOP exists.
"""

import os
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

broker, group, topic = sys.argv[1:4]
settings = {
    "bootstrap.servers": broker,
    "group.id": group,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "session.timeout.ms": 45_000,
    "heartbeat.interval.ms": 500,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "log_level": 2,
}
# Each commit stands for so many records: enough commits that every kill meets some under way.
RECORDS_PER_COMMIT = 5
# The broker is back after seconds; a machine under load may need longer.
PATIENCE_S = 120


def print_committed(partitions):
    consumer = Consumer(settings)
    asked = [TopicPartition(topic, partition) for partition in range(partitions)]
    for found in consumer.committed(asked, timeout=60):
        if found.error is not None:
            sys.exit(str(found.error))
        print(found.partition, found.offset)
    consumer.close()


def commit(consumer, note, position):
    """Tries until it is acknowledged: the broker comes back."""
    deadline = time.monotonic() + PATIENCE_S
    offsets = [TopicPartition(topic, partition, offset) for partition, offset in sorted(position.items())]
    while True:
        try:
            for done in consumer.commit(offsets=offsets, asynchronous=False):
                if done.error is not None:
                    raise KafkaException(done.error)
            for partition, offset in position.items():
                note(f"committed {partition} {offset}")
            return
        except KafkaException as exception:
            error = exception.args[0]
            lost = (KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.FENCED_INSTANCE_ID)
            if error.code() in lost or time.monotonic() > deadline:
                note(f"refused {error.name()}")
                return
            time.sleep(0.05)


def read(records, notes_path, stop_path):
    notes = open(notes_path, "w", encoding="utf-8", buffering=1)

    def note(line):
        notes.write(line + "\n")

    def assigned(_consumer, partitions):
        note("assigned " + ",".join(str(partition.partition) for partition in partitions))

    consumer = Consumer(settings)
    consumer.subscribe([topic], on_assign=assigned)
    position, uncommitted, done = {}, 0, set()
    while not os.path.exists(stop_path):
        record = consumer.poll(0.1)
        if record is not None and record.error() is None:
            note(f"read {record.partition()} {record.offset()}")
            position[record.partition()] = record.offset() + 1
            uncommitted += 1
            if record.offset() + 1 == records:
                done.add(record.partition())
        if uncommitted >= RECORDS_PER_COMMIT or (record is None and uncommitted > 0):
            commit(consumer, note, position)
            position, uncommitted = {}, 0
            for partition in sorted(done):
                note(f"done {partition}")
            done.clear()
    consumer.close()
    notes.close()


if len(sys.argv) == 5:
    print_committed(int(sys.argv[4]))
else:
    read(int(sys.argv[4]), *sys.argv[5:])
