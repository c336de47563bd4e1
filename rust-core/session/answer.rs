//! The answers: from a request to the values that `report` shows.

use super::attach::{Attached, Stopped};
use super::request::{Command, Request, Response, Selection, Thread};
use super::room::Room;
use super::select;
use crate::bytes::Addr;
use crate::diag::{Diagnostic, Diagnostics};
use crate::error::{Error, Result};
use crate::image::unwind::{NativeFrame, Registers};
use crate::layout::GilPlace;
use crate::limits;
use crate::objects::repr::Style;
use crate::objects::text::{Text, plain_line};
use crate::report::{model, text};
use crate::runtime;
use crate::stack::native::Matching;
use crate::stack::source::Places;
use crate::stack::{Frame, Stack, Variable};
use once_cell::unsync::OnceCell;
use std::rc::Rc;

/// Answers one request.
///
/// # Errors
/// Any; the text is for the user.
pub fn answer(attached: &Attached, request: &Request) -> Result<Response> {
    attached.start_answer();
    if request.stock
        && let Some(response) = super::stock::answer(&Answering::new(attached, request)?)
    {
        return response;
    }
    match request.command {
        Command::Bt => Answering::new(attached, request)?.backtrace(),
        Command::Threads => Answering::new(attached, request)?.threads(),
        Command::Locals => Answering::new(attached, request)?.locals(),
        Command::Print => Answering::new(attached, request)?.print(),
        Command::List => Answering::new(attached, request)?.list(),
        Command::Frame => Answering::new(attached, request)?.frame(),
        Command::Names => Answering::new(attached, request)?.names(),
        Command::Info => super::info::info(attached, request),
        Command::Gc => super::gc::gc(attached, request),
        Command::Heap => super::heap::heap(attached, request),
        Command::Check => super::check::check(attached, request),
        Command::Find => super::find::find(attached, request),
        Command::Object => super::object::object(attached, request),
        Command::Dup => super::duplicates::duplicates(attached, request),
        Command::Waste => super::waste::waste(attached, request),
        Command::Copy => Err(Error::Request("copying is the session's".to_owned())),
        Command::Files => Ok(Response { data: serde_json::json!(attached.mapped_files()), ..Response::default() }),
        Command::Value => Ok(super::value::value(attached, request)),
        Command::Types => Ok(super::value::types(request)),
        Command::Natives => super::value::natives(attached, request),
    }
}

/// One request being answered.
pub(super) struct Answering<'a> {
    pub attached: &'a Attached,
    pub request: &'a Request,
    pub stopped: Rc<Stopped>,
    /// Remarks about what this request asks for.
    remarks: Diagnostics,
    /// What the values of this answer may still have.
    room: Room,
    /// Where sources are, without what only relative names need.
    places: Places,
    all_places: OnceCell<Places>,
}

