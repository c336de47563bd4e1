//! Every cap on what the target can make this library do, in one place.
//!
//! Sizes, counts and chains in the target are claims, not facts: each walk stops at its cap and
//! says so.

/// Interpreters in one runtime.
pub const INTERPRETERS: usize = 4096;
/// Thread states in one interpreter.
pub const THREADS: usize = 65_536;
/// Python frames in one thread. The deepest recursion that CPython allows by default is 1,000;
/// programs raise it to some 100,000.
pub const FRAMES: usize = 400_000;
/// Python frames in all threads of one stop.
pub const FRAMES_TOTAL: usize = 1 << 20;
/// Names in one code object.
pub const CODE_NAMES: usize = 65_536;
/// Characters of all names of one code object.
pub const CODE_NAME_CHARS: usize = 1 << 20;
/// Bytes that all code objects of one stop may take here: many can share one tuple of names and one
/// line table.
pub const CODES: usize = 48 << 20;
/// Types that are remembered.
pub const TYPES: usize = 1 << 16;
/// Bytes of one line table.
pub const LINE_TABLE: usize = 1 << 20;
/// Bytes of the instructions of one code object that are followed to know how deep its value stack
/// is. The largest of the standard library has 60,000.
pub const CODE_BYTES: usize = 1 << 19;
/// Bytes of instructions, and states of the value stack at them, that are looked at in one stop, all
/// code objects taken together.
pub const STACK_STATES_TOTAL: usize = 1 << 22;
/// Ways to be at one instruction. Five occur: three ways into a `finally`, nested.
pub const STACK_STATES: usize = 24;
/// Slots of one frame's value stack.
pub const STACK_SLOTS: usize = 1 << 12;
/// Methods in the C table of one type.
pub const METHODS: usize = 1024;
/// Bytes of a C string such as `tp_name`.
pub const C_STRING: usize = 512;
/// Bases between a type and `object`.
pub const BASES: usize = 256;
/// Entries of one dict or set that a walk looks at.
pub const DICT_ENTRIES: usize = 16 << 20;
/// Table entries that are looked at to show one value: sets and dicts may claim billions of empty
/// ones.
pub const REPR_ENTRIES: usize = 1 << 20;
/// Characters of one value in the answers, unless the user asks for more.
pub const VALUE_CHARS: usize = 1024;
/// Characters of one variable in the text of a stack.
pub const STACK_VALUE_CHARS: usize = 160;
/// Characters of one value when the user asks for all of it.
pub const VALUE_CHARS_MAX: usize = 4 << 20;
/// Digits (of 30 bits) of an int that is converted to decimal; of longer ones only the size is told.
pub const INT_DIGITS: usize = 4096;
/// Work that the values of one answer may take beside what their characters take, in steps of some
/// nanoseconds: tables of empty entries, slots without values, digits of long ints.
pub const EFFORT: usize = 1 << 29;
/// Work that an entry of a dict or set takes.
pub const ENTRY_EFFORT: usize = 16;
/// Work that a variable without a value takes.
pub const SLOT_EFFORT: usize = 4;
/// Characters of a name (function, file, variable, type).
pub const NAME_CHARS: usize = 4096;
/// Pages that the page cache keeps.
pub const CACHE_PAGES: usize = 4096;
/// Characters of all values of one answer.
pub const ANSWER_CHARS: usize = 64 << 20;
/// Remarks that one answer carries.
pub const DIAGNOSTICS: usize = 200;
/// Bytes of one source file that is read to show a line.
pub const SOURCE_FILE: u64 = 32 << 20;
/// Bytes of all source files that are kept.
pub const SOURCES: u64 = 256 << 20;
/// Bytes of the program headers of a core, and of its notes.
pub const MAPS: usize = 64 << 20;
/// Mappings of one target. Kernels allow 65,530 unless told otherwise, some distributions 2^20.
pub const REGIONS: usize = 1 << 20;
/// Mapped files that are looked at. Each costs an open file and a few reads; the largest programs
/// load some thousands.
pub const MODULES: usize = 1 << 14;
/// Native frames in one thread.
pub const NATIVE_FRAMES: usize = 200_000;
/// Native frames in all threads of one answer.
pub const NATIVE_FRAMES_TOTAL: usize = 1 << 20;
/// Objects in one list of the garbage collector: as many as 16 GiB of the smallest tracked ones.
pub const GC_OBJECTS: u64 = 1 << 28;
/// Bytes that are held of a linked list while it is followed, where it is in the order of memory.
pub const CHAIN_NEAR: u64 = 16 << 20;
/// The same, where it is in no order: with less, each link of a long one is a read of its own.
pub const CHAIN: u64 = 256 << 20;
/// Callbacks of the garbage collector that are shown.
pub const GC_CALLBACKS: usize = 256;
/// Objects of `gc.garbage` that are shown, where the user asks for all.
pub const GC_GARBAGE: usize = 1 << 20;
/// Bytes of writable image data that a structural scan reads.
pub const SCAN: u64 = 512 << 20;
/// Bytes of an ELF file that is looked at. Sparse files claim any size.
pub const ELF_FILE: u64 = 8 << 30;
/// Bytes that are read of one ELF file for its headers, notes, symbols and unwind tables.
pub const ELF_READ: u64 = 512 << 20;
/// Symbols of one image that are kept. Those that are asked for are some tens.
pub const SYMBOLS: usize = 4096;
/// Bytes of the unwind tables of one target.
pub const UNWIND_TABLES: usize = 512 << 20;
/// Bytes of one read of the target.
pub const READ: usize = DICT_ENTRIES * 8;
/// Bytes of a mapping of which it is asked what was ever touched: of a larger one all may have been.
pub const MAPPING: u64 = 256 << 30;
/// Places of segments of mimalloc in one mapping.
pub const SEGMENTS: u64 = 1 << 24;
/// Bytes of the largest struct of which it is known that only some words are references.
pub const KNOWN_STRUCT: usize = 512;
/// Keys of dicts that are their own values, for each thread: they are looked at in the end.
pub const SAME_KEYS: usize = 1 << 24;
/// Links that are followed of what is no list of free chunks.
pub const FREE_LINKS: u64 = 1 << 16;
/// Places in a heap of malloc's where it is tried whether chunks follow each other again: for each MiB, and at least.
pub const CHAINS_TRIED: (u64, u64) = (1 << 10, 1 << 16);
/// Objects of all the garbage collector's lists that are told apart by their list.
pub const LISTED: usize = 1 << 26;
/// Blocks of mimalloc's that other threads have given back to a heap: the owner takes them at its next allocation of
/// their size.
pub const DELAYED_BLOCKS: usize = 1 << 20;
/// Words that a scan remembers to be no type.
pub const SCANNED_WORDS: usize = 1 << 20;
/// Types whose objects a scan counts, a power of two: their numbers share a word with an address. Each takes at least
/// 1 KiB in the target.
pub const COUNTED_TYPES: usize = 1 << 19;
/// Bytes of a mapping in which objects are looked for where each read is a round trip: at 1 MB in a second, minutes.
pub const SLOW_MAPPING: u64 = 256 << 20;
/// Bytes of static memory that are looked through for objects.
pub const STATIC_BYTES: u64 = 256 << 20;
/// Bytes of one interpreter's state; that of 3.15 has 300 KiB.
pub const INTERPRETER: u64 = 16 << 20;
/// Objects that are compared with each other, at 24 bytes each.
pub const COMPARED: usize = 1 << 27;
/// Places of a table that covers all memory in which objects are looked for by references: 16 bytes each.
pub const AREA: u64 = 1 << 22;
/// Bytes of bits for the places of objects that references lead to: dense ones in 128 GiB.
pub const AREA_BITS: u64 = 2 << 30;
/// Sizes of objects of one type, all types together, that are told apart.
pub const GROUPS: usize = 1 << 20;
/// Bytes of one value that a search looks at.
pub const FIND_BYTES: usize = 16 << 20;
/// Bytes of all long values that one search looks at, all objects together.
pub const LONG_BYTES: usize = 1 << 38;
/// Table entries that a search for objects by their attributes looks at, all objects together.
pub const FIND_ENTRIES: usize = 1 << 34;
/// Objects, or rows, that a search shows at most.
pub const FOUND: usize = 1 << 16;
/// Bytes of what a snapshot of a heap says before its objects: some 100 for each type.
pub const SNAPSHOT_HEAD: u64 = 64 << 20;
/// Bytes that a compiled regular expression may take.
pub const REGEX: usize = 4 << 20;
/// Bytes that `tp_basicsize` and `tp_itemsize` may say.
pub const BASICSIZE: u64 = 1 << 24;
/// Parts of one value that wait to be written: brackets to close, above all.
pub const REPR_WAITING: usize = 1 << 19;
/// Bytes that one thread of a scan reads of texts and tables that have no size but an end.
pub const SIZE_EFFORT: usize = 64 << 20;
