#!/bin/bash
# Runs Apache Kafka as a peer to measure against: one node (KRaft) on loopback, as its release would
# run it. Needs java, Maven (first time), taskset.
#
#   kafka.sh versions                      lists the releases that it knows
#   kafka.sh start VERSION PORT DATA_DIR   starts one, prints "ADDRESS PID" once it answers
#   kafka.sh warm ADDRESS PID              loads it until its compilers are quiet and it gets no faster
#   kafka.sh pin PID CORE                  pins all its threads to one processor
#   kafka.sh stop PID                      stops it and waits for its end
#
# In this order: a Kafka that is still being compiled, or was pinned before it was, is slower than its
# users see it. The releases are the broker-*.xml of ../node/tests/kafka, whose jars are kept in
# RINGMAIN_TOOLS_DIR (by default where the tests keep them). `warm` uses the harness itself,
# RINGMAIN_BENCH (by default ../target/release/ringmain-bench).
#
# What runs, compared with bin/kafka-server-start.sh and config/server.properties (3.9:
# config/kraft/server.properties) of the release:
# - Heap and collector flags are those of its scripts. The Java that runs it is the one in PATH.
# - The node's properties are the release's. Those that it spells out and that are left out below
#   (threads, socket buffers, partitions, retention, segment size) equal the broker's own defaults.
#   log.dirs and the addresses differ. Nothing is set that concerns flushing: Kafka acknowledges what
#   lies in the page cache, and a comparison with flushes sets flush.messages=1 on the topic.
# - Files of deleted topics go after a second rather than a minute: otherwise a comparison fills the
#   disk, and each round has to take fresh pages for its page cache.
# - Left out, all to Kafka's advantage: its log files (no SLF4J binding), the collector's log, JMX.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
releases=$here/../node/tests/kafka
tools=${RINGMAIN_TOOLS_DIR:-$here/../target/test-tools}
bench=${RINGMAIN_BENCH:-$here/../target/release/ringmain-bench}

# `warm`: one round is some 6 s of load. It is over after two rounds in a row in which the compilers
# used less of a processor than this, and none of the last two was faster than the best by more.
compilers_percent_max=5
faster_percent_max=5
# 3 to 8 rounds are usual with two processors. After so many it says so and goes on.
rounds_max=20

usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

versions() {
    for release in "$releases"/broker-*.xml; do
        release=${release##*/broker-}
        echo "${release%.xml}"
    done
}

start() {
    local version=$1 port=$2 data=$3 jars pid tries=0
    jars=$("$releases/fetch.sh" "$version" "$tools")
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
log.segment.delete.delay.ms=1000
PROPERTIES
    case $version in
    3.*) ;;
    *)
        echo share.coordinator.state.topic.replication.factor=1
        echo share.coordinator.state.topic.min.isr=1
        ;;
    esac >>"$data/server.properties"
    if [ ! -e "$data/logs/meta.properties" ]; then
        java -cp "$jars/*" kafka.tools.StorageTool format --cluster-id ringmainBenchmarkPeer0 \
            --config "$data/server.properties" >&2
    fi
    java -Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
        -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent \
        -XX:MaxInlineLevel=15 -Djava.awt.headless=true \
        -cp "$jars/*" kafka.Kafka "$data/server.properties" >"$data/output" 2>&1 </dev/null &
    pid=$!
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

# Clock ticks that the compilers of a Java process have used.
compiler_ticks() {
    awk '
        FNR == 1 {
            name = $0; sub(/^[^(]*\(/, "", name); sub(/\)[^)]*$/, "", name)
            rest = $0; sub(/^.*\) /, "", rest); split(rest, field, " ")
            if (name ~ /^C[12] Compiler/) compilers += field[12] + field[13]
        }
        END { print compilers + 0 }' "/proc/$1/task/"*/stat 2>/dev/null
}

# Runs the harness, silent unless it fails; FLAGS... of it.
run_bench() {
    "$bench" "$@" 2>"$errors" || {
        cat "$errors" >&2
        exit 1
    }
}

# One round of the kinds of work that comparisons measure; prints the batches' throughput in MB/s.
load() {
    local broker=(--broker "$1" --warm-up 0)
    run_bench produce "${broker[@]}" --connections 4 --records-per-request 1 --in-flight 64 --seconds 1 >/dev/null
    run_bench end-to-end "${broker[@]}" --records-per-request 1 --rate 2000 --seconds 1 >/dev/null
    run_bench produce "${broker[@]}" --topic-config flush.messages=1 --seconds 1 >/dev/null
    run_bench produce "${broker[@]}" --connections 4 --seconds 3 --json |
        sed -n 's/"megabytes_per_second":\([0-9]*\)/\n\1\n/; s/^[^\n]*\n\([0-9]*\)\n.*/\1/p'
}

warm() {
    local address=$1 pid=$2 round rate best=0 quiet=0 before after began percent hertz
    hertz=$(getconf CLK_TCK)
    errors=$(mktemp)
    trap 'rm -f "$errors"' EXIT
    for ((round = 1; round <= rounds_max; round++)); do
        before=$(compiler_ticks "$pid") began=${EPOCHREALTIME/./}
        rate=$(load "$address")
        after=$(compiler_ticks "$pid")
        # The Java machine ends compiler threads that have nothing to do, and their time goes with them.
        percent=$(((after - before) * 100 * 1000000 / hertz / (${EPOCHREALTIME/./} - began)))
        [ "$percent" -ge 0 ] || percent=0
        echo "kafka.sh: round $round: $rate MB/s, compilers $percent % of a processor" >&2
        if [ "$percent" -lt "$compilers_percent_max" ] &&
            [ $((rate * 100)) -le $((best * (100 + faster_percent_max))) ]; then
            quiet=$((quiet + 1))
        else
            quiet=0
        fi
        [ "$rate" -le "$best" ] || best=$rate
        [ "$quiet" -lt 2 ] || return 0
    done
    echo "kafka.sh: not quiet after $rounds_max rounds: what is measured now may flatter its peer" >&2
}

stop() {
    kill "$1"
    while kill -0 "$1" 2>/dev/null; do sleep 0.2; done
}

case "${1:-}" in
versions) [ $# -eq 1 ] || usage; versions ;;
start) [ $# -eq 4 ] || usage; start "$2" "$3" "$4" ;;
warm) [ $# -eq 3 ] || usage; warm "$2" "$3" ;;
pin) [ $# -eq 3 ] || usage; taskset -a -c -p "$3" "$2" >/dev/null ;;
stop) [ $# -eq 2 ] || usage; stop "$2" ;;
*) usage ;;
esac
