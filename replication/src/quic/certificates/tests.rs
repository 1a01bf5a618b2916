//! Certificates as files, and handshakes between two endpoints without a network.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::BytesMut;
use quinn_proto::{
    Connection, ConnectionError, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Event,
    TransportConfig,
};

use super::*;
use crate::NodeId;

const CLUSTER: &str = "3vQmXyJ0T5mJ0mG1o0cW3w";
const OTHER_CLUSTER: &str = "3vqmxyj0t5mj0mg1o0cw3w";

const ADDRESS: &str = "127.0.0.1:1";

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("ringmain-certificates-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        Self(std::env::temp_dir().join(name))
    }

    fn cluster(cluster_id: &str) -> (Self, Authority) {
        let scratch = Self::new();
        let (authority, _) = Authority::create(&scratch.0, cluster_id, 10).expect("an authority");
        (scratch, authority)
    }

    fn identity(&self, node: i32) -> Result<NodeIdentity, CertificateError> {
        NodeIdentity::load(&IdentityFiles::in_directory(&self.0, NodeId(node)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("removes its directory");
    }
}

fn options(node: i32) -> IssueOptions {
    IssueOptions { node: NodeId(node), hosts: Vec::new(), valid_days: 5 }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[test]
fn an_authority_goes_on_after_it_was_loaded() {
    let (scratch, _) = Scratch::cluster(CLUSTER);
    let authority = Authority::load(&scratch.0).expect("loads");
    assert_eq!(authority.cluster_id(), CLUSTER);
    let files = authority
        .issue(&IssueOptions { hosts: vec!["db-1.example".into(), "::1".into()], ..options(3) })
        .expect("issues");
    assert_eq!((mode(&files.key), mode(&files.certificate)), (0o600, 0o644));
    assert_eq!((mode(&scratch.0), mode(&scratch.0.join("cluster.key"))), (0o700, 0o600));

    let identity = scratch.identity(3).expect("is signed by the authority");
    assert_eq!((identity.node_id(), identity.cluster_id()), (NodeId(3), CLUSTER));
    let day = Duration::from_secs(24 * 60 * 60);
    assert!(identity.is_valid_at(SystemTime::now() + 4 * day));
    assert!(!identity.is_valid_at(SystemTime::now() + 6 * day));
    let end = identity.valid_until().expect("it is valid now");
    assert!(identity.is_valid_at(end) && !identity.is_valid_at(end + Duration::from_secs(1)));
}

#[test]
fn nothing_is_replaced() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    let before = fs::read(scratch.0.join("cluster.key")).expect("reads");
    assert!(matches!(Authority::create(&scratch.0, CLUSTER, 1), Err(CertificateError::Exists(_))));
    assert_eq!(fs::read(scratch.0.join("cluster.key")).expect("reads"), before);
    authority.issue(&options(1)).expect("issues");
    assert!(matches!(authority.issue(&options(1)), Err(CertificateError::Exists(_))));
}

#[test]
fn wrong_names_are_refused_before_anything_is_written() {
    let scratch = Scratch::new();
    assert!(matches!(Authority::create(&scratch.0, "a/b", 1), Err(CertificateError::Name(_))));
    assert!(!scratch.0.exists());
    let (authority, _) = Authority::create(&scratch.0, CLUSTER, 1).expect("makes it");
    assert!(matches!(authority.issue(&options(-1)), Err(CertificateError::Name(_))));
    let hosts = vec!["no host".to_owned()];
    assert!(matches!(
        authority.issue(&IssueOptions { hosts, ..options(1) }),
        Err(CertificateError::Host(host)) if host == "no host"
    ));
    assert_eq!(fs::read_dir(&scratch.0).expect("lists").count(), 2);
}

/// Each file in turn is replaced by one that does not fit, and the error tells which and why.
#[test]
fn files_that_do_not_fit_are_told_apart() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    for node in [1, 2] {
        authority.issue(&options(node)).expect("issues");
    }
    let (other, other_authority) = Scratch::cluster(OTHER_CLUSTER);
    other_authority.issue(&options(1)).expect("issues");
    let (twin, twin_authority) = Scratch::cluster(CLUSTER);
    twin_authority.issue(&options(1)).expect("issues");

    let good = IdentityFiles::in_directory(&scratch.0, NodeId(1));
    NodeIdentity::load(&good).expect("is good");
    let problem = |files: IdentityFiles| match NodeIdentity::load(&files) {
        Err(CertificateError::File { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    let text = scratch.0.join("text");
    fs::write(&text, "not a certificate").expect("writes");

    let key_of_2 = scratch.0.join("node-2.key");
    assert!(matches!(problem(IdentityFiles { key: key_of_2, ..good.clone() }), FileProblem::OtherKey));
    let key = text.clone();
    assert!(matches!(problem(IdentityFiles { key, ..good.clone() }), FileProblem::NotPem { .. }));
    let authority_of_other = other.0.join("cluster.crt");
    assert!(matches!(
        problem(IdentityFiles { authority: authority_of_other, ..good.clone() }),
        FileProblem::OtherCluster { .. }
    ));
    let authority_of_twin = twin.0.join("cluster.crt");
    assert!(matches!(
        problem(IdentityFiles { authority: authority_of_twin, ..good.clone() }),
        FileProblem::Refused(_)
    ));
    let authority = good.certificate.clone();
    assert!(matches!(
        problem(IdentityFiles { authority, ..good.clone() }),
        FileProblem::WrongHolder { wanted: "an authority", .. }
    ));
    let certificate = good.authority.clone();
    assert!(matches!(
        problem(IdentityFiles { certificate, ..good.clone() }),
        FileProblem::WrongHolder { wanted: "a node", .. }
    ));
    let certificate = scratch.0.join("absent");
    assert!(matches!(
        NodeIdentity::load(&IdentityFiles { certificate, ..good }),
        Err(CertificateError::Io { .. })
    ));
    fs::copy(twin.0.join("cluster.key"), scratch.0.join("cluster.key")).expect("copies");
    assert!(matches!(
        Authority::load(&scratch.0),
        Err(CertificateError::File { problem: FileProblem::OtherKey, .. })
    ));
}

#[test]
fn an_expired_certificate_is_not_loaded() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    authority.issue(&IssueOptions { valid_days: 0, ..options(1) }).expect("issues");
    std::thread::sleep(Duration::from_millis(1100));
    let error = scratch.identity(1).expect_err("has expired");
    assert!(matches!(&error, CertificateError::File { problem: FileProblem::Refused(_), .. }), "{error}");
    assert!(error.to_string().contains("expired"), "{error}");
}

/// One side of a connection that has no network.
struct Side {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    connected: bool,
    lost: Option<ConnectionError>,
}

impl Side {
    fn new(server: Option<quinn_proto::ServerConfig>) -> Self {
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), server.map(Arc::new), true, None);
        Self { endpoint, connection: None, connected: false, lost: None }
    }

    /// What it has to send now.
    fn transmits(&mut self, now: Instant) -> Vec<BytesMut> {
        let mut datagrams = Vec::new();
        let Some((handle, connection)) = &mut self.connection else { return datagrams };
        let mut buffer = Vec::new();
        while let Some(transmit) = connection.poll_transmit(now, 1, &mut buffer) {
            datagrams.push(BytesMut::from(&buffer[..transmit.size]));
            buffer.clear();
        }
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        while let Some(event) = connection.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::ConnectionLost { reason } => self.lost = Some(reason),
                _ => {}
            }
        }
        datagrams
    }

    fn receive(&mut self, now: Instant, datagram: BytesMut) {
        // Both sides stand at one address: nothing looks at it but QUIC, which wants it to stay the same.
        let from = ADDRESS.parse().expect("an address");
        let mut answer = Vec::new();
        match self.endpoint.handle(now, from, None, None, datagram, &mut answer) {
            Some(DatagramEvent::NewConnection(incoming)) => {
                // Refused at once when there is no protocol in common.
                if let Ok(accepted) = self.endpoint.accept(incoming, now, &mut answer, None) {
                    self.connection = Some(accepted);
                }
            }
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::Response(_)) | None => {}
        }
    }
}

