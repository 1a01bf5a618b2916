//! Reports of writes: what they were for takes effect, or does not.

use super::Group;
use super::commit::commit_answer;
use super::delete::{delete_group_answer, delete_offsets_answer};
use crate::step::Step;
use crate::writes::{Deletion, Purpose};
use crate::{WriteError, WriteToken};

impl Group {
    pub(crate) fn on_written(
        &mut self,
        step: &mut Step<'_>,
        write: WriteToken,
        purpose: Purpose,
        result: Result<(), WriteError>,
    ) {
        self.writes -= 1;
        step.counters.writes_failed += u64::from(result.is_err());
        match purpose {
            Purpose::Assignment { generation, assignments } => {
                self.on_assignment(step, write, generation, &assignments, result);
            }
            Purpose::Emptied => {}
            Purpose::Replaced(replaced) => self.on_replaced(step, replaced, result),
            Purpose::Offsets { request, offsets, answer } => {
                self.on_offsets_written(step, offsets, result);
                step.answer(request, commit_answer(answer, result));
            }
            Purpose::OffsetsDeleted { partitions, reason } => {
                self.on_offsets_deleted(step, &partitions, &reason, result);
                if let Deletion::Requested { request, answer } = reason {
                    step.answer(request, delete_offsets_answer(answer, result));
                }
            }
            Purpose::GroupDeleted { partitions, request } => {
                self.on_deleted(step, &partitions, request.is_some(), result);
                if let Some(request) = request {
                    step.answer(request, delete_group_answer(result));
                }
            }
        }
    }
}
