//! Steps of one partition, each with the effects that it must have.

use alloc::{vec, vec::Vec};

use super::*;

const ACKS_ALL: Acks = Acks::All;

const NODE: NodeId = NodeId(1);
const NODE_EPOCH: NodeEpoch = NodeEpoch(7);

/// The assignment of a partition with replicas on `nodes`, all registered, of which `in_sync` are in sync.
fn assignment(nodes: &[i32], in_sync: &[i32], leader_epoch: i32, partition_epoch: i32) -> Assignment {
    let replica =
        |node: &i32| AssignedReplica { node: NodeId(*node), node_epoch: Some(NODE_EPOCH), is_eligible: true };
    Assignment {
        registered: Some(NODE_EPOCH),
        replicas: nodes.iter().map(replica).collect(),
        leader: in_sync.first().map(|node| NodeId(*node)),
        leader_epoch: LeaderEpoch::new(leader_epoch),
        in_sync: in_sync.iter().map(|node| NodeId(*node)).collect(),
        partition_epoch: PartitionEpoch(partition_epoch),
    }
}

fn assign(assignment: Assignment) -> Event {
    Event::Assign(alloc::boxed::Box::new(assignment))
}

fn replica(rule: CommitRule, min_in_sync: u32) -> Partition {
    let log =
        RecoveredLog { start: Offset::ZERO, end: Offset::new(10), last_epoch: Some(LeaderEpoch::new(2)) };
    Partition::new(NODE, NODE_EPOCH, log, rule, min_in_sync, Settings::default())
}

/// The only replica of its partition.
fn leader(rule: CommitRule) -> Partition {
    let mut partition = replica(rule, 1);
    let effects = step(&mut partition, 0, assign(assignment(&[1], &[1], 3, 1)));
    assert_eq!(effects, vec![Effect::Leading { leader_epoch: LeaderEpoch::new(3) }, advanced(10)]);
    partition
}

fn step(partition: &mut Partition, now_ms: i64, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    partition.step(now_ms, event, &mut effects);
    effects
}

fn append(partition: &mut Partition, request: u64, acks: Acks, end: i64) -> Vec<Effect> {
    let request = RequestToken(request);
    let accepted = step(partition, 0, Event::Produce { request, acks });
    assert_eq!(accepted, vec![Effect::AppendToLog { request, leader_epoch: LeaderEpoch::new(3) }]);
    step(partition, 0, Event::Appended { request, acks, end: Offset::new(end), timeout_ms: 100 })
}

fn done(request: u64) -> Effect {
    Effect::AnswerProduce { request: RequestToken(request), outcome: ProduceOutcome::Done }
}

fn advanced(to: i64) -> Effect {
    Effect::HighWatermarkAdvanced { to: Offset::new(to) }
}

#[test]
fn acks_all_waits_for_the_flush() {
    let mut partition = leader(CommitRule::Flushed);
    assert_eq!(append(&mut partition, 1, ACKS_ALL, 12), vec![]);
    assert_eq!(step(&mut partition, 0, Event::Written { up_to: Offset::new(12) }), vec![]);
    let flushed = step(&mut partition, 0, Event::Flushed { up_to: Offset::new(12) });
    assert_eq!(flushed, vec![advanced(12), done(1)]);
}

#[test]
fn write_caching_waits_for_the_write_only() {
    let mut partition = leader(CommitRule::Written);
    assert_eq!(append(&mut partition, 1, ACKS_ALL, 12), vec![]);
    let written = step(&mut partition, 0, Event::Written { up_to: Offset::new(12) });
    assert_eq!(written, vec![advanced(12), done(1)]);
}

#[test]
fn acks_leader_waits_for_the_write_and_stays_invisible_until_the_flush() {
    let mut partition = leader(CommitRule::Flushed);
    assert_eq!(append(&mut partition, 1, Acks::Leader, 12), vec![]);
    assert_eq!(step(&mut partition, 0, Event::Written { up_to: Offset::new(12) }), vec![done(1)]);
    assert_eq!(partition.high_watermark(), Offset::new(10));
}

#[test]
fn a_partial_flush_answers_only_what_it_covers() {
    let mut partition = leader(CommitRule::Flushed);
    append(&mut partition, 1, ACKS_ALL, 12);
    append(&mut partition, 2, ACKS_ALL, 15);
    assert_eq!(
        step(&mut partition, 0, Event::Flushed { up_to: Offset::new(12) }),
        vec![advanced(12), done(1)]
    );
    assert_eq!(
        step(&mut partition, 0, Event::Flushed { up_to: Offset::new(15) }),
        vec![advanced(15), done(2)]
    );
}

#[test]
fn a_duplicate_in_flight_is_answered_with_its_first_copy() {
    let mut partition = leader(CommitRule::Flushed);
    append(&mut partition, 1, ACKS_ALL, 12);
    append(&mut partition, 2, ACKS_ALL, 15);
    append(&mut partition, 3, ACKS_ALL, 12);
    let flushed = step(&mut partition, 0, Event::Flushed { up_to: Offset::new(12) });
    assert_eq!(flushed, vec![advanced(12), done(1), done(3)]);
}

