//! `set` and `frozenset`: their items, in table order.

use super::{Objects, TOO_MUCH};
use crate::bytes::{Addr, uint, word};
use crate::error::{Error, Result};
use crate::limits;

impl Objects {
    /// The first `most` items of the set at `addr` in the order that iterating it gives, and how
    /// many it has.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn set(&self, addr: Addr, most: usize) -> Result<(Vec<Addr>, usize)> {
        let fields = &self.layout.set;
        let corrupt = Error::Corrupt { what: "a set", addr };
        let used = self.checked_len(addr, self.int(addr, &fields.used)?, "the size of a set")?;
        let mask = self.uint(addr, &fields.mask)?;
        let slots = usize::try_from(mask).ok().and_then(|m| m.checked_add(1)).filter(|n| n.is_power_of_two());
        let slots = slots.ok_or_else(|| corrupt.clone())?;
        if used > slots {
            return Err(corrupt);
        }
        let table = self.pointer(addr, &fields.table)?;
        let entry = &self.layout.setentry;
        let (key, hash, size) = (entry.key.at()? as usize, entry.hash.at()? as usize, entry.size.at()? as usize);
        let mut items = Vec::new();
        let mut slot = 0;
        while slot < slots.min(limits::DICT_ENTRIES) && items.len() < used.min(most) {
            let count = (slots - slot).min(256);
            self.take_entries(addr, count)?;
            if slot > 0 && !self.spend(count * limits::ENTRY_EFFORT) {
                return Err(TOO_MUCH);
            }
            let bytes = self.memory.bytes(table + (slot * size) as u64, count * size)?;
            for entry in bytes.chunks_exact(size) {
                let (Some(object), Some(hash)) = (word(entry, key), uint(entry, hash, 8)) else { continue };
                // A removed item leaves `dummy` with hash -1 (3.x); in 2.7 dummy is a str whose
                // hash is kept: it is left out by its own address being shared and the count.
                if object != 0 && hash != u64::MAX && items.len() < used.min(most) && !self.is_dummy(Addr(object)) {
                    items.push(Addr(object));
                }
            }
            slot += count;
        }
        Ok((items, used))
    }

    /// Python 2's marker for removed entries: the `str` `<dummy key>`.
    pub(super) fn is_dummy(&self, object: Addr) -> bool {
        self.layout.rules.python2
            && self.ob_size(object).is_ok_and(|len| len == 11)
            && self.type_of(object).is_ok_and(|ty| ty.exact && ty.kind == super::Kind::Str2)
            && self.raw_bytes(object, 16).is_ok_and(|(bytes, _)| bytes == b"<dummy key>")
    }
}
