//! The `cert` commands: the certificates by which the nodes of a cluster know each other.

use ringmain_metadata::ClusterId;
use ringmain_replication::NodeId;
use ringmain_replication::quic::certificates::{Authority, IssueOptions, IssuedFiles};

use super::arguments::{CertCommand, CertInitArguments, CertNodeArguments};
use super::failure::Failure;
use super::output;
use crate::metadata::random_cluster_id;

/// Does what a `cert` command says.
pub(super) fn run(command: CertCommand) -> Result<(), Failure> {
    match command {
        CertCommand::Init(arguments) => init(&arguments),
        CertCommand::Node(arguments) => node(&arguments),
    }
}

fn init(arguments: &CertInitArguments) -> Result<(), Failure> {
    let cluster_id = match &arguments.cluster_id {
        Some(text) => ClusterId::parse(text).ok_or_else(|| {
            Failure::Other(format!("'{text}' is no cluster id: it takes 22 characters of URL-safe base64"))
        })?,
        None => random_cluster_id()
            .map_err(|error| Failure::Io { operation: "make a cluster id".to_owned(), error })?,
    };
    let (_, files) = Authority::create(&arguments.directory, cluster_id.as_str(), arguments.days)?;
    let about = format!("authority of cluster {cluster_id}, valid for {} days", arguments.days);
    report(&about, &files, "every node needs it", "makes new nodes: keep it secret, and off the nodes")
}

fn node(arguments: &CertNodeArguments) -> Result<(), Failure> {
    let authority = Authority::load(&arguments.directory)?;
    let files = authority.issue(&IssueOptions {
        node: NodeId(arguments.node_id),
        hosts: arguments.host.clone(),
        valid_days: arguments.days,
    })?;
    let cluster_id = authority.cluster_id();
    let about =
        format!("node {} of cluster {cluster_id}, valid for {} days", arguments.node_id, arguments.days);
    report(&about, &files, "this node and nobody else shows it", "belongs on this node only")
}

fn report(about: &str, files: &IssuedFiles, certificate: &str, key: &str) -> Result<(), Failure> {
    let (crt, private) = (files.certificate.display(), files.key.display());
    output::print(&format!(
        "{about}\n  certificate  {crt}  ({certificate})\n  key          {private}  ({key})\n"
    ))
}
