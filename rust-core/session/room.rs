//! How much one answer may show.

use crate::diag::Diagnostics;
use crate::limits;
use crate::objects::Objects;
use std::cell::Cell;

/// Characters that the values of one answer may still have.
pub(super) struct Room(Cell<usize>);

impl Room {
    /// As many as an answer may have.
    pub fn new() -> Room {
        Room(Cell::new(limits::ANSWER_CHARS))
    }

    /// Characters that the next value may have; `None`, and a remark, if there is no room for another one or
    /// the work that one answer may take is done.
    pub fn left(&self, objects: &Objects, remarks: &Diagnostics) -> Option<usize> {
        let room = self.0.get();
        if room > 0 && !objects.effort_is_spent() {
            return Some(room);
        }
        let what = if room == 0 { "are longer than all that is shown" } else { "are too much work to show" };
        remarks.add(format!("the values of this answer {what}: some are left out"), "answer");
        None
    }

    /// Takes what a value needed.
    pub fn take(&self, chars: usize) {
        self.0.set(self.0.get().saturating_sub(chars));
    }
}
