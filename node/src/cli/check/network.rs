//! The network's settings: buffers of the connections between nodes, and the queue of new connections.

use super::SystemFiles;
use super::finding::{Status, Verdict};

/// What each shard asks for, for its socket to other nodes.
const BUFFER_BYTES: u64 = 4 << 20;
/// What the node asks for, for connections that it has not accepted yet.
const BACKLOG: u64 = 4096;

/// What was read of the network's settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NetworkFacts {
    pub(super) receive_bytes_max: Option<u64>,
    pub(super) send_bytes_max: Option<u64>,
    pub(super) backlog_max: Option<u64>,
}

impl NetworkFacts {
    pub(super) fn read(system: &SystemFiles) -> Self {
        let of = |name: &str| system.number(&format!("proc/sys/net/core/{name}"));
        Self {
            receive_bytes_max: of("rmem_max"),
            send_bytes_max: of("wmem_max"),
            backlog_max: of("somaxconn"),
        }
    }
}

pub(super) fn buffers(facts: &NetworkFacts) -> Vec<Verdict> {
    let judge = |name: &'static str, bytes: Option<u64>| match bytes {
        Some(bytes) if bytes < BUFFER_BYTES => {
            Verdict::sysctl(Status::Advice, format!("{name} = {bytes}"), name, BUFFER_BYTES)
        }
        Some(bytes) => Verdict::ok(format!("{name} = {bytes}")),
        // A container's own network does not show it.
        None => Verdict::ok(format!("{name} is not told here")),
    };
    vec![
        judge("net.core.rmem_max", facts.receive_bytes_max),
        judge("net.core.wmem_max", facts.send_bytes_max),
    ]
}

pub(super) fn backlog(facts: &NetworkFacts) -> Verdict {
    const NAME: &str = "net.core.somaxconn";
    match facts.backlog_max {
        Some(most) if most < BACKLOG => {
            Verdict::sysctl(Status::Advice, format!("{NAME} = {most}"), NAME, BACKLOG)
        }
        Some(most) => Verdict::ok(format!("{NAME} = {most}")),
        None => Verdict::ok(format!("{NAME} is not told here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_buffers_and_queues_are_told() {
        let small = NetworkFacts {
            receive_bytes_max: Some(212_992),
            send_bytes_max: Some(4 << 20),
            backlog_max: Some(128),
        };
        let verdicts = buffers(&small);
        assert_eq!(verdicts[0].remedy.as_deref(), Some("sysctl -w net.core.rmem_max=4194304"));
        assert_eq!(verdicts[1].status, Status::Ok);
        assert_eq!(backlog(&small).remedy.as_deref(), Some("sysctl -w net.core.somaxconn=4096"));
        assert_eq!(backlog(&NetworkFacts::default()).status, Status::Ok);
    }
}
