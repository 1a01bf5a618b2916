"""A member of a group, through librdkafka.

What it lives through is written down, one line an event, as package go/notes does.
"""

import os
import struct
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition


class Member:
    """A consumer that commits after each few records, and before its partitions go to somebody else."""

    def __init__(self, topic, path, options):
        self.topic = topic
        self.notes = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self.following = {}
        self.consumer = Consumer(options)
        self.consumer.subscribe([topic], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.lost)

    def note(self, *words):
        os.write(self.notes, " ".join(str(word) for word in (int(time.time() * 1_000), *words)).encode() + b"\n")

    def assigned(self, _, partitions):
        self.note("assigned", self.generation(), listed(partitions))

    def revoked(self, _, partitions):
        self.commit()
        self.note("revoked", listed(partitions))

    def lost(self, _, partitions):
        self.following.clear()
        self.note("revoked", listed(partitions))

    def generation(self):
        """The binding has the group's metadata only as librdkafka writes them down: "CGMDv2:", the generation, names."""
        written = self.consumer.consumer_group_metadata()
        assert written.startswith(b"CGMDv2:"), written
        return struct.unpack_from("<i", written, len(b"CGMDv2:"))[0]

    def read(self):
        for _ in range(100):
            message = self.consumer.poll(0.1)
            if message is None:
                return
            if message.error():
                self.note("said", str(message.error()).replace("\n", " "))
                continue
            self.note("record", message.partition(), message.offset(), message.value().decode())
            self.following[message.partition()] = message.offset() + 1

    def commit(self):
        for partition, offset in self.following.items():
            self.note("committing", partition, offset)
        for partition, offset in self.following.items():
            try:
                self.consumer.commit(offsets=[TopicPartition(self.topic, partition, offset)], asynchronous=False)
                self.note("committed", partition, offset)
            except KafkaException as error:
                self.note("said", "commit:", str(error).replace("\n", " "))
        self.following.clear()


def listed(partitions):
    return ",".join(str(partition.partition) for partition in sorted(partitions, key=lambda one: one.partition)) or "-"


def live(broker, group, topic, path, stop, assignor, session, *instance):
    """Reads and commits until the file STOP is there."""
    member = Member(topic, path, {
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
    while not os.path.exists(stop):
        member.read()
        member.commit()
    member.consumer.close()
    member.note("said", "closed")
