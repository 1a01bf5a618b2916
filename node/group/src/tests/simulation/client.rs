//! A member as clients are: joins, syncs, beats, commits, and does what the errors ask of it.

use ringmain_protocol::ErrorCode;

use super::random::Random;
use crate::{JoinAnswer, SyncAnswer};

/// How many partitions there are to assign.
pub(super) const PARTITIONS: usize = 6;

/// Where a client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Wants to join.
    Outside,
    /// Waits for the answer to its join.
    Joining,
    /// Knows its generation; a leader knows the members, too.
    Joined { members: Vec<String> },
    /// Waits for its assignment.
    Syncing,
    /// Works.
    Member,
    /// Is no more; it says nothing to nobody.
    Gone,
}

/// A client of a group.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) group: &'static str,
    /// The protocol type.
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) instance: Option<String>,
    pub(super) version: i16,
    pub(super) member: String,
    pub(super) generation: i32,
    pub(super) phase: Phase,
    /// Number of the request whose answer counts; answers to earlier ones went to a closed connection.
    pub(super) serial: u64,
    pub(super) assignment: String,
    /// What its metadata says besides its topics: it changes when the client wants a rebalance.
    pub(super) wish: usize,
}

/// Groups and their types.
pub(super) const GROUPS: [(&str, &str); 2] = [("readers", "consumer"), ("workers", "connect")];

impl Client {
    pub(super) fn new(random: &mut Random, number: usize) -> Self {
        let (group, kind) = *random.of(&GROUPS);
        let instance = random.percent(40).then(|| format!("i{}", random.below(3)));
        Self {
            group,
            kind,
            name: format!("c{number}"),
            version: *if instance.is_some() { random.of(&[5, 9]) } else { random.of(&[0, 3, 4, 5, 9]) },
            instance,
            member: String::new(),
            generation: -1,
            phase: Phase::Outside,
            serial: 0,
            assignment: String::new(),
            wish: 0,
        }
    }

    /// What the leader gives each member; `sync` names this sync, so that it can be found again.
    pub(super) fn assign(&self, sync: u64) -> Vec<(String, String)> {
        let Phase::Joined { members } = &self.phase else {
            return vec![];
        };
        let owned = |index: usize| {
            let all: Vec<String> =
                (0..PARTITIONS).filter(|p| p % members.len() == index).map(|p| p.to_string()).collect();
            all.join(",")
        };
        let members = members.iter().enumerate();
        members.map(|(index, id)| (id.clone(), format!("s{sync}|{id}|{}", owned(index)))).collect()
    }

    pub(super) fn on_join(&mut self, answer: &JoinAnswer) {
        match answer.error {
            ErrorCode::NONE => {
                self.member = answer.member_id.to_string();
                self.generation = answer.generation;
                let leads = answer.leader == answer.member_id && !answer.skip_assignment;
                let ids = answer.members.iter().map(|member| member.member_id.to_string());
                self.phase = Phase::Joined { members: if leads { ids.collect() } else { vec![] } };
            }
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.member = answer.member_id.to_string();
                self.phase = Phase::Outside;
            }
            error => self.on_error(error),
        }
    }

    pub(super) fn on_sync(&mut self, answer: &SyncAnswer) {
        if answer.error == ErrorCode::NONE {
            self.phase = Phase::Member;
            self.assignment =
                String::from_utf8(answer.assignment.to_vec()).expect("assignments are text here");
        } else {
            self.on_error(answer.error);
        }
    }

    /// What clients do about the errors of groups.
    pub(super) fn on_error(&mut self, error: ErrorCode) {
        match error {
            ErrorCode::NONE => {}
            ErrorCode::FENCED_INSTANCE_ID => self.phase = Phase::Gone,
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::GROUP_MAX_SIZE_REACHED => {
                if error != ErrorCode::ILLEGAL_GENERATION {
                    self.member.clear();
                }
                self.phase = Phase::Outside;
            }
            ErrorCode::REBALANCE_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::UNKNOWN_SERVER_ERROR => self.phase = Phase::Outside,
            other => panic!("{} answered to an honest client: {other:?}", self.name),
        }
    }

    /// Its connection is gone.
    pub(super) fn on_disconnect(&mut self) {
        if matches!(self.phase, Phase::Joining | Phase::Syncing) {
            self.phase = Phase::Outside;
        }
        self.serial += 1;
    }
}
