//! Addresses of the target, and bounds-checked little-endian readers over local bytes.

use serde::{Serialize, Serializer};
use std::fmt;

/// An address in the target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Addr(pub u64);

impl Addr {
    /// The null pointer.
    pub const NULL: Addr = Addr(0);

    /// Whether this is the null pointer.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address as an option: `None` for the null pointer.
    pub fn non_null(self) -> Option<Addr> {
        (self.0 != 0).then_some(self)
    }

    /// Whether a pointer to an object can have this value: not null, aligned, in user space.
    pub fn is_plausible(self) -> bool {
        self.0 >= 0x1000 && self.0 < 1 << 56 && self.0.is_multiple_of(8)
    }
}

impl std::ops::Add<u64> for Addr {
    type Output = Addr;
    /// Wraps around, as a pointer in the target would: the read that follows reports the fault.
    fn add(self, offset: u64) -> Addr {
        Addr(self.0.wrapping_add(offset))
    }
}

impl std::ops::Sub<u64> for Addr {
    type Output = Addr;
    fn sub(self, offset: u64) -> Addr {
        Addr(self.0.wrapping_sub(offset))
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl Serialize for Addr {
    /// Hexadecimal text: JSON numbers lose bits above 2^53 in many readers.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The unsigned integer of `width` bytes (1 to 8) at `offset`, or `None` beyond the end.
pub fn uint(bytes: &[u8], offset: usize, width: usize) -> Option<u64> {
    if width == 0 || width > 8 {
        return None;
    }
    let slice = bytes.get(offset..offset.checked_add(width)?)?;
    let mut word = [0u8; 8];
    word[..width].copy_from_slice(slice);
    Some(u64::from_le_bytes(word))
}

/// The 8-byte word at `offset`, or `None` beyond the end.
#[inline]
pub fn word(bytes: &[u8], offset: usize) -> Option<u64> {
    let word = bytes.get(offset..)?.first_chunk()?;
    Some(u64::from_le_bytes(*word))
}

/// Sign-extends the low `width` bytes of `value`.
pub fn sign_extend(value: u64, width: u8) -> i64 {
    let shift = 64 - 8 * u32::from(width.clamp(1, 8));
    ((value << shift) as i64) >> shift
}
