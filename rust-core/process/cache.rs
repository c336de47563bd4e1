//! A bounded cache of pages over a [`Memory`], with counters.
//!
//! Invariant: between two invalidations the target stands still, so a page is read once.

use super::progress::{Counted, Progress};
use super::{Bulk, Memory, Region, Source};
use crate::bytes::{Addr, sign_extend};
use crate::error::{Error, Result};
use crate::limits;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

const PAGE: u64 = 4096;

/// How much was read from the target.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Counters {
    /// Reads that reached the target.
    pub reads: u64,
    /// Bytes that those reads brought.
    pub bytes: u64,
    /// Reads that the target refused.
    pub faults: u64,
    /// Questions that the cache answered.
    pub hits: u64,
}

/// Says whether to go on with long work, of which so many objects and bytes are done.
pub type PollFn = Rc<dyn Fn(u64, u64) -> bool>;

/// Reads between two calls of the poll function.
const POLL_EVERY: u64 = 64;
/// Questions that the cache answers between two calls of the poll function: long work need not read
/// anything new.
const POLL_EVERY_HITS: u64 = 1 << 14;

/// Bytes that [`super::chain::Chain`] reads at a time where that costs a system call.
const AHEAD: u64 = 64 << 10;

/// Bytes that a single question of a scan asks for: where a read is a round trip, the pages around are kept.
const FEW: usize = 64;

/// Bytes between two places that are read together where a read is a round trip: gdbserver on the same machine
/// brings 1 MB in a second, and answers 8,000 small questions.
const CLOSE: u64 = 256;

/// Bytes that are reserved before the target was seen to have any.
const FIRST: usize = 1 << 20;

type Page = Rc<[u8; PAGE as usize]>;

/// Pages of the target, read once each.
pub struct Cache {
    memory: Box<dyn Memory>,
    pages: RefCell<HashMap<u64, std::result::Result<Page, Error>>>,
    last: RefCell<Option<(u64, Page)>>,
    counters: Cell<Counters>,
    poll: Option<PollFn>,
    interrupted: Cell<bool>,
    progress: Arc<Progress>,
    mapped: RefCell<Mapped>,
}

/// What is mapped.
enum Mapped {
    /// What was when the memory was opened.
    AsOpened,
    /// The target has run since.
    Unknown,
    /// This.
    Now(Rc<[Region]>),
}

/// What is mapped, in address order.
pub enum Regions<'a> {
    /// As long as the memory is open.
    Fixed(&'a [Region]),
    /// Until the target runs.
    Now(Rc<[Region]>),
}

impl Deref for Regions<'_> {
    type Target = [Region];
    fn deref(&self) -> &[Region] {
        match self {
            Regions::Fixed(regions) => regions,
            Regions::Now(regions) => regions,
        }
    }
}

impl Cache {
    /// An empty cache over `memory`, which asks `poll` now and then whether to go on.
    pub fn new(memory: Box<dyn Memory>, poll: Option<PollFn>) -> Cache {
        Cache {
            memory,
            pages: RefCell::default(),
            last: RefCell::new(None),
            counters: Cell::default(),
            poll,
            interrupted: Cell::new(false),
            progress: Arc::default(),
            mapped: RefCell::new(Mapped::AsOpened),
        }
    }

    /// Forgets all pages, and what is mapped: the target has run.
    pub fn clear(&self) {
        *self.mapped.borrow_mut() = Mapped::Unknown;
        self.pages.borrow_mut().clear();
        *self.last.borrow_mut() = None;
    }

    /// What was read so far.
    pub fn counters(&self) -> Counters {
        self.counters.get()
    }

