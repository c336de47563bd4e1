//! From a description of the target to everything that does not change while it lives.

use super::copied::Origin;
use super::files::{self, candidates};
use super::request::{Request, Response};
use crate::bytes::Addr;
use crate::diag::{DAMAGED, Diagnostic, Diagnostics, TRUNCATED};
use crate::error::{Error, Result};
use crate::heap::Census;
use crate::heap::scan::Tally;
use crate::heap::types::Info;
use crate::image::elf::hex;
use crate::image::unwind::{NativeFrame, Registers, Unwinding};
use crate::image::{Image, Module, debug_file, dwarf, modules};
use crate::layout::{self, Layout};
use crate::limits;
use crate::locate::{self, Located};
use crate::objects::Objects;
use crate::process::cache::PollFn;
use crate::process::core_file::CoreFile;
use crate::process::files::open_regular;
use crate::process::host::{Host, ReadFn};
use crate::process::live::Live;
use crate::process::{Cache, Memory, Region};
use crate::runtime::Runtime;
use crate::stack::source::{Places, Sources};
use crate::stack::{Stack, walk};
use once_cell::unsync::OnceCell;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What the host knows of the target.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Description {
    /// The process, if it is a live one on this machine.
    pub pid: Option<i32>,
    /// The core file.
    pub core: Option<String>,
    /// The program as the host has loaded it.
    pub executable: Option<String>,
    /// Directories with separate debug files.
    pub debug_directories: Vec<PathBuf>,
    /// Where the target's files are seen from here; empty for `/`.
    pub sysroot: String,
    /// Mapped files, where neither `/proc` nor the core tells: path, first address, end, offset in
    /// the file.
    pub modules: Vec<(String, u64, u64, u64)>,
    /// All that is mapped, where the host knows more than the files: the same and permissions, `rw-p`.
    pub mappings: Vec<(String, u64, u64, u64, String)>,
    /// Whether a debuginfod server may be asked.
    pub debuginfod: bool,
}

/// Time spent in the phases of attaching.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Opening the target and finding CPython in it.
    pub locate: Duration,
    /// Finding and reading debug info.
    pub debug_info: Duration,
    /// Choosing and verifying the layout.
    pub layout: Duration,
}

/// A target in which CPython was found.
pub struct Attached {
    /// Reads its objects.
    pub objects: Objects,
    /// Remarks from attaching.
    pub diagnostics: Diagnostics,
    /// The core, if it is one.
    pub core: Option<Rc<CoreFile>>,
    /// What it was made from.
    pub description: Description,
    /// How long attaching took.
    pub times: Times,
    /// Source files.
    pub sources: Sources,
    /// Where the copy comes from, if it is one.
    origin: Option<Origin>,
    unwinding: Unwinding,
    stopped: RefCell<Option<Rc<Stopped>>>,
}

/// What holds until the target runs again.
pub struct Stopped {
    /// Interpreters and threads.
    pub runtime: Runtime,
    /// Remarks from reading it.
    pub diagnostics: Diagnostics,
    stacks: RefCell<HashMap<Addr, Rc<Stack>>>,
    names: OnceCell<HashMap<Addr, String>>,
    census: OnceCell<Census>,
    sizes: OnceCell<Vec<(Info, u64, Tally)>>,
}

impl Attached {
    /// Opens the target, finds CPython and its layout.
    ///
    /// # Errors
    /// A sentence for the user: the target cannot be read, has no CPython, or has one that is not
    /// known.
    pub fn new(description: &Description, read: Option<ReadFn>, poll: Option<PollFn>) -> Result<Attached> {
        let diagnostics = Diagnostics::default();
        let start = Instant::now();
        let Opened { memory, core, host } = open(description, read)?;
        if let Some(core) = &core
            && core.missing_bytes > 0
        {
            diagnostics.add(
                format!("{TRUNCATED}: {} bytes that its headers promise are missing", core.missing_bytes),
                description.core.clone().unwrap_or_default(),
            );
        }
        if let Some(core) = core.as_ref().filter(|core| core.overlapping > 0) {
            diagnostics.add(
                format!("{DAMAGED}: {} of the mappings in its headers begin in another one", core.overlapping),
                description.core.clone().unwrap_or_default(),
            );
        }
        let memory = Rc::new(Cache::new(memory, poll));
        let candidates = |module: &Module| candidates(description, module);
        let opened = |image: &Image| {
            // Only a file that was proven to be the mapped one may stand in for missing pages. A
            // core without the image's first page cannot prove it; then the file is believed and
            // the layout's verification is the judge.
            if let (Some(core), Ok(file)) = (&core, open_regular(&image.file, limits::ELF_FILE)) {
                core.attach_file(&image.path, file);
                memory.clear();
            }
            if let (Some(host), true, Ok(file)) = (&host, image.verified, open_regular(&image.file, limits::ELF_FILE)) {
                host.attach_file(file, &image.constants);
            }
        };
        let located = locate::locate(&memory, &candidates, &opened, &diagnostics)
            .map_err(|e| if memory.take_interrupt() { Error::Interrupted } else { with_remarks(&e, &diagnostics) })?;
        if let Some(core) = &core {
            attach_rest(core, &memory, &located.image.path, &candidates);
            check_program(core, description, &candidates, &diagnostics);
        }
        let mut times = Times { locate: start.elapsed(), ..Times::default() };
        let start = Instant::now();
        let structs = debug_structs(description, &located, &memory, &diagnostics);
        times.debug_info = start.elapsed();
        let start = Instant::now();
        let layout = layout::resolve(&located, &memory, structs, &diagnostics)?;
        times.layout = start.elapsed();
        Ok(Attached {
            objects: Objects::new(memory, Rc::new(layout), Rc::new(located)),
            diagnostics,
            core,
            description: description.clone(),
            times,
            sources: Sources::default(),
            origin: None,
            unwinding: Unwinding::default(),
            stopped: RefCell::new(None),
        })
    }

