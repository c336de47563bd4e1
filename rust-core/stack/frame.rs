//! One Python frame, of either generation.

use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::layout::Frames;
use crate::objects::Objects;
use crate::objects::code::Code;
use std::rc::Rc;

/// A Python frame.
#[derive(Debug, Clone)]
pub struct Frame {
    /// `PyFrameObject` (3.10 and older) or `_PyInterpreterFrame` (3.11 and later).
    pub addr: Addr,
    /// The code it runs; an error where the code object is damaged.
    pub code: std::result::Result<Rc<Code>, Error>,
    /// The line it is at, if known.
    pub line: Option<i64>,
    /// Number of the evaluation loop in this thread that runs it, 0 for the innermost: since 3.11
    /// one C frame runs several Python frames.
    pub group: usize,
    /// The record that this frame's evaluation loop keeps on the C stack (3.11: `_PyCFrame`, 3.12
    /// and later: the entry frame): it lies in the C frame of that loop.
    pub entry: Option<Addr>,
}

impl Frame {
    /// The frame of a frame object (`PyFrameObject`), which since 3.11 wraps the real one.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn of_object(objects: &Objects, object: Addr) -> Result<Frame> {
        match objects.layout.rules.frames {
            Frames::Objects => Frame::at(objects, object),
            Frames::Interpreter { .. } => Frame::at(objects, objects.pointer(object, &objects.layout.frame.f_frame)?),
        }
    }

    /// The frame at `addr`, as the chain of frames has it.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn at(objects: &Objects, addr: Addr) -> Result<Frame> {
        let code = match objects.layout.rules.frames {
            Frames::Objects => objects.pointer(addr, &objects.layout.frame.f_code)?,
            Frames::Interpreter { .. } => objects.executable(addr)?,
        };
        let code = objects.code(code)?;
        let line = objects.line(addr, &code);
        Ok(Frame { addr, code: Ok(code), line, group: 0, entry: None })
    }
}

/// Fields of frames that only this layer needs.
impl Objects {
    /// The code of the interpreter frame at `frame`, with tag bits cleared.
    pub(super) fn executable(&self, frame: Addr) -> Result<Addr> {
        self.untagged(frame, &self.layout.iframe.executable)
    }

    /// A pointer that may be a tagged `_PyStackRef`.
    pub(super) fn untagged(&self, at: Addr, slot: &crate::layout::Slot) -> Result<Addr> {
        Ok(Addr(self.pointer(at, slot)?.0 & !self.layout.rules.stackref_tag))
    }

    /// Bytes from the start of the code to the instruction that the frame is at; negative if it
    /// has not begun.
    pub(super) fn instruction_offset(&self, frame: Addr, code: &Code) -> Result<i64> {
        if self.layout.rules.frames == Frames::Objects {
            let lasti = self.int(frame, &self.layout.frame.f_lasti)?;
            return Ok(lasti.saturating_mul(self.layout.rules.lasti_unit));
        }
        let at = self.pointer(frame, &self.layout.iframe.instr)?;
        let start = match self.thread_local_bytecode(frame, code)? {
            Some(copy) => copy,
            None => code.addr + self.layout.code.co_code_adaptive.at()?,
        };
        Ok(at.0.wrapping_sub(start.0) as i64)
    }

    /// Free-threaded builds since 3.14 (gh-115999): the copy of the bytecode that the frame's thread
    /// runs. `co_tlbc` is an array of them behind its length (`_PyCodeArray`); number 0 is the code
    /// object's own.
    fn thread_local_bytecode(&self, frame: Addr, code: &Code) -> Result<Option<Addr>> {
        if !self.layout.code.co_tlbc.exists() || !self.layout.iframe.tlbc_index.exists() {
            return Ok(None);
        }
        let index = self.uint(frame, &self.layout.iframe.tlbc_index)?;
        let copies = self.pointer(code.addr, &self.layout.code.co_tlbc)?;
        if copies.is_null() || index >= self.memory.uint(copies, 8)? {
            return Ok(None);
        }
        Ok(self.memory.pointer(copies + 8 + index * 8)?.non_null())
    }

    /// The line that a frame is at. 3.10 and older keep it in `f_lineno` only while the frame is
    /// traced; it is computed from the instruction otherwise.
    pub(super) fn line(&self, frame: Addr, code: &Code) -> Option<i64> {
        if self.layout.rules.frames == Frames::Objects {
            let fields = &self.layout.frame;
            let traced = self.pointer(frame, &fields.f_trace).is_ok_and(|t| !t.is_null());
            let line = self.int(frame, &fields.f_lineno).ok();
            if traced && line.is_some_and(|l| l > 0) {
                return line;
            }
        }
        code.line(self.instruction_offset(frame, code).ok()?)
    }
}
