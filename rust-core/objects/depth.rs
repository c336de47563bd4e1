//! How many slots of a frame's value stack are in use at an instruction.
//!
//! 3.13 and older keep the stack's top in a register while a frame runs, so it is computed: from
//! the start of the code, along each way that control can take, as the compiler does for
//! `co_stacksize` and `frame.f_lineno`'s setter for jumps. 3.14 and later save the top: there this
//! is a check, and tells what the instruction is. Reads no memory and no objects. Code that is not
//! understood (an instruction with an unknown effect, a depth below zero or above `co_stacksize`)
//! has no depths at all: an answer is exact or there is none.
//!
//! Up to 3.8 the depth in the body of a `finally` depends on how it was entered: what says why lies
//! below, in one slot to six. So states remember, for each `finally` that they are in, where that
//! begins and how it was entered. An instruction can then have several depths; what is in the slots
//! tells which one it is.

use crate::layout::opcodes::{Block, Coding, Opcode, Opcodes, Role, Target};
use crate::limits;
use std::collections::HashSet;

/// An entry of `co_exceptiontable` (3.11, bpo-40222).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Handler {
    target: usize,
    depth: u32,
}

/// Why a handler or a `finally` is being executed, and what therefore lies on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Control came to it, and goes on behind it: `None`, or null in 3.8.
    Through,
    /// An exception, which is raised again at the end: its traceback, value and class, above those of
    /// the one handled before it since 3.0.
    Exception,
    /// An exception whose own values have been taken from the stack.
    Handled,
    /// On the way to somewhere else (`return`, `break`, `continue`): a number, in this slot of those
    /// that were pushed.
    Leaving(u32),
}

/// A handler or a `finally` that is being executed: the slot where what says why begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Counted from the bottom of the stack.
    pub at: u32,
    /// What lies there.
    pub why: Why,
}

/// One way to be at an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    depth: u32,
    marks: Vec<Mark>,
}

impl State {
    fn at(depth: u32) -> State {
        State { depth, marks: Vec::new() }
    }

    /// The state at another depth; `None` if that is impossible.
    fn moved(&self, by: i64) -> Option<State> {
        let depth = u32::try_from(i64::from(self.depth) + by).ok()?;
        Some(State { depth, marks: self.marks.clone() })
    }

    fn marked(mut self, at: u32, why: Why) -> State {
        self.marks.push(Mark { at, why });
        self
    }
}

/// An instruction with its argument.
#[derive(Debug, Clone, Copy)]
struct Instruction<'a> {
    opcode: &'a Opcode,
    argument: u32,
    /// Where it is, behind its `EXTENDED_ARG`s.
    at: usize,
    /// Where the next one is.
    next: usize,
}

impl Instruction<'_> {
    fn target(&self) -> Option<usize> {
        let far = |step: u32| u64::from(self.argument).checked_mul(u64::from(step)).and_then(|n| n.try_into().ok());
        match self.opcode.target {
            Target::None => None,
            Target::Forward(step) => self.next.checked_add(far(step)?),
            Target::Backward(step) => self.next.checked_sub(far(step)?),
            Target::Absolute(step) => far(step),
        }
    }
}

/// What is known of one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Where it begins, its `EXTENDED_ARG`s counted in.
    start: u32,
    /// Where its opcode is.
    at: u32,
    /// What it calls.
    pub role: Role,
    /// Its argument.
    pub argument: u32,
    /// Slots in use before it is executed.
    pub depth: u32,
    /// The first of its marks, and their number.
    marks: (u32, u32),
}

/// The depths at all instructions of one code object.
#[derive(Debug)]
pub struct Depths {
    /// In order; one for each way to be at an instruction.
    sites: Vec<Site>,
    marks: Vec<Mark>,
}

impl Depths {
    /// Follows `code`; `None` where it is not understood. `exceptions` is `co_exceptiontable`, empty
    /// before 3.11. `budget` is what work may still be done, one for each byte and each state.
    pub fn new(
        opcodes: &Opcodes,
        code: &[u8],
        exceptions: &[u8],
        stacksize: u32,
        budget: &mut usize,
    ) -> Option<Depths> {
        if code.len() > limits::CODE_BYTES || code.len() > *budget {
            return None;
        }
        *budget -= code.len();
        let walk = Walk { opcodes, code, stacksize, entered: entered_in_line(opcodes, code) };
        walk.run(&handlers(exceptions)?, budget)
    }

    /// What a site's way to be there has left on the stack.
    pub fn marks(&self, site: &Site) -> &[Mark] {
        let (first, count) = site.marks;
        self.marks.get(first as usize..).and_then(|marks| marks.get(..count as usize)).unwrap_or(&[])
    }

