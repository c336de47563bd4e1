//! What is mapped: ELF images, their symbols and build ids, and the layouts that DWARF tells.
//!
//! Paths are not trusted: a file is used only if its build id is that of the mapped image. Nothing
//! here knows what a symbol or a struct means.

pub mod debug_file;
#[allow(unsafe_code)]
pub mod debuginfod;
pub mod dwarf;
pub mod elf;
pub mod mapped;
pub mod modules;
pub mod unwind;

pub use elf::Image;
pub use modules::Module;
