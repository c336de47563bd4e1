//! Tables of references outside of their objects: lists' items, dicts' keys and values, sets' entries, links.
//!
//! They lie anywhere. A walk collects them and reads them in the order of their addresses, most of them together.

use crate::bytes::{uint, word};
use crate::layout::fields::KeysFields;
use crate::layout::{DictKeys, Fields, Rules, Slot};
use crate::objects::keys::{HEAD, KeysHead};

/// Bytes of a module's memory; -1 is none.
const STATE: u64 = 1 << 24;
/// `m_traverse` is so far behind `m_size`.
const TRAVERSE: usize = 24;

/// A table, and whose references are in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub at: u64,
    /// The number of the object that holds what is in it.
    pub owner: u32,
    pub what: What,
}

/// What is in a table.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// So many references side by side.
    Words(u64),
    /// Entries of `size` bytes with references `key` and `value` bytes into them; no value is `u8::MAX`.
    Entries { count: u64, size: u8, key: u8, value: u8 },
    /// A dict's table of keys. Others may share it, and then there is a table of values, or none here.
    Keys { shared: bool, values: u64 },
    /// 3.13: a dict's values, which say how many there are.
    Values,
    /// A block of a deque: the first of so many items is at this place in it.
    Block { first: u64, items: u64 },
    /// A key in the list of an `OrderedDict`, and so many more.
    Node(u64),
    /// The definition of a module, whose memory is at `state`.
    Definition { state: u64 },
    /// An object in a list that holds its objects, up to the one that has the list, and so many more at most.
    Link { end: u64, most: u64 },
}

/// What a table leads to.
#[derive(Debug, Default)]
pub(super) struct More {
    /// Another table that the same object owns.
    pub next: Option<Table>,
    /// A table of keys that others may have too, from its first entry.
    pub shared: Option<Table>,
}

/// Where things are in tables of this build.
#[derive(Debug, Clone)]
pub(super) struct Places {
    keys: (KeysFields, DictKeys),
    /// `capacity` and `values` of `PyDictValues` (3.13).
    values: Option<(usize, usize)>,
    /// `data` of a deque's block, how many there are (`BLOCKLEN`), and `rightlink`.
    block: (usize, u64, usize),
    /// `next` of a `functools._lru_list_elem`, which is private to its module: the same since 3.5 (bpo-14373).
    link: usize,
    node: (usize, usize),
    /// `m_size` of a `PyModuleDef`: the same since 3.0 (PEP 3121).
    definition: usize,
}

fn place(slot: &Slot) -> Option<(usize, usize)> {
    slot.field.map(|field| (field.offset as usize, field.bytes()))
}

impl Places {
    /// Those of this build.
    pub fn new(fields: &Fields, rules: &Rules) -> Places {
        let at = |slot: &Slot| place(slot).map_or(usize::MAX / 2, |(at, _)| at);
        Places {
            keys: (fields.keys, rules.keys),
            values: place(&fields.values.capacity).map(|(capacity, _)| (capacity, at(&fields.values.values))),
            block: (
                at(&fields.deque_block.data),
                fields.deque_block.data.field.map_or(0, |field| u64::from(field.width) / 8),
                at(&fields.deque_block.rightlink),
            ),
            link: at(&fields.object.size) + 8,
            node: (at(&fields.odict_node.key), at(&fields.odict_node.next)),
            definition: at(&fields.object.size) + 40,
        }
    }

    /// Bytes of `table` that are to be read.
    pub fn length(&self, table: &Table) -> u64 {
        match table.what {
            What::Words(count) => count.saturating_mul(8),
            What::Entries { count, size, .. } => count.saturating_mul(u64::from(size)),
            What::Keys { .. } => HEAD as u64,
            What::Values => 8,
            What::Definition { .. } => (self.definition + TRAVERSE) as u64 + 8,
            What::Block { .. } => (self.block.0 as u64 + self.block.1 * 8).max(self.block.2 as u64 + 8),
            What::Link { .. } => self.link as u64 + 8,
            What::Node(_) => self.node.0.max(self.node.1) as u64 + 8,
        }
    }

