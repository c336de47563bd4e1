//! What an offset cannot say: how things are coded, per generation of CPython.

use super::native_names::{NativeName, native_names};
use super::opcodes::Opcodes;
use super::own_sizes::OwnSizes;
use crate::locate::Version;

/// How Python frames are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    /// Heap objects linked by `f_back` (3.10 and older).
    Objects,
    /// `_PyInterpreterFrame` in the thread's data stack (3.11, bpo-44590).
    Interpreter {
        /// Frames whose `owner` is at least this are no Python frames: 3.12 and 3.13 mark the
        /// entry frame of an evaluation loop with `FRAME_OWNED_BY_CSTACK` (3), 3.14 and later with
        /// `FRAME_OWNED_BY_INTERPRETER` (3). 3.11 has none.
        shim_owner: Option<u8>,
    },
}

/// How a code object maps instructions to lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineTable {
    /// `co_lnotab`, unsigned line steps (2.7).
    LnotabUnsigned,
    /// `co_lnotab`, signed line steps (3.6, bpo-26107).
    LnotabSigned,
    /// `co_linetable` of 3.10 (PEP 626): pairs of code size and line step.
    Lines310,
    /// `co_linetable` of 3.11 (PEP 657): locations as variable-length integers.
    Locations,
}

/// How an `int` is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ints {
    /// The sign is that of `ob_size`.
    SignedSize,
    /// `lv_tag`: digits << 3 | sign (3.12, gh-101291).
    Tagged,
}

/// How text is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// 2.7: `str` is bytes, `unicode` points at 2- or 4-byte units.
    Python2,
    /// PEP 393.
    Flexible,
}

/// How a dict's entries are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DictKeys {
    /// One open table of (hash, key, value) (2.7).
    OpenTable,
    /// Indices whose width follows from `dk_size` (3.6, bpo-27350).
    Sized,
    /// `dk_log2_size`, `dk_log2_index_bytes`, `dk_kind` (3.11, bpo-46845).
    Log2,
}

/// Where an instance's attributes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceDict {
    /// At `tp_dictoffset` only.
    Offset,
    /// 3.11: for `Py_TPFLAGS_MANAGED_DICT` types, values 4 words and dict 3 words before.
    Words311,
    /// 3.12: one word, 3 before: a dict, or values with the low bit set.
    Word312,
    /// 3.13 (gh-115776): a dict pointer this many words before, inline values after the object.
    Inline {
        /// 3, or 1 in free-threaded builds.
        words_before: u64,
    },
}

/// Where the GIL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GilPlace {
    /// A lock of `thread_pthread.h` that a static variable points at (2.7).
    Lock,
    /// Static variables of `ceval_gil.h` (3.6 and older).
    ImageData,
    /// `_gil_runtime_state`, in the runtime (3.7, bpo-30860) or in an interpreter (3.12, PEP 684).
    Struct,
}

/// Where the garbage collector keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collector {
    /// Static variables of `gcmodule.c` (3.6 and older).
    Statics,
    /// `_gc_runtime_state`, in the runtime (3.7, bpo-30860) or in each interpreter (3.9, bpo-36854).
    Struct,
    /// The same, and what its lists mean is not said by the version: 3.14.0 to 3.14.4 collect
    /// incrementally (`young`, `old[0]`, `old[1]`), later ones by generations (gh-148726), in the same
    /// places. `generation0` points at the first list only where there are generations.
    MaybeIncremental,
}

/// How the collector keeps what it counted of its collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcStats {
    /// Not at all (3.3 and older).
    None,
    /// One `gc_generation_stats` for each generation.
    Array,
    /// A pointer to a ring of the latest ones for each generation, of so many items, with the index of
    /// the newest behind them (3.15, gh-146527).
    Rings([u64; 3]),
}

/// What `ob_refcnt` of a living object can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefCount {
    /// A word, at least 1 (3.11 and older).
    Word,
    /// A word of which 32 bits count; all of them set is immortal (3.12, PEP 683).
    Half,
    /// 32 bits, then 16 of an overflow that is 0, then flags (3.14, gh-125174). Objects on free lists
    /// keep a pointer here.
    Flagged,
    /// `ob_ref_local` and `ob_ref_shared` (free-threaded builds, PEP 703).
    Split,
}

/// `_Py_IMMORTAL_REFCNT_LOCAL`.
const LOCAL_IMMORTAL: u64 = 0xffff_ffff;

/// `ob_ref_local` and `ob_ref_shared`, whose low bits are flags, together. A part may be negative.
#[inline]
fn split(shared: u64, flags: u64) -> i64 {
    (flags >> 32) as i64 + (shared as i64 >> 2)
}

