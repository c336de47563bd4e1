//! A copy of what a live process holds, so that it can run on while its heap is looked at.
//!
//! Copied are the pages that the process has touched, of its anonymous memory and of the files that have code;
//! not data files and shared memory, where no object of Python's can be. Invariant: the process stands still from
//! the first byte to the last.

use super::maps::{self, Region};
use super::{Bulk, Cache, Memory, Source, workers};
use crate::bytes::Addr;
use crate::error::{Error, FaultCause, Result};
use memmap2::MmapMut;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

const PAGE: u64 = 4096;

/// Bytes that one thread copies between two looks at whether to go on: some milliseconds.
const PIECE: usize = 16 << 20;

/// Bytes that are left to the machine: a copy that needs more than the rest is refused.
const RESERVE: u64 = 64 << 20;

/// A copy of a process.
pub struct Copied {
    regions: Vec<Region>,
    bytes: Arc<Bytes>,
}

/// What was copied.
struct Bytes {
    /// First address, end, and where the bytes are in `map`; in address order.
    parts: Vec<(u64, u64, usize)>,
    /// Pages of anonymous memory that were never touched, first address and end: zeros.
    zeros: Vec<(u64, u64)>,
    map: MmapMut,
}

impl Copied {
    /// Copies what the process behind `memory` holds.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::User`] if the copy needs more memory than this machine has free;
    /// [`Error::Fault`] if nothing can be read, or only the debugger can read.
    pub fn take(memory: &Cache) -> Result<Copied> {
        let regions = memory.regions().to_vec();
        let source = memory.bulk().ok_or(Error::Fault { addr: Addr(0), cause: FaultCause::Refused })?;
        let (wanted, zeros) = wanted(&regions, memory);
        let total = maps::total(&wanted);
        let needs = mebibytes(total);
        for (free, whose) in [(available(), "this machine"), (left_of_own_groups(), "GDB's control group")] {
            if let Some(free) = free.filter(|free| total > free.saturating_sub(RESERVE)) {
                let has = mebibytes(free);
                let what = format!("The copy needs {needs} MiB of memory, and {whose} has {has} MiB free.");
                return Err(Error::User(what));
            }
        }
        let out_of_memory = |_| Error::User(format!("The copy needs {needs} MiB of memory."));
        let mut map = MmapMut::map_anon(usize::try_from(total).unwrap_or(usize::MAX).max(1)).map_err(out_of_memory)?;
        // No huge pages: where memory is in pieces the kernel first puts it together, while the process stands still.
        let gaps = copy(&*source, &wanted, &mut map, &|| memory.poll())?;
        let parts = without(&wanted, gaps);
        if parts.is_empty() {
            return Err(Error::Fault { addr: Addr(0), cause: FaultCause::Refused });
        }
        Ok(Copied { regions, bytes: Arc::new(Bytes { parts, zeros, map }) })
    }

