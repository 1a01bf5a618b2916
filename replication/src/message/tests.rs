//! Messages there and back; and bytes that are none.

use ringmain_storage::{LeaderEpoch, LogKey, Offset, TopicId};

use super::*;
use crate::identity::NodeEpoch;
use crate::partition::{EpochEnd, FetchOutcome, FetchRefusal, Persisted};

fn log(partition: i32) -> LogKey {
    LogKey { topic_id: TopicId([7; 16]), partition }
}

fn fetch(partition: i32) -> PartitionFetch {
    PartitionFetch {
        log: log(partition),
        leader_epoch: LeaderEpoch::new(5),
        number: 1 << 40,
        position: Offset::new(1000),
        last_epoch: Some(LeaderEpoch::new(4)).filter(|_| partition > 0),
        persisted: Persisted { written: Offset::new(900), flushed: Offset::new(800) },
        log_start: Offset::new(3),
        high_watermark: Offset::new(700),
    }
}

fn answer(partition: i32, outcome: FetchOutcome, records: &[&'static [u8]]) -> PartitionAnswer {
    PartitionAnswer {
        log: log(partition),
        leader_epoch: LeaderEpoch::new(5),
        number: 77,
        position: Offset::new(1000),
        high_watermark: Offset::new(950),
        log_start: Offset::new(3),
        outcome,
        records: records.iter().map(|records| Bytes::from_static(records)).collect(),
    }
}

fn messages() -> Vec<Message> {
    let parts = EpochEnd { epoch: LeaderEpoch::new(3), end: Offset::new(42) };
    let refusals = [
        FetchRefusal::NotLeader,
        FetchRefusal::FencedLeaderEpoch,
        FetchRefusal::UnknownLeaderEpoch,
        FetchRefusal::NotReplica,
    ];
    let mut answers = vec![
        answer(0, FetchOutcome::Records, &[b"some batches"]),
        answer(1, FetchOutcome::Nothing, &[]),
        answer(2, FetchOutcome::Diverged(parts), &[]),
        answer(3, FetchOutcome::OutOfRange, &[]),
        answer(4, FetchOutcome::Records, &[b"others"]),
    ];
    answers.extend(refusals.map(|refusal| answer(5, FetchOutcome::Refused(refusal), &[])));
    vec![
        Message::FetchRequest(FetchRequest {
            node_epoch: NodeEpoch(6),
            fetches: vec![fetch(0), fetch(1)],
            forgotten: vec![log(8)],
        }),
        Message::FetchRequest(FetchRequest { node_epoch: NodeEpoch(6), fetches: vec![], forgotten: vec![] }),
        Message::FetchAnswers(FetchAnswers { node_epoch: NodeEpoch(6), answers }),
    ]
}

fn frame(message: &Message) -> Bytes {
    Bytes::from(message.encode().expect("it fits").concat())
}

/// A frame with another body, and checksums that are right for it.
fn with_body(kind: u8, body: &[u8], records: &[u8]) -> Bytes {
    let header = Header {
        kind,
        body_bytes: u32::try_from(body.len()).expect("short"),
        record_bytes: u32::try_from(records.len()).expect("short"),
        body_crc: crc32fast::hash(body),
    };
    Bytes::from([&header.encode()[..], body, records].concat())
}

#[test]
fn messages_come_back_as_they_were() {
    for message in messages() {
        assert_eq!(Message::decode(&frame(&message)), Ok(message));
    }
}

#[test]
fn records_are_shared_and_not_copied() {
    let message = messages().swap_remove(2);
    let slices = message.encode().expect("it fits");
    assert_eq!(slices[1..], [Bytes::from_static(b"some batches"), Bytes::from_static(b"others")]);
    let frame = frame(&message);
    let Ok(Message::FetchAnswers(back)) = Message::decode(&frame) else { panic!("answers") };
    let within = frame.as_ptr_range();
    assert!(within.contains(&back.answers[0].records[0].as_ptr()), "a slice of the frame");
}

#[test]
fn every_flipped_bit_is_noticed() {
    for message in messages() {
        let frame = frame(&message);
        let records: usize = match &message {
            Message::FetchAnswers(_) => b"some batchesothers".len(),
            _ => 0,
        };
        for bit in 0..(frame.len() - records) * 8 {
            let mut flipped = frame.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Message::decode(&flipped.into()).is_err(), "bit {bit} of {message:?}");
        }
    }
}

#[test]
fn a_cut_or_longer_frame_is_refused() {
    for message in messages() {
        let frame = frame(&message);
        for length in 0..frame.len() {
            assert!(Message::decode(&frame.slice(..length)).is_err(), "{length} bytes of {message:?}");
        }
        let longer = Bytes::from([&frame[..], b"x"].concat());
        assert!(matches!(Message::decode(&longer), Err(MessageError::Length { .. })));
    }
}

