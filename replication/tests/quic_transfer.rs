//! Frames between two nodes over real sockets: echo, bulk in both directions, many sessions, readers that stand still.
#![expect(clippy::unwrap_used, reason = "a failed test says enough by its line")]

mod quic_support;

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use quic_support::{
    CLUSTER, Cluster, Pair, content, eventually, in_executor, next,
    relay::{Faults, Relay},
};
use ringmain_replication::quic::{EndCode, PeerGone, SESSIONS_MAX, SessionError};
use ringmain_storage::disk::direct::{Timer, sleep, spawn};

#[test]
fn frames_of_all_sizes_come_back() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let pair = Pair::connect(&ring, &cluster).await;
        let (mut asking, mut answering) = pair.session().await;
        let finished = Rc::new(Cell::new(false));
        let flag = finished.clone();
        spawn(async move {
            while let Some(frame) = answering.receiver.receive().await.unwrap() {
                answering.sender.send([frame]).await.unwrap();
            }
            answering.sender.finish().await.unwrap();
            flag.set(true);
        });
        for (seed, length) in [0, 1, 4, 1024, 1452, 65_507, 1 << 20, 5_000_000].into_iter().enumerate() {
            let frame = content(seed as u64, length);
            let halves = [frame.slice(..length / 3), frame.slice(length / 3..)];
            asking.sender.send(halves).await.unwrap();
            assert!(next(&mut asking).await == frame, "{length} bytes");
        }
        asking.sender.finish().await.unwrap();
        assert_eq!(asking.receiver.receive().await, Ok(None));
        assert_eq!(asking.receiver.receive().await, Ok(None));
        eventually("the end was heard of", || finished.get()).await;
        pair.stop().await;
    });
}

/// More than all windows together, both ways at once on one session.
#[test]
fn bulk_flows_both_ways() {
    const FRAMES: u64 = 100;
    const BYTES: usize = 3 << 20;
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let pair = Pair::connect(&ring, &cluster).await;
        let (one, other) = pair.session().await;
        let done = Rc::new(Cell::new(0));
        for (session, seed) in [(one, 1), (other, 2)] {
            let (mut sender, mut receiver) = (session.sender, session.receiver);
            spawn(async move {
                for number in 0..FRAMES {
                    sender.send([content(seed * 1000 + number, BYTES)]).await.unwrap();
                }
                sender.finish().await.unwrap();
            });
            let done = done.clone();
            spawn(async move {
                for number in 0..FRAMES {
                    let frame = receiver.receive().await.unwrap().unwrap();
                    assert!(frame == content((3 - seed) * 1000 + number, BYTES), "frame {number}");
                }
                assert_eq!(receiver.receive().await, Ok(None));
                done.set(done.get() + 1);
            });
        }
        eventually("both directions have arrived", || done.get() == 2).await;
        let counters = pair.dialling.counters();
        assert_eq!((counters.frames_sent, counters.frames_received), (FRAMES + 1, FRAMES));
        assert!(counters.bytes_sent > FRAMES * BYTES as u64, "{counters:?}");
        eventually("sessions are counted", || pair.dialling.counters().sessions == 0).await;
        pair.stop().await;
    });
}

/// Readers that stand still on most of the sessions that there can be, with all their windows full, take nothing from the
/// one that reads.
#[test]
fn readers_that_stand_still_hold_up_nobody() {
    const LAST: u64 = SESSIONS_MAX as u64 - 2;
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let pair = Pair::connect(&ring, &cluster).await;
        let mut still = Vec::new();
        for number in 0..=LAST {
            let (session, peer) = pair.session().await;
            let (mut sender, receiver) = (session.sender, session.receiver);
            spawn(async move {
                let sent = sender.send([content(number, 16 << 20)]).await;
                // Never taken but the last: it stays in this call until the session ends.
                assert_eq!(sent.is_ok(), number == LAST, "{sent:?}");
            });
            still.push((receiver, peer));
        }
        sleep(Duration::from_millis(300)).await;
        let stalled_at = pair.dialled.counters().bytes_received;
        let (mut session, mut peer) = pair.session().await;
        let begun = Instant::now();
        let reader = Rc::new(Cell::new(0_usize));
        let read = reader.clone();
        spawn(async move {
            while let Some(frame) = peer.receiver.receive().await.unwrap() {
                read.set(read.get() + frame.len());
            }
        });
        for number in 0..40 {
            session.sender.send([content(number, 1 << 20)]).await.unwrap();
        }
        session.sender.finish().await.unwrap();
        assert_eq!(reader.get(), 40 << 20);
        assert!(stalled_at > 31 * (3 << 19), "the other windows were full before: {stalled_at}");
        assert!(begun.elapsed() < Duration::from_secs(10));

        // And one that stood still goes on when it is read.
        let (_receiver, mut peer) = still.pop().unwrap();
        assert!(next(&mut peer).await == content(LAST, 16 << 20));
        drop((session, still, peer));
        pair.stop().await;
    });
}

