//! Threads, frames, variables, the C stack beside them; and layouts from a hostile
//! `_Py_DebugOffsets`.

use super::files;
use super::input::Input;
use super::world::{EXTRA, IMAGE, World, unwind_tables};
use pyext::bytes::Addr;
use pyext::diag::Diagnostics;
use pyext::image::elf::Sections;
use pyext::image::unwind::{NativeFrame, Registers, Unwinding};
#[cfg(test)]
use pyext::layout;
use pyext::objects::Objects;
#[cfg(test)]
use pyext::objects::lookup::Attribute;
use pyext::objects::repr::Style;
use pyext::runtime::{Runtime, gc};
use pyext::stack::native::Matching;
use pyext::stack::walk;

/// Code that no file is behind: where the made-up C functions are.
const TEXT: u64 = IMAGE - 0x10_0000;

/// What is looked at of each thread: everything that `py-bt-full` would show.
fn look(objects: &Objects, registers: Registers, tables: &Sections) {
    let Ok(runtime) = Runtime::read(objects, &Diagnostics::default()) else { return };
    let _ = runtime.search_path(objects);
    let _ = gc::read(objects, &runtime, 16, &Diagnostics::default());
    for thread in runtime.threads.iter().take(8) {
        let stack = walk(objects, thread.addr);
        let (start, end) = (tables.bias, tables.bias + 0x1000);
        let find = |pc: u64| (start..end).contains(&pc).then(|| (start, end, tables.clone()));
        let native: Vec<NativeFrame> = Unwinding::default().walk(&objects.memory, registers, &find);
        let _ = objects.waits_for_gil_lock(&native);
        let matching = Matching::new(objects, &stack, native);
        for (index, frame) in stack.frames.iter().enumerate().take(16) {
            for variable in objects.locals(frame).unwrap_or_default().iter().take(16) {
                let _ = objects.repr(variable.value, 64, Style::Pyext);
            }
            let _ = objects.frame_arguments(frame);
            let _ = objects.raw_locals(frame);
            let _ = objects.foreign_namespace(frame);
            let _ = objects.lookup(frame, "rest");
            let _ = objects.called(frame, matching.callees(index));
        }
    }
}

fn registers(input: &mut Input<'_>) -> Registers {
    Registers {
        pc: TEXT + u64::from(input.u16() % 0x1100),
        sp: EXTRA + u64::from(input.u16()),
        bp: EXTRA + u64::from(input.u16()),
    }
}

/// A world, registers, changes to unwind tables, changes to the world.
pub fn frame_walk(data: &[u8]) {
    let mut input = Input(data);
    let world = World::get(input.u8());
    let registers = registers(&mut input);
    let [mut header, mut frame] = files::unwind_tables(0x2000, 0x3000, &[(0, 16), (0x100, 1024)]);
    input.patch(&mut header);
    input.patch(&mut frame);
    let tables = Sections {
        bias: TEXT,
        eh_frame: Some((0x3000, frame)),
        eh_frame_hdr: Some((0x2000, header)),
        text: Some(0..0x1000),
    };
    let bytes = world.changed(&mut input, &world.places);
    let objects = world.objects(bytes);
    // The world's own C stack, which its Python stack fits.
    let own = registers.sp == EXTRA;
    if own { look(&objects, world.registers, &unwind_tables()) } else { look(&objects, registers, &tables) }
}

