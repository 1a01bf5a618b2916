//! Why a command failed, in words that say what to do.

use std::io;

use ringmain_replication::quic::certificates::CertificateError;

use crate::client::ClientError;
use crate::config::ConfigProblems;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong.
    #[error("the configuration cannot be used:\n{0}")]
    Config(#[from] ConfigProblems),
    /// A broker could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Certificates could not be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A file or a stream failed.
    #[error("cannot {operation}: {error}")]
    Io {
        /// A verb phrase.
        operation: String,
        /// The system's answer.
        error: io::Error,
    },
    /// Whoever read our output has stopped; not a failure to report.
    #[error("the output was closed")]
    BrokenPipe,
    /// Anything else, as a sentence.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// A failed write to standard output.
    pub fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::BrokenPipe;
        }
        Self::Io { operation: "write to standard output".to_owned(), error }
    }
}
