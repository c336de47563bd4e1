//! The C stack of a thread: program counters, stack pointers and where each function begins, from
//! the unwind tables of the mapped files (`.eh_frame`, which stripping leaves in place).
//!
//! Done here and not by the host, because asking GDB for a first unwind through an interpreter with
//! debug info makes it read the whole of `ceval.c`'s debug info (0.1 to 0.7 s). Names are not
//! needed: what a function is shows in its address.

use crate::bytes::Addr;
use crate::image::elf::Sections;
use crate::limits;
use crate::process::Cache;
use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, FrameAddress, Unwinder};
use gimli::{BaseAddresses, EhFrame, EhFrameHdr, LittleEndian, UnwindSection};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

/// One C frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeFrame {
    /// Program counter; of callers, the return address.
    pub pc: u64,
    /// Stack pointer in this frame: the frame's own data lies from here to the caller's.
    pub sp: u64,
    /// Where the function begins, by its unwind table entry.
    pub function: Option<u64>,
}

/// Registers of a stopped thread.
#[derive(Debug, Clone, Copy)]
pub struct Registers {
    /// `rip`.
    pub pc: u64,
    /// `rsp`.
    pub sp: u64,
    /// `rbp`.
    pub bp: u64,
}

/// Gives the unwind tables of the module that holds an address.
pub type Tables<'a> = dyn Fn(u64) -> Option<(u64, u64, Sections)> + 'a;

struct Known {
    start: u64,
    end: u64,
    sections: Rc<Sections>,
}

/// Unwinds threads of one target; remembers the tables of the modules it met.
pub struct Unwinding {
    unwinder: RefCell<UnwinderX86_64<Vec<u8>>>,
    cache: RefCell<CacheX86_64>,
    modules: RefCell<Vec<Known>>,
    /// Bytes of tables that may still be taken.
    room: Cell<usize>,
    /// Frames of all threads that one answer may still take.
    frames: Cell<usize>,
}

impl Default for Unwinding {
    fn default() -> Unwinding {
        Unwinding {
            unwinder: RefCell::new(UnwinderX86_64::new()),
            cache: RefCell::new(CacheX86_64::new()),
            modules: RefCell::default(),
            room: Cell::new(limits::UNWIND_TABLES),
            frames: Cell::new(limits::NATIVE_FRAMES_TOTAL),
        }
    }
}

impl Unwinding {
    /// Begins an answer: the C stacks of all its threads together may have so many frames.
    pub fn start_answer(&self) {
        self.frames.set(limits::NATIVE_FRAMES_TOTAL);
    }

    /// The C stack, innermost frame first. Ends early where there are no tables.
    pub fn walk(&self, memory: &Cache, registers: Registers, tables: &Tables<'_>) -> Vec<NativeFrame> {
        let mut frames: Vec<NativeFrame> = Vec::new();
        let mut regs = UnwindRegsX86_64::new(registers.pc, registers.sp, registers.bp);
        let mut address = FrameAddress::from_instruction_pointer(registers.pc);
        // Pages of code that no file is behind.
        let mut unknown = HashSet::new();
        let mut read = |at: u64| memory.uint(Addr(at), 8).map_err(|_| ());
        while frames.len() < limits::NATIVE_FRAMES {
            let sp = regs.sp();
            // The stack grows down: a caller's frame never lies below its callee's.
            if frames.last().is_some_and(|last| sp <= last.sp) {
                break;
            }
            let Some(left) = self.frames.get().checked_sub(1) else { break };
            self.frames.set(left);
            let pc = address.address();
            let lookup = address.address_for_lookup();
            if !unknown.contains(&(lookup >> 12)) && !self.load(lookup, tables) {
                unknown.insert(lookup >> 12);
            }
            frames.push(NativeFrame { pc, sp, function: self.function(address.address_for_lookup()) });
            let unwinder = self.unwinder.borrow();
            let next = unwinder.unwind_frame(address, &mut regs, &mut self.cache.borrow_mut(), &mut read);
            match next.ok().flatten().and_then(FrameAddress::from_return_address) {
                Some(next) => address = next,
                None => break,
            }
        }
        frames
    }

    /// Takes the tables of the module that holds `pc`; whether there are any.
    fn load(&self, pc: u64, tables: &Tables<'_>) -> bool {
        if self.modules.borrow().iter().any(|m| (m.start..m.end).contains(&pc)) {
            return true;
        }
        let Some((start, end, mut sections)) = tables(pc) else { return false };
        // Addresses are what the file claims: a table cannot lie across the end of all of them.
        let fits = |section: &(u64, Vec<u8>)| section.0.checked_add(section.1.len() as u64).is_some();
        sections.eh_frame = sections.eh_frame.filter(fits);
        sections.eh_frame_hdr = sections.eh_frame_hdr.filter(fits);
        let size = |section: &Option<(u64, Vec<u8>)>| section.as_ref().map_or(0, |(_, data)| data.len());
        let size = size(&sections.eh_frame).saturating_add(size(&sections.eh_frame_hdr));
        let Some(room) = self.room.get().checked_sub(size) else { return false };
        self.room.set(room);
        let range = |section: &Option<(u64, Vec<u8>)>| section.as_ref().map(|(at, data)| *at..*at + data.len() as u64);
        let info = ExplicitModuleSectionInfo {
            base_svma: 0,
            eh_frame_svma: range(&sections.eh_frame),
            eh_frame: sections.eh_frame.as_ref().map(|(_, data)| data.clone()),
            eh_frame_hdr_svma: range(&sections.eh_frame_hdr),
            eh_frame_hdr: sections.eh_frame_hdr.as_ref().map(|(_, data)| data.clone()),
            text_svma: sections.text.clone(),
            ..Default::default()
        };
        let module = framehop::Module::new(String::new(), start..end, sections.bias, info);
        self.unwinder.borrow_mut().add_module(module);
        self.modules.borrow_mut().push(Known { start, end, sections: Rc::new(sections) });
        true
    }

    /// Where the function at `pc` begins.
    fn function(&self, pc: u64) -> Option<u64> {
        let modules = self.modules.borrow();
        let known = modules.iter().find(|m| (m.start..m.end).contains(&pc))?;
        let sections = &known.sections;
        let (hdr_at, hdr) = sections.eh_frame_hdr.as_ref()?;
        let (frame_at, frame) = sections.eh_frame.as_ref()?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(*hdr_at).set_eh_frame(*frame_at);
        let parsed = EhFrameHdr::new(hdr, LittleEndian).parse(&bases, 8).ok()?;
        let frame = EhFrame::new(frame, LittleEndian);
        let table = parsed.table()?;
        let fde = table.fde_for_address(&frame, &bases, pc.wrapping_sub(sections.bias), EhFrame::cie_from_offset);
        Some(fde.ok()?.initial_address().wrapping_add(sections.bias))
    }
}