    /// The same target, read from a copy of its memory.
    pub(super) fn over(&self, memory: Cache, origin: Origin) -> Attached {
        let diagnostics = Diagnostics::default();
        diagnostics.extend(self.diagnostics.all());
        Attached {
            objects: Objects::new(Rc::new(memory), Rc::clone(&self.objects.layout), Rc::clone(&self.objects.located)),
            diagnostics,
            core: None,
            description: self.description.clone(),
            times: self.times,
            sources: Sources::default(),
            origin: Some(origin),
            unwinding: Unwinding::default(),
            stopped: RefCell::new(None),
        }
    }

    /// Where CPython was found.
    pub fn located(&self) -> &Located {
        &self.objects.located
    }

    /// The layout in use.
    pub fn layout(&self) -> &Layout {
        &self.objects.layout
    }

    /// The target has run.
    pub fn invalidate(&self) {
        *self.stopped.borrow_mut() = None;
        self.objects.memory.clear();
        self.objects.clear();
        self.sources.clear();
    }

    /// Interpreters and threads as they are now.
    ///
    /// # Errors
    /// [`Error::NoPython`].
    pub fn stopped(&self) -> Result<Rc<Stopped>> {
        if let Some(known) = &*self.stopped.borrow() {
            return Ok(Rc::clone(known));
        }
        let diagnostics = Diagnostics::default();
        let runtime = Runtime::read(&self.objects, &diagnostics).map_err(|e| with_remarks(&e, &self.diagnostics))?;
        let stopped = Rc::new(Stopped {
            runtime,
            diagnostics,
            stacks: RefCell::default(),
            names: OnceCell::new(),
            census: OnceCell::new(),
            sizes: OnceCell::new(),
        });
        *self.stopped.borrow_mut() = Some(Rc::clone(&stopped));
        Ok(stopped)
    }

    /// An answer from a core that is cut off, or from a copy, says so before everything else. JSON carries it
    /// among the diagnostics.
    pub fn qualified(&self, mut answer: Response, request: &Request) -> Response {
        if let Some(note) = self.said_first()
            && !request.options.json
            && request.command.is_shown()
            && answer.need.is_none()
            && !answer.text.starts_with("note:")
        {
            answer.text.insert_str(0, &(note + "\n"));
        }
        answer
    }

    /// The same for errors.
    pub fn explained(&self, error: Error) -> Error {
        match (self.said_first(), error) {
            (Some(note), Error::User(text)) => Error::User(format!("{note}\n{text}")),
            (_, error) => error,
        }
    }

    fn said_first(&self) -> Option<String> {
        let all = self.diagnostics.all().into_iter().filter(Diagnostic::is_said_first);
        let all = self.origin.as_ref().map(Origin::remark).into_iter().chain(all);
        all.map(|d| format!("note: {} ({})", d.what, d.at)).next()
    }

    /// Remarks of a stop and those of an answer; those of attaching are `py-info`'s, except that a truncated
    /// core, a copy and a wrong executable are said first and everywhere.
    pub fn remarks(&self, stopped: &Stopped, own: &Diagnostics) -> Vec<Diagnostic> {
        let first = |d: &Diagnostic| d.at == "executable" || d.is_said_first();
        let mut all: Vec<_> = self.origin.as_ref().map(Origin::remark).into_iter().collect();
        all.extend(self.diagnostics.all().into_iter().filter(first));
        all.extend(stopped.diagnostics.all());
        all.extend(own.all());
        all
    }