/// More sessions than may be open wait until others have ended.
#[test]
fn sessions_beyond_the_limit_wait() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let pair = Pair::connect(&ring, &cluster).await;
        let mut open = Vec::new();
        for _ in 0..SESSIONS_MAX {
            open.push(pair.session().await);
        }
        let waiting = pair.dialling.clone();
        let opened = Rc::new(Cell::new(false));
        let flag = opened.clone();
        spawn(async move {
            let mut session = waiting.open_session().await.unwrap();
            session.sender.send([Bytes::new()]).await.unwrap();
            flag.set(true);
            assert_eq!(session.receiver.receive().await, Ok(None));
        });
        sleep(Duration::from_millis(100)).await;
        assert!(!opened.get());
        // QUIC does not tell of each, to save packets.
        open.truncate(SESSIONS_MAX as usize * 3 / 4);
        let mut late = pair.dialled.accept_session().await.unwrap();
        assert_eq!(next(&mut late).await, Bytes::new());
        assert!(opened.get());
        late.sender.finish().await.unwrap();
        drop((late, open));
        pair.stop().await;
    });
}

#[test]
fn ends_are_told_apart() {
    let cluster = Cluster::new(CLUSTER, 2);
    in_executor(|ring| async move {
        let pair = Pair::connect(&ring, &cluster).await;

        // Dropped between frames: a clean end.
        let (session, mut peer) = pair.session().await;
        drop(session);
        assert_eq!(peer.receiver.receive().await, Ok(None));

        // Dropped in the middle of a frame.
        let (mut session, mut peer) = pair.session().await;
        {
            let mut half = Box::pin(session.sender.send([content(1, 64 << 20)]));
            let mut timer = Timer::new(Duration::from_millis(100));
            std::future::poll_fn(|context| {
                assert!(half.as_mut().poll(context).is_pending());
                std::pin::Pin::new(&mut timer).poll(context)
            })
            .await;
        }
        drop(session);
        assert_eq!(peer.receiver.receive().await, Err(SessionError::Abandoned(EndCode::ABANDONED)));

        // The reader has gone.
        let (mut session, peer) = pair.session().await;
        drop(peer);
        let refused = async {
            loop {
                if let Err(error) = session.sender.send([content(1, 1 << 20)]).await {
                    return error;
                }
            }
        };
        assert_eq!(refused.await, SessionError::Refused(EndCode::NOT_NEEDED));
        assert_eq!(session.sender.send([Bytes::new()]).await, Err(SessionError::Ended));

        // Too long to be sent: nothing of it is.
        let (mut session, mut peer) = pair.session().await;
        let piece = Bytes::from(BytesMut::zeroed(1 << 20));
        let too_long = session.sender.send((0..200).map(|_| piece.clone())).await;
        assert!(matches!(too_long, Err(SessionError::FrameTooLong { length, .. }) if length == 200 << 20));
        session.sender.send([Bytes::from_static(b"short")]).await.unwrap();
        assert_eq!(next(&mut peer).await, b"short"[..]);

        // With the connection.
        pair.dialled.close(EndCode::NOT_NEEDED);
        let gone = PeerGone::Closed(EndCode::NOT_NEEDED);
        assert_eq!(session.receiver.receive().await, Err(SessionError::Gone(gone.clone())));
        assert_eq!(pair.dialling.closed().await, gone);
        assert!(matches!(pair.dialling.open_session().await, Err(found) if found == gone));
        drop((session, peer));
        pair.stop().await;
    });
}

/// Drops, delays, doubles and reorders: every frame arrives whole, and in order within its session.
#[test]
fn a_bad_path_costs_time_only() {
    const SESSIONS: u64 = 6;
    const FRAMES: u64 = 60;
    for seed in [1, 7, 23] {
        let cluster = Cluster::new(CLUSTER, 2);
        in_executor(move |ring| async move {
            let faults =
                Faults { dropped: 30, doubled: 30, delayed: 100, delay_max: Duration::from_millis(8) };
            let dialled_endpoint = quic_support::endpoint(&ring, cluster.identity(1));
            let relay = Relay::start(dialled_endpoint.local_address(), seed, faults);
            let pair = Pair::connect_through(&ring, &cluster, dialled_endpoint, relay.address).await;
            let done = Rc::new(Cell::new(0));
            for session in 0..SESSIONS {
                let (mut one, mut other) = pair.session().await;
                let (sent, arrived) = (done.clone(), done.clone());
                let frame = move |number: u64| {
                    let length = (number * 7919 * (session + 1) % 40_000) as usize;
                    content(seed * 1_000_000 + session * 1000 + number, length)
                };
                spawn(async move {
                    for number in 0..FRAMES {
                        one.sender.send([frame(number)]).await.unwrap();
                    }
                    one.sender.finish().await.unwrap();
                    sent.set(sent.get() + 1);
                });
                spawn(async move {
                    for number in 0..FRAMES {
                        assert!(next(&mut other).await == frame(number), "session {session} frame {number}");
                    }
                    assert_eq!(other.receiver.receive().await, Ok(None));
                    arrived.set(arrived.get() + 1);
                });
            }
            eventually("all frames have arrived", || done.get() == 2 * SESSIONS).await;
            let lost = pair.dialling.counters().packets_lost;
            assert!(relay.harmed.load(std::sync::atomic::Ordering::SeqCst) > 50 && lost > 0, "{lost}");
            pair.stop().await;
        });
    }
}
