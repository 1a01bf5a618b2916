//! The turn of an executor: wakes from other threads, timers, work on blocking threads, and that it sleeps when idle.
#![expect(clippy::unwrap_used, reason = "a failed test says enough by its line")]

mod disk_support;

use std::{
    cell::{Cell, RefCell},
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    rc::Rc,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use disk_support::in_executor;
use futures_channel::{mpsc as channel, oneshot};
use futures_util::{StreamExt, future::poll_immediate};
use ringmain_storage::disk::direct::{RingOptions, Timer, run_blocking, sleep, spawn, yield_turn};

#[test]
fn no_wake_from_another_thread_is_lost() {
    const MESSAGES: u32 = 20_000;
    in_executor(RingOptions::default(), |ring| async move {
        let (question, questions) = mpsc::channel::<(u32, oneshot::Sender<u32>)>();
        let echo = thread::spawn(move || {
            for (number, answer) in questions {
                // Now and then the executor has fallen asleep before the answer comes, mostly it is about to.
                (0..number % 64 * 8).for_each(|_| std::hint::spin_loop());
                answer.send(number).unwrap();
            }
        });
        for number in 0..MESSAGES {
            let (sender, answer) = oneshot::channel();
            question.send((number, sender)).unwrap();
            assert_eq!(answer.await.unwrap(), number);
        }
        assert!(ring.counters().waits > 0, "it waits in the kernel, it does not spin");
        drop(question);
        echo.join().unwrap();
    });
}

#[test]
fn many_threads_wake_many_tasks() {
    const THREADS: usize = 4;
    const MESSAGES: usize = 5_000;
    in_executor(RingOptions::default(), |_ring| async move {
        let received = Rc::new(Cell::new(0));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (sender, mut messages) = channel::unbounded();
                let received = received.clone();
                spawn(async move {
                    while messages.next().await.is_some() {
                        received.set(received.get() + 1);
                    }
                });
                thread::spawn(move || (0..MESSAGES).for_each(|number| sender.unbounded_send(number).unwrap()))
            })
            .collect();
        while received.get() < THREADS * MESSAGES {
            yield_turn().await;
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn timers_fire_in_order_and_leave_nothing_behind() {
    in_executor(RingOptions::default(), |_ring| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        for milliseconds in [30, 10, 20] {
            let order = order.clone();
            spawn(async move {
                sleep(Duration::from_millis(milliseconds)).await;
                order.borrow_mut().push(milliseconds);
            });
        }
        let mut dropped = Timer::new(Duration::from_millis(1));
        assert!(poll_immediate(&mut dropped).await.is_none());
        drop(dropped);
        let started = Instant::now();
        sleep(Duration::from_millis(40)).await;
        assert!(started.elapsed() >= Duration::from_millis(40));
        assert_eq!(*order.borrow(), [10, 20, 30]);
        // Longer than the clock reaches: waits, and does not overflow.
        assert!(poll_immediate(Timer::new(Duration::MAX)).await.is_none());
    });
}

#[test]
fn an_idle_executor_sleeps() {
    in_executor(RingOptions::default(), |ring| async move {
        sleep(Duration::from_millis(5)).await;
        let before = ring.counters();
        sleep(Duration::from_millis(50)).await;
        let after = ring.counters();
        assert!(after.submits - before.submits <= 4, "{before:?} {after:?}");
    });
}

#[test]
fn it_does_not_wake_itself_when_something_completes() {
    const ROUNDS: u64 = 50;
    in_executor(RingOptions::default(), |ring| async move {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let waiting = ring.clone();
        spawn(async move {
            loop {
                waiting.poll_readable(far.as_fd()).await.unwrap();
                far.read_exact(&mut [0; 1]).unwrap();
            }
        });
        sleep(Duration::from_millis(1)).await;
        let before = ring.counters().waits;
        for _ in 0..ROUNDS {
            near.write_all(b"x").unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        // One wait ends when the byte has come, one by the timer.
        assert!(ring.counters().waits - before <= 2 * ROUNDS + 5, "{:?}", ring.counters());
    });
}

#[test]
fn a_turn_for_others_is_one_for_the_kernel_too() {
    in_executor(RingOptions::default(), |ring| async move {
        let (near, far) = UnixStream::pair().unwrap();
        let writable = Rc::new(Cell::new(false));
        let (noted, waiting) = (writable.clone(), ring.clone());
        spawn(async move {
            waiting.poll_writable(near.as_fd()).await.unwrap();
            noted.set(true);
        });
        for _ in 0..3 {
            yield_turn().await;
        }
        assert!(writable.get(), "the poll was submitted and reaped while this task was always ready");
        drop(far);
    });
}

#[test]
fn blocking_work_runs_beside_the_tasks() {
    in_executor(RingOptions::default(), |_ring| async move {
        let (go, wait) = mpsc::channel();
        let (sender, value) = oneshot::channel();
        spawn(async move { sender.send(run_blocking(move || wait.recv().unwrap()).await).unwrap() });
        // On the second thread, while the first one waits.
        assert_eq!(run_blocking(|| 1).await, 1);
        go.send(2).unwrap();
        assert_eq!(value.await.unwrap(), 2);
    });
}

#[test]
#[should_panic(expected = "of the work")]
fn a_panic_of_blocking_work_goes_on_in_its_task() {
    in_executor(RingOptions::default(), |_ring| async move {
        run_blocking(|| panic!("a panic of the work")).await
    });
}
