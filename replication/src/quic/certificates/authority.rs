//! Makes the authority of a cluster and the certificates of its nodes, as files in a directory.
//!
//! The directory holds `cluster.crt` and `cluster.key`, and for node 3 `node-3.crt` and `node-3.key`. A node needs its own two
//! and `cluster.crt`; `cluster.key` makes new nodes and belongs on none of them.
//!
//! What must hold: keys are readable by their owner alone from the moment they exist; nothing is ever replaced; what was
//! reported as made is on the disk.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{
    error::{CertificateError, FileProblem},
    name::CertificateName,
};
use crate::NodeId;

/// How far before now a certificate begins to hold: the clock of the host that makes it may run ahead of a node's.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const AUTHORITY_FILES: &str = "cluster";

/// What a node's certificate is to say.
#[derive(Debug, Clone)]
pub struct IssueOptions {
    /// The node.
    pub node: NodeId,
    /// Names and addresses of its host, for tools that look at them. Nodes do not: an address may change.
    pub hosts: Vec<String>,
    /// Days from now after which the others refuse it.
    pub valid_days: u32,
}

/// Where a certificate and its key were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedFiles {
    /// The certificate, for everybody.
    pub certificate: PathBuf,
    /// The key, for its owner alone.
    pub key: PathBuf,
}

impl IssuedFiles {
    fn named(directory: &Path, name: &str) -> Self {
        let file = |extension| directory.join(format!("{name}.{extension}"));
        Self { certificate: file("crt"), key: file("key") }
    }

    fn write(&self, certificate: &str, key: &str) -> Result<(), CertificateError> {
        for path in [&self.certificate, &self.key] {
            if path.try_exists().map_err(failed("look for", path))? {
                return Err(CertificateError::Exists(path.clone()));
            }
        }
        write_new(&self.key, key, 0o600)?;
        write_new(&self.certificate, certificate, 0o644)?;
        let directory = self.key.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        fs::File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed("flush", directory))
    }
}

/// Signs the certificates of one cluster.
pub struct Authority {
    name: CertificateName,
    issuer: Issuer<'static, KeyPair>,
    directory: PathBuf,
}

impl Authority {
    /// Makes a cluster's authority; the directory, if it is not there yet, for the owner alone.
    pub fn create(
        directory: &Path,
        cluster_id: &str,
        valid_days: u32,
    ) -> Result<(Self, IssuedFiles), CertificateError> {
        let name = CertificateName::of_authority(cluster_id)?;
        let parameters = authority_parameters(&name, valid_days)?;
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed("make the directory", directory))?;
        let files = IssuedFiles::named(directory, AUTHORITY_FILES);
        files.write(&certificate.pem(), &key.serialize_pem())?;
        let issuer = Issuer::new(parameters, key);
        Ok((Self { name, issuer, directory: directory.to_path_buf() }, files))
    }

    /// The authority that an earlier [`Authority::create`] left in this directory.
    pub fn load(directory: &Path) -> Result<Self, CertificateError> {
        let files = IssuedFiles::named(directory, AUTHORITY_FILES);
        let problem = |path: &Path, problem| CertificateError::File { path: path.to_path_buf(), problem };
        let certificate = read_certificate(&files.certificate)?;
        let name =
            CertificateName::read(&certificate).map_err(|error| problem(&files.certificate, error.into()))?;
        if name.node_id().is_some() {
            let wrong = FileProblem::WrongHolder { found: name.to_string(), wanted: "an authority" };
            return Err(problem(&files.certificate, wrong));
        }
        let pem = fs::read_to_string(&files.key).map_err(failed("read", &files.key))?;
        let key = KeyPair::from_pem(&pem).map_err(|error| {
            problem(&files.key, FileProblem::NotPem { wanted: "private key", reason: error.to_string() })
        })?;
        let parsed = rustls::server::ParsedCertificate::try_from(&certificate)?;
        if parsed.subject_public_key_info().as_ref() != subject_public_key_info(&key) {
            return Err(problem(&files.key, FileProblem::OtherKey));
        }
        // Its own certificate holds as long as it says; what stands in the issued ones of it does not depend on that.
        let issuer = Issuer::new(authority_parameters(&name, 0)?, key);
        Ok(Self { name, issuer, directory: directory.to_path_buf() })
    }

    /// The cluster whose nodes it makes.
    pub fn cluster_id(&self) -> &str {
        self.name.cluster_id()
    }

    /// Makes the key and the certificate of a node, beside the authority's.
    pub fn issue(&self, options: &IssueOptions) -> Result<IssuedFiles, CertificateError> {
        let name = CertificateName::of_node(self.cluster_id(), options.node)?;
        let mut parameters = parameters(&name, options.valid_days)?;
        for host in &options.hosts {
            parameters.subject_alt_names.push(host_name(host)?);
        }
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let files = IssuedFiles::named(&self.directory, &format!("node-{}", options.node));
        files.write(&certificate.pem(), &key.serialize_pem())?;
        Ok(files)
    }
}

fn authority_parameters(
    name: &CertificateName,
    valid_days: u32,
) -> Result<CertificateParams, CertificateError> {
    let mut parameters = parameters(name, valid_days)?;
    // It signs nodes, not further authorities.
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(parameters)
}

fn parameters(name: &CertificateName, valid_days: u32) -> Result<CertificateParams, CertificateError> {
    let mut parameters = CertificateParams::default();
    let uri = SanType::URI(name.to_string().try_into()?);
    parameters.subject_alt_names.push(uri);
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name.to_string());
    // A clock before 1970 gives a certificate that no peer finds valid yet: it says so there.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    parameters.not_before = epoch + now.saturating_sub(CLOCK_DIFFERENCE);
    parameters.not_after = epoch + (now + DAY * valid_days).min(LAST_DAY);
    Ok(parameters)
}

/// X.509 can write no year after 9999.
const LAST_DAY: Duration = Duration::from_secs(253_402_300_799);

fn host_name(host: &str) -> Result<SanType, CertificateError> {
    let wrong = || CertificateError::Host(host.to_string());
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    rustls::pki_types::DnsName::try_from(host).map_err(|_| wrong())?;
    Ok(SanType::DnsName(host.try_into().map_err(|_| wrong())?))
}

fn subject_public_key_info(key: &KeyPair) -> Vec<u8> {
    use rcgen::PublicKeyData;
    key.subject_public_key_info()
}

/// The first certificate of a PEM file.
pub(super) fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, CertificateError> {
    let pem = fs::read(path).map_err(failed("read", path))?;
    CertificateDer::from_pem_slice(&pem).map_err(|error| CertificateError::File {
        path: path.to_path_buf(),
        problem: FileProblem::NotPem { wanted: "certificate", reason: format!("{error:?}") },
    })
}

pub(super) fn failed(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> CertificateError + use<> {
    let path = path.to_path_buf();
    move |error| CertificateError::Io { operation, path, error }
}

fn write_new(path: &Path, content: &str, mode: u32) -> Result<(), CertificateError> {
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CertificateError::Exists(path.to_path_buf()),
        _ => CertificateError::Io { operation: "write", path: path.to_path_buf(), error },
    })
}
