#!/bin/bash
# Measures every goal, against Apache Kafka in the same run, and says which are reached. Needs what
# kafka.sh needs, and jq.
#
#   goals.sh all  [OPTION]...         starts both brokers, measures every row, stops them
#   goals.sh rows                     lists the rows
#   goals.sh up   [OPTION]...         starts and warms both brokers, and leaves them running
#   goals.sh row  NAME [OPTION]...    measures one row against the brokers that are up
#   goals.sh table [OPTION]...        prints the table of the rows measured so far
#   goals.sh floor [OPTION]...        measures what no broker can be faster than on this machine
#   goals.sh down [OPTION]...         stops the brokers, removes their data
#
#   --kafka VERSION       peer, one of `kafka.sh versions` (the newest)
#   --shards N            Ringmain's shards: 1 runs on the processor --broker-core; with more, both
#                         brokers may use all processors, the client's too (1)
#   --out DIR             reports (JSON, HTML) and the table, kept (./goals-VERSION-SHARDS)
#   --data DIR            where both brokers' data goes, removed in the end (/var/tmp)
#   --rounds N            pairs of a comparison (6)
#   --seconds N           seconds of a run (2)
#   --others-max SHARE    a pair in which others used more of the machine is repeated (0.1)
#   --broker-core N --client-core N   (0, 1)
#   --nice N              of brokers and client; below 0 needs root (0)
#   --steady-gibibytes N  free memory kept from going back to the host, 0 for none (8)
#   --start-gigabytes N --start-partitions N   what a start after kill -9 finds (4, 2000)
#   --idle-partitions N   over which the memory of an idle partition is measured (2000)
#   --kills N             leaders killed in the row failover (30)
#   --ringmain PATH --bench PATH      the programs (../target/release/...)
#
# Brokers and client run in the same scheduling class. Kafka is warmed until its compilers are quiet.
# Kafka acknowledges from its page cache; where a row says flushed, its topic has flush.messages=1.
# "durable" is Ringmain's default, flushed before the acknowledgement; "written" is write.caching=true,
# written by direct I/O and not flushed. Each comparison measures Kafka twice a round: the control.
# The rows replicated and failover have clusters of three nodes of their own, by cluster.sh; with one
# shard all three nodes of each run on the processor --broker-core.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

kafka_version=$("$here/kafka.sh" versions | sort -V | tail -1)
shards=1 out='' data=/var/tmp rounds=6 seconds=2 others_max=0.1 broker_core=0 client_core=1 nice=0
steady_gibibytes=8 start_gigabytes=4 start_partitions=2000 idle_partitions=2000 kills=30
ringmain=$here/../target/release/ringmain bench=$here/../target/release/ringmain-bench
# Of the brokers that are up, as `up` leaves them in a file.
kafka_pid='' kafka_folder='' ringmain_pid='' ringmain_folder='' steady_pid=''
# A node of a row's own, and whether this call has to end the brokers.
node_pid='' node_folder='' are_brokers_ours=''
# The folder in which the device is measured.
floor_folder=''
# Folders of a row's own clusters.
clusters=()
# Seconds of load after which a cluster of Kafka is compiled.
cluster_warm_seconds=45
kafka_port=${GOALS_KAFKA_PORT:-19592} ringmain_port=${GOALS_RINGMAIN_PORT:-19692}

usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

say() { echo "goals.sh: $*" >&2; }

die() {
    say "$*"
    exit 1
}

# ---------------------------------------------------------------- the goals

