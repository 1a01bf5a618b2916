//! The names on the disk: what is seen, what is durable, and the changes in between.

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::{
    super::{DiskErrorKind, parent_of},
    inode::InodeId,
    random::Random,
};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    File(InodeId),
}

/// One atomic change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NameChange {
    /// A new name, or a new file in place of one.
    Add {
        path: String,
        node: Node,
    },
    RemoveFile {
        path: String,
    },
    RemoveDirectory {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
}

impl NameChange {
    fn paths(&self) -> Vec<&str> {
        match self {
            NameChange::Add { path, .. }
            | NameChange::RemoveFile { path }
            | NameChange::RemoveDirectory { path } => {
                vec![path]
            }
            NameChange::Rename { from, to } => vec![from, to],
        }
    }

    /// Whether one of them only makes sense after, or before, the other.
    fn is_related_to(&self, other: &NameChange) -> bool {
        self.paths()
            .iter()
            .any(|one| other.paths().iter().any(|two| is_within(one, two) || is_within(two, one)))
    }

    fn touches(&self, directory: &str) -> bool {
        self.paths().iter().any(|path| parent_of(path) == directory)
    }
}

/// Names by their whole path; the root itself has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    visible: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    /// With a number each, in their order.
    pending: Vec<(u64, NameChange)>,
    next_number: u64,
}

impl Names {
    pub(super) fn get(&self, path: &str) -> Option<Node> {
        self.visible.get(path).copied()
    }

    /// The last parts of the names in a directory, in order; `None` when it is none.
    pub(super) fn list(&self, directory: &str) -> Option<Vec<(String, Node)>> {
        if !self.is_directory(directory) {
            return None;
        }
        let entries = self.visible.iter().filter(|(path, _node)| parent_of(path) == directory);
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_string();
        Some(entries.map(|(path, node)| (name(path), *node)).collect())
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.get(path) == Some(Node::Directory)
    }

    /// Whether a change is possible, in the terms of a real system.
    pub(super) fn check(&self, change: &NameChange) -> Result<(), DiskErrorKind> {
        match change {
            NameChange::Add { path, .. } => self.check_place(path),
            NameChange::RemoveFile { path } => match self.get(path) {
                Some(Node::File(_)) => Ok(()),
                Some(Node::Directory) => Err(super::machine::IS_A_DIRECTORY),
                None => Err(DiskErrorKind::NotFound),
            },
            NameChange::RemoveDirectory { path } => match self.list(path) {
                None => Err(DiskErrorKind::NotFound),
                Some(entries) if entries.is_empty() => Ok(()),
                Some(_entries) => Err(DiskErrorKind::NotEmpty),
            },
            NameChange::Rename { from, to } => match (self.get(from), self.get(to)) {
                (None, _) => Err(DiskErrorKind::NotFound),
                (Some(_), None) | (Some(Node::File(_)), Some(Node::File(_))) => self.check_place(to),
                (Some(_), Some(_)) => Err(DiskErrorKind::Exists),
            },
        }
    }

    fn check_place(&self, path: &str) -> Result<(), DiskErrorKind> {
        if self.is_directory(parent_of(path)) { Ok(()) } else { Err(DiskErrorKind::NotFound) }
    }

    /// Makes a change that [`Names::check`] found possible.
    pub(super) fn change(&mut self, change: NameChange) {
        apply(&mut self.visible, &change);
        self.pending.push((self.next_number, change));
        self.next_number += 1;
    }

    /// What a flush that begins now will cover.
    pub(super) fn flush_mark(&self) -> u64 {
        self.next_number
    }

    /// Makes the changes of one directory durable that came before `mark`, and those that they build on.
    pub(super) fn flush(&mut self, directory: &str, mark: u64) {
        let mut chosen = vec![false; self.pending.len()];
        for at in (0..self.pending.len()).rev() {
            let (number, change) = &self.pending[at];
            let built_on = || {
                (at + 1..chosen.len())
                    .any(|later| chosen[later] && change.is_related_to(&self.pending[later].1))
            };
            chosen[at] = *number < mark && (change.touches(directory) || built_on());
        }
        let mut chosen = chosen.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|(_number, change)| {
            let now = chosen.next().unwrap_or(false);
            if now {
                apply(durable, change);
            }
            !now
        });
    }

    /// The names after a power cut: each change that was not durable comes back or not.
    pub(super) fn after_power_cut(mut self, random: &mut Random) -> Names {
        let mut lost: Vec<NameChange> = Vec::new();
        for (_number, change) in self.pending {
            let possible = !lost.iter().any(|earlier| earlier.is_related_to(&change));
            if possible && random.chance(2) {
                apply(&mut self.durable, &change);
            } else {
                lost.push(change);
            }
        }
        Names { visible: self.durable.clone(), durable: self.durable, pending: Vec::new(), next_number: 0 }
    }

    /// Puts a file and its folders there, durably.
    pub(super) fn put_durable(&mut self, path: &str, inode: InodeId) {
        let mut folder = parent_of(path);
        while !folder.is_empty() {
            self.visible.insert(folder.to_owned(), Node::Directory);
            self.durable.insert(folder.to_owned(), Node::Directory);
            folder = parent_of(folder);
        }
        self.visible.insert(path.to_owned(), Node::File(inode));
        self.durable.insert(path.to_owned(), Node::File(inode));
    }

    /// Whether any name, present or possible after a power cut, stands for this file.
    pub(super) fn refer_to(&self, inode: InodeId) -> bool {
        let file = Node::File(inode);
        let added = |change: &NameChange| matches!(change, NameChange::Add { node, .. } if *node == file);
        self.is_visible(inode)
            || self.durable.values().any(|node| *node == file)
            || self.pending.iter().any(|(_number, change)| added(change))
    }

    pub(super) fn is_visible(&self, inode: InodeId) -> bool {
        self.visible.values().any(|node| *node == Node::File(inode))
    }
}

fn apply(names: &mut BTreeMap<String, Node>, change: &NameChange) {
    match change {
        NameChange::Add { path, node } => {
            names.insert(path.clone(), *node);
        }
        NameChange::RemoveFile { path } | NameChange::RemoveDirectory { path } => {
            names.remove(path);
        }
        NameChange::Rename { from, to } => {
            let moved: Vec<String> = names.keys().filter(|path| is_within(path, from)).cloned().collect();
            for path in moved {
                if let Some(node) = names.remove(&path) {
                    names.insert([to, &path[from.len()..]].concat(), node);
                }
            }
        }
    }
}

/// Whether `path` is `folder` or lies in it.
fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
