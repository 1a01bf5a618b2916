//! The one table of checks: what each is about, why it matters, and which function judges.

use super::facts::{Facts, NodeFacts};
use super::finding::{Finding, Verdict};
use super::{
    certificates, clock, device, interrupts, kernel, limits, memory, names, network, ports, processors,
    space, storage, subject,
};

/// One check.
struct Check {
    what: &'static str,
    why: &'static str,
    judge: Judge,
}

/// What a check has to know.
enum Judge {
    /// The machine.
    Machine(fn(&Facts) -> Vec<Verdict>),
    /// The configuration too: left out where that cannot be used.
    Node(fn(&Facts, &NodeFacts) -> Vec<Verdict>),
}

use Judge::{Machine, Node};

/// All checks, in the order of the report.
static CHECKS: [Check; 28] = [
    Check {
        what: "configuration",
        why: "a node with a wrong configuration does not start",
        judge: Machine(|facts| vec![subject::configuration(&facts.subject)]),
    },
    Check {
        what: "kernel",
        why: "the disk and the sockets are used by io_uring, of Linux 5.19 or newer",
        judge: Machine(|facts| vec![kernel::version(&facts.kernel)]),
    },
    Check {
        what: "io_uring",
        why: "without io_uring a node does not start",
        judge: Machine(|facts| vec![kernel::io_uring(&facts.kernel)]),
    },
    Check {
        what: "open files",
        why: "connections and open logs each take some; the next client is turned away when there are no more",
        judge: Machine(|facts| {
            vec![limits::open_files(&facts.limits, facts.node.as_ref().map(|node| &node.config))]
        }),
    },
    Check {
        what: "locked memory",
        why: "the shards cannot start without some",
        judge: Machine(|facts| vec![limits::locked_memory(&facts.limits, facts.shards())]),
    },
    Check {
        what: "data directory",
        why: "everything of the node is kept there",
        judge: Node(|_, node| vec![storage::directory(&node.volume)]),
    },
    Check {
        what: "file system",
        why: "on ext4 and XFS one flush makes the records of all partitions durable; elsewhere each file needs its own",
        judge: Node(|_, node| vec![storage::file_system(&node.volume)]),
    },
    Check {
        what: "direct I/O",
        why: "without it records go through the page cache, at twice the cost and with pauses when it is written back",
        judge: Node(|_, node| vec![storage::direct_io(&node.volume)]),
    },
    Check {
        what: "flush",
        why: "what was acknowledged has to survive a loss of power",
        judge: Node(|_, node| storage::flush(&node.volume)),
    },
    Check {
        what: "free space",
        why: "a full disk refuses records",
        judge: Node(|facts, node| vec![space::free(&node.space, &node.config, facts.shards())]),
    },
    Check {
        what: "disk scheduler",
        why: "the node sends few, large requests in a good order: weighing them again only delays flushes",
        judge: Node(|_, node| device::scheduler(&node.volume.devices)),
    },
    Check {
        what: "disk queue",
        why: "a short queue lets the device rest while shards have work for it",
        judge: Node(|_, node| device::queue(&node.volume.devices)),
    },
    Check {
        what: "rotating disk",
        why: "a flush takes some turns: about a hundred in a second, and each acknowledgement waits for one",
        judge: Node(|_, node| device::rotation(&node.volume.devices)),
    },
    Check {
        what: "shards",
        why: "two shards on one core take turns, and each holds the other up",
        judge: Node(|facts, _| vec![processors::shards(&facts.processors)]),
    },
    Check {
        what: "clock source",
        why: "the time is read several times for each request; a slow clock makes each a call to the kernel",
        judge: Machine(|facts| vec![processors::clock_source(&facts.processors)]),
    },
    Check {
        what: "frequency governor",
        why: "a core that was slowed down takes milliseconds to be fast again, and every burst begins there",
        judge: Machine(|facts| vec![processors::governor(&facts.processors)]),
    },
    Check {
        what: "memory nodes",
        why: "a shard far from the disk, the network or another shard's records waits longer for each of them",
        judge: Node(|facts, _| vec![processors::memory_nodes(&facts.processors)]),
    },
    Check {
        what: "interrupts",
        why: "the shard on the core that serves all devices has less time than the others",
        judge: Node(|facts, _| vec![interrupts::placement(&facts.interrupts, &facts.processors.shard_cores)]),
    },
    Check {
        what: "memory",
        why: "a node that takes more than there is gets killed",
        judge: Node(|facts, node| vec![memory::budget(&facts.memory, &node.config, facts.shards())]),
    },
    Check {
        what: "huge pages",
        why: "making them holds a shard up when it touches new memory, and idle memory grows to 2 MiB pieces",
        judge: Machine(|facts| vec![memory::huge_pages(&facts.memory)]),
    },
    Check {
        what: "swap",
        why: "a shard whose memory was moved to a disk stands still with all its partitions while it comes back",
        judge: Machine(|facts| vec![memory::swap(&facts.memory)]),
    },
    Check {
        what: "page cache",
        why: "when the system writes much at once for others, flushes of the same file system wait for it",
        judge: Node(|facts, node| vec![memory::dirty_pages(&facts.memory, node.is_on_root())]),
    },
    Check {
        what: "network buffers",
        why: "nodes send to each other by UDP; what comes while a shard is busy and has no room is sent again",
        judge: Machine(|facts| network::buffers(&facts.network)),
    },
    Check {
        what: "connection queue",
        why: "when many clients connect at once, those that do not fit try again after a second",
        judge: Machine(|facts| vec![network::backlog(&facts.network)]),
    },
    Check {
        what: "clock",
        why: "retention, timestamps and certificates go by it, and logs of several nodes are compared by it",
        judge: Machine(|facts| vec![clock::synchronised(facts.clock)]),
    },
    Check {
        what: "host names",
        why: "clients and other nodes connect to what they are told",
        judge: Node(|_, node| names::resolve(&node.names, &node.config)),
    },
    Check {
        what: "ports",
        why: "a node whose port is taken does not start",
        judge: Node(|_, node| ports::ports(&node.ports, &node.config)),
    },
    Check {
        what: "certificate",
        why: "a node whose certificate has expired is refused by the others",
        judge: Node(|_, node| node.certificate.iter().map(certificates::expiry).collect()),
    },
];

/// Judges everything that was read.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let findings = CHECKS.iter().flat_map(|check| {
        let verdicts = match (&check.judge, &facts.node) {
            (Machine(judge), _) => judge(facts),
            (Node(judge), Some(node)) => judge(facts, node),
            (Node(_), None) => Vec::new(),
        };
        verdicts.into_iter().map(|verdict| Finding::new(check.what, check.why, verdict))
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_have_names_of_their_own_and_reasons_in_a_few_words() {
        let names: std::collections::BTreeSet<&str> = CHECKS.iter().map(|check| check.what).collect();
        assert_eq!(names.len(), CHECKS.len());
        for check in &CHECKS {
            assert!((20..=120).contains(&check.why.len()), "{}: {}", check.what, check.why);
        }
    }
}
