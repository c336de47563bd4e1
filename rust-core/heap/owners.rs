//! Whose attributes a dict holds: a module's, an instance's, a class's, a function's, or nobody's.
//!
//! A scan notes the pointer to its dict that each object has, where it has a place for one
//! (`_PyObject_GetDictPtr`), and the size of each dict. Here both are joined by the dict's address.
//! Attributes that are in no dict (3.11 and later) are none here: nothing is made up.

use super::scan::Tally;
use super::types::TypeId;
use crate::layout::InstanceDict;
use crate::limits;
use crate::objects::flag;

/// Where objects of a type have the pointer to their dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DictAt {
    /// They have none.
    Nowhere,
    /// So many bytes behind the object's start, or before it.
    Start(i64),
    /// So many bytes before the end of its items.
    End(i64),
}

impl DictAt {
    /// For a type with these `tp_flags` and this `tp_dictoffset`.
    pub fn new(flags: u64, dictoffset: i64, attributes: InstanceDict) -> DictAt {
        let managed = match attributes {
            InstanceDict::Offset => None,
            InstanceDict::Words311 | InstanceDict::Word312 => Some(-24),
            InstanceDict::Inline { words_before } => Some(-8 * words_before as i64),
        };
        match managed.filter(|_| flags & flag::MANAGED_DICT != 0) {
            Some(place) => DictAt::Start(place),
            None if dictoffset == 0 || dictoffset.unsigned_abs() > limits::BASICSIZE => DictAt::Nowhere,
            None if dictoffset > 0 => DictAt::Start(dictoffset),
            None => DictAt::End(-dictoffset),
        }
    }

    /// How many bytes behind the object's start the pointer is. `end` tells where its items end.
    #[inline]
    pub fn place(self, end: impl FnOnce() -> u64) -> Option<i64> {
        match self {
            DictAt::Nowhere => None,
            DictAt::Start(place) => Some(place),
            DictAt::End(before) => Some(end() as i64 - before),
        }
    }
}

/// An object that a scan looks at for itself: a dict.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// Where it is.
    pub addr: u64,
    /// The number of its type.
    pub id: TypeId,
    /// Its bytes, as `sys.getsizeof` says.
    pub size: u64,
    /// Bytes of its block; none in static memory.
    pub allocated: u64,
    /// Whether it is in the garbage collector's lists.
    pub tracked: bool,
    /// Whether `gc.freeze` has had it, where that is no list.
    pub frozen: bool,
    /// Whether it is in static memory.
    pub is_static: bool,
}

impl Record {
    /// As the only one that was counted.
    #[inline]
    pub fn tally(&self) -> Tally {
        let Record { size, allocated, tracked, is_static, .. } = *self;
        Tally { count: 1, size, allocated, tracked: u64::from(tracked), statics: u64::from(is_static) }
    }
}

/// An object that has a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The dict.
    pub dict: u64,
    /// The object.
    pub owner: u64,
    /// The number of its type.
    pub id: TypeId,
}

/// The dicts that are of objects.
#[derive(Debug, Default)]
pub struct Owners {
    /// In address order.
    dicts: Vec<u64>,
    /// The types of their owners.
    ids: Vec<TypeId>,
    /// What was counted of the dicts, by the types of their owners.
    pub tallies: Vec<(TypeId, Tally)>,
}

impl Owners {
    /// Those of `dicts` that `owners` have. Each part of both is in order. Of several owners the one at the
    /// lowest address counts, as in guppy.
    pub fn join(dicts: Vec<Vec<Record>>, owners: Vec<Vec<Owner>>) -> Owners {
        let (dicts, owners) = (few(dicts, |dict| dict.addr), few(owners, |owner| *owner));
        let mut all = Owners::default();
        let mut tallies: Vec<Tally> = Vec::new();
        let mut owners = merged(&owners, |owner| *owner).peekable();
        for dict in merged(&dicts, |dict| dict.addr) {
            while owners.next_if(|owner| owner.dict < dict.addr).is_some() {}
            let Some(owner) = owners.peek().filter(|owner| owner.dict == dict.addr) else { continue };
            all.dicts.push(dict.addr);
            all.ids.push(owner.id);
            let id = usize::from(owner.id);
            if tallies.len() <= id {
                tallies.resize(id + 1, Tally::default());
            }
            tallies[id].add(&dict.tally());
        }
        all.dicts.shrink_to_fit();
        all.ids.shrink_to_fit();
        let numbered = (0..).map(TypeId).zip(tallies);
        all.tallies = numbered.filter(|(_, tally)| tally.count > 0).collect();
        all
    }

