//! Which thread and which frame a request speaks of.

use super::attach::{Attached, Stopped};
use super::request::{Request, Thread};
use crate::error::{Error, Result};
use crate::runtime;
use crate::stack::Stack;
use crate::stack::native::Matching;
use std::rc::Rc;

/// The thread states of a native thread, the one that matters first: with frames, with the GIL.
pub fn states_of<'a>(attached: &Attached, stopped: &'a Stopped, thread: &Thread) -> Vec<&'a runtime::Thread> {
    let mut all: Vec<_> = stopped.runtime.threads.iter().filter(|t| is_same(t, thread)).collect();
    all.sort_by_key(|t| (stopped.stack(&attached.objects, t.addr).frames.is_empty(), !t.holds_gil, t.interpreter_id));
    all
}

/// Threads are joined on the pthread id. `native_thread_id` is the id in the target's own pid
/// namespace, which is not always the debugger's: it counts only where the pthread id is unknown.
pub fn is_same(state: &runtime::Thread, thread: &Thread) -> bool {
    match thread.pthread {
        Some(pthread) => state.thread_id == pthread,
        None => state.native_thread_id.is_some_and(|id| i64::try_from(id) == Ok(thread.lwp)),
    }
}

/// The selected thread's Python state and stack.
///
/// # Errors
/// [`Error::User`] in the words that CPython's script uses.
pub fn selected(attached: &Attached, stopped: &Stopped, request: &Request) -> Result<(runtime::Thread, Rc<Stack>)> {
    let thread = request.selected().ok_or_else(|| Error::User("No thread is selected.".into()))?;
    let states = states_of(attached, stopped, thread);
    let state = states.first().copied().ok_or_else(|| {
        let hint =
            if stopped.runtime.threads.is_empty() { "" } else { " py-threads shows the threads that run Python." };
        Error::User(format!("Unable to locate python frame: thread {} runs no Python.{hint}", thread.gdb))
    })?;
    let stack = stopped.stack(&attached.objects, state.addr);
    Ok((state.clone(), stack))
}

/// The index of the selected frame: what the user chose with `py-up` and its kin, or the Python
/// frame at or above the selected native frame, or the innermost.
pub fn frame_index(stack: &Stack, matching: &Matching, request: &Request) -> usize {
    let last = stack.frames.len().saturating_sub(1);
    if let Some(index) = request.frame {
        return index.min(last);
    }
    let Some(sp) = request.native_sp else { return 0 };
    let runs_at_or_above = |native: &Option<usize>| native.is_some_and(|i| matching.native[i].sp >= sp);
    // Nothing at or above: beyond the oldest Python frame, if there was any below; otherwise the
    // stacks could not be matched, and the innermost frame is what the user can make sense of.
    let any = matching.of.iter().any(Option::is_some);
    matching.of.iter().position(runs_at_or_above).unwrap_or(if any { last } else { 0 })
}
