//! Objects that are in no pool, in one word each: where every object has a chunk of malloc's, they are all of them.

use super::types::TypeId;
use crate::limits;

/// Objects lie at multiples of this.
const STEP: u32 = 3;
/// Bits of addresses: Linux gives higher ones only to programs that ask for one (the kernel's
/// Documentation/arch/x86/x86_64/5level-paging.rst and Documentation/arch/arm64/memory.rst).
const ADDRESS: u32 = 48;
const TYPE: u32 = limits::COUNTED_TYPES.trailing_zeros();
const _: () = assert!(ADDRESS - STEP + TYPE <= u64::BITS && limits::COUNTED_TYPES.is_power_of_two());

/// An object that is in no pool. They order by their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loose(u64);

impl Loose {
    /// Past the last address of an object.
    pub const END: u64 = 1 << ADDRESS;

    /// The object of this type at `addr`, which is a multiple of 8 below [`Loose::END`].
    pub fn new(addr: u64, id: TypeId) -> Loose {
        Loose(addr >> STEP << TYPE | u64::from(id.0))
    }

    /// Where it begins.
    pub fn addr(self) -> u64 {
        self.0 >> TYPE << STEP
    }

    /// Its type.
    pub fn id(self) -> TypeId {
        TypeId((self.0 & ((1 << TYPE) - 1)) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends() {
        let last = TypeId(limits::COUNTED_TYPES as u32 - 1);
        let places = [0, 8, 0x7fff_ffff_fff8, Loose::END - 8];
        let all = places.into_iter().flat_map(|addr| [(addr, TypeId(0)), (addr, last)]);
        let packed: Vec<Loose> = all.clone().map(|(addr, id)| Loose::new(addr, id)).collect();
        assert!(packed.iter().map(|one| (one.addr(), one.id())).eq(all));
        assert!(packed.is_sorted());
    }
}
