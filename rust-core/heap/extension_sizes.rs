//! The sizes of objects of types of extension modules, by what [`crate::layout::own_sizes`] knows of them.

use super::sizes::{MOST, Pending, Sizes, What};
use super::types::{Info, TypeId};
use crate::bytes::{uint, word};
use crate::layout::RefCount;
use crate::layout::own_sizes::{OwnSize, Start, Term};
use crate::process::Source;

impl Sizes {
    /// The size of an object of an extension type.
    pub(super) fn own(
        &self,
        own: &'static OwnSize,
        (id, info): (TypeId, &Info),
        addr: u64,
        object: &[u8],
        later: &mut Vec<Pending>,
    ) -> u64 {
        let start = self.starts[usize::from(own.start == Start::HeapType)];
        let mut bytes = u64::from(info.before) + if own.fixed { start + u64::from(own.size) } else { info.basicsize };
        if own.dict {
            bytes += self.dict(id, addr, object, 0, later);
        }
        let field = |at: u16| word(object, start as usize + usize::from(at)).unwrap_or(0);
        let some = |at: u16, each: u16| field(at).min(MOST).saturating_mul(u64::from(each)).min(MOST);
        for term in own.terms {
            let (pointer, count) = match *term {
                Term::Plus(more) => {
                    bytes += u64::from(more);
                    continue;
                }
                Term::Words { at, each } => {
                    bytes += some(at, each);
                    continue;
                }
                Term::Ints { at, each } => {
                    bytes += (field(at) & 0xffff_ffff) * u64::from(each);
                    continue;
                }
                Term::Held { pointer, at, each, plus } => {
                    bytes += if field(pointer) == 0 { 0 } else { some(at, each) + u64::from(plus) };
                    continue;
                }
                Term::Digits { flags, at } => {
                    // MPD_STATIC_DATA, MPD_SHARED_DATA, MPD_CONST_DATA
                    bytes += if field(flags) & 0xe0 == 0 { some(at, 8) } else { 0 };
                    continue;
                }
                Term::Blocks { len, first, each } => {
                    let slots = field(first).min(MOST) + field(len).min(MOST);
                    bytes += slots.div_ceil(u64::from(each)).saturating_mul((u64::from(each) + 2) * 8).min(MOST);
                    continue;
                }
                Term::Array { at, descriptor } => (field(descriptor), field(at)),
                Term::Behind { pointer, .. }
                | Term::Items { pointer, .. }
                | Term::Bytes { pointer, .. }
                | Term::Text { pointer }
                | Term::Formats { pointer, .. }
                | Term::Children { pointer, .. } => (field(pointer), 0),
            };
            if pointer != 0 {
                later.push(Pending { at: pointer, of: addr, id, record: 0, what: What::Own(term), count });
            }
        }
        bytes
    }

    /// What `head`, the bytes at `one.at`, adds to the size of its object, an extension type's, by `term`.
    pub(super) fn more_own(
        &self,
        term: &Term,
        one: &Pending,
        head: &[u8],
        source: &dyn Source,
        effort: &mut usize,
    ) -> u64 {
        let some = |at: usize, each: u64| word(head, at).unwrap_or(0).min(MOST).saturating_mul(each).min(MOST);
        match *term {
            Term::Behind { at, each, plus, .. } => u64::from(plus) + some(usize::from(at), u64::from(each)),
            Term::Items { each, .. } => some(self.ob_size.offset, u64::from(each)),
            Term::Bytes { unshared, .. } => {
                if unshared && self.is_shared(head) {
                    return 0;
                }
                self.bytes[0] + 1 + some(self.ob_size.offset, 1)
            }
            Term::Text { .. } => 1 + text_length(one.at, head, source, effort),
            Term::Array { .. } => {
                // A char, then the size.
                let size = uint(head, 4, 4).unwrap_or(0);
                one.count.min(MOST).saturating_mul(size).min(MOST)
            }
            Term::Formats { each, .. } => formats(one.at, usize::from(each), source, effort),
            Term::Children { plus, .. } => {
                // attrib, length, allocated, children; then the first children.
                let inline = word(head, 24).is_some_and(|children| children == one.at.wrapping_add(32));
                u64::from(plus) + if inline { 0 } else { some(16, 8) }
            }
            Term::Plus(_)
            | Term::Words { .. }
            | Term::Ints { .. }
            | Term::Held { .. }
            | Term::Digits { .. }
            | Term::Blocks { .. } => 0,
        }
    }

    /// Whether the object that begins with `head` has more than one reference.
    fn is_shared(&self, head: &[u8]) -> bool {
        let count = (self.ob_type as usize).checked_sub(8).and_then(|at| word(head, at)).unwrap_or(0);
        match self.refcount {
            RefCount::Word => count != 1,
            RefCount::Half | RefCount::Flagged => count & 0xffff_ffff != 1,
            // ob_tid; flags and ob_ref_local; ob_ref_shared, which has two bits of flags.
            RefCount::Split => word(head, 8).is_none_or(|w| w >> 32 != 1) || count >> 2 != 0,
        }
    }
}

/// Bytes of the text at `at`, which begins with `head`, up to the 0 at its end.
fn text_length(at: u64, head: &[u8], source: &dyn Source, effort: &mut usize) -> u64 {
    let mut length = 0;
    let mut buffer = [0; 512];
    let mut have = head.len().min(buffer.len());
    buffer[..have].copy_from_slice(&head[..have]);
    loop {
        if let Some(end) = buffer[..have].iter().position(|byte| *byte == 0) {
            return length + end as u64;
        }
        length += have as u64;
        if have == 0 || *effort < buffer.len() {
            return length;
        }
        *effort -= buffer.len();
        have = source.read_some(at.wrapping_add(length), &mut buffer);
    }
}

/// Bytes of the table of entries of `each` bytes at `at`, the last of which begins with 0.
fn formats(at: u64, each: usize, source: &dyn Source, effort: &mut usize) -> u64 {
    const BATCH: usize = 16;
    let mut buffer = [0; BATCH * 32];
    let Some(buffer) = buffer.get_mut(..BATCH * each) else { return 0 };
    let mut length = 0;
    while *effort >= buffer.len() {
        *effort -= buffer.len();
        let have = source.read_some(at.wrapping_add(length), buffer);
        for entry in buffer[..have].chunks_exact(each) {
            length += each as u64;
            if word(entry, 0).is_none_or(|format| format == 0) {
                return length;
            }
        }
        if have < buffer.len() {
            break;
        }
    }
    length
}
