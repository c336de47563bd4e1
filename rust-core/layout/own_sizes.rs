//! What types of the standard library's extension modules add in their `__sizeof__`.
//!
//! These structs are private to their modules: no debug offsets have them, and DWARF of the interpreter's
//! image has few of them. But they change rarely, and `tp_basicsize` tells one form from the next: a type
//! whose size is none of those here is not decoded.

/// Where a struct begins in its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Behind `PyObject`.
    Header,
    /// Behind `PyHeapTypeObject`, aligned to 16 (`PyObject_GetTypeData`).
    HeapType,
}

/// One part of what `__sizeof__` adds. Places are bytes from the [`Start`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the variants' texts say what their numbers are
pub enum Term {
    /// So many bytes.
    Plus(u16),
    /// The word at `at`, `each` bytes for each.
    Words { at: u16, each: u16 },
    /// The `int` at `at`, `each` bytes for each.
    Ints { at: u16, each: u16 },
    /// If there is something at the pointer: `plus` bytes, and `each` for each that the word at `at` counts.
    Held { pointer: u16, at: u16, each: u16, plus: u16 },
    /// The same, but the word lies `at` bytes behind the pointer.
    Behind { pointer: u16, at: u16, each: u16, plus: u16 },
    /// `each` bytes for each item of the object behind the pointer.
    Items { pointer: u16, each: u16 },
    /// The `bytes` behind the pointer; if `unshared`, only if nobody else has it.
    Bytes { pointer: u16, unshared: bool },
    /// The text behind the pointer, with the 0 at its end.
    Text { pointer: u16 },
    /// `array`: as many items as the word at `at` says, whose size is in the descriptor.
    Array { at: u16, descriptor: u16 },
    /// `Struct`: a table of entries of `each` bytes, the last of which begins with 0.
    Formats { pointer: u16, each: u16 },
    /// `Element`: `plus` bytes with the first children, or with a table of them somewhere else.
    Children { pointer: u16, plus: u16 },
    /// `Decimal`: words of digits, unless the flags say that they are in the object.
    Digits { flags: u16, at: u16 },
    /// `deque`: blocks of `each` pointers and two links, of which the first `first` slots are free.
    Blocks { len: u16, first: u16, each: u16 },
}

/// A type with a `__sizeof__` of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnSize {
    /// `tp_name`.
    pub name: &'static str,
    /// The first and the last minor version of 3 that have it so; 0 is 2.7.
    minors: (u8, u8),
    /// Where the struct begins.
    pub start: Start,
    /// Bytes of the struct from there. With them `tp_basicsize` is complete.
    pub size: u16,
    /// `__sizeof__` begins with `sizeof` of the struct, not with `tp_basicsize`: they differ for subclasses.
    pub fixed: bool,
    /// It is a `dict`, whose bytes count too.
    pub dict: bool,
    /// What is added.
    pub terms: &'static [Term],
}

/// A type whose struct begins behind `PyObject`.
const fn own(name: &'static str, minors: (u8, u8), size: u16, terms: &'static [Term]) -> OwnSize {
    OwnSize { name, minors, start: Start::Header, size, fixed: false, dict: false, terms }
}

const BUFFERED: &[Term] = &[Term::Held { pointer: 40, at: 104, each: 1, plus: 0 }];
/// `PyMemoTable` is four words, its entries two each.
const MEMO: Term = Term::Behind { pointer: 0, at: 16, each: 16, plus: 32 };
const POOLS: &[Term] = &[Term::Items { pointer: 0, each: 8 }];
const INDICES: &[Term] = &[Term::Words { at: 24, each: 8 }];

/// An `Unpickler`: where the memo's size, the line, encoding and errors, and the size of the marks are.
macro_rules! unpickler {
    ($line:literal, $encoding:literal, $marks:literal) => {
        &[
            Term::Words { at: 16, each: 8 },
            Term::Words { at: $marks, each: 8 },
            Term::Text { pointer: $line },
            Term::Text { pointer: $encoding },
            Term::Text { pointer: $encoding + 8 },
        ]
    };
}

/// `StgInfo`: where the number of fields, their types, the format and the number of dimensions are.
macro_rules! storage {
    ($length:literal, $elements:literal, $format:literal $(, $plus:expr)?) => {
        &[
            $($plus,)?
            Term::Held { pointer: $elements, at: $length, each: 8, plus: 8 },
            Term::Text { pointer: $format },
            Term::Ints { at: $format + 8, each: 8 },
        ]
    };
}

