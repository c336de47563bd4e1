//! The C boundary as a host sees it: the built shared library, loaded as ctypes loads it, called
//! with nothing but what `include/pyext.h` declares. Nothing here uses the library's Rust types.
#![allow(unsafe_code)] // every call crosses the boundary

#[path = "synthetic/elf.rs"]
mod elf;

use libloading::{Library, Symbol};
use std::ffi::c_void;
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

const OK: i32 = 1;
const USER: i32 = 2;
const TARGET: i32 = 3;
const INTERRUPTED: i32 = 4;
const REQUEST: i32 = 5;
const BUSY: i32 = 6;

type Read = extern "C" fn(*mut c_void, u64, *mut u8, u64) -> i32;
type Poll = extern "C" fn(*mut c_void, u64, u64) -> i32;

#[repr(C)]
struct Host {
    context: *mut c_void,
    read: Option<Read>,
    poll: Option<Poll>,
}

#[repr(C)]
struct Buffer {
    data: *mut u8,
    length: u64,
    capacity: u64,
}

impl Buffer {
    /// What a host that forgot to look at the status would trip over.
    fn poisoned() -> Buffer {
        Buffer { data: 0xdead as *mut u8, length: 0xdead, capacity: 0xdead }
    }

    fn is_poisoned(&self) -> bool {
        (self.data as usize, self.length, self.capacity) == (0xdead, 0xdead, 0xdead)
    }
}

/// The library, where a host would find it.
struct Api(Library);

impl Api {
    fn load() -> Api {
        let path = library();
        // SAFETY: loading runs the initialisers of a Rust cdylib, which have no requirements.
        Api(unsafe { Library::new(&path) }.unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    fn symbol<T>(&self, name: &str) -> Symbol<'_, T> {
        // SAFETY: each caller gives the type that include/pyext.h declares for the name.
        unsafe { self.0.get(name.as_bytes()) }.unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn version(&self) -> u32 {
        self.symbol::<extern "C" fn() -> u32>("pyext_abi_version")()
    }

    fn open_raw(&self, description: *const u8, length: u64, host: *const Host, session: *mut u64) -> i32 {
        let open: Symbol<'_, extern "C" fn(*const u8, u64, *const Host, *mut u64) -> i32> =
            self.symbol("pyext_session_open");
        open(description, length, host, session)
    }

    fn open(&self, description: &str, host: Option<&Host>) -> (i32, u64) {
        let mut session = 0;
        let host = host.map_or(null(), std::ptr::from_ref);
        (self.open_raw(description.as_ptr(), description.len() as u64, host, &mut session), session)
    }

    fn query_raw(&self, session: u64, request: *const u8, length: u64, out: *mut Buffer) -> i32 {
        let query: Symbol<'_, extern "C" fn(u64, *const u8, u64, *mut Buffer) -> i32> = self.symbol("pyext_query");
        query(session, request, length, out)
    }

    /// The status, and the answer or else the message.
    fn query(&self, session: u64, request: &str) -> (i32, String) {
        let mut buffer = Buffer::poisoned();
        let status = self.query_raw(session, request.as_ptr(), request.len() as u64, &mut buffer);
        if status == OK {
            return (status, self.take(buffer));
        }
        assert!(buffer.is_poisoned(), "the answer is written on success only");
        (status, self.error(session))
    }

    fn invalidate(&self, session: u64) -> i32 {
        self.symbol::<extern "C" fn(u64) -> i32>("pyext_session_invalidate")(session)
    }

    fn close(&self, session: u64) -> i32 {
        self.symbol::<extern "C" fn(u64) -> i32>("pyext_session_close")(session)
    }

    fn free(&self, buffer: *mut Buffer) {
        self.symbol::<extern "C" fn(*mut Buffer)>("pyext_buffer_free")(buffer);
    }

    fn last_error_raw(&self, session: u64, out: *mut Buffer) -> i32 {
        self.symbol::<extern "C" fn(u64, *mut Buffer) -> i32>("pyext_last_error")(session, out)
    }

    fn error(&self, session: u64) -> String {
        let mut buffer = Buffer::poisoned();
        assert_eq!(self.last_error_raw(session, &mut buffer), OK);
        self.take(buffer)
    }

    /// The text in a buffer, which is then freed.
    fn take(&self, mut buffer: Buffer) -> String {
        assert_eq!(buffer.data.is_null(), buffer.length == 0, "an empty buffer has a null pointer, no other has");
        let bytes = if buffer.length == 0 {
            &[][..]
        } else {
            // SAFETY: the library says that the buffer has that many bytes.
            unsafe { std::slice::from_raw_parts(buffer.data, buffer.length as usize) }
        };
        let text = String::from_utf8(bytes.to_vec()).expect("what is handed out is UTF-8");
        self.free(&mut buffer);
        assert!(buffer.data.is_null() && buffer.length == 0 && buffer.capacity == 0, "a freed buffer is empty");
        self.free(&mut buffer);
        text
    }
}

/// `$PYEXT_LIB`, else the library that was built together with this test.
fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("PYEXT_LIB") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test knows its own path");
    let dependencies = test.parent().expect("the test lies in a directory");
    let profile = dependencies.parent().expect("that directory lies in the profile's");
    // The copy in the profile's directory is made by `cargo build` only: it may be the older one.
    let found = [profile, dependencies].map(|directory| directory.join("libpyext.so"));
    let age = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).ok();
    let newest = found.iter().filter(|path| path.exists()).max_by_key(|path| age(path));
    newest.cloned().unwrap_or_else(|| {
        panic!("no libpyext.so in {} or its deps: run `cargo build` with the profile of this test", profile.display())
    })
}

