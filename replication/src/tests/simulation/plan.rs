//! What a seed draws for itself: the size of the cluster, the weather, and which faults there are (swarm testing: a
//! schedule with few kinds of faults goes deeper into each).

use super::controller;
use super::network::Weather;
use super::random::Random;
use crate::{CommitRule, Settings};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Kill,
    KillAll,
    PowerOne,
    PowerAll,
    DiskLoss,
    Isolate,
    OneWay,
    /// A link holds what is sent, and lets it go later.
    Clog,
    CutFromController,
    Pause,
    SlowDisk,
    MoveLeader,
    /// To and fro within a moment.
    MoveLeaderOften,
    Reassign,
    DeleteRecords,
}

const FAULTS: [Fault; 15] = [
    Fault::Kill,
    Fault::KillAll,
    Fault::PowerOne,
    Fault::PowerAll,
    Fault::DiskLoss,
    Fault::Isolate,
    Fault::OneWay,
    Fault::Clog,
    Fault::CutFromController,
    Fault::Pause,
    Fault::SlowDisk,
    Fault::MoveLeader,
    Fault::MoveLeaderOften,
    Fault::Reassign,
    Fault::DeleteRecords,
];

/// Everything that stays the same during a run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) nodes: usize,
    pub(super) partitions: usize,
    pub(super) replicas: usize,
    pub(super) clients: usize,
    pub(super) min_in_sync: u32,
    pub(super) commit_rule: CommitRule,
    pub(super) settings: Settings,
    pub(super) session_ms: i64,
    pub(super) weather: Weather,
    pub(super) faults: Vec<Fault>,
    pub(super) fault_ms_max: i64,
    pub(super) chaos_ms: i64,
    pub(super) disk_ms_max: i64,
    pub(super) client_ms_max: i64,
    pub(super) in_flight_max: usize,
    pub(super) fetch_records_max: usize,
    pub(super) no_room_permille: u64,
    /// The node's own controller decides, not the model of one.
    pub(super) has_real_controller: bool,
    /// Messages between nodes are the bytes that they are in the node.
    pub(super) is_encoded: bool,
    /// So many replicas are harmed in the moment in which they are proposed.
    pub(super) harm_permille: u64,
}

impl Plan {
    /// A story's: nothing goes wrong by itself.
    pub(super) fn story(nodes: usize) -> Self {
        Self {
            nodes,
            partitions: 1,
            replicas: 3,
            clients: super::story::CLIENTS,
            min_in_sync: 2,
            commit_rule: CommitRule::Flushed,
            settings: Settings {
                lag_ms_max: 1_000,
                fetch_wait_ms_max: 500,
                fetch_timeout_ms: 800,
                fetch_retry_ms: 50,
                proposal_retry_ms: 300,
            },
            session_ms: 10_000,
            weather: Weather::default(),
            faults: Vec::new(),
            fault_ms_max: 0,
            chaos_ms: 0,
            disk_ms_max: 0,
            client_ms_max: 0,
            in_flight_max: 1,
            fetch_records_max: 1,
            no_room_permille: 0,
            has_real_controller: false,
            is_encoded: false,
            harm_permille: 0,
        }
    }

    pub(super) fn draw(random: &mut Random) -> Self {
        let nodes = *random.of(&[3, 3, 3, 4, 5]);
        let partitions = *random.of(&[1, 1, 1, 2]);
        let lag_ms_max = random.between(150, 500);
        let fetch_wait_ms_max = lag_ms_max / 3;
        let settings = Settings {
            lag_ms_max,
            fetch_wait_ms_max,
            fetch_timeout_ms: fetch_wait_ms_max + random.between(40, 300),
            fetch_retry_ms: random.between(5, 40),
            proposal_retry_ms: random.between(50, 200),
        };
        let weather = Weather {
            loss_permille: *random.of(&[0, 0, 20, 150]),
            duplicate_permille: *random.of(&[0, 20, 100]),
            delay_ms_max: *random.of(&[1, 5, 20, 50]),
            straggler_permille: *random.of(&[0, 5, 30, 100]),
            straggler_ms_max: *random.of(&[100, 400, 1500]),
        };
        let faults: Vec<Fault> = FAULTS.into_iter().filter(|_| random.permille(350)).collect();
        Self {
            nodes,
            partitions,
            replicas: 3,
            clients: partitions + random.below(3),
            min_in_sync: 2,
            commit_rule: *random.of(&[
                CommitRule::Flushed,
                CommitRule::Flushed,
                CommitRule::Flushed,
                CommitRule::Written,
            ]),
            settings,
            session_ms: random.between(120, 400),
            weather,
            faults,
            fault_ms_max: *random.of(&[100, 200, 400, 800]),
            chaos_ms: random.between(1500, 3000),
            disk_ms_max: *random.of(&[0, 2, 10, 40]),
            client_ms_max: *random.of(&[6, 15, 40]),
            in_flight_max: 1 + random.below(4),
            fetch_records_max: *random.of(&[1, 3, 10]),
            no_room_permille: *random.of(&[0, 0, 30]),
            has_real_controller: !controller::shows_with_the_model(),
            is_encoded: random.permille(100),
            harm_permille: *random.of(&[0, 100, 400]),
        }
    }
}
