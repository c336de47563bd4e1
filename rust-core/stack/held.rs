//! What a running frame holds: its variables, and the values below the top of its stack.
//!
//! Since 3.11 a frame that runs is no object, and nobody else need hold what it does. Slots above the top are not
//! looked at: they keep what earlier calls left there. Where the top is not known, there are the variables only.

use super::frame::Frame;
use crate::bytes::Addr;
use crate::error::Result;
use crate::layout::Frames;
use crate::limits;
use crate::objects::Objects;

impl Objects {
    /// The objects that `frame` holds, as far as they can be read; some may be held by others.
    pub fn held(&self, frame: &Frame) -> Vec<Addr> {
        let mut held = Vec::new();
        if let Frames::Interpreter { .. } = self.layout.rules.frames {
            let fields = &self.layout.iframe;
            let all = [&fields.executable, &fields.funcobj, &fields.locals, &fields.frame_obj];
            held.extend(all.into_iter().filter_map(|slot| self.untagged(frame.addr, slot).ok()));
        }
        held.extend(self.variables(frame).unwrap_or_default());
        held.extend(self.below_top(frame).unwrap_or_default());
        held.retain(|addr| addr.is_plausible());
        held
    }

    fn variables(&self, frame: &Frame) -> Result<Vec<Addr>> {
        let start = self.slots_start(frame)?;
        let end = self.stack_start(frame).unwrap_or(start);
        let count = end.0.saturating_sub(start.0) / 8;
        let words = self.pointers(start, (count as usize).min(limits::STACK_SLOTS))?;
        Ok(words.into_iter().map(|word| Addr(word.0 & !self.layout.rules.stackref_tag)).collect())
    }

    fn below_top(&self, frame: &Frame) -> Option<Vec<Addr>> {
        let start = self.stack_start(frame)?;
        let fields = &self.layout.iframe;
        // 3.14 saves it before whatever can leave the frame, 3.11 to 3.13 only before they go on in another frame of
        // the same loop: else `stacktop` is -1.
        let pointer = self.pointer(frame.addr, &fields.stackpointer).ok().and_then(Addr::non_null);
        let top = self.int(frame.addr, &fields.stacktop).ok().and_then(|top| u64::try_from(top).ok());
        let local = || Some(frame.addr + fields.localsplus.at().ok()?);
        let depth = match (pointer, top) {
            (Some(pointer), _) => pointer.0.checked_sub(start.0)? / 8,
            (None, Some(top)) => top.checked_sub(start.0.checked_sub(local()?.0)? / 8)?,
            (None, None) => {
                let code = frame.code.as_ref().ok()?;
                let offset = self.instruction_offset(frame.addr, code).ok()?;
                u64::from(self.depths(code)?.at(offset).last()?.depth)
            }
        };
        Some(self.slots_from(start, usize::try_from(depth).ok()?)?.0)
    }
}
