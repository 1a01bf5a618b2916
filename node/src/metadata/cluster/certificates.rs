//! The certificates of this node, as the quorum wants them.

use std::any::Any;
use std::sync::Arc;

use ringmain_quorum::Certificates;
use ringmain_replication::NodeId;
use ringmain_replication::quic::certificates::{NodeIdentity, Protocol, authenticated_peer, server_name};

/// Any node of the cluster may speak to the control thread: who is a member is the quorum's to judge, and a node has to
/// speak before it is one.
pub(super) struct ControlCertificates(pub(super) Arc<NodeIdentity>);

impl Certificates for ControlCertificates {
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
