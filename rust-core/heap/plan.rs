//! What a scan has to know of a build to tell whether there is an object in a block.

use super::sizes::Sizes;
use crate::allocators::mimalloc::Purpose;
use crate::bytes::word;
use crate::layout::{Fields, Living, RefCount, Rules};

/// What the scan has to know of this build.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Sizes of objects.
    pub sizes: Sizes,
    pub(super) ob_type: usize,
    refcount: RefCount,
    living: Living,
    pub(super) gc_head: usize,
    pub(super) python2: bool,
    /// Where in a block an object can begin.
    pub(super) positions: Vec<usize>,
    pub(super) pool: usize,
}

impl Plan {
    /// That of the build with these fields and rules.
    ///
    /// # Errors
    /// [`crate::error::Error::NoField`].
    pub fn new(fields: &Fields, rules: &Rules) -> crate::error::Result<Plan> {
        let gc_head = rules.before.gc_head as usize;
        let mut positions = vec![0];
        if gc_head > 0 {
            positions.push(gc_head);
        }
        if rules.before.words_flags != 0 {
            positions.push(gc_head + 16);
        }
        Ok(Plan {
            sizes: Sizes::new(fields, rules),
            ob_type: fields.object.ob_type.at()? as usize,
            refcount: rules.refcount,
            living: rules.refcount.living(),
            gc_head,
            python2: rules.python2,
            positions,
            pool: rules.pool,
        })
    }

    /// Where objects have their type.
    #[inline]
    pub(super) fn type_place(&self) -> usize {
        self.ob_type
    }

    /// The word before `ob_type`: the reference count, flags included.
    #[inline]
    pub(super) fn count(&self, object: &[u8]) -> u64 {
        self.ob_type.checked_sub(8).and_then(|at| word(object, at)).unwrap_or(0)
    }

    /// The word before that: in free-threaded builds flags, `ob_gc_bits` and `ob_ref_local`.
    #[inline]
    fn flags(&self, object: &[u8]) -> u64 {
        self.ob_type.checked_sub(16).and_then(|at| word(object, at)).unwrap_or(0)
    }

    /// The object's reference count; `None` if it is immortal, or does not count all references.
    #[inline]
    pub(super) fn mortal(&self, object: &[u8]) -> Option<u64> {
        let flags = self.flags(object);
        self.refcount.mortal(self.count(object), flags).filter(|_| !self.refcount.is_deferred(flags))
    }

    /// Whether the object has a reference count that a living one can have.
    #[inline]
    pub fn alive(&self, object: &[u8]) -> bool {
        self.living.holds(self.count(object), || self.flags(object))
    }

    /// Whether threads count references to it, in free-threaded builds: what is static is immortal there
    /// (`PyObject_HEAD_INIT`), and any two pointers before one to a type would do for the counts of another.
    #[inline]
    pub(super) fn is_counted_by_threads(&self, object: &[u8]) -> bool {
        self.refcount == RefCount::Split && self.refcount.mortal(self.count(object), self.flags(object)).is_some()
    }

    /// Whether the object is in the permanent generation, where that is a flag (`_PyGC_BITS_FROZEN`).
    #[inline]
    pub(super) fn frozen(&self, object: &[u8]) -> bool {
        self.gc_head == 0 && self.flags(object) >> 24 & 8 != 0
    }

    /// Where in a block of mimalloc's an object can begin.
    pub(super) fn positions_for(&self, purpose: Purpose) -> &[usize] {
        let places = match purpose {
            Purpose::Memory => 0..0,
            Purpose::Objects => 0..1,
            Purpose::ObjectsBehindWords => 1..self.positions.len(),
        };
        self.positions.get(places).unwrap_or(&[])
    }

    /// Whether the garbage collector knows the object whose block `block` is and which begins `before`
    /// bytes into it.
    #[inline]
    pub(super) fn tracked(&self, block: &[u8], before: usize) -> bool {
        match self.gc_head {
            // gc_refs: -2 is untracked, since 3.4 (bpo-18112) above a flag bit.
            32 => {
                let refs = word(block, before - 32 + 16).unwrap_or(0) as i64;
                (if self.python2 { refs } else { refs >> 1 }) != -2
            }
            // _PyGC_BITS_TRACKED
            0 => self.flags(block.get(before..).unwrap_or(&[])) >> 24 & 1 != 0,
            head => word(block, before - head).is_some_and(|next| next != 0),
        }
    }
}
