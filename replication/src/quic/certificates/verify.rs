//! Judges the certificate of the other side, inside the TLS handshake: a refused peer never has a connection.

use core::fmt;
use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::name::{CertificateName, NameError};
use crate::NodeId;

/// Says whether a node is a member now. Called from whichever thread does a handshake.
pub type MemberCheck = Arc<dyn Fn(NodeId) -> bool + Send + Sync>;

/// Why a peer with a certificate of our authority was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefusal {
    /// It does not say who it is.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Of another cluster.
    #[error("the peer belongs to cluster {found}, not to {wanted}")]
    OtherCluster {
        /// Its cluster.
        found: String,
        /// Ours.
        wanted: String,
    },
    /// The authority's own certificate is no node's.
    #[error("the peer is no node")]
    NoNode,
    /// Another node answers at this address.
    #[error("node {found} answered where node {wanted} was dialled")]
    OtherNode {
        /// Who answered.
        found: NodeId,
        /// Who was dialled.
        wanted: NodeId,
    },
    /// Nobody whom this node knows.
    #[error("node {0} is no member of the cluster")]
    NoMember(NodeId),
}

impl From<PeerRefusal> for Error {
    fn from(refusal: PeerRefusal) -> Self {
        CertificateError::Other(OtherError(Arc::new(refusal))).into()
    }
}

/// What both sides look at: who signed, when, for which cluster.
#[derive(Debug, Clone)]
pub(super) struct ClusterTrust {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) cluster_id: Arc<str>,
}

impl ClusterTrust {
    /// Who the certificate is for, if it is of this cluster. Its signature is looked at elsewhere.
    pub(super) fn node(&self, certificate: &CertificateDer<'_>) -> Result<NodeId, PeerRefusal> {
        let name = CertificateName::read(certificate)?;
        if name.cluster_id() != &*self.cluster_id {
            return Err(PeerRefusal::OtherCluster {
                found: name.cluster_id().into(),
                wanted: (*self.cluster_id).into(),
            });
        }
        name.node_id().ok_or(PeerRefusal::NoNode)
    }

    /// Whether a dialling node would accept this certificate at a time.
    pub(super) fn verify_signed(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)
    }

    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

/// Judges the node that was dialled.
#[derive(Debug)]
pub(super) struct DialledNode {
    pub(super) trust: ClusterTrust,
    pub(super) node: NodeId,
}

impl ServerCertVerifier for DialledNode {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.trust.verify_signed(end_entity, intermediates, now)?;
        let found = self.trust.node(end_entity)?;
        if found != self.node {
            return Err(PeerRefusal::OtherNode { found, wanted: self.node }.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken between nodes".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// Judges a node that dials us.
pub(super) struct DiallingNode {
    pub(super) trust: ClusterTrust,
    /// Looks at the signature and the time, for the use as a client.
    pub(super) signed: Arc<dyn ClientCertVerifier>,
    pub(super) is_member: MemberCheck,
}

impl fmt::Debug for DiallingNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiallingNode").field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for DiallingNode {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A node has one certificate: it needs no hint, and strangers need not learn the cluster's name.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.signed.verify_client_cert(end_entity, intermediates, now)?;
        let node = self.trust.node(end_entity)?;
        if !(self.is_member)(node) {
            return Err(PeerRefusal::NoMember(node).into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken between nodes".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}