    /// The table of keys that is at `at` and begins with `head`, and where its first entry is.
    fn keys(&self, at: u64, head: &[u8]) -> Option<(KeysHead, u64)> {
        let (fields, rule) = &self.keys;
        let keys = KeysHead::read(fields, *rule, head).filter(|keys| keys.entries <= keys.slots)?;
        Some((keys, at.checked_add(fields.dk_indices.at().ok()?)?.checked_add(keys.index_bytes)?))
    }

    /// Calls `pair` with the key and the value of each entry of `table`, and `single` with every other reference.
    /// `bytes` are those of the table; those of a long one can come in parts.
    #[inline]
    pub fn each(
        &self,
        table: &Table,
        bytes: &[u8],
        single: &mut dyn FnMut(u64),
        pair: &mut dyn FnMut(u64, u64),
    ) -> More {
        let mut more = More::default();
        let Table { at, owner, what } = *table;
        match what {
            What::Words(_) => bytes.chunks_exact(8).filter_map(|item| word(item, 0)).for_each(single),
            What::Entries { size, key, value, .. } => {
                for entry in bytes.chunks_exact(usize::from(size).max(8)) {
                    let key = word(entry, usize::from(key)).unwrap_or(0);
                    match word(entry, usize::from(value)) {
                        Some(value) => pair(key, value),
                        None => single(key),
                    }
                }
            }
            What::Keys { shared, values } => {
                let Some((KeysHead { entries: count, entry, places: (key, value), .. }, first)) = self.keys(at, bytes)
                else {
                    return more;
                };
                let what = What::Entries { count, size: entry as u8, key: key as u8, value: value as u8 };
                let entries = Table { at: first, owner, what };
                if shared {
                    more.shared = Some(entries);
                    let what = What::Words(count);
                    more.next = (values != 0).then_some(Table { at: values, owner, what });
                } else {
                    more.next = Some(entries);
                }
            }
            What::Values => {
                let Some((capacity, values)) = self.values else { return more };
                // PyDictValues: capacity, size, embedded, valid. Embedded ones are the instance's.
                let (count, embedded) = (uint(bytes, capacity, 1), uint(bytes, capacity + 2, 1));
                if let (Some(count), Some(0)) = (count, embedded) {
                    more.next = Some(Table { at: at.wrapping_add(values as u64), owner, what: What::Words(count) });
                }
            }
            What::Definition { state } => {
                let size = word(bytes, self.definition).filter(|size| *size < STATE).unwrap_or(0);
                // Without `m_traverse` nobody says that it holds references, and there are some that do not count:
                // those of binascii to its exceptions (3.9 and older).
                let size = if word(bytes, self.definition + TRAVERSE).unwrap_or(0) == 0 { 0 } else { size };
                more.next = Some(Table { at: state, owner, what: What::Words(size / 8) });
            }
            What::Block { first, items } => {
                let (start, slots, link) = self.block;
                let here = items.min(slots.saturating_sub(first));
                let data = start + first.min(slots) as usize * 8;
                let some = bytes.get(data..data + here as usize * 8).unwrap_or(&[]);
                some.chunks_exact(8).filter_map(|item| word(item, 0)).for_each(single);
                let next = word(bytes, link).filter(|at| *at != 0 && items > here && here > 0);
                more.next = next.map(|at| Table { at, owner, what: What::Block { first: 0, items: items - here } });
            }
            What::Link { end, most } => {
                single(at);
                let next = word(bytes, self.link).filter(|at| *at != 0 && *at != end && most > 0);
                more.next = next.map(|at| Table { at, owner, what: What::Link { end, most: most - 1 } });
            }
            What::Node(rest) => {
                single(word(bytes, self.node.0).unwrap_or(0));
                let next = word(bytes, self.node.1).filter(|at| *at != 0 && rest > 0);
                more.next = next.map(|at| Table { at, owner, what: What::Node(rest - 1) });
            }
        }
        more
    }
}
