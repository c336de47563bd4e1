//! A local live process, read with `process_vm_readv`.
//!
//! The debugger has stopped the process; this module only reads. Permission is that of ptrace,
//! which the debugger has already got.

use super::maps::{self, Region};
use super::{Bulk, Memory, Source};
use crate::bytes::Addr;
use crate::error::{Error, FaultCause, Result};
use crate::limits;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A live process on this machine.
pub struct Live {
    process: Process,
    regions: Vec<Region>,
}

impl Live {
    /// Opens the process `pid`: reads its mappings.
    ///
    /// # Errors
    /// [`Error::File`] if `/proc/PID/maps` cannot be read.
    pub fn open(pid: i32) -> Result<Live> {
        Ok(Live { process: Process { pid }, regions: mapped(pid)? })
    }
}

fn mapped(pid: i32) -> Result<Vec<Region>> {
    let path = format!("/proc/{pid}/maps");
    let text = std::fs::read(&path).map_err(|e| Error::File { path, why: e.to_string() })?;
    Ok(maps::parse_proc_maps(&String::from_utf8_lossy(&text)))
}

impl Memory for Live {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        let done = self.process.read_some(addr.0, buffer);
        if done == buffer.len() {
            return Ok(());
        }
        let cause = match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EPERM) => FaultCause::Refused,
            _ => FaultCause::Unmapped,
        };
        Err(Error::Fault { addr: addr + done as u64, cause })
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn mapped_now(&self) -> Option<Vec<Region>> {
        mapped(self.process.pid).ok()
    }

    fn bulk(&self) -> Option<Arc<dyn Bulk>> {
        Some(Arc::new(self.process))
    }

    /// Of `/proc/PID/pagemap`. To read a page that was never touched would map the shared zero page
    /// into the process.
    fn populated(&self, region: &Region) -> Vec<(u64, u64)> {
        let whole = vec![(region.start, region.end)];
        let bytes = region.end.saturating_sub(region.start);
        let pages = bytes / PAGE;
        if bytes > limits::MAPPING {
            return whole;
        }
        let Ok(pagemap) = std::fs::File::open(format!("/proc/{}/pagemap", self.process.pid)) else { return whole };
        let mut entries = vec![0u8; pages as usize * 8];
        if pagemap.read_exact_at(&mut entries, region.start / PAGE * 8).is_err() {
            return whole;
        }
        let mut parts: Vec<(u64, u64)> = Vec::new();
        for (i, entry) in entries.chunks_exact(8).enumerate() {
            // Bits 63 and 62: present, swapped (Documentation/admin-guide/mm/pagemap.rst).
            if entry[7] & 0xc0 == 0 {
                continue;
            }
            let at = region.start + i as u64 * PAGE;
            match parts.last_mut() {
                Some(last) if last.1 == at => last.1 += PAGE,
                _ => parts.push((at, at + PAGE)),
            }
        }
        parts
    }
}

const PAGE: u64 = 4096;

/// Places that one call of `process_vm_readv` can name (`UIO_MAXIOV`).
const PLACES: usize = 1024;

/// A process as any thread of ours can read it.
#[derive(Clone, Copy)]
struct Process {
    pid: i32,
}

impl Source for Process {
    fn read_some(&self, addr: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let rest = &mut buffer[done..];
            let local = libc::iovec { iov_base: rest.as_mut_ptr().cast(), iov_len: rest.len() };
            let remote =
                libc::iovec { iov_base: (addr.wrapping_add(done as u64)) as *mut libc::c_void, iov_len: rest.len() };
            // SAFETY: `local` describes `rest`, which is valid for writes and outlives the call;
            // `remote` is never dereferenced in this process.
            let n = unsafe { libc::process_vm_readv(self.pid, &raw const local, 1, &raw const remote, 1, 0) };
            if n <= 0 {
                break;
            }
            done += n.unsigned_abs();
        }
        done
    }

    fn gather(&self, addresses: &[u64], size: usize, out: &mut [u8]) {
        let mut rest = addresses;
        let mut out = &mut out[..addresses.len() * size];
        while !rest.is_empty() {
            let count = rest.len().min(PLACES);
            let place = |addr: &u64| libc::iovec { iov_base: *addr as *mut libc::c_void, iov_len: size };
            let remote: Vec<_> = rest[..count].iter().map(place).collect();
            let local = libc::iovec { iov_base: out.as_mut_ptr().cast(), iov_len: count * size };
            // SAFETY: `local` describes the first `count * size` bytes of `out`, which has that many
            // left for each address in `rest`; `remote` is never dereferenced in this process.
            let n = unsafe {
                libc::process_vm_readv(self.pid, &raw const local, 1, remote.as_ptr(), count as libc::c_ulong, 0)
            };
            // It stops at the first place that cannot be read, which is then skipped.
            let mut done = usize::try_from(n).unwrap_or(0) / size;
            if done < count {
                out[done * size..(done + 1) * size].fill(0);
                done += 1;
            }
            rest = &rest[done..];
            out = &mut out[done * size..];
        }
    }
}
