//! Threads for scans of all memory.
//!
//! Invariant: a thread of ours never handles a signal. They belong to the host, whose handlers expect
//! its own threads; a signal that is blocked only in the new thread could come before.

use nix::sys::signal::{SigSet, SigmaskHow};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Threads that are worth their start: the work is bound by the memory's bandwidth.
const MOST: usize = 8;

/// Work of many pieces, of which each thread takes the next one that none has taken.
struct Pieces {
    count: usize,
    next: AtomicUsize,
    stopped: AtomicBool,
}

impl Pieces {
    fn new(count: usize) -> Pieces {
        Pieces { count, next: AtomicUsize::new(0), stopped: AtomicBool::new(false) }
    }
}

/// One thread's part in such work.
pub struct Share<'a> {
    pieces: &'a Pieces,
    go_on: &'a dyn Fn() -> bool,
}

impl Share<'_> {
    /// The number of the next piece. None when all are taken, or the work is to stop.
    pub fn next(&self) -> Option<usize> {
        let piece = self.goes_on().then(|| self.pieces.next.fetch_add(1, Ordering::Relaxed));
        piece.filter(|piece| *piece < self.pieces.count)
    }

    /// Whether to go on. A thread that is told to stop stops all.
    pub fn goes_on(&self) -> bool {
        if !(self.go_on)() {
            self.pieces.stopped.store(true, Ordering::Relaxed);
        }
        !self.pieces.stopped.load(Ordering::Relaxed)
    }
}

/// What was made of the pieces.
#[derive(Debug)]
pub struct Made<T> {
    /// One for each thread that took part, in no order.
    pub parts: Vec<T>,
    /// The work was told to stop: pieces may be left.
    pub stopped: bool,
}

/// Does work of so many pieces on all processors, the calling thread's among them.
///
/// `go_on` belongs to the host and is called on the calling thread only.
pub fn share<T: Send>(count: usize, work: &(dyn Fn(&Share<'_>) -> T + Sync), go_on: &dyn Fn() -> bool) -> Made<T> {
    let (pieces, parts) = (Pieces::new(count), Mutex::new(Vec::new()));
    let one = |go_on: &dyn Fn() -> bool| {
        let part = work(&Share { pieces: &pieces, go_on });
        parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
    run(threads, &|| one(go_on), &|| one(&|| true));
    let parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
    Made { parts, stopped: pieces.stopped.into_inner() }
}

/// Does work of so many pieces on the calling thread alone.
pub fn alone<T>(count: usize, work: &dyn Fn(&Share<'_>) -> T, go_on: &dyn Fn() -> bool) -> Made<T> {
    let pieces = Pieces::new(count);
    let part = work(&Share { pieces: &pieces, go_on });
    Made { parts: vec![part], stopped: pieces.stopped.into_inner() }
}

/// Calls `here` on this thread and `others` on `threads - 1` new ones, and waits for all. Where no more
/// threads can be had, fewer do the work.
fn run(threads: usize, here: &dyn Fn(), others: &(dyn Fn() + Sync)) {
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

    fn taken(share: &Share<'_>) -> Vec<usize> {
        std::iter::from_fn(|| share.next()).collect()
    }

    #[test]
    fn each_piece_is_taken_once() {
        for made in [share(1000, &taken, &|| true), alone(1000, &taken, &|| true)] {
            let mut all = made.parts.concat();
            all.sort_unstable();
            assert_eq!(all, (0..1000).collect::<Vec<_>>());
            assert!(!made.stopped);
        }
    }

    /// The calling thread goes on until a piece was taken; the others would never end.
    #[test]
    fn one_that_is_told_to_stop_stops_all() {
        let next = AtomicUsize::new(0);
        let work = |share: &Share<'_>| {
            let mut count = 0;
            while share.next().is_some() {
                next.fetch_add(1, Ordering::Relaxed);
                count += 1;
            }
            count
        };
        let made = share(usize::MAX, &work, &|| next.load(Ordering::Relaxed) == 0);
        assert!(made.stopped);
        assert_eq!(made.parts.iter().sum::<usize>(), next.into_inner());
    }
}