    /// What is mapped.
    pub fn regions(&self) -> Regions<'_> {
        let mut mapped = self.mapped.borrow_mut();
        if matches!(*mapped, Mapped::Unknown) {
            *mapped = self.memory.mapped_now().map_or(Mapped::AsOpened, |regions| Mapped::Now(regions.into()));
        }
        match &*mapped {
            Mapped::Now(regions) => Regions::Now(Rc::clone(regions)),
            _ => Regions::Fixed(self.memory.regions()),
        }
    }

    /// The target's memory for several threads at a time, where that is possible.
    pub fn bulk(&self) -> Option<Arc<dyn Bulk>> {
        let counted = |source| Arc::new(Counted { source, progress: Arc::clone(&self.progress) }) as Arc<dyn Bulk>;
        self.memory.bulk().map(counted)
    }

    /// What is done of the work on the current answer.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The parts of what is mapped and writable that can hold anything, in address order.
    pub fn populated(&self) -> Vec<(u64, u64)> {
        // Reading a device can do anything.
        let wanted = |r: &&Region| r.writable && (!r.path.starts_with("/dev/") || r.path.starts_with("/dev/shm/"));
        self.regions().iter().filter(wanted).flat_map(|region| self.memory.populated(region)).collect()
    }

    /// The parts of `region` that can hold anything, in address order.
    pub fn populated_of(&self, region: &Region) -> Vec<(u64, u64)> {
        self.memory.populated(region)
    }

    /// Whether each read is a round trip to another program, or another machine.
    pub fn is_slow(&self) -> bool {
        self.memory.block() > PAGE
    }

    /// Bytes that are mapped from `addr` on without a gap; all that there can be where it is not known.
    fn mapped_from(&self, addr: u64) -> u64 {
        if !self.is_slow() {
            return u64::MAX;
        }
        let regions = self.regions();
        let first = regions.partition_point(|region| region.end <= addr);
        let mut end = addr;
        for region in regions.get(first..).unwrap_or(&[]) {
            if region.start > end {
                break;
            }
            end = region.end;
        }
        // A host that tells nothing, or the files only.
        if regions.iter().any(|region| region.writable) { end - addr } else { u64::MAX }
    }

    /// Bytes that are best read at a time by what follows pointers: many where reading is a system call,
    /// and what one round trip brings where it is one.
    pub(super) fn ahead(&self) -> u64 {
        if self.memory.bulk().is_some() { AHEAD } else { self.memory.block().max(PAGE) }
    }

    /// Asks the user's opinion of long work that reads without this cache.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn poll(&self) -> Result<()> {
        self.go_on()
    }

    /// Whether the user interrupted since this was last asked. From then on every read fails.
    pub fn take_interrupt(&self) -> bool {
        self.interrupted.replace(false)
    }

    fn count(&self, f: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        f(&mut counters);
        self.counters.set(counters);
    }

    /// Reads past the cache: for bulk scans that would only push everything else out of it.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub fn read_uncached(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        if self.interrupted.get() {
            return Err(Error::Interrupted);
        }
        if self.counters.get().reads.is_multiple_of(POLL_EVERY) {
            self.go_on()?;
        }
        let result = self.memory.read(addr, buffer);
        self.progress.add_bytes(buffer.len());
        self.count(|c| {
            c.reads += 1;
            match result {
                Ok(()) => c.bytes += buffer.len() as u64,
                Err(_) => c.faults += 1,
            }
        });
        result
    }

    /// Counts an answer of the cache, and lets the user interrupt.
    fn hit(&self) -> Result<()> {
        self.count(|c| c.hits += 1);
        if self.counters.get().hits.is_multiple_of(POLL_EVERY_HITS) { self.go_on() } else { Ok(()) }
    }

    /// Whether the user wants to go on.
    fn go_on(&self) -> Result<()> {
        let (objects, bytes) = self.progress.so_far();
        match &self.poll {
            _ if self.interrupted.get() => Err(Error::Interrupted),
            Some(poll) if !poll(objects, bytes) => {
                self.interrupted.set(true);
                Err(Error::Interrupted)
            }
            _ => Ok(()),
        }
    }

    fn page(&self, number: u64) -> Result<Page> {
        if self.interrupted.get() {
            return Err(Error::Interrupted);
        }
        if let Some((last, page)) = &*self.last.borrow()
            && *last == number
        {
            self.hit()?;
            return Ok(Rc::clone(page));
        }
        let known = self.pages.borrow().get(&number).cloned();
        let page = if let Some(known) = known {
            self.hit()?;
            known
        } else {
            self.fetch(number)
        }?;
        *self.last.borrow_mut() = Some((number, Rc::clone(&page)));
        Ok(page)
    }

    /// Reads page `number`, and with it those of its block; remembers them.
    fn fetch(&self, number: u64) -> Result<Page> {
        let mut bytes = [0u8; PAGE as usize];
        let count = self.memory.block() / PAGE;
        let first = number - number % count.max(1);
        let mut block = vec![0u8; (count * PAGE) as usize];
        if count > 1 && self.read_uncached(Addr(first * PAGE), &mut block).is_ok() {
            for (page, chunk) in (first..).zip(block.chunks_exact(PAGE as usize)) {
                bytes.copy_from_slice(chunk);
                self.remember(page, Ok(Rc::new(bytes)));
            }
            bytes.copy_from_slice(&block[((number - first) * PAGE) as usize..][..PAGE as usize]);
            return Ok(Rc::new(bytes));
        }
        let read = self.read_uncached(Addr(number * PAGE), &mut bytes).map(|()| Rc::new(bytes));
        self.remember(number, read.clone());
        read
    }

    fn remember(&self, number: u64, page: std::result::Result<Page, Error>) {
        let mut pages = self.pages.borrow_mut();
        if pages.len() >= limits::CACHE_PAGES {
            pages.clear();
        }
        if !self.interrupted.get() {
            pages.insert(number, page);
        }
    }

    /// Fills `buffer` from `addr`.
    ///
    /// # Errors
    /// [`Error::Fault`] if not every byte can be had.
    pub fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        let mut done = 0usize;
        while done < buffer.len() {
            let at = addr + done as u64;
            let skip = (at.0 % PAGE) as usize;
            let n = (buffer.len() - done).min(PAGE as usize - skip);
            let part = &mut buffer[done..done + n];
            match self.page(at.0 / PAGE) {
                Ok(page) => part.copy_from_slice(&page[skip..skip + n]),
                // A page can be half there: the end of a segment of a core is not page-aligned in
                // every writer's cores.
                Err(_) => self.read_uncached(at, part)?,
            }
            done += n;
        }
        Ok(())
    }

    /// `len` bytes from `addr`. A `len` that the target does not have costs no more memory than what
    /// it has.
    ///
    /// # Errors
    /// [`Error::Fault`]; [`Error::Corrupt`] if `len` is beyond [`limits::READ`], or memory for it cannot
    /// be had here.
    pub fn bytes(&self, addr: Addr, len: usize) -> Result<Vec<u8>> {
        let corrupt = || Error::Corrupt { what: "a size", addr };
        if len > limits::READ {
            return Err(corrupt());
        }
        let mut buffer = Vec::new();
        while buffer.len() < len {
            let (done, more) = (buffer.len(), (len - buffer.len()).min(FIRST.max(buffer.len())));
            buffer.try_reserve_exact(more).map_err(|_| corrupt())?;
            buffer.resize(done + more, 0);
            let part = &mut buffer[done..];
            if len as u64 > 16 * PAGE {
                self.read_uncached(addr + done as u64, part)?;
            } else {
                self.read(addr + done as u64, part)?;
            }
        }
        Ok(buffer)
    }

    /// The unsigned integer of `width` bytes (at most 8) at `addr`.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn uint(&self, addr: Addr, width: usize) -> Result<u64> {
        let mut word = [0u8; 8];
        self.read(addr, &mut word[..width.clamp(1, 8)])?;
        Ok(u64::from_le_bytes(word))
    }

    /// The signed integer of `width` bytes (at most 8) at `addr`.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn int(&self, addr: Addr, width: usize) -> Result<i64> {
        Ok(sign_extend(self.uint(addr, width)?, width.clamp(1, 8) as u8))
    }

    /// The pointer at `addr`.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn pointer(&self, addr: Addr) -> Result<Addr> {
        Ok(Addr(self.uint(addr, 8)?))
    }

    /// The NUL-terminated string at `addr`, at most [`limits::C_STRING`] bytes of it.
    ///
    /// # Errors
    /// [`Error::Fault`]; [`Error::Corrupt`] without a NUL within the cap.
    pub fn c_string(&self, addr: Addr) -> Result<String> {
        let mut text = Vec::new();
        while text.len() < limits::C_STRING {
            let at = addr + text.len() as u64;
            let n = (PAGE - at.0 % PAGE).min(64) as usize;
            let mut part = [0u8; 64];
            self.read(at, &mut part[..n])?;
            if let Some(end) = part[..n].iter().position(|b| *b == 0) {
                text.extend_from_slice(&part[..end]);
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            text.extend_from_slice(&part[..n]);
        }
        Err(Error::Corrupt { what: "a C string", addr })
    }
}