#[test]
fn too_few_in_sync_replicas_refuse_acks_all_but_not_acks_leader() {
    let mut partition = replica(CommitRule::Flushed, 2);
    step(&mut partition, 0, assign(assignment(&[1, 2, 3], &[1], 3, 1)));
    let request = RequestToken(1);
    let refused = step(&mut partition, 0, Event::Produce { request, acks: ACKS_ALL });
    assert_eq!(refused, vec![Effect::RefuseProduce { request, refusal: ProduceRefusal::NotEnoughReplicas }]);
    assert_eq!(append(&mut partition, 2, Acks::Leader, 12), vec![]);
}

#[test]
fn a_failed_log_answers_all_and_takes_nothing_more() {
    let mut partition = leader(CommitRule::Flushed);
    append(&mut partition, 1, ACKS_ALL, 12);
    let failed = step(&mut partition, 0, Event::LogFailed);
    let outcome = ProduceOutcome::StorageFailed;
    assert_eq!(failed, vec![Effect::AnswerProduce { request: RequestToken(1), outcome }]);
    let request = RequestToken(2);
    let refused = step(&mut partition, 0, Event::Produce { request, acks: Acks::None });
    assert_eq!(refused, vec![Effect::RefuseProduce { request, refusal: ProduceRefusal::StorageFailed }]);
}

#[test]
fn a_request_is_answered_when_its_time_is_up_and_only_once() {
    let mut partition = leader(CommitRule::Flushed);
    append(&mut partition, 1, ACKS_ALL, 12);
    assert_eq!(step(&mut partition, 99, Event::Tick), vec![]);
    let outcome = ProduceOutcome::TimedOut;
    let expired = step(&mut partition, 100, Event::Tick);
    assert_eq!(expired, vec![Effect::AnswerProduce { request: RequestToken(1), outcome }]);
    assert_eq!(step(&mut partition, 0, Event::Flushed { up_to: Offset::new(12) }), vec![advanced(12)]);
}

#[test]
#[should_panic(expected = "leader epoch went back")]
fn older_leadership_is_a_broken_invariant() {
    let mut partition = leader(CommitRule::Flushed);
    step(&mut partition, 0, assign(assignment(&[1], &[1], 2, 2)));
}

/// A follower of node 2 with offsets 0..10 in its log, and the fetch that it has sent.
fn follower() -> (Partition, OutgoingFetch) {
    let mut partition = replica(CommitRule::Flushed, 1);
    let effects = step(&mut partition, 0, assign(assignment(&[2, 1], &[2], 3, 1)));
    assert_eq!(effects, vec![Effect::SendFetch { leader: NodeId(2) }]);
    let fetch = partition.outgoing_fetch().expect("it has asked");
    (partition, fetch)
}

fn records_from(base: i64, fetch: &OutgoingFetch) -> Event {
    Event::FetchAnswered(FetchAnswer {
        leader_epoch: fetch.leader_epoch,
        fetch: fetch.fetch,
        position: fetch.position,
        high_watermark: Offset::new(20),
        log_start: Offset::ZERO,
        outcome: Fetched::Records { base: Offset::new(base) },
    })
}

#[test]
fn a_batch_that_compaction_made_of_several_takes_the_place_of_their_beginning() {
    let (mut partition, fetch) = follower();
    let effects = step(&mut partition, 0, records_from(4, &fetch));
    assert_eq!(effects, vec![Effect::TruncateLog { to: Offset::new(4), loses_committed: false }]);
    let cut = Event::LogTruncated {
        start: Offset::ZERO,
        end: Offset::new(4),
        last_epoch: Some(LeaderEpoch::new(1)),
    };
    assert_eq!(step(&mut partition, 0, cut), vec![Effect::SendFetch { leader: NodeId(2) }]);
    assert_eq!(partition.outgoing_fetch().map(|fetch| fetch.position), Some(Offset::new(4)));
}

#[test]
fn a_batch_that_begins_before_the_whole_log_takes_its_place() {
    let (mut partition, fetch) = follower();
    let effects = step(&mut partition, 0, records_from(0, &fetch));
    assert_eq!(effects, vec![Effect::RestartLog { at: Offset::ZERO }]);
}

#[test]
fn a_follower_counts_from_the_high_watermark_of_its_leader() {
    let (mut partition, fetch) = follower();
    assert_eq!(partition.lag_records(), 0, "it was told of none");
    step(&mut partition, 0, records_from(10, &fetch));
    assert_eq!(partition.lag_records(), 10);
    let appended =
        Event::FetchedAppended { fetch: fetch.fetch, end: Offset::new(16), last_epoch: fetch.leader_epoch };
    step(&mut partition, 0, appended);
    assert_eq!((partition.lag_records(), partition.high_watermark()), (4, Offset::new(16)));
    assert_eq!(leader(CommitRule::Flushed).lag_records(), 0);
}

#[test]
fn only_what_waits_wants_a_tick() {
    let mut alone = leader(CommitRule::Flushed);
    assert!(!alone.wants_tick());
    append(&mut alone, 1, ACKS_ALL, 12);
    assert!(alone.wants_tick(), "a request waits");
    let (mut partition, fetch) = follower();
    assert!(!partition.wants_tick(), "its fetch is on the way");
    step(&mut partition, 0, Event::FetchFailed { fetch: fetch.fetch });
    assert!(partition.wants_tick(), "it has to ask again");
}
