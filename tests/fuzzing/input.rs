//! The fuzzer's bytes as a supply of numbers, and as a list of changes to valid bytes.

/// Reads numbers off the front; what is not there any more is 0, so that every input means
/// something.
#[derive(Clone, Copy)]
pub struct Input<'a>(pub &'a [u8]);

/// Numbers at which sizes, counts and addresses tip over.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    7,
    8,
    0xff,
    0x100,
    0xfff,
    0x1000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    1 << 39,
    1 << 40,
    1 << 44,
    (1 << 56) - 8,
    1 << 60,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 4095,
    u64::MAX - 7,
    u64::MAX,
];

impl<'a> Input<'a> {
    /// The next `count` bytes, or as many as there are.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn number(&mut self, width: usize) -> u64 {
        let mut word = [0; 8];
        let bytes = self.take(width);
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.number(1) as u8
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        self.number(2) as u16
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> u64 {
        self.number(8)
    }

    /// A number below `end` (0 where that is 0).
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.u16()) % end.max(1)
    }

    /// One of the numbers at which things tip over.
    pub fn edge(&mut self) -> u64 {
        EDGES[usize::from(self.u8()) % EDGES.len()]
    }

    /// A word: small, an edge, one of `addresses`, or any.
    pub fn word(&mut self, addresses: &[u64]) -> u64 {
        match self.u8() % 4 {
            0 => self.u16().into(),
            1 => self.edge(),
            2 if !addresses.is_empty() => addresses[self.below(addresses.len())],
            2 | 3 => self.u64(),
            _ => 0,
        }
    }

    /// Changes `bytes` at up to 32 places.
    pub fn patch(&mut self, bytes: &mut [u8]) {
        for _ in 0..self.u8() % 33 {
            let at = self.below(bytes.len());
            let (width, value) = (1usize << (self.u8() % 4), self.word(&[]));
            let end = bytes.len().min(at + width);
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
    }
}
