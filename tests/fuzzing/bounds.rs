//! What one run may take: memory, counted by an allocator of our own, and processor time of its
//! thread, which a busy machine does not lengthen.

use super::super::counting;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// What a run may hold at a time, beside what it was given.
pub const MEMORY: isize = 64 << 20;
/// What a run may compute. Without optimisation, or with a sanitizer, everything takes longer.
pub const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 2 });

/// Runs `body`; panics if it panics, or takes more than it may.
///
/// The message is printed here: once the boundary was used, the library's own panic hook keeps
/// every message to itself.
pub fn bounded(what: &str, body: impl FnOnce()) {
    counting::start();
    let (held, start) = (counting::held(), counting::processor_time());
    let result = catch_unwind(AssertUnwindSafe(body));
    let (memory, time) = (counting::peak() - held, counting::processor_time() - start);
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
