"""Writes and reads keyed records of a compacted topic.

    keyed_clients.py produce BROKER TOPIC PARTITIONS KEYS CODEC NOTES STOP
    keyed_clients.py consume BROKER TOPIC PARTITIONS NOTES

The producer is idempotent and goes on through crashes of the broker until the file STOP exists. Each acknowledged record
becomes a line "partition offset key value" in NOTES; the value of a record that deletes its key is "-". The consumer reads
every partition from its beginning to its end, checksums checked by the client, and writes lines of the same form.
"""

import os
import random
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

# Enough to fill segments within seconds, little enough to be read back quickly.
RATE = 3_000
FLUSH_LIMIT_S = 90
QUIET_LIMIT_S = 30


def line(message):
    value = message.value().decode().split(":")[0] if message.value() is not None else "-"
    return f"{message.partition()} {message.offset()} {message.key().decode()} {value}\n"


def produce(broker, topic, partitions, keys, codec, notes_path, stop_path):
    notes = open(notes_path, "w", encoding="utf-8")
    failures = []

    def note(error, message):
        if error is not None:
            failures.append(error)
        else:
            notes.write(line(message))

    producer = Producer({
        "bootstrap.servers": broker,
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": codec,
        "linger.ms": 3,
        "batch.size": 16_000,
        "message.timeout.ms": 300_000,
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 200,
        "retry.backoff.ms": 20,
        "log_level": 2,
    })
    seed = random.Random(7)
    number = 0
    begin = time.monotonic()
    while not os.path.exists(stop_path):
        behind = int((time.monotonic() - begin) * RATE) - number
        for _ in range(max(0, min(behind, 500))):
            key = seed.randrange(int(keys))
            value = None if seed.randrange(9) == 0 else f"{number}:{'x' * seed.randrange(300)}".encode()
            try:
                # A key has one partition, and in it one order.
                producer.produce(
                    topic, key=f"k{key}".encode(), value=value, partition=key % int(partitions), on_delivery=note
                )
                number += 1
            except BufferError:
                break
        producer.poll(0.01)
    left = producer.flush(FLUSH_LIMIT_S)
    notes.close()
    print(f"{number} records, {left} left, {len(failures)} failed {failures[:2]}")
    return 1 if left or failures else 0


def consume(broker, topic, partitions, notes_path):
    consumer = Consumer({
        "bootstrap.servers": broker,
        "group.id": "none",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "check.crcs": True,
        "log_level": 2,
    })
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(int(partitions))])
    open_partitions = set(range(int(partitions)))
    last = time.monotonic()
    with open(notes_path, "w", encoding="utf-8") as notes:
        while open_partitions:
            message = consumer.poll(1.0)
            if message is None:
                if time.monotonic() - last > QUIET_LIMIT_S:
                    print(f"nothing more came, and {open_partitions} are not at their end")
                    return 1
                continue
            last = time.monotonic()
            if message.error() is None:
                notes.write(line(message))
            elif message.error().name() == "_PARTITION_EOF":
                open_partitions.discard(message.partition())
            else:
                print(message.error())
                return 1
    consumer.close()
    return 0


sys.exit({"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:]))