/// Lets a node dial another one; both sides as they are when nothing is left to say.
fn dial(client: quinn_proto::ClientConfig, server: quinn_proto::ServerConfig) -> (Side, Side) {
    let now = Instant::now();
    let (mut dialling, mut dialled) = (Side::new(None), Side::new(Some(server)));
    let to = ADDRESS.parse().expect("an address");
    let connection = dialling.endpoint.connect(now, client, to, &server_name(NodeId(1)));
    dialling.connection = Some(connection.expect("begins"));
    for _ in 0..20 {
        dialling.transmits(now).into_iter().for_each(|datagram| dialled.receive(now, datagram));
        dialled.transmits(now).into_iter().for_each(|datagram| dialling.receive(now, datagram));
    }
    (dialling, dialled)
}

fn transport() -> Arc<TransportConfig> {
    Arc::new(TransportConfig::default())
}

fn client_of(identity: &NodeIdentity, peer: i32, protocol: Protocol) -> quinn_proto::ClientConfig {
    identity.client_config(NodeId(peer), protocol, transport()).expect("a configuration")
}

fn server_of(identity: &NodeIdentity, is_member: MemberCheck) -> quinn_proto::ServerConfig {
    identity.server_config(Protocol::Data, is_member, transport()).expect("a configuration")
}

