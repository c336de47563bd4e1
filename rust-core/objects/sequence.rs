//! `tuple`, `list`, `collections.deque`: their items.

use super::{Kind, Objects, Type};
use crate::bytes::Addr;
use crate::error::{Error, Result};

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
        let (fields, block_fields) = (&self.layout.deque, &self.layout.deque_block);
        // 2.7 keeps the length in a field of its own; since 3.5 it is ob_size.
        let len = if fields.len.exists() { self.int(addr, &fields.len)? } else { self.ob_size(addr)? };
        let len = self.checked_len(addr, len, "the length of a deque")?;
        let (data, link) = (block_fields.data.at()?, block_fields.rightlink.at()?);
        // BLOCKLEN: 62 in 2.7, 64 later.
        let block_len = link.saturating_sub(data) / 8;
        let mut block = self.pointer(addr, &fields.leftblock)?;
        let mut index = self.uint(addr, &fields.leftindex)?;
        let mut items = Vec::new();
        while items.len() < len.min(most) {
            if index >= block_len {
                block = self.memory.pointer(block + link)?;
                index = 0;
                if !block.is_plausible() {
                    return Err(Error::Corrupt { what: "a deque", addr });
                }
            }
            items.push(self.memory.pointer(block + data + index * 8)?);
            index += 1;
        }
        Ok((items, len))
    }

    /// The length that the deque at `addr` is limited to, if it is.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn deque_bound(&self, addr: Addr) -> Result<Option<u64>> {
        let most = self.int(addr, &self.layout.deque.maxlen)?;
        Ok(u64::try_from(most).ok())
    }

    /// Start, step and length of a `range` (of Python 2: `xrange`) of numbers that 128 bits hold.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn range(&self, addr: Addr, ty: &Type) -> Result<Option<(i128, i128, i128)>> {
        // rangeobject.c: 2.7 has start, step, length as C longs, 3.x start, stop, step, length as objects.
        let fields = addr + self.layout.object.size.at()?;
        match self.static_name(ty) {
            "xrange" => {
                let field = |i: u64| self.memory.int(fields + i * 8, 8).map(i128::from);
                Ok(Some((field(0)?, field(1)?, field(2)?)))
            }
            "range" => {
                let field = |i: u64| {
                    let value = self.memory.pointer(fields + i * 8)?;
                    self.whole_number(value).ok_or(Error::Corrupt { what: "a range", addr })
                };
                Ok(Some((field(0)?, field(2)?, field(3)?)))
            }
            _ => Ok(None),
        }
    }

    /// What a read-only view of a dict shows (descrobject.c: its first field).
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn proxied(&self, addr: Addr, ty: &Type) -> Result<Option<Addr>> {
        if !matches!(self.static_name(ty), "mappingproxy" | "dictproxy") {
            return Ok(None);
        }
        let inner = self.memory.pointer(addr + self.layout.object.size.at()?)?;
        // A view of a view would be a walk without an end.
        Ok(self.type_of(inner).is_ok_and(|ty| ty.kind == Kind::Dict).then_some(inner))
    }
}
