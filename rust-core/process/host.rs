//! A target that only the debugger can read: gdbserver, rr, QEMU.
//!
//! The closure that does the reading is built in `abi.rs` from the host's callback; this module is
//! plain safe code around it.

use super::Memory;
use super::maps::Region;
use crate::bytes::Addr;
use crate::error::Result;
use std::rc::Rc;

/// Reads `buffer` from `addr`, on the calling thread.
pub type ReadFn = Rc<dyn Fn(Addr, &mut [u8]) -> Result<()>>;

/// A target behind the host's own read function.
pub struct Host {
    read: ReadFn,
    regions: Vec<Region>,
}

impl Host {
    /// `regions` is what the host knows of the mappings; it may be empty.
    pub fn new(read: ReadFn, regions: Vec<Region>) -> Host {
        Host { read, regions }
    }
}

impl Memory for Host {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        (self.read)(addr, buffer)
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }
}