    /// Bytes that were copied.
    pub fn size(&self) -> u64 {
        self.bytes.parts.iter().map(|(start, end, _)| end - start).sum()
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Bytes of memory that can be had without swapping, as the kernel estimates it.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes that the control groups of this process leave it.
fn left_of_own_groups() -> Option<u64> {
    left_of_groups(&std::fs::read_to_string("/proc/self/cgroup").ok()?, Path::new("/sys/fs/cgroup"))
}

/// Where a control group says how much memory its processes may have, how much they have, and how much of that is
/// files' that can be had back: of the unified hierarchy, and of the one for memory before it (cgroups(7)).
/// Beyond `memory.high` it does not fail, but waits.
const GROUP: [&str; 6] = ["", "memory.max", "memory.high", "memory.current", "inactive_file", "active_file"];
const GROUP1: [&str; 6] = [
    "memory",
    "memory.limit_in_bytes",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
    "total_active_file",
];

/// The least that the control groups in which this process is (`/proc/self/cgroup`), and those above them, leave. Where
/// the group's own folder is not mounted, as in containers, the root is its own.
fn left_of_groups(groups: &str, mounted: &Path) -> Option<u64> {
    let of_line = |line: &str| {
        let mut words = line.splitn(3, ':').skip(1);
        let (controllers, path) = (words.next()?, words.next()?);
        let names = [GROUP, GROUP1].into_iter().find(|names| controllers.split(',').any(|one| one == names[0]))?;
        let root = mounted.join(names[0]);
        let own = root.join(path.trim_start_matches('/'));
        own.ancestors().take_while(|folder| folder.starts_with(&root)).filter_map(|one| left_of(one, names)).min()
    };
    groups.lines().filter_map(of_line).min()
}

fn left_of(folder: &Path, [_, most, high, used, inactive, active]: [&str; 6]) -> Option<u64> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
    let (most, used) = (number(most).into_iter().chain(number(high)).min()?, number(used)?);
    let statistics = text("memory.stat").unwrap_or_default();
    let of_files = |line: &str| {
        let (name, bytes) = line.split_once(' ')?;
        bytes.parse::<u64>().ok().filter(|_| name == inactive || name == active)
    };
    let files = statistics.lines().filter_map(of_files).fold(0, u64::saturating_add);
    Some(most.saturating_sub(used.saturating_sub(files)))
}

type Ranges = Vec<(u64, u64)>;

/// What to copy, and what is anonymous and was never touched; both in address order.
fn wanted(regions: &[Region], memory: &Cache) -> (Ranges, Ranges) {
    let programs: HashSet<&str> = regions.iter().filter(|r| r.executable).map(|r| r.path.as_str()).collect();
    let (mut wanted, mut zeros) = (Vec::new(), Vec::new());
    for region in regions {
        if region.path.starts_with('/') {
            // What of a program's file was never touched is in the file, not zero.
            if programs.contains(region.path.as_str()) && !region.path.starts_with("/dev/") {
                wanted.push((region.start, region.end));
            }
        } else if region.writable {
            let mut at = region.start;
            for (start, end) in memory.populated_of(region) {
                if at < start {
                    zeros.push((at, start));
                }
                wanted.push((start, end));
                at = end;
            }
            if at < region.end {
                zeros.push((at, region.end));
            }
        }
    }
    (wanted, zeros)
}

/// Copies the ranges one after the other into `map`, with all processors. Returns the pages that cannot be read.
fn copy(source: &dyn Bulk, ranges: &[(u64, u64)], map: &mut [u8], poll: &dyn Fn() -> Result<()>) -> Result<Ranges> {
    let mut pieces = Vec::new();
    let mut rest = map;
    for (start, end) in ranges {
        let (mine, after) = rest.split_at_mut((end - start) as usize);
        let addresses = (*start..).step_by(PIECE);
        pieces.extend(addresses.zip(mine.chunks_mut(PIECE)).map(|(addr, part)| Mutex::new((addr, part))));
        rest = after;
    }
    let work = |share: &workers::Share<'_>| {
        let mut gaps = Vec::new();
        while let Some(piece) = share.next().and_then(|number| pieces.get(number)) {
            let Ok(mut piece) = piece.lock() else { continue };
            let (addr, part) = &mut *piece;
            gaps.extend(fill(source, *addr, part));
        }
        gaps
    };
    let result = std::cell::Cell::new(Ok(()));
    let go_on = || {
        let polled = poll();
        let goes_on = polled.is_ok();
        result.set(polled);
        goes_on
    };
    let made = workers::share(pieces.len(), &work, &go_on);
    result.into_inner()?;
    Ok(made.parts.concat())
}

/// Reads `part` from `addr`, a page's; returns the pages that cannot be read.
fn fill(source: &dyn Bulk, addr: u64, part: &mut [u8]) -> Ranges {
    let (mut done, mut missing) = (0, Vec::new());
    while done < part.len() {
        done += source.read_some(addr + done as u64, &mut part[done..]);
        if done < part.len() {
            let at = (addr + done as u64) / PAGE * PAGE;
            missing.push((at, at + PAGE));
            done = (at + PAGE - addr) as usize;
        }
    }
    missing
}

/// The ranges without the gaps, each with its place in a map that holds the ranges one after the other.
fn without(ranges: &[(u64, u64)], mut gaps: Ranges) -> Vec<(u64, u64, usize)> {
    gaps.sort_unstable();
    let mut parts = Vec::new();
    let mut offset = 0;
    for (start, end) in ranges {
        let mut at = *start;
        let first = gaps.partition_point(|(_, gap_end)| gap_end <= start);
        for (gap, gap_end) in gaps[first..].iter().take_while(|(gap, _)| gap < end) {
            if at < *gap {
                parts.push((at, *gap, offset + (at - start) as usize));
            }
            at = *gap_end;
        }
        if at < *end {
            parts.push((at, *end, offset + (at - start) as usize));
        }
        offset += (end - start) as usize;
    }
    parts
}

impl Bytes {
    /// As much as there is at `addr` in one piece: a part of the copy, or so many zeros.
    fn at(&self, addr: u64) -> Option<(&[u8], u64)> {
        let after = self.parts.partition_point(|(start, _, _)| *start <= addr);
        if let Some((start, end, offset)) = self.parts[..after].last().filter(|(_, end, _)| addr < *end) {
            let part = self.map.get(offset + (addr - start) as usize..offset + (end - start) as usize)?;
            return Some((part, 0));
        }
        let after = self.zeros.partition_point(|(start, _)| *start <= addr);
        self.zeros[..after].last().filter(|(_, end)| addr < *end).map(|(_, end)| (&[][..], end - addr))
    }
}

