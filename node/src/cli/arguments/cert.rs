//! The arguments of the `cert` commands.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CertCommand {
    /// Make the authority of a new cluster, which signs the certificates of its nodes
    Init(CertInitArguments),
    /// Make the certificate and the key of a node
    Node(CertNodeArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Once for each cluster, on a machine that you trust. cluster.crt goes to every node; cluster.key
makes new nodes, so it goes to none. Existing files are never replaced.

Examples:
  ringmain cert init                                          a new cluster, files in ./certificates
  ringmain cert init --cluster-id 3vQmXyJ0T5mJ0mG1o0cW3w --directory /srv/orders-cluster"
)]
pub(in crate::cli) struct CertInitArguments {
    /// Id of the cluster: 22 characters of URL-safe base64, as Kafka's [default: a new one]
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(in crate::cli) cluster_id: Option<String>,
    /// Where the files are written; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "certificates")]
    pub(in crate::cli) directory: PathBuf,
    /// Days until no node's certificate of this authority is accepted any more
    #[arg(long, value_name = "N", default_value_t = 7300, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(in crate::cli) days: u32,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A node needs its own two files and cluster.crt. The others accept it as this node of this cluster,
wherever it runs. Existing files are never replaced.

Examples:
  ringmain cert node --node-id 1
  ringmain cert node --node-id 2 --directory /srv/orders-cluster --host db-2.example --host 10.0.0.2"
)]
pub(in crate::cli) struct CertNodeArguments {
    /// Number of the node, as in its configuration
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(in crate::cli) node_id: i32,
    /// Where 'ringmain cert init' has written the authority
    #[arg(long, value_name = "DIR", default_value = "certificates")]
    pub(in crate::cli) directory: PathBuf,
    /// Name or address of its host, for other tools that look at it; can be repeated
    #[arg(long, value_name = "HOST")]
    pub(in crate::cli) host: Vec<String>,
    /// Days until the others accept it no more
    #[arg(long, value_name = "N", default_value_t = 1825, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(in crate::cli) days: u32,
}
