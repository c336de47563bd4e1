//! What a scan keeps of the objects that it finds: where they are, of which types, and sums.

use super::types::TypeId;

/// What was counted of one type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Objects.
    pub count: u64,
    /// Bytes of them, as `sys.getsizeof` says.
    pub size: u64,
    /// Bytes of the blocks that they are in.
    pub allocated: u64,
    /// Objects in the garbage collector's lists.
    pub tracked: u64,
    /// Objects in static memory, which no allocator holds.
    pub statics: u64,
}

impl Tally {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Tally) {
        self.count += other.count;
        self.size = self.size.saturating_add(other.size);
        self.allocated += other.allocated;
        self.tracked += other.tracked;
        self.statics += other.statics;
    }

    /// Takes a part away.
    pub fn subtract(&mut self, part: &Tally) {
        self.count = self.count.saturating_sub(part.count);
        self.size = self.size.saturating_sub(part.size);
        self.allocated = self.allocated.saturating_sub(part.allocated);
        self.tracked = self.tracked.saturating_sub(part.tracked);
        self.statics = self.statics.saturating_sub(part.statics);
    }
}

/// One pool and its objects.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// Its address.
    pub addr: u64,
    /// Bytes from there to its first block.
    pub start: u16,
    /// Bytes of a block.
    pub size: u16,
    /// Blocks that were ever handed out.
    pub carved: u16,
    /// Those of them that are not in the chain of free blocks.
    pub used: u16,
    /// Bytes at the start of each block that are the debug allocator's.
    pub marks: u16,
    /// The first of its words in [`Window::words`].
    pub word: u32,
    /// The first of its objects in [`Window::types`].
    pub object: u32,
}

impl Pool {
    /// The address of one of its blocks.
    #[inline]
    pub fn block(&self, i: usize) -> u64 {
        self.addr + u64::from(self.start) + (i * usize::from(self.size)) as u64
    }
}

/// The objects of a window of memory.
#[derive(Debug, Default)]
pub struct Window {
    /// Its pools, in address order.
    pub pools: Vec<Pool>,
    /// One bit for each block that holds an object, from a new word for each pool.
    pub words: Vec<u64>,
    /// The types of the objects, in address order.
    pub types: Ids,
}

/// Numbers of types, of which most programs have less than 65,536: two bytes each, until there is a larger one.
#[derive(Debug)]
pub enum Ids {
    /// All fit.
    Narrow(Vec<u16>),
    /// Some do not.
    Wide(Vec<u32>),
}

impl Default for Ids {
    fn default() -> Ids {
        Ids::Narrow(Vec::new())
    }
}

impl Ids {
    /// Adds one at the end.
    #[inline]
    pub fn push(&mut self, id: TypeId) {
        match self {
            Ids::Narrow(all) => match u16::try_from(id.0) {
                Ok(narrow) => all.push(narrow),
                Err(_) => *self = Ids::Wide(all.iter().map(|id| u32::from(*id)).chain([id.0]).collect()),
            },
            Ids::Wide(all) => all.push(id.0),
        }
    }

    /// That of the object with this place.
    #[inline]
    pub fn get(&self, place: usize) -> Option<TypeId> {
        match self {
            Ids::Narrow(all) => all.get(place).map(|id| TypeId(u32::from(*id))),
            Ids::Wide(all) => all.get(place).map(|id| TypeId(*id)),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Ids::Narrow(all) => all.len(),
            Ids::Wide(all) => all.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives back room that is not needed.
    pub fn shrink_to_fit(&mut self) {
        match self {
            Ids::Narrow(all) => all.shrink_to_fit(),
            Ids::Wide(all) => all.shrink_to_fit(),
        }
    }

    /// Bytes of our memory that they take.
    pub fn footprint(&self) -> usize {
        match self {
            Ids::Narrow(all) => all.capacity() * size_of::<u16>(),
            Ids::Wide(all) => all.capacity() * size_of::<u32>(),
        }
    }
}

impl Window {
    /// The bits of one of its pools.
    pub fn words_of(&self, pool: &Pool) -> &[u64] {
        let first = pool.word as usize;
        self.words.get(first..first + usize::from(pool.carved).div_ceil(64)).unwrap_or(&[])
    }

    /// The blocks of one of its pools that hold an object, and the objects' types, in address order.
    pub fn objects_of<'a>(&'a self, pool: &Pool) -> impl Iterator<Item = (usize, TypeId)> + 'a {
        let types = (pool.object as usize..).map_while(|place| self.types.get(place));
        let blocks = self.words_of(pool).iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(i * 64 + bit)
            })
        });
        blocks.zip(types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_types() {
        let all = [0, 65_535, 7, 65_536, 1, u32::MAX];
        let mut ids = Ids::default();
        for (i, id) in all.into_iter().enumerate() {
            ids.push(TypeId(id));
            assert_eq!(matches!(ids, Ids::Wide(_)), i >= 3);
            assert_eq!((0..=i).filter_map(|i| ids.get(i)).map(|id| id.0).collect::<Vec<_>>(), all[..=i]);
            assert_eq!((ids.len(), ids.get(i + 1)), (i + 1, None));
        }
    }
}