# ROW | what | durability | metric | at most or at least | must | goal
# Nothing is laid down for replicated work: its rows are held to what a lone node is held to.
# Rows of the same name come from one measurement. The metric is that of Ringmain with this durability,
# as a ratio to Kafka in the same round; "=" before it: the value itself, whatever Kafka's is; "!" before
# it: a number that no comparison gives.
goals() {
    cat <<'GOALS'
batches|CPU a GB, 1 connection|written|broker CPU a gigabyte|<=|0.5|0.30
batches|CPU a GB, 1 connection|durable|broker CPU a gigabyte|<=|0.5|0.30
batches|throughput, 1 connection|written|throughput|>=|2|3
batches|throughput, 1 connection|durable|throughput|>=|2|3
batches-4|CPU a GB, 4 connections|written|broker CPU a gigabyte|<=|0.5|0.30
batches-4|CPU a GB, 4 connections|durable|broker CPU a gigabyte|<=|0.5|0.30
batches-4|throughput, 4 connections|written|throughput|>=|2|3
batches-4|throughput, 4 connections|durable|throughput|>=|2|3
batches-16|CPU a GB, 16 connections|written|broker CPU a gigabyte|<=|0.5|0.30
batches-16|CPU a GB, 16 connections|durable|broker CPU a gigabyte|<=|0.5|0.30
batches-16|throughput, 16 connections|written|throughput|>=|2|3
batches-16|throughput, 16 connections|durable|throughput|>=|2|3
flushed|throughput, Kafka flushes too, 1 connection|durable|throughput|>=|3|8
flushed-4|throughput, Kafka flushes too, 4 connections|durable|throughput|>=|3|8
single|one record a request, requests/s|written|requests|>=|2.5|4
single|one record a request, requests/s|durable|requests|>=|2.5|4
single-1000|the same over 1,000 partitions, requests/s|written|requests|>=|1.5|3
single-1000|the same over 1,000 partitions, requests/s|durable|requests|>=|1.5|3
latency|end to end at 1,000 records/s, p50|written|end to end p50|<=|0.7|0.5
latency|end to end at 1,000 records/s, p50|durable|end to end p50|<=|0.7|0.5
latency|end to end at 1,000 records/s, p99|written|end to end p99|<=|1|0.7
latency|end to end at 1,000 records/s, p99|durable|end to end p99|<=|1|0.7
consume|CPU a GB, consume, warm|durable|broker CPU a gigabyte|<=|1|0.8
cold-readers|p99 of producers beside a cold reader, to without|written|=p99 beside readers to alone|<=|1.5|1.1
cold-readers|p99 of producers beside a cold reader, to without|durable|=p99 beside readers to alone|<=|1.5|1.1
partitions|throughput over 1,000 partitions, to one|durable|=throughput over many partitions to one|>=|0.5|0.8
memory|RSS, just started, MiB|-|!idle|<=|240|96
memory|RSS for an idle partition, KiB|-|!partition|<=|64|16
start|start after kill -9, s|-|!seconds|<=|10|3
replicated|CPU of 3 nodes a GB, 3 replicas, 1 connection|written|broker CPU a gigabyte|<=|0.5|0.30
replicated|CPU of 3 nodes a GB, 3 replicas, 1 connection|durable|broker CPU a gigabyte|<=|0.5|0.30
replicated|throughput, 3 replicas, 1 connection|written|throughput|>=|2|3
replicated|throughput, 3 replicas, 1 connection|durable|throughput|>=|2|3
replicated-4|CPU of 3 nodes a GB, 3 replicas, 4 connections|written|broker CPU a gigabyte|<=|0.5|0.30
replicated-4|CPU of 3 nodes a GB, 3 replicas, 4 connections|durable|broker CPU a gigabyte|<=|0.5|0.30
replicated-4|throughput, 3 replicas, 4 connections|written|throughput|>=|2|3
replicated-4|throughput, 3 replicas, 4 connections|durable|throughput|>=|2|3
failover|leader killed: longest gap, median, s|-|!median|<=|3|1.5
failover|leader killed: longest gap, worst, s|-|!worst|<=|3|1.5
GOALS
}

rows() { goals | cut -d'|' -f1 | uniq; }

# ---------------------------------------------------------------- the brokers

# Prints the process id; FOLDER, PORT and where to run.
start_ringmain() {
    local folder=$1 port=$2 cores=$broker_core pid tries=0 name unknown=()
    [ "$shards" -eq 1 ] || cores=0-$(($(nproc) - 1))
    # The node refuses variables of its name that it does not know.
    for name in $(compgen -e | grep '^RINGMAIN_' || true); do unknown+=(-u "$name"); done
    # Each of these programs becomes the next one, so the process id is the node's.
    env "${unknown[@]}" taskset -c "$cores" nice -n "$nice" "$ringmain" dev --shards "$shards" \
        --data-dir "$folder" --listen "127.0.0.1:$port" --admin off >"$folder.log" 2>&1 </dev/null &
    pid=$!
    until "$ringmain" topic list --brokers "127.0.0.1:$port" --timeout 1 >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 6000 ] || ! kill -0 "$pid" 2>/dev/null; then
            kill -KILL "$pid" 2>/dev/null || true
            die "ringmain does not start; see $folder.log"
        fi
        sleep 0.01
    done
    echo "$pid"
}

