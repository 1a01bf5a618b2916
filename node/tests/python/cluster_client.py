"""A real client beside the faults of a cluster, through librdkafka.

What it lives through is written down, one line an event: milliseconds since 1970, a word, and what belongs to it.
"""

import os
import sys
import time

import librdkafka_member
from confluent_kafka import Producer

# As clients/value.rs of the cluster's runs reads them: producer, number and partition.
VALUE = "{producer}.{number}@{partition}:"
BEFORE_EACH_S = 0.002


class Notes:
    """Lines of a file, each written at once."""

    def __init__(self, path):
        self.file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def note(self, *words):
        line = " ".join(str(word) for word in (int(time.time() * 1_000), *words)).replace("\n", " ")
        os.write(self.file, line.encode() + b"\n")


def produce(brokers, topic, partitions, path, stop, producer_number):
    """Sends to all partitions in turn until the file STOP is there, then waits for all answers."""
    notes = Notes(path)

    def answered(number, partition):
        def note(error, message):
            if error is None:
                notes.note("acked", partition, number, message.offset())
            else:
                notes.note("failed", partition, number, error)
        return note

    producer = Producer({
        "bootstrap.servers": brokers,
        "enable.idempotence": True,
        "linger.ms": 5,
        "request.timeout.ms": 5_000,
        "socket.timeout.ms": 6_000,
        "delivery.timeout.ms": 120_000,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 300,
        "log_level": 2,
        # What it gets over by itself is news, and no more.
        "error_cb": lambda error: notes.note("fatal" if error.fatal() else "news", error),
    })
    number = 0
    while not os.path.exists(stop):
        partition = number % int(partitions)
        value = VALUE.format(producer=producer_number, number=number, partition=partition)
        notes.note("sent", partition, number)
        producer.produce(topic, value.encode(), partition=partition, callback=answered(number, partition))
        producer.poll(0)
        number += 1
        time.sleep(BEFORE_EACH_S)
    left = producer.flush(90)
    notes.note("ended", left)


def consume(brokers, topic, group, path, stop):
    """A member of a group, until the file STOP is there."""
    librdkafka_member.live(brokers, group, topic, path, stop, "range", "6000")


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:])