    /// The code that the target maps.
    pub fn mapped_files(&self) -> Vec<crate::report::model::MappedFile> {
        files::mapped(&self.description, &self.objects.memory)
    }

    /// Begins an answer, which may take only so much work.
    pub fn start_answer(&self) {
        self.objects.memory.progress().start();
        self.objects.start_answer();
        self.unwinding.start_answer();
    }

    /// The C stack of a thread with these registers, innermost frame first.
    pub fn native(&self, registers: Registers) -> Vec<NativeFrame> {
        let memory = &self.objects.memory;
        let all = std::cell::OnceCell::new();
        let tables = |pc: u64| {
            let all = all.get_or_init(|| modules::modules(&memory.regions()));
            let module = all.iter().find(|m| (m.start..m.end).contains(&pc))?;
            let files = candidates(&self.description, module);
            let sections = files.iter().find_map(|file| Image::unwind_tables(module, file, memory).ok())?;
            Some((module.start, module.end, sections))
        };
        self.unwinding.walk(memory, registers, &tables)
    }

    /// Where to look for source files: the target's working directory, the host's places, and the
    /// target's `sys.path`.
    pub fn places(&self, host: &Places, search_path: &[PathBuf]) -> Places {
        let mut places = host.clone();
        let root = self.description.pid.map(|pid| PathBuf::from(format!("/proc/{pid}/root")));
        for directory in search_path.iter().filter(|d| d.is_absolute()) {
            if let (Some(root), Ok(inside)) = (&root, directory.strip_prefix("/")) {
                places.search_path.push(root.join(inside));
            }
            places.search_path.push(directory.clone());
        }
        if let Some(pid) = self.description.pid {
            places.roots.push(format!("/proc/{pid}/root").into());
            if let Ok(directory) = std::fs::read_link(format!("/proc/{pid}/cwd")) {
                places.search_path.insert(
                    0,
                    Path::new(&format!("/proc/{pid}/root")).join(directory.strip_prefix("/").unwrap_or(&directory)),
                );
            }
        } else if !self.description.sysroot.is_empty() {
            places.roots.push(self.description.sysroot.clone().into());
        }
        places
    }
}

impl Stopped {
    /// What `threading` calls the thread whose state is at `tstate`. The names of all threads are read
    /// when the first is asked for: not every answer needs one.
    pub fn thread_name(&self, objects: &Objects, tstate: Addr) -> Option<String> {
        self.names.get_or_init(|| self.runtime.thread_names(objects, &self.diagnostics)).get(&tstate).cloned()
    }

    /// All objects, counted once.
    ///
    /// # Errors
    /// As [`Census::take`].
    pub fn census(&self, objects: &Objects) -> Result<&Census> {
        self.census.get_or_try_init(|| Census::take(objects))
    }

    /// All objects by type and size, counted once.
    ///
    /// # Errors
    /// As [`Census::take`].
    pub fn sizes(&self, objects: &Objects) -> Result<&Vec<(Info, u64, Tally)>> {
        self.sizes.get_or_try_init(|| Census::grouped(objects, &|record| record.size))
    }

    /// The Python stack of the thread state at `tstate`, walked once.
    pub fn stack(&self, objects: &Objects, tstate: Addr) -> Rc<Stack> {
        if let Some(known) = self.stacks.borrow().get(&tstate) {
            return Rc::clone(known);
        }
        let stack = Rc::new(walk(objects, tstate));
        self.stacks.borrow_mut().insert(tstate, Rc::clone(&stack));
        stack
    }
}

/// A failure with what was noticed on the way: a truncated core, a file that is not here.
fn with_remarks(error: &Error, diagnostics: &Diagnostics) -> Error {
    let remarks = diagnostics.all();
    let (first, rest): (Vec<_>, Vec<_>) = remarks.iter().take(5).partition(|r| r.is_said_first());
    let note = |remark: &&Diagnostic| format!("note: {} ({})", remark.what, remark.at);
    let lines: Vec<String> = first.iter().map(note).chain([error.to_string()]).chain(rest.iter().map(note)).collect();
    Error::NoPython(lines.join("\n"))
}

/// An open target, by its kind.
struct Opened {
    memory: Box<dyn Memory>,
    core: Option<Rc<CoreFile>>,
    host: Option<Rc<Host>>,
}

/// The target's memory, where CPython was not found in it or is not asked for.
///
/// # Errors
/// As [`Attached::new`], of opening the target.
pub fn bare_memory(description: &Description, read: Option<ReadFn>, poll: Option<PollFn>) -> Result<Cache> {
    Ok(Cache::new(open(description, read)?.memory, poll))
}

