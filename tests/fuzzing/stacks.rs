//! Threads, frames, variables, the C stack beside them; and layouts from a hostile
//! `_Py_DebugOffsets`.

use super::files;
use super::input::Input;
use super::world::{EXTRA, IMAGE, World};
use pyext::bytes::Addr;
use pyext::diag::Diagnostics;
use pyext::image::elf::Sections;
use pyext::image::unwind::{NativeFrame, Registers, Unwinding};
use pyext::objects::Objects;
use pyext::objects::repr::Style;
use pyext::runtime::Runtime;
use pyext::stack::native::Matching;
use pyext::stack::walk;

/// Code that no file is behind: where the made-up C functions are.
const TEXT: u64 = IMAGE - 0x10_0000;

/// What is looked at of each thread: everything that `py-bt-full` would show.
fn look(objects: &Objects, registers: Registers, tables: &Sections) {
    let Ok(runtime) = Runtime::read(objects, &Diagnostics::default()) else { return };
    let _ = runtime.search_path(objects);
    for thread in runtime.threads.iter().take(8) {
        let stack = walk(objects, thread.addr);
        let find = |pc: u64| (TEXT..TEXT + 0x1000).contains(&pc).then(|| (TEXT, TEXT + 0x1000, tables.clone()));
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
    let [mut header, mut frame] = files::unwind_tables(0x2000, 0x3000, (0, 0x800));
    input.patch(&mut header);
    input.patch(&mut frame);
    let tables = Sections {
        bias: TEXT,
        eh_frame: Some((0x3000, frame)),
        eh_frame_hdr: Some((0x2000, header)),
        text: Some(0..0x1000),
    };
    let bytes = world.changed(&mut input, &world.places);
    look(&world.objects(bytes), registers, &tables);
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
    look(&objects, registers, &Sections::default());
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
        let stack = walk(&objects, runtime.threads[0].addr);
        assert!(stack.frames.len() >= 3 && stack.cut.is_none(), "{}: {:?}", world.label, stack.cut);
        for frame in &stack.frames {
            assert_eq!(frame.code.as_ref().expect("code").name, "function", "{}", world.label);
            let locals = objects.locals(frame).expect("locals");
            let names: Vec<&str> = locals.iter().map(|v| v.name.as_str()).collect();
            assert_eq!(names, ["a", "b", "rest", "c"], "{}", world.label);
            assert!(frame.line.is_some(), "{}", world.label);
        }
    }
}
