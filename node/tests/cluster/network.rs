//! The network of a run: every node in a name space of its own, on a link of its own, this process between them.
//!
//! What nodes say to each other is forwarded here, and can be cut one way, both ways, or lose some of its packets. Clients live
//! in this process and its children: they reach a node that is cut off from its peers, as in the worst of cases, unless
//! its whole link is down.

use super::machine;
use std::net::{IpAddr, Ipv4Addr};

/// The table of the kernel's filter that holds the faults.
const TABLE: &str = "table ip faults {
  set cut { type ipv4_addr . ipv4_addr; }
  chain loss { }
  chain pass { type filter hook forward priority 0; policy accept;
    ip saddr . ip daddr @cut drop
    jump loss
  }
}
";

/// 10 Mbit/s: the queue delays by up to 200 ms, what does not fit into it is lost.
const NARROW: [&str; 6] = ["rate", "10mbit", "burst", "32kbit", "latency", "200ms"];

/// The links of some nodes, numbered from 1.
pub(crate) struct Network {
    nodes: Vec<i32>,
}

impl Network {
    /// Makes a name space and a link for each node.
    pub(crate) fn start(nodes: &[i32]) -> Result<Network, String> {
        machine::run_with("nft", &["-f", "-"], TABLE)?;
        for node in nodes {
            let (name, link) = (Network::name(*node), link(*node));
            let (here, there) = (format!("10.77.{node}.1"), Network::address(*node).to_string());
            machine::add_network(&name)?;
            machine::run(
                "ip",
                &["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &name],
            )?;
            machine::run("ip", &["addr", "add", &format!("{here}/24"), "dev", &link])?;
            machine::run("ip", &["link", "set", &link, "up"])?;
            for words in [
                &["addr", "add", &format!("{there}/24"), "dev", "eth0"][..],
                &["link", "set", "eth0", "up"],
                &["link", "set", "lo", "up"],
                &["route", "add", "default", "via", &here],
            ] {
                machine::run("ip", &[&["-n", &name], words].concat())?;
            }
        }
        Ok(Network { nodes: nodes.to_vec() })
    }

    /// The name space of a node.
    pub(crate) fn name(node: i32) -> String {
        format!("node-{node}")
    }

    /// Where a node is.
    pub(crate) fn address(node: i32) -> IpAddr {
        let third = u8::try_from(node).expect("a handful of nodes");
        Ipv4Addr::new(10, 77, third, 2).into()
    }

    /// Nothing gets from one node to the other any more.
    pub(crate) fn cut_one_way(&self, from: i32, to: i32) -> Result<(), String> {
        let element = format!("{{ {} . {} }}", Network::address(from), Network::address(to));
        machine::run("nft", &["add", "element", "ip", "faults", "cut", &element])
    }

    /// Two nodes do not hear each other any more.
    pub(crate) fn cut(&self, one: i32, other: i32) -> Result<(), String> {
        self.cut_one_way(one, other)?;
        self.cut_one_way(other, one)
    }

    /// No node hears this one any more, nor is heard by it; clients still are.
    pub(crate) fn isolate(&self, node: i32) -> Result<(), String> {
        self.others(node).try_for_each(|other| self.cut(node, other))
    }

    /// The node sends, and hears nothing.
    pub(crate) fn deafen(&self, node: i32) -> Result<(), String> {
        self.others(node).try_for_each(|other| self.cut_one_way(other, node))
    }

    /// The node hears, and nobody hears it.
    pub(crate) fn mute(&self, node: i32) -> Result<(), String> {
        self.others(node).try_for_each(|other| self.cut_one_way(node, other))
    }

    /// Of what nodes send each other, so much gets lost.
    pub(crate) fn lose(&self, percent: u64) -> Result<(), String> {
        let rule = format!("numgen random mod 100 < {percent} drop");
        machine::run("nft", &["add", "rule", "ip", "faults", "loss", &rule])
    }

    /// Every link takes so much and no more, with a queue before it: everybody is late, and some packets are lost.
    pub(crate) fn throttle(&self) -> Result<(), String> {
        self.nodes.iter().try_for_each(|node| {
            let words = ["qdisc", "replace", "dev", &link(*node), "root", "tbf"];
            machine::run("tc", &[&words[..], &NARROW].concat())
        })
    }

    fn widen(&self) -> Result<(), String> {
        self.nodes.iter().try_for_each(|node| {
            // Whatever is there is replaced, so that there is something to be taken away.
            let link = link(*node);
            machine::run("tc", &["qdisc", "replace", "dev", &link, "root", "pfifo"])?;
            machine::run("tc", &["qdisc", "del", "dev", &link, "root"])
        })
    }

    /// The cable of a node: without it nobody reaches the node, clients neither.
    pub(crate) fn plug(&self, node: i32, is_plugged: bool) -> Result<(), String> {
        machine::run("ip", &["link", "set", &link(node), if is_plugged { "up" } else { "down" }])
    }

    /// Everybody hears everybody again.
    pub(crate) fn heal(&self) -> Result<(), String> {
        machine::run("nft", &["flush", "set", "ip", "faults", "cut"])?;
        machine::run("nft", &["flush", "chain", "ip", "faults", "loss"])?;
        self.widen()?;
        self.nodes.iter().try_for_each(|node| self.plug(*node, true))
    }

    fn others(&self, node: i32) -> impl Iterator<Item = i32> + '_ {
        self.nodes.iter().copied().filter(move |other| *other != node)
    }
}

impl Drop for Network {
    /// The next run of this process makes the same names.
    fn drop(&mut self) {
        let mut results = vec![machine::run("nft", &["delete", "table", "ip", "faults"])];
        for node in &self.nodes {
            results.push(machine::run("ip", &["link", "del", &link(*node)]));
            results.push(machine::run("ip", &["netns", "del", &Network::name(*node)]));
        }
        for reason in results.into_iter().filter_map(Result::err) {
            eprintln!("the network does not go: {reason}");
        }
    }
}

/// The end of a node's link that is in this process's network.
pub(crate) fn link(node: i32) -> String {
    format!("to-node-{node}")
}
