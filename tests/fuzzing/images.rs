//! Files: cores, ELF images, DWARF.

use super::files::{self, MemoryFile};
use super::input::Input;
use super::world::{EXTRA, IMAGE, World};
use pyext::bytes::Addr;
use pyext::image::debug_file::DebugElf;
use pyext::image::elf::{Image, Wanted};
use pyext::image::unwind::{Registers, Unwinding};
use pyext::image::{Module, dwarf as structs, modules};
use pyext::layout::Fields;
use pyext::process::core_file::CoreFile;
use pyext::process::fake::Fake;
use pyext::process::{Cache, Memory, maps};
use pyext::session::{Description, Request, Session};
use serde_json::json;
use std::path::Path;

/// Opens a core and reads at the edges of everything that it claims to have.
fn read_core(file: &MemoryFile) {
    let Ok(core) = CoreFile::open(&file.path()) else { return };
    let mut buffer = [0; 64];
    let paths: Vec<String> = core.regions().iter().take(64).map(|r| r.path.clone()).collect();
    for attach in [false, true] {
        if attach {
            for path in paths.iter().filter(|p| !p.is_empty()) {
                if let Ok(own) = std::fs::File::open(file.path()) {
                    core.attach_file(path, own);
                }
            }
        }
        for region in core.regions().iter().take(64) {
            for at in [region.start, region.end.wrapping_sub(8), region.end, region.start.wrapping_sub(8)] {
                let _ = core.read(Addr(at), &mut buffer);
            }
        }
    }
    let regions = core.regions();
    assert!(regions.iter().all(|region| region.start < region.end));
    assert!(regions.windows(2).all(|two| two[0].end <= two[1].start));
    let populated: Vec<_> = regions.iter().flat_map(|region| core.populated(region)).collect();
    assert!(populated.windows(2).all(|two| two[0].0 < two[0].1 && two[0].1 <= two[1].0));
    let known = modules::modules(core.regions());
    assert!(known.len() <= core.regions().len());
}

/// How it is made; then a file as it is, or a core of a made-up CPython and changes to it.
pub fn core_file(data: &[u8]) {
    let mut input = Input(data);
    match input.u8() % 4 {
        0 | 1 => read_core(&MemoryFile::new(input.0)),
        2 => {
            let threads: Vec<u32> = (0..input.u8() % 8).map(u32::from).collect();
            let file = |input: &mut Input<'_>, i: u64| {
                let start = IMAGE + (i << 16);
                (start, start.wrapping_add(input.word(&[])), input.word(&[]), format!("/file{}", i % 3))
            };
            let mapped: Vec<_> = (0..u64::from(input.u8() % 8)).map(|i| file(&mut input, i)).collect();
            let mut notes = files::core_notes(&threads, &mapped);
            input.patch(&mut notes);
            let head: Vec<u8> = input.take(64).to_vec();
            let saved: Vec<(u64, &[u8], u64)> =
                (0..u64::from(input.u8() % 8)).map(|i| (IMAGE + (i << 12), &head[..], input.word(&[]))).collect();
            let mut core = files::core(&notes, &saved);
            input.patch(&mut core);
            core.extend_from_slice(input.0);
            read_core(&MemoryFile::new(&core));
        }
        _ => {
            let world = World::get(input.u8());
            let (path, start, end) = world.module();
            let mut notes = files::core_notes(&[77], &[(start, end, 0, path)]);
            input.patch(&mut notes);
            let mut changes = input;
            let bytes = world.changed(&mut changes, &world.places).saved();
            let saved: Vec<_> = bytes.iter().map(|(at, b)| (*at, b.as_slice(), b.len() as u64)).collect();
            let mut core = files::core(&notes, &saved);
            let headers = 64 + 56 * (saved.len() + 1);
            changes.patch(&mut core[..headers]);
            let file = MemoryFile::new(&core);
            let session = Session::open(Description { core: Some(file.path()), ..Description::default() }, None, None);
            for command in ["info", "bt", "heap", "check", "dup", "waste"] {
                let request = json!({
                    "command": command, "options": {"all": true, "locals": true, "verbose": true},
                    "threads": [{"gdb": 1, "lwp": 77, "pthread": 77, "pc": IMAGE, "sp": EXTRA, "bp": EXTRA}], "thread": 1,
                });
                let request: Request = serde_json::from_value(request).expect("a request");
                let _ = session.answer(&request);
            }
        }
    }
}

#[cfg(test)]
pub fn core_seeds() -> Vec<Vec<u8>> {
    use super::world::HEAP;

    let files = [(HEAP, HEAP + 0x2000, 1, "/bin/x".to_owned()), (HEAP + 0x2000, HEAP + 0x3000, 3, "/bin/x".to_owned())];
    let notes = files::core_notes(&[1, 2], &files);
    let core = files::core(&notes, &[(HEAP, &[7; 100], 0x1000), (HEAP + 0x1000, &[], 0x1000)]);
    let worlds = ["2.7.18", "3.11.7", "3.14.10"].map(|label| vec![3, World::number(label), 0, 0, 0]);
    let mut seeds = vec![[vec![0], core].concat(), vec![2, 2, 3, 0, 9, 0, 1, 3]];
    seeds.extend(worlds);
    seeds
}

