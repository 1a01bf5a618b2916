"""An idempotent producer that goes on through crashes of the broker and notes what was acknowledged.

    crash_producer.py BROKER TOPIC PARTITIONS NAME NOTES STOP [RATE]

Values are "NAME:number". Each acknowledged record becomes a line "partition offset NAME:number" in NOTES. When the file
STOP exists it sends what is left and ends.
"""

import os
import sys
import time

from confluent_kafka import Producer

broker, topic, partitions, name, notes_path, stop_path, *rate = sys.argv[1:]
# Records a second: enough to have many batches in flight at every kill, little enough to be read back quickly.
RATE = int(rate[0]) if rate else 4_000
FLUSH_LIMIT_S = 90

notes = open(notes_path, "w", encoding="utf-8")
failures = []


def note(error, message):
    if error is not None:
        failures.append(error)
    else:
        notes.write(f"{message.partition()} {message.offset()} {message.value().decode()}\n")


producer = Producer({
    "bootstrap.servers": broker,
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 3,
    "batch.size": 8_000,
    "message.timeout.ms": 300_000,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "retry.backoff.ms": 20,
    "socket.connection.setup.timeout.ms": 5_000,
    "log_level": 2,
})
number = 0
begin = time.monotonic()
while not os.path.exists(stop_path):
    behind = int((time.monotonic() - begin) * RATE) - number
    for _ in range(max(0, min(behind, 500))):
        try:
            producer.produce(topic, value=f"{name}:{number}".encode(), partition=number % int(partitions), on_delivery=note)
            number += 1
        except BufferError:
            break
    producer.poll(0.01)
left = producer.flush(FLUSH_LIMIT_S)
notes.close()
print(f"{name}: {number} records, {left} left, {len(failures)} failed {failures[:2]}")
# What failed may or may not be in the log; what is left has no answer. Neither may happen: the broker always came back.
sys.exit(1 if left or failures else 0)
