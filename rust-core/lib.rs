//! pyext: reads CPython processes and cores for a debugger.
//!
//! The library knows nothing of GDB: a host describes a target and asks questions through the few
//! functions of [`abi`]. Layers, each using only those before it:
//!
//! 1. [`error`], [`diag`], [`bytes`], [`limits`]: the vocabulary.
//! 2. [`process`]: where bytes come from.
//! 3. [`image`]: what is mapped: ELF, symbols, DWARF, separate debug files.
//! 4. [`locate`]: where CPython is, and which one.
//! 5. [`layout`]: where fields are in it.
//! 6. [`objects`]: what an object says.
//! 7. [`runtime`]: interpreters, threads, the GIL.
//! 8. [`stack`]: Python frames, lines, variables.
//! 9. [`allocators`]: the blocks of memory that the target's allocators hand out.
//! 10. [`heap`]: all objects.
//! 11. [`report`]: the answers as values, and those as text and JSON.
//! 12. [`session`]: one target, kept between questions; makes the answers.
//! 13. [`abi`]: the C boundary.

#[allow(unsafe_code)]
pub mod abi;
pub mod allocators;
pub mod bytes;
pub mod diag;
pub mod error;
pub mod heap;
pub mod image;
pub mod layout;
pub mod limits;
pub mod locate;
pub mod objects;
pub mod process;
pub mod report;
pub mod runtime;
pub mod session;
pub mod stack;
