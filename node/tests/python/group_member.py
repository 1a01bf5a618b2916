"""A member of a group that reads until it is told to stop: prints what it is given, commits when it ends.

    group_member.py BROKER GROUP TOPIC CLIENT_ID [SETTING=VALUE ...]

Ends in order on SIGTERM, or when standard input is closed.
"""

import select
import signal
import sys

from confluent_kafka import Consumer

broker, group, topic, client_id = sys.argv[1:5]
settings = {
    "bootstrap.servers": broker,
    "group.id": group,
    "client.id": client_id,
    "auto.offset.reset": "earliest",
}
settings.update(setting.split("=", 1) for setting in sys.argv[5:])
is_stopped = False


def stop(_signal, _frame):
    global is_stopped
    is_stopped = True


def assigned(_consumer, partitions):
    print("assigned", ",".join(str(partition.partition) for partition in partitions), flush=True)


signal.signal(signal.SIGTERM, stop)
consumer = Consumer(settings)
consumer.subscribe([topic], on_assign=assigned)
while not is_stopped:
    record = consumer.poll(0.1)
    if record is not None and record.error() is None:
        print("read", record.partition(), record.offset(), flush=True)
    # Standard input says something only when it ends: whoever started this is gone.
    if select.select([sys.stdin], [], [], 0)[0]:
        break
consumer.close()
