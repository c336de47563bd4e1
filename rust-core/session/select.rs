//! Which thread and which frame a request speaks of.

use super::attach::{Attached, Stopped};
use super::request::{Request, Thread};
use crate::error::{Error, Result};
use crate::runtime;
use crate::stack::native::Matching;
use crate::stack::{Frame, Stack};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The thread states of a native thread, which has one in each interpreter that it has run: the
/// innermost first, those without frames last.
fn states_of<'a>(attached: &Attached, stopped: &'a Stopped, thread: &Thread) -> Vec<&'a runtime::Thread> {
    let all = stopped.runtime.threads.iter().filter(|t| is_same(t, thread)).collect();
    innermost_first(attached, stopped, all)
}

fn innermost_first<'a>(
    attached: &Attached,
    stopped: &Stopped,
    mut all: Vec<&'a runtime::Thread>,
) -> Vec<&'a runtime::Thread> {
    all.sort_by_cached_key(|t| {
        let stack = stopped.stack(&attached.objects, t.addr);
        // Since 3.11 frames lead to the C stack, which grows down. Before, an interpreter that a thread
        // runs inside of another one is the younger of the two.
        let place = stack.frames.iter().find_map(|f| f.entry).map_or(u64::MAX, |entry| entry.0);
        (stack.frames.is_empty(), place, !t.holds_gil, std::cmp::Reverse(t.interpreter_id))
    });
    all
}

/// The threads of the debugger, each with its Python states as [`states_of`] gives them, and the states
/// that no thread of the debugger has. A target can have very many of both, and say that all have one id:
/// a state is given to the first thread that it fits.
pub fn joined<'a, 'b>(
    attached: &Attached,
    stopped: &'a Stopped,
    threads: &[&'b Thread],
) -> (Vec<(&'b Thread, Vec<&'a runtime::Thread>)>, Vec<&'a runtime::Thread>) {
    let mut by_pthread: HashMap<u64, Vec<&runtime::Thread>> = HashMap::new();
    let mut by_lwp: HashMap<i64, Vec<&runtime::Thread>> = HashMap::new();
    for state in &stopped.runtime.threads {
        by_pthread.entry(state.thread_id).or_default().push(state);
        if let Some(id) = state.native_thread_id.and_then(|id| i64::try_from(id).ok()) {
            by_lwp.entry(id).or_default().push(state);
        }
    }
    let mut taken = HashSet::new();
    let mut all = Vec::new();
    for thread in threads {
        let states = match thread.pthread {
            Some(pthread) => by_pthread.remove(&pthread),
            None => by_lwp.remove(&thread.lwp),
        };
        let states = states.into_iter().flatten().filter(|state| taken.insert(state.addr)).collect();
        all.push((*thread, innermost_first(attached, stopped, states)));
    }
    let rest = stopped.runtime.threads.iter().filter(|state| !taken.contains(&state.addr)).collect();
    (all, rest)
}

/// The Python frames of a native thread through all its interpreters, and for each state the index
/// of its first frame.
pub fn whole_stack(attached: &Attached, stopped: &Stopped, states: &[&runtime::Thread]) -> (Rc<Stack>, Vec<usize>) {
    if let [state] = states {
        return (stopped.stack(&attached.objects, state.addr), vec![0]);
    }
    let mut whole = Stack::default();
    let mut starts = Vec::new();
    for state in states {
        let part = stopped.stack(&attached.objects, state.addr);
        let group = whole.frames.last().map_or(0, |f| f.group + 1);
        starts.push(whole.frames.len());
        whole.frames.extend(part.frames.iter().map(|f| Frame { group: group + f.group, ..f.clone() }));
        whole.cut = whole.cut.or_else(|| part.cut.clone());
    }
    (Rc::new(whole), starts)
}

/// Threads are joined on the pthread id. `native_thread_id` is the id in the target's own pid
/// namespace, which is not always the debugger's: it counts only where the pthread id is unknown.
fn is_same(state: &runtime::Thread, thread: &Thread) -> bool {
    match thread.pthread {
        Some(pthread) => state.thread_id == pthread,
        None => state.native_thread_id.is_some_and(|id| i64::try_from(id) == Ok(thread.lwp)),
    }
}

/// The selected thread's Python states, the innermost first.
///
/// # Errors
/// [`Error::User`] in the words that CPython's script uses.
pub fn selected<'a>(attached: &Attached, stopped: &'a Stopped, request: &Request) -> Result<Vec<&'a runtime::Thread>> {
    let thread = request.selected().ok_or_else(|| Error::User("No thread is selected.".into()))?;
    let states = states_of(attached, stopped, thread);
    if states.is_empty() {
        let hint =
            if stopped.runtime.threads.is_empty() { "" } else { " py-threads shows the threads that run Python." };
        return Err(Error::User(format!("Unable to locate python frame: thread {} runs no Python.{hint}", thread.gdb)));
    }
    Ok(states)
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
