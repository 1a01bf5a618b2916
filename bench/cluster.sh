#!/bin/bash
# Runs a cluster of three nodes on loopback to measure: Apache Kafka or Ringmain. Needs what kafka.sh
# needs.
#
#   cluster.sh up kafka VERSION PORT FOLDER   starts three Kafka brokers, VERSION as kafka.sh knows them
#   cluster.sh up ringmain PORT FOLDER        starts three nodes of Ringmain
#   cluster.sh nodes FOLDER                   prints "node ID pid PID kafka ADDRESS" for each that runs
#   cluster.sh start FOLDER ID                starts one that was stopped or killed, prints its line
#   cluster.sh pids FOLDER                    prints their process ids, with commas
#   cluster.sh pin FOLDER PROCESSORS          pins all their threads, for instance to 0 or 0-2
#   cluster.sh down FOLDER                    stops those that run and waits for their end; data stays
#
# `up` prints the lines of all nodes once all of them answer. Clients' ports are PORT to PORT + 2, those
# between Kafka's controllers PORT + 10 to PORT + 12; FOLDER holds data, settings and output.
#
# Kafka: three nodes, each broker and controller (KRaft), with its releases' heap and collector flags and
# the broker's own defaults, but for what makes three nodes of it: default.replication.factor=3,
# min.insync.replicas=2, and three replicas of its internal topics. As in kafka.sh nothing is set that
# concerns flushing, and files of deleted topics go after a second. What it takes for dead and when is its
# default: broker.session.timeout.ms=9000, controller.quorum.fetch.timeout.ms=2000.
#
# Ringmain: what `ringmain dev --nodes 3 --write-config` writes. The program is RINGMAIN (by default
# ../target/release/ringmain), with RINGMAIN_SHARDS shards (by default 1). Its min.insync.replicas is 1 as
# long as a topic or the cluster has no other: comparisons give --topic-config min.insync.replicas=2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
releases=$here/../node/tests/kafka
tools=${RINGMAIN_TOOLS_DIR:-$here/../target/test-tools}
ringmain=${RINGMAIN:-$here/../target/release/ringmain}
shards=${RINGMAIN_SHARDS:-1}

node_count=3
# A node that does not listen after so many tries, two a second, will not.
tries_max=120

# The node refuses variables of its name that it does not know.
unknown=()
for name in $(compgen -e | grep '^RINGMAIN' || true); do unknown+=(-u "$name"); done

usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

die() {
    echo "cluster.sh: $*" >&2
    exit 1
}

# FOLDER/cluster says what runs here.
load_cluster() {
    [ -e "$1/cluster" ] || die "$1 holds no cluster: cluster.sh up"
    # shellcheck source=/dev/null
    . "$1/cluster"
}

is_alive() {
    local state
    [ -e "/proc/$1/stat" ] || return 1
    # One that was killed and that nobody has waited for yet is not alive.
    state=$(sed 's/^.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) || return 1
    [ "$state" != Z ]
}

line() {
    local folder=$1 id=$2
    echo "node $id pid $(cat "$folder/node-$id.pid") kafka 127.0.0.1:$((port + id - 1))"
}

configure_kafka() {
    local folder=$1 id voters='' jars
    for ((id = 1; id <= node_count; id++)); do voters+=",$id@127.0.0.1:$((port + 9 + id))"; done
    jars=$("$releases/fetch.sh" "$version" "$tools")
    for ((id = 1; id <= node_count; id++)); do
        cat >"$folder/node-$id.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$id
listeners=PLAINTEXT://127.0.0.1:$((port + id - 1)),CONTROLLER://127.0.0.1:$((port + 9 + id))
advertised.listeners=PLAINTEXT://127.0.0.1:$((port + id - 1))
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.voters=${voters#,}
log.dirs=$folder/node-$id
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
log.segment.delete.delay.ms=1000
PROPERTIES
        case $version in
        3.*) ;;
        *)
            echo share.coordinator.state.topic.replication.factor=3
            echo share.coordinator.state.topic.min.isr=2
            ;;
        esac >>"$folder/node-$id.properties"
        java -cp "$jars/*" kafka.tools.StorageTool format --cluster-id ringmainBenchmarkPeer0 \
            --config "$folder/node-$id.properties" >&2
    done
}