/// The sections that an image is asked for, valid.
fn elf() -> Vec<u8> {
    let [header, frame] = files::unwind_tables(0x2000, 0x3000, &[(0x100, 16), (0x200, 1024)]);
    // Two symbols: none, and PyType_Type.
    let mut symbols = vec![0; 48];
    symbols[24..32].copy_from_slice(&[1, 0, 0, 0, 0x11, 0, 1, 0]);
    symbols[32] = 0x40;
    files::shared_object(&[
        (".dynsym", 11, 0, &symbols),
        (".dynstr", 3, 0, b"\0PyType_Type\0"),
        (".symtab", 2, 0, &symbols),
        (".strtab", 3, 0, b"\0PyType_Type\0"),
        (".note.gnu.build-id", 7, 0, &files::build_id()),
        (".gnu_debuglink", 1, 0, b"x.debug\0\x01\x02\x03\x04"),
        (".eh_frame_hdr", 1, 0x2000, &header),
        (".eh_frame", 1, 0x3000, &frame),
        (".text", 1, 0x100, &[0x90; 64]),
        (".PyRuntime", 1, 0, &[0; 16]),
        (".gnu_debugaltlink", 1, 0, b"y.debug\0abc"),
    ])
}

/// How it is made; then a file as it is, or changes to a valid one.
pub fn elf_image(data: &[u8]) {
    let mut input = Input(data);
    let bytes = match input.u8() % 4 {
        0 | 1 => input.0.to_vec(),
        2 => {
            let mut bytes = elf();
            input.patch(&mut bytes);
            bytes
        }
        _ => {
            let text = String::from_utf8_lossy(input.0);
            let regions = maps::parse_proc_maps(&text);
            assert!(modules::modules(&regions).len() <= regions.len());
            return;
        }
    };
    let file = MemoryFile::new(&bytes);
    let path = file.path();
    let path = Path::new(&path);
    let mut fake = Fake::default();
    fake.add(IMAGE, bytes).add(EXTRA, vec![0x41; 4096]);
    let memory = Cache::new(Box::new(fake), None);
    let module =
        Module { path: "/x".into(), start: IMAGE, first_end: IMAGE + 0x1000, end: IMAGE + 0x10000, deleted: false };
    let wanted = Wanted { symbol: &|name| name.starts_with("Py"), full_table_unless: Some("_PyRuntime") };
    if let Ok(image) = Image::open(&module, path, &memory, Some(&wanted), &[".PyRuntime", ".text"]) {
        let _ = image.contains(Addr(IMAGE));
        let _ = image.section(".PyRuntime");
        pyext::locate::scan_words(&image, &memory, &mut |_, _| true);
    }
    let _ = Image::file_build_id(path);
    if let Ok(tables) = Image::unwind_tables(&module, path, &memory) {
        for pc in [IMAGE + 0x101, IMAGE + 0x900, IMAGE.wrapping_add(tables.bias)] {
            let registers = Registers { pc, sp: EXTRA, bp: EXTRA + 64 };
            let find = |_: u64| Some((IMAGE, IMAGE + 0x10000, tables.clone()));
            Unwinding::default().walk(&memory, registers, &find);
        }
    }
    if let Ok(mut elf) = DebugElf::open(path) {
        let _ = elf.build_id();
        let _ = elf.debug_link();
        let _ = elf.alt_link();
        let _ = elf.has_dwarf();
        for name in [".eh_frame", ".text", ".dynsym"] {
            let _ = elf.section(name, 1 << 20);
        }
    }
}

#[cfg(test)]
pub fn elf_seeds() -> Vec<Vec<u8>> {
    let maps = b"\x037f00-7f10 rw-p 00001000 08:01 42    /a b/lib c.so (deleted)\n7f10-7f20 r-xp 0 00:00 0 /a\n";
    vec![[vec![0], elf()].concat(), vec![2, 1, 60, 0, 1, 0, 2, 0], maps.to_vec()]
}

/// How it is made; then a file as it is, or sections: their lengths, then their bytes.
pub fn dwarf(data: &[u8]) {
    const NAMES: [&str; 5] = [".debug_abbrev", ".debug_info", ".debug_str", ".debug_line_str", ".debug_str_offsets"];
    let mut input = Input(data);
    let file = match input.u8() % 4 {
        0 => MemoryFile::new(input.0),
        1 => {
            let lengths: Vec<usize> = NAMES.iter().map(|_| usize::from(input.u16())).collect();
            let parts: Vec<&[u8]> = lengths.into_iter().map(|length| input.take(length)).collect();
            let sections: Vec<_> = NAMES.iter().zip(&parts).map(|(name, part)| (*name, 1, 0, *part)).collect();
            MemoryFile::new(&files::shared_object(&sections))
        }
        _ => {
            let mut parts = files::debug_info();
            parts.iter_mut().for_each(|part| input.patch(part));
            let sections: Vec<_> =
                NAMES.iter().zip(&parts).map(|(name, part)| (*name, 1, 0, part.as_slice())).collect();
            MemoryFile::new(&files::shared_object(&sections))
        }
    };
    if let Ok(found) = structs::struct_layouts(Path::new(&file.path()), Fields::STRUCTS) {
        assert!(found.len() <= Fields::STRUCTS.len());
    }
}

#[cfg(test)]
pub fn dwarf_seeds() -> Vec<Vec<u8>> {
    let parts = files::debug_info();
    let mut lengths = vec![1u8];
    parts.iter().for_each(|part| lengths.extend_from_slice(&(part.len() as u16).to_le_bytes()));
    lengths.extend_from_slice(&[0; 4]);
    let valid = Fields::STRUCTS.contains(&"PyVarObject");
    assert!(valid, "what the made-up debug info defines is asked for");
    vec![[lengths, parts.concat()].concat(), vec![2, 1, 20, 0, 0, 0, 3]]
}