    /// The instruction at byte `offset`, once for each way to be there; empty if control never comes
    /// there.
    pub fn at(&self, offset: i64) -> &[Site] {
        let Ok(offset) = u32::try_from(offset) else { return &[] };
        let end = self.sites.partition_point(|site| site.start <= offset);
        let Some(last) = end.checked_sub(1).map(|i| self.sites[i]) else { return &[] };
        let first = self.sites.partition_point(|site| site.start < last.start);
        // Not within the caches of an instruction.
        if offset <= last.at { &self.sites[first..end] } else { &[] }
    }

    /// The deepest that the stack gets before any instruction, and whether each instruction has one
    /// depth only.
    pub fn summary(&self) -> (u32, bool) {
        let deepest = self.sites.iter().map(|site| site.depth).max().unwrap_or(0);
        (deepest, self.sites.windows(2).all(|pair| pair[0].start != pair[1].start || pair[0].depth == pair[1].depth))
    }
}

/// The handlers of an exception table: numbers of 6 bits a byte, the highest first, bit 6 for "more
/// follows"; bit 7 marks the start of an entry of four: start, length, target in code units, and
/// depth with the lowest bit for "the instruction is pushed" (Objects/exception_handling_notes.txt).
fn handlers(table: &[u8]) -> Option<Vec<Handler>> {
    let mut bytes = table.get(..table.len().min(limits::CODE_BYTES))?.iter();
    let mut all = Vec::new();
    while !bytes.as_slice().is_empty() {
        let mut numbers = [0u32; 4];
        for number in &mut numbers {
            loop {
                let byte = *bytes.next()?;
                *number = number.checked_mul(64)?.checked_add(u32::from(byte & 63))?;
                if byte & 64 == 0 {
                    break;
                }
            }
        }
        let [_, _, target, depth] = numbers;
        let pushed = 1 + (depth & 1);
        all.push(Handler { target: usize::try_from(target).ok()?.checked_mul(2)?, depth: (depth >> 1) + pushed });
    }
    Some(all)
}

/// The instruction that begins at `start`.
fn decode<'a>(opcodes: &'a Opcodes, code: &[u8], start: usize) -> Option<Instruction<'a>> {
    let (mut at, mut argument) = (start, 0u32);
    // The argument has four bytes in all.
    for _ in 0..4 {
        let number = *code.get(at)?;
        let opcode = opcodes.get(number)?;
        let (low, size) = match opcodes.coding {
            Coding::Bytes { have_argument } if number < have_argument => (0, 1),
            Coding::Bytes { .. } => (u32::from(u16::from_le_bytes([*code.get(at + 1)?, *code.get(at + 2)?])), 3),
            Coding::Words => (u32::from(*code.get(at + 1)?), 2),
        };
        argument |= low;
        if opcode.role == Role::Extended {
            argument <<= if size == 3 { 16 } else { 8 };
            at += size;
            continue;
        }
        let next = at + size + 2 * usize::try_from(opcode.caches).ok()?;
        return Some(Instruction { opcode, argument, at, next });
    }
    None
}

/// A `finally` that control goes into from the instruction before (3.7 and older).
#[derive(Debug, Clone, Copy)]
struct Entered {
    target: usize,
    /// From its `SETUP_FINALLY` to it there is a `return` or `continue`.
    leave: bool,
    /// There is a `break`.
    broken: bool,
    /// Where its `SETUP_FINALLY` is.
    from: usize,
}

/// Those of a code object, ordered by `from`.
fn entered_in_line(opcodes: &Opcodes, code: &[u8]) -> Vec<Entered> {
    let mut all: Vec<Entered> = Vec::new();
    // Those that the scan is inside of; they nest.
    let mut open: Vec<usize> = Vec::new();
    let mut start = 0;
    while let Some(instruction) = decode(opcodes, code, start) {
        while open.last().is_some_and(|i| all[*i].target <= start) {
            open.pop();
        }
        // Deeper nesting than the compiler allows (CO_MAXBLOCKS is 20) is hostile.
        let inside = &open[open.len().saturating_sub(32)..];
        match instruction.opcode.block {
            Block::Leave => inside.iter().for_each(|i| all[*i].leave = true),
            Block::Break => inside.iter().for_each(|i| all[*i].broken = true),
            Block::Finally => {
                if let Some(target) = instruction.target() {
                    open.push(all.len());
                    all.push(Entered { target, leave: false, broken: false, from: start });
                }
            }
            _ => {}
        }
        start = instruction.next;
    }
    all
}

struct Walk<'a> {
    opcodes: &'a Opcodes,
    code: &'a [u8],
    stacksize: u32,
    entered: Vec<Entered>,
}

