//! Threads for scans of all memory.
//!
//! Invariant: a thread of ours never handles a signal. They belong to the host, whose handlers expect
//! its own threads; a signal that is blocked only in the new thread could come before.

use nix::sys::signal::{SigSet, SigmaskHow};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// What threads of a scan are called.
pub const NAME: &str = "pyext scan";
/// Threads that are worth their start: the work is bound by the memory's bandwidth.
const MOST: usize = 8;
/// How long the calling thread waits for the others until the host is asked again whether to go on.
const WAIT: Duration = Duration::from_millis(20);

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

/// A thread that panics stops all.
struct StopsIfItPanics<'a>(&'a Pieces);

impl Drop for StopsIfItPanics<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stopped.store(true, Ordering::Relaxed);
        }
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
        let _ends = StopsIfItPanics(&pieces);
        let part = work(&Share { pieces: &pieces, go_on });
        parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
    let waiting = || {
        Share { pieces: &pieces, go_on }.goes_on();
    };
    run(threads, &|| one(go_on), &|| one(&|| true), &waiting);
    let parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
    Made { parts, stopped: pieces.stopped.into_inner() }
}

/// Does work of so many pieces on the calling thread alone.
pub fn alone<T>(count: usize, work: &dyn Fn(&Share<'_>) -> T, go_on: &dyn Fn() -> bool) -> Made<T> {
    let pieces = Pieces::new(count);
    let part = work(&Share { pieces: &pieces, go_on });
    Made { parts: vec![part], stopped: pieces.stopped.into_inner() }
}

/// A thread that works, which wakes the one that waits for it when it ends.
struct Running<'a> {
    running: &'a AtomicUsize,
    caller: &'a Thread,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Release);
        self.caller.unpark();
    }
}

/// Calls `here` on this thread and `others` on `threads - 1` new ones, and waits for all. Where no more
/// threads can be had, fewer do the work. `waiting` is called now and then while this thread has nothing else to do.
fn run(threads: usize, here: &dyn Fn(), others: &(dyn Fn() + Sync), waiting: &dyn Fn()) {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let (running, caller) = (AtomicUsize::new(0), std::thread::current());
    let other = || {
        let _running = Running { running: &running, caller: &caller };
        others();
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            running.fetch_add(1, Ordering::Relaxed);
            if std::thread::Builder::new().name(NAME.to_owned()).spawn_scoped(scope, other).is_err() {
                running.fetch_sub(1, Ordering::Relaxed);
                break;
            }
        }
        if let Ok(before) = before {
            // The calling thread is the host's: an interrupt has to reach it.
            let _ = before.thread_set_mask();
        }
        here();
        while running.load(Ordering::Acquire) > 0 {
            std::thread::park_timeout(WAIT);
            waiting();
        }
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
        run(4, &look, &look, &|| ());
        assert_eq!((calls.into_inner(), blocked.into_inner()), (4, 3));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }

    /// Which thread takes the only piece is chance: the one that waits for it is the only one that can be told.
    #[test]
    fn who_waits_is_asked_too() {
        for _ in 0..20 {
            let asked = AtomicUsize::new(0);
            let work = |share: &Share<'_>| {
                while share.next().is_some() || share.pieces.next.load(Ordering::Relaxed) == 0 {
                    while share.goes_on() {
                        std::thread::yield_now();
                    }
                }
            };
            let made = share(1, &work, &|| asked.fetch_add(1, Ordering::Relaxed) < 2);
            assert!(made.stopped);
        }
    }

    #[test]
    fn a_panic_stops_all() {
        let panics = || {
            let work = |share: &Share<'_>| assert!(share.next() != Some(7), "the seventh");
            let endless = |share: &Share<'_>| {
                while share.goes_on() {
                    work(share)
                }
            };
            share(usize::MAX, &endless, &|| true);
        };
        assert!(std::panic::catch_unwind(panics).is_err());
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
