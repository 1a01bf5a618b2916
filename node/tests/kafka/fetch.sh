#!/bin/sh
# Fetches one release of the Kafka broker by Maven, once, and prints the folder of its jars.
#   fetch.sh VERSION TOOLS_DIR
# VERSION is one of the broker-*.xml beside this file; its jars are kept in TOOLS_DIR.
set -eu
version=$1 tools=$2
here=$(cd "$(dirname "$0")" && pwd)
jars=$tools/kafka-broker-$version

if [ ! -e "$here/broker-$version.xml" ]; then
    echo "fetch.sh: there is no $here/broker-$version.xml" >&2
    exit 1
fi
if [ ! -e "$jars/.complete" ]; then
    mvn -q -B -f "$here/broker-$version.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$jars" >&2
    touch "$jars/.complete"
fi
echo "$jars"
