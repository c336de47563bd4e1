//! The commands in the words of CPython's own gdb script (`set pyext style stock`).
//!
//! That script lives in GDB's frames: it shows GDB's levels, steps from one interesting C frame to
//! the next, and names C calls by variables of C functions. So the host is asked for its native
//! backtrace with names; what the frames mean is decided here, and values come from the same
//! decoders as everywhere.

use super::answer::Answering;
use super::request::{Command, Native, Need, Response, Selection};
use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::layout::{Frames, NativeName, Role};
use crate::limits;
use crate::objects::Kind;
use crate::objects::repr::Style;
use crate::report::{model, stock};
use crate::stack::Stack;
use std::rc::Rc;

/// A C frame that means something.
struct Entry {
    level: i64,
    /// The Python frames that it runs, innermost first; empty for what is none.
    python: Vec<usize>,
    /// The text of what is no evaluation frame.
    text: String,
}

/// Answers a command; `None` if it has no stock form.
pub(super) fn answer(answering: &Answering<'_>) -> Option<Result<Response>> {
    let command = answering.request.command;
    let known = [Command::Bt, Command::Frame, Command::Locals, Command::Print, Command::List];
    let options = &answering.request.options;
    // `py-frame N` is ours: the script has no such command.
    let plain = !options.json && !options.all && (command != Command::Frame || options.relative);
    (plain && known.contains(&command)).then(|| match respond(answering) {
        // The script prints its messages: they are output, not errors.
        Err(Error::User(text)) => Ok(Response { text: text + "\n", ..Response::default() }),
        other => other,
    })
}

fn respond(answering: &Answering<'_>) -> Result<Response> {
    let thread = answering.request.selected().ok_or_else(|| Error::User("Unable to locate python frame".into()))?;
    let Some(native) = &thread.native else {
        let names = answering.attached.layout().rules.native_names;
        let variables = names.iter().filter(|n| !n.variable.is_empty());
        let variables = variables.map(|n| (n.name.to_owned(), n.variable.to_owned())).collect();
        let need = Some(Need { native: vec![thread.gdb], variables });
        return Ok(Response { need, ..Response::default() });
    };
    let stack = answering.selected_stack()?;
    let entries = entries(answering, &stack, native);
    let selected = answering.request.level.unwrap_or(0);
    let from = entries.iter().position(|e| e.level >= selected);
    let from = from.ok_or_else(|| Error::User("Unable to locate python frame".into()))?;
    let shown = Shown { answering, stack: &stack };
    let bytecode = || {
        let entry = entries[from..].iter().find(|e| !e.python.is_empty());
        entry.ok_or_else(|| Error::User("Unable to read information on python frame".into()))
    };
    let mut response = Response::default();
    match answering.request.command {
        Command::Bt if answering.request.options.locals => {
            entries[from..].iter().for_each(|e| shown.full(&mut response.text, e));
        }
        Command::Bt => {
            let frames: Vec<_> = entries[from..].iter().flat_map(|e| shown.frames(e, false)).collect();
            response.text = stock::backtrace(&frames);
        }
        Command::Frame => {
            let step = answering.request.options.index.unwrap_or(0);
            let target = i64::try_from(from).unwrap_or(i64::MAX).saturating_add(step);
            let Some(entry) = usize::try_from(target).ok().and_then(|t| entries.get(t)) else {
                let which = if step > 0 { "an older" } else { "a newer" };
                return Err(Error::User(format!("Unable to find {which} python frame")));
            };
            shown.full(&mut response.text, entry);
            response.select = Some(Selection { frame: None, sp: None, level: Some(entry.level) });
        }
        Command::Locals => {
            let headings = answering.attached.layout().rules.frames != Frames::Objects;
            response.text = stock::locals(&shown.frames(bytecode()?, true), headings);
        }
        Command::Print => {
            let frame = &stack.frames[bytecode()?.python[0]];
            let name = answering.request.options.name.clone().unwrap_or_default();
            let objects = &answering.attached.objects;
            let (scope, value) = super::path::resolve(objects, frame, &name, Style::Stock)?;
            let repr = objects.repr_value(&value, stock::LIMIT, Style::Stock);
            response.text = format!("{} '{name}' = {}\n", scope.word(), repr.text);
        }
        _ => return answering.list_frame(&stack, bytecode()?.python[0]),
    }
    Ok(response)
}

const UNNAMED_EVAL: NativeName = NativeName { name: "", role: Role::Eval, variable: "" };

