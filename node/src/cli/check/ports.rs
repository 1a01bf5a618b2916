//! Ports of the node: free, or taken by a node that runs; never by anybody else.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::SystemFiles;
use super::finding::Verdict;
use crate::config::{HostPort, NodeConfig};

/// What the program is called in `/proc`.
const OWN_NAME: &str = "ringmain";
/// TCP's state of a socket that accepts, as `/proc` writes it.
const LISTENING: &str = "0A";

/// Sockets that take connections or datagrams, and the range of ports that the kernel gives to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PortFacts {
    tcp: Vec<Bound>,
    udp: Vec<Bound>,
    ephemeral: Option<(u16, u16)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    address: SocketAddr,
    inode: u64,
    /// Name and number of the process; `None` where this user may not see whose it is.
    owner: Option<(String, u32)>,
}

impl PortFacts {
    pub(super) fn read(system: &SystemFiles, config: &NodeConfig) -> Self {
        let table = |names: [&str; 2], state: Option<&str>| -> Vec<Bound> {
            let texts = names.map(|name| system.text(&format!("proc/net/{name}")).unwrap_or_default());
            texts.iter().flat_map(|text| parse_table(text, state)).collect()
        };
        let mut facts = Self {
            tcp: table(["tcp", "tcp6"], Some(LISTENING)),
            udp: table(["udp", "udp6"], None),
            ephemeral: system.text("proc/sys/net/ipv4/ip_local_port_range").and_then(|text| {
                let mut numbers = text.split_ascii_whitespace().map(str::parse::<u16>);
                Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
            }),
        };
        let wanted: Vec<u16> = wanted(config).iter().flat_map(|wanted| wanted.ports.clone()).collect();
        for bound in facts.tcp.iter_mut().chain(&mut facts.udp) {
            if wanted.contains(&bound.address.port()) {
                bound.owner = owner(system, bound.inode);
            }
        }
        facts
    }
}

/// Lines of `sl local remote state ... inode`, addresses in hexadecimal.
fn parse_table(text: &str, state: Option<&str>) -> Vec<Bound> {
    let bound = text.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, local, _, found, _, _, _, _, _, inode, ..] = words[..] else { return None };
        if state.is_some_and(|state| state != found) {
            return None;
        }
        let (host, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Bound {
            address: SocketAddr::new(parse_host(host)?, port),
            inode: inode.parse().ok()?,
            owner: None,
        })
    });
    bound.collect()
}

/// Each four bytes are a number as this processor reads them from memory.
fn parse_host(text: &str) -> Option<IpAddr> {
    let parts = (0..text.len() / 8).map(|index| text.get(index * 8..index * 8 + 8));
    let words: Vec<[u8; 4]> =
        parts.map(|part| Some(u32::from_str_radix(part?, 16).ok()?.to_ne_bytes())).collect::<Option<_>>()?;
    match words[..] {
        [word] => Some(Ipv4Addr::from(word).into()),
        [_, _, _, _] => Some(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into()),
        _ => None,
    }
}

/// The process that has the socket open.
fn owner(system: &SystemFiles, inode: u64) -> Option<(String, u32)> {
    let link = format!("socket:[{inode}]");
    let names = system.names("proc");
    names.iter().filter_map(|name| name.parse::<u32>().ok()).find_map(|id| {
        let folder = system.path(&format!("proc/{id}/fd"));
        let mut open = fs::read_dir(folder).into_iter().flatten().flatten();
        open.any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.to_str() == Some(&link)))
            .then(|| (system.text(&format!("proc/{id}/comm")).unwrap_or_default(), id))
    })
}

/// Ports that a node needs.
struct Wanted {
    option: &'static str,
    host: String,
    ports: Vec<u16>,
    is_tcp: bool,
}

fn wanted(config: &NodeConfig) -> Vec<Wanted> {
    let one = |option, address: &HostPort| Wanted {
        option,
        host: address.host.clone(),
        ports: vec![address.port],
        is_tcp: true,
    };
    let mut wanted = vec![one("network.listen", &config.network.listen)];
    wanted.extend(config.network.admin.as_ref().map(|address| one("network.admin", address)));
    if let Some(cluster) = &config.cluster {
        let shards = match config.shards {
            crate::config::Shards::Count(count) => count,
            crate::config::Shards::Auto => std::thread::available_parallelism().map_or(1, Into::into),
        };
        let last = usize::from(cluster.listen.port) + shards;
        let ports = (cluster.listen.port..=u16::try_from(last).unwrap_or(u16::MAX)).collect();
        wanted.push(Wanted {
            option: "cluster.listen",
            host: cluster.listen.host.clone(),
            ports,
            is_tcp: false,
        });
    }
    wanted.retain(|wanted| wanted.ports != [0]);
    wanted
}

