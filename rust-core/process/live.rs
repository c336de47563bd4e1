//! A local live process, read with `process_vm_readv`.
//!
//! The debugger has stopped the process; this module only reads. Permission is that of ptrace,
//! which the debugger has already got.

use super::Memory;
use super::maps::{self, Region};
use crate::bytes::Addr;
use crate::error::{Error, FaultCause, Result};

/// A live process on this machine.
pub struct Live {
    pid: i32,
    regions: Vec<Region>,
}

impl Live {
    /// Opens the process `pid`: reads its mappings.
    ///
    /// # Errors
    /// [`Error::File`] if `/proc/PID/maps` cannot be read.
    pub fn open(pid: i32) -> Result<Live> {
        let path = format!("/proc/{pid}/maps");
        let text = std::fs::read(&path).map_err(|e| Error::File { path, why: e.to_string() })?;
        Ok(Live { pid, regions: maps::parse_proc_maps(&String::from_utf8_lossy(&text)) })
    }
}

impl Memory for Live {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let rest = &mut buffer[done..];
            let local = libc::iovec { iov_base: rest.as_mut_ptr().cast(), iov_len: rest.len() };
            let remote =
                libc::iovec { iov_base: (addr.0.wrapping_add(done as u64)) as *mut libc::c_void, iov_len: rest.len() };
            // SAFETY: `local` describes `rest`, which is valid for writes and outlives the call;
            // `remote` is never dereferenced in this process.
            let n = unsafe { libc::process_vm_readv(self.pid, &raw const local, 1, &raw const remote, 1, 0) };
            let cause = match n {
                n if n > 0 => {
                    done += n.unsigned_abs();
                    continue;
                }
                _ if std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM) => FaultCause::Refused,
                _ => FaultCause::Unmapped,
            };
            return Err(Error::Fault { addr: addr + done as u64, cause });
        }
        Ok(())
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }
}
