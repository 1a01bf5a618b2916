//! A single-threaded executor for tests: tasks in a seeded order, no time, no threads, and a panic instead of waiting for
//! ever.

use alloc::{boxed::Box, collections::BTreeMap, rc::Rc, sync::Arc, task::Wake, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
};

use super::random::Random;

/// Runs one future, and what it spawns, to its end.
pub struct Executor {
    random: Random,
    spawned: Spawner,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
}

/// Adds tasks to a running [`Executor`]. Clones share it.
#[derive(Clone, Default)]
pub struct Spawner(Rc<RefCell<Vec<BoxedFuture>>>);

type BoxedFuture = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    future: BoxedFuture,
    ready: Arc<Ready>,
}

/// Set when a task has to be polled.
struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Spawner {
    /// Runs `future` beside the others. It is dropped where it stands when the main one ends.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push(Box::pin(future));
    }
}

impl Executor {
    /// An executor whose order of tasks is decided by `seed`.
    pub fn new(seed: u64) -> Executor {
        Executor {
            random: Random::new(seed),
            spawned: Spawner::default(),
            tasks: BTreeMap::new(),
            next_task: 0,
        }
    }

    /// Runs what `start` returns to its end, with the tasks that it spawns.
    ///
    /// # Panics
    /// When nothing can go on and the main future has not ended.
    pub fn run<F>(mut self, start: impl FnOnce(Spawner) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let output = Rc::new(Cell::new(None));
        let main = start(self.spawned.clone());
        let result = output.clone();
        self.spawned.spawn(async move { result.set(Some(main.await)) });
        loop {
            if let Some(output) = output.take() {
                return output;
            }
            self.adopt_spawned();
            self.poll_one();
        }
    }

    fn adopt_spawned(&mut self) {
        for future in self.spawned.0.take() {
            self.tasks.insert(self.next_task, Task { future, ready: Arc::new(Ready(AtomicBool::new(true))) });
            self.next_task += 1;
        }
    }

    fn poll_one(&mut self) {
        let ready: Vec<u64> = self
            .tasks
            .iter()
            .filter(|(_id, task)| task.ready.0.load(Ordering::Acquire))
            .map(|(id, _task)| *id)
            .collect();
        assert!(!ready.is_empty(), "every task waits and nothing can wake one: a deadlock");
        let id = ready[self.random.below(ready.len() as u64) as usize];
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        task.ready.0.store(false, Ordering::Release);
        let waker = Waker::from(task.ready.clone());
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks.remove(&id);
        }
    }
}

/// Runs one future to its end.
///
/// # Panics
/// When it waits and nothing can wake it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = core::pin::pin!(future);
    let ready = Arc::new(Ready(AtomicBool::new(true)));
    let waker = Waker::from(ready.clone());
    loop {
        assert!(
            ready.0.swap(false, Ordering::AcqRel),
            "the future waits and nothing can wake it: a deadlock"
        );
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
}

/// Lets other tasks run once.
pub(super) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_tasks_follows_the_seed() {
        let order_of = |seed| {
            Executor::new(seed).run(|spawner| async move {
                let order = Rc::new(RefCell::new(Vec::new()));
                for number in 0..8 {
                    let order = order.clone();
                    spawner.spawn(async move { order.borrow_mut().push(number) });
                }
                while order.borrow().len() < 8 {
                    yield_now().await;
                }
                order.take()
            })
        };
        assert_eq!(order_of(1), order_of(1));
        assert!((2..20).any(|seed| order_of(seed) != order_of(1)));
    }

    #[test]
    #[should_panic(expected = "a deadlock")]
    fn waiting_for_ever_is_noticed() {
        block_on(core::future::pending::<()>());
    }
}
