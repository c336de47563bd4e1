//! Claims too large for a fuzzer's input: files with hundreds of thousands of parts, names that lead
//! to something that is no file, and sparse files.

use super::bounds::bounded;
use super::files::{self, MemoryFile};
use super::world::IMAGE;
use pyext::image::debug_file::DebugElf;
use pyext::image::elf::Image;
use pyext::image::modules;
use pyext::limits;
use pyext::process::Memory;
use pyext::process::core_file::CoreFile;
use pyext::session::{Description, Request, Session};
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
