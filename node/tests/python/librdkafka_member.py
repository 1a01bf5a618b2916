"""Reads in a group through librdkafka and commits after each few records, until the file STOP is there.

    librdkafka_member.py BROKER GROUP TOPIC NOTES STOP ASSIGNOR SESSION_MS [INSTANCE]

What it lives through is written down, one line an event, as package go/notes does.
"""

import os
import struct
import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

broker, group, topic, path, stop, assignor, session, *instance = sys.argv[1:]
notes = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)


def note(*words):
    os.write(notes, " ".join(str(word) for word in (int(time.time() * 1_000), *words)).encode() + b"\n")


def listed(partitions):
    return ",".join(str(partition.partition) for partition in sorted(partitions, key=lambda one: one.partition)) or "-"


def generation(consumer):
    """The binding has the group's metadata only as librdkafka writes them down: "CGMDv2:", the generation, names."""
    written = consumer.consumer_group_metadata()
    assert written.startswith(b"CGMDv2:"), written
    return struct.unpack_from("<i", written, len(b"CGMDv2:"))[0]


def assigned(consumer, partitions):
    note("assigned", generation(consumer), listed(partitions))


def revoked(_, partitions):
    commit()
    note("revoked", listed(partitions))


def commit():
    """Commits what was read since the last time, before anybody else may own it."""
    for partition, offset in following.items():
        note("committing", partition, offset)
    for partition, offset in following.items():
        try:
            consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
            note("committed", partition, offset)
        except KafkaException as error:
            note("said", "commit:", str(error).replace("\n", " "))
    following.clear()


consumer = Consumer({
    "bootstrap.servers": broker,
    "group.id": group,
    "partition.assignment.strategy": assignor,
    "session.timeout.ms": int(session),
    "heartbeat.interval.ms": int(session) // 12,
    "max.poll.interval.ms": max(2 * int(session), 10_000),
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "fetch.wait.max.ms": 100,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 200,
    "log_level": 3,
    **({"group.instance.id": instance[0]} if instance else {}),
})
following = {}
consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
while not os.path.exists(stop):
    for _ in range(100):
        message = consumer.poll(0.1)
        if message is None:
            break
        if message.error():
            note("said", str(message.error()).replace("\n", " "))
            continue
        note("record", message.partition(), message.offset(), message.value().decode())
        following[message.partition()] = message.offset() + 1
    commit()
consumer.close()
note("said", "closed")
