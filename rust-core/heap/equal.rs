//! Which objects are equal: of each only a hash of its contents is kept.
//!
//! Objects count as equal if the 128 bits of their hashes are: of a billion objects, two that differ would be
//! taken for equal once in 10^20 times. The two halves are hashes with keys of their own, chosen anew each
//! time, so that a target cannot prepare objects that look equal.

use super::Census;
use super::contents::{Contents, Seen};
use super::one;
use super::sizes::Sizes;
use crate::bytes::Addr;
use crate::error::Result;
use crate::limits;
use crate::objects::{Kind, Objects};
use std::hash::{BuildHasher, Hasher, RandomState};

/// Bits of a size that a record has room for; a larger one is looked up again.
const SIZE_BITS: u32 = 19;
const SIZE_MASK: u64 = (1 << SIZE_BITS) - 1;

/// One object: the two halves of the hash, then the address without its low three bits, and the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Record([u64; 3]);

impl Record {
    fn addr(&self) -> Addr {
        Addr(self.0[2] >> SIZE_BITS << 3)
    }
}

/// Equal objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Bytes of all but one of them.
    pub wasted: u64,
    /// How many there are.
    pub copies: u64,
    /// Bytes of the one with the lowest address, as `sys.getsizeof` says.
    pub size: u64,
    /// Its address.
    pub addr: Addr,
}

/// What a search for equal objects found.
#[derive(Debug, Default)]
pub struct Equal {
    /// Objects that were compared.
    pub objects: u64,
    /// Values that more than one of them has.
    pub values: u64,
    /// Objects with these values.
    pub copies: u64,
    /// Bytes of all of these but one of each value.
    pub wasted: u64,
    /// Those that waste most, in that order.
    pub groups: Vec<Group>,
    /// Objects that could not be read.
    pub unreadable: u64,
    /// There are more objects than are compared.
    pub full: bool,
}

impl Equal {
    /// Looks for equal objects of the types whose kind `kinds` has at their number, and keeps `limit` groups.
    ///
    /// # Errors
    /// [`crate::error::Error::Interrupted`].
    pub fn find(objects: &Objects, census: &Census, kinds: &[Option<Kind>], limit: usize) -> Result<Equal> {
        let keys = [RandomState::new(), RandomState::new()];
        let sizes = Sizes::new(&objects.layout.fields, &objects.layout.rules);
        let wanted: Vec<bool> = kinds.iter().map(Option::is_some).collect();
        let mut contents = Contents::new(objects);
        let mut records: Vec<Record> = Vec::new();
        let counted =
            census.types.iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|((_, tally), _)| tally.count);
        // A hint only: where there is no room for all, they are added as far as there is.
        let _ = records.try_reserve_exact((counted.sum::<u64>() as usize).min(limits::COMPARED));
        let mut found = Equal::default();
        let missed = census.read_each(objects, &wanted, &mut |seen| {
            let Some(kind) = kinds.get(usize::from(seen.id)).copied().flatten() else { return true };
            let mut hashers = [keys[0].build_hasher(), keys[1].build_hasher()];
            hashers.iter_mut().for_each(|hasher| hasher.write_u32(seen.id.0));
            let read =
                contents.each(kind, seen, &mut |bytes| hashers.iter_mut().for_each(|hasher| hasher.write(bytes)));
            let place = seen.addr.0 >> 3;
            if read.is_none() || place >> (64 - SIZE_BITS) != 0 {
                found.unreadable += 1;
                return true;
            }
            if records.len() >= limits::COMPARED || records.try_reserve(1).is_err() {
                found.full = true;
                return false;
            }
            let size = size_of(objects, census, &sizes, seen).min(SIZE_MASK);
            records.push(Record([hashers[0].finish(), hashers[1].finish(), place << SIZE_BITS | size]));
            true
        })?;
        found.unreadable += missed;
        objects.memory.poll()?;
        found.objects = records.len() as u64;
        records.sort_unstable();
        for group in records.chunk_by(|a, b| a.0[..2] == b.0[..2]) {
            let (Some(first), true) = (group.first(), group.len() > 1) else { continue };
            let (addr, copies) = (first.addr(), group.len() as u64);
            let size = match first.0[2] & SIZE_MASK {
                SIZE_MASK => census.find(addr).map_or(SIZE_MASK, |id| census.size_of(objects, addr, id)),
                size => size,
            };
            let wasted = size.saturating_mul(copies - 1);
            found.values += 1;
            found.copies += copies;
            found.wasted = found.wasted.saturating_add(wasted);
            found.groups.push(Group { wasted, copies, size, addr });
            if found.groups.len() >= limit.saturating_mul(2).max(1 << 12) {
                found.keep(limit);
            }
        }
        found.keep(limit);
        Ok(found)
    }

    fn keep(&mut self, limit: usize) {
        self.groups.sort_unstable_by(|a, b| b.wasted.cmp(&a.wasted).then(a.addr.cmp(&b.addr)));
        self.groups.truncate(limit);
    }
}

fn size_of(objects: &Objects, census: &Census, sizes: &Sizes, seen: &Seen<'_>) -> u64 {
    match census.info(seen.id) {
        Some(info) => {
            let room = if seen.pool { seen.bytes.len() as u64 } else { u64::MAX };
            one::size(objects, sizes, (seen.id, info), seen.addr, seen.bytes, room)
        }
        None => 0,
    }
}
