//! Interpreters, thread states, the GIL, garbage collection.

pub mod gc;
mod gil;
mod threads;

use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::{Error, Result};
use crate::limits;
use crate::locate::{Found, scan_words};
use crate::objects::{Kind, Objects};
use std::collections::HashMap;
use std::path::PathBuf;
pub use threads::Thread;

/// An interpreter.
#[derive(Debug, Clone)]
pub struct Interpreter {
    /// `PyInterpreterState`.
    pub addr: Addr,
    /// `id`; before 3.7, which has none, its place in the list counted from the end.
    pub id: i64,
    /// Whether it collects garbage just now, where the build tells.
    pub collecting: Option<bool>,
    /// The thread state that holds this interpreter's GIL; before 3.12 one GIL serves all.
    pub gil_holder: Option<Addr>,
}

/// What runs in the process.
#[derive(Debug)]
pub struct Runtime {
    /// `_PyRuntime` (3.7 and later).
    pub addr: Option<Addr>,
    /// How the first interpreter was found.
    pub found: Found,
    /// Interpreters, in the runtime's order (newest first).
    pub interpreters: Vec<Interpreter>,
    /// Thread states, in each interpreter's order (newest first).
    pub threads: Vec<Thread>,
    /// Where GILs live in memory, start and size: a thread that waits on a futex in one waits for
    /// the GIL. Of 3.6 the image's data: nothing else there is waited on.
    pub gils: Vec<(Addr, u64)>,
}

impl Runtime {
    /// Reads the runtime's state.
    ///
    /// # Errors
    /// [`Error::NoPython`] with a sentence if no interpreter is found.
    pub fn read(objects: &Objects, diagnostics: &Diagnostics) -> Result<Runtime> {
        let (mut addr, mut found, head) = heads(objects)?;
        let mut interpreters = Vec::new();
        let mut threads = Vec::new();
        let mut at = head;
        while let Some(current) = at.non_null() {
            if interpreters.len() >= limits::INTERPRETERS
                || interpreters.iter().any(|i: &Interpreter| i.addr == current)
            {
                diagnostics.add("the list of interpreters loops: it is cut here", current.to_string());
                break;
            }
            let layout = &objects.layout.interp;
            let id = objects.int(current, &layout.id).unwrap_or(0);
            interpreters.push(Interpreter { addr: current, id, collecting: None, gil_holder: None });
            let before = threads.len();
            threads::read(objects, current, id, &mut threads, diagnostics);
            if threads.len() == before {
                diagnostics.add("this interpreter has no thread", current.to_string());
            }
            at = match objects.pointer(current, &layout.next) {
                Ok(next) => next,
                Err(e) => {
                    diagnostics.add(format!("the list of interpreters ends early: {e}"), current.to_string());
                    Addr::NULL
                }
            };
        }
        objects.set_interpreters(interpreters.iter().rev().map(|one| one.addr).collect());
        if !objects.layout.interp.id.exists() {
            let count = interpreters.len() as i64;
            for (i, interpreter) in interpreters.iter_mut().enumerate() {
                let id = count - 1 - i as i64;
                threads.iter_mut().filter(|t| t.interpreter == interpreter.addr).for_each(|t| t.interpreter_id = id);
                interpreter.id = id;
            }
        }
        if addr.is_none() && objects.layout.interp.runtime.exists() {
            addr = objects.pointer(head, &objects.layout.interp.runtime).ok().and_then(Addr::non_null);
            found = Found::Structure;
        }
        let mut runtime = Runtime { addr, found, interpreters, threads, gils: Vec::new() };
        gil::read(objects, &mut runtime);
        Ok(runtime)
    }
}

/// Where a thread's copy of the stack guard is, from what `pthread_self()` gives on: compilers read it at
/// `%fs:0x28` (`stack_guard` in glibc's `tcbhead_t`, `canary` in musl's `struct pthread`).
const STACK_GUARD: u64 = 0x28;

impl Runtime {
    /// The random number that the program got when it was started: forks of it share it, no other process
    /// has it. The oldest threads first: cores can lack the stacks of the others.
    pub fn stack_guard(&self, objects: &Objects) -> Option<u64> {
        let of = |thread: &Thread| objects.memory.uint(Addr(thread.thread_id) + STACK_GUARD, 8).ok();
        self.threads.iter().rev().find_map(|thread| of(thread).filter(|guard| *guard != 0))
    }

    /// What `threading` calls the threads, by thread state.
    pub fn thread_names(&self, objects: &Objects, diagnostics: &Diagnostics) -> HashMap<Addr, String> {
        threads::all_names(objects, &self.threads, &self.interpreters, diagnostics)
    }

