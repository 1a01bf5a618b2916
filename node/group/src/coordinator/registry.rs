//! The groups of a coordinator by number and by name.
//!
//! What must hold: both have the same groups. Walks are in the order of names, so that runs repeat.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use crate::group::{Group, GroupNumber};

/// Groups by number and by name.
#[derive(Debug, Default)]
pub(super) struct Registry {
    by_number: BTreeMap<GroupNumber, Group>,
    names: BTreeMap<Arc<str>, GroupNumber>,
    next: u64,
}

impl Registry {
    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn number(&self, name: &str) -> Option<GroupNumber> {
        self.names.get(name).copied()
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Group> {
        self.by_number.get(&self.number(name)?)
    }

    pub(super) fn get_mut(&mut self, number: GroupNumber) -> Option<&mut Group> {
        self.by_number.get_mut(&number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.names.values().filter_map(|number| self.by_number.get(number))
    }

    /// The next one by name; the first for `None`.
    pub(super) fn after(&self, name: Option<&str>) -> Option<&Group> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        let (_, number) = self.names.range::<str, _>((from, Bound::Unbounded)).next()?;
        self.by_number.get(number)
    }

    pub(super) fn numbers(&self) -> Vec<GroupNumber> {
        self.names.values().copied().collect()
    }

    /// Adds an empty group; there must be none of that name.
    pub(super) fn create(&mut self, name: &str, now_ms: Option<i64>) -> &mut Group {
        self.next += 1;
        let number = GroupNumber(self.next);
        let name: Arc<str> = Arc::from(name);
        let before = self.names.insert(Arc::clone(&name), number);
        assert!(before.is_none(), "a group is made once");
        self.by_number.entry(number).or_insert_with(|| Group::new(number, name, now_ms))
    }

    pub(super) fn remove(&mut self, number: GroupNumber) {
        if let Some(group) = self.by_number.remove(&number) {
            self.names.remove(group.name());
        }
    }
}
