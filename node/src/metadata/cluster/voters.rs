//! Who should have a vote: the controller keeps as many voters as are configured, with the directories that there are.
//!
//! Pure: looks at the quorum and at the image, and says the next single change, or none. What must hold: a vote is taken only
//! from a directory that does not answer and whose node came back with another one, whose node was taken out of the cluster,
//! or that another node replaces for good; nobody gets one who does not answer and is not registered.

use std::collections::BTreeSet;
use std::time::Duration;

use ringmain_quorum::{MemberStatus, NodeId as QuorumNode, QuorumStatus, ReplicaId};

use crate::metadata::{MetadataImage, NodeId};

/// A member that was not heard for so long does not answer: many heartbeats of the quorum.
const SILENT: Duration = Duration::from_secs(2);
/// Entries that a learner may lack when it gets a vote: it has them in a moment, and commits do not wait for it long.
const BEHIND_MAX: u64 = 1000;

/// A change of the members. Who is to be dropped should be so for a while: a learner that was just admitted has not
/// answered yet, and one that is dropped comes back only with another directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VoterChange {
    /// Exactly these vote.
    Set(BTreeSet<ReplicaId>),
    /// These are members no more.
    Drop(BTreeSet<ReplicaId>),
}

/// The next change, as the leader of the quorum sees it; it is settled when whoever lives has had the time to say so.
pub(super) fn next_change(
    status: &QuorumStatus,
    image: &MetadataImage,
    configured: usize,
    is_settled: bool,
) -> Option<VoterChange> {
    let answers = |member: &&MemberStatus| member.answered_ago.is_some_and(|ago| ago < SILENT);
    let was_taken_out = |node: QuorumNode| image.was_taken_out(NodeId(node.0));
    let is_registered = |node: QuorumNode| image.nodes().contains_key(&NodeId(node.0));
    let last = status.last_index.unwrap_or(0);
    let voters: BTreeSet<ReplicaId> =
        status.members.iter().filter(|member| member.is_voter).map(|member| member.replica).collect();
    let learners = || status.members.iter().filter(|member| !member.is_voter);
    let ready: Vec<ReplicaId> = learners()
        .filter(answers)
        .filter(|member| member.matched_index.is_some_and(|matched| matched + BEHIND_MAX > last))
        .filter(|member| image.is_active(NodeId(member.replica.node.0)))
        .map(|member| member.replica)
        .collect();
    let replaced = |old: &ReplicaId, new: Option<&ReplicaId>| {
        let others = voters.iter().filter(|voter| *voter != old);
        VoterChange::Set(others.chain(new).copied().collect())
    };
    let newcomer = || ready.iter().find(|learner| voters.iter().all(|voter| voter.node != learner.node));

    let silent = || status.members.iter().filter(|member| member.is_voter && !answers(member));
    for voter in silent().map(|member| &member.replica) {
        if let Some(came_back) = ready.iter().find(|learner| learner.node == voter.node) {
            return Some(replaced(voter, Some(came_back)));
        }
    }
    for voter in silent().map(|member| &member.replica).filter(|voter| !is_registered(voter.node)) {
        match newcomer().filter(|_| is_settled || was_taken_out(voter.node)) {
            Some(newcomer) => return Some(replaced(voter, Some(newcomer))),
            None if was_taken_out(voter.node) && voters.len() > 1 => return Some(replaced(voter, None)),
            None => {}
        }
    }
    if voters.len() < configured
        && let Some(newcomer) = newcomer()
    {
        return Some(VoterChange::Set(voters.iter().copied().chain([*newcomer]).collect()));
    }
    let is_gone = |member: &&MemberStatus| {
        let node = member.replica.node;
        // One whose node votes with another directory that answers; not the new directory of a voter that lost its own.
        let mut heard = status.members.iter().filter(|other| other.is_voter).filter(answers);
        !answers(member) && (!is_registered(node) || heard.any(|voter| voter.replica.node == node))
    };
    let gone: BTreeSet<_> = learners().filter(is_gone).map(|member| member.replica).collect();
    (!gone.is_empty()).then_some(VoterChange::Drop(gone))
}

#[cfg(test)]
mod tests {
    use ringmain_quorum::{Address, DirectoryId, Role};

    use super::*;
    use crate::metadata::MetadataRecord;

    fn replica(node: i32, directory: u128) -> ReplicaId {
        ReplicaId { node: QuorumNode(node), directory: DirectoryId(directory) }
    }

    fn member(node: i32, directory: u128, is_voter: bool, answers: bool) -> MemberStatus {
        MemberStatus {
            replica: replica(node, directory),
            address: Address::default(),
            is_voter,
            matched_index: answers.then_some(100),
            answered_ago: answers.then_some(Duration::from_millis(50)),
        }
    }

