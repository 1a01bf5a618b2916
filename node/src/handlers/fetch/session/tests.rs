//! Sessions as KIP-227 tells them, without a socket.

use ringmain_protocol::messages::{FetchPartition, FetchTopic, ForgottenTopic};

use super::*;
use crate::metadata::NodeId;

const NOW_MS: i64 = 1_000_000;
/// The id of the topic `t`.
const T: TopicId = TopicId([7; 16]);

fn sessions(max: usize) -> FetchSessions {
    FetchSessions::new(ShardId(0), 1, max)
}

fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest<'static> {
    let partition = |&partition| FetchPartition { partition, fetch_offset: 0, ..Default::default() };
    let partitions_asked = partitions.iter().map(partition).collect();
    let topic = FetchTopic { topic: "t", topic_id: Uuid(T.0), partitions: partitions_asked };
    let topics = if partitions.is_empty() { Vec::new() } else { vec![topic] };
    FetchRequest { session_id, session_epoch, topics, ..Default::default() }
}

/// Begins a fetch in a version that names topics.
fn begin(sessions: &FetchSessions, request: &FetchRequest<'_>, now_ms: i64) -> Result<Session, ErrorCode> {
    sessions.begin(IDS_FROM_VERSION - 1, request, &|_| None, now_ms)
}

/// Begins a fetch in a version that names topics by their ids, while the topic has this name.
fn begin_by_id(
    sessions: &FetchSessions,
    request: &FetchRequest<'_>,
    name: Option<&str>,
) -> Result<Session, ErrorCode> {
    sessions.begin(
        IDS_FROM_VERSION,
        request,
        &|topic_id| name.filter(|_| topic_id == T).map(Rc::from),
        NOW_MS,
    )
}

fn empty(high_watermark: i64) -> PartitionFetched {
    PartitionFetched {
        has_more: false,
        error: ErrorCode::NONE,
        high_watermark,
        log_start_offset: 0,
        ..PartitionFetched::error(ErrorCode::NONE)
    }
}

fn with_data(high_watermark: i64) -> PartitionFetched {
    PartitionFetched { length: 100, ..empty(high_watermark) }
}

/// Begins a session over partitions 0 and 1, both told with high watermark 5.
fn begun(sessions: &FetchSessions) -> i32 {
    let session = begin(sessions, &request(0, 0, &[0, 1]), NOW_MS).expect("a full fetch");
    let finished = sessions.finish(session, &[empty(5), empty(5)]);
    assert_eq!(finished.partitions.iter().flatten().count(), 2, "a full fetch names all");
    assert_ne!(finished.session_id, NO_SESSION);
    finished.session_id
}

fn named(finished: &Finished) -> Vec<i32> {
    finished.partitions.iter().flatten().map(|wanted| wanted.partition).collect()
}

