#!/bin/sh
# Starts one Kafka broker (KRaft, broker and controller in one process) on loopback, in the foreground.
#   start.sh VERSION PORT DATA_DIR TOOLS_DIR
# VERSION is one of the broker-*.xml beside this file; its jars are kept in TOOLS_DIR.
set -eu
version=$1 port=$2 data=$3 tools=$4
here=$(cd "$(dirname "$0")" && pwd)
jars=$("$here/fetch.sh" "$version" "$tools")

mkdir -p "$data"
cat >"$data/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.voters=1@127.0.0.1:$((port + 1))
log.dirs=$data/logs
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
PROPERTIES

if [ ! -e "$data/logs/meta.properties" ]; then
    java -cp "$jars/*" kafka.tools.StorageTool format --cluster-id ringmainReferenceTest0 \
        --config "$data/server.properties" >&2
fi
exec java -Xmx768m -Xms256m -cp "$jars/*" kafka.Kafka "$data/server.properties"
