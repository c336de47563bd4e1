//! Separate debug files, made with gcc, objcopy and strip as distributions make them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failing test may panic

use super::testing::Scratch;
use super::*;

const ID: [u8; 20] = [
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45,
    0x67,
];
const ID_PATH: &str = ".build-id/01/23456789abcdef0123456789abcdef01234567.debug";
const OTHER_ID: [u8; 2] = [0xfe, 0xdc];

/// `bin/full.so` with DWARF, `bin/image.so` without and with a debug link, `image.debug` with the
/// rest.
fn build(name: &str, id: &str) -> Scratch {
    let dir = Scratch::new(name);
    dir.write("a.c", "struct thing { int a; } thing;");
    fs::create_dir(dir.path().join("bin")).unwrap();
    let link = format!("-g -shared -fPIC -nostdlib -Wl,--build-id={id} a.c -o bin/full.so");
    dir.run("gcc", &link);
    dir.run("objcopy", "--only-keep-debug bin/full.so image.debug");
    dir.run("objcopy", "--strip-debug --add-gnu-debuglink=image.debug bin/full.so bin/image.so");
    dir
}

fn build_with_id(name: &str) -> Scratch {
    build(name, "0x0123456789abcdef0123456789abcdef01234567")
}

fn search(dir: &Scratch) -> DebugSearch {
    DebugSearch { debug_dirs: vec![dir.path().join("debug")], sysroot: None, debuginfod: false }
}

fn install(dir: &Scratch, name: &str) -> PathBuf {
    dir.write(name, fs::read(dir.path().join("image.debug")).unwrap())
}

#[test]
fn an_elf_file_says_who_it_is_and_where_its_dwarf_is() {
    let dir = build_with_id("identity");
    let mut image = DebugElf::open(&dir.path().join("bin/image.so")).unwrap();
    let mut debug = DebugElf::open(&dir.path().join("image.debug")).unwrap();
    assert_eq!(image.build_id().as_deref(), Some(&ID[..]));
    assert_eq!(debug.build_id().as_deref(), Some(&ID[..]));
    assert!(!image.has_dwarf() && debug.has_dwarf());
    // The contents of .text stayed in the image.
    assert_eq!(debug.section(".bss", 1 << 20).unwrap(), None);
    let (name, crc) = image.debug_link().unwrap();
    assert_eq!(name, b"image.debug");
    assert_eq!(file_crc(&dir.path().join("image.debug")).unwrap(), crc);
    assert_eq!(debug.debug_link(), None);
    assert_eq!(image.alt_link(), None);
}

#[test]
fn the_image_comes_first() {
    let dir = build_with_id("own");
    install(&dir, &format!("debug/{ID_PATH}"));
    let image = dir.path().join("bin/full.so");
    assert_eq!(find_debug_file(&image, &ID, None, &search(&dir)), Some(image.clone()));
    assert_eq!(find_debug_file(&image, &[], None, &search(&dir)), Some(image.clone()));
    // Upgraded on disk while the old one runs.
    assert_eq!(find_debug_file(&image, &OTHER_ID, None, &search(&dir)), None);
}

#[test]
fn the_build_id_comes_before_the_link() {
    let dir = build_with_id("buildid");
    let image = dir.path().join("bin/image.so");
    let link = Some((&b"image.debug"[..], 0));
    assert_eq!(find_debug_file(&image, &ID, link, &search(&dir)), None);
    let beside = install(&dir, "bin/image.debug");
    assert_eq!(find_debug_file(&image, &ID, link, &search(&dir)), Some(beside));
    let by_id = install(&dir, &format!("debug/{ID_PATH}"));
    assert_eq!(find_debug_file(&image, &ID, link, &search(&dir)), Some(by_id.clone()));
    assert_eq!(find_debug_file(Path::new("/gone"), &ID, None, &search(&dir)), Some(by_id));
}

#[test]
fn a_file_of_another_build_is_refused() {
    let dir = build_with_id("mismatch");
    let image = dir.path().join("bin/image.so");
    install(&dir, "debug/.build-id/fe/dc.debug");
    install(&dir, "bin/image.debug");
    let crc = file_crc(&dir.path().join("image.debug")).unwrap();
    // The build id decides even where the CRC is right.
    let link = Some((&b"image.debug"[..], crc));
    assert_eq!(find_debug_file(&image, &OTHER_ID, link, &search(&dir)), None);
}

#[test]
fn links_are_looked_for_where_gdb_does() {
    let dir = build("link", "none");
    let image = dir.path().join("bin/image.so");
    let crc = file_crc(&dir.path().join("image.debug")).unwrap();
    let inside = dir.path().strip_prefix("/").unwrap().to_str().unwrap().to_owned();
    let find = |crc| find_debug_file(&image, &[], Some((&b"image.debug"[..], crc)), &search(&dir));
    for place in [format!("debug/{inside}/bin/image.debug"), "bin/.debug/image.debug".into(), "bin/image.debug".into()]
    {
        assert_eq!(find(crc), None);
        let path = install(&dir, &place);
        assert_eq!(find(crc), Some(path.clone()));
        assert_eq!(find(crc ^ 1), None, "the CRC counts where there is no build id");
        fs::remove_file(path).unwrap();
    }
    install(&dir, "debug/image.debug");
    let outside = Some((&b"../debug/image.debug"[..], crc));
    assert_eq!(find_debug_file(&image, &[], outside, &search(&dir)), None);
}

