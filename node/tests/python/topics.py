"""Creates topics with as many replicas as the broker gives: topics.py BROKER PARTITIONS NAME[:config=value,...]..."""

import sys

from confluent_kafka.admin import AdminClient, NewTopic

broker, partitions, *names = sys.argv[1:]
topics = []
for name in names:
    name, _, configs = name.partition(":")
    config = dict(pair.split("=") for pair in configs.split(",") if pair)
    topics.append(NewTopic(name, int(partitions), -1, config=config))
client = AdminClient({"bootstrap.servers": broker})
for future in client.create_topics(topics, request_timeout=60).values():
    future.result(60)
