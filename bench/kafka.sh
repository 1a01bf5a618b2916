#!/bin/bash
# Runs Apache Kafka as a peer to measure against: one node (KRaft) on loopback, with the defaults of
# its own start script and configuration. Needs java, Maven (first time), taskset.
#
#   kafka.sh start VERSION PORT DATA_DIR   starts it, prints "ADDRESS PID" once it answers
#   kafka.sh pin PID CORE                  pins all its threads to one processor
#   kafka.sh stop PID                      stops it and waits for its end
#
# Start it on all processors, warm it up until its compilers are quiet (15 to 45 s under load), and
# pin it only then. The versions are the broker-*.xml of ../node/tests/kafka, whose jars are kept in
# RINGMAIN_TOOLS_DIR (by default where the tests keep them).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
releases=$here/../node/tests/kafka
tools=${RINGMAIN_TOOLS_DIR:-$here/../target/test-tools}

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

start() {
    version=$1 port=$2 data=$3
    jars=$("$releases/fetch.sh" "$version" "$tools")
    mkdir -p "$data"
    # What a single node needs to know; everything else is Kafka's default.
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
        java -cp "$jars/*" kafka.tools.StorageTool format --cluster-id ringmainBenchmarkPeer0 \
            --config "$data/server.properties" >&2
    fi
    # The flags of Kafka's own kafka-server-start.sh and kafka-run-class.sh.
    java -Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
        -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent \
        -XX:MaxInlineLevel=15 -Djava.awt.headless=true \
        -cp "$jars/*" kafka.Kafka "$data/server.properties" >"$data/output" 2>&1 </dev/null &
    pid=$!
    tries=0
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 120 ] || ! kill -0 "$pid" 2>/dev/null; then
            echo "kafka.sh: it does not listen; see $data/output" >&2
            kill "$pid" 2>/dev/null || true
            exit 1
        fi
        sleep 0.5
    done
    echo "127.0.0.1:$port $pid"
}

stop() {
    kill "$1"
    while kill -0 "$1" 2>/dev/null; do sleep 0.2; done
}

case "${1:-}" in
start) [ $# -eq 4 ] || usage; start "$2" "$3" "$4" ;;
pin) [ $# -eq 3 ] || usage; taskset -a -c -p "$3" "$2" >/dev/null ;;
stop) [ $# -eq 2 ] || usage; stop "$2" ;;
*) usage ;;
esac