    /// All of `nodes` are registered and alive; `taken_out` were.
    fn next(members: Vec<MemberStatus>, nodes: &[i32], taken_out: &[i32]) -> Option<VoterChange> {
        let status = QuorumStatus {
            replica: replica(1, 1),
            role: Role::Leader,
            term: 1,
            leader: Some(replica(1, 1)),
            last_index: Some(100),
            committed_index: Some(100),
            applied_index: Some(100),
            snapshot_index: None,
            members,
            failure: None,
        };
        let registered = nodes.iter().chain(taken_out).map(|node| MetadataRecord::LoneNodeStarted {
            node_id: NodeId(*node),
            registration_epoch: 0,
            host: "h".to_owned(),
            port: 1,
            rack: None,
        });
        let unregistered = taken_out
            .iter()
            .map(|node| MetadataRecord::NodeUnregistered { node_id: NodeId(*node), registration_epoch: 0 });
        let records: Vec<_> = registered.chain(unregistered).collect();
        let image = MetadataImage::default().after(&records).expect("applies");
        next_change(&status, &image, 3, true)
    }

    fn set(replicas: &[(i32, u128)]) -> Option<VoterChange> {
        Some(VoterChange::Set(replicas.iter().map(|(node, directory)| replica(*node, *directory)).collect()))
    }

    #[test]
    fn a_voter_that_is_only_away_keeps_its_vote() {
        let all = vec![member(1, 1, true, true), member(2, 1, true, true), member(3, 1, true, true)];
        assert_eq!(next(all, &[1, 2, 3], &[]), None);
        let away = vec![member(1, 1, true, true), member(2, 1, true, true), member(3, 1, true, false)];
        assert_eq!(next(away.clone(), &[1, 2, 3], &[]), None);
        // Also when it was never registered: it may be about to.
        assert_eq!(next(away, &[1, 2], &[]), None);
    }

    #[test]
    fn a_node_that_came_back_with_another_directory_votes_with_it() {
        let mut members = vec![member(1, 1, true, true), member(2, 1, true, true), member(3, 1, true, false)];
        members.push(member(3, 2, false, true));
        assert_eq!(next(members.clone(), &[1, 2, 3], &[]), set(&[(1, 1), (2, 1), (3, 2)]));
        assert_eq!(next(members.clone(), &[1, 2], &[]), None, "it is not registered yet");
        // While the old one answers somebody has a copy of the directory: nobody is to guess.
        members[2] = member(3, 1, true, true);
        assert_eq!(next(members, &[1, 2, 3], &[]), None);
    }

    #[test]
    fn what_is_left_of_an_older_directory_is_dropped() {
        let members = vec![
            member(1, 1, true, true),
            member(2, 1, true, true),
            member(3, 2, true, true),
            member(3, 1, false, false),
        ];
        let gone = Some(VoterChange::Drop(BTreeSet::from([replica(3, 1)])));
        assert_eq!(next(members, &[1, 2, 3], &[]), gone);
    }

    #[test]
    fn a_learner_that_is_nobody_is_dropped() {
        let mut members = vec![member(1, 1, true, true), member(2, 1, true, true), member(4, 1, true, true)];
        members.push(member(3, 1, false, false));
        let gone = Some(VoterChange::Drop(BTreeSet::from([replica(3, 1)])));
        assert_eq!(next(members.clone(), &[1, 2, 4], &[]), gone);
        assert_eq!(next(members.clone(), &[1, 2, 3, 4], &[]), None, "it is only away");
        members[3] = member(3, 1, false, true);
        assert_eq!(next(members, &[1, 2, 4], &[]), None, "it is about to register");
    }

    #[test]
    fn the_new_directory_of_a_voter_is_not_dropped_before_it_answers() {
        let mut members = vec![member(1, 1, true, true), member(2, 1, true, true), member(3, 1, true, false)];
        members.push(member(3, 2, false, false));
        assert_eq!(next(members, &[1, 2, 3], &[]), None);
    }

    #[test]
    fn a_new_node_takes_the_place_of_one_that_is_gone() {
        let mut members = vec![member(1, 1, true, true), member(2, 1, true, true), member(3, 1, true, false)];
        members.push(member(4, 1, false, true));
        assert_eq!(next(members.clone(), &[1, 2, 3, 4], &[]), None, "node 3 is registered");
        assert_eq!(next(members.clone(), &[1, 2, 4], &[]), set(&[(1, 1), (2, 1), (4, 1)]));
        members.pop();
        assert_eq!(next(members, &[1, 2], &[3]), set(&[(1, 1), (2, 1)]));
        let two = vec![member(1, 1, true, true), member(2, 1, true, true), member(4, 1, false, true)];
        assert_eq!(next(two, &[1, 2, 4], &[]), set(&[(1, 1), (2, 1), (4, 1)]));
    }
}
