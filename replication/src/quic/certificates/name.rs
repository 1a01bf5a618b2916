//! What a certificate says about who it is for: `ringmain://CLUSTER/node/3`, or `ringmain://CLUSTER/authority`.
//!
//! It stands in the certificate as a URI of the subject's alternative names. A DNS name would not do: those know no upper
//! and lower case, cluster ids do.

use core::fmt;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::NodeId;

const SCHEME: &str = "ringmain://";

/// Longest cluster id; Kafka's are 22 characters, and those of its users hardly longer.
const CLUSTER_ID_LENGTH_MAX: usize = 64;

/// Why a certificate does not say who it is for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a certificate.
    #[error("it is not an X.509 certificate: {0}")]
    Malformed(String),
    /// No name of ours in it.
    #[error("it names no node of a cluster (no subject alternative name {SCHEME}CLUSTER/node/N)")]
    Missing,
    /// More than one: then it is not known which one a check would have looked at.
    #[error("it has more than one name that begins with {SCHEME}")]
    Ambiguous,
    /// A name of our form that says nothing sensible.
    #[error("'{0}' names neither a node nor an authority of a cluster")]
    Unknown(String),
    /// A cluster id that could not stand in a certificate.
    #[error(
        "'{0}' is no cluster id: write 1 to {CLUSTER_ID_LENGTH_MAX} letters, digits, dashes or underscores"
    )]
    ClusterId(String),
    /// Nodes are counted from zero.
    #[error("{0} is no node id: it is negative")]
    NodeId(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Authority,
    Node(NodeId),
}

/// Who a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateName {
    cluster_id: String,
    holder: Holder,
}

impl CertificateName {
    /// The name of a cluster's authority.
    pub fn of_authority(cluster_id: &str) -> Result<Self, NameError> {
        Self::new(cluster_id, Holder::Authority)
    }

    /// The name of a node.
    pub fn of_node(cluster_id: &str, node: NodeId) -> Result<Self, NameError> {
        Self::new(cluster_id, Holder::Node(node))
    }

    fn new(cluster_id: &str, holder: Holder) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=CLUSTER_ID_LENGTH_MAX).contains(&cluster_id.len()) || !cluster_id.bytes().all(allowed) {
            return Err(NameError::ClusterId(cluster_id.to_string()));
        }
        match holder {
            Holder::Node(node) if node.0 < 0 => Err(NameError::NodeId(node.0)),
            holder => Ok(Self { cluster_id: cluster_id.to_string(), holder }),
        }
    }

    /// The name that stands in a certificate. Says nothing about whether the certificate is to be believed.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, NameError> {
        let parsed =
            EndEntityCert::try_from(certificate).map_err(|error| NameError::Malformed(error.to_string()))?;
        let mut names = parsed.valid_uri_names().filter(|name| name.starts_with(SCHEME));
        let name = names.next().ok_or(NameError::Missing)?;
        if names.next().is_some() {
            return Err(NameError::Ambiguous);
        }
        Self::parse(name)
    }

    /// Takes exactly what [`CertificateName::to_string`] gives.
    fn parse(text: &str) -> Result<Self, NameError> {
        let unknown = || NameError::Unknown(text.to_string());
        let (cluster_id, holder) =
            text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/')).ok_or_else(unknown)?;
        let holder = match holder.strip_prefix("node/") {
            Some(node) => Holder::Node(NodeId(node.parse().map_err(|_| unknown())?)),
            None if holder == "authority" => Holder::Authority,
            None => return Err(unknown()),
        };
        let name = Self::new(cluster_id, holder)?;
        // "+3" and "03" are numbers too; one node has one name.
        if name.to_string() == text { Ok(name) } else { Err(unknown()) }
    }

    /// The cluster that it belongs to.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The node that it is for; `None`: for the authority.
    pub fn node_id(&self) -> Option<NodeId> {
        match self.holder {
            Holder::Node(node) => Some(node),
            Holder::Authority => None,
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.holder {
            Holder::Authority => write!(f, "{SCHEME}{}/authority", self.cluster_id),
            Holder::Node(node) => write!(f, "{SCHEME}{}/node/{node}", self.cluster_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        for name in [
            CertificateName::of_node("3vQmXyJ0T5mJ0mG1o0cW3w", NodeId(3)),
            CertificateName::of_node("-_", NodeId(0)),
            CertificateName::of_node("c", NodeId(i32::MAX)),
            CertificateName::of_authority("c"),
        ] {
            let name = name.expect("well-formed");
            assert_eq!(CertificateName::parse(&name.to_string()), Ok(name));
        }
    }

    #[test]
    fn one_node_has_one_name() {
        for text in [
            "ringmain://c/node/+3",
            "ringmain://c/node/03",
            "ringmain://c/node/-3",
            "ringmain://c/node/3/",
            "ringmain://c/node/",
            "ringmain://c/node/4294967299",
            "ringmain://c/Node/3",
            "ringmain://c/authority/",
            "ringmain://c//node/3",
            "ringmain:///node/3",
            "ringmain://c d/node/3",
            "ringmain://c",
            "RINGMAIN://c/node/3",
        ] {
            assert!(CertificateName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cluster_ids_that_would_change_the_name_are_refused() {
        let long = "x".repeat(CLUSTER_ID_LENGTH_MAX + 1);
        for cluster_id in ["", "a/b", "a b", "a.b", "\u{e9}", long.as_str()] {
            assert_eq!(
                CertificateName::of_node(cluster_id, NodeId(1)),
                Err(NameError::ClusterId(cluster_id.to_string()))
            );
        }
        assert_eq!(CertificateName::of_node("c", NodeId(-1)), Err(NameError::NodeId(-1)));
    }
}