    /// The type of the owner of the dict at `addr`.
    pub fn of(&self, addr: u64) -> Option<TypeId> {
        self.dicts.binary_search(&addr).ok().and_then(|i| self.ids.get(i).copied())
    }

    /// Bytes of our memory that they take.
    pub fn footprint(&self) -> usize {
        self.dicts.capacity() * size_of::<u64>() + self.ids.capacity() * size_of::<TypeId>()
    }
}

/// Lists that [`merged`] compares for each item: what the threads of a scan found, and some more.
const PARTS: usize = 16;

/// These lists, or all in one if they are many.
fn few<T: Clone, K: Ord>(parts: Vec<Vec<T>>, key: impl Fn(&T) -> K) -> Vec<Vec<T>> {
    if parts.len() <= PARTS {
        return parts;
    }
    let mut all = parts.concat();
    all.sort_by_key(key);
    vec![all]
}

/// What is in a few lists, each in the order of `key`, in that order.
fn merged<'a, T, K: Ord>(parts: &'a [Vec<T>], key: impl Fn(&T) -> K + 'a) -> impl Iterator<Item = &'a T> {
    let mut rests: Vec<&[T]> = parts.iter().map(Vec::as_slice).filter(|rest| !rest.is_empty()).collect();
    std::iter::from_fn(move || {
        let (least, _) = rests.iter().enumerate().min_by_key(|(_, rest)| rest.first().map(&key))?;
        let (first, rest) = rests.get(least)?.split_first()?;
        if rest.is_empty() {
            rests.swap_remove(least);
        } else {
            rests[least] = rest;
        }
        Some(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dicts_and_their_owners() {
        let dict = |addr| Record {
            addr,
            id: TypeId(0),
            size: addr,
            allocated: 1,
            tracked: addr > 0x20,
            frozen: false,
            is_static: false,
        };
        let owner = |dict, owner, id| Owner { dict, owner, id: TypeId(id) };
        // Nobody's; one owner; two; an owner of what is no dict.
        let dicts = [&[0x20][..], &[], &[0x10, 0x30]].map(|part| part.iter().copied().map(dict).collect());
        let owners = [vec![owner(0x20, 1, 7), owner(0x30, 3, 7)], vec![owner(0x28, 1, 7), owner(0x30, 2, 9)]];
        let (dicts, owners) = (dicts.to_vec(), owners.to_vec());
        // The same, in so many parts that they are put together first.
        let all = Owners::join(dicts.iter().cloned().chain(vec![Vec::new(); PARTS]).collect(), owners.clone());
        let same = Owners::join(dicts, owners.into_iter().chain(vec![Vec::new(); PARTS]).collect());
        assert_eq!((&all.dicts, &all.ids, &all.tallies), (&same.dicts, &same.ids, &same.tallies));
        assert_eq!([0x10, 0x20, 0x28, 0x30].map(|dict| all.of(dict)), [None, Some(TypeId(7)), None, Some(TypeId(9))]);
        let tally = |size, tracked| Tally { count: 1, size, allocated: 1, tracked, statics: 0 };
        assert_eq!(all.tallies, [(TypeId(7), tally(0x20, 0)), (TypeId(9), tally(0x30, 1))]);
    }

    #[test]
    fn where_dicts_are() {
        let new = |flags, offset| DictAt::new(flags, offset, InstanceDict::Words311);
        assert_eq!(new(0, 0), DictAt::Nowhere);
        assert_eq!(new(0, 16), DictAt::Start(16));
        assert_eq!(new(0, -8).place(|| 48), Some(40));
        assert_eq!(new(flag::MANAGED_DICT, -1), DictAt::Start(-24));
        assert_eq!(DictAt::new(flag::MANAGED_DICT, 16, InstanceDict::Offset), DictAt::Start(16));
        assert_eq!((new(0, i64::MIN), new(0, i64::MAX)), (DictAt::Nowhere, DictAt::Nowhere));
    }
}