    /// `sys.path` of the main interpreter, as far as it is text.
    pub fn search_path(&self, objects: &Objects) -> Vec<PathBuf> {
        const MOST: usize = 64;
        let read = || -> Result<Vec<PathBuf>> {
            let Some(main) = self.interpreters.last() else { return Ok(Vec::new()) };
            let sysdict = objects.pointer(main.addr, &objects.layout.interp.sysdict)?;
            let Some(path) = objects.dict_get(sysdict, "path")? else { return Ok(Vec::new()) };
            let (items, _) = objects.list(path, MOST)?;
            Ok(items.into_iter().filter_map(|item| objects.path(item).ok()).map(|text| text.to_path()).collect())
        };
        read().unwrap_or_default()
    }
}

/// The runtime, how it was found, and the head of the list of interpreters.
fn heads(objects: &Objects) -> Result<(Option<Addr>, Found, Addr)> {
    let located = &objects.located;
    let layout = &objects.layout;
    let dead = || {
        Error::NoPython(
            "CPython is there and no interpreter runs in it: it has not started, or it has already shut down.".into(),
        )
    };
    if layout.runtime.interpreters_head.exists()
        && let Some((runtime, found)) = located.runtime
    {
        let head = objects.pointer(runtime, &layout.runtime.interpreters_head)?;
        return match head.non_null() {
            // Found by name: that its thread points back is enough, where its dicts are lost.
            Some(head)
                if is_interpreter(objects, head)
                    || points_back(objects, head).unwrap_or(false)
                    || is_idle(objects, head) =>
            {
                Ok((Some(runtime), found, head))
            }
            Some(_) => structural(objects)
                .ok_or_else(|| Error::NoPython("No interpreter can be read: its memory is damaged or missing.".into())),
            None => Err(dead()),
        };
    }
    // 2.7 and 3.6: a static variable, and the exported thread state that holds the GIL.
    if let Some(at) = located.image.symbol("interp_head")
        && let Ok(head) = objects.memory.pointer(at)
        && is_interpreter(objects, head)
    {
        return Ok((None, Found::Symbol, head));
    }
    structural(objects).ok_or_else(dead)
}

/// Whether the first thread of the interpreter at `addr` says that it is of that interpreter.
fn points_back(objects: &Objects, addr: Addr) -> Result<bool> {
    let thread = objects.pointer(addr, &objects.layout.interp.threads_head)?;
    Ok(thread.is_plausible() && objects.pointer(thread, &objects.layout.tstate.interp)? == addr)
}

/// Whether `addr` is an interpreter that no thread is in: since 3.13 one that has run what it was given
/// has no thread state.
fn is_idle(objects: &Objects, addr: Addr) -> bool {
    objects.pointer(addr, &objects.layout.interp.threads_head).is_ok_and(Addr::is_null) && has_dicts(objects, addr)
}

/// Whether `addr` is an interpreter: its first thread points back to it, and `modules`,
/// `sysdict` and `builtins` are dicts (the rule of bloomberg/pystack).
fn is_interpreter(objects: &Objects, addr: Addr) -> bool {
    addr.is_plausible() && points_back(objects, addr).unwrap_or(false) && has_dicts(objects, addr)
}

/// Whether the three dicts of an interpreter at `addr` are dicts.
fn has_dicts(objects: &Objects, addr: Addr) -> bool {
    let layout = &objects.layout.interp;
    [&layout.modules, &layout.sysdict, &layout.builtins].into_iter().all(|slot| {
        objects.pointer(addr, slot).and_then(|dict| objects.type_of(dict)).is_ok_and(|ty| ty.kind == Kind::Dict)
    })
}

/// Finds the head of the list of interpreters without any symbol: a word of the image's data that
/// points at an interpreter.
fn structural(objects: &Objects) -> Option<(Option<Addr>, Found, Addr)> {
    let mut hit = None;
    scan_words(&objects.located.image, &objects.memory, &mut |at, value| {
        let candidate = Addr(value);
        if candidate.is_plausible() && is_interpreter(objects, candidate) {
            hit = Some((at, candidate));
        }
        hit.is_none()
    });
    let (at, head) = hit?;
    // Since 3.7 that word is `_PyRuntime.interpreters.head`, if `.main` behind it points at an
    // interpreter too.
    let layout = &objects.layout.runtime;
    let runtime = layout.interpreters_head.at().ok().map(|offset| at - offset).filter(|runtime| {
        objects.pointer(*runtime, &layout.interpreters_main).is_ok_and(|main| is_interpreter(objects, main))
    });
    Some((runtime, Found::Structure, head))
}
