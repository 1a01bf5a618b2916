//! The arguments: what is understood and what is wrong usage.

use super::*;
use clap::CommandFactory;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(line.split_whitespace())
}

#[test]
fn the_declaration_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_is_understood() {
    let lines = [
        "ringmain dev",
        "ringmain dev --data-dir d --listen 127.0.0.1:0 --admin off --shards 2 --set topics.auto_create=false",
        "ringmain start --config f.toml --check",
        "ringmain topic create a b --partitions 3 -c retention.ms=1 --if-not-exists --json",
        "ringmain topic list --brokers one:9092,two:9092",
        "ringmain topic describe a --configs",
        "ringmain topic alter a --set x=1 --unset y --append z=1 --subtract z=2 --partitions 9",
        "ringmain topic delete a --if-exists",
        "ringmain topic produce a - --key-separator \\t -z zstd --acks 1 --batch-bytes 1MiB",
        "ringmain topic consume a --from @5 --partition 0 --until-end --count 3 --json",
        "ringmain topic consume a --from 12 --format %s",
        "ringmain topic consume a --from 2026-01-01T00:00:00Z",
        "ringmain topic consume a --from -2h",
        "ringmain group list --state stable,preparing-rebalance --lag --json --watch=5",
        "ringmain group describe a b --members --json --watch",
        "ringmain group describe a --watch b",
        "ringmain group seek a --topic t:0,2-3 --topic u --to -2h --dry-run --json",
        "ringmain group seek a --all-topics --to -100",
        "ringmain group seek a --topic t --to earliest --create",
        "ringmain group seek a --from-file -",
        "ringmain group delete a b --topic t:1 --if-exists",
        "ringmain inspect segment 00000000000000000000.log --json",
    ];
    for line in lines {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn wrong_usage_is_refused() {
    let lines = [
        "ringmain",
        "ringmain serve",
        "ringmain start",
        "ringmain dev --set novalue",
        "ringmain topic create",
        "ringmain topic produce a --acks 2",
        "ringmain topic produce a --batch-bytes 0",
        "ringmain topic produce a --key-separator \\x",
        "ringmain topic consume a --from yesterday",
        "ringmain topic consume a --from -5",
        "ringmain topic consume a --json --format %s",
        "ringmain topic list --timeout 0",
        "ringmain group",
        "ringmain group list --state asleep",
        "ringmain group describe",
        "ringmain group describe a --watch=0",
        "ringmain group seek a --to earliest",
        "ringmain group seek a --topic t",
        "ringmain group seek a --topic t --all-topics --to earliest",
        "ringmain group seek a --from-file f --to earliest",
        "ringmain group seek a --from-file f --topic t",
        "ringmain group seek a --topic t --to yesterday",
        "ringmain group seek a --topic t:x --to earliest",
        "ringmain group delete",
    ];
    for line in lines {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn dev_becomes_a_configuration() {
    let line = "ringmain dev --data-dir d --listen 127.0.0.1:0 --admin off --shards 2 --set limits.request_bytes_max=1MiB";
    let Outcome::Serve(serve) = run(line.split_whitespace().map(OsString::from)) else {
        panic!("a valid line serves");
    };
    let Serve { config, reload_from } = *serve;
    assert!(reload_from.is_none(), "there is no file to read again");
    assert_eq!(config.data_dir, std::path::PathBuf::from("d"));
    assert_eq!(config.network.listen.port, 0);
    assert_eq!(config.network.admin, None);
    assert_eq!(config.limits.request_bytes_max, 1 << 20);
}