end_process() {
    kill "-$2" "$1" 2>/dev/null || return 0
    while kill -0 "$1" 2>/dev/null; do sleep 0.1; done
}

# Ends a row's own node and removes its data.
end_node() {
    [ -z "$node_pid" ] || end_process "$node_pid" "$1"
    node_pid=''
    [ "$1" = KILL ] || rm -rf "$node_folder" "$node_folder.log"
}

# Whatever ends this script: nothing that it started stays, unless it was asked to leave it.
clean_up() {
    [ -z "$node_pid" ] || end_node TERM
    end_clusters
    [ -z "$floor_folder" ] || rm -rf "$floor_folder"
    [ -z "$are_brokers_ours" ] || down
}

save_state() {
    cat >"$out/brokers" <<STATE
kafka_pid=$kafka_pid kafka_folder=$kafka_folder ringmain_pid=$ringmain_pid
ringmain_folder=$ringmain_folder steady_pid=$steady_pid
STATE
}

# Starts both; with an argument they end with this script.
up() {
    local started folder
    [ ! -e "$out/brokers" ] || die "they are up already: $out/brokers"
    for folder in "$data/goals-kafka" "$data/goals-ringmain"; do
        [ ! -e "$folder" ] || die "$folder exists; remove it or choose another --data"
    done
    are_brokers_ours=${1:-}
    # Only from here on are these ours to remove.
    kafka_folder=$data/goals-kafka ringmain_folder=$data/goals-ringmain
    if [ "$steady_gibibytes" -gt 0 ]; then
        "$bench" steady-memory --gibibytes "$steady_gibibytes" >"$out/steady-memory" 2>&1 </dev/null &
        steady_pid=$!
        save_state
        while ! grep -q holding "$out/steady-memory"; do
            kill -0 "$steady_pid" 2>/dev/null || die "no memory could be held: $(cat "$out/steady-memory")"
            sleep 0.1
        done
    fi
    started=$(nice -n "$nice" "$here/kafka.sh" start "$kafka_version" "$kafka_port" "$kafka_folder")
    kafka_pid=${started#* }
    save_state
    ringmain_pid=$(start_ringmain "$ringmain_folder" "$ringmain_port")
    save_state
    RINGMAIN_BENCH=$bench "$here/kafka.sh" warm "127.0.0.1:$kafka_port" "$kafka_pid"
    [ "$shards" -ne 1 ] || "$here/kafka.sh" pin "$kafka_pid" "$broker_core"
    say "Kafka $kafka_version is $kafka_pid, Ringmain $ringmain_pid"
}

load_state() {
    # shellcheck source=/dev/null
    [ ! -e "$out/brokers" ] || . "$out/brokers"
}

down() {
    local pid
    load_state
    for pid in $ringmain_pid $kafka_pid $steady_pid; do end_process "$pid" TERM; done
    [ -z "$ringmain_folder" ] || rm -rf "$ringmain_folder" "$ringmain_folder.log" "$kafka_folder"
    rm -f "$out/brokers" "$out/steady-memory"
}

# ---------------------------------------------------------------- comparisons

# ROW WORKLOAD KAFKA-CONFIG DURABILITIES FLAGS...: compares, keeps the report.
compare() {
    local row=$1 workload=$here/workloads/$2.toml kafka_config=$3 durabilities=$4 name config targets=()
    shift 4
    if [ -z "$kafka_pid" ] || [ -z "$ringmain_pid" ]; then die "no brokers are up in $out: goals.sh up"; fi
    for name in $durabilities; do
        config=''
        [ "$name" != written ] || config=,write.caching=true
        targets+=("$name=127.0.0.1:$ringmain_port,pid=$ringmain_pid,data-dir=$ringmain_folder$config")
    done
    # It ends with an error when the comparison has no result; the report then says why.
    nice -n "$nice" "$bench" compare --workload "$workload" --client-core "$client_core" \
        --others-max "$others_max" --note "goals.sh $row, Kafka $kafka_version, shards $shards" \
        --json-file "$out/$row.json" --html "$out/$row.html" "$@" \
        "kafka=127.0.0.1:$kafka_port,pid=$kafka_pid,data-dir=$kafka_folder/logs$kafka_config" \
        "${targets[@]}" >"$out/$row.txt" || [ -s "$out/$row.json" ] || die "$row failed"
}

measure() {
    local row=$1 flags
    flags=(--rounds "$rounds" --seconds "$seconds" --warm-up 0.5)
    say "row $row"
    rm -f "$out/$row.json" "$out/$row.html" "$out/$row.txt" "$out/$row.numbers"
    case $row in
    batches) compare "$row" throughput-64kib-batches '' 'durable written' "${flags[@]}" ;;
    batches-4) compare "$row" throughput-64kib-batches '' 'durable written' "${flags[@]}" --connections 4 ;;
    batches-16) compare "$row" throughput-64kib-batches '' 'durable written' "${flags[@]}" --connections 16 ;;
    flushed) compare "$row" throughput-64kib-batches ,flush.messages=1 durable "${flags[@]}" ;;
    flushed-4) compare "$row" throughput-64kib-batches ,flush.messages=1 durable "${flags[@]}" --connections 4 ;;
    single) compare "$row" one-record-a-request '' 'durable written' "${flags[@]}" ;;
    single-1000)
        compare "$row" one-record-a-request-over-1000-partitions '' 'durable written' "${flags[@]}"
        ;;
    # A p99 needs a few thousand requests.
    latency)
        compare "$row" latency-1000-a-second '' 'durable written' --rounds "$rounds" --warm-up 0.5 \
            --seconds $((seconds * 2))
        ;;
    consume) compare "$row" catch-up-from-memory '' durable --rounds "$rounds" --bytes 512MiB --passes 2 ;;
    # Each run writes what is then read from disk: far more than the newest records in memory (256 MiB a shard).
    cold-readers)
        compare "$row" producers-beside-catch-up '' 'durable written' --rounds $(((rounds + 1) / 2)) \
            --bytes 2GiB --warm-up 1 --seconds $((seconds * 2))
        ;;
    partitions) compare "$row" thousand-partitions-against-one '' durable "${flags[@]}" ;;
    memory) measure_memory ;;
    start) measure_start ;;
    replicated) measure_replicated "$row" 1 ;;
    replicated-4) measure_replicated "$row" 4 ;;
    failover) measure_failover ;;
    *) die "there is no row $row: $(rows | tr '\n' ' ')" ;;
    esac
}