#[test]
fn an_incremental_answer_names_what_changed_only() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    let session = begin(&sessions, &request(id, 1, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(session.wanted().len(), 2, "the session remembers its partitions");
    let finished = sessions.finish(session, &[empty(5), empty(6)]);
    assert_eq!((finished.session_id, named(&finished)), (id, vec![1]));
    let session = begin(&sessions, &request(id, 2, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(named(&sessions.finish(session, &[empty(5), empty(6)])), Vec::<i32>::new());
}

#[test]
fn an_error_is_told_and_so_is_its_end() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    let failed = || PartitionFetched::error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let session = begin(&sessions, &request(id, 1, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(named(&sessions.finish(session, &[failed(), empty(5)])), [0]);
    let session = begin(&sessions, &request(id, 2, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(named(&sessions.finish(session, &[empty(5), empty(5)])), [0]);
}

#[test]
fn another_replica_to_ask_is_told() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    let session = begin(&sessions, &request(id, 1, &[]), NOW_MS).expect("the next epoch");
    let elsewhere = PartitionFetched { preferred_replica: Some(NodeId(2)), ..empty(5) };
    assert_eq!(named(&sessions.finish(session, &[empty(5), elsewhere])), [1]);
}

#[test]
fn a_partition_that_gave_data_is_served_last_the_next_time() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    let session = begin(&sessions, &request(id, 1, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(named(&sessions.finish(session, &[with_data(6), empty(5)])), [0]);
    let session = begin(&sessions, &request(id, 2, &[]), NOW_MS).expect("the next epoch");
    let order: Vec<i32> = session.wanted().iter().map(|wanted| wanted.partition).collect();
    assert_eq!(order, [1, 0]);
}

#[test]
fn forgotten_partitions_go_and_an_empty_session_ends() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    let forget = |epoch, partition| FetchRequest {
        forgotten_topics: vec![ForgottenTopic {
            topic: "t",
            topic_id: Uuid(T.0),
            partitions: vec![partition],
        }],
        ..request(id, epoch, &[])
    };
    let session = begin(&sessions, &forget(1, 0), NOW_MS).expect("the next epoch");
    assert_eq!(session.wanted().len(), 1);
    let session = begin(&sessions, &forget(2, 1), NOW_MS).expect("the next epoch");
    assert_eq!(sessions.finish(session, &[]).session_id, NO_SESSION);
    let gone = begin(&sessions, &request(id, 3, &[]), NOW_MS).err();
    assert_eq!(gone, Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
}

#[test]
fn a_wrong_epoch_is_refused_and_the_final_one_ends() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    assert_eq!(
        begin(&sessions, &request(id, 5, &[]), NOW_MS).err(),
        Some(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
    );
    let last = begin(&sessions, &request(id, FINAL_EPOCH, &[0]), NOW_MS).expect("the final epoch");
    assert_eq!(sessions.finish(last, &[empty(5)]).session_id, NO_SESSION);
    assert_eq!(
        begin(&sessions, &request(id, 1, &[]), NOW_MS).err(),
        Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
    );
}

#[test]
fn a_full_cache_gives_no_session_until_one_was_idle_for_long() {
    let sessions = sessions(1);
    let first = begun(&sessions);
    let full = |now_ms| {
        let session = begin(&sessions, &request(0, 0, &[0]), now_ms).expect("a full fetch");
        sessions.finish(session, &[empty(5)]).session_id
    };
    assert_eq!(full(NOW_MS + EVICTABLE_AFTER_MS - 1), NO_SESSION);
    assert_ne!(full(NOW_MS + EVICTABLE_AFTER_MS), NO_SESSION);
    assert_eq!(
        begin(&sessions, &request(first, 1, &[]), NOW_MS).err(),
        Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
    );
}

#[test]
fn a_session_by_names_is_not_continued_by_ids_nor_the_other_way() {
    let sessions = sessions(10);
    let by_names = begun(&sessions);
    let other_way = begin_by_id(&sessions, &request(by_names, 1, &[]), Some("t"));
    assert_eq!(other_way.err(), Some(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR));
    let full = begin_by_id(&sessions, &request(0, 0, &[0]), Some("t")).expect("a full fetch");
    let by_ids = sessions.finish(full, &[empty(5)]).session_id;
    let other_way = begin(&sessions, &request(by_ids, 1, &[]), NOW_MS);
    assert_eq!(other_way.err(), Some(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR));
    // A refusal leaves the session as it was.
    assert!(begin_by_id(&sessions, &request(by_ids, 1, &[]), Some("t")).is_ok());
}

#[test]
fn the_name_of_an_id_is_learnt_once_and_outlives_the_topic() {
    let sessions = sessions(10);
    let known_as = |session: &Session| session.wanted()[0].known_as.clone();
    let full = begin_by_id(&sessions, &request(0, 0, &[0]), None).expect("a full fetch");
    assert_eq!(known_as(&full), None);
    let id = sessions.finish(full, &[PartitionFetched::error(ErrorCode::UNKNOWN_TOPIC_ID)]).session_id;
    for (epoch, asked, name) in [(1, &[][..], Some("t")), (2, &[], None), (3, &[0], None)] {
        let session = begin_by_id(&sessions, &request(id, epoch, asked), name).expect("the next epoch");
        assert_eq!(known_as(&session).as_deref(), Some("t"), "epoch {epoch}");
        sessions.finish(session, &[empty(5)]);
    }
}

#[test]
fn partitions_are_forgotten_by_the_id_of_their_topic() {
    let sessions = sessions(10);
    let full = begin_by_id(&sessions, &request(0, 0, &[0, 1]), Some("t")).expect("a full fetch");
    let id = sessions.finish(full, &[empty(5), empty(5)]).session_id;
    let forgotten_topics = vec![ForgottenTopic { topic: "", topic_id: Uuid(T.0), partitions: vec![0] }];
    let forget = FetchRequest { forgotten_topics, ..request(id, 1, &[]) };
    let session = begin_by_id(&sessions, &forget, Some("t")).expect("the next epoch");
    assert_eq!(session.wanted().iter().map(|wanted| wanted.partition).collect::<Vec<_>>(), [1]);
}
