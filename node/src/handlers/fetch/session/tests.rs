//! Sessions as KIP-227 tells them, without a socket.

use ringmain_protocol::messages::{FetchPartition, FetchTopic, ForgottenTopic};

use super::*;

const NOW_MS: i64 = 1_000_000;

fn sessions(max: usize) -> FetchSessions {
    FetchSessions::new(ShardId(0), 1, max)
}

fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest<'static> {
    let partition = |&partition| FetchPartition { partition, fetch_offset: 0, ..Default::default() };
    let topic = FetchTopic { topic: "t", partitions: partitions.iter().map(partition).collect() };
    let topics = if partitions.is_empty() { Vec::new() } else { vec![topic] };
    FetchRequest { session_id, session_epoch, topics, ..Default::default() }
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
    let session = sessions.begin(&request(0, 0, &[0, 1]), NOW_MS).expect("a full fetch");
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
    let session = sessions.begin(&request(id, 1, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(session.wanted().len(), 2, "the session remembers its partitions");
    let finished = sessions.finish(session, &[empty(5), empty(6)]);
    assert_eq!((finished.session_id, named(&finished)), (id, vec![1]));
    let session = sessions.begin(&request(id, 2, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(named(&sessions.finish(session, &[empty(5), empty(6)])), Vec::<i32>::new());
}

#[test]
fn an_error_is_told_and_so_is_its_end() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    let failed = || PartitionFetched::error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let session = sessions.begin(&request(id, 1, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(named(&sessions.finish(session, &[failed(), empty(5)])), [0]);
    let session = sessions.begin(&request(id, 2, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(named(&sessions.finish(session, &[empty(5), empty(5)])), [0]);
}

#[test]
fn a_partition_that_gave_data_is_served_last_the_next_time() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    let session = sessions.begin(&request(id, 1, &[]), NOW_MS).expect("the next epoch");
    assert_eq!(named(&sessions.finish(session, &[with_data(6), empty(5)])), [0]);
    let session = sessions.begin(&request(id, 2, &[]), NOW_MS).expect("the next epoch");
    let order: Vec<i32> = session.wanted().iter().map(|wanted| wanted.partition).collect();
    assert_eq!(order, [1, 0]);
}

#[test]
fn forgotten_partitions_go_and_an_empty_session_ends() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    let forget = |epoch, partition| FetchRequest {
        forgotten_topics: vec![ForgottenTopic { topic: "t", partitions: vec![partition] }],
        ..request(id, epoch, &[])
    };
    let session = sessions.begin(&forget(1, 0), NOW_MS).expect("the next epoch");
    assert_eq!(session.wanted().len(), 1);
    let session = sessions.begin(&forget(2, 1), NOW_MS).expect("the next epoch");
    assert_eq!(sessions.finish(session, &[]).session_id, NO_SESSION);
    let gone = sessions.begin(&request(id, 3, &[]), NOW_MS).err();
    assert_eq!(gone, Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
}

#[test]
fn a_wrong_epoch_is_refused_and_the_final_one_ends() {
    let sessions = sessions(10);
    let id = begun(&sessions);
    assert_eq!(
        sessions.begin(&request(id, 5, &[]), NOW_MS).err(),
        Some(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
    );
    let last = sessions.begin(&request(id, FINAL_EPOCH, &[0]), NOW_MS).expect("the final epoch");
    assert_eq!(sessions.finish(last, &[empty(5)]).session_id, NO_SESSION);
    assert_eq!(
        sessions.begin(&request(id, 1, &[]), NOW_MS).err(),
        Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
    );
}

#[test]
fn a_full_cache_gives_no_session_until_one_was_idle_for_long() {
    let sessions = sessions(1);
    let first = begun(&sessions);
    let full = |now_ms| {
        let session = sessions.begin(&request(0, 0, &[0]), now_ms).expect("a full fetch");
        sessions.finish(session, &[empty(5)]).session_id
    };
    assert_eq!(full(NOW_MS + EVICTABLE_AFTER_MS - 1), NO_SESSION);
    assert_ne!(full(NOW_MS + EVICTABLE_AFTER_MS), NO_SESSION);
    assert_eq!(
        sessions.begin(&request(first, 1, &[]), NOW_MS).err(),
        Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
    );
}
