//! A target that only the debugger can read: gdbserver, rr, QEMU.
//!
//! The closure that does the reading is built in `abi.rs` from the host's callback; this module is
//! plain safe code around it. A read is a round trip to another machine: what cannot have changed is
//! read from the files of this machine that are proven to be the mapped ones.

use super::Memory;
use super::maps::{Region, apart};
use crate::bytes::Addr;
use crate::error::Result;
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// Reads `buffer` from `addr`, on the calling thread.
pub type ReadFn = Rc<dyn Fn(Addr, &mut [u8]) -> Result<()>>;

/// Bytes that one read brings. GDB's packets to gdbserver hold some 9,000.
const BLOCK: u64 = 8192;

/// A part of a file that is mapped for reading only.
struct Constant {
    start: u64,
    end: u64,
    offset: u64,
    file: Rc<File>,
}

/// A target behind the host's own read function.
pub struct Host {
    read: ReadFn,
    regions: Vec<Region>,
    constants: RefCell<Vec<Constant>>,
}

impl Host {
    /// `regions` is what the host knows of the mappings, in any order; it may be empty.
    pub fn new(read: ReadFn, mut regions: Vec<Region>) -> Host {
        apart(&mut regions);
        Host { read, regions, constants: RefCell::default() }
    }

    /// Lets `file` stand in for the read-only segments of its image: (first address, end, offset in the
    /// file) each.
    pub fn attach_file(&self, file: File, segments: &[(u64, u64, u64)]) {
        let file = Rc::new(file);
        let constant = |(start, end, offset): &(u64, u64, u64)| Constant {
            start: *start,
            end: *end,
            offset: *offset,
            file: Rc::clone(&file),
        };
        self.constants.borrow_mut().extend(segments.iter().map(constant));
    }

    fn read_constant(&self, addr: u64, buffer: &mut [u8]) -> bool {
        let constants = self.constants.borrow();
        let end = addr.saturating_add(buffer.len() as u64);
        constants
            .iter()
            .find(|c| c.start <= addr && end <= c.end)
            .is_some_and(|c| c.file.read_exact_at(buffer, c.offset.saturating_add(addr - c.start)).is_ok())
    }
}

impl Memory for Host {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        if self.read_constant(addr.0, buffer) { Ok(()) } else { (self.read)(addr, buffer) }
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn block(&self) -> u64 {
        BLOCK
    }
}
