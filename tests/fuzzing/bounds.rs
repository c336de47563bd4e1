//! What one run may take: memory, counted by an allocator of our own, and processor time of its
//! thread, which a busy machine does not lengthen.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// What a run may hold at a time, beside what it was given.
pub const MEMORY: isize = 64 << 20;
/// What a run may compute. Without optimisation, or with a sanitizer, everything takes longer.
pub const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 2 });

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread holds.
struct Counting;

fn count(change: isize) {
    let held = HELD.get() + change;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call goes to the system's allocator unchanged; the counters are plain cells without
// a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's contract is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for a write; the clock is the calling thread's own.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "the thread has a clock");
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Runs `body`; panics if it panics, or takes more than it may.
///
/// The message is printed here: once the boundary was used, the library's own panic hook keeps
/// every message to itself.
pub fn bounded(what: &str, body: impl FnOnce()) {
    PEAK.set(HELD.get());
    let (held, start) = (HELD.get(), processor_time());
    let result = catch_unwind(AssertUnwindSafe(body));
    let (memory, time) = (PEAK.get() - held, processor_time() - start);
    if let Err(panic) = result {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
        eprintln!("{what}: panics: {text}");
        resume_unwind(panic);
    }
    if memory > MEMORY || time > TIME {
        eprintln!("{what}: takes {} KiB and {time:?}", memory >> 10);
        panic!("{what}: takes {} KiB and {time:?}", memory >> 10);
    }
}
