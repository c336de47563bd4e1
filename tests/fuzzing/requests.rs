//! The C boundary: requests and descriptions as a host would send them, to a session with a
//! made-up target, so that commands really run.

use super::input::Input;
use super::world::{Bytes, EXTRA, World};
use pyext::abi::{
    PYEXT_BUG, PYEXT_OK, PyextBuffer, PyextHost, pyext_buffer_free, pyext_last_error, pyext_query, pyext_session_close,
    pyext_session_invalidate, pyext_session_open,
};
use pyext::image::unwind::Registers;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::null_mut;

thread_local! {
    /// What the host's read function reads.
    pub static MEMORY: RefCell<Option<Bytes>> = const { RefCell::new(None) };
    static SESSIONS: RefCell<HashMap<&'static str, u64>> = RefCell::default();
}

unsafe extern "C" fn read(_: *mut c_void, address: u64, buffer: *mut u8, length: u64) -> i32 {
    // SAFETY: the library's buffer is valid for writes of its length.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, length as usize) };
    MEMORY.with(|memory| i32::from(memory.borrow().as_ref().is_some_and(|m| m.read(address, buffer).is_ok())))
}

pub fn open(description: &[u8]) -> Option<u64> {
    let host = PyextHost { context: null_mut(), read: Some(read), poll: None };
    let mut session = 0;
    // SAFETY: the slice is valid, `host` and `session` outlive the call, and `read` is a function.
    let status = unsafe {
        pyext_session_open(description.as_ptr(), description.len() as u64, &raw const host, &raw mut session)
    };
    assert_ne!(status, PYEXT_BUG, "{}", message(0));
    (status == PYEXT_OK).then_some(session)
}

/// What is in a buffer, which is then freed.
fn take(mut buffer: PyextBuffer) -> Vec<u8> {
    let bytes = if buffer.data.is_null() {
        Vec::new()
    } else {
        // SAFETY: the library filled the buffer.
        unsafe { std::slice::from_raw_parts(buffer.data, buffer.length as usize) }.to_vec()
    };
    // SAFETY: the library filled the buffer, and nothing changed it.
    unsafe { pyext_buffer_free(&raw mut buffer) };
    bytes
}

fn empty() -> PyextBuffer {
    PyextBuffer { data: null_mut(), length: 0, capacity: 0 }
}

fn message(session: u64) -> String {
    let mut buffer = empty();
    // SAFETY: the buffer is valid for a write.
    unsafe { pyext_last_error(session, &raw mut buffer) };
    String::from_utf8(take(buffer)).expect("a message is UTF-8")
}

pub fn query(session: u64, request: &[u8]) {
    let mut buffer = empty();
    // SAFETY: the slice is valid, and so is the buffer.
    let status = unsafe { pyext_query(session, request.as_ptr(), request.len() as u64, &raw mut buffer) };
    if status == PYEXT_OK {
        let answer: Value = serde_json::from_slice(&take(buffer)).expect("an answer is JSON");
        assert!(answer.is_object());
        return;
    }
    let message = message(session);
    assert_ne!(status, PYEXT_BUG, "{message}");
    assert!(!message.is_empty(), "an error has a message");
}

const COMMANDS: &[&str] =
    &["bt", "list", "locals", "print", "frame", "threads", "info", "gc", "value", "names", "types", "natives"];
const NAMES: &[&str] = &[
    "a",
    "b",
    "rest",
    "c",
    "name",
    "function",
    ".name",
    "['name']",
    "[\"",
    "\\x",
    "[0]",
    "[-1]",
    "[99999999999999999999]",
    "._active",
    "[1]",
    " ",
    "\u{fc}",
    "'",
    "]",
    ".",
    "[-9223372036854775808]",
];
const TYPES: &[&str] = &["PyObject", "_PyInterpreterFrame", "_frame", "?"];

fn optional(input: &mut Input<'_>, addresses: &[u64]) -> Value {
    if input.u8().is_multiple_of(2) { Value::Null } else { json!(input.word(addresses)) }
}

fn signed(input: &mut Input<'_>) -> Value {
    if input.u8().is_multiple_of(2) { Value::Null } else { json!(input.word(&[]) as i64) }
}

fn thread(input: &mut Input<'_>, number: u8, world: &World) -> Value {
    let addresses = &world.places;
    let names =
        ["_PyEval_EvalFrameDefault", "PyEval_EvalFrameEx", "take_gil", "cfunction_call", "gc_collect_main", "x"];
    let native = |input: &mut Input<'_>, level: u8| {
        json!({
            "level": level, "pc": input.word(addresses), "sp": EXTRA + u64::from(level) * 64, "inline": input.u8().is_multiple_of(4),
            "name": names[input.below(names.len())],
            "variables": [["f", input.word(addresses)], ["func", input.word(addresses)]],
        })
    };
    let frames = input.u8() % 6;
    let native: Vec<Value> = (0..frames).map(|level| native(input, level)).collect();
    let how = input.u8();
    let mut thread = json!({
        "gdb": number, "lwp": 77, "pthread": if how.is_multiple_of(4) { Value::Null } else { json!(77) },
        "running": input.u8().is_multiple_of(8), "sp": optional(input, addresses), "pc": optional(input, addresses),
        "bp": optional(input, addresses), "orig_rax": signed(input), "args": [input.word(addresses)],
        "native": if frames == 0 { Value::Null } else { json!(native) },
    });
    if how % 4 == 1 {
        // The C stack that fits the Python stack.
        let Registers { pc, sp, bp } = world.registers;
        (thread["pc"], thread["sp"], thread["bp"]) = (json!(pc), json!(sp), json!(bp));
    }
    thread
}

