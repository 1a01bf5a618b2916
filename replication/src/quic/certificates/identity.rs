//! Who this node is towards the others, and the QUIC configurations that follow from it.
//!
//! The same configurations serve quinn on the control thread and the driver of the data plane on the shards; only the protocol
//! that they agree on and the transport's limits differ.

use std::{
    any::Any,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use quinn_proto::{
    TransportConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use ring::hmac;
use rustls::{
    RootCertStore,
    client::Resumption,
    crypto::{self, CryptoProvider},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::CertifiedKey,
};

use super::{
    authority::{failed, read_certificate},
    error::{CertificateError, FileProblem},
    name::CertificateName,
    verify::{ClusterTrust, DialledNode, DiallingNode, MemberCheck},
};
use crate::NodeId;

/// What a connection is for. Both sides have to name the same one, or there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Replication between shards.
    Data,
    /// Registration, quorum, heartbeats.
    Control,
}

impl Protocol {
    fn name(self) -> Vec<u8> {
        match self {
            Self::Data => b"ringmain-data/1".to_vec(),
            Self::Control => b"ringmain-control/1".to_vec(),
        }
    }
}

/// How far ahead it is looked for the end of a certificate: longer than any that is made here.
const VALIDITY_LOOK_MAX: Duration = Duration::from_secs(50 * 365 * 86_400);

/// Where a node finds what it shows and what it believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate of the cluster's authority.
    pub authority: PathBuf,
    /// The node's own certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl IdentityFiles {
    /// The names that the authority gives them, in one directory.
    pub fn in_directory(directory: &Path, node: NodeId) -> Self {
        Self {
            authority: directory.join("cluster.crt"),
            certificate: directory.join(format!("node-{node}.crt")),
            key: directory.join(format!("node-{node}.key")),
        }
    }
}

/// A node's own certificate and key, and the authority that it believes. Clones share them.
#[derive(Debug, Clone)]
pub struct NodeIdentity {
    node: NodeId,
    trust: ClusterTrust,
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl NodeIdentity {
    /// Reads the files, and refuses what the other nodes would refuse.
    pub fn load(files: &IdentityFiles) -> Result<Self, CertificateError> {
        let authority = read_certificate(&files.authority)?;
        let certificate = read_certificate(&files.certificate)?;
        let key = read_key(&files.key)?;
        let problem = |path: &Path| {
            let path = path.to_path_buf();
            move |problem: FileProblem| CertificateError::File { path, problem }
        };
        let in_certificate = problem(&files.certificate);
        let in_authority = problem(&files.authority);

        let issuer = match CertificateName::read(&authority) {
            Ok(name) if name.node_id().is_none() => name,
            Ok(name) => {
                let found = name.to_string();
                return Err(in_authority(FileProblem::WrongHolder { found, wanted: "an authority" }));
            }
            Err(error) => return Err(in_authority(error.into())),
        };
        let name = match CertificateName::read(&certificate) {
            Ok(name) => name,
            Err(error) => return Err(in_certificate(error.into())),
        };
        let Some(node) = name.node_id() else {
            let found = name.to_string();
            return Err(in_certificate(FileProblem::WrongHolder { found, wanted: "a node" }));
        };
        if name.cluster_id() != issuer.cluster_id() {
            let (found, authority) = (name.cluster_id().into(), issuer.cluster_id().into());
            return Err(in_certificate(FileProblem::OtherCluster { found, authority }));
        }
        let provider = Arc::new(provider());
        CertifiedKey::from_der(vec![certificate.clone()], key.clone_key(), &provider)
            .map_err(|_| problem(&files.key)(FileProblem::OtherKey))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority).map_err(|error| in_authority(FileProblem::Refused(error)))?;
        let trust = ClusterTrust {
            roots: Arc::new(roots),
            algorithms: provider.signature_verification_algorithms,
            cluster_id: issuer.cluster_id().into(),
        };
        let identity = Self { node, trust, certificate, key: Arc::new(key), provider };
        identity.verify_at(SystemTime::now()).map_err(|error| in_certificate(FileProblem::Refused(error)))?;
        Ok(identity)
    }

    /// The last second at which the others will accept this node's certificate, at most [`VALIDITY_LOOK_MAX`] from now. The
    /// library that judges it does not tell: it is asked for one time after the other, which takes a few milliseconds. `None`:
    /// it is not accepted now.
    pub fn valid_until(&self) -> Option<SystemTime> {
        let now = SystemTime::now();
        if !self.is_valid_at(now) {
            return None;
        }
        let (mut accepted, mut refused) = (0, VALIDITY_LOOK_MAX.as_secs());
        while refused - accepted > 1 {
            let middle = accepted + (refused - accepted) / 2;
            match self.is_valid_at(now + Duration::from_secs(middle)) {
                true => accepted = middle,
                false => refused = middle,
            }
        }
        Some(now + Duration::from_secs(accepted))
    }

