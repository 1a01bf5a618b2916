//! The table of all metrics, in the order in which they are shown and described.

mod clients;
mod cluster;
mod groups;
mod node;
mod replication;
mod shards;
mod storage;
mod topics;

use super::{super::snapshot::NodeSnapshot, family::Section};

pub(super) static SECTIONS: &[Section] = &[
    Section { title: "The process and the disk", families: &node::FAMILIES },
    Section { title: "Clients", families: &clients::FAMILIES },
    Section { title: "Topics", families: &topics::FAMILIES },
    Section { title: "Shards", families: &shards::FAMILIES },
    Section { title: "Storage", families: &storage::FAMILIES },
    Section { title: "Replication", families: &replication::FAMILIES },
    Section { title: "The cluster", families: &cluster::FAMILIES },
    Section { title: "Consumer groups", families: &groups::FAMILIES },
];
