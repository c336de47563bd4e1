//! Where the C stack and the Python stack meet: which C frame runs which Python frames, and which C
//! functions Python called.
//!
//! Names do not decide: the exported evaluation function of some builds is a stub of its real
//! body. Since 3.11 each evaluation loop keeps a record on the C stack, which lies in its C frame.
//! Before, every Python frame has a C frame of the evaluation function, which is known by its
//! exported address or by the pointers to Python frames in its slots.

use super::frame::Frame;
use super::walk::Stack;
use crate::bytes::{Addr, word};
use crate::error::Result;
use crate::image::unwind::NativeFrame;
use crate::layout::Frames;
use crate::locate::is_eval_symbol;
use crate::objects::{Kind, Objects};
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
    /// The C function that the frame has called, as an object: one on its value stack whose code is
    /// that of one of the C frames `callees`.
    pub fn called(&self, frame: &Frame, callees: &[NativeFrame]) -> Option<Addr> {
        let functions: Vec<u64> = callees.iter().rev().filter_map(|n| n.function).collect();
        if functions.is_empty() {
            return None;
        }
        let mut matches: Vec<(usize, Addr)> = Vec::new();
        for object in self.value_stack(frame).ok()? {
            if let Some(code) = self.c_code(object)
                && let Some(depth) = functions.iter().position(|f| *f == code)
            {
                matches.push((depth, object));
            }
        }
        let nearest = matches.iter().map(|(depth, _)| *depth).min()?;
        let mut nearest = matches.iter().filter(|(depth, _)| *depth == nearest).map(|(_, object)| *object);
        let first = nearest.next()?;
        // Two objects with the same code, one an argument or left behind by an earlier call: which
        // of them is called cannot be told, and a guess could name the wrong receiver.
        nearest.all(|object| object == first).then_some(first)
    }

    /// What may be on the frame's value stack. Slots above its top are read too, as the top is known
    /// only since 3.14: they can hold what was there before.
    fn value_stack(&self, frame: &Frame) -> Result<Vec<Addr>> {
        let code = frame.code.as_ref().map_err(Clone::clone)?;
        let start = match self.layout.rules.frames {
            Frames::Objects => self.pointer(frame.addr, &self.layout.frame.f_valuestack)?,
            Frames::Interpreter { .. } => {
                frame.addr + self.layout.iframe.localsplus.at()? + code.variables.len() as u64 * 8
            }
        };
        let mut count = usize::try_from(code.stacksize.min(1 << 12)).unwrap_or(0);
        // 3.14 saves the top before every call that can leave the evaluation function.
        if let Ok(top) = self.pointer(frame.addr, &self.layout.iframe.stackpointer)
            && top >= start
        {
            count = count.min(usize::try_from((top.0 - start.0) / 8).unwrap_or(0));
        }
        let tag = !self.layout.rules.stackref_tag;
        let words = self.pointers(start, count)?;
        Ok(words.into_iter().map(|w| Addr(w.0 & tag)).filter(|a| a.is_plausible()).collect())
    }

    /// The address of the C function behind a callable object.
    fn c_code(&self, object: Addr) -> Option<u64> {
        let layout = &self.layout;
        let slot = match self.type_of(object).ok()?.kind {
            Kind::CFunction => &layout.cfunction.m_ml,
            Kind::MethodDescriptor => &layout.method_descr.d_method,
            _ => return None,
        };
        let def = self.pointer(object, slot).ok()?;
        self.pointer(def, &layout.method_def.ml_meth).ok().map(|a| a.0)
    }
}

impl Objects {
    /// Whether a thread of 2.7 waits for the GIL: it is in `PyThread_acquire_lock`, called by what
    /// takes the GIL. The GIL is an ordinary lock there, so its caller tells; CPython's own script
    /// took every lock for the GIL.
    pub fn waits_for_gil_lock(&self, native: &[NativeFrame]) -> bool {
        let image = &self.located.image;
        let start = |name: &str| image.symbol(name).map(|a| a.0);
        // Between letting go of it and asking for it again, a busy thread is in the other function.
        let locks = [start("PyThread_acquire_lock"), start("PyThread_release_lock")];
        let in_lock = |n: &NativeFrame| n.function.is_some() && locks.contains(&n.function);
        let Some(at) = native.iter().position(in_lock) else { return false };
        let Some(caller) = native.get(at + 1).and_then(|n| n.function) else { return false };
        let takers = [start("PyEval_RestoreThread"), start("PyEval_AcquireThread")];
        takers.contains(&Some(caller)) || image.symbols_where(is_eval_symbol).contains(&Addr(caller))
    }
}

#[cfg(test)]
mod tests {
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
