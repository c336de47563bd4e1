//! What the host asks, and the form of what it gets back. Shared with
//! `gdb-scripts/pyext_gdb/session.py`; documented in `docs/boundary.md`.

use crate::limits;
use crate::objects::repr::Style;
use crate::report::json;
use crate::report::paint::Paint;
use crate::stack::native::Matching;
use crate::stack::source::Places;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// `py-bt`, `py-bt-full`.
    Bt,
    /// `py-list`.
    List,
    /// `py-locals`.
    Locals,
    /// `py-print`.
    Print,
    /// `py-up`, `py-down`, `py-frame`.
    Frame,
    /// `py-threads`.
    Threads,
    /// `py-info`.
    Info,
    /// `py-heap`.
    Heap,
    /// `py-heap --check`.
    Check,
    /// `py-heap --detach-copy`.
    Copy,
    /// `py-gc`.
    Gc,
    /// `py-find`.
    Find,
    /// `py-obj`.
    Object,
    /// `py-dup`.
    Dup,
    /// `py-waste`.
    Waste,
    /// The files that the target maps, and where they are here: for `py-info --collect`.
    Files,
    /// The text of a value at an address, for pretty-printers.
    Value,
    /// The names that `py-print` can complete.
    Names,
    /// The C types that `Value` can show.
    Types,
    /// What a frame filter shows for native frames.
    Natives,
}

impl Command {
    /// Whether the answer's text goes to the user as it is.
    pub fn is_shown(self) -> bool {
        !matches!(self, Command::Files | Command::Value | Command::Names | Command::Types | Command::Natives)
    }
}

/// Options of commands; each command reads its own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Every thread.
    pub all: bool,
    /// Locals under each frame.
    pub locals: bool,
    /// At most so many frames of each thread, rows, or objects.
    pub limit: Option<usize>,
    /// JSON instead of text.
    pub json: bool,
    /// More detail.
    pub verbose: bool,
    /// `py-list`: the first line.
    pub start: Option<i64>,
    /// `py-list`: the last line.
    pub end: Option<i64>,
    /// `py-print`, `py-obj`: a name or path. Names: what was typed of it so far.
    pub name: Option<String>,
    /// `py-frame`: absolute index; `py-up`, `py-down`: relative to the selected frame.
    pub index: Option<i64>,
    /// Whether `index` is relative.
    pub relative: bool,
    /// Value, `py-obj`: the address.
    pub address: Option<u64>,
    /// Value: the C type's name, as the debugger has it.
    pub ctype: Option<String>,
    /// Characters of one value, at most.
    pub chars: Option<usize>,
    /// `py-heap`: what the rows are.
    pub by: By,
    /// `py-heap`: only these objects.
    pub of: Vec<Which>,
    /// `py-heap`: how the rows are sorted.
    pub sort: Sort,
    /// `py-heap`: the bytes of blocks, those of tables included.
    pub allocated: bool,
    /// `py-heap`: the bytes outside of Python's objects.
    pub native: bool,
    /// `py-heap`: rows to leave out before the first.
    pub skip: usize,
    /// `py-heap`: the file to keep the census in.
    pub save: Option<PathBuf>,
    /// `py-heap`: the snapshot to compare with.
    pub diff: Option<PathBuf>,
    /// `py-find`, `py-dup`: the name of a type. `py-heap`, `py-waste`: a regular expression of names.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// `py-find`: subclasses too.
    pub subclasses: bool,
    /// `py-find`: attributes, as `name` or `name=value`.
    pub attr: Vec<String>,
    /// `py-find`: what is in values.
    pub value: Option<String>,
    /// `py-find`: sizes, as a comparison.
    pub size: Option<String>,
}

/// An object, by its address or by a path.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Which {
    /// As in [`Options::name`].
    pub name: Option<String>,
    /// Its address.
    pub address: Option<u64>,
}

/// What `py-heap` puts into one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Objects of one type; of dicts, those of objects of one type.
    #[default]
    Kind,
    /// Objects of one type.
    Type,
    /// Objects of the types of one module.
    Module,
    /// Objects of one size.
    Size,
    /// Objects in one list of the garbage collector.
    Generation,
}

impl By {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            By::Kind => "kind",
            By::Type => "type",
            By::Module => "module",
            By::Size => "size",
            By::Generation => "generation",
        }
    }
}

/// How `py-heap` sorts its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// Most bytes first.
    #[default]
    Size,
    /// Most objects first.
    Count,
    /// By name.
    Kind,
}

