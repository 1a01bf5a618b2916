//! How far each group of a shard has come, for whoever shows it.
//!
//! What must hold: a turn looks at a bounded number of groups and offsets, and what is handed out is bounded as well: groups
//! beyond it are there without their offsets.

use std::{rc::Rc, sync::Arc};

use ringmain_group::GroupState;

use super::{Coordinator, Shard};
use crate::runtime;

/// Groups looked at in one turn.
const GROUPS_IN_A_TURN: usize = 128;
/// Offsets looked at in one turn, but for one group that has more.
const OFFSETS_IN_A_TURN: usize = 2_000;
/// Offsets of all groups of a shard that are handed out at once: some ten megabytes.
const OFFSETS_MAX: usize = 200_000;

/// A group at one moment.
#[derive(Debug, Clone)]
pub(crate) struct GroupProgress {
    pub(crate) group: Arc<str>,
    pub(crate) state: GroupState,
    pub(crate) members: usize,
    /// Topic, partition, the next offset to read. `None`: there were too many.
    pub(crate) committed: Option<Vec<(Arc<str>, i32, i64)>>,
}

impl Shard {
    /// Every group that is coordinated here.
    pub(in super::super) async fn group_progress(&self) -> Vec<GroupProgress> {
        let mut found: Vec<GroupProgress> = Vec::new();
        let mut offsets = 0;
        for coordinator in self.all_coordinators() {
            let mut last = None;
            while look_at_some(&coordinator, &mut last, &mut found, &mut offsets) {
                runtime::yield_to_reactor().await;
            }
        }
        found
    }
}

/// One turn; false when the coordinator has no more groups, or is none any more.
fn look_at_some(
    coordinator: &Rc<Coordinator>,
    last: &mut Option<Arc<str>>,
    found: &mut Vec<GroupProgress>,
    offsets: &mut usize,
) -> bool {
    let (groups_before, offsets_before) = (found.len(), *offsets);
    let has_more = coordinator.read(|groups| {
        while found.len() - groups_before < GROUPS_IN_A_TURN && *offsets - offsets_before < OFFSETS_IN_A_TURN
        {
            let Some(view) = groups.group_after(last.as_deref()) else { return false };
            let committed = (*offsets < OFFSETS_MAX).then(|| {
                let committed =
                    view.committed().map(|(topic, partition, offset)| (topic.clone(), partition, offset));
                committed.collect::<Vec<_>>()
            });
            *offsets += committed.as_ref().map_or(0, Vec::len);
            let (group, state, members) = (view.name().clone(), view.state(), view.members());
            *last = Some(group.clone());
            found.push(GroupProgress { group, state, members, committed });
        }
        true
    });
    has_more.unwrap_or(false)
}