/// The C frames that mean something, newest first.
fn entries(answering: &Answering<'_>, stack: &Stack, native: &[Native]) -> Vec<Entry> {
    let names = answering.attached.layout().rules.native_names;
    let mut all: Vec<Entry> = Vec::new();
    let mut group = 0;
    let is_eval = |n: &Native| {
        n.name.as_deref().is_some_and(|name| names.iter().any(|k| k.role == Role::Eval && k.matches(name)))
    };
    // Without a name for the evaluation function, where its records lie tells.
    let mut unnamed = Vec::new();
    if !native.iter().any(is_eval) {
        let matching = answering.matching(answering.request.selected(), stack);
        unnamed.extend(matching.of.iter().flatten().map(|i| matching.native[*i].sp));
    }
    for (i, frame) in native.iter().enumerate() {
        let by_name = frame.name.as_ref().and_then(|name| names.iter().find(|n| n.matches(name)));
        let known = match by_name {
            Some(known) => known,
            None if !frame.inline && unnamed.contains(&frame.sp) => &UNNAMED_EVAL,
            None => continue,
        };
        let variable = frame.variables.iter().find(|(n, _)| n == known.variable).map(|(_, value)| Addr(*value));
        let entry = |text: String| Entry { level: frame.level, python: Vec::new(), text };
        match known.role {
            Role::Eval if frame.inline => {}
            Role::Eval => {
                let end = native[i + 1..].iter().map(|n| n.sp).find(|sp| *sp > frame.sp).unwrap_or(u64::MAX);
                let python: Vec<usize> = group_of(stack, group, frame.sp, end);
                if let Some(last) = python.last() {
                    group = stack.frames[*last].group + 1;
                    all.push(Entry { level: frame.level, python, text: String::new() });
                }
            }
            Role::Gil => all.push(entry("Waiting for the GIL".into())),
            Role::Gc => all.push(entry("Garbage-collecting".into())),
            Role::CCall => {
                let text = match variable {
                    Some(object) => {
                        let kind = answering.attached.objects.type_of(object).map(|ty| ty.kind);
                        // 2.7's call_function runs for every callable, Python functions too.
                        if kind.is_ok_and(|kind| kind != Kind::CFunction) {
                            continue;
                        }
                        answering.attached.objects.repr(object, stock::LIMIT, Style::Stock).text
                    }
                    None if frame.inline => continue,
                    None => {
                        format!("PyCFunction invocation (unable to read {}: missing debuginfos?)", known.variable)
                    }
                };
                all.push(entry(text));
            }
            Role::Wrapper => all.push(entry(match variable {
                Some(object) => answering.attached.objects.repr(object, stock::LIMIT, Style::Stock).text,
                None => "<wrapper_call invocation (unable to read wp: missing debuginfos?)>".into(),
            })),
        }
    }
    all
}

/// The Python frames that an evaluation frame with its data in `sp..end` runs: the group whose
/// record lies there, or where there are no records the next one.
fn group_of(stack: &Stack, next: usize, sp: u64, end: u64) -> Vec<usize> {
    let indices = |group: usize| -> Vec<usize> {
        stack.frames.iter().enumerate().filter(|(_, f)| f.group == group).map(|(i, _)| i).collect()
    };
    let has_records = stack.frames.iter().any(|f| f.entry.is_some());
    let inside = stack.frames.iter().find(|f| f.entry.is_some_and(|e| (sp..end).contains(&e.0)));
    match inside {
        Some(frame) => indices(frame.group),
        None if has_records => Vec::new(),
        None => indices(next),
    }
}

struct Shown<'a> {
    answering: &'a Answering<'a>,
    stack: &'a Rc<Stack>,
}

impl Shown<'_> {
    fn frames(&self, entry: &Entry, locals: bool) -> Vec<model::Frame> {
        if entry.python.is_empty() {
            let mut frame = model::Frame::c_call(entry.text.clone(), None, None);
            frame.gdb_level = Some(entry.level);
            return vec![frame];
        }
        let objects = &self.answering.attached.objects;
        entry
            .python
            .iter()
            .map(|index| {
                let frame = &self.stack.frames[*index];
                let mut shown = self.answering.shown(*index, frame, false);
                shown.gdb_level = Some(entry.level);
                if locals {
                    let raw = objects.raw_locals(frame).unwrap_or_default();
                    let chars = limits::VALUE_CHARS;
                    shown.locals = Some(raw.iter().map(|v| self.answering.variable(v, chars)).collect());
                }
                shown
            })
            .collect()
    }

    fn full(&self, out: &mut String, entry: &Entry) {
        self.frames(entry, true).iter().for_each(|frame| stock::full(out, frame));
    }
}