configure_ringmain() {
    env "${unknown[@]}" "$ringmain" dev --nodes "$node_count" --shards "$shards" --admin off \
        --listen "127.0.0.1:$port" --write-config "$1/config" >&2
}

# Starts a node and does not wait for it.
launch() {
    local folder=$1 id=$2 jars
    if [ -e "$folder/node-$id.pid" ] && is_alive "$(cat "$folder/node-$id.pid")"; then
        die "node $id runs already"
    fi
    case $software in
    kafka)
        jars=$("$releases/fetch.sh" "$version" "$tools")
        java -Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
            -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent \
            -XX:MaxInlineLevel=15 -Djava.awt.headless=true \
            -cp "$jars/*" kafka.Kafka "$folder/node-$id.properties" >>"$folder/node-$id.output" 2>&1 </dev/null &
        ;;
    ringmain)
        # The process of this id becomes the node.
        env "${unknown[@]}" "$ringmain" start --config "$folder/config/node-$id.toml" \
            >>"$folder/node-$id.output" 2>&1 </dev/null &
        ;;
    esac
    echo $! >"$folder/node-$id.pid"
}

await() {
    local folder=$1 id=$2 pid tries=0
    pid=$(cat "$folder/node-$id.pid")
    until (exec 3<>"/dev/tcp/127.0.0.1/$((port + id - 1))") 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt "$tries_max" ] || ! is_alive "$pid"; then
            die "node $id does not listen; see $folder/node-$id.output"
        fi
        sleep 0.5
    done
}

up() {
    local folder id
    software=$1
    case $software in
    kafka) [ $# -eq 4 ] || usage; version=$2 port=$3 folder=$4 ;;
    ringmain) [ $# -eq 3 ] || usage; version='' port=$2 folder=$3 ;;
    *) usage ;;
    esac
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    if [ ! -e "$folder/cluster" ]; then
        "configure_$software" "$folder"
        echo "software=$software version=$version port=$port" >"$folder/cluster"
    fi
    load_cluster "$folder"
    # A cluster that is up in part is worse than none.
    trap 'down "$folder"' EXIT
    for ((id = 1; id <= node_count; id++)); do launch "$folder" "$id"; done
    for ((id = 1; id <= node_count; id++)); do await "$folder" "$id"; done
    trap - EXIT
    nodes "$folder"
}

nodes() {
    local id
    load_cluster "$1"
    for ((id = 1; id <= node_count; id++)); do
        if [ -e "$1/node-$id.pid" ] && is_alive "$(cat "$1/node-$id.pid")"; then line "$1" "$id"; fi
    done
}

start() {
    load_cluster "$1"
    launch "$1" "$2"
    await "$1" "$2"
    line "$1" "$2"
}

pids() { nodes "$1" | awk '{ printf "%s%s", comma, $4; comma = "," } END { print "" }'; }

pin() {
    local pid
    for pid in $(nodes "$1" | awk '{ print $4 }'); do taskset -a -c -p "$2" "$pid" >/dev/null; done
}

down() {
    local pid running
    running=$(nodes "$1" | awk '{ print $4 }')
    for pid in $running; do kill "$pid" 2>/dev/null || true; done
    for pid in $running; do
        while is_alive "$pid"; do sleep 0.2; done
    done
}

case "${1:-}" in
up) [ $# -ge 4 ] || usage; shift; up "$@" ;;
nodes) [ $# -eq 2 ] || usage; nodes "$2" ;;
start) [ $# -eq 3 ] || usage; start "$2" "$3" ;;
pids) [ $# -eq 2 ] || usage; pids "$2" ;;
pin) [ $# -eq 3 ] || usage; pin "$2" "$3" ;;
down) [ $# -eq 2 ] || usage; down "$2" ;;
*) usage ;;
esac