# ---------------------------------------------------------------- rows without a peer

# ROW NAME VALUE NOTE: a number for the table.
note_number() { printf '%s\t%s\t%s\n' "$2" "$3" "$4" >>"$out/$1.numbers"; }

resident_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

measure_memory() {
    local port=$((ringmain_port + 20)) before after
    [ ! -e "$data/goals-idle" ] || die "$data/goals-idle exists; remove it or choose another --data"
    node_folder=$data/goals-idle
    node_pid=$(start_ringmain "$node_folder" "$port")
    sleep 2
    before=$(resident_kib "$node_pid")
    "$ringmain" topic create idle --partitions "$idle_partitions" --brokers "127.0.0.1:$port" >/dev/null
    sleep 5
    after=$(resident_kib "$node_pid")
    end_node TERM
    note_number memory idle "$(awk "BEGIN { printf \"%.1f\", $before / 1024 }")" "after 2 s"
    note_number memory partition \
        "$(awk "BEGIN { printf \"%.1f\", ($after - $before) / $idle_partitions }")" \
        "over $idle_partitions partitions"
}

# A start counts from the exec of the program to the first acknowledged record in a topic of before.
measure_start() {
    local port=$((ringmain_port + 20)) began free ended
    free=$(df --output=avail -BG "$data" | tail -1 | tr -dc 0-9)
    [ "$free" -gt $((start_gigabytes * 2)) ] || die "start: $data has only $free GiB free"
    [ ! -e "$data/goals-start" ] || die "$data/goals-start exists; remove it or choose another --data"
    node_folder=$data/goals-start
    node_pid=$(start_ringmain "$node_folder" "$port")
    "$ringmain" topic create filled --partitions "$start_partitions" --brokers "127.0.0.1:$port" >/dev/null
    until [ "$(du -s -BM "$node_folder" | cut -f1 | tr -dc 0-9)" -ge $((start_gigabytes * 1000)) ]; do
        "$bench" produce --broker "127.0.0.1:$port" --topic filled --connections 4 \
            --partitions "$start_partitions" --warm-up 0 --seconds 5 >/dev/null
    done
    end_node KILL
    # As after a restart of the machine: nothing of it is in memory.
    sync
    [ ! -w /proc/sys/vm/drop_caches ] || echo 3 >/proc/sys/vm/drop_caches
    began=$EPOCHREALTIME
    node_pid=$(start_ringmain "$node_folder" "$port")
    "$bench" produce --broker "127.0.0.1:$port" --topic filled --partitions "$start_partitions" \
        --records-per-request 1 --warm-up 0 --seconds 0.01 >/dev/null
    ended=$EPOCHREALTIME
    end_node TERM
    note_number start seconds "$(awk "BEGIN { printf \"%.2f\", $ended - $began }")" \
        "$start_gigabytes GB in $start_partitions partitions"
}

