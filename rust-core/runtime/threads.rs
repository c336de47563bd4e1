//! Thread states, and what `threading` calls them.

use super::Interpreter;
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::Result;
use crate::limits;
use crate::objects::{Kind, Objects};
use std::collections::{HashMap, HashSet};

/// A thread state of one interpreter. A native thread can have one in several interpreters.
#[derive(Debug, Clone)]
pub struct Thread {
    /// `PyThreadState`.
    pub addr: Addr,
    /// The interpreter's address.
    pub interpreter: Addr,
    /// The interpreter's id.
    pub interpreter_id: i64,
    /// `thread_id`: what `pthread_self()` gives in that thread.
    pub thread_id: u64,
    /// `native_thread_id` (3.11 and later): the thread id in the target's own pid namespace.
    pub native_thread_id: Option<u64>,
    /// Whether it holds its interpreter's GIL.
    pub holds_gil: bool,
}

/// Appends the thread states of the interpreter at `interpreter`.
pub(super) fn read(
    objects: &Objects,
    interpreter: Addr,
    interpreter_id: i64,
    threads: &mut Vec<Thread>,
    diagnostics: &Diagnostics,
) {
    let layout = &objects.layout.tstate;
    let mut known = HashSet::new();
    let mut next = objects.pointer(interpreter, &objects.layout.interp.threads_head);
    loop {
        let addr = match next {
            Ok(addr) if addr.is_null() => return,
            Ok(addr) => addr,
            Err(e) => return diagnostics.add(format!("the list of threads ends early: {e}"), interpreter.to_string()),
        };
        if !known.insert(addr) || threads.len() >= limits::THREADS {
            return diagnostics.add("the list of threads loops: it is cut here", addr.to_string());
        }
        match objects.uint(addr, &layout.thread_id) {
            Ok(thread_id) => threads.push(Thread {
                addr,
                interpreter,
                interpreter_id,
                thread_id,
                native_thread_id: objects.uint(addr, &layout.native_thread_id).ok(),
                holds_gil: false,
            }),
            Err(e) => return diagnostics.add(format!("a thread state cannot be read: {e}"), addr.to_string()),
        }
        next = objects.pointer(addr, &layout.next);
    }
}

/// The names that `threading` knows, by thread state: `threading._active` maps thread ids to `Thread`
/// objects, which have `_name` (2.7: `_Thread__name`).
pub(super) fn all_names(
    objects: &Objects,
    threads: &[Thread],
    interpreters: &[Interpreter],
    diagnostics: &Diagnostics,
) -> HashMap<Addr, String> {
    let mut all = HashMap::new();
    for interpreter in interpreters {
        match names(objects, interpreter.addr) {
            Ok(names) => {
                let own = threads.iter().filter(|t| t.interpreter == interpreter.addr);
                all.extend(own.filter_map(|t| Some((t.addr, names.get(&t.thread_id)?.clone()))));
            }
            Err(e) => diagnostics.add(format!("thread names cannot be read: {e}"), interpreter.addr.to_string()),
        }
    }
    all
}

fn names(objects: &Objects, interpreter: Addr) -> Result<HashMap<u64, String>> {
    let mut names = HashMap::new();
    // A dying interpreter has let go of its modules.
    let Some(modules) = objects.pointer(interpreter, &objects.layout.interp.modules)?.non_null() else {
        return Ok(names);
    };
    let Some(module) = objects.dict_get(modules, "threading")? else { return Ok(names) };
    let Some(active) = objects.attribute(module, "_active")? else { return Ok(names) };
    let mut entries = Vec::new();
    objects.dict_each(active, &mut |key, value| {
        entries.push((key, value));
        entries.len() < limits::THREADS
    })?;
    for (key, thread) in entries {
        let Some(id) = thread_id(objects, key) else { continue };
        let attribute = if objects.layout.rules.python2 { "_Thread__name" } else { "_name" };
        if let Ok(Some(name)) = objects.attribute(thread, attribute)
            && let Ok(name) = objects.name(name)
        {
            names.insert(id, name);
        }
    }
    Ok(names)
}

fn thread_id(objects: &Objects, key: Addr) -> Option<u64> {
    match objects.type_of(key).ok()?.kind {
        Kind::Int => u64::try_from(objects.integer(key).ok()?.to_i128()?).ok(),
        Kind::Int2 => objects.uint(key, &objects.layout.int.ob_ival).ok(),
        _ => None,
    }
}
