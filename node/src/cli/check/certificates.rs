//! The certificate of a node in a cluster: for how long the others will accept it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use ringmain_replication::quic::certificates::NodeIdentity;

use super::finding::Verdict;
use crate::config::ClusterConfig;

const DAY: Duration = Duration::from_secs(86_400);
/// What is left when there is advice, and when there is no time left for it.
const DAYS_ADVICE: u32 = 60;
const DAYS_PROBLEM: u32 = 7;
/// Further ahead nobody looks.
const DAYS_MAX: u32 = 36_500;

/// How long the certificate holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CertificateFacts {
    file: PathBuf,
    /// Whole days from now on which it is valid, or why that is not known.
    days: Result<u32, String>,
}

impl CertificateFacts {
    pub(super) fn read(cluster: &ClusterConfig) -> Self {
        let identity = NodeIdentity::load(&cluster.identity_files()).map_err(|error| error.to_string());
        Self { file: cluster.certificate.clone(), days: identity.map(|identity| days_left(&identity)) }
    }
}

/// The last day on which it is valid, by halving: what is valid today stays so until it expires.
fn days_left(identity: &NodeIdentity) -> u32 {
    let now = SystemTime::now();
    let (mut valid, mut expired) = (0, DAYS_MAX);
    while valid + 1 < expired {
        let middle = (valid + expired) / 2;
        if identity.is_valid_at(now + DAY * middle) { valid = middle } else { expired = middle }
    }
    valid
}

pub(super) fn expiry(facts: &CertificateFacts) -> Verdict {
    let remedy = "make another with 'ringmain cert node' where the authority is, put both files in its place, and start \
                  the node anew";
    let file = facts.file.display();
    match &facts.days {
        Err(error) => Verdict::problem(format!("{file}: {error}"), remedy),
        Ok(days) if *days < DAYS_PROBLEM => {
            Verdict::problem(format!("{file} expires in {days} days"), remedy)
        }
        Ok(days) if *days < DAYS_ADVICE => Verdict::advice(format!("{file} expires in {days} days"), remedy),
        Ok(days) => Verdict::ok(format!("{file} holds for {days} days")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn the_end_is_told_in_time() {
        let judge = |days| expiry(&CertificateFacts { file: PathBuf::from("node-1.crt"), days }).status;
        assert_eq!(judge(Ok(365)), Status::Ok);
        assert_eq!(judge(Ok(30)), Status::Advice);
        assert_eq!(judge(Ok(3)), Status::Problem);
        assert_eq!(judge(Err("damaged".to_owned())), Status::Problem);
    }
}
