//! Host names that the configuration tells to others, or dials: whether they resolve, and to what.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::finding::Verdict;
use crate::config::NodeConfig;

/// For all names together; a resolver without an answer may take half a minute.
const PATIENCE: Duration = Duration::from_secs(3);

/// What names stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NameFacts(BTreeMap<String, Resolved>);

type Resolved = Result<Vec<IpAddr>, String>;

impl NameFacts {
    /// Asks for all hosts that the configuration names, at the same time.
    pub(super) fn ask(config: &NodeConfig) -> Self {
        let (tell, told) = mpsc::channel();
        let mut names: BTreeMap<String, Resolved> = BTreeMap::new();
        for (_, host) in hosts(config) {
            if names.contains_key(&host) {
                continue;
            }
            let no_answer = Err(format!("no answer within {} s", PATIENCE.as_secs()));
            names.insert(host.clone(), no_answer);
            let tell = tell.clone();
            // Left alone when it takes too long: the process ends soon.
            thread::spawn(move || {
                let resolved = (host.as_str(), 0).to_socket_addrs();
                let resolved = resolved
                    .map(|all| all.map(|address| address.ip()).collect())
                    .map_err(|error| error.to_string());
                // The receiver may have given up.
                drop(tell.send((host, resolved)));
            });
        }
        drop(tell);
        let deadline = Instant::now() + PATIENCE;
        while let Ok((host, resolved)) = told.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            names.insert(host, resolved);
        }
        Self(names)
    }
}

/// Hosts with the option that names each.
fn hosts(config: &NodeConfig) -> Vec<(&'static str, String)> {
    let listen = &config.network.listen;
    let mut hosts = match &config.network.advertised {
        Some(advertised) => vec![("network.advertised", advertised.host.clone())],
        None if listen.is_wildcard() => vec![],
        None => vec![("network.listen", listen.host.clone())],
    };
    if let Some(cluster) = &config.cluster {
        hosts.push(("cluster.advertised_host", cluster.advertised_host().to_owned()));
        hosts.extend(cluster.voters.iter().map(|voter| ("cluster.voters", voter.address.host.clone())));
    }
    hosts
}

/// One verdict for each name that is wrong, or one for all.
pub(super) fn resolve(facts: &NameFacts, config: &NodeConfig) -> Vec<Verdict> {
    let asked = hosts(config);
    let verdicts: Vec<Verdict> =
        asked.iter().filter_map(|(option, host)| wrong(facts, config, option, host)).collect();
    if !verdicts.is_empty() {
        return verdicts;
    }
    let mut shown: Vec<&str> = asked.iter().map(|(_, host)| host.as_str()).collect();
    shown.dedup();
    vec![Verdict::ok(if shown.is_empty() { "none to resolve".to_owned() } else { shown.join(", ") })]
}

fn wrong(facts: &NameFacts, config: &NodeConfig, option: &str, host: &str) -> Option<Verdict> {
    let addresses = match facts.0.get(host)? {
        Ok(addresses) => addresses,
        Err(error) => {
            return Some(Verdict::problem(
                format!("{option}: {host}: {error}"),
                format!("getent hosts {host}"),
            ));
        }
    };
    let is_own = matches!(option, "network.advertised" | "network.listen" | "cluster.advertised_host");
    let listens_beyond = |listen: &crate::config::HostPort| {
        listen.host.parse::<IpAddr>().map_or(listen.host != "localhost", |address| !address.is_loopback())
    };
    let beyond = match (option, &config.cluster) {
        ("cluster.advertised_host", Some(cluster)) => listens_beyond(&cluster.listen),
        _ => listens_beyond(&config.network.listen),
    };
    if is_own && beyond && !addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback) {
        return Some(Verdict::problem(
            format!("{option}: {host} is {} here: others are told to connect to themselves", addresses[0]),
            format!(
                "set {option} to an address that they reach, or take {host} out of the loopback line of /etc/hosts"
            ),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;
    use crate::config::HostPort;

    fn config(listen: &str, advertised: &str) -> NodeConfig {
        let mut config = NodeConfig::default();
        config.network.listen = HostPort::parse(listen).expect("an address");
        config.network.advertised = Some(HostPort::parse(advertised).expect("an address"));
        config
    }

    fn facts(host: &str, resolved: Result<[u8; 4], &str>) -> NameFacts {
        let resolved = resolved.map(|address| vec![IpAddr::from(address)]).map_err(str::to_owned);
        NameFacts(BTreeMap::from([(host.to_owned(), resolved)]))
    }

    #[test]
    fn names_must_resolve_to_what_others_reach() {
        let everywhere = config("0.0.0.0:9092", "broker-1:9092");
        let judge = |facts: NameFacts, config: &NodeConfig| resolve(&facts, config).remove(0).status;
        assert_eq!(judge(facts("broker-1", Ok([10, 0, 0, 7])), &everywhere), Status::Ok);
        assert_eq!(judge(facts("broker-1", Ok([127, 0, 1, 1])), &everywhere), Status::Problem);
        assert_eq!(judge(facts("broker-1", Err("not known")), &everywhere), Status::Problem);
        let local = config("127.0.0.1:9092", "broker-1:9092");
        assert_eq!(judge(facts("broker-1", Ok([127, 0, 1, 1])), &local), Status::Ok, "nobody else is served");
    }

    #[test]
    fn numbers_resolve_without_asking_anybody() {
        let config = config("0.0.0.0:9092", "10.1.2.3:9092");
        assert_eq!(resolve(&NameFacts::ask(&config), &config).remove(0).status, Status::Ok);
    }
}