fn everybody() -> MemberCheck {
    Arc::new(|_| true)
}

fn reason(side: &Side) -> String {
    side.lost.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn members_of_one_cluster_know_each_other() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    for node in [1, 2] {
        authority.issue(&options(node)).expect("issues");
    }
    let (one, two) = (scratch.identity(1).expect("loads"), scratch.identity(2).expect("loads"));
    let (dialling, dialled) = dial(client_of(&two, 1, Protocol::Data), server_of(&one, everybody()));
    assert!(dialling.connected && dialled.connected, "{} {}", reason(&dialling), reason(&dialled));
    for (side, peer) in [(dialling, 1), (dialled, 2)] {
        let (_, connection) = side.connection.expect("is there");
        let identity = connection.crypto_session().peer_identity();
        assert_eq!(authenticated_peer(identity), Some(NodeId(peer)));
    }
    assert_eq!(authenticated_peer(None), None);
}

#[test]
fn the_dialling_side_refuses_whom_it_did_not_dial() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    for node in [1, 2] {
        authority.issue(&options(node)).expect("issues");
    }
    let (one, two) = (scratch.identity(1).expect("loads"), scratch.identity(2).expect("loads"));
    let (dialling, dialled) = dial(client_of(&two, 3, Protocol::Data), server_of(&one, everybody()));
    assert!(!dialling.connected && !dialled.connected);
    assert!(reason(&dialling).contains("OtherNode"), "{}", reason(&dialling));
}

#[test]
fn strangers_are_refused_by_both_sides() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    authority.issue(&options(1)).expect("issues");
    let ours = scratch.identity(1).expect("loads");
    // The same names, signed by somebody else's authority; and another cluster's names.
    for cluster_id in [CLUSTER, OTHER_CLUSTER] {
        let (elsewhere, other_authority) = Scratch::cluster(cluster_id);
        other_authority.issue(&options(2)).expect("issues");
        other_authority.issue(&options(1)).expect("issues");
        let stranger = elsewhere.identity(2).expect("loads");
        let (dialling, dialled) =
            dial(client_of(&stranger, 1, Protocol::Data), server_of(&ours, everybody()));
        assert!(
            !dialling.connected && !dialled.connected,
            "the server was no node of the stranger's cluster"
        );

        // A stranger who does not care whom he talks to.
        let careless = careless_client(Some(&stranger));
        let asked = Arc::new(AtomicBool::new(false));
        let witness = asked.clone();
        let is_member: MemberCheck = Arc::new(move |_| {
            witness.store(true, SeqCst);
            true
        });
        let (_, dialled) = dial(careless, server_of(&ours, is_member));
        assert!(!dialled.connected && dialled.lost.is_some());
        assert!(!asked.load(SeqCst), "nothing in the node is asked about a stranger");
        let impostor = elsewhere.identity(1).expect("loads");
        let (dialling, _) = dial(client_of(&ours, 1, Protocol::Data), server_of(&impostor, everybody()));
        assert!(!dialling.connected && dialling.lost.is_some());
    }
}

/// Two clusters whose operator signs both with one key: the names in the certificates tell them apart.
#[test]
fn one_key_for_two_clusters_does_not_join_them() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    authority.issue(&options(1)).expect("issues");
    let ours = scratch.identity(1).expect("loads");
    let forged = forged_certificate(&scratch.0, &format!("ringmain://{OTHER_CLUSTER}/node/2"));
    let (_, dialled) = dial(forged, server_of(&ours, everybody()));
    assert!(!dialled.connected);
    assert!(reason(&dialled).contains("OtherCluster"), "{}", reason(&dialled));
    let nameless = forged_certificate(&scratch.0, "https://example.org/");
    let (_, dialled) = dial(nameless, server_of(&ours, everybody()));
    assert!(!dialled.connected);
    assert!(reason(&dialled).contains("Missing"), "{}", reason(&dialled));
}

#[test]
fn a_dialling_node_needs_a_certificate_and_a_membership() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    for node in [1, 2] {
        authority.issue(&options(node)).expect("issues");
    }
    let (one, two) = (scratch.identity(1).expect("loads"), scratch.identity(2).expect("loads"));
    let (_, dialled) = dial(careless_client(None), server_of(&one, everybody()));
    assert!(!dialled.connected && dialled.lost.is_some());

    let is_member: MemberCheck = Arc::new(|node| node != NodeId(2));
    let (_, dialled) = dial(client_of(&two, 1, Protocol::Data), server_of(&one, is_member));
    assert!(!dialled.connected);
    assert!(reason(&dialled).contains("NoMember"), "{}", reason(&dialled));
}

