//! The target's memory for passes over all objects: by several threads, where these can share it.

pub(super) use crate::process::workers::{Made, Share};
use crate::process::{Source, workers};

/// The target's memory for a scan: shared by threads, or the calling thread's alone.
pub enum Reader<'a> {
    /// Threads can share it.
    Shared(&'a dyn crate::process::Bulk),
    /// Only the calling thread may use it.
    Single(&'a dyn Source),
}

/// What one thread does, with its own view of the memory, and what it gives.
pub(super) type Work<'a, T> = dyn Fn(&dyn Source, &Share<'_>) -> T + Sync + 'a;

impl Reader<'_> {
    /// As a source for the calling thread.
    pub fn source(&self) -> &dyn Source {
        match self {
            Reader::Shared(bulk) => *bulk,
            Reader::Single(source) => *source,
        }
    }

    /// Does work of so many pieces on as many threads as can share the memory. `go_on` is asked on the calling thread.
    pub(super) fn share<T: Send>(&self, pieces: usize, work: &Work<'_, T>, go_on: &dyn Fn() -> bool) -> Made<T> {
        match self {
            Reader::Single(source) => workers::alone(pieces, &|share| work(*source, share), go_on),
            Reader::Shared(bulk) => workers::share(pieces, &|share| work(*bulk, share), go_on),
        }
    }
}