impl Walk<'_> {
    fn run(&self, handlers: &[Handler], budget: &mut usize) -> Option<Depths> {
        let targets: HashSet<usize> = self.entered.iter().map(|e| e.target).collect();
        let mut seen: Vec<Vec<State>> = Vec::new();
        seen.try_reserve(self.code.len()).ok()?;
        seen.resize(self.code.len(), Vec::new());
        let mut work = vec![(0, State::at(0))];
        work.extend(handlers.iter().map(|h| (h.target, State::at(h.depth))));
        let (mut sites, mut marks) = (Vec::new(), Vec::new());
        while let Some((start, mut state)) = work.pop() {
            if state.depth > self.stacksize {
                return None;
            }
            state.marks.retain(|mark| mark.at < state.depth);
            for mark in &mut state.marks {
                if mark.why == Why::Exception && mark.at.saturating_add(self.opcodes.exception) > state.depth {
                    mark.why = Why::Handled;
                }
            }
            let known = seen.get_mut(start)?;
            if known.contains(&state) {
                continue;
            }
            if known.len() >= limits::STACK_STATES || state.marks.len() >= limits::STACK_STATES {
                return None;
            }
            *budget = budget.checked_sub(1 + state.marks.len())?;
            known.push(state.clone());
            let instruction = decode(self.opcodes, self.code, start)?;
            sites.push(Site {
                start: u32::try_from(start).ok()?,
                at: u32::try_from(instruction.at).ok()?,
                role: instruction.opcode.role,
                argument: instruction.argument,
                depth: state.depth,
                marks: (u32::try_from(marks.len()).ok()?, u32::try_from(state.marks.len()).ok()?),
            });
            marks.extend_from_slice(&state.marks);
            for next in self.after(&instruction, &state)? {
                let falls_in = targets.contains(&instruction.next);
                let why = |state: State| match state.depth.checked_sub(1) {
                    Some(at) if falls_in => state.marked(at, Why::Through),
                    _ => state,
                };
                work.push((instruction.next, why(next)));
            }
            work.extend(self.jumps(start, &instruction, &state)?);
        }
        sites.sort_by_key(|site| (site.start, site.depth));
        Some(Depths { sites, marks })
    }

    /// The states of the next instruction.
    fn after(&self, instruction: &Instruction<'_>, state: &State) -> Option<Vec<State>> {
        let Some(effect) = &instruction.opcode.next else { return Some(Vec::new()) };
        let mut next = state.moved(effect.of(instruction.argument))?;
        let mark = state.marks.last().copied();
        let outer = |marks: &[Mark]| marks[..marks.len().saturating_sub(1)].to_vec();
        Some(match instruction.opcode.block {
            Block::Begin => vec![next.marked(state.depth, Why::Through)],
            Block::End => match mark? {
                Mark { at, why: Why::Through } => vec![State { depth: at, marks: outer(&state.marks) }],
                _ => Vec::new(),
            },
            Block::Pop => {
                let depth = mark?.at.checked_add(instruction.argument)?;
                vec![State { depth, marks: outer(&state.marks) }]
            }
            // The exit function below what says why goes; an exception's values move down over it, and
            // since 3.0 leave an empty slot between the two triples.
            Block::Cleanup | Block::CleanupStart => {
                let mark = next.marks.last_mut()?;
                mark.at = mark.at.checked_sub(1)?;
                if instruction.opcode.block == Block::CleanupStart && mark.why == Why::Exception {
                    next.depth += 1;
                }
                let mut all = vec![next];
                if instruction.opcode.block == Block::Cleanup {
                    all.extend(silenced(&all[0]));
                }
                all
            }
            Block::CleanupFinish => {
                let mut all = vec![next];
                all.extend(silenced(&all[0]));
                all
            }
            _ => vec![next],
        })
    }

    /// The places that the instruction can jump to, with their states.
    fn jumps(&self, start: usize, instruction: &Instruction<'_>, state: &State) -> Option<Vec<(usize, State)>> {
        let Some(effect) = &instruction.opcode.jump else { return Some(Vec::new()) };
        let target = instruction.target()?;
        let next = state.moved(effect.of(instruction.argument))?;
        let block = instruction.opcode.block;
        if block == Block::Call {
            return Some(vec![(target, next.marked(state.depth, Why::Leaving(0)))]);
        }
        if !matches!(block, Block::Handler | Block::Finally) {
            return Some(vec![(target, next)]);
        }
        let base = next.depth.checked_sub(self.opcodes.exception)?;
        let leaving = |pushed: u32| {
            let state = State { depth: base.saturating_add(pushed), marks: state.marks.clone() };
            (target, state.marked(base, Why::Leaving(pushed.saturating_sub(1))))
        };
        let mut all = vec![(target, next.marked(base, Why::Exception))];
        if let Ok(i) = self.entered.binary_search_by_key(&start, |e| e.from) {
            all.extend(self.entered[i].leave.then(|| leaving(2)));
            all.extend(self.entered[i].broken.then(|| leaving(1)));
        }
        Some(all)
    }
}

/// The state where an exit function has swallowed the exception: as if there had been none.
fn silenced(state: &State) -> Option<State> {
    let mut marks = state.marks.clone();
    let mark = marks.last_mut().filter(|mark| mark.why == Why::Exception)?;
    mark.why = Why::Through;
    Some(State { depth: mark.at + 1, marks })
}

#[cfg(test)]
mod tests;
