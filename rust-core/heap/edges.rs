//! The references of all objects of a census to other objects, as CPython counts them.
//!
//! Threads share the pools as in the scan: each window of memory is read once, in address order, and what the
//! objects keep elsewhere (lists' items, dicts' tables) is collected and read in address order too. What is not a
//! reference is left out: pointers that [`crate::layout::borrowed`] lists, values of frames above their stack's top,
//! and the dict of interned strings, which does not count its strings (`PyUnicode_InternInPlace`).
//!
//! Not seen: what C code keeps outside of objects, and frames that run. References from there are those that an
//! object's count has beyond those found.

use super::Census;
use super::holders::{Holder, holder};
use super::index::Index;
use super::reader::{Reader, Share};
use super::scan::Scanned;
use super::sizes::Sizes;
use super::tables::Places;
use super::types::Info;
use super::walk::{LOOSE, Left, Walker};
use crate::error::Result;
use crate::layout::{Fields, Rules, Slot};
use crate::objects::Objects;
use crate::process::{Source, maps};
use std::sync::atomic::AtomicU64;

/// Is told of every object and every reference, by several threads.
pub trait Visitor: Sync {
    /// An object, by its number; `bytes` begin with it.
    fn object(&self, number: u32, bytes: &[u8]);
    /// The object with the number `from` refers to what is at `to`, which need be no object of the census.
    fn reference(&self, from: u32, to: u64);
}

/// The references of the objects of a census.
pub struct Edges<'a> {
    index: &'a Index<'a>,
    census: &'a Census,
    ways: Ways,
}

/// Bytes of tables that one pass over all references may read, in a process that has touched these parts of its memory:
/// tables do not overlap, but what is damaged may.
pub(super) fn budget(populated: &[(u64, u64)]) -> AtomicU64 {
    AtomicU64::new(maps::total(populated).saturating_mul(4))
}

/// Where objects of this build have their references.
pub(super) struct Ways {
    /// By type number.
    pub(super) holders: Vec<Holder>,
    pub(super) places: Places,
    pub(super) sizes: Sizes,
    pub(super) inner: Inner,
    pub(super) pool: usize,
    pub(super) interned: (usize, usize, u64),
}

/// Where things are inside of objects of this build.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    pub(super) ob_size: usize,
    pub(super) list: usize,
    pub(super) dict: (Option<usize>, Option<usize>),
    pub(super) open_dict: Option<(usize, usize)>,
    /// `table`, `mask`, and where an entry has its key.
    pub(super) set: (usize, usize, u8),
    pub(super) deque: (usize, usize, usize),
    pub(super) ordered: (usize, usize),
    pub(super) cached_keys: Option<usize>,
    pub(super) lru_next: usize,
    pub(super) hastzinfo: usize,
    pub(super) co_cached: Option<usize>,
    pub(super) values: (usize, usize),
    /// Where a module has the words behind its dict, and its name.
    pub(super) module: (usize, usize),
    pub(super) frame: Frame,
}

/// Where things are in frames of this build.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Frames that are objects.
    pub(super) local: usize,
    pub(super) value_stack: usize,
    pub(super) stack_top: Option<usize>,
    pub(super) stack_depth: Option<usize>,
    /// `f_frame` of frame objects, `gi_iframe`, `gi_frame_state` and its value in a generator that runs.
    pub(super) f_frame: usize,
    pub(super) gi_iframe: usize,
    pub(super) state: usize,
    pub(super) executing: i64,
    /// Whether a generator that is done has nothing in its frame.
    pub(super) cleared: bool,
    /// `_PyInterpreterFrame`: strong references, variables, the top of the stack as a pointer and as a number.
    pub(super) executable: usize,
    pub(super) strong: Vec<usize>,
    pub(super) localsplus: usize,
    pub(super) pointer: Option<usize>,
    pub(super) top: Option<usize>,
    pub(super) tag: u64,
}

/// Where a field is, if this build has it.
pub(super) fn at(slot: &Slot) -> Option<usize> {
    slot.at().ok().and_then(|at| usize::try_from(at).ok())
}

/// Beyond every object.
pub(super) const NOWHERE: usize = usize::MAX / 2;