# ---------------------------------------------------------------- rows of clusters

# FOLDER ARGUMENTS...: starts a cluster of three nodes that ends with this script.
start_cluster() {
    local folder=$1
    shift
    [ ! -e "$folder" ] || die "$folder exists; remove it or choose another --data"
    clusters+=("$folder")
    RINGMAIN=$ringmain RINGMAIN_SHARDS=$shards nice -n "$nice" "$here/cluster.sh" up "$@" "$folder" >&2
}

end_clusters() {
    local folder
    for folder in "${clusters[@]}"; do
        [ ! -e "$folder/cluster" ] || "$here/cluster.sh" down "$folder"
        rm -rf "$folder"
    done
    clusters=()
}

# FOLDER: the process ids of its nodes, as the harness takes them.
cluster_pids() { "$here/cluster.sh" pids "$1" | tr , +; }

# ROW CONNECTIONS: as many partitions, so that leaders lie on all nodes.
measure_replicated() {
    local row=$1 connections=$2 kafka=$data/goals-kafka-cluster nodes=$data/goals-ringmain-cluster load name
    local port_kafka=$((kafka_port + 40)) port_nodes=$((ringmain_port + 40)) config targets=()
    load=(--connections "$connections" --partitions "$connections" --topic-config min.insync.replicas=2)
    start_cluster "$kafka" kafka "$kafka_version" "$port_kafka"
    start_cluster "$nodes" ringmain "$port_nodes"
    "$bench" replicated --broker "127.0.0.1:$port_kafka" "${load[@]}" --seconds "$cluster_warm_seconds" >/dev/null
    if [ "$shards" -eq 1 ]; then
        "$here/cluster.sh" pin "$kafka" "$broker_core"
        "$here/cluster.sh" pin "$nodes" "$broker_core"
    fi
    for name in durable written; do
        config=''
        [ "$name" != written ] || config=,write.caching=true
        targets+=("$name=127.0.0.1:$port_nodes,pid=$(cluster_pids "$nodes")$config")
    done
    # It ends with an error when the comparison has no result; the report then says why.
    nice -n "$nice" "$bench" compare replicated --client-core "$client_core" --others-max "$others_max" \
        --note "goals.sh $row, Kafka $kafka_version, shards $shards" --rounds "$rounds" --seconds "$seconds" \
        --warm-up 1 "${load[@]}" --json-file "$out/$row.json" --html "$out/$row.html" \
        "kafka=127.0.0.1:$port_kafka,pid=$(cluster_pids "$kafka")" "${targets[@]}" >"$out/$row.txt" ||
        [ -s "$out/$row.json" ] || die "$row failed"
    end_clusters
}

measure_failover() {
    local nodes=$data/goals-ringmain-cluster name
    start_cluster "$nodes" ringmain $((ringmain_port + 40))
    "$here/cluster.sh" nodes "$nodes" >"$out/failover.nodes"
    RINGMAIN=$ringmain "$bench" failover --nodes "$out/failover.nodes" --kills "$kills" \
        --topic-config min.insync.replicas=2 \
        --restart "'$here/cluster.sh' start '$nodes' {node}" \
        --json-file "$out/failover.json" --html "$out/failover.html" >"$out/failover.txt"
    for name in median worst; do
        note_number failover "$name" \
            "$(jq -r --arg name "longest gap: $name" \
                '[.. | .facts? | arrays | .[] | select(.name == $name)] | first | .value / 1000' \
                "$out/failover.json")" "of $kills kills"
    done
    end_clusters
}

# ---------------------------------------------------------------- the table

# REPORT TARGET METRIC ratio|value: median, least, greatest, median of the control, number of doubts.
ratio_of() {
    jq -r --arg target "$2" --arg metric "$3" --arg which "$4" '
        ([.. | .doubts? | arrays | .[]] | unique | length) as $doubts
        | [.. | .metrics? | arrays | .[] | select(.name == $metric)] | first // error("no \($metric)")
        | .control.median as $control
        | .targets[] | select(.name == $target) | .[$which]
        | [.median, .min, .max, $control, $doubts] | map(tostring) | join(" ")' "$1"
}