const ALL: &[OwnSize] = &[
    own("_io.BufferedReader", (0, 15), 136, BUFFERED),
    own("_io.BufferedWriter", (0, 15), 136, BUFFERED),
    own("_io.BufferedRandom", (0, 15), 136, BUFFERED),
    own("_io.BytesIO", (0, 0), 48, &[Term::Held { pointer: 0, at: 24, each: 1, plus: 0 }]),
    own("_io.BytesIO", (6, 15), 48, &[Term::Bytes { pointer: 0, unshared: true }]),
    own("collections.deque", (0, 0), 64, &[Term::Blocks { len: 32, first: 16, each: 62 }]),
    own("collections.deque", (6, 10), 64, &[Term::Blocks { len: 0, first: 24, each: 64 }]),
    // numfreeblocks, and the blocks, which are not counted (3.11).
    own("collections.deque", (11, 15), 200, &[Term::Blocks { len: 0, first: 24, each: 64 }]),
    own("array.array", (0, 0), 40, &[Term::Array { at: 16, descriptor: 24 }]),
    own("array.array", (6, 15), 48, &[Term::Array { at: 16, descriptor: 24 }]),
    own("Struct", (0, 0), 40, &[Term::Formats { pointer: 16, each: 24 }]),
    own("Struct", (6, 8), 40, &[Term::Formats { pointer: 16, each: 32 }]),
    own("_struct.Struct", (9, 14), 40, &[Term::Formats { pointer: 16, each: 32 }]),
    own("_struct.Struct", (15, 15), 48, &[Term::Formats { pointer: 16, each: 32 }]),
    own("_pickle.Pickler", (6, 7), 120, &[MEMO, Term::Bytes { pointer: 40, unshared: false }]),
    // reducer_override and buffer_callback (3.8, bpo-35900, PEP 574).
    own("_pickle.Pickler", (8, 15), 136, &[MEMO, Term::Bytes { pointer: 48, unshared: false }]),
    // The first releases of 3.13 kept one word less for persistent_id.
    own("_pickle.Pickler", (13, 13), 128, &[MEMO, Term::Bytes { pointer: 40, unshared: false }]),
    own("_pickle.Unpickler", (6, 7), 240, unpickler!(136, 192, 224)),
    own("_pickle.Unpickler", (8, 13), 256, unpickler!(136, 208, 240)),
    own("_pickle.Unpickler", (13, 13), 248, unpickler!(128, 200, 232)),
    own("_pickle.Unpickler", (13, 14), 280, unpickler!(136, 224, 256)),
    own("_pickle.Unpickler", (15, 15), 288, unpickler!(144, 232, 264)),
    own("decimal.Decimal", (6, 15), 88, &[Term::Digits { flags: 8, at: 40 }]),
    own("xml.etree.ElementTree.Element", (6, 15), 40, &[Term::Children { pointer: 24, plus: 64 }]),
    own("itertools.product", (6, 15), 32, POOLS),
    own("itertools.combinations", (6, 15), 40, INDICES),
    own("itertools.combinations_with_replacement", (6, 15), 40, INDICES),
    own("itertools.permutations", (6, 15), 48, &[Term::Items { pointer: 0, each: 8 }, Term::Words { at: 32, each: 8 }]),
    OwnSize { fixed: true, ..own("_queue.SimpleQueue", (15, 15), 56, &[Term::Words { at: 32, each: 8 }]) },
    // What a subclass has in addition to a dict counts twice.
    OwnSize { dict: true, ..own("StgDict", (7, 12), 176, storage!(48, 72, 152, Term::Plus(144))) },
    OwnSize { start: Start::HeapType, ..own("_ctypes.CType_Type", (13, 13), 160, storage!(24, 48, 136)) },
    OwnSize { start: Start::HeapType, ..own("_ctypes.CType_Type", (14, 15), 176, storage!(24, 48, 144)) },
];

/// The types with a `__sizeof__` of their own that a build can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnSizes(pub(super) u8);

impl OwnSizes {
    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = &'static OwnSize> {
        ALL.iter().filter(move |one| (one.minors.0..=one.minors.1).contains(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_size_mean_one_struct() {
        for minor in [0, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
            let all: Vec<_> = OwnSizes(minor).each().map(|one| (one.name, one.size)).collect();
            for (i, one) in all.iter().enumerate() {
                assert!(!all[..i].contains(one), "{one:?} twice in 3.{minor}");
            }
        }
    }
}