/// What the words before `ob_type` of living objects can be: the test of a [`RefCount`], without a jump by version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Living {
    /// So many values from 1 on, in these bits of the word before it.
    Word {
        /// The bits.
        bits: u64,
        /// How many values.
        values: u64,
    },
    /// Two words tell together ([`RefCount::Split`]).
    Split,
}

impl Living {
    /// Whether a living object can have this word before its `ob_type`, and `flags` before that.
    #[inline]
    pub fn holds(self, word: u64, flags: impl FnOnce() -> u64) -> bool {
        match self {
            Living::Word { bits, values } => (word & bits).wrapping_sub(1) < values,
            Living::Split => {
                let flags = flags();
                flags >> 32 == LOCAL_IMMORTAL || split(word, flags) > 0
            }
        }
    }
}

impl RefCount {
    /// What living objects can have.
    pub fn living(self) -> Living {
        let word = |bits, values| Living::Word { bits, values };
        match self {
            RefCount::Word => word(u64::MAX, (1 << 32) - 1),
            RefCount::Half => word(u64::MAX, (1 << 33) - 1),
            RefCount::Flagged => word(0xffff_ffff_ffff, (1 << 32) - 1),
            RefCount::Split => Living::Split,
        }
    }

    /// The count in this word before `ob_type`, and `flags` before that; `None` if the object is immortal.
    #[inline]
    pub fn mortal(self, word: u64, flags: u64) -> Option<u64> {
        match self {
            RefCount::Word => Some(word),
            // Immortal are those whose lower half is negative (PEP 683).
            RefCount::Half | RefCount::Flagged => Some(word & 0xffff_ffff).filter(|count| count >> 31 == 0),
            RefCount::Split if flags >> 32 == LOCAL_IMMORTAL => None,
            RefCount::Split => Some(u64::try_from(split(word, flags)).unwrap_or(0)),
        }
    }

    /// Whether some references to an object with `flags` before its count do not count
    /// (`_PyGC_BITS_DEFERRED`, PEP 703).
    #[inline]
    pub fn is_deferred(self, flags: u64) -> bool {
        self == RefCount::Split && flags >> 24 & 0x40 != 0
    }
}

/// What lies before an object in its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Bytes of `PyGC_Head`: 32, since 3.8 (bpo-33597) 16, none in free-threaded builds.
    pub gc_head: u64,
    /// `tp_flags` of types whose objects have two more words before that: for the attributes' dict
    /// (3.11), and for weak references (3.12).
    pub words_flags: u64,
}

/// What `__sizeof__` of a code object adds (`code_sizeof` in `Objects/codeobject.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeSize {
    /// Bytes of `_PyCodeObjectExtra` without its items.
    pub extra_head: u64,
    /// A cache of opcodes lies behind `co_extra`: a map, the cache, a flag, its size (3.8, bpo-26219,
    /// to 3.10).
    pub cache: bool,
    /// The instructions are in the object, and its size is a multiple of a word (3.11).
    pub rounded: bool,
}

/// The rules of one build.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Frames.
    pub frames: Frames,
    /// Line tables.
    pub lines: LineTable,
    /// Bytes that one step of `f_lasti` means: 1, or 2 in 3.10 (bpo-27129).
    pub lasti_unit: i64,
    /// What instructions do to the value stack.
    pub opcodes: Option<&'static Opcodes>,
    /// Bits to clear in a `_PyStackRef` (3.14, gh-117139): deferred and integer tags.
    pub stackref_tag: u64,
    /// Integers.
    pub ints: Ints,
    /// Text.
    pub text: Text,
    /// Dicts.
    pub keys: DictKeys,
    /// A split table's values are in the order of its keys, without an order of their own
    /// (3.10 and older).
    pub values_in_key_order: bool,
    /// Attributes.
    pub attributes: InstanceDict,
    /// Outside of functions, `f_locals` is the namespace alone, or, while a comprehension that was
    /// inlined there runs, the fast locals alone (3.13, PEP 667); before, both were merged.
    pub namespace_locals: bool,
    /// Where the GIL is.
    pub gil: GilPlace,
    /// Where the garbage collector keeps its state.
    pub collector: Collector,
    /// Bits of `_gc_next` and `_gc_prev` that are no part of the pointer (3.8, bpo-33597): whether the
    /// object was finalised, is being collected, is unreachable; 3.14.0's old space.
    pub gc_link_tag: u64,
    /// What the collector counts.
    pub gc_stats: GcStats,
    /// C functions that mean something in a backtrace with names.
    pub native_names: &'static [NativeName],
    /// Attribute storage is there for every instance, even while it is empty (3.11 and later).
    pub attributes_always: bool,
    /// Python 2: its types and its way to write values.
    pub python2: bool,
    /// A free-threaded build.
    pub free_threaded: bool,
    /// The size of an `int` counts one digit at least (3.11.2, gh-101266).
    pub int_digit: bool,
    /// `sys.getsizeof` counts a `PyGC_Head` for static types too, which have none (3.11 and 3.12: by their type's flags,
    /// `_PyType_PreHeaderSize`).
    pub static_type_head: bool,
    /// What `__sizeof__` of a code object adds.
    pub code_size: CodeSize,
    /// Types of extension modules with a `__sizeof__` of their own.
    pub own_sizes: OwnSizes,
    /// A bytearray keeps its bytes in a `bytes` object (3.15, gh-139871).
    pub bytearray_of_bytes: bool,
    /// `gi_frame_state` of a generator that runs; larger is one that is done
    /// (`FRAME_EXECUTING`; the states have other numbers since 3.15).
    pub frame_executing: i64,
    /// Reference counts.
    pub refcount: RefCount,
    /// What lies before an object.
    pub before: Before,
    /// Bytes of a pool of the allocator for small blocks.
    pub pool: usize,
    /// `repr` of an exception with one argument ends in a comma (3.6 and older, bpo-30399).
    pub exception_comma: bool,
    /// `repr` of a `timedelta` names its parts (3.7, bpo-30302).
    pub timedelta_keywords: bool,
}