verdict() {
    awk -v value="$1" -v way="$2" -v must="$3" -v goal="$4" 'BEGIN {
        if (way == ">=") { value = -value; must = -must; goal = -goal }
        print value <= goal ? "goal" : value <= must ? "must" : "missed"
    }'
}

table() {
    local row what durability metric way must goal value least greatest control doubts spread note which verdict
    echo "Kafka $kafka_version, $shards shard(s) of Ringmain; broker on processor $broker_core, client on" \
        "$client_core, nice $nice; $rounds rounds of $seconds s."
    echo
    # What the doubts are stands in the reports.
    echo "| row | what | durability | ratio or value | must | goal | verdict | control | doubts |"
    echo "|---|---|---|---|---|---|---|---|---|"
    while IFS='|' read -r row what durability metric way must goal; do
        case $metric in
        !*)
            [ -s "$out/$row.numbers" ] || continue
            IFS=$'\t' read -r _ value note < <(grep "^${metric#!}"$'\t' "$out/$row.numbers")
            spread="$value, $note" control=- doubts=-
            ;;
        *)
            [ -s "$out/$row.json" ] || continue
            which=ratio
            [ "${metric#=}" = "$metric" ] || which=value
            read -r value least greatest control doubts < <(
                ratio_of "$out/$row.json" "$durability" "${metric#=}" "$which")
            spread=$(printf '%.3g (%.3g to %.3g)' "$value" "$least" "$greatest")
            control=$(printf %.3g "$control")
            ;;
        esac
        verdict=$(verdict "$value" "$way" "$must" "$goal")
        [ "$doubts" = - ] || [ "$doubts" -eq 0 ] || verdict+=', doubtful'
        echo "| $row | $what | $durability | $spread | $way $must | $way $goal | $verdict | $control | $doubts |"
    done < <(goals)
}

# A broker that stores nothing, at the rate of the row latency: what client, loopback and two wake-ups
# take. And the device, one write at a time, as a round of group commit has it.
floor() {
    [ ! -e "$data/goals-floor" ] || die "$data/goals-floor exists; remove it or choose another --data"
    floor_folder=$data/goals-floor
    mkdir "$floor_folder"
    {
        nice -n "$nice" "$bench" self --broker-core "$broker_core" --client-core "$client_core" \
            --records-per-request 1 --rate 1000 --seconds $((seconds * 2))
        nice -n "$nice" "$bench" disk --client-core "$broker_core" --directory "$floor_folder" --seconds 1 \
            --work overwrite,zeros-ahead,growing --sizes 4KiB,64KiB,256KiB --depths 1
    } | tee "$out/floor.txt"
}

all() {
    local row
    up yes
    for row in $(rows); do
        measure "$row"
    done
    table | tee "$out/goals.md"
}

# ---------------------------------------------------------------- the command line

[ $# -gt 0 ] || usage
trap clean_up EXIT
command=$1 row=''
shift
if [ "$command" = row ]; then
    [ $# -gt 0 ] || usage
    row=$1
    shift
fi
while [ $# -gt 0 ]; do
    [ $# -gt 1 ] || usage
    case $1 in
    --kafka) kafka_version=$2 ;;
    --shards) shards=$2 ;;
    --out) out=$2 ;;
    --data) data=$2 ;;
    --rounds) rounds=$2 ;;
    --seconds) seconds=$2 ;;
    --others-max) others_max=$2 ;;
    --broker-core) broker_core=$2 ;;
    --client-core) client_core=$2 ;;
    --nice) nice=$2 ;;
    --steady-gibibytes) steady_gibibytes=$2 ;;
    --start-gigabytes) start_gigabytes=$2 ;;
    --start-partitions) start_partitions=$2 ;;
    --idle-partitions) idle_partitions=$2 ;;
    --kills) kills=$2 ;;
    --ringmain) ringmain=$2 ;;
    --bench) bench=$2 ;;
    *) usage ;;
    esac
    shift 2
done
out=${out:-goals-$kafka_version-$shards}
mkdir -p "$out"
case $command in
all) all ;;
rows) rows ;;
up) up ;;
row)
    load_state
    measure "$row"
    table | grep -F -e '| row |' -e '|---' -e "| $row |"
    ;;
table) table ;;
floor) floor ;;
down) down ;;
*) usage ;;
esac
