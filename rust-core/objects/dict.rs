//! `dict`: its items, in order. Three generations of tables.

use super::keys::{ENTRY, HEAD, KeysHead};
use super::{Objects, TOO_MUCH};
use crate::bytes::{Addr, uint, word};
use crate::error::{Error, Result};
use crate::layout::DictKeys;
use crate::limits;
use std::collections::HashMap;

/// A table of keys (`PyDictKeysObject`).
pub(super) struct Keys {
    entries: Addr,
    /// Entries in use, holes included.
    pub(super) count: usize,
    entry_size: u64,
    key_at: usize,
    value_at: usize,
}

/// Entries read at a time.
const WINDOW: usize = 128;

impl Objects {
    /// The first `most` items of the dict at `addr` in order, and how many it has.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn dict(&self, addr: Addr, most: usize) -> Result<(Vec<(Addr, Addr)>, usize)> {
        let used = self.checked_len(addr, self.int(addr, &self.layout.dict.ma_used)?, "the size of a dict")?;
        let mut items = Vec::new();
        if self.layout.odict.od_first.exists() && self.type_of(addr).is_ok_and(|ty| ty.ordered) {
            return Ok((self.ordered(addr, most.min(used))?, used));
        }
        self.dict_each(addr, &mut |key, value| {
            items.push((key, value));
            items.len() < most.min(used)
        })?;
        Ok((items, used))
    }

    /// The items of the dict at `addr` by key.
    pub(super) fn by_key(&self, addr: Addr) -> Result<HashMap<Addr, Addr>> {
        let mut values = HashMap::new();
        let mut enough = true;
        self.dict_each(addr, &mut |key, value| {
            values.insert(key, value);
            enough = values.len() < WINDOW || self.spend(limits::ENTRY_EFFORT);
            enough
        })?;
        if enough { Ok(values) } else { Err(TOO_MUCH) }
    }

    /// The items of an `OrderedDict`: its table has the values, a linked list of keys the order, which
    /// `move_to_end` changes there alone.
    fn ordered(&self, addr: Addr, most: usize) -> Result<Vec<(Addr, Addr)>> {
        let values = &mut self.by_key(addr)?;
        let fields = &self.layout.odict_node;
        let mut items = Vec::new();
        let mut node = self.pointer(addr, &self.layout.odict.od_first)?;
        while items.len() < most {
            let key = self.pointer(node, &fields.key)?;
            // Each key comes once: a list that loops ends here too.
            let value = values.remove(&key).ok_or(Error::Corrupt { what: "an OrderedDict", addr })?;
            items.push((key, value));
            node = self.pointer(node, &fields.next)?;
        }
        Ok(items)
    }

    /// Calls `f` with each item of the dict at `addr`, in order, until it returns false.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn dict_each(&self, addr: Addr, f: &mut dyn FnMut(Addr, Addr) -> bool) -> Result<()> {
        let fields = &self.layout.dict;
        if self.int(addr, &fields.ma_used)? == 0 {
            return Ok(());
        }
        if self.layout.rules.keys == DictKeys::OpenTable {
            return self.open_table(addr, f);
        }
        let keys = self.keys(self.pointer(addr, &fields.ma_keys)?)?;
        match self.pointer(addr, &fields.ma_values)?.non_null() {
            Some(values) => self.split_each(&keys, values, f),
            None => self.combined_each(&keys, f),
        }
    }

    /// The value in the dict at `addr` of the key that is the text `name`.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn dict_get(&self, addr: Addr, name: &str) -> Result<Option<Addr>> {
        let mut found = None;
        self.dict_each(addr, &mut |key, value| {
            if self.is_text(key, name) {
                found = Some(value);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// Whether the object is a string with this text.
    pub fn is_text(&self, object: Addr, text: &str) -> bool {
        use super::Kind;
        let Ok(ty) = self.type_of(object) else { return false };
        match ty.kind {
            Kind::Str | Kind::Unicode2 => self
                .text(object, text.len() + 1)
                .is_ok_and(|t| t.len == t.points.len() && t.points.iter().copied().eq(text.chars().map(u32::from))),
            Kind::Str2 => self.raw_bytes(object, text.len() + 1).is_ok_and(|(b, _)| b == text.as_bytes()),
            _ => false,
        }
    }

    /// 2.7: an open table of (hash, key, value); a removed entry has a key and no value.
    fn open_table(&self, addr: Addr, f: &mut dyn FnMut(Addr, Addr) -> bool) -> Result<()> {
        let fields = &self.layout.dict;
        let slots = usize::try_from(self.uint(addr, &fields.ma_mask)?).unwrap_or(usize::MAX).saturating_add(1);
        if !slots.is_power_of_two() {
            return Err(Error::Corrupt { what: "a dict", addr });
        }
        let keys = Keys {
            entries: self.pointer(addr, &fields.ma_table)?,
            count: slots.min(limits::DICT_ENTRIES),
            entry_size: ENTRY,
            key_at: 8,
            value_at: 16,
        };
        self.combined_each(&keys, f)
    }

    /// The table of keys at `addr`.
    pub(super) fn keys(&self, addr: Addr) -> Result<Keys> {
        let fields = &self.layout.keys;
        let corrupt = || Error::Corrupt { what: "the keys of a dict", addr };
        if !addr.is_plausible() {
            return Err(corrupt());
        }
        let head = KeysHead::read(fields, self.layout.rules.keys, &self.memory.bytes(addr, HEAD)?);
        let head = head.filter(|head| head.entries <= head.slots).ok_or_else(corrupt)?;
        let count = usize::try_from(head.entries).unwrap_or(usize::MAX).min(limits::DICT_ENTRIES);
        let (key_at, value_at) = head.places;
        let entries = addr + fields.dk_indices.at()? + head.index_bytes;
        Ok(Keys { entries, count, entry_size: head.entry, key_at, value_at })
    }

    fn combined_each(&self, keys: &Keys, f: &mut dyn FnMut(Addr, Addr) -> bool) -> Result<()> {
        let mut done = 0;
        while done < keys.count {
            let count = (keys.count - done).min(WINDOW);
            self.take_entries(keys.entries, count)?;
            // The first window is what any small dict takes.
            if done > 0 && !self.spend(count * limits::ENTRY_EFFORT) {
                return Err(TOO_MUCH);
            }
            let size = keys.entry_size as usize;
            let bytes = self.memory.bytes(keys.entries + done as u64 * keys.entry_size, count * size)?;
            for entry in bytes.chunks_exact(size) {
                let (Some(key), Some(value)) = (word(entry, keys.key_at), word(entry, keys.value_at)) else { continue };
                if key != 0 && value != 0 && !f(Addr(key), Addr(value)) {
                    return Ok(());
                }
            }
            done += count;
        }
        Ok(())
    }

    /// A split table: keys shared by the instances of a class, values of one of them.
    pub(super) fn split_each(&self, keys: &Keys, values: Addr, f: &mut dyn FnMut(Addr, Addr) -> bool) -> Result<()> {
        let corrupt = Error::Corrupt { what: "the values of an instance", addr: values };
        let fields = &self.layout.values;
        // CPython's SHARED_KEYS_MAX_SIZE is 30; 3.10 and older allow larger tables.
        let count = keys.count.min(65_536);
        let first = if fields.values.exists() { fields.values.at()? } else { 0 };
        let order: Vec<usize> = if self.layout.rules.values_in_key_order {
            (0..count).collect()
        } else if fields.capacity.exists() {
            // 3.13: capacity, size, embedded, valid, values[capacity], then the order.
            let capacity = self.uint(values, &fields.capacity)?;
            let used = self.uint(values, &fields.used)?;
            self.order(values + first + capacity.saturating_mul(8), used, 1)?
        } else {
            // 3.11, 3.12: bytes before the values: order[2] order[1] order[0] used prefix_size.
            let used = self.memory.uint(values - 2, 1)?;
            self.order(values - 3, used, -1)?
        };
        if !self.spend(order.len().saturating_sub(WINDOW) * limits::ENTRY_EFFORT) {
            return Err(TOO_MUCH);
        }
        for index in order {
            if index >= count {
                return Err(corrupt);
            }
            let key = self.memory.pointer(keys.entries + index as u64 * keys.entry_size + keys.key_at as u64)?;
            let value = self.memory.pointer(values + first + index as u64 * 8)?;
            if !key.is_null() && !value.is_null() && !f(key, value) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `used` bytes of insertion order from `start`, going up or down.
    fn order(&self, start: Addr, used: u64, step: i64) -> Result<Vec<usize>> {
        let used = used.min(255);
        let low = if step < 0 { start - used.saturating_sub(1) } else { start };
        let mut bytes = self.memory.bytes(low, used as usize)?;
        if step < 0 {
            bytes.reverse();
        }
        Ok(bytes.iter().enumerate().map(|(i, _)| uint(&bytes, i, 1).unwrap_or(0) as usize).collect())
    }
}