impl Source for Bytes {
    fn read_some(&self, addr: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let Some((part, zeros)) = addr.checked_add(done as u64).and_then(|at| self.at(at)) else { break };
            let rest = &mut buffer[done..];
            let n = part.len().max(usize::try_from(zeros).unwrap_or(usize::MAX)).min(rest.len());
            match part.get(..n) {
                Some(part) => rest[..n].copy_from_slice(part),
                None => rest[..n].fill(0),
            }
            done += n;
        }
        done
    }
}

impl Memory for Copied {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        let done = self.bytes.read_some(addr.0, buffer);
        if done == buffer.len() {
            return Ok(());
        }
        let at = addr + done as u64;
        let mapped = maps::find(&self.regions, at.0).is_some();
        Err(Error::Fault { addr: at, cause: if mapped { FaultCause::NotCopied } else { FaultCause::Unmapped } })
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn bulk(&self) -> Option<Arc<dyn Bulk>> {
        Some(Arc::clone(&self.bytes) as Arc<dyn Bulk>)
    }

    fn populated(&self, region: &Region) -> Vec<(u64, u64)> {
        let first = self.bytes.parts.partition_point(|(_, end, _)| *end <= region.start);
        let inside = self.bytes.parts[first..].iter().take_while(|(start, _, _)| *start < region.end);
        inside.map(|(start, end, _)| (*start.max(&region.start), *end.min(&region.end))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(parts: &[(u64, u64)], gaps: Ranges, zeros: Ranges) -> Bytes {
        let mut map = MmapMut::map_anon(0x10000).unwrap();
        for (i, byte) in map.iter_mut().enumerate() {
            *byte = (i / 0x1000) as u8 + 1;
        }
        Bytes { parts: without(parts, gaps), zeros, map }
    }

    #[test]
    fn groups_leave_less_than_the_machine() {
        let mounted = std::env::temp_dir().join(format!("pyext-groups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = mounted.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/memory.max", "1000\n");
        write("a/memory.current", "900\n");
        write("a/memory.stat", "anon 600\nfile 300\ninactive_file 200\nactive_file 50\n");
        write("a/b/memory.max", "max\n");
        write("a/b/memory.current", "100\n");
        write("d/memory.max", "1000\n");
        write("d/memory.high", "800\n");
        write("d/memory.current", "100\n");
        write("memory/c/memory.limit_in_bytes", "500\n");
        write("memory/c/memory.usage_in_bytes", "100\n");
        let left = |groups| left_of_groups(groups, &mounted);
        let groups = ["0::/a/b\n", "0::/\n", "5:cpu:/c\n4:memory,pids:/c\n0::/x\n", "", "0::/d"];
        let found = groups.map(left);
        std::fs::remove_dir_all(&mounted).unwrap();
        assert_eq!(found, [Some(350), None, Some(400), None, Some(700)]);
    }

    #[test]
    fn reads_go_on_from_part_to_part() {
        let bytes = copied(&[(0x1000, 0x3000), (0x3000, 0x4000), (0x8000, 0x9000)], vec![], vec![(0x4000, 0x6000)]);
        let mut buffer = [0xff; 0x5000];
        assert_eq!(bytes.read_some(0x1800, &mut buffer), 0x4800);
        assert_eq!((buffer[0], buffer[0x800], buffer[0x1800], buffer[0x2800]), (1, 2, 3, 0));
        assert_eq!((buffer[0x47ff], buffer[0x4800]), (0, 0xff));
        assert_eq!(bytes.read_some(0x8fff, &mut buffer[..2]), 1);
        assert_eq!(buffer[0], 4);
        assert_eq!(bytes.read_some(0xfff, &mut buffer[..2]), 0);
        assert_eq!(bytes.read_some(u64::MAX, &mut buffer[..2]), 0);
    }

    #[test]
    fn pages_that_cannot_be_read_are_no_part() {
        let gaps = vec![(0x3000, 0x4000), (0x1000, 0x2000), (0x8000, 0x9000)];
        let bytes = copied(&[(0x1000, 0x5000), (0x8000, 0x9000), (0xa000, 0xb000)], gaps, vec![]);
        assert_eq!(bytes.parts, [(0x2000, 0x3000, 0x1000), (0x4000, 0x5000, 0x3000), (0xa000, 0xb000, 0x5000)]);
    }

    #[test]
    fn what_cannot_be_read_is_skipped_by_the_page() {
        struct Holes;
        impl Source for Holes {
            fn read_some(&self, addr: u64, buffer: &mut [u8]) -> usize {
                let left = if addr < 0x2000 { 0x2000 - addr } else { 0x10000u64.saturating_sub(addr.max(0x2001)) };
                let n = if (0x2000..0x3000).contains(&addr) { 0 } else { (left as usize).min(buffer.len()) };
                buffer[..n].fill(7);
                n
            }
        }
        let mut part = [0; 0x3000];
        assert_eq!(fill(&Holes, 0x1000, &mut part), [(0x2000, 0x3000)]);
        assert_eq!((part[0xfff], part[0x1000], part[0x2000]), (7, 0, 7));
    }
}