fn open(description: &Description, read: Option<ReadFn>) -> Result<Opened> {
    if let Some(path) = &description.core {
        let core = Rc::new(CoreFile::open(path)?);
        return Ok(Opened { memory: Box::new(Rc::clone(&core)), core: Some(core), host: None });
    }
    if let Some(pid) = description.pid {
        return Ok(Opened { memory: Box::new(Live::open(pid)?), core: None, host: None });
    }
    let Some(read) = read else {
        return Err(Error::User("There is no process and no core to look at.".into()));
    };
    let region = |path: &str, start, end, offset, permissions: &str| Region {
        start,
        end,
        writable: permissions.contains('w'),
        executable: permissions.contains('x'),
        offset,
        path: path.strip_suffix(" (deleted)").unwrap_or(path).to_owned(),
        deleted: path.ends_with(" (deleted)"),
    };
    let files = description.modules.iter().map(|(path, start, end, offset)| region(path, *start, *end, *offset, ""));
    let all = description.mappings.iter();
    let all = all.map(|(path, start, end, offset, permissions)| region(path, *start, *end, *offset, permissions));
    let regions = files.chain(all).filter(|region| region.start < region.end).take(limits::REGIONS).collect();
    let host = Rc::new(Host::new(read, regions));
    Ok(Opened { memory: Box::new(Rc::clone(&host)), core: None, host: Some(host) })
}

/// Says so where the host has loaded another program than the one that died: a shim, a link of a
/// virtual environment, a newer build. Its C backtrace is then wrong, ours is not.
fn check_program(
    core: &CoreFile,
    description: &Description,
    candidates: &locate::Candidates<'_>,
    diagnostics: &Diagnostics,
) {
    let Some(entry) = core.entry else { return };
    let all = modules::modules(core.regions());
    let Some(program) = all.iter().find(|m| (m.start..m.end).contains(&entry)) else { return };
    let Some(loaded) = &description.executable else {
        if let Some(file) = candidates(program).into_iter().find(|file| Image::file_build_id(file).is_some()) {
            let what = format!(
                "GDB has loaded no program, and the one that died is {}: its C frames are wrong until you type `file {}` and load the core again",
                program.path,
                file.display()
            );
            diagnostics.add(what, "executable");
        }
        return;
    };
    let ours = candidates(program).into_iter().filter(|file| file.as_os_str() != loaded.as_str());
    let right = ours.filter_map(|file| Some((Image::file_build_id(&file)?, file))).next();
    let same_file = Path::new(loaded).canonicalize().ok() == Path::new(&program.path).canonicalize().ok();
    match (Image::file_build_id(Path::new(loaded)), right) {
        (Some(id), Some((wanted, file))) if id != wanted => diagnostics.add(
            format!(
                "GDB has loaded {loaded} (build id {}), and the program that died is {} (build id {}): its C frames are wrong until you type `file {}` and load the core again",
                hex(&id), program.path, hex(&wanted), file.display()
            ),
            "executable",
        ),
        (None, Some((_, file))) if !same_file => diagnostics.add(
            format!("GDB has loaded {loaded}, which is no ELF program; the one that died is {}: type `file {}` and load the core again", program.path, file.display()),
            "executable",
        ),
        _ => {}
    }
}

/// Lets the files of all other modules stand in for what the core left out: static types of
/// extension modules lie there.
fn attach_rest(core: &CoreFile, memory: &Cache, known: &str, candidates: &locate::Candidates<'_>) {
    for module in modules::modules(core.regions()).iter().filter(|m| m.path != known) {
        let file = candidates(module).into_iter().find(|file| Image::is_file_of(module, file, memory));
        if let Some(file) = file.and_then(|file| open_regular(&file, limits::ELF_FILE).ok()) {
            core.attach_file(&module.path, file);
        }
    }
    memory.clear();
}

/// The structs that DWARF of the image or of its separate debug file describes.
fn debug_structs(
    description: &Description,
    located: &Located,
    memory: &Cache,
    diagnostics: &Diagnostics,
) -> Option<layout::DwarfStructs> {
    let image = &located.image;
    let search = debug_file::DebugSearch {
        debug_dirs: description.debug_directories.clone(),
        sysroot: (!description.sysroot.is_empty()).then(|| description.sysroot.clone().into()),
        debuginfod: description.debuginfod,
    };
    let link = image.debug_link.as_ref().map(|(name, crc)| (name.as_slice(), *crc));
    let file = debug_file::find_debug_file(&image.file, image.build_id.as_deref().unwrap_or(&[]), link, &search)?;
    match dwarf::struct_layouts(&file, &layout::wanted_structs(located, memory)) {
        Ok(structs) if structs.is_empty() => None,
        Ok(structs) => Some((file, structs)),
        Err(e) => {
            diagnostics.add(format!("its debug info cannot be used: {e}"), file.display().to_string());
            None
        }
    }
}
