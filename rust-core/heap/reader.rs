//! The target's memory for passes over all objects: by several threads, where these can share it.

use crate::process::{Source, workers};

/// The target's memory for a scan: shared by threads, or the calling thread's alone.
pub enum Reader<'a> {
    /// Threads can share it.
    Shared(&'a dyn crate::process::Bulk),
    /// Only the calling thread may use it.
    Single(&'a dyn Source),
}

/// What one thread does, with its own view of the memory, and whether to go on.
pub(super) type Work<'a> = dyn Fn(&dyn Source, &dyn Fn() -> bool) + Sync + 'a;

impl Reader<'_> {
    /// As a source for the calling thread.
    pub fn source(&self) -> &dyn Source {
        match self {
            Reader::Shared(bulk) => *bulk,
            Reader::Single(source) => *source,
        }
    }

    /// Runs `work` on as many threads as can share the memory. `go_on` is that of the calling thread.
    pub(super) fn each(&self, work: &Work<'_>, go_on: &dyn Fn() -> bool) {
        match self {
            Reader::Single(source) => work(*source, go_on),
            Reader::Shared(bulk) => {
                // `go_on` belongs to the host: no other thread may call it. The calling thread works too.
                workers::run(workers::count(), &|| work(*bulk, go_on), &|| work(*bulk, &|| true));
            }
        }
    }
}