#[test]
fn bodies_of_other_lengths_are_refused_whatever_their_checksums_say() {
    for message in messages() {
        let frame = frame(&message);
        let body = &frame[HEADER_BYTES..];
        for length in 0..body.len() {
            assert!(
                Message::decode(&with_body(frame[5], &body[..length], &[])).is_err(),
                "{length} of {message:?}"
            );
        }
        assert!(Message::decode(&with_body(frame[5], &[body, b"x"].concat(), &[])).is_err());
    }
}

#[test]
fn counts_are_not_believed() {
    let mut body = 6_i64.to_be_bytes().to_vec();
    body.extend(u32::MAX.to_be_bytes());
    body.extend([0; 200]);
    for kind in [1, 2] {
        let short = MessageError::Body("too short for what it counts");
        assert_eq!(Message::decode(&with_body(kind, &body, &[])), Err(short));
    }
}

#[test]
fn lengths_beyond_the_limits_are_refused() {
    let header = Header { kind: 1, body_bytes: u32::MAX, record_bytes: 0, body_crc: 0 };
    let frame = Bytes::copy_from_slice(&header.encode());
    assert!(matches!(Message::decode(&frame), Err(MessageError::TooLarge { what: "body", .. })));
    let header = Header { kind: 2, body_bytes: 0, record_bytes: u32::MAX, body_crc: 0 };
    let frame = Bytes::copy_from_slice(&header.encode());
    assert!(matches!(Message::decode(&frame), Err(MessageError::TooLarge { what: "records", .. })));
    let forgotten = vec![log(1); BODY_BYTES_MAX / 20];
    let request = FetchRequest { node_epoch: NodeEpoch(1), fetches: vec![], forgotten };
    let encoded = Message::FetchRequest(request).encode();
    assert!(matches!(encoded, Err(MessageError::TooLarge { what: "body", .. })));
}

#[test]
fn strangers_and_other_releases_are_told_apart() {
    let good = frame(&messages()[0]);
    let changed = |at: usize, byte: u8| {
        let mut frame = good.to_vec();
        frame[at] = byte;
        Message::decode(&frame.into())
    };
    assert!(matches!(changed(0, b'G'), Err(MessageError::Magic(_))));
    assert_eq!(changed(4, 2), Err(MessageError::Version(2)));
    assert_eq!(Message::decode(&with_body(9, &[], &[])), Err(MessageError::Kind(9)));
}

#[test]
fn impossible_values_are_refused() {
    let request = |change: fn(&mut PartitionFetch)| {
        let mut fetch = fetch(1);
        change(&mut fetch);
        let request = FetchRequest { node_epoch: NodeEpoch(6), fetches: vec![fetch], forgotten: vec![] };
        Message::decode(&frame(&Message::FetchRequest(request)))
    };
    assert!(request(|fetch| fetch.persisted.flushed = Offset::new(901)).is_err(), "flushed and not written");
    assert!(request(|fetch| fetch.persisted.written = Offset::new(1001)).is_err(), "written past the end");
    assert!(request(|fetch| fetch.high_watermark = Offset::new(1001)).is_err(), "committed past the end");
    assert!(request(|fetch| fetch.log_start = Offset::new(1001)).is_err(), "a start past the end");
    assert!(request(|fetch| fetch.last_epoch = Some(LeaderEpoch::new(6))).is_err(), "an epoch to come");
    assert!(request(|fetch| fetch.log.partition = -1).is_err(), "no partition");
    assert!(request(|_| ()).is_ok());
}

#[test]
fn random_bytes_never_make_it_fall() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let frames: Vec<Bytes> = messages().iter().map(frame).collect();
    for _ in 0..20_000 {
        let random: Vec<u8> = (0..next() % 200).map(|_| (next() >> 32) as u8).collect();
        let kind = (next() % 6) as u8;
        let split = random.len() / 2;
        for bytes in [
            Bytes::from(random.clone()),
            with_body(kind, &random, &[]),
            with_body(kind, &random[..split], &random[split..]),
        ] {
            reencodes(&bytes);
        }
        // Nearly right: some bytes of a good body are others.
        let good = &frames[next() as usize % frames.len()];
        let mut body = good[HEADER_BYTES..].to_vec();
        for _ in 0..=next() % 3 {
            let length = body.len().max(1);
            if let Some(byte) = body.get_mut(next() as usize % length) {
                *byte = if next() % 2 == 0 { 0xff } else { (next() >> 32) as u8 };
            }
        }
        reencodes(&with_body(good[5], &body, &[]));
    }
}

/// What can be read can be written, and is read the same.
fn reencodes(bytes: &Bytes) {
    if let Ok(message) = Message::decode(bytes) {
        assert_eq!(Message::decode(&frame(&message)), Ok(message));
    }
}