/// A world of 3.13 or later, the words of the table, changes to the world.
pub fn debug_offsets(data: &[u8]) {
    const WORLDS: &[&str] = &["3.13.0", "3.14.10", "3.15.2", "3.13.15t", "3.14.10t[hdr]"];
    /// Where each version has the sizes of structs, from `pycore_debug_offsets.h`.
    const SIZES: [&[usize]; 3] = [
        &[24, 48, 152, 224, 272, 352, 368, 400, 424, 448, 472, 488, 512, 536, 568],
        &[24, 48, 176, 248, 312, 400, 416, 448, 472, 496, 528, 552, 568, 592, 616, 648],
        &[24, 48, 176, 312, 376, 464, 480, 544, 568, 592, 624, 648, 664, 688, 712, 752],
    ];
    let mut input = Input(data);
    let label = WORLDS[input.below(WORLDS.len())];
    let world = World::get(World::number(label));
    let minor: usize = label.split('.').nth(1).and_then(|m| m.parse().ok()).expect("a minor version");
    let mut words = vec![0u64; 111];
    words[0] = u64::from_le_bytes(*b"xdebugpy");
    words[1] = 0x0300_00f0 | (minor as u64) << 16;
    for size in SIZES[minor - 13] {
        words[size / 8] = 1 << 20;
    }
    for _ in 0..input.u8() {
        let at = input.below(words.len());
        words[at] = match input.u8() % 4 {
            0 => input.u8().into(),
            1 => u64::from(input.u16()) << 4,
            _ => input.word(&[]),
        };
    }
    let Ok(objects) = world.find(world.with_runtime(&words)) else { return };
    for at in &world.objects {
        let _ = objects.repr(Addr(*at), 256, Style::Pyext);
    }
    let registers = Registers { pc: TEXT, sp: EXTRA, bp: EXTRA };
    look(&objects, registers, &Sections { bias: TEXT, ..Sections::default() });
}

#[cfg(test)]
pub fn offsets_seeds() -> Vec<Vec<u8>> {
    (0..5).map(|world| vec![world, 0, 2, 5, 0, 0, 40, 6, 0, 0, 8]).collect()
}

/// Every made-up CPython is read as it was made, so that changes to it lead somewhere.
#[cfg(test)]
pub fn worlds_are_sound() {
    for number in 0..World::count() {
        let world = World::get(number);
        let objects = world.objects(world.with_runtime(&[]));
        // Columns that were made from headers alone lack what those do not declare.
        if world.label.contains("tracerefs") {
            continue;
        }
        let texts: Vec<String> =
            world.objects.iter().map(|at| objects.repr(Addr(*at), 1024, Style::Pyext).text).collect();
        for wanted in ["'name'", "1", "77", "[1, 'name', {'name': 1, 1: (1, 'name'), ", "WithDict(", "Number("] {
            assert!(texts.iter().any(|text| text.contains(wanted)), "{}: {wanted} in {texts:#?}", world.label);
        }
        let runtime = Runtime::read(&objects, &Diagnostics::default()).expect("an interpreter");
        assert_eq!(runtime.threads.len(), 2, "{}", world.label);
        let names = runtime.thread_names(&objects, &Diagnostics::default());
        assert!(names.values().any(|name| name == "threading"), "{}: {names:?}", world.label);
        kinds_are_read(&world, &objects, &texts);
        let stack = walk(&objects, runtime.threads[0].addr);
        c_calls_are_proven(&world, &objects, &stack);
        assert!(stack.frames.len() >= 3 && stack.cut.is_none(), "{}: {:?}", world.label, stack.cut);
        for frame in &stack.frames {
            assert_eq!(frame.code.as_ref().expect("code").name, "function", "{}", world.label);
            let locals = objects.locals(frame).expect("locals");
            let names: Vec<&str> = locals.iter().map(|v| v.name.as_str()).collect();
            assert_eq!(names, ["a", "b", "rest", "c"], "{}", world.label);
            assert!(frame.line.is_some(), "{}", world.label);
        }
        collector_is_sound(&world);
    }
}

/// What the generations are called does not follow from the version.
#[cfg(test)]
fn collector_is_sound(world: &World) {
    let names = |bytes| {
        let objects = world.objects(bytes);
        let runtime = Runtime::read(&objects, &Diagnostics::default()).expect("an interpreter");
        let found = gc::read(&objects, &runtime, 16, &Diagnostics::default()).expect("a collector");
        let listed = !objects.layout.rules.free_threaded;
        for count in found[0].generations.iter().map(|one| one.objects.as_ref()).chain([found[0].permanent.as_ref()]) {
            let whole = count.is_some_and(|count| count.objects == 2 && count.cut.is_none());
            assert!(whole || count.is_none() && (!listed || world.label < "3.7"), "{}: {found:?}", world.label);
        }
        let statics = world.layout.rules.collector == layout::Collector::Statics;
        assert!(statics || found[0].garbage.is_some(), "{}: {found:?}", world.label);
        found[0].generations.iter().map(|one| one.name).collect::<Vec<_>>()
    };
    let generational = names(world.with_runtime(&[]));
    if !world.layout.rules.free_threaded {
        assert_eq!(generational, ["0", "1", "2"], "{}", world.label);
        // As 3.14.0 to 3.14.4, where no pointer leads to the youngest list.
        if world.layout.rules.collector == layout::Collector::MaybeIncremental {
            assert_eq!(names(world.without_generation0()), ["young", "old[0]", "old[1]"], "{}", world.label);
        }
    }
}