/// A file that the library takes for the mapped image of CPython; gone when this is dropped.
struct ImageFile(PathBuf);

const IMAGE: u64 = 0x5555_5540_0000;
const DATA_SIZE: u64 = 0x10000;

impl ImageFile {
    fn new() -> ImageFile {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("image-{}-{}.so", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let symbols = [("PyType_Type", 0x1100), ("_PyRuntime", 0x2000), ("Py_Version", 0x1010)];
        std::fs::write(&path, elf::shared_object(DATA_SIZE, &symbols, &[])).expect("the image is written");
        ImageFile(path)
    }

    fn description(&self) -> String {
        let end = IMAGE + elf::DATA + DATA_SIZE;
        format!(r#"{{"modules": [["{}", {IMAGE}, {end}, 0]]}}"#, self.0.display())
    }
}

impl Drop for ImageFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

extern "C" fn refuse(_context: *mut c_void, _address: u64, _buffer: *mut u8, _length: u64) -> i32 {
    0
}

fn host(read: Read) -> Host {
    Host { context: null_mut(), read: Some(read), poll: None }
}

const VALUE: &str = r#"{"command": "value", "options": {"address": 4096}}"#;

#[test]
fn the_version_is_that_of_the_header() {
    let header = include_str!("../include/pyext.h");
    let line = header.lines().find_map(|l| l.strip_prefix("#define PYEXT_ABI_VERSION "));
    assert_eq!(line.map(str::trim), Some(Api::load().version().to_string().as_str()));
}

#[test]
fn descriptions_that_are_none() {
    let api = Api::load();
    let deep = "[".repeat(100_000);
    for text in ["", "{", "null", "17", "\"x\"", "{\"pid\": \"x\"}", "{\"modules\": [[1]]}", "{} {}", &deep] {
        let (status, session) = api.open(text, None);
        assert_eq!((status, session), (REQUEST, 0), "{}", &text[..text.len().min(40)]);
        assert!(api.error(0).starts_with("the description: "), "{}", api.error(0));
    }
    let wrong = b"{\"core\": \"\xff\xfe\"}";
    let mut session = 0;
    assert_eq!(api.open_raw(wrong.as_ptr(), wrong.len() as u64, null(), &mut session), REQUEST);
    assert_eq!(session, 0);
}

#[test]
fn null_pointers() {
    let api = Api::load();
    let mut session = 0;
    assert_eq!(api.open_raw(null(), 5, null(), &mut session), REQUEST);
    assert_eq!(api.open_raw(b"{}".as_ptr(), 2, null(), null_mut()), REQUEST);
    assert_eq!(session, 0);
    let (status, session) = api.open("{}", None);
    assert_eq!(status, OK);
    let mut buffer = Buffer::poisoned();
    assert_eq!(api.query_raw(session, null(), 5, &mut buffer), REQUEST);
    assert!(buffer.is_poisoned());
    assert_eq!(api.query_raw(session, VALUE.as_ptr(), u64::MAX, &mut buffer), REQUEST);
    assert!(buffer.is_poisoned());
    assert_ne!(api.query_raw(session, VALUE.as_ptr(), VALUE.len() as u64, null_mut()), OK);
    assert_eq!(api.last_error_raw(session, null_mut()), REQUEST);
    api.free(null_mut());
    assert_eq!(api.close(session), OK);
}

#[test]
fn requests_that_are_none() {
    let api = Api::load();
    let (_, session) = api.open("{}", None);
    let deep = format!("{{\"command\": {}", "[".repeat(100_000));
    for text in ["", "{}", "null", "{\"command\": 1}", "{\"command\": \"bt\", \"width\": -1}", &deep] {
        let (status, message) = api.query(session, text);
        assert_eq!(status, REQUEST, "{}: {message}", &text[..text.len().min(40)]);
        assert!(message.starts_with("the request: "), "{message}");
    }
    let (status, message) = api.query(session, r#"{"command": "no-such-command"}"#);
    assert_eq!(status, REQUEST);
    assert!(message.contains("no-such-command"), "{message}");
}

#[test]
fn messages_are_those_of_their_session() {
    let api = Api::load();
    let (_, one) = api.open("{}", None);
    let (_, two) = api.open(r#"{"core": "/no/such/core"}"#, None);
    assert_ne!(one, two);
    assert_eq!(api.error(one), "", "nothing has failed yet");
    let (status, nothing) = api.query(one, VALUE);
    assert_eq!(status, USER, "{nothing}");
    let (status, core) = api.query(two, VALUE);
    assert_eq!(status, TARGET, "{core}");
    assert!(core.contains("/no/such/core") && !nothing.contains("/no/such/core"), "{core}, {nothing}");
    assert_eq!((api.error(one), api.error(two)), (nothing, core));
}

#[test]
fn keys_of_no_session() {
    let api = Api::load();
    let (_, session) = api.open("{}", None);
    assert_eq!(api.close(session), OK);
    for key in [session, 0, u64::MAX, session + 1000] {
        let (status, message) = api.query(key, VALUE);
        assert_eq!(status, REQUEST);
        assert!(message.contains("no such session"), "{message}");
        assert_eq!(api.invalidate(key), REQUEST);
        assert_eq!(api.close(key), REQUEST);
    }
    let (status, next) = api.open("{}", None);
    assert_eq!(status, OK);
    assert_ne!(next, session, "a key is never used again");
}

#[test]
fn another_thread_does_not_see_the_session() {
    let api = Api::load();
    let (_, session) = api.open("{}", None);
    let status = std::thread::spawn(move || Api::load().query(session, VALUE).0).join();
    assert_eq!(status.ok(), Some(REQUEST));
    assert_eq!(api.close(session), OK);
}

#[test]
fn a_read_that_fails() {
    let api = Api::load();
    let image = ImageFile::new();
    for read in [refuse, almost, negative] {
        let (status, session) = api.open(&image.description(), Some(&host(read)));
        assert_eq!(status, OK, "{}", api.error(0));
        for request in [VALUE, r#"{"command": "info"}"#, r#"{"command": "bt"}"#] {
            let (status, message) = api.query(session, request);
            assert_eq!(status, TARGET, "{message}");
            assert!(message.contains("CPython") && !message.contains('\n'), "{message}");
        }
        assert_eq!(api.invalidate(session), OK);
        assert_eq!(api.close(session), OK);
    }
}

/// Not 1, so not a success, whatever it means in Python.
extern "C" fn almost(_context: *mut c_void, _address: u64, _buffer: *mut u8, _length: u64) -> i32 {
    2
}

extern "C" fn negative(_context: *mut c_void, _address: u64, _buffer: *mut u8, _length: u64) -> i32 {
    -1
}

/// What the garbage is made of.
struct Garbage {
    seed: u64,
    /// Words that point into the image, so that chains are followed.
    pointers: bool,
    polls: u64,
}

/// Bytes that depend on the address alone, except for a CPython 3.11 that begins to exist: a
/// `PyType_Type` that is its own type.
extern "C" fn garbage(context: *mut c_void, address: u64, buffer: *mut u8, length: u64) -> i32 {
    // SAFETY: `context` is the Garbage that the test passed, which outlives the session.
    let garbage = unsafe { &*context.cast::<Garbage>() };
    // SAFETY: the library gives a buffer of that many bytes.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, length as usize) };
    for (at, byte) in (address..).zip(buffer) {
        let mut word = (at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ garbage.seed;
        word ^= word >> 29;
        word = word.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        if garbage.pointers && word % 3 != 0 {
            word = IMAGE + 0x1000 + (word >> 20) % DATA_SIZE / 8 * 8;
        }
        let word = match (at - at % 8).wrapping_sub(IMAGE) {
            0x1010 => 0x030b_07f0,
            // ob_type, ob_size, tp_name, tp_basicsize
            0x1108 => IMAGE + 0x1100,
            0x1110 => 0,
            0x1118 => IMAGE + 0x1008,
            0x1120 => 904,
            0x1008 => u64::from_le_bytes(*b"type\0\0\0\0"),
            _ => word,
        };
        *byte = word.to_le_bytes()[(at % 8) as usize];
    }
    OK
}

extern "C" fn stop(context: *mut c_void, _objects: u64, _bytes: u64) -> i32 {
    // SAFETY: as in `garbage`.
    let garbage = unsafe { &mut *context.cast::<Garbage>() };
    garbage.polls += 1;
    0
}

#[test]
fn a_read_that_returns_garbage() {
    let api = Api::load();
    let image = ImageFile::new();
    for seed in 0..50 {
        let mut content = Garbage { seed, pointers: seed % 2 == 0, polls: 0 };
        let host = Host { context: (&raw mut content).cast(), read: Some(garbage), poll: None };
        let (status, session) = api.open(&image.description(), Some(&host));
        assert_eq!(status, OK);
        let at = IMAGE + 0x1100;
        for command in ["bt", "threads", "info", "locals", "print", "list", "frame", "names", "value"] {
            let thread = r#"[{"gdb": 1, "lwp": 1}]"#;
            let options = format!(r#"{{"address": {at}, "all": true, "name": "x"}}"#);
            let request =
                format!(r#"{{"command": "{command}", "options": {options}, "threads": {thread}, "thread": 1}}"#);
            let (status, message) = api.query(session, &request);
            assert!([OK, USER, TARGET].contains(&status), "{command}, seed {seed}: {status} {message}");
        }
        assert_eq!(api.close(session), OK);
    }
}

/// What a callback that calls back saw.
struct Reentry {
    api: Api,
    session: u64,
    statuses: [i32; 3],
    calls: usize,
}

extern "C" fn call_back(context: *mut c_void, _address: u64, _buffer: *mut u8, _length: u64) -> i32 {
    // SAFETY: `context` is the Reentry that the test passed; nothing else uses it during the call.
    let reentry = unsafe { &mut *context.cast::<Reentry>() };
    reentry.calls += 1;
    if reentry.calls == 1 {
        let session = reentry.session;
        reentry.statuses =
            [reentry.api.query(session, VALUE).0, reentry.api.invalidate(session), reentry.api.close(session)];
    }
    0
}

#[test]
fn a_call_from_a_callback_finds_the_session_busy() {
    let api = Api::load();
    let image = ImageFile::new();
    let mut reentry = Reentry { api: Api::load(), session: 0, statuses: [0; 3], calls: 0 };
    let context = &raw mut reentry;
    let host = Host { context: context.cast(), read: Some(call_back), poll: None };
    let (status, session) = api.open(&image.description(), Some(&host));
    assert_eq!(status, OK);
    // SAFETY: no callback runs now.
    unsafe { (*context).session = session };
    let (status, message) = api.query(session, VALUE);
    assert_eq!(status, TARGET, "{message}");
    assert!(reentry.calls > 0, "the callback has run");
    assert_eq!(reentry.statuses, [BUSY; 3], "query, invalidate, close");
    assert_eq!(api.query(session, VALUE).0, TARGET, "the session lives on");
    assert_eq!(api.close(session), OK);
    assert_eq!(api.close(session), REQUEST);
}

#[test]
fn a_poll_that_says_stop_interrupts() {
    let api = Api::load();
    let image = ImageFile::new();
    let mut content = Garbage { seed: 3, pointers: true, polls: 0 };
    let host = Host { context: (&raw mut content).cast(), read: Some(garbage), poll: Some(stop) };
    let (status, session) = api.open(&image.description(), Some(&host));
    assert_eq!(status, OK);
    let (status, message) = api.query(session, r#"{"command": "info"}"#);
    assert_eq!(api.close(session), OK);
    assert!(content.polls > 0, "poll is never called: {message}");
    assert_eq!(status, INTERRUPTED, "{message}");
}