    /// The node that the certificate is for.
    pub fn node_id(&self) -> NodeId {
        self.node
    }

    /// The cluster that it is for.
    pub fn cluster_id(&self) -> &str {
        &self.trust.cluster_id
    }

    /// A secret that follows from the node's key and a purpose: the same after each start, known to nobody else.
    pub(in super::super) fn derive_bytes(&self, purpose: &str) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.secret_der());
        hmac::sign(&key, purpose.as_bytes())
    }

    /// As [`NodeIdentity::derive_bytes`], to make authentic what only this node has to recognise.
    pub(in super::super) fn derive_key(&self, purpose: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.derive_bytes(purpose).as_ref())
    }

    /// Whether the others will accept this node's certificate at a time; to be asked for some weeks ahead, to warn.
    pub fn is_valid_at(&self, time: SystemTime) -> bool {
        self.verify_at(time).is_ok()
    }

    #[cfg(test)]
    pub(super) fn certificate_and_key(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        (self.certificate.clone(), self.key.clone_key())
    }

    fn verify_at(&self, time: SystemTime) -> Result<(), rustls::Error> {
        // Before 1970 nothing is valid yet, which is what the epoch says too.
        let time = UnixTime::since_unix_epoch(time.duration_since(UNIX_EPOCH).unwrap_or_default());
        self.trust.verify_signed(&self.certificate, &[], time)
    }

    /// For dialling one node. Whoever else answers there is refused.
    pub fn client_config(
        &self,
        peer: NodeId,
        protocol: Protocol,
        transport: Arc<TransportConfig>,
    ) -> Result<quinn_proto::ClientConfig, CertificateError> {
        let verifier = Arc::new(DialledNode { trust: self.trust.clone(), node: peer });
        let mut tls = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        tls.alpn_protocols = vec![protocol.name()];
        tls.resumption = Resumption::disabled();
        tls.enable_early_data = false;
        let tls = QuicClientConfig::try_from(tls).map_err(no_initial_suite)?;
        let mut config = quinn_proto::ClientConfig::new(Arc::new(tls));
        config.transport_config(transport);
        Ok(config)
    }

    /// For being dialled, by members only.
    pub fn server_config(
        &self,
        protocol: Protocol,
        is_member: MemberCheck,
        transport: Arc<TransportConfig>,
    ) -> Result<quinn_proto::ServerConfig, CertificateError> {
        let signed =
            WebPkiClientVerifier::builder_with_provider(self.trust.roots.clone(), self.provider.clone())
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verifier = Arc::new(DiallingNode { trust: self.trust.clone(), signed, is_member });
        let mut tls = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        tls.alpn_protocols = vec![protocol.name()];
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        tls.max_early_data_size = 0;
        let tls = QuicServerConfig::try_from(tls).map_err(no_initial_suite)?;
        let mut config = quinn_proto::ServerConfig::with_crypto(Arc::new(tls));
        config.transport_config(transport);
        // Nodes keep their addresses. A connection that moves is somebody's game.
        config.migration(false);
        Ok(config)
    }
}

/// The name to hand to `connect`: QUIC wants one of DNS, which nobody looks at; the certificate is judged by its URI.
pub fn server_name(peer: NodeId) -> String {
    format!("node-{peer}.ringmain")
}

/// Who is at the other end of an established connection, from its `peer_identity`. `None`: it is not established yet.
pub fn authenticated_peer(peer_identity: Option<Box<dyn Any>>) -> Option<NodeId> {
    let certificates = peer_identity?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    // Judged in the handshake already; here it is only read again.
    CertificateName::read(certificates.first()?).ok()?.node_id()
}

/// One crypto library in the process, and one cipher suite: AES-128-GCM, which costs half of ChaCha20 where the CPU knows AES.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256],
        ..crypto::ring::default_provider()
    }
}

fn no_initial_suite(error: quinn_proto::crypto::rustls::NoInitialCipherSuite) -> CertificateError {
    rustls::Error::General(error.to_string()).into()
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let pem = fs::read(path).map_err(failed("read", path))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| CertificateError::File {
        path: path.to_path_buf(),
        problem: FileProblem::NotPem { wanted: "private key", reason: format!("{error:?}") },
    })
}