/// Every kind of object that takes more than a few words has its own text, and what a path may ask of it
/// is found.
#[cfg(test)]
fn kinds_are_read(world: &World, objects: &Objects, texts: &[String]) {
    // Columns that were made from headers alone have no structs of extension modules.
    let whole = !world.label.contains("[hdr]");
    let python2 = world.layout.rules.python2;
    let mut missing = Vec::new();
    for (wanted, there) in [
        ("datetime.date(2026, 11, 25)", true),
        ("datetime.datetime(2026, 11, 25, 13, 5, 9, ", true),
        ("tzinfo=datetime.timezone.utc", true),
        ("datetime.time(13, 5, 0, 7, tzinfo=datetime.timezone(datetime.timedelta(", true),
        ("<Stamp(datetime.datetime(2026, 11, 25, 0, 0)", true),
        ("Decimal('-1.5')", true),
        ("<Colour.RED: 1>", true),
        ("<Point(x=1, y=77) at ", true),
        ("<os.stat_result(st_mode=1, st_ino=77) at ", true),
        ("OrderedDict({77: 'name', 'name': 1}) at ", whole && !python2),
        ("<OrderedDict({'name': 1}) at ", python2),
        ("<collections.defaultdict(<", true),
        ("deque([1, 'name'], maxlen=5)", whole),
        ("<functools.partial(<", true),
        ("Failure('name', 1)", true),
        ("<Described(own='name', ", true),
        ("<method-wrapper '__len__' of list object", true),
        ("<built-in method append of list object", true),
    ] {
        if there && !texts.iter().any(|text| text.contains(wanted)) {
            missing.push(wanted.to_owned());
        }
    }
    for (index, name) in &world.attributes {
        let found = objects.look_up(Addr(world.gallery[*index]), name);
        if !matches!(found, Ok(Attribute::Value(_))) {
            let text = objects.repr(Addr(world.gallery[*index]), 64, Style::Pyext).text;
            missing.push(format!(".{name} of {text}: {found:?}"));
        }
    }
    let shown = world.gallery.iter().map(|at| objects.repr(Addr(*at), 256, Style::Pyext).text).collect::<Vec<_>>();
    assert!(missing.is_empty(), "{}: {missing:#?} in {shown:#?}", world.label);
}

/// The innermost frame has called a built-in method, others a method of a class or, up to 3.13, have
/// entered a `with`.
#[cfg(test)]
fn c_calls_are_proven(world: &World, objects: &Objects, stack: &pyext::stack::Stack) {
    let native = Unwinding::default()
        .walk(&objects.memory, world.registers, &|_| Some((IMAGE, IMAGE + 0x1000, unwind_tables())));
    assert_eq!(native.len(), 12, "{}", world.label);
    let matching = Matching::new(objects, stack, native);
    let called = |index| objects.called(&stack.frames[index], matching.callees(index));
    let all: Vec<_> = (0..stack.frames.len()).filter_map(called).collect();
    let callables = all.iter().filter_map(|called| called.callable);
    let texts: Vec<String> = callables.map(|at| objects.repr(at, 64, Style::Pyext).text).collect();
    let label = world.label;
    assert!(texts.first().is_some_and(|text| text.starts_with("<built-in method append")), "{label}: {texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("<method 'append'")), "{label}: {texts:?}");
    let entered = all.iter().any(|called| called.name.as_deref() == Some("__enter__"));
    assert!(entered || ["3.14", "3.15"].iter().any(|minor| label.starts_with(minor)), "{label}: {all:?}");
}
