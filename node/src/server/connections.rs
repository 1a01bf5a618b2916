//! The connections of a shard, and the count of all of the node's.
//!
//! What must hold: no more connections than the node may have descriptors for; one more is closed at once.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::Connection;

/// The connections of one shard.
#[derive(Default)]
pub(crate) struct Connections {
    open: RefCell<HashMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
}

impl Connections {
    /// Remembers a connection; gives the number to forget it by.
    pub(super) fn add(&self, connection: Rc<Connection>) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        self.open.borrow_mut().insert(number, connection);
        number
    }

    pub(super) fn remove(&self, number: u64) {
        self.open.borrow_mut().remove(&number);
    }

    pub(crate) fn all(&self) -> Vec<Rc<Connection>> {
        self.open.borrow().values().cloned().collect()
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open.borrow().len()
    }

    pub(crate) fn drain_all(&self) {
        self.all().iter().for_each(|connection| connection.drain());
    }
}

/// Counts the connections of all shards.
#[derive(Clone)]
pub(crate) struct ConnectionCount {
    open: Arc<AtomicUsize>,
    max: usize,
}

/// One counted connection; given back when dropped.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl ConnectionCount {
    pub(super) fn new(max: usize) -> Self {
        Self { open: Arc::default(), max }
    }

    /// Counts one more, if there may be one more.
    pub(super) fn take(&self) -> Option<Counted> {
        let counted = Counted(self.open.clone());
        // On refusal the guard takes the count back.
        (self.open.fetch_add(1, Ordering::Relaxed) < self.max).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