/// A native thread, with what only the host knows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// The host's number for it.
    pub gdb: i64,
    /// Its thread id on the host.
    pub lwp: i64,
    /// `pthread_self()` in it, if known.
    pub pthread: Option<u64>,
    /// It runs just now (the host's non-stop mode).
    pub running: bool,
    /// Stack pointer.
    pub sp: Option<u64>,
    /// Program counter.
    pub pc: Option<u64>,
    /// Frame pointer.
    pub bp: Option<u64>,
    /// The system call that it is in, or -1.
    pub orig_rax: Option<i64>,
    /// First argument registers of that system call.
    pub args: Vec<u64>,
    /// Native frames, innermost first, where they were asked for.
    pub native: Option<Vec<Native>>,
}

impl Thread {
    /// The host's level of the native frame that runs Python frame `index`, where the host sent
    /// its frames. Functions inlined into that frame share its stack pointer and have levels of
    /// their own.
    pub fn level_of(&self, matching: &Matching, index: usize) -> Option<i64> {
        let sp = matching.native.get(matching.of.get(index).copied().flatten()?)?.sp;
        self.native.as_ref()?.iter().find(|n| n.sp == sp && !n.inline).map(|n| n.level)
    }
}

/// A native frame.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Native {
    /// The host's level.
    pub level: i64,
    /// Program counter.
    pub pc: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Whether the function was inlined into the next older frame's.
    pub inline: bool,
    /// Function, if known.
    pub name: Option<String>,
    /// Variables of the function that were asked for: name and pointer value.
    pub variables: Vec<(String, u64)>,
}

/// The request.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Its options.
    #[serde(default)]
    pub options: Options,
    /// Threads: all of them, or only the selected one.
    #[serde(default)]
    pub threads: Vec<Thread>,
    /// The host's number of the selected thread.
    #[serde(default)]
    pub thread: Option<i64>,
    /// The Python frame that the user has selected.
    #[serde(default)]
    pub frame: Option<usize>,
    /// The stack pointer of the native frame that the user has selected, if it is not the newest.
    #[serde(default)]
    pub native_sp: Option<u64>,
    /// The level of the native frame that the user has selected.
    #[serde(default)]
    pub level: Option<i64>,
    /// Stock words instead of ours.
    #[serde(default)]
    pub stock: bool,
    /// `set substitute-path`.
    #[serde(default)]
    pub substitute: Vec<(String, String)>,
    /// `directory`.
    #[serde(default)]
    pub directories: Vec<PathBuf>,
    /// Columns of the terminal; 0 for no limit.
    #[serde(default)]
    pub width: usize,
    /// What the host could not tell, for the user.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// Colours for a terminal; none for a pipe or a file.
    #[serde(default)]
    pub paint: Paint,
}

impl Request {
    /// The style of values.
    pub fn style(&self) -> Style {
        if self.stock { Style::Stock } else { Style::Pyext }
    }

    /// The answer `value` in the form that was asked for: as JSON, or as what `text` makes of it.
    pub fn respond<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Response {
        let text = if self.options.json { json::to_ascii(value) + "\n" } else { text(value) };
        Response { text, ..Response::default() }
    }

    /// Characters of one value: as many as were asked for, or `default`.
    pub fn chars(&self, default: usize) -> usize {
        self.options.chars.unwrap_or(default).min(limits::VALUE_CHARS_MAX)
    }

    /// Where the host looks for sources.
    pub fn places(&self) -> Places {
        Places { substitute: self.substitute.clone(), directories: self.directories.clone(), ..Places::default() }
    }

    /// The selected thread, as far as the host described it.
    pub fn selected(&self) -> Option<&Thread> {
        self.threads.iter().find(|t| Some(t.gdb) == self.thread)
    }
}

/// What the host is asked to add before the question can be answered.
#[derive(Debug, Clone, Serialize)]
pub struct Need {
    /// Native frames of these threads.
    pub native: Vec<i64>,
    /// Variables to read in functions: (name, variable). A name that ends in `*` is a beginning.
    pub variables: Vec<(String, String)>,
}

/// What the host is to select.
#[derive(Debug, Clone, Serialize)]
pub struct Selection {
    /// The Python frame's index.
    pub frame: Option<usize>,
    /// The stack pointer of the native frame that runs it, where there is one.
    pub sp: Option<u64>,
    /// The native frame's level, where the host gave levels.
    pub level: Option<i64>,
}

/// The answer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Response {
    /// Text for the terminal; with `json`, the JSON text.
    pub text: String,
    /// What to select.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selection>,
    /// What is missing in the request; the host asks again with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub need: Option<Need>,
    /// Data for the host itself.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}
