//! Where bytes of the target come from.
//!
//! [`Memory`] is the one trait: a live process, a core file, the debugger's own read, or a fake of
//! the tests. Nothing here knows what the bytes mean. Every other layer reads through [`Cache`],
//! which reads whole pages and counts.

pub mod cache;
pub mod core_file;
pub mod fake;
pub mod host;
#[allow(unsafe_code)]
pub mod live;
pub mod maps;

pub use cache::{Cache, Counters};
pub use maps::Region;

use crate::bytes::Addr;
use crate::error::Result;

/// A source of bytes of the target. Reads never change the target.
pub trait Memory {
    /// Fills `buffer` from `addr`.
    ///
    /// # Errors
    /// [`crate::error::Error::Fault`] if not every byte can be had; `buffer` is then unspecified.
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()>;

    /// What is mapped, in address order. Empty where that cannot be known.
    fn regions(&self) -> &[Region];

    /// Bytes that are best read together, a multiple of a page: more than that where each read is a
    /// round trip.
    fn block(&self) -> u64 {
        4096
    }
}
