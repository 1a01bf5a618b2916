//! Certificates of the node's own kind, and what the quorum wants to know of them.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use ringmain_quorum::{Certificates, NodeId};
use ringmain_replication::quic::certificates::{
    Authority, IdentityFiles, IssueOptions, NodeIdentity, Protocol, authenticated_peer, server_name,
};

/// The authority of one cluster.
pub(crate) struct ClusterCards {
    authority: Authority,
    directory: std::path::PathBuf,
}

/// The certificate of one node.
pub(crate) struct Cards(NodeIdentity);

impl ClusterCards {
    pub(crate) fn new(directory: &Path, cluster_id: &str) -> Self {
        let directory = directory.join("certificates");
        let (authority, _) = Authority::create(&directory, cluster_id, 1).expect("an authority");
        Self { authority, directory }
    }

    pub(crate) fn of_node(&self, node: NodeId) -> Arc<Cards> {
        let files = IdentityFiles::in_directory(&self.directory, node);
        let identity = NodeIdentity::load(&files).or_else(|_| {
            let options = IssueOptions { node, hosts: vec!["127.0.0.1".to_owned()], valid_days: 1 };
            self.authority.issue(&options)?;
            NodeIdentity::load(&files)
        });
        Arc::new(Cards(identity.expect("a certificate")))
    }
}

impl Certificates for Cards {
    fn client_config(
        &self,
        peer: NodeId,
        limits: Arc<quinn::TransportConfig>,
    ) -> Result<quinn::ClientConfig, String> {
        self.0.client_config(peer, Protocol::Control, limits).map_err(|error| error.to_string())
    }

    fn server_config(&self, limits: Arc<quinn::TransportConfig>) -> Result<quinn::ServerConfig, String> {
        let everybody = Arc::new(|_| true);
        self.0.server_config(Protocol::Control, everybody, limits).map_err(|error| error.to_string())
    }

    fn server_name(&self, peer: NodeId) -> String {
        server_name(peer)
    }

    fn peer(&self, identity: Option<Box<dyn Any>>) -> Option<NodeId> {
        authenticated_peer(identity)
    }
}
