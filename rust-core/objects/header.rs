//! What stands in and before an object's header: references, and what the garbage collector keeps there.

use super::{Kind, Objects, Type, flag};
use crate::bytes::Addr;
use crate::error::Result;
use crate::layout::RefCount;

/// Bits of `_gc_prev` (3.8 and later), of `gc_refs` before (`_PyGC_PREV_MASK_FINALIZED`,
/// `_PyGC_REFS_MASK_FINALIZED`), and of `ob_gc_bits` in free-threaded builds.
mod bit {
    pub const FINALIZED: u64 = 1;
    pub const COLLECTING: u64 = 2;
    pub const FREE_THREADED_TRACKED: u64 = 1;
    pub const FREE_THREADED_FINALIZED: u64 = 2;
    pub const FREE_THREADED_UNREACHABLE: u64 = 4;
    pub const FREE_THREADED_FROZEN: u64 = 8;
}

/// `gc_refs` of 3.7 and older.
mod refs {
    pub const UNTRACKED: i64 = -2;
    pub const REACHABLE: i64 = -3;
}

/// What the garbage collector keeps of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collected {
    /// It is in one of the collector's lists.
    pub tracked: bool,
    /// Its finalizer has run, where that is kept.
    pub finalized: Option<bool>,
    /// A collection that is under way has it in hand.
    pub collecting: bool,
    /// `gc.freeze` has had it, where that is no list.
    pub frozen: bool,
}

impl Objects {
    /// The references to the object at `addr`; `None` if it is immortal.
    ///
    /// # Errors
    /// [`crate::error::Error::Fault`], [`crate::error::Error::NoField`].
    pub fn references(&self, addr: Addr) -> Result<Option<u64>> {
        let (word, flags) = self.count(addr)?;
        Ok(self.layout.rules.refcount.mortal(word, flags))
    }

    /// The word before `ob_type`, and where the count is in two parts that before it.
    fn count(&self, addr: Addr) -> Result<(u64, u64)> {
        let at = addr + self.layout.object.ob_type.at()?.saturating_sub(8);
        let split = self.layout.rules.refcount == RefCount::Split;
        Ok((self.memory.uint(at, 8)?, if split { self.memory.uint(at - 8, 8)? } else { 0 }))
    }

    /// Whether there is a reference count at `addr` that a living object can have.
    pub fn is_alive(&self, addr: Addr) -> bool {
        self.count(addr).is_ok_and(|(word, flags)| self.layout.rules.refcount.living().holds(word, || flags))
    }

    /// What the garbage collector keeps of the object at `addr` of type `ty`; `None` for objects that it
    /// never knows.
    ///
    /// # Errors
    /// [`crate::error::Error::Fault`].
    pub fn collected(&self, addr: Addr, ty: &Type) -> Result<Option<Collected>> {
        // Classes of the interpreter's image have no such header (type_is_gc, typeobject.c).
        if ty.flags & flag::HAVE_GC == 0 || ty.kind == Kind::Type && !self.type_at(addr)?.heap {
            return Ok(None);
        }
        let rules = &self.layout.rules;
        let head = rules.before.gc_head;
        Ok(Some(match head {
            0 => {
                // ob_gc_bits, the byte before ob_ref_local.
                let bits = self.memory.uint(addr + self.layout.object.ob_type.at()?.saturating_sub(13), 1)?;
                Collected {
                    tracked: bits & bit::FREE_THREADED_TRACKED != 0,
                    finalized: Some(bits & bit::FREE_THREADED_FINALIZED != 0),
                    collecting: bits & bit::FREE_THREADED_UNREACHABLE != 0,
                    frozen: bits & bit::FREE_THREADED_FROZEN != 0,
                }
            }
            32 => {
                let raw = self.memory.uint(addr - head + 16, 8)? as i64;
                let state = if rules.python2 { raw } else { raw >> 1 };
                Collected {
                    tracked: state != refs::UNTRACKED,
                    // bpo-18112 (3.4).
                    finalized: (!rules.python2).then_some(raw as u64 & bit::FINALIZED != 0),
                    collecting: state != refs::UNTRACKED && state != refs::REACHABLE,
                    frozen: false,
                }
            }
            head => {
                let previous = self.memory.uint(addr - head + 8, 8)?;
                Collected {
                    tracked: self.memory.uint(addr - head, 8)? != 0,
                    finalized: Some(previous & bit::FINALIZED != 0),
                    collecting: previous & bit::COLLECTING != 0,
                    frozen: false,
                }
            }
        }))
    }
}
