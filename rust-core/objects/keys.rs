//! A dict's table of keys (`PyDictKeysObject`): what its first bytes say of it.

use crate::layout::DictKeys;
use crate::layout::fields::KeysFields;

/// Bytes that say all: the header, and a part of the indices, which every table has.
pub const HEAD: usize = 40;

/// Bytes of an entry with its hash.
pub const ENTRY: u64 = 24;

/// Slots that no table has, as a power of two.
const MOST: u64 = 40;

/// What a table of keys is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysHead {
    /// `dk_refcnt`: the dicts, and the class, that have it.
    pub references: u64,
    /// How many slots of indices there are.
    pub slots: u64,
    /// Their bytes.
    pub index_bytes: u64,
    /// `dk_usable`: entries that may still be filled.
    pub usable: u64,
    /// `dk_nentries`: entries in use, holes included.
    pub entries: u64,
    /// Bytes of an entry.
    pub entry: u64,
    /// Where an entry has its key and its value.
    pub places: (usize, usize),
}

impl KeysHead {
    /// What `head`, the first [`HEAD`] bytes of a table, says; `None` if it cannot be one.
    #[inline]
    pub fn read(fields: &KeysFields, rule: DictKeys, head: &[u8]) -> Option<KeysHead> {
        let (slots, index_bytes, general) = if rule == DictKeys::Log2 {
            let (log2_size, log2_bytes) = (fields.dk_log2_size.get(head)?, fields.dk_log2_index_bytes.get(head)?);
            if log2_size > MOST || log2_bytes > MOST + 4 {
                return None;
            }
            (1 << log2_size, 1 << log2_bytes, fields.dk_kind.get(head)? == 0)
        } else {
            let slots = fields.dk_size.get(head)?;
            if !slots.is_power_of_two() || slots > 1 << MOST {
                return None;
            }
            (slots, slots * index_width(slots), true)
        };
        let (entry, places) = if general { (ENTRY, (8, 16)) } else { (16, (0, 8)) };
        Some(KeysHead {
            references: fields.dk_refcnt.get(head)?,
            slots,
            index_bytes,
            usable: fields.dk_usable.get(head)?,
            entries: fields.dk_nentries.get(head)?,
            entry,
            places,
        })
    }
}

/// Bytes of an index in a table with so many slots.
pub fn index_width(slots: u64) -> u64 {
    match slots {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}