fn made_up(input: &mut Input<'_>, world: &World) -> Value {
    let addresses = &world.places;
    let command = COMMANDS[input.below(COMMANDS.len())];
    let flags = input.u16();
    let flag = |bit: u16| flags & (1 << bit) != 0;
    let mut name: String = (0..input.u8() % 6).map(|_| NAMES[input.below(NAMES.len())]).collect();
    let threads: Vec<Value> = (1..2 + input.u8() % 3).map(|number| thread(input, number, world)).collect();
    if flag(8) {
        let (index, attribute) = world.attributes[input.below(world.attributes.len())];
        name = format!("b[{index}].{attribute}{name}");
    }
    let mut index = signed(input);
    if flag(0) {
        index = json!(i64::from(input.u8()) - 128);
    }
    // Large answers are not what is looked for here: objects have their own target.
    let chars = optional(input, &[]).as_u64().map(|chars| chars % (1 << 16));
    json!({
        "command": command,
        "options": {
            "all": flag(1), "locals": flag(2), "json": flag(3), "verbose": flag(4), "relative": flag(5),
            "limit": optional(input, &[]), "start": signed(input), "end": signed(input), "name": name, "index": index,
            "address": optional(input, addresses), "ctype": TYPES[input.below(TYPES.len())], "chars": chars,
        },
        "threads": threads, "thread": if flag(6) { Value::Null } else { json!(1) }, "frame": optional(input, &[]),
        "native_sp": optional(input, addresses), "level": signed(input), "stock": flag(7),
        "substitute": [["/a", "/b"]], "directories": ["/nowhere"], "width": input.u8(),
    })
}

/// How it is made; a world; then JSON as it is, or the parts of a request and changes to the world.
pub fn request(data: &[u8]) {
    let mut input = Input(data);
    let form = input.u8() % 4;
    if form == 3 {
        if let Some(session) = open(input.0) {
            assert_eq!(pyext_session_close(session), PYEXT_OK);
        }
        return;
    }
    let world = World::get(input.u8());
    MEMORY.set(Some(world.bytes.clone()));
    let known = SESSIONS.with(|all| all.borrow().get(world.label).copied());
    let session = known.unwrap_or_else(|| {
        let (path, start, end) = world.module();
        let session = open(json!({"modules": [[path, start, end, 0]]}).to_string().as_bytes()).expect("a session");
        // The first question attaches: with the bytes as they are valid.
        query(session, br#"{"command": "info"}"#);
        SESSIONS.with(|all| all.borrow_mut().insert(world.label, session));
        session
    });
    assert_eq!(pyext_session_invalidate(session), PYEXT_OK);
    if form == 0 {
        query(session, input.0);
        return;
    }
    let requests: Vec<Value> = (0..1 + input.u8() % 3).map(|_| made_up(&mut input, &world)).collect();
    MEMORY.set(Some(world.changed(&mut input, &world.places)));
    for request in requests {
        query(session, request.to_string().as_bytes());
    }
}

#[cfg(test)]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (i, command) in COMMANDS.iter().enumerate() {
        let number = World::number(["2.7.18", "3.9.18", "3.11.7", "3.13.0"][i % 4]);
        let request = json!({
            "command": command, "options": {"all": true, "locals": true, "json": i % 2 == 0, "name": "a[0].name"},
            "threads": [{"gdb": 1, "lwp": 77, "pthread": 77}], "thread": 1, "frame": 1, "paint": {},
        });
        all.push([vec![0, number], request.to_string().into_bytes()].concat());
        all.push(vec![1, number, 0, i as u8, 0, 0, 0, 1, 0, 0, 1, 77]);
    }
    for label in
        ["2.7.18", "3.6.15", "3.8.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0", "3.14.10", "3.15.2", "3.13.15t"]
    {
        let (number, world) = (World::number(label), World::get(World::number(label)));
        let Registers { pc, sp, bp } = world.registers;
        let mut seed = |command: &str, name: &str, json: bool| {
            let request = json!({
                "command": command, "options": {"all": true, "locals": true, "json": json, "name": name},
                "threads": [{"gdb": 1, "lwp": 77, "pthread": 77, "pc": pc, "sp": sp, "bp": bp}], "thread": 1,
            });
            all.push([vec![0, number], request.to_string().into_bytes()].concat());
        };
        seed("bt", "", true);
        seed("print", "b", false);
        seed("natives", "", false);
        // Each world walks other paths.
        for (index, attribute) in world.attributes.iter().skip(usize::from(number) % 8).step_by(8) {
            seed("print", &format!("b[{index}].{attribute}"), false);
        }
        // One of those paths, and a thread with the C stack that fits, as parts of a request.
        all.push(vec![1, number, 0, 3, 0, 0x0a, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, number, 0]);
    }
    all.push([vec![3], br#"{"modules": [["/x", 4096, 8192, 0]], "sysroot": "/s"}"#.to_vec()].concat());
    all
}
