//! Memory allocators of the target: each tells its blocks, in address order. What is in a block is not
//! their business.

pub mod glibc;
mod lists;
pub mod mimalloc;
pub mod pymalloc;