/// The rules for `version`, or `None` for one that is not known. A 32-byte header means a
/// free-threaded build from 3.13 on; before, it means `Py_TRACE_REFS`.
pub fn rules(version: &Version, header: u64) -> Option<Rules> {
    let minor = match (version.major, version.minor) {
        (2, 7) => 0,
        (3, minor @ 6..=15) => minor,
        _ => return None,
    };
    let free_threaded = minor >= 13 && header == 32;
    Some(Rules {
        frames: match minor {
            0..=10 => Frames::Objects,
            11 => Frames::Interpreter { shim_owner: None },
            _ => Frames::Interpreter { shim_owner: Some(3) },
        },
        lines: match minor {
            0 => LineTable::LnotabUnsigned,
            1..=9 => LineTable::LnotabSigned,
            10 => LineTable::Lines310,
            _ => LineTable::Locations,
        },
        lasti_unit: if minor == 10 { 2 } else { 1 },
        opcodes: Opcodes::of(version.major, version.minor),
        stackref_tag: match minor {
            14.. => 3,
            13 if free_threaded => 1,
            _ => 0,
        },
        ints: if minor >= 12 { Ints::Tagged } else { Ints::SignedSize },
        text: if minor == 0 { Text::Python2 } else { Text::Flexible },
        keys: match minor {
            0 => DictKeys::OpenTable,
            1..=10 => DictKeys::Sized,
            _ => DictKeys::Log2,
        },
        values_in_key_order: minor <= 10,
        attributes: match minor {
            0..=10 => InstanceDict::Offset,
            11 => InstanceDict::Words311,
            12 => InstanceDict::Word312,
            _ => InstanceDict::Inline { words_before: if free_threaded { 1 } else { 3 } },
        },
        namespace_locals: minor >= 13,
        gil: match minor {
            0 => GilPlace::Lock,
            1..=6 => GilPlace::ImageData,
            _ => GilPlace::Struct,
        },
        collector: match minor {
            0..=6 => Collector::Statics,
            14 => Collector::MaybeIncremental,
            _ => Collector::Struct,
        },
        gc_link_tag: if minor >= 8 { 3 } else { 0 },
        gc_stats: match minor {
            0 => GcStats::None,
            15.. => GcStats::Rings([11, 3, 3]),
            _ => GcStats::Array,
        },
        native_names: native_names(minor),
        attributes_always: minor >= 11,
        python2: minor == 0,
        free_threaded,
        int_digit: minor >= 11,
        static_type_head: matches!(minor, 11 | 12),
        code_size: CodeSize {
            extra_head: if minor == 6 { 0 } else { 8 },
            cache: (8..=10).contains(&minor),
            rounded: minor >= 11,
        },
        own_sizes: OwnSizes(minor),
        bytearray_of_bytes: minor >= 15,
        frame_executing: if minor >= 15 { 4 } else { 0 },
        refcount: match minor {
            _ if free_threaded => RefCount::Split,
            0..=11 => RefCount::Word,
            12 | 13 => RefCount::Half,
            _ => RefCount::Flagged,
        },
        before: Before {
            gc_head: match minor {
                _ if free_threaded => 0,
                0..=7 => 32,
                _ => 16,
            },
            words_flags: match minor {
                0..=10 => 0,
                11 => 1 << 4,
                _ => 1 << 4 | 1 << 3,
            },
        },
        pool: match minor {
            // A page of mimalloc's for small blocks.
            _ if free_threaded => 65536,
            10.. => 16384,
            _ => 4096,
        },
        exception_comma: minor <= 6,
        timedelta_keywords: minor >= 7,
    })
}