/// One verdict for each option.
pub(super) fn ports(facts: &PortFacts, config: &NodeConfig) -> Vec<Verdict> {
    wanted(config).iter().map(|wanted| judge(facts, wanted)).collect()
}

fn judge(facts: &PortFacts, wanted: &Wanted) -> Verdict {
    let table = if wanted.is_tcp { &facts.tcp } else { &facts.udp };
    let protocol = if wanted.is_tcp { "TCP" } else { "UDP" };
    let taken = table.iter().find(|bound| {
        wanted.ports.contains(&bound.address.port()) && is_same_host(&wanted.host, bound.address.ip())
    });
    let option = wanted.option;
    let shown = match wanted.ports[..] {
        [port] => format!("{port}"),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    };
    let Some(bound) = taken else {
        let given = |(first, last): (u16, u16)| wanted.ports.iter().any(|port| (first..=last).contains(port));
        if let Some((first, last)) = facts.ephemeral.filter(|range| given(*range)) {
            return Verdict::advice(
                format!("{option}: {protocol} {shown} is free, and among those that the kernel gives to anybody ({first} to {last})"),
                format!("sysctl -w net.ipv4.ip_local_reserved_ports={}, or choose ports below {first}", shown.replace(" to ", "-")),
            )
            .because("an outgoing connection may take the port while the node is down, and it cannot start");
        }
        return Verdict::ok(format!("{option}: {protocol} {shown} is free"));
    };
    let port = bound.address.port();
    match &bound.owner {
        Some((name, id)) if name == OWN_NAME => {
            Verdict::ok(format!("{option}: {protocol} {port} is taken by the node that runs, process {id}"))
        }
        Some((name, id)) => Verdict::problem(
            format!("{option}: {protocol} {port} is taken by {name}, process {id}"),
            format!("stop process {id}, or set {option} to another port"),
        ),
        None => Verdict::advice(
            format!("{option}: {protocol} {port} is taken; this user may not see by whom"),
            format!("sudo ss -lpn 'sport = :{port}'"),
        ),
    }
}

/// Whether a socket at `bound` is in the way of one at `wanted`.
fn is_same_host(wanted: &str, bound: IpAddr) -> bool {
    let wanted = match wanted {
        "localhost" => Some(IpAddr::from(Ipv4Addr::LOCALHOST)),
        text => text.parse::<IpAddr>().ok(),
    };
    // Of a name nobody knows here which address it will be.
    wanted.is_none_or(|wanted| wanted == bound || wanted.is_unspecified() || bound.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0000 100 0 0 10 0
   1: 0100007F:25AC 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 778 1 0000 100 0 0 10 0
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:2384 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9 1 0 100 0 0 10 0
";

    #[test]
    fn listening_sockets_are_read() {
        let found = parse_table(TCP, Some(LISTENING));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].address.to_string(), found[0].inode), ("127.0.0.1:9092".to_owned(), 777));
        assert_eq!(parse_table(TCP6, Some(LISTENING))[0].address.to_string(), "[::1]:9092");
    }

    #[test]
    fn whose_port_it_is_decides() {
        let config = NodeConfig::default();
        let facts = |owner: Option<(&str, u32)>| {
            let mut tcp = parse_table(TCP, Some(LISTENING));
            tcp[0].owner = owner.map(|(name, id)| (name.to_owned(), id));
            PortFacts { tcp, udp: Vec::new(), ephemeral: Some((32_768, 60_999)) }
        };
        let status = |facts: &PortFacts| ports(facts, &config)[0].status;
        assert_eq!(status(&facts(Some(("java", 7)))), Status::Problem);
        assert_eq!(status(&facts(Some(("ringmain", 7)))), Status::Ok);
        assert_eq!(status(&facts(None)), Status::Advice);
        assert_eq!(status(&PortFacts::default()), Status::Ok);
        let given = PortFacts { ephemeral: Some((9000, 60_999)), ..PortFacts::default() };
        assert_eq!(status(&given), Status::Advice, "an outgoing connection may take it");
    }
}
