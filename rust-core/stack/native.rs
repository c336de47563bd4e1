//! Where the C stack and the Python stack meet: which C frame runs which Python frames. What Python
//! called between them is told by `calls.rs`.
//!
//! Names do not decide: the exported evaluation function of some builds is a stub of its real
//! body. Since 3.11 each evaluation loop keeps a record on the C stack, which lies in its C frame.
//! Before, every Python frame has a C frame of the evaluation function, which is known by its
//! exported address or by the pointers to Python frames in its slots.

use super::walk::Stack;
use crate::bytes::{Addr, word};
use crate::image::unwind::NativeFrame;
use crate::layout::Frames;
use crate::locate::is_eval_symbol;
use crate::objects::Objects;
use std::collections::{HashMap, HashSet};

/// Bytes of one C frame that are searched for a pointer to a Python frame.
const SLOTS: u64 = 1 << 12;

/// For each Python frame, the index of the C frame that runs it, where that is known.
#[derive(Debug, Default)]
pub struct Matching {
    /// The C stack.
    pub native: Vec<NativeFrame>,
    /// Index in `native` for each Python frame.
    pub of: Vec<Option<usize>>,
}

impl Matching {
    /// Matches the C stack with the Python stack of the same thread.
    pub fn new(objects: &Objects, stack: &Stack, native: Vec<NativeFrame>) -> Matching {
        let of = match objects.layout.rules.frames {
            Frames::Interpreter { .. } => by_record(stack, &native),
            Frames::Objects => by_function(objects, stack, &native),
        };
        Matching { native, of }
    }

    /// The C frames between Python frame `index` and the Python frame that runs inside of it: what
    /// it has called, innermost first. Empty where it is not known, or where it called Python
    /// without C in between.
    pub fn callees(&self, index: usize) -> &[NativeFrame] {
        let Some(own) = self.of.get(index).copied().flatten() else { return &[] };
        let from = match index.checked_sub(1).map(|inner| self.of[inner]) {
            None => 0,
            Some(Some(inner)) => inner + 1,
            Some(None) => return &[],
        };
        self.native.get(from..own).unwrap_or(&[])
    }
}

/// 3.11 and later: the record lies between the frame's stack pointer and its caller's.
fn by_record(stack: &Stack, native: &[NativeFrame]) -> Vec<Option<usize>> {
    let holder = |record: Addr| {
        let after = native.partition_point(|n| n.sp <= record.0);
        after.checked_sub(1).filter(|i| i + 1 < native.len())
    };
    stack.frames.iter().map(|f| f.entry.and_then(holder)).collect()
}

/// 3.10 and older: one C frame of the evaluation function for each Python frame, in order.
fn by_function(objects: &Objects, stack: &Stack, native: &[NativeFrame]) -> Vec<Option<usize>> {
    let exported = objects.located.image.symbols_where(is_eval_symbol);
    let is_eval = |n: &NativeFrame, start: &[u64]| n.function.is_some_and(|f| start.contains(&f));
    let exported: Vec<u64> = exported.into_iter().map(|a| a.0).collect();
    let mut found: Vec<usize> = (0..native.len()).filter(|i| is_eval(&native[*i], &exported)).collect();
    if found.len() != stack.frames.len() {
        let start = guess_function(objects, stack, native);
        let guessed: Vec<usize> = (0..native.len()).filter(|i| is_eval(&native[*i], start.as_slice())).collect();
        if guessed.len() == stack.frames.len() {
            found = guessed;
        }
    }
    if found.len() == stack.frames.len() {
        return found.into_iter().map(Some).collect();
    }
    vec![None; stack.frames.len()]
}

/// The function whose C frames hold pointers to Python frames most often.
fn guess_function(objects: &Objects, stack: &Stack, native: &[NativeFrame]) -> Option<u64> {
    let mut votes: HashMap<u64, usize> = HashMap::new();
    let frames: HashSet<u64> = stack.frames.iter().map(|f| f.addr.0).collect();
    for pair in native.windows(2) {
        let Some(function) = pair[0].function else { continue };
        let size = (pair[1].sp - pair[0].sp).min(SLOTS) as usize;
        let Ok(bytes) = objects.memory.bytes(Addr(pair[0].sp), size) else { continue };
        let holds = (0..size / 8).filter_map(|i| word(&bytes, i * 8)).any(|w| frames.contains(&w));
        if holds {
            *votes.entry(function).or_default() += 1;
        }
    }
    // Callers of the evaluation function hold the pointer too; only the evaluation function itself
    // has as many C frames as there are Python frames.
    let wanted = stack.frames.len();
    votes
        .into_keys()
        .map(|f| (native.iter().filter(|n| n.function == Some(f)).count(), f))
        .filter(|(count, _)| *count == wanted)
        .max()
        .map(|(_, f)| f)
}

impl Objects {
    /// Whether a thread of 2.7 that does not hold the GIL waits for it: it is in
    /// `PyThread_acquire_lock`, called by what takes the GIL. The GIL is an ordinary lock there, so its
    /// caller tells; CPython's own script took every lock for the GIL.
    ///
    /// Between letting go of the GIL and asking for it again, a busy thread is in one of the other
    /// functions that hand it over, or in the evaluation loop itself (2.7's ceval.c, "Give another
    /// thread a chance").
    pub fn waits_for_gil_lock(&self, native: &[NativeFrame]) -> bool {
        let image = &self.located.image;
        let start = |name: &str| image.symbol(name).map(|a| a.0);
        let steps = ["PyThread_acquire_lock", "PyThread_release_lock", "PyThreadState_Swap"].map(start);
        let in_step = |n: &NativeFrame| n.function.is_some() && steps.contains(&n.function);
        let caller = native.iter().position(in_step).map_or(0, |at| at + 1);
        let Some(caller) = native.get(caller).and_then(|n| n.function) else { return false };
        let takers = [start("PyEval_RestoreThread"), start("PyEval_AcquireThread")];
        takers.contains(&Some(caller)) || image.symbols_where(is_eval_symbol).contains(&Addr(caller))
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Frame;
    use super::*;
    use crate::error::Error;

    fn frame(entry: u64) -> Frame {
        let code = Err(Error::Request(String::new()));
        Frame { addr: Addr(0x1000), code, line: None, group: 0, entry: Some(Addr(entry)) }
    }

    #[test]
    fn a_record_belongs_to_the_frame_around_it() {
        let native: Vec<_> =
            [0x100, 0x200, 0x300, 0x400].iter().map(|sp| NativeFrame { pc: 1, sp: *sp, function: None }).collect();
        let stack =
            Stack { frames: vec![frame(0x180), frame(0x180), frame(0x300), frame(0x450), frame(0x50)], cut: None };
        let matching = Matching { of: by_record(&stack, &native), native };
        assert_eq!(matching.of, [Some(0), Some(0), Some(2), None, None]);
        assert_eq!(matching.callees(0).len(), 0);
        assert_eq!(matching.callees(2).len(), 1);
    }
}
