//! Why certificates could not be made or used, in words that say what to do.

use std::{io, path::PathBuf};

use super::name::NameError;

/// Why certificates could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read or written.
    #[error("cannot {operation} {}: {error}", path.display())]
    Io {
        /// A verb phrase.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// It would replace a key or a certificate that may be in use.
    #[error("{} exists already, and is not replaced: remove it first if it is no longer used", .0.display())]
    Exists(PathBuf),
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// A name that a certificate cannot have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A host name or address that cannot stand in a certificate.
    #[error("'{0}' is neither a host name nor an IP address")]
    Host(String),
    /// The library that makes certificates refused.
    #[error("cannot make the certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The TLS library refused the configuration.
    #[error("cannot use the certificate for TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What is wrong with a file of certificates or keys.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// No PEM section of the wanted kind.
    #[error("no {wanted} in it ({reason})")]
    NotPem {
        /// What was looked for.
        wanted: &'static str,
        /// What the reader said.
        reason: String,
    },
    /// The certificate does not say what it is for.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A certificate of the wrong kind.
    #[error("it is the certificate of {found}, and has to be one of {wanted}")]
    WrongHolder {
        /// Its name.
        found: String,
        /// The kind that was needed.
        wanted: &'static str,
    },
    /// Certificates of two clusters.
    #[error("it belongs to cluster {found}, the authority to cluster {authority}")]
    OtherCluster {
        /// The cluster of the node's certificate.
        found: String,
        /// The cluster of the authority's certificate.
        authority: String,
    },
    /// The key is not that of the certificate.
    #[error("the key does not belong to the certificate")]
    OtherKey,
    /// Not signed by the authority, expired, or not for this use.
    #[error("it would be refused by the other nodes: {0}")]
    Refused(rustls::Error),
}