#[test]
fn expired_certificates_are_refused_by_both_sides() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    authority.issue(&options(1)).expect("issues");
    let ours = scratch.identity(1).expect("loads");
    let uri = format!("ringmain://{CLUSTER}/node/2");
    for (last_year, is_accepted) in [(2020, false), (4000, true)] {
        let (certificate, key) = signed_with(&scratch.0, &uri, last_year);
        let client = careless_builder().with_client_auth_cert(vec![certificate.clone()], key.clone_key());
        let mut client = client.expect("a certificate");
        client.alpn_protocols = vec![b"ringmain-data/1".to_vec()];
        let (_, dialled) = dial(quic_client(client), server_of(&ours, everybody()));
        assert_eq!(dialled.connected, is_accepted, "{}", reason(&dialled));

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate");
        server.alpn_protocols = vec![b"ringmain-data/1".to_vec()];
        let server = quinn_proto::crypto::rustls::QuicServerConfig::try_from(server).expect("a suite");
        let server = quinn_proto::ServerConfig::with_crypto(Arc::new(server));
        let (dialling, _) = dial(client_of(&ours, 2, Protocol::Data), server);
        assert_eq!(dialling.connected, is_accepted, "{}", reason(&dialling));
        assert!(is_accepted || reason(&dialling).contains("xpired"), "{}", reason(&dialling));
    }
}

#[test]
fn both_sides_name_the_same_protocol() {
    let (scratch, authority) = Scratch::cluster(CLUSTER);
    authority.issue(&options(1)).expect("issues");
    let one = scratch.identity(1).expect("loads");
    let (dialling, dialled) = dial(client_of(&one, 1, Protocol::Control), server_of(&one, everybody()));
    assert!(!dialling.connected && !dialled.connected);
    let (dialling, dialled) = dial(client_of(&one, 1, Protocol::Data), server_of(&one, everybody()));
    assert!(dialling.connected && dialled.connected);
}

fn quic_client(tls: rustls::ClientConfig) -> quinn_proto::ClientConfig {
    let tls = quinn_proto::crypto::rustls::QuicClientConfig::try_from(tls).expect("a suite");
    quinn_proto::ClientConfig::new(Arc::new(tls))
}

/// Accepts every server.
#[derive(Debug)]
struct Careless;

impl rustls::client::danger::ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

fn careless_builder() -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Careless))
}

fn careless_client(identity: Option<&NodeIdentity>) -> quinn_proto::ClientConfig {
    let mut tls = match identity {
        Some(identity) => {
            let (certificate, key) = identity.certificate_and_key();
            careless_builder().with_client_auth_cert(vec![certificate], key).expect("a certificate")
        }
        None => careless_builder().with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"ringmain-data/1".to_vec()];
    quic_client(tls)
}

/// A certificate that says something else, signed with the key of a cluster's authority.
fn forged_certificate(directory: &Path, uri: &str) -> quinn_proto::ClientConfig {
    let (certificate, key) = signed_with(directory, uri, 4000);
    let mut tls = careless_builder().with_client_auth_cert(vec![certificate], key).expect("a certificate");
    tls.alpn_protocols = vec![b"ringmain-data/1".to_vec()];
    quic_client(tls)
}

/// A certificate that holds until the end of a year, signed with the key of a cluster's authority.
fn signed_with(
    directory: &Path,
    uri: &str,
    last_year: i32,
) -> (rustls::pki_types::CertificateDer<'static>, rustls::pki_types::PrivateKeyDer<'static>) {
    use rustls::pki_types::pem::PemObject;
    let pem = fs::read_to_string(directory.join("cluster.key")).expect("reads");
    let issuer_key = rcgen::KeyPair::from_pem(&pem).expect("a key");
    let mut issuer = rcgen::CertificateParams::default();
    issuer.distinguished_name = rcgen::DistinguishedName::new();
    issuer.distinguished_name.push(rcgen::DnType::CommonName, format!("ringmain://{CLUSTER}/authority"));
    let mut parameters = rcgen::CertificateParams::default();
    parameters.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().expect("ASCII"))];
    parameters.not_after = rcgen::date_time_ymd(last_year, 12, 31);
    parameters.extended_key_usages =
        vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth, rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = parameters.signed_by(&key, &rcgen::Issuer::new(issuer, issuer_key)).expect("is signed");
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes());
    (certificate.der().clone(), key.expect("a key"))
}
