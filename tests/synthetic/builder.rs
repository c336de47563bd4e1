//! Memory of a made-up target: blocks of bytes, labels for some of them, and words that may name a
//! label before it exists. Knows nothing of Python.

use pyext::bytes::Addr;
use pyext::error::{Error, FaultCause, Result};
use pyext::process::{Memory, Region};
use std::collections::HashMap;
use std::sync::Arc;

const PAGE: u64 = 4096;

/// One run of bytes that grows at its end.
#[derive(Default)]
struct Area {
    start: u64,
    bytes: Vec<u8>,
}

impl Area {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// What is being built: the writable data of an image, and a heap.
pub struct Builder {
    data: Area,
    heap: Area,
    labels: HashMap<String, u64>,
    pending: HashMap<u64, String>,
    zeros: Vec<(u64, u64)>,
    holes: Vec<(u64, u64)>,
}

impl Builder {
    /// Nothing yet; the areas begin at these page-aligned addresses.
    pub fn new(data: u64, heap: u64) -> Builder {
        let area = |start| Area { start, bytes: Vec::new() };
        Builder {
            data: area(data),
            heap: area(heap),
            labels: HashMap::new(),
            pending: HashMap::new(),
            zeros: Vec::new(),
            holes: Vec::new(),
        }
    }

    fn grow(area: &mut Area, size: u64) -> u64 {
        let at = area.end().next_multiple_of(16);
        area.bytes.resize((at + size - area.start) as usize, 0);
        at
    }

    /// A labelled block of zeros in the image.
    pub fn data(&mut self, label: &str, size: u64) -> u64 {
        let at = Builder::grow(&mut self.data, size);
        self.label(label, at);
        at
    }

    /// A block of zeros in the heap, 16-byte aligned.
    pub fn block(&mut self, size: u64) -> u64 {
        Builder::grow(&mut self.heap, size)
    }

    /// A block whose last byte is the last of a page, with nothing mapped behind it.
    pub fn block_before_hole(&mut self, size: u64) -> u64 {
        let end = (self.heap.end() + size).next_multiple_of(PAGE);
        let at = end - size;
        self.heap.bytes.resize((end + PAGE - self.heap.start) as usize, 0);
        self.holes.push((end, end + PAGE));
        at
    }

    /// Zeros that take no room here, outside of all areas.
    pub fn zeros(&mut self, start: u64, size: u64) {
        self.zeros.push((start, start + size));
    }

    /// Names an address.
    pub fn label(&mut self, label: &str, at: u64) {
        assert!(self.labels.insert(label.to_owned(), at).is_none(), "two blocks are called {label}");
    }

    /// The address of a label.
    pub fn address(&self, label: &str) -> u64 {
        *self.labels.get(label).unwrap_or_else(|| panic!("nothing is called {label}"))
    }

    /// Writes bytes into a block.
    pub fn put(&mut self, at: u64, bytes: &[u8]) {
        let area = if (self.data.start..self.data.end()).contains(&at) { &mut self.data } else { &mut self.heap };
        let skip = (at - area.start) as usize;
        area.bytes[skip..skip + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes a word, instead of a label that was to come there.
    pub fn word(&mut self, at: u64, value: u64) {
        self.pending.remove(&at);
        self.put(at, &value.to_le_bytes());
    }

    /// Writes several words, one after the other.
    pub fn words(&mut self, at: u64, values: &[u64]) {
        for (at, value) in (at..).step_by(8).zip(values) {
            self.word(at, *value);
        }
    }

    /// Writes 32 bits.
    pub fn half(&mut self, at: u64, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    /// Writes the address of a label, which may come later.
    pub fn refer(&mut self, at: u64, label: &str) {
        match self.labels.get(label) {
            Some(known) => self.word(at, *known),
            None => {
                self.pending.insert(at, label.to_owned());
            }
        }
    }

    /// Resolves what was referred to.
    pub fn finish(mut self) -> Space {
        for (at, label) in std::mem::take(&mut self.pending) {
            let address = self.address(&label);
            self.word(at, address);
        }
        for area in [&mut self.data, &mut self.heap] {
            let whole = area.bytes.len().next_multiple_of(PAGE as usize);
            area.bytes.resize(whole, 0);
        }
        Space { areas: Arc::new([self.data, self.heap]), zeros: self.zeros.into(), holes: self.holes.into() }
    }
}

/// The finished memory; copies share it.
#[derive(Clone)]
pub struct Space {
    areas: Arc<[Area; 2]>,
    zeros: Arc<[(u64, u64)]>,
    holes: Arc<[(u64, u64)]>,
}

impl Space {
    /// Bytes of the image's data.
    pub fn data_size(&self) -> u64 {
        self.areas[0].bytes.len() as u64
    }

    /// Fills `buffer` from `at`.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        let end = at.saturating_add(buffer.len() as u64);
        let fault = Error::Fault { addr: Addr(at), cause: FaultCause::Unmapped };
        if self.holes.iter().any(|(first, last)| at < *last && end > *first) {
            return Err(fault);
        }
        if self.zeros.iter().any(|(first, last)| *first <= at && end <= *last) {
            buffer.fill(0);
            return Ok(());
        }
        for area in self.areas.iter() {
            if area.start <= at && end <= area.end() {
                let skip = (at - area.start) as usize;
                buffer.copy_from_slice(&area.bytes[skip..skip + buffer.len()]);
                return Ok(());
            }
        }
        Err(fault)
    }
}

/// The memory as the library sees it, with the one mapped file.
pub struct Mapped {
    /// The bytes.
    pub space: Space,
    /// The mapping.
    pub regions: Vec<Region>,
}

impl Memory for Mapped {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        self.space.read(addr.0, buffer)
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }
}
