//! Claims too large for a fuzzer's input: files with hundreds of thousands of parts, names that lead
//! to something that is no file, and sparse files.

use super::super::counting;
use super::bounds::{self, bounded};
use super::files::{self, MemoryFile};
use super::requests;
use super::world::{EXTRA, IMAGE, World};
use pyext::abi::{PYEXT_OK, pyext_session_close, pyext_session_invalidate};
use pyext::bytes::Addr;
use pyext::image::debug_file::DebugElf;
use pyext::image::elf::Image;
use pyext::image::modules;
use pyext::layout::Slot;
use pyext::limits;
use pyext::objects::repr::Style;
use pyext::process::Memory;
use pyext::process::core_file::CoreFile;
use pyext::session::{Description, Request, Session};
use serde_json::json;
use std::path::Path;

fn info(core: &MemoryFile) -> String {
    let session = Session::open(Description { core: Some(core.path()), ..Description::default() }, None, None);
    let request: Request = serde_json::from_str(r#"{"command": "info"}"#).expect("a request");
    session.answer(&request).map_or_else(|e| e.to_string(), |answer| answer.text)
}

/// A core that says that this many files are mapped.
fn mapped(count: u64, path: impl Fn(u64) -> String) -> MemoryFile {
    let files: Vec<_> = (0..count).map(|i| (IMAGE + i * 0x2000, IMAGE + i * 0x2000 + 0x1000, 0, path(i))).collect();
    MemoryFile::new(&files::core(&files::core_notes(&[1], &files), &[]))
}

/// Very many mappings, of files of their own and all of one.
pub fn many_mapped_files() {
    for (what, own) in [("200,000 mapped files", true), ("one file mapped 200,000 times", false)] {
        let core = mapped(200_000, |i| if own { format!("/f{i}") } else { "/proc/self/exe".to_owned() });
        bounded(what, || {
            let opened = CoreFile::open(&core.path()).expect("a core");
            assert_eq!(opened.regions().len(), 200_000);
            assert_eq!(modules::modules(opened.regions()).len(), limits::MODULES);
            for i in 0..2000 {
                let file = std::fs::File::open(core.path()).expect("a file");
                opened.attach_file(&if own { format!("/f{i}") } else { "/proc/self/exe".to_owned() }, file);
            }
            let mut buffer = [0; 8];
            assert!(opened.read(pyext::bytes::Addr(IMAGE), &mut buffer).is_ok());
        });
    }
}

/// Mapped files that are no files: opening one may never end, or do something.
pub fn names_that_are_no_files() {
    let directory = std::env::temp_dir().join(format!("pyext-fifo-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let fifo = directory.join("libpython3.so");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().is_ok_and(|s| s.success()), "a FIFO is made");
    for path in [fifo.display().to_string(), "/dev/zero".to_owned(), "/".to_owned()] {
        let core = mapped(1, |_| path.clone());
        bounded(&path, || {
            assert!(info(&core).contains("not a regular file"), "{}", info(&core));
            assert!(DebugElf::open(Path::new(&path)).is_err());
            assert!(CoreFile::open(&path).is_err());
        });
    }
    std::fs::remove_dir_all(&directory).expect("the directory is removed");
}

/// Sizes that only a sparse file has.
pub fn sparse_files() {
    // Program headers, 2^30 of them: the number in the first section's header.
    let mut core = files::core(&[], &[]);
    core[32..40].copy_from_slice(&64u64.to_le_bytes());
    core[40..48].copy_from_slice(&(1u64 << 20).to_le_bytes());
    core[56..58].copy_from_slice(&0xffffu16.to_le_bytes());
    core[58..62].copy_from_slice(&[64, 0, 1, 0]);
    core.resize((1 << 20) + 64, 0);
    core[(1 << 20) + 44..(1 << 20) + 48].copy_from_slice(&(1u32 << 30).to_le_bytes());
    let file = MemoryFile::new(&core);
    file.extend(1 << 40);
    bounded("a core of 2^30 program headers", || {
        let Err(why) = CoreFile::open(&file.path()) else { panic!("it is refused") };
        assert!(why.to_string().contains("program headers"), "{why}");
    });
    let file = MemoryFile::new(&files::shared_object(&[]));
    file.extend(limits::ELF_FILE + 1);
    bounded("an image larger than any", || {
        assert!(Image::file_build_id(Path::new(&file.path())).is_none());
        assert!(DebugElf::open(Path::new(&file.path())).is_err());
    });
}

/// Writes words at places of `bytes`.
fn put(bytes: &mut [u8], words: &[(u64, u64)]) {
    for (at, word) in words {
        bytes[*at as usize..][..8].copy_from_slice(&word.to_le_bytes());
    }
}

/// A list whose items are one int of as many digits as are converted: each item is work anew.
pub fn long_ints() {
    let world = World::get(World::number("3.12.1"));
    let f = world.layout.fields;
    let offset = |slot: &Slot| slot.at().expect("a field");
    let (ob_type, digits, items) = (offset(&f.object.ob_type), offset(&f.long.ob_digit), 1 << 15);
    let (int, list) = (0, 1 << 19);
    let mut extra = vec![0; 1 << 20];
    extra[(int + digits) as usize..][..4 * limits::INT_DIGITS].fill(0x3f);
    put(
        &mut extra,
        &[(int + ob_type, world.types["int"]), (int + offset(&f.long.lv_tag), (limits::INT_DIGITS as u64) << 3)],
    );
    put(&mut extra, &[(list + ob_type, world.types["list"]), (list + offset(&f.var.ob_size), 4096)]);
    put(&mut extra, &[(list + offset(&f.list.ob_item), EXTRA + items)]);
    put(&mut extra, &(0..4096).map(|i| (items + 8 * i, EXTRA + int)).collect::<Vec<_>>());
    let objects = world.objects(world.with_extra(extra));
    bounded("a list of long ints", || {
        objects.start_answer();
        let text = objects.repr(Addr(EXTRA + list), limits::VALUE_CHARS_MAX, Style::Pyext);
        assert!(text.truncated && text.text.ends_with("<int of 122880 bits>]"), "{}", text.text.len());
        // What is no work is shown all the same.
        assert_eq!(objects.repr(Addr(world.gallery[0]), 100, Style::Pyext).text, "datetime.date(2026, 11, 25)");
    });
}

/// As many threads as are looked at, in the debugger and in the target, with ids of their own and all with
/// one.
pub fn many_threads() {
    const COUNT: u64 = 60_000;
    let world = World::get(World::number("3.12.1"));
    let fields = &world.layout.fields.tstate;
    let offset = |slot: &Slot| slot.at().expect("a field");
    let size = offset(&fields.size);
    let (path, start, end) = world.module();
    let session =
        requests::open(json!({"modules": [[path, start, end, 0]]}).to_string().as_bytes()).expect("a session");
    for own in [true, false] {
        let id = |i: u64| if own { 1000 + i } else { 1000 };
        let mut extra = vec![0; (COUNT * size) as usize];
        for i in 0..COUNT {
            let (at, next) = (i * size, if i + 1 == COUNT { 0 } else { EXTRA + (i + 1) * size });
            let words = [(&fields.next, next), (&fields.interp, world.interpreter), (&fields.thread_id, id(i))];
            put(&mut extra, &words.map(|(slot, word)| (at + offset(slot), word)));
        }
        let mut bytes = world.with_extra(extra);
        bytes.change(world.interpreter + offset(&world.layout.fields.interp.threads_head), EXTRA, 8);
        requests::MEMORY.set(Some(bytes));
        let threads: Vec<_> = (0..COUNT).map(|i| json!({"gdb": i + 1, "lwp": i + 1, "pthread": id(i)})).collect();
        let request = json!({"command": "threads", "threads": threads, "thread": 1}).to_string();
        assert_eq!(pyext_session_invalidate(session), PYEXT_OK);
        let before = counting::processor_time();
        requests::query(session, request.as_bytes());
        let time = counting::processor_time() - before;
        assert!(time < 2 * bounds::TIME, "{COUNT} threads take {time:?}");
    }
    assert_eq!(pyext_session_close(session), PYEXT_OK);
}
