//! The chain of Python frames of one thread, innermost first.

use super::frame::Frame;
use crate::bytes::Addr;
use crate::error::Result;
use crate::layout::Frames;
use crate::limits;
use crate::objects::Objects;
use std::collections::HashSet;

/// The Python stack of one thread.
#[derive(Debug, Default)]
pub struct Stack {
    /// Frames, innermost first.
    pub frames: Vec<Frame>,
    /// Why there may be more than these; for the user.
    pub cut: Option<String>,
}

/// Walks the frames of the thread state at `tstate`. Always ends: a chain that loops or cannot be
/// followed is cut, and says so.
pub fn walk(objects: &Objects, tstate: Addr) -> Stack {
    let mut stack = Stack::default();
    let result = match objects.layout.rules.frames {
        Frames::Objects => walk_objects(objects, tstate, &mut stack),
        Frames::Interpreter { shim_owner } => walk_interpreter(objects, tstate, shim_owner, &mut stack),
    };
    if let Err(e) = result {
        stack.cut = Some(format!("older frames cannot be read: {e}"));
    }
    stack
}

/// Notices a chain that comes back to itself or never ends.
struct Chain<'a> {
    objects: &'a Objects,
    seen: HashSet<Addr>,
}

impl Chain<'_> {
    fn new(objects: &Objects) -> Chain<'_> {
        Chain { objects, seen: HashSet::new() }
    }

    /// Whether the walk may go on at `addr`; if not, why.
    fn step(&mut self, addr: Addr) -> std::result::Result<(), String> {
        if self.seen.len() >= limits::FRAMES {
            return Err(format!("the chain of frames is longer than {} and is cut here", limits::FRAMES));
        }
        if !self.objects.take_frame() {
            return Err(format!("all threads together have more than {} frames: cut here", limits::FRAMES_TOTAL));
        }
        if !addr.is_plausible() {
            return Err(format!("the chain of frames leads to {addr}, which can be no frame"));
        }
        if !self.seen.insert(addr) {
            return Err(format!("the chain of frames loops: {addr} comes again"));
        }
        Ok(())
    }
}

fn walk_objects(objects: &Objects, tstate: Addr, stack: &mut Stack) -> Result<()> {
    let fields = &objects.layout.frame;
    let mut at = objects.pointer(tstate, &objects.layout.tstate.frame)?;
    let mut chain = Chain::new(objects);
    while !at.is_null() {
        if let Err(why) = chain.step(at) {
            stack.cut = Some(why);
            return Ok(());
        }
        let code = objects.pointer(at, &fields.f_code).and_then(|code| objects.code(code));
        let line = code.as_ref().ok().and_then(|code| objects.line(at, code));
        let group = stack.frames.len();
        stack.frames.push(Frame { addr: at, code, line, group, entry: None });
        at = objects.pointer(at, &fields.f_back)?;
    }
    Ok(())
}

fn walk_interpreter(objects: &Objects, tstate: Addr, shim_owner: Option<u8>, stack: &mut Stack) -> Result<()> {
    let (layout, fields) = (&objects.layout, &objects.layout.iframe);
    let mut cframe = None;
    let mut at = if layout.tstate.current_frame.exists() {
        objects.pointer(tstate, &layout.tstate.current_frame)?
    } else {
        let record = objects.pointer(tstate, &layout.tstate.cframe)?;
        cframe = Some(record);
        let frame = objects.pointer(record, &layout.cframe.current_frame)?;
        // Of a living thread the outermost record is inside of its thread state; one elsewhere, on
        // the C stack, always points back to an older one.
        if frame.is_null()
            && objects.pointer(record, &layout.cframe.previous)?.is_null()
            && !is_root(objects, tstate, record)
        {
            stack.cut = Some(lost_stack(record));
        }
        frame
    };
    let mut chain = Chain::new(objects);
    let mut group = 0;
    // Frames of the current group, whose entry record comes after them.
    let mut first_of_group = 0;
    while !at.is_null() {
        if let Err(why) = chain.step(at) {
            stack.cut = Some(why);
            return Ok(());
        }
        let owner = objects.uint(at, &fields.owner)?;
        if objects.pointer(at, &fields.executable)?.is_null() && is_zero(objects, at) {
            stack.cut = Some(lost_stack(at));
            return Ok(());
        }
        let is_shim = shim_owner.is_some_and(|shim| owner >= u64::from(shim));
        if is_shim {
            stack.frames[first_of_group..].iter_mut().for_each(|f| f.entry = Some(at));
            if stack.frames.len() > first_of_group {
                group += 1;
            }
            first_of_group = stack.frames.len();
        } else {
            let code = objects.executable(at).and_then(|code| objects.code(code));
            if !is_incomplete(objects, at, owner, code.as_deref().ok()) {
                let line = code.as_ref().ok().and_then(|code| objects.line(at, code));
                stack.frames.push(Frame { addr: at, code, line, group, entry: cframe });
            }
            // 3.11: the frame that its C frame was entered with ends the group.
            if fields.is_entry.exists() && objects.uint(at, &fields.is_entry)? != 0 {
                group += 1;
                first_of_group = stack.frames.len();
                cframe = cframe
                    .and_then(|record| objects.pointer(record, &layout.cframe.previous).ok())
                    .and_then(Addr::non_null);
            }
        }
        at = objects.pointer(at, &fields.previous)?;
    }
    Ok(())
}

fn lost_stack(at: Addr) -> String {
    format!(
        "the C stack is all zeros at {at}. GDB before 18 writes such cores where the C library makes guard pages \
         without mprotect (glibc 2.42): the kernel's own cores, and GDB 18's, are whole"
    )
}

/// 3.11: whether the record is the one that the thread state itself holds.
fn is_root(objects: &Objects, tstate: Addr, record: Addr) -> bool {
    objects.layout.tstate.root_cframe.at().is_ok_and(|offset| tstate + offset == record)
}

fn is_zero(objects: &Objects, frame: Addr) -> bool {
    let size = objects.layout.iframe.size.at().unwrap_or(64).min(256) as usize;
    objects.memory.bytes(frame, size).is_ok_and(|bytes| bytes.iter().all(|b| *b == 0))
}

/// A frame that has not reached its first traceable instruction is no frame to Python yet
/// (`_PyFrame_IsIncomplete`); the interpreter passes over it. One that a generator owns is
/// complete.
fn is_incomplete(objects: &Objects, frame: Addr, owner: u64, code: Option<&crate::objects::code::Code>) -> bool {
    const OWNED_BY_GENERATOR: u64 = 1;
    let Some(code) = code else { return false };
    owner != OWNED_BY_GENERATOR
        && objects
            .instruction_offset(frame, code)
            .is_ok_and(|offset| offset < i64::try_from(code.firsttraceable).unwrap_or(i64::MAX))
}