impl Inner {
    fn new(fields: &Fields, rules: &Rules) -> Inner {
        let or = |slot: &Slot| at(slot).unwrap_or(NOWHERE);
        let (frame, iframe) = (&fields.frame, &fields.iframe);
        Inner {
            ob_size: or(&fields.var.ob_size),
            list: or(&fields.list.ob_item),
            dict: (at(&fields.dict.ma_keys), at(&fields.dict.ma_values)),
            open_dict: at(&fields.dict.ma_table).zip(at(&fields.dict.ma_mask)),
            set: (or(&fields.set.table), or(&fields.set.mask), at(&fields.setentry.key).unwrap_or(0) as u8),
            deque: (
                or(&fields.deque.leftblock),
                or(&fields.deque.leftindex),
                // A deque has had its length in ob_size since 3.5.
                at(&fields.deque.len).unwrap_or(or(&fields.var.ob_size)),
            ),
            ordered: (or(&fields.odict.od_first), or(&fields.dict.ma_used)),
            // A hash lies before it.
            hastzinfo: or(&fields.object.size) + 8,
            lru_next: or(&fields.object.size) + 8,
            cached_keys: at(&fields.heap_type.ht_cached_keys),
            co_cached: at(&fields.code.co_cached),
            values: (or(&fields.values.capacity), or(&fields.values.values)),
            module: (or(&fields.module.md_dict).saturating_add(8), or(&fields.module.md_name)),
            frame: Frame {
                local: or(&frame.f_localsplus),
                value_stack: or(&frame.f_valuestack),
                stack_top: at(&frame.f_stacktop),
                stack_depth: at(&frame.f_stackdepth),
                f_frame: or(&frame.f_frame),
                gi_iframe: or(&fields.generator.gi_iframe),
                state: or(&fields.generator.gi_frame_state),
                cleared: fields.generator.gi_code.exists(),
                executing: rules.frame_executing,
                executable: or(&iframe.executable),
                strong: [&iframe.funcobj, &iframe.locals, &iframe.frame_obj].into_iter().filter_map(at).collect(),
                localsplus: or(&iframe.localsplus),
                pointer: at(&iframe.stackpointer),
                top: at(&iframe.stacktop),
                tag: rules.stackref_tag,
            },
        }
    }
}

impl Ways {
    /// Those of objects of these types, by number.
    pub fn new<'i>(objects: &Objects, types: impl Iterator<Item = &'i Info>) -> Ways {
        let (fields, rules) = (&objects.layout.fields, &objects.layout.rules);
        // SSTATE_INTERNED_MORTAL is 1 in all versions.
        let interned = if rules.python2 {
            // ob_sstate lies before ob_sval.
            (at(&fields.str2.ob_sval).unwrap_or(4).saturating_sub(4), 4, u64::from(u32::MAX))
        } else if rules.free_threaded {
            (at(&fields.ascii.state).unwrap_or(0), 1, 0xff)
        } else {
            (at(&fields.ascii.state).unwrap_or(0), 1, 3)
        };
        Ways {
            holders: types.map(|info| holder(objects, info)).collect(),
            places: Places::new(fields, rules),
            sizes: Sizes::new(fields, rules),
            inner: Inner::new(fields, rules),
            pool: rules.pool,
            interned,
        }
    }

    /// Adds those of objects of more types.
    pub fn extend<'i>(&mut self, objects: &Objects, more: impl Iterator<Item = &'i Info>) {
        self.holders.extend(more.map(|info| holder(objects, info)));
    }
}

impl<'a> Edges<'a> {
    /// Those of `census`, whose objects have the numbers of `index`.
    pub fn new(objects: &Objects, census: &'a Census, index: &'a Index<'a>) -> Edges<'a> {
        Edges { index, census, ways: Ways::new(objects, census.types.iter().map(|(info, _)| info)) }
    }

    /// Tells `visitor` of all objects and references; how many bytes of tables could not be read or were more than
    /// memory can hold.
    ///
    /// # Errors
    /// [`crate::error::Error::Interrupted`].
    pub fn visit<V: Visitor>(&self, objects: &Objects, visitor: &V) -> Result<u64> {
        let memory = &objects.memory;
        let bulk = memory.bulk();
        let reader = bulk.as_deref().map_or(Reader::Single(&**memory), Reader::Shared);
        let budget = budget(&memory.populated());
        let (windows, loose) = (self.census.scanned.windows.len(), self.census.scanned.loose.len());
        let work = |source: &dyn Source, share: &Share<'_>| {
            let mut walker = Walker::new(&self.ways, visitor, source, &budget);
            while let Some(unit) = share.next() {
                if let Some(window) = self.census.scanned.windows.get(unit) {
                    walker.window(window, self.index.first_of(unit));
                } else {
                    let Scanned { loose, statics, .. } = &self.census.scanned;
                    walker.loose(loose, (unit - windows) * LOOSE, self.index.first_loose(), statics);
                }
                if walker.is_full() {
                    walker.rest(&|| share.goes_on());
                }
            }
            walker.rest(&|| share.goes_on());
            walker.into_left()
        };
        let made = reader.share(windows + loose.div_ceil(LOOSE), &work, &|| memory.poll().is_ok());
        memory.poll()?;
        let mut left = Left::default();
        made.parts.into_iter().for_each(|more| left.add(more));
        let walker = Walker::new(&self.ways, visitor, reader.source(), &budget);
        let missing = walker.finish(left, &|| memory.poll().is_ok());
        memory.poll()?;
        Ok(missing)
    }
}