#[test]
fn an_image_below_a_sysroot_has_its_debug_files_there() {
    let dir = build_with_id("sysroot");
    let root = dir.path().join("root");
    let here =
        DebugSearch { debug_dirs: vec!["/usr/lib/debug".into()], sysroot: Some(root.clone()), debuginfod: false };
    let image = dir.write("root/bin/image.so", fs::read(dir.path().join("bin/image.so")).unwrap());
    let link = Some((&b"image.debug"[..], 0));
    let expected = install(&dir, "root/usr/lib/debug/bin/image.debug");
    for path in [&image, Path::new("/bin/image.so")] {
        assert_eq!(find_debug_file(path, &ID, link, &here), Some(expected.clone()));
    }
    let by_id = install(&dir, &format!("root/usr/lib/debug/{ID_PATH}"));
    assert_eq!(find_debug_file(Path::new("/x"), &ID, None, &here), Some(by_id));
}

#[test]
fn an_empty_file_of_the_cache_counts_as_absent() {
    let dir = build_with_id("cache");
    let entry = "new/0123456789abcdef0123456789abcdef01234567/debuginfo";
    let dirs = ["old", "new"].map(|name| dir.path().join(name));
    dir.write(entry, "");
    assert_eq!(in_cache(&dirs, &ID), None);
    let path = install(&dir, entry);
    assert_eq!(in_cache(&dirs, &ID), Some(path));
    assert_eq!(in_cache(&dirs, &OTHER_ID), None);
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let vars =
        |set: &'static [&'static str]| cache_dirs(move |name| set.contains(&name).then(|| format!("/{name}").into()));
    assert!(vars(&[]).is_empty());
    let home = ["/HOME/.cache/debuginfod_client", "/HOME/.debuginfod_client_cache"];
    assert_eq!(vars(&["HOME"]), home.map(PathBuf::from));
    let all = vars(&["HOME", "XDG_CACHE_HOME", "DEBUGINFOD_CACHE_PATH"]);
    assert_eq!(all[0], Path::new("/DEBUGINFOD_CACHE_PATH"));
    assert_eq!(all[1], Path::new("/XDG_CACHE_HOME/debuginfod_client"));
}

#[test]
fn a_supplementary_file_is_found_by_path_and_by_id() {
    let dir = build_with_id("alt");
    let main = dir.write("a/main.debug", "");
    let link = |name: &str, id: &[u8]| AltLink { name: name.into(), id: id.to_vec() };
    let find = |name: &str| find_alt_file(&main, &link(name, &ID), &search(&dir));
    assert_eq!(find("../.dwz/common"), None);
    let by_id = install(&dir, &format!("debug/{ID_PATH}"));
    assert_eq!(find("../.dwz/common"), Some(by_id));
    let shared = install(&dir, "debug/.dwz/common");
    assert_eq!(find("../.dwz/common"), Some(shared.clone()));
    assert_eq!(find("common"), Some(shared));
    install(&dir, ".dwz/common");
    assert_eq!(find("../.dwz/common"), Some(dir.path().join("a/../.dwz/common")));
    let absolute = dir.path().join(".dwz/common");
    assert_eq!(find(absolute.to_str().unwrap()), Some(absolute.clone()));
    let other = link(absolute.to_str().unwrap(), &OTHER_ID);
    assert_eq!(find_alt_file(&main, &other, &search(&dir)), None);
}

#[test]
fn what_is_no_elf_file_is_an_error_not_a_crash() {
    let dir = build_with_id("damage");
    dir.run("mkfifo", "fifo");
    let open = |name: &str| DebugElf::open(&dir.path().join(name)).unwrap_err().to_string();
    assert!(open("fifo").contains("not a regular file"));
    assert!(open("").contains("not a regular file"));
    assert!(open("a.c").contains("the file ends within its own tables"));
    assert!(open("nothing").contains("cannot read"));
    let good = fs::read(dir.path().join("bin/image.so")).unwrap();
    for length in (0..good.len()).step_by(97) {
        let path = dir.write("cut", &good[..length]);
        assert!(DebugElf::open(&path).is_err() || length == good.len());
    }
    // 2^48 sections, in a file that is no larger than before.
    let mut liar = good.clone();
    let table = usize::try_from(u64::from_le_bytes(good[40..48].try_into().unwrap())).unwrap();
    liar[60..62].fill(0);
    liar[table + 32..table + 40].copy_from_slice(&(1_u64 << 48).to_le_bytes());
    let error = DebugElf::open(&dir.write("liar", liar)).unwrap_err().to_string();
    assert!(error.contains("larger than this program accepts"), "{error}");
}

#[test]
fn the_crc_is_the_one_of_zlib() {
    // The check value of CRC-32/ISO-HDLC.
    assert_eq!(!crc_update(!0, b"123456789"), 0xcbf4_3926);
}