/// For scans on the calling thread: no page of them is kept, but of single words where each read is a round trip.
impl Source for Cache {
    fn read_some(&self, addr: u64, buffer: &mut [u8]) -> usize {
        let length = (buffer.len() as u64).min(self.mapped_from(addr)) as usize;
        if self.is_slow() && length <= FEW && self.read(Addr(addr), &mut buffer[..length]).is_ok() {
            return length;
        }
        // Up to the first page that cannot be had.
        let (mut done, mut most) = (0, length);
        while done < length {
            let at = addr.wrapping_add(done as u64);
            let page = (PAGE - at % PAGE) as usize;
            let n = (length - done).min(most.max(page));
            if self.read_uncached(Addr(at), &mut buffer[done..done + n]).is_ok() {
                (done, most) = (done + n, most * 2);
            } else if n <= page {
                break;
            } else {
                most = n / 2 / PAGE as usize * PAGE as usize;
            }
        }
        done
    }

    fn gather(&self, addresses: &[u64], size: usize, out: &mut [u8]) {
        let mut near: (u64, Vec<u8>) = (0, Vec::new());
        for (i, (addr, part)) in addresses.iter().zip(out.chunks_exact_mut(size)).enumerate() {
            let inside = |near: &(u64, Vec<u8>)| {
                let at = usize::try_from(addr.checked_sub(near.0)?).ok()?;
                near.1.get(at..at.checked_add(size)?).map(|bytes| bytes.to_vec())
            };
            let next = addresses.get(i + 1).filter(|next| **next > *addr && **next - *addr < CLOSE);
            if self.is_slow() && next.is_some() && inside(&near).is_none() {
                near.0 = *addr;
                near.1.resize(self.memory.block() as usize, 0);
                let have = self.read_some(*addr, &mut near.1);
                near.1.truncate(have);
            }
            let have = match inside(&near) {
                Some(bytes) => {
                    part.copy_from_slice(&bytes);
                    size
                }
                None if self.is_slow() => {
                    if self.read_uncached(Addr(*addr), part).is_ok() {
                        size
                    } else {
                        self.read_some(*addr, part)
                    }
                }
                None => self.read_some(*addr, part),
            };
            part[have..].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn reads_across_pages_and_half_pages() {
        let mut fake = Fake::default();
        fake.add(0x1000, (0..=255).cycle().take(5000).collect());
        let cache = Cache::new(Box::new(fake), None);
        assert_eq!(cache.uint(Addr(0x1ffc), 8).unwrap(), 0x0302_0100_fffe_fdfc);
        // The second page ends after 904 bytes.
        assert_eq!(cache.uint(Addr(0x1000 + 4992), 8).unwrap(), 0x8786_8584_8382_8180);
        assert!(cache.uint(Addr(0x1000 + 4993), 8).is_err());
        assert_eq!(cache.int(Addr(0x10ff), 1).unwrap(), -1);
    }

    #[test]
    fn a_string_without_end_is_an_error() {
        let mut fake = Fake::default();
        fake.add(0x1000, vec![b'a'; 4096]);
        let cache = Cache::new(Box::new(fake), None);
        assert!(matches!(cache.c_string(Addr(0x1000)), Err(Error::Corrupt { .. })));
    }
}
