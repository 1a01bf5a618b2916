//! Where this node reaches the nodes of its cluster as a client of theirs.

use crate::{
    config::HostPort,
    metadata::{MetadataImage, NodeId},
    shard::NodeShared,
};

/// The address of a node; `None` where the metadata has no such node.
pub(super) fn address(node: &NodeShared, image: &MetadataImage, node_id: i32) -> Option<HostPort> {
    let told = image.nodes().get(&NodeId(node_id))?;
    let advertised = HostPort { host: told.host().to_owned(), port: told.port() };
    if node_id != node.config.node_id {
        return Some(advertised);
    }
    // Itself: what it tells others may be an address that only others can use.
    Some(own(&node.config.network.listen, &advertised))
}

fn own(listen: &HostPort, advertised: &HostPort) -> HostPort {
    let host = match listen.host.as_str() {
        "::" => "::1",
        "0.0.0.0" | "*" => "127.0.0.1",
        host => host,
    };
    // Port 0 was drawn by the system, and is what it tells.
    let port = if listen.port == 0 { advertised.port } else { listen.port };
    HostPort { host: host.to_owned(), port }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_reaches_itself_where_it_listens() {
        let at = |text: &str| HostPort::parse(text).expect("an address");
        let advertised = at("broker-1.example:9092");
        for (listen, own_address) in [
            ("0.0.0.0:19092", "127.0.0.1:19092"),
            ("[::]:19092", "[::1]:19092"),
            ("10.0.0.1:9092", "10.0.0.1:9092"),
            ("127.0.0.1:0", "127.0.0.1:9092"),
        ] {
            assert_eq!(own(&at(listen), &advertised), at(own_address), "{listen}");
        }
    }
}
