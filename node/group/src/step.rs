//! What a rule may use while it decides: the time, the settings, and where to leave its decisions.

use alloc::vec::Vec;

use ringmain_protocol::ErrorCode;

use crate::coordinator::Counters;
use crate::deadlines::Deadlines;
use crate::writes::{Purpose, Writes};
use crate::{Answer, Effect, JoinAnswer, Record, RequestToken, Settings, SyncAnswer, WriteToken};

/// The surroundings of one decision about one group.
pub(crate) struct Step<'a> {
    pub(crate) now_ms: i64,
    pub(crate) settings: &'a Settings,
    pub(crate) deadlines: &'a mut Deadlines,
    pub(crate) writes: &'a mut Writes,
    pub(crate) counters: &'a mut Counters,
    pub(crate) effects: &'a mut Vec<Effect>,
    /// Bytes that may still be added to what the coordinator holds.
    pub(crate) room_bytes: usize,
}

impl Step<'_> {
    pub(crate) fn answer(&mut self, request: RequestToken, answer: Answer) {
        self.effects.push(Effect::Answer { request, answer });
    }

    pub(crate) fn answer_join(&mut self, request: RequestToken, answer: JoinAnswer) {
        self.answer(request, Answer::Join(answer));
    }

    pub(crate) fn refuse_join(&mut self, request: RequestToken, error: ErrorCode, member_id: &str) {
        self.answer_join(request, JoinAnswer::refused(error, member_id));
    }

    pub(crate) fn refuse_sync(&mut self, request: RequestToken, error: ErrorCode) {
        self.answer(request, Answer::Sync(SyncAnswer::refused(error)));
    }

    pub(crate) fn write(&mut self, records: Vec<Record>, purpose: Purpose) -> WriteToken {
        assert!(!records.is_empty(), "a write has records");
        let write = self.writes.begin(purpose);
        self.effects.push(Effect::Write { write, records });
        write
    }

    /// The time in so many milliseconds.
    pub(crate) fn after_ms(&self, delay_ms: i64) -> i64 {
        self.now_ms.saturating_add(delay_ms.max(0))
    }
}