impl<'a> Answering<'a> {
    pub fn new(attached: &'a Attached, request: &'a Request) -> Result<Answering<'a>> {
        let stopped = attached.stopped()?;
        let places = attached.places(&request.places(), &[]);
        let remarks = Diagnostics::default();
        for remark in &request.remarks {
            remarks.add(remark.as_str(), "GDB");
        }
        let mut running: Vec<i64> = request.threads.iter().filter(|t| t.running).map(|t| t.gdb).collect();
        running.sort_unstable();
        if !running.is_empty() {
            let running: Vec<String> = running.iter().map(i64::to_string).collect();
            let what = "what is shown was read while it changed, and C calls are not known: these run";
            remarks.add(what, format!("thread {}", running.join(", ")));
        }
        let room = Room::new();
        Ok(Answering { attached, request, stopped, remarks, room, places, all_places: OnceCell::new() })
    }

    fn diagnostics(&self) -> Vec<Diagnostic> {
        self.attached.remarks(&self.stopped, &self.remarks)
    }

    pub(super) fn variable(&self, variable: &Variable, chars: usize) -> model::Variable {
        let objects = &self.attached.objects;
        let repr = objects.repr(variable.value, chars, self.request.style());
        model::Variable {
            name: variable.name.clone(),
            value: repr.text,
            type_name: objects.type_of(variable.value).ok().map(|ty| objects.short_type_name(variable.value, &ty)),
            address: Some(variable.value),
            truncated: repr.truncated,
        }
    }

    /// Characters of a variable in text: a stack of many frames must stay readable.
    fn text_chars(&self) -> usize {
        match self.request.command {
            Command::Locals => limits::VALUE_CHARS,
            _ => limits::STACK_VALUE_CHARS,
        }
    }

    fn variables(&self, variables: Result<Vec<Variable>>) -> Vec<model::Variable> {
        let chars = self.request.chars(if self.request.options.json { limits::VALUE_CHARS } else { self.text_chars() });
        let variables = variables.unwrap_or_else(|e| {
            self.remarks.add(format!("the variables of a frame cannot be read: {e}"), "frame");
            Vec::new()
        });
        let mut shown = Vec::new();
        for variable in &variables {
            let Some(room) = self.room.left(&self.attached.objects, &self.remarks) else { break };
            let one = self.variable(variable, chars.min(room));
            self.room.take(one.value.len() + one.name.len() + 1);
            shown.push(one);
        }
        shown
    }

    /// A Python frame as it is shown. `locals`: with all its variables.
    pub(super) fn shown(&self, index: usize, frame: &Frame, locals: bool) -> model::Frame {
        let objects = &self.attached.objects;
        let code = frame.code.as_ref().ok();
        let file = code.and_then(|c| c.file.clone());
        let source = file.as_ref().zip(frame.line).and_then(|(file, line)| self.source_line(file, line));
        model::Frame {
            kind: model::FrameKind::Python,
            index: Some(index),
            gdb_level: None,
            address: Some(frame.addr),
            function: Some(match &frame.code {
                Ok(code) => code.name.clone(),
                Err(e) => format!("<unreadable: {e}>"),
            }),
            qualname: code.and_then(|c| c.qualname.clone()),
            file,
            line: frame.line,
            source,
            args: self.variables(objects.frame_arguments(frame)),
            locals: locals.then(|| self.variables(objects.locals(frame))),
            receiver: None,
        }
    }

    fn source_lines(&self, file: &Text) -> Option<Rc<Vec<String>>> {
        let path = file.to_path();
        let places = if path.is_absolute() {
            &self.places
        } else {
            // The target's sys.path counts here: it is read when it is needed.
            let search_path = || self.stopped.runtime.search_path(&self.attached.objects);
            self.all_places.get_or_init(|| self.attached.places(&self.request.places(), &search_path()))
        };
        self.attached.sources.lines(&path, places)
    }

    fn source_line(&self, file: &Text, line: i64) -> Option<String> {
        let lines = self.source_lines(file)?;
        lines.get(usize::try_from(line).ok()?.checked_sub(1)?).map(|l| plain_line(l.trim_end()))
    }

    /// What a thread is doing. `in_c`: its innermost Python frame was seen to have called C.
    fn state(
        &self,
        state: &runtime::Thread,
        thread: Option<&Thread>,
        native: &[NativeFrame],
        in_c: Option<bool>,
    ) -> model::State {
        let interpreter = self.stopped.runtime.interpreters.iter().find(|i| i.addr == state.interpreter);
        if state.holds_gil && interpreter.and_then(|i| i.collecting) == Some(true) {
            return model::State::CollectingGarbage;
        }
        let Some(in_c) = in_c else { return model::State::NoPython };
        // A thread that waits for the GIL sleeps in futex(2) on a word of the GIL's own condition
        // variable or mutex.
        let futex = thread.filter(|t| t.orig_rax == Some(FUTEX)).and_then(|t| t.args.first());
        let in_gil =
            |word: u64| self.stopped.runtime.gils.iter().any(|(gil, size)| word.wrapping_sub(gil.0) < (*size).max(8));
        let objects = &self.attached.objects;
        let in_lock = || objects.layout.rules.gil == GilPlace::Lock && objects.waits_for_gil_lock(native);
        let at_gil = futex.is_some_and(|word| in_gil(*word));
        if state.holds_gil {
            // One that has just got the GIL may still be in the system call that hands it over. Any other
            // system call is C code's, whether or not a call of it can be proven (negative: in none).
            let in_system_call = thread.and_then(|t| t.orig_rax).is_some_and(|number| number >= 0) && !at_gil;
            return if in_c || in_system_call { model::State::InCCall } else { model::State::Running };
        }
        if at_gil || in_lock() { model::State::WaitingForGil } else { model::State::InCCall }
    }

    /// The C stack of `thread`, matched with its Python stack.
    pub(super) fn matching(&self, thread: Option<&Thread>, stack: &Stack) -> Matching {
        let registers = thread.and_then(|t| Some(Registers { pc: t.pc?, sp: t.sp?, bp: t.bp? }));
        let native = registers.map(|r| self.attached.native(r)).unwrap_or_default();
        Matching::new(&self.attached.objects, stack, native)
    }

    /// A call into C that the frame at `index` has made, if it can be proven.
    fn c_call(&self, stack: &Stack, matching: &Matching, index: usize) -> Option<model::Frame> {
        let objects = &self.attached.objects;
        let called = objects.called(&stack.frames[index], matching.callees(index))?;
        // CPython's own script shows a method as any other object.
        let stock = called.callable.filter(|_| self.request.style() == Style::Stock);
        let bound = match (&called.name, called.receiver) {
            (Some(name), Some(receiver)) if stock.is_none() => Some(objects.bound_repr(name, receiver).ok()?),
            _ => None,
        };
        let text = match bound {
            Some(text) => text,
            None => objects.repr(called.callable?, limits::VALUE_CHARS, self.request.style()).text,
        };
        Some(model::Frame::c_call(text, called.callable, called.receiver))
    }

    /// A native thread: an entry for each interpreter that it runs, the innermost first. Indexes of
    /// frames go on from one to the next.
    fn thread(
        &self,
        states: &[&runtime::Thread],
        thread: Option<&Thread>,
        locals: bool,
        all_frames: bool,
    ) -> Vec<model::Thread> {
        let (whole, starts) = select::whole_stack(self.attached, &self.stopped, states);
        let matching = self.matching(thread, &whole);
        let limit = self.request.options.limit.filter(|_| all_frames).unwrap_or(usize::MAX);
        let named = self.request.options.json || self.request.options.all || !all_frames;
        let mut all = Vec::new();
        for (state, start) in states.iter().zip(starts) {
            let part = self.stopped.stack(&self.attached.objects, state.addr);
            let end = start + part.frames.len();
            let most = if all_frames { limit } else { start + 1 };
            let mut frames = Vec::new();
            for (i, frame) in whole.frames.iter().enumerate().take(end.min(most)).skip(start) {
                frames.extend(self.c_call(&whole, &matching, i));
                let mut shown = self.shown(i, frame, locals);
                shown.gdb_level = thread.and_then(|t| t.level_of(&matching, i));
                frames.push(shown);
            }
            // Of an interpreter that has called into another one, the call is what it is in.
            let in_c = frames.first().map(|f| f.kind == model::FrameKind::CCall || start > 0);
            let state_words = match in_c {
                None if part.cut.is_some() => model::State::Unreadable,
                in_c => self.state(state, thread, &matching.native, in_c),
            };
            all.push(model::Thread {
                gdb: thread.map(|t| t.gdb),
                lwp: thread.map(|t| t.lwp),
                thread_id: Some(Addr(state.thread_id)),
                native_thread_id: state.native_thread_id,
                name: if named { self.stopped.thread_name(&self.attached.objects, state.addr) } else { None },
                interpreter: Some(state.interpreter_id),
                holds_gil: state.holds_gil,
                state: state_words,
                frames_total: None,
                frames,
                cut: part.cut.clone(),
            });
            if end >= limit {
                break;
            }
        }
        if let Some(last) = all.last_mut()
            && whole.frames.len() > limit
        {
            last.frames_total = Some(whole.frames.len());
        }
        all
    }

    /// Every thread: those of the debugger in its order, each with its Python states, then Python
    /// states that no thread of the debugger has.
    fn all_threads(&self, locals: bool, all_frames: bool) -> Vec<model::Thread> {
        let mut threads = Vec::new();
        let mut natives: Vec<&Thread> = self.request.threads.iter().collect();
        natives.sort_by_key(|t| t.gdb);
        let (joined, rest) = select::joined(self.attached, &self.stopped, &natives);
        for (native, states) in joined {
            if states.is_empty() {
                threads.push(model::Thread::without_python(native.gdb, native.lwp, native.pthread));
            }
            threads.extend(self.thread(&states, Some(native), locals, all_frames));
        }
        for state in rest {
            threads.extend(self.thread(&[state], None, locals, all_frames));
        }
        threads
    }

    fn backtrace(&self) -> Result<Response> {
        let options = &self.request.options;
        let threads = if options.all {
            self.all_threads(options.locals, true)
        } else {
            let native = self.request.selected();
            match (select::selected(self.attached, &self.stopped, self.request), native) {
                (Ok(states), _) => self.thread(&states, native, options.locals, true),
                // An answer and no error: an error would end `thread apply all py-bt` here.
                (Err(Error::User(text)), Some(_)) if !options.json => {
                    return Ok(Response { text: text + "\n", ..Response::default() });
                }
                (Err(Error::User(_)), Some(native)) => {
                    vec![model::Thread::without_python(native.gdb, native.lwp, native.pthread)]
                }
                (Err(e), _) => return Err(e),
            }
        };
        let answer = model::Threads { threads, diagnostics: self.diagnostics() };
        Ok(self.request.respond(&answer, |answer| text::backtrace(answer, options.all, &self.request.paint)))
    }

    fn threads(&self) -> Result<Response> {
        let answer = model::Threads { threads: self.all_threads(false, false), diagnostics: self.diagnostics() };
        let (current, width, paint) = (self.request.thread, self.request.width, &self.request.paint);
        Ok(self.request.respond(&answer, |answer| text::threads(answer, current, width, paint)))
    }

    /// The selected frame.
    pub(super) fn current(&self) -> Result<(Rc<Stack>, usize)> {
        let stack = self.selected_stack()?;
        if stack.frames.is_empty() {
            return Err(Error::User(match &stack.cut {
                Some(why) => format!("Unable to locate python frame: {why}"),
                None => format!("Unable to locate python frame: {}.", text::NO_FRAME),
            }));
        }
        let matching = match self.request.native_sp {
            Some(_) => self.matching(self.request.selected(), &stack),
            None => Matching::default(),
        };
        let index = select::frame_index(&stack, &matching, self.request);
        Ok((stack, index))
    }

    fn locals(&self) -> Result<Response> {
        let (stack, index) = self.current()?;
        self.remark_namespace(&stack.frames[index]);
        let frame = self.shown(index, &stack.frames[index], true);
        let answer = model::Locals { frames: vec![frame], diagnostics: self.diagnostics() };
        Ok(self.request.respond(&answer, |answer| text::locals(answer, &self.request.paint)))
    }

    /// Says so where the frame's locals are kept by an object that only its own code can ask.
    fn remark_namespace(&self, frame: &Frame) {
        let objects = &self.attached.objects;
        if let Some(namespace) = objects.foreign_namespace(frame) {
            let name = objects.type_of(namespace).map_or_else(|_| "object".to_owned(), |ty| objects.class_name(&ty));
            let what = format!("this frame's locals are kept by a {name} object, which is no dict: they are not shown");
            self.remarks.add(what, namespace.to_string());
        }
    }

    fn print(&self) -> Result<Response> {
        let (stack, index) = self.current()?;
        self.remark_namespace(&stack.frames[index]);
        let remarked = |error| match error {
            Error::User(text) => {
                let notes = self.remarks.all().into_iter().map(|note| format!("\nnote: {} ({})", note.what, note.at));
                Error::User(text + &notes.collect::<String>())
            }
            other => other,
        };
        let name = self.request.options.name.clone().unwrap_or_default();
        let objects = &self.attached.objects;
        let (scope, value) =
            super::path::resolve(objects, &stack.frames[index], &name, self.request.style()).map_err(remarked)?;
        let repr = objects.repr_value(&value, self.request.chars(16 * limits::VALUE_CHARS), self.request.style());
        let variable = model::Variable {
            name,
            value: repr.text,
            type_name: objects.value_type(&value),
            address: value.address(),
            truncated: repr.truncated,
        };
        let answer = model::Printed { scope: scope.word(), variable, diagnostics: self.diagnostics() };
        Ok(self.request.respond(&answer, |answer| text::printed(answer, &self.request.paint)))
    }

    fn names(&self) -> Result<Response> {
        let (stack, index) = self.current()?;
        let frame = &stack.frames[index];
        let objects = &self.attached.objects;
        let typed = self.request.options.name.as_deref().unwrap_or("");
        if let Some(names) = super::path::complete(objects, frame, typed, self.request.style()) {
            return Ok(Response { data: serde_json::json!(names), ..Response::default() });
        }
        let mut names: Vec<String> = objects.locals(frame)?.into_iter().map(|v| v.name).collect();
        for dict in [objects.frame_globals(frame), objects.frame_builtins(frame)] {
            let _ = objects.dict_each(dict?, &mut |key, _| {
                names.extend(objects.name(key).ok());
                names.len() < limits::CODE_NAMES
            });
        }
        Ok(Response { data: serde_json::json!(names), ..Response::default() })
    }

    fn list(&self) -> Result<Response> {
        let (stack, index) = self.current()?;
        self.list_frame(&stack, index)
    }

    /// The Python stack of the selected thread, through all interpreters that it runs.
    pub(super) fn selected_stack(&self) -> Result<Rc<Stack>> {
        let states = select::selected(self.attached, &self.stopped, self.request)?;
        Ok(select::whole_stack(self.attached, &self.stopped, &states).0)
    }

    pub(super) fn list_frame(&self, stack: &Stack, index: usize) -> Result<Response> {
        let frame = &stack.frames[index];
        let options = &self.request.options;
        let code = frame.code.as_ref().map_err(Clone::clone)?;
        let file = code.file.clone().unwrap_or_else(|| Text::from("?"));
        let line = frame.line;
        let (start, end) = match (options.start, options.end) {
            (Some(start), Some(end)) => (start, end),
            (Some(start), None) => (start, start.saturating_add(10)),
            _ => {
                let line = line.ok_or_else(|| Error::User("Unable to read python frame line number".into()))?;
                (line.saturating_sub(5), line.saturating_add(5))
            }
        };
        let lines = self.source_lines(&file).ok_or_else(|| {
            Error::User(format!(
                "Unable to open {}: no such file here. `directory DIR` or `set substitute-path FROM TO` tells where it is.",
                file.plain()
            ))
        })?;
        let lines: Vec<(i64, String)> = lines
            .iter()
            .zip(1i64..)
            .filter(|(_, number)| (start.max(1)..=end).contains(number))
            .map(|(text, number)| (number, text.clone()))
            .collect();
        if lines.is_empty() && !self.request.stock {
            return Err(Error::User(format!("{} has no lines {start} to {end}.", file.plain())));
        }
        let answer = model::Listing { file, line, lines };
        Ok(self.request.respond(&answer, text::listing))
    }

    fn frame(&self) -> Result<Response> {
        let (stack, current) = self.current()?;
        let options = &self.request.options;
        let step = options.index.unwrap_or(0);
        let count = stack.frames.len() as i64;
        let target = if options.relative {
            (current as i64).saturating_add(step)
        } else {
            options.index.unwrap_or(current as i64)
        };
        // As GDB's own `up 100` does, a step beyond the end goes to the end; at the end it is an
        // error.
        let target =
            if options.relative && (current as i64) < count - 1 && target >= count { count - 1 } else { target };
        let target = if options.relative && current > 0 && target < 0 { 0 } else { target };
        if target >= count {
            let text = if options.relative {
                "Unable to find an older python frame".to_owned()
            } else {
                format!("There is no Python frame {target}: this thread has {count}.")
            };
            return Err(Error::User(text));
        }
        let Ok(index) = usize::try_from(target) else {
            return Err(Error::User("Unable to find a newer python frame".into()));
        };
        let shown = self.shown(index, &stack.frames[index], false);
        let mut response = self.request.respond(&shown, |frame| {
            let mut out = String::new();
            text::frame(&mut out, frame, &self.request.paint);
            out
        });
        let matching = self.matching(self.request.selected(), &stack);
        let native = matching.of.get(index).copied().flatten().and_then(|i| matching.native.get(i));
        response.select = Some(Selection { frame: Some(index), sp: native.map(|n| n.sp), level: None });
        Ok(response)
    }
}

/// `futex` in the system call table of x86-64.
const FUTEX: i64 = 202;
