//! `tuple`, `list`, `collections.deque`: their items.

use super::Objects;
use crate::bytes::Addr;
use crate::error::{Error, Result};

/// Items that a deque keeps in one block (`BLOCKLEN` of Modules/_collectionsmodule.c: 64 since
/// 3.4, 62 in 2.7).
const DEQUE_BLOCK: u64 = 64;

impl Objects {
    /// The first `most` items of the tuple at `addr`, and how many it has.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn tuple(&self, addr: Addr, most: usize) -> Result<(Vec<Addr>, usize)> {
        let len = self.checked_len(addr, self.ob_size(addr)?, "the length of a tuple")?;
        Ok((self.pointers(addr + self.layout.tuple.ob_item.at()?, len.min(most))?, len))
    }

    /// The first `most` items of the list at `addr`, and how many it has.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn list(&self, addr: Addr, most: usize) -> Result<(Vec<Addr>, usize)> {
        let len = self.checked_len(addr, self.ob_size(addr)?, "the length of a list")?;
        if len == 0 {
            return Ok((Vec::new(), 0));
        }
        let items = self.pointer(addr, &self.layout.list.ob_item)?;
        Ok((self.pointers(items, len.min(most))?, len))
    }

    /// The first `most` items of the deque at `addr`, and how many it has.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`]; [`Error::NoField`] where no layout of it is known.
    pub fn deque(&self, addr: Addr, most: usize) -> Result<(Vec<Addr>, usize)> {
        let fields = &self.layout.deque;
        let len = self.checked_len(addr, self.ob_size(addr)?, "the length of a deque")?;
        let mut block = self.pointer(addr, &fields.leftblock)?;
        let mut index = self.uint(addr, &fields.leftindex)?;
        let mut items = Vec::new();
        // struct BLOCK { leftlink; data[64]; rightlink; }
        while items.len() < len.min(most) {
            if index >= DEQUE_BLOCK {
                block = self.memory.pointer(block + 8 + DEQUE_BLOCK * 8)?;
                index = 0;
                if !block.is_plausible() {
                    return Err(Error::Corrupt { what: "a deque", addr });
                }
            }
            items.push(self.memory.pointer(block + 8 + index * 8)?);
            index += 1;
        }
        Ok((items, len))
    }
}
