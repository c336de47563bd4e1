//! Threads for scans of all memory.
//!
//! Invariant: a thread of ours never handles a signal. They belong to the host, whose handlers expect
//! its own threads; a signal that is blocked only in the new thread could come before.

use nix::sys::signal::{SigSet, SigmaskHow};

/// Threads that are worth their start: the work is bound by the memory's bandwidth.
const MOST: usize = 8;

/// How many threads [`run`] should use here.
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST)
}

/// Calls `here` on this thread and `others` on `threads - 1` new ones, and waits for all. Where no more
/// threads can be had, fewer do the work.
pub fn run(threads: usize, here: &dyn Fn(), others: &(dyn Fn() + Sync)) {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            if std::thread::Builder::new().name("pyext scan".to_owned()).spawn_scoped(scope, others).is_err() {
                break;
            }
        }
        if let Ok(before) = before {
            // The calling thread is the host's: an interrupt has to reach it.
            let _ = before.thread_set_mask();
        }
        here();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn only_the_caller_takes_signals() {
        let (calls, blocked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let before = SigSet::thread_get_mask().unwrap();
        let look = || {
            calls.fetch_add(1, Ordering::Relaxed);
            let mask = SigSet::thread_get_mask().unwrap();
            blocked.fetch_add(usize::from(mask.contains(Signal::SIGINT)), Ordering::Relaxed);
        };
        run(4, &look, &look);
        assert_eq!((calls.into_inner(), blocked.into_inner()), (4, 3));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
