//! The mappings of a process, as `/proc/PID/maps` or the `NT_FILE` note of a core tell them.

use crate::limits;

/// One mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// Whether the process may write there. Of a core: what the program header says.
    pub writable: bool,
    /// Whether the process may execute there.
    pub executable: bool,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// The file, as the target names it; empty for anonymous memory. ` (deleted)` is cut off.
    pub path: String,
    /// The file was deleted or replaced since it was mapped.
    pub deleted: bool,
}

impl Region {
    /// Whether `addr` lies in this mapping.
    pub fn contains(&self, addr: u64) -> bool {
        (self.start..self.end).contains(&addr)
    }

    /// Whether it is memory that an allocator can have: of no file. Programs can give it names: glibc does
    /// with its tunable `glibc.mem.decorate_maps` (2.39), CPython since 3.15 with `-X dev`.
    pub fn is_anonymous(&self) -> bool {
        self.path.is_empty() || self.path == "[heap]" || self.path.starts_with("[anon:")
    }
}

/// The region that holds `addr`, of regions in address order.
pub fn find(regions: &[Region], addr: u64) -> Option<&Region> {
    let after = regions.partition_point(|r| r.start <= addr);
    regions[..after].last().filter(|r| r.contains(addr))
}

/// A part of an address space.
pub trait Part {
    /// First address, and one past the last.
    fn span(&self) -> (u64, u64);
    /// Lets it end at `end`, which is not beyond its end.
    fn cut(&mut self, end: u64);
}

impl Part for Region {
    fn span(&self) -> (u64, u64) {
        (self.start, self.end)
    }

    fn cut(&mut self, end: u64) {
        self.end = end;
    }
}

/// Puts parts in address order, each of which ends where the next one begins at the latest; how many overlapped. All
/// that looks at memory part by part relies on it, and a file can say anything.
pub fn apart<P: Part>(parts: &mut Vec<P>) -> usize {
    let is_some = |part: &P| part.span().0 < part.span().1;
    parts.retain(is_some);
    parts.sort_by_key(P::span);
    let next = parts.iter().skip(1).map(|part| part.span().0).chain([u64::MAX]).collect::<Vec<_>>();
    let mut overlapping = 0;
    for (part, next) in parts.iter_mut().zip(next) {
        if part.span().1 > next {
            overlapping += 1;
            part.cut(next);
        }
    }
    parts.retain(is_some);
    overlapping
}

/// Bytes of all of these parts.
pub fn total<'a>(parts: impl IntoIterator<Item = &'a (u64, u64)>) -> u64 {
    parts.into_iter().fold(0, |sum, (start, end)| sum.saturating_add(end.saturating_sub(*start)))
}

/// Parses `/proc/PID/maps`. Lines that do not parse are left out: a line is a kernel's word, and a
/// missing one costs only what lies there.
pub fn parse_proc_maps(text: &str) -> Vec<Region> {
    let mut regions = text.lines().filter_map(parse_line).take(limits::REGIONS).collect();
    apart(&mut regions);
    regions
}

fn parse_line(line: &str) -> Option<Region> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let permissions = words.next()?.as_bytes();
    let offset = words.next()?;
    let (_device, _inode) = (words.next()?, words.next()?);
    let name = words.next().unwrap_or("").trim_start();
    let (path, deleted) = match name.strip_suffix(" (deleted)") {
        Some(path) => (path, true),
        None => (name, false),
    };
    Some(Region {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        writable: permissions.get(1) == Some(&b'w'),
        executable: permissions.get(2) == Some(&b'x'),
        offset: u64::from_str_radix(offset, 16).ok()?,
        path: path.to_owned(),
        deleted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_spaces_and_deleted() {
        let text = "7f00-7f10 rw-p 00001000 08:01 42    /a b/lib c.so (deleted)\n\
                    7f10-7f20 r-xp 00000000 00:00 0 \nnot a line\n";
        let regions = parse_proc_maps(text);
        assert_eq!(regions.len(), 2);
        assert_eq!(regions[0].path, "/a b/lib c.so");
        assert!(regions[0].deleted && regions[0].writable && !regions[0].executable);
        assert_eq!(regions[0].offset, 0x1000);
        assert_eq!(regions[1].path, "");
        assert_eq!(find(&regions, 0x7f0f).map(|r| r.start), Some(0x7f00));
        assert!(find(&regions, 0x7f20).is_none());
    }

    #[test]
    fn regions_that_overlap() {
        let region = |(start, end): (u64, u64)| Region {
            start,
            end,
            writable: true,
            executable: false,
            offset: 0,
            path: String::new(),
            deleted: false,
        };
        // Twice the same, one that begins in another one, one that claims everything, an empty one, one that ends
        // before it begins.
        let places =
            [(0x50, 0x60), (0x10, 0x20), (0x10, 0x20), (0x18, 0x30), (0x40, u64::MAX), (0x70, 0x70), (0x90, 8)];
        let mut regions = places.map(region).to_vec();
        assert_eq!(apart(&mut regions), 3);
        let left: Vec<_> = regions.iter().map(|region| (region.start, region.end)).collect();
        assert_eq!(left, [(0x10, 0x18), (0x18, 0x30), (0x40, 0x50), (0x50, 0x60)]);
        assert_eq!(apart(&mut regions), 0);
    }
}
