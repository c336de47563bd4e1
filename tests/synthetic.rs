//! Made-up targets: values that must read as Python writes them, and liars that must cost a
//! placeholder or a remark and never a panic, a hang, a deep stack or a large allocation.
//!
//! Each liar lies in a list between two honest neighbours, which must stay shown.
#![allow(unsafe_code)] // the allocator below, which measures what a question costs

#[path = "synthetic/builder.rs"]
mod builder;
#[path = "synthetic/counting.rs"]
mod counting;
#[path = "synthetic/elf.rs"]
mod elf;
#[path = "synthetic/python.rs"]
mod python;

use pyext::bytes::Addr;
use pyext::diag::Diagnostics;
use pyext::objects::Objects;
use pyext::objects::repr::Style;
use pyext::runtime::Runtime;
use pyext::session::Request;
use pyext::stack::walk;
use python::{CodeParts, Python, Target};
use serde_json::{Value, json};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Characters that a value may have unless a test says otherwise.
const CHARS: usize = 1024;
/// What one question may take and allocate.
const SECOND: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
const MEMORY: isize = 64 << 20;
/// When a question counts as hanging.
const HANGS: Duration = Duration::from_secs(20);

/// Asks a question on a thread with a small stack: it must end within a second, without recursing
/// and within a bounded amount of memory. A slow answer gets two more chances: the machine may be
/// busy.
fn quickly<T: Send + 'static>(what: &str, question: impl Fn() -> T + Send + Sync + 'static) -> T {
    let question = Arc::new(question);
    for chance in 0..3 {
        let question = Arc::clone(&question);
        let (sender, receiver) = mpsc::channel();
        let run = move || {
            counting::start();
            let (before, start) = (counting::held(), counting::processor_time());
            let answer = question();
            let _ = sender.send((answer, counting::processor_time() - start, counting::peak() - before));
        };
        std::thread::Builder::new().stack_size(256 << 10).spawn(run).expect("a thread starts");
        match receiver.recv_timeout(HANGS) {
            Ok((answer, time, memory)) => {
                assert!(memory <= MEMORY, "{what}: takes {} MiB", memory >> 20);
                if time <= SECOND {
                    return answer;
                }
                assert!(chance < 2 && time < 4 * SECOND, "{what}: takes {time:?}");
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what}: panics"),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: does not end within {HANGS:?}"),
        }
    }
    unreachable!()
}

/// The texts of objects of a target, each asked for with a fresh reader.
fn texts(what: &str, target: Target, objects: &[u64], chars: usize) -> Vec<String> {
    let objects = objects.to_vec();
    quickly(what, move || {
        let reader = target.objects();
        objects.iter().map(|at| reader.repr(Addr(*at), chars, Style::Pyext).text).collect()
    })
}

/// The text of a liar between two neighbours; `[1, LIAR, 'two']` without the neighbours.
fn liar(what: &str, mut python: Python, at: u64) -> String {
    let (one, two) = (python.int(1), python.text("two"));
    let list = python.list(&[one, at, two]);
    let text = texts(what, python.finish(true), &[list], CHARS).remove(0);
    let inner = text.strip_prefix("[1, ").and_then(|t| t.strip_suffix(", 'two']"));
    inner.unwrap_or_else(|| panic!("{what}: a neighbour is lost: {text}")).to_owned()
}

/// Tells the same lie in both generations and expects a placeholder.
fn unreadable(what: &str, lie: impl Fn(&mut Python) -> u64) {
    for two in [false, true] {
        let mut python = Python::new(two);
        let at = lie(&mut python);
        let text = liar(what, python, at);
        assert!(text.starts_with("<unreadable ") && text.contains(&format!("0x{at:x}")), "{what}: {text}");
    }
}

fn request(value: Value) -> Request {
    serde_json::from_value(value).expect("the request is well-formed")
}

/// What `py-bt` of thread 1 says about a target, as text or JSON.
fn backtrace(what: &str, target: Target, json: bool) -> String {
    quickly(what, move || {
        let request = request(json!({
            "command": "bt",
            "options": {"json": json, "locals": true},
            "threads": [{"gdb": 1, "lwp": 77, "pthread": 77}],
            "thread": 1,
        }));
        target.session().answer(&request).expect("there is a stack").text
    })
}

#[test]
fn values_read_as_python_writes_them() {
    for (two, symbols) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut p = Python::new(two);
        let u = if two { "u" } else { "" };
        let b = if two { "" } else { "b" };
        let l = if two { "L" } else { "" };
        let (one, minus) = (p.int(1), p.int(-7));
        let (name, none) = (p.text("x"), p.none);
        let mut cases: Vec<(u64, String)> = vec![
            (none, "None".into()),
            (one, "1".into()),
            (minus, "-7".into()),
            (p.long(0), format!("0{l}")),
            (p.long(-(1 << 62)), format!("-4611686018427387904{l}")),
            (p.digits(6, &[0, 0, 0, 0, 0, 1]), format!("1427247692705959881058285969449495136382746624{l}")),
            (p.bool(true), "True".into()),
            (p.bool(false), "False".into()),
            (p.float(0.1), "0.1".into()),
            (p.float(-1e300), "-1e+300".into()),
            (p.complex(1.0, -2.5), "(1-2.5j)".into()),
            (p.bytes(b"a\0'\xff"), format!(r#"{b}"a\x00'\xff""#)),
            (p.bytes(b""), format!("{b}''")),
            (p.bytearray(b"ab"), "bytearray(b'ab')".into()),
            (p.unicode("it's"), format!(r#"{u}"it's""#)),
            (p.unicode(""), format!("{u}''")),
            (p.tuple(&[]), "()".into()),
            (p.tuple(&[one]), "(1,)".into()),
            (p.list(&[one, minus, name]), "[1, -7, 'x']".into()),
            (p.list(&[]), "[]".into()),
            (p.dict(&[(name, one), (one, none)]), "{'x': 1, 1: None}".into()),
            (p.dict(&[]), "{}".into()),
            (p.slice(none, one, none), "slice(None, 1, None)".into()),
            (p.ty("list"), if two { "<type 'list'>".into() } else { "<class 'list'>".into() }),
        ];
        let words = ["h\u{e9}", "\u{20ac}", "\u{1f600}\n"];
        let escaped =
            if two { ["h\\xe9", "\\u20ac", "\\U0001f600\\n"] } else { ["h\u{e9}", "\u{20ac}", "\u{1f600}\\n"] };
        for (word, expected) in words.iter().zip(escaped) {
            cases.push((p.unicode(word), format!("{u}'{expected}'")));
        }
        let sets =
            if two { ["set([1, 'x'])", "set([])", "frozenset([1])"] } else { ["{1, 'x'}", "set()", "frozenset({1})"] };
        cases.push((p.set("set", &[one, name]), sets[0].into()));
        cases.push((p.set("set", &[]), sets[1].into()));
        cases.push((p.set("frozenset", &[one]), sets[2].into()));
        let args = p.tuple(&[one, name]);
        cases.push((p.exception(args), "ValueError(1, 'x')".into()));
        let at = p.cell(one);
        cases.push((at, format!("<cell at remote 0x{at:x}: 1>")));
        let at = p.cell(0);
        cases.push((at, format!("<cell at remote 0x{at:x}: empty>")));
        let at = p.function("f");
        cases.push((at, format!("<function f at remote 0x{at:x}>")));
        let at = p.module("json");
        cases.push((at, format!("<module 'json' at remote 0x{at:x}>")));
        let at = p.simple_code("f", &["a"]);
        cases.push((at, "<code f, file \"made_up.py\", line 10>".into()));
        let at = p.dict_instance("Point", &[("x", one), ("y", name)]);
        cases.push((at, format!("<Point(x=1, y='x') at remote 0x{at:x}>")));
        if !two {
            let at = p.split_instance("Point", &[("x", one), ("y", name)]);
            cases.push((at, format!("<Point(x=1, y='x') at remote 0x{at:x}>")));
        }
        let object = p.ty("object");
        let class = p.class("Slotted", object, 32, 0, 0);
        p.members(class, &[("a", 16), ("b", 24)]);
        let at = p.instance(class, 32);
        p.b.word(at + 16, one);
        cases.push((at, format!("<Slotted(a=1) at remote 0x{at:x}>")));
        let int = p.ty(if two { "long" } else { "int" });
        let class = p.class("Number", int, 32, 0, 0);
        let at = p.instance(class, 32);
        p.b.words(at + 16, &[1, 42]);
        cases.push((at, format!("<Number(42{l}) at remote 0x{at:x}>")));

        p.thread(77, 0);
        let addresses: Vec<u64> = cases.iter().map(|(at, _)| *at).collect();
        let found = texts("values", p.finish(symbols), &addresses, CHARS);
        for ((_, expected), text) in cases.iter().zip(found) {
            assert_eq!(text, *expected, "2.7: {two}, symbols: {symbols}");
        }
    }
}

#[test]
fn a_stack_and_its_variables() {
    for (two, symbols) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut p = Python::new(two);
        let (one, text) = (p.int(1), p.text("x"));
        let (outer, inner) = (p.simple_code("outer", &["a"]), p.simple_code("inner", &["b", "c"]));
        let oldest = p.frame(outer, 0, &[one]);
        let newest = p.frame(inner, oldest, &[text, 0]);
        p.thread(77, newest);
        let answer: Value = serde_json::from_str(&backtrace("a stack", p.finish(symbols), true)).expect("JSON");
        let frames = &answer["threads"][0]["frames"];
        let python: Vec<&Value> = frames.as_array().expect("frames").iter().filter(|f| f["kind"] == "python").collect();
        assert_eq!(python.len(), 2, "{answer}");
        for (frame, (name, argument, value)) in python.iter().zip([("inner", "b", "'x'"), ("outer", "a", "1")]) {
            assert_eq!(frame["function"], name, "{answer}");
            assert_eq!((&frame["file"], &frame["line"]), (&json!("made_up.py"), &json!(10)), "{answer}");
            let arguments = frame["args"].as_array().expect("arguments");
            assert_eq!(arguments.len(), 1, "a variable without a value is left out: {answer}");
            assert_eq!((&arguments[0]["name"], &arguments[0]["value"]), (&json!(argument), &json!(value)), "{answer}");
        }
        assert_eq!(answer["threads"][0]["thread_id"], "0x4d", "{answer}");
    }
}

#[test]
fn sizes_that_cannot_be() {
    for size in [1u64 << 60, u64::MAX, 1 << 63, 1 << 39] {
        unreadable("a list of that size", |p| {
            let data = p.b.block_before_hole(8);
            p.list_at(size, data)
        });
        unreadable("a tuple of that size", |p| {
            let at = p.b.block_before_hole(24);
            let ty = p.ty("tuple");
            p.b.words(at, &[1, ty, size]);
            at
        });
        unreadable("bytes of that size", |p| {
            let at = p.b.block_before_hole(40);
            let ty = p.ty(if p.two { "str" } else { "bytes" });
            p.b.words(at, &[1, ty, size]);
            at
        });
        unreadable("text of that size", |p| {
            if p.two {
                let data = p.b.block_before_hole(8);
                let at = p.unicode("x");
                p.b.words(at + 16, &[size, data]);
                return at;
            }
            let at = p.b.block_before_hole(56);
            let ty = p.ty("str");
            p.b.words(at, &[1, ty, size]);
            p.b.half(at + 32, 1 << 2 | 1 << 5 | 1 << 6);
            at
        });
        unreadable("a set of that size", |p| p.set_at("set", size, 7, 0x1000));
    }
    unreadable("an int of 2^50 digits", |p| p.digits(1 << 50, &[1]));
    unreadable("an int whose digits are too large", |p| p.digits(1, &[u32::MAX]));
    for size in [1i64 << 39, -(1 << 39)] {
        unreadable("an int of 2^39 digits", |p| p.digits(size, &[1]));
    }
}

#[test]
fn objects_that_are_none() {
    for at in [0x10, 0x1000, 7, 1 << 47, u64::MAX, u64::MAX - 7] {
        for two in [false, true] {
            let text = liar("a wild pointer", Python::new(two), at);
            assert_eq!(text, format!("<unreadable 0x{at:x}>"));
        }
    }
    unreadable("an object of zeros", |p| p.b.block(64));
    unreadable("an object whose type is no type", |p| {
        let ty = p.list(&[]);
        p.instance(ty, 64)
    });
    unreadable("an object that is its own type", |p| {
        let at = p.b.block(1024);
        p.b.words(at, &[1, at]);
        at
    });
    unreadable("an object of a type that is its own type and not `type`", |p| {
        let base = p.ty("object");
        let ty = p.class("Self", base, 16, 0, 0);
        p.b.word(ty + 8, ty);
        p.instance(ty, 64)
    });
    unreadable("an object of a type without a name", |p| {
        let base = p.ty("object");
        let ty = p.class("Nameless", base, 16, 0, 0);
        p.b.word(ty + 24, 0x1000);
        p.instance(ty, 64)
    });
    unreadable("an object that ends with its page", |p| {
        let at = p.b.block_before_hole(16);
        let ty = p.ty("list");
        p.b.words(at, &[1, ty]);
        at
    });
}

#[test]
fn containers_that_contain_themselves() {
    for two in [false, true] {
        let mut p = Python::new(two);
        let list = p.list(&[0]);
        let data = p.list(&[list]);
        p.b.word(list + 16, 1);
        let slot = p.b.block(8);
        p.b.word(slot, list);
        p.b.word(list + 24, slot);
        let tuple = p.tuple(&[0]);
        p.b.word(tuple + 24, tuple);
        let cell = p.cell(0);
        p.b.word(cell + 16, cell);
        let args = p.tuple(&[0]);
        let error = p.exception(args);
        p.b.word(args + 24, error);
        let slot = p.b.block(8);
        let key = p.text("k");
        let inner = p.list_at(1, slot);
        let dict = p.dict(&[(key, inner)]);
        p.b.word(slot, dict);
        let expected = [
            (data, "[[[...]]]".to_owned()),
            (tuple, "((...),)".to_owned()),
            (cell, format!("<cell at remote 0x{cell:x}: <cell at remote 0x{cell:x}: ...>>")),
            (error, "ValueError(ValueError(...))".to_owned()),
            (dict, "{'k': [{...}]}".to_owned()),
        ];
        let addresses: Vec<u64> = expected.iter().map(|(at, _)| *at).collect();
        let mut found = texts("containers in themselves", p.finish(true), &addresses, CHARS);
        if two {
            // Python 2 and 3.6 write one more comma.
            found[3] = found[3].replace("(...),)", "(...))");
        }
        for ((_, expected), text) in expected.iter().zip(found) {
            assert_eq!(text, *expected);
        }
    }
}

#[test]
fn nested_a_million_deep() {
    const DEPTH: u64 = 1_000_000;
    for two in [false, true] {
        let mut p = Python::new(two);
        let mut at = p.list(&[]);
        for _ in 0..DEPTH {
            at = p.list(&[at]);
        }
        let text = texts("a million lists", p.finish(true), &[at], CHARS).remove(0);
        assert!(text.starts_with("[[[[") && text.ends_with("(truncated)"), "{text}");
    }
    // All of it, as a user may ask for.
    let mut p = Python::new(false);
    let mut at = p.list(&[]);
    for _ in 0..DEPTH / 10 {
        at = p.list(&[at]);
    }
    let text = texts("a hundred thousand lists in full", p.finish(true), &[at], 4 << 20).remove(0);
    assert_eq!(text.len() as u64, 2 * (DEPTH / 10 + 1));
}

/// Each list has the next one and all that follow as its items: what is still to be written must
/// not be queued once per level.
#[test]
fn a_staircase_of_lists() {
    const STEPS: u64 = 16_384;
    let mut p = Python::new(false);
    let data = p.b.block(8 * STEPS);
    let mut first = 0;
    for step in 0..STEPS {
        let list = p.list_at(STEPS - 1 - step, data + 8 * (step + 1));
        p.b.word(data + 8 * step, list);
        first = if step == 0 { list } else { first };
    }
    let text = texts("a staircase", p.finish(true), &[first], STEPS as usize).remove(0);
    assert!(text.starts_with("[[[[") && text.ends_with("(truncated)"));
}

/// One table of many empty slots, shown many times: slots that are passed over cost time, too.
#[test]
fn many_views_of_large_empty_tables() {
    const SLOTS_AT: u64 = 0x6000_0000_0000;
    let mut p = Python::new(true);
    p.b.zeros(SLOTS_AT, 1 << 40);
    let set = p.set_at("set", 5, (1 << 30) - 1, SLOTS_AT);
    let dict = p.blank("dict", 248);
    p.b.words(dict + 16, &[5, 5, (1 << 30) - 1, SLOTS_AT]);
    let list = p.list(&[[set; 50], [dict; 50]].concat());
    texts("a hundred large empty tables", p.finish(true), &[list], 4096);
}

#[test]
fn types_that_lie() {
    for two in [false, true] {
        let mut p = Python::new(two);
        let object = p.ty("object");
        let (a, b) = (p.class("A", object, 32, 0, 0), p.class("B", object, 32, 0, 0));
        p.b.word(a + 256, b);
        p.b.word(b + 256, a);
        let at = p.instance(a, 32);
        assert!(liar("bases in a circle", p, at).starts_with("<unreadable "));

        // Its attributes are lost; the object is not, and nothing overflows.
        for basicsize in [u64::MAX, u64::MAX - 7, 1 << 63, 0] {
            for dictoffset in [-8, i64::MIN, i64::MAX, -1, 1 << 40] {
                let mut p = Python::new(two);
                let int = p.ty(if two { "long" } else { "int" });
                let class = p.class("Sizes", int, basicsize, 0, dictoffset);
                let at = p.instance(class, 32);
                p.b.words(at + 16, &[1, 5]);
                let text = liar("tp_basicsize and tp_dictoffset", p, at);
                assert!(text.contains("Sizes") && text.contains(&format!("0x{at:x}")), "{text}");
            }
        }

        // A method resolution order that contains itself, and one that is no tuple.
        let mut p = Python::new(two);
        let object = p.ty("object");
        let class = p.class("Mro", object, 16, 0, 0);
        let mro = p.tuple(&[0, class]);
        p.b.word(mro + 24, mro);
        p.b.word(class + 344, mro);
        let at = p.instance(class, 16);
        let other = p.class("Other", object, 16, 0, 0);
        p.b.word(other + 344, 0xdead_beef_0000);
        let second = p.instance(other, 16);
        let target = p.finish(true);
        quickly("mro", move || {
            let objects = target.objects();
            let _ = objects.attribute(Addr(at), "x");
            assert!(objects.attribute(Addr(second), "x").is_err());
        });

        // A chain of bases that has no end for all practical purposes.
        let mut p = Python::new(two);
        let mut class = p.ty("object");
        for _ in 0..20_000 {
            class = p.class("Deep", class, 16, 0, 0);
        }
        let at = p.instance(class, 16);
        let text = liar("20,000 bases", p, at);
        assert!(text.contains(&format!("0x{at:x}")), "{text}");
    }
}

#[test]
fn dicts_and_sets_that_lie() {
    let dict_with = |p: &mut Python, lie: &dyn Fn(&mut Python, u64)| {
        let (key, value) = (p.text("k"), p.int(5));
        let dict = p.dict(&[(key, value)]);
        let keys = p.b.block(1024);
        p.b.put(keys + 8, &[3, 3, 0]);
        p.b.words(keys + 16, &[7, 1]);
        p.b.words(keys + 40, &[1, key, value]);
        p.b.word(dict + 32, keys);
        lie(p, keys);
        dict
    };
    type Lie<'a> = (&'a str, &'a dyn Fn(&mut Python, u64));
    let lies: &[Lie<'_>] = &[
        ("dk_nentries above the size", &|p, keys| p.b.word(keys + 24, 9)),
        ("dk_nentries of 2^60", &|p, keys| p.b.word(keys + 24, 1 << 60)),
        ("dk_log2_size of 200", &|p, keys| p.b.put(keys + 8, &[200])),
        ("dk_log2_index_bytes of 200", &|p, keys| p.b.put(keys + 9, &[200])),
        ("dk_log2_index_bytes of 44", &|p, keys| p.b.put(keys + 9, &[44])),
    ];
    for (what, lie) in lies {
        let mut p = Python::new(false);
        let at = dict_with(&mut p, lie);
        let text = liar(what, p, at);
        assert!(text.starts_with("<unreadable dict"), "{what}: {text}");
    }
    unreadable("a dict of 2^60 entries", |p| {
        let dict = p.dict(&[]);
        if p.two {
            p.b.words(dict + 24, &[1 << 60, (1 << 60) - 1, 0x1000]);
        } else {
            p.b.word(dict + 16, 1 << 60);
        }
        dict
    });
    unreadable("a dict whose table is not mapped", |p| {
        let (key, value) = (p.text("k"), p.int(5));
        let dict = p.dict(&[(key, value)]);
        p.b.word(dict + if p.two { 40 } else { 32 }, 0x1000);
        dict
    });
    // One unreadable entry costs itself.
    for two in [false, true] {
        let mut p = Python::new(two);
        let (key, value) = (p.text("k"), p.int(5));
        let at = p.dict(&[(0x1000, value), (key, 0x2000), (key, value)]);
        assert_eq!(
            liar("a dict with bad entries", p, at),
            "{<unreadable 0x1000>: 5, 'k': <unreadable 0x2000>, 'k': 5}"
        );
    }
    for mask in [-2i64, -1, 5, i64::MAX, i64::MIN] {
        unreadable("the mask of a set", |p| p.set_at("set", 1, mask as u64, 0x1000));
    }
    // Values of an instance whose order names values that it does not have.
    let mut p = Python::new(false);
    let one = p.int(1);
    let at = p.split_instance("Point", &[("x", one)]);
    let values = p.b.block(256) + 128;
    p.b.put(values - 5, &[200, 255, 0, 3, 16]);
    p.b.word(values, one);
    p.b.word(at - 32, values);
    let text = liar("the order of values", p, at);
    assert!(text.starts_with("<Point(x=1"), "{text}");
}

#[test]
fn chains_of_frames_that_loop() {
    for two in [false, true] {
        // One frame that is its own caller.
        let mut p = Python::new(two);
        let code = p.simple_code("lonely", &["a"]);
        let one = p.int(1);
        let frame = p.frame(code, 0, &[one]);
        p.set_back(frame, frame);
        p.thread(77, frame);
        let text = backtrace("a frame that is its own caller", p.finish(true), false);
        assert!(text.contains("lonely") && text.contains("a=1") && text.contains("loops"), "{text}");

        // Two frames that call each other.
        let mut p = Python::new(two);
        let (ping, pong) = (p.simple_code("ping", &[]), p.simple_code("pong", &[]));
        let older = p.frame(ping, 0, &[]);
        let newer = p.frame(pong, older, &[]);
        p.set_back(older, newer);
        p.thread(77, newer);
        let text = backtrace("two frames that call each other", p.finish(true), false);
        assert!(text.contains("ping") && text.contains("pong") && text.contains("loops"), "{text}");

        // A caller that is none.
        for (back, word) in [(0x1000u64, "cannot be read"), (0xdead_beef, "can be no frame")] {
            let mut p = Python::new(two);
            let code = p.simple_code("alone", &[]);
            let frame = p.frame(code, back, &[]);
            p.thread(77, frame);
            let text = backtrace("a wild caller", p.finish(true), false);
            assert!(text.contains("alone") && text.contains(word), "{text}");
        }

        // A frame whose code is none, between two others.
        let mut p = Python::new(two);
        let code = p.simple_code("good", &[]);
        let oldest = p.frame(code, 0, &[]);
        let middle = p.frame(0x1000, oldest, &[]);
        let newest = p.frame(code, middle, &[]);
        p.thread(77, newest);
        let text = backtrace("a frame without code", p.finish(true), false);
        assert_eq!(text.matches("in good").count(), 2, "{text}");
        assert!(text.contains("unreadable"), "{text}");
    }
}

#[test]
fn code_objects_that_lie() {
    // Line tables of any bytes.
    for two in [false, true] {
        for seed in 0..64u64 {
            let mut p = Python::new(two);
            let mut state = seed + 1;
            let garbage: Vec<u8> = (0..200)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8 | if seed % 2 == 0 { 0x80 } else { 0 }
                })
                .collect();
            let (names, lines) = (p.tuple(&[]), p.bytes(&garbage));
            let code = p.code(&CodeParts {
                name: "odd",
                file: "odd.py",
                first_line: u32::MAX >> (seed % 3),
                arguments: u32::MAX >> (seed % 5),
                names,
                name_count: 0,
                lines,
            });
            let frame = p.frame(code, 0, &[]);
            p.b.word(frame + if two { 120 } else { 56 }, seed.wrapping_mul(0x0101_0101_0101_0101));
            let frame = p.frame(code, frame, &[]);
            p.thread(77, frame);
            let text = backtrace("a garbage line table", p.finish(true), false);
            assert!(text.contains("in odd"), "{text}");
        }
        // Parts that are not what they should be cost themselves.
        for offset in if two { [56, 80, 88, 104] } else { [96, 112, 120, 136] } {
            for wrong in [0, 0x1000, u64::MAX] {
                let mut p = Python::new(two);
                let (good, bad) = (p.simple_code("good", &[]), p.simple_code("bad", &["a"]));
                p.b.word(bad + offset, wrong);
                let one = p.int(1);
                let older = p.frame(bad, 0, &[one]);
                let newer = p.frame(good, older, &[]);
                p.thread(77, newer);
                let text = backtrace("a code object with a bad part", p.finish(true), false);
                assert!(text.contains("in good"), "{text}");
                assert_eq!(text.lines().filter(|l| l.starts_with('#')).count(), 2, "{text}");
            }
        }
    }
}

#[test]
fn a_code_object_of_many_names() {
    for two in [false, true] {
        let mut p = Python::new(two);
        let names: Vec<u64> = (0..60_000).map(|i| p.text(&format!("name_{i:08}"))).collect();
        let one = p.int(1);
        let (tuple, lines) = (p.tuple(&names), p.bytes(&[]));
        let code = p.code(&CodeParts {
            name: "wide",
            file: "wide.py",
            first_line: 1,
            arguments: 60_000,
            names: tuple,
            name_count: names.len(),
            lines,
        });
        let frame = p.frame(code, 0, &vec![one; names.len()]);
        let tstate = p.thread(77, frame);
        let target = p.finish(true);
        quickly("60,000 locals", move || {
            let objects = target.objects();
            let stack = walk(&objects, Addr(tstate));
            assert_eq!(objects.locals(&stack.frames[0]).expect("locals").len(), 60_000);
            assert_eq!(objects.frame_arguments(&stack.frames[0]).expect("arguments").len(), 60_000);
        });
    }
    // One long name, over and over.
    let mut p = Python::new(false);
    let name = p.text(&"n".repeat(4096));
    let (tuple, lines) = (p.tuple(&vec![name; 60_000]), p.bytes(&[]));
    let code = p.code(&CodeParts {
        name: "long",
        file: "long.py",
        first_line: 1,
        arguments: 60_000,
        names: tuple,
        name_count: 60_000,
        lines,
    });
    let target = p.finish(true);
    quickly("60,000 long names", move || target.objects().code(Addr(code)).map(|c| c.name.clone()).is_ok());
}

/// Each small, and each leads to the same names and the same line table.
#[test]
fn code_objects_that_share_their_parts() {
    let mut p = Python::new(false);
    let names: Vec<u64> = (0..50_000).map(|i| p.text(&format!("name_{i:08}"))).collect();
    let (tuple, kinds) = (p.tuple(&names), p.bytes(&vec![0x20; names.len()]));
    let lines = p.bytes(&[0x80u8, 0].repeat(1 << 19));
    let mut frame = 0;
    for _ in 0..2000 {
        let parts =
            CodeParts { name: "f", file: "f.py", first_line: 1, arguments: 0, names: tuple, name_count: 0, lines };
        let code = p.code(&parts);
        p.b.word(code + 104, kinds);
        frame = p.frame(code, frame, &[]);
    }
    let tstate = p.thread(77, frame);
    let target = p.finish(true);
    let (read, all) = quickly("2,000 code objects that share their names", move || {
        let stack = walk(&target.objects(), Addr(tstate));
        (stack.frames.iter().filter(|f| f.code.is_ok()).count(), stack.frames.len())
    });
    assert!((1..100).contains(&read) && all == 2000, "{read} of {all}");
}

#[test]
fn deep_recursion_through_a_large_line_table() {
    for two in [false, true] {
        let mut p = Python::new(two);
        // 3.11: entries of one code unit without a step; 2.7: no code, no step.
        let table = if two { vec![0; 4 << 20] } else { [0x80u8, 0].repeat(2 << 20) };
        let (names, lines) = (p.tuple(&[]), p.bytes(&table));
        let code = p.code(&CodeParts {
            name: "deep",
            file: "deep.py",
            first_line: 7,
            arguments: 0,
            names,
            name_count: 0,
            lines,
        });
        let mut frame = 0;
        for _ in 0..2000 {
            frame = p.frame(code, frame, &[]);
            if two {
                p.b.half(frame + 120, i32::MAX as u32);
            } else {
                p.b.word(frame + 56, code + 184 + (4 << 20) - 2);
            }
        }
        let tstate = p.thread(77, frame);
        let target = p.finish(true);
        let count = quickly("2,000 frames through 4 MiB of line table", move || {
            walk(&target.objects(), Addr(tstate)).frames.len()
        });
        assert_eq!(count, 2000);
    }
}

/// What reading the runtime finds: threads and remarks.
fn runtime(what: &str, target: Target) -> (usize, usize, String) {
    quickly(what, move || {
        let objects: Objects = target.objects();
        let diagnostics = Diagnostics::default();
        let runtime = Runtime::read(&objects, &diagnostics).expect("an interpreter is found");
        let remarks: Vec<String> = diagnostics.all().into_iter().map(|d| d.what).collect();
        (runtime.interpreters.len(), runtime.threads.len(), remarks.join("; "))
    })
}

#[test]
fn lists_of_threads_and_interpreters_that_loop() {
    for two in [false, true] {
        let mut p = Python::new(two);
        let first = p.thread(1, 0);
        let second = p.thread(2, 0);
        let third = p.thread(3, 0);
        p.set_next_thread(third, second);
        let (_, threads, remarks) = runtime("three threads in a circle", p.finish(true));
        assert_eq!(threads, 3);
        assert!(remarks.contains("loops"), "{remarks}");

        let mut p = Python::new(two);
        let only = p.thread(1, 0);
        p.set_next_thread(only, only);
        let (_, threads, remarks) = runtime("a thread that follows itself", p.finish(true));
        assert_eq!(threads, 1);
        assert!(remarks.contains("loops"), "{remarks}");

        let mut p = Python::new(two);
        let only = p.thread(1, 0);
        p.set_next_thread(only, 0x1000);
        let (_, threads, remarks) = runtime("a wild next thread", p.finish(true));
        assert_eq!(threads, 1);
        assert!(remarks.contains("cannot be read"), "{remarks}");

        let mut p = Python::new(two);
        p.thread(1, 0);
        p.b.refer(p.interpreter, "interpreter");
        let (interpreters, _, remarks) = runtime("an interpreter that follows itself", p.finish(true));
        assert_eq!(interpreters, 1);
        assert!(remarks.contains("loops"), "{remarks}");
        assert_ne!(first, second);
    }
}

#[test]
fn sixty_thousand_threads() {
    for two in [false, true] {
        let mut p = Python::new(two);
        for id in 1..=60_000 {
            p.thread(id, 0);
        }
        let (_, threads, _) = runtime("60,000 threads", p.finish(true));
        assert_eq!(threads, 60_000);
    }
}

/// Nothing of the target reaches the terminal unescaped, wherever it stands.
#[test]
fn names_with_control_characters() {
    const EVIL: &str = "a\u{1b}[31m\r\u{7}b\u{9b}\u{202e}";
    for two in [false, true] {
        for json in [false, true] {
            let mut p = Python::new(two);
            let (one, name, text) = (p.int(1), p.text(EVIL), p.unicode(EVIL));
            let class_base = p.ty("object");
            let class = p.class(EVIL, class_base, 16, 0, 0);
            let plain = p.instance(class, 16);
            let (instance, function, module) =
                (p.dict_instance(EVIL, &[(EVIL, one)]), p.function(EVIL), p.module(EVIL));
            let values = [text, plain, instance, function, module, class, name];
            let names = p.tuple(&vec![name; values.len()]);
            let lines = p.bytes(&[]);
            let code = p.code(&CodeParts {
                name: EVIL,
                file: EVIL,
                first_line: 1,
                arguments: values.len() as u32,
                names,
                name_count: values.len(),
                lines,
            });
            let list = p.list(&values);
            let frame = p.frame(code, 0, &vec![list; values.len()]);
            p.thread(77, frame);
            let text = backtrace("control characters", p.finish(true), json);
            let escaped = |c: char| c == '\n' || c == '\t' || !c.is_control() && c != '\u{202e}';
            assert!(text.chars().all(escaped), "{text:?}");
            assert!(!json || text.is_ascii(), "{text:?}");
        }
    }
}

/// A source line is shown as it stands in the file.
#[test]
fn source_lines_keep_their_backslashes() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("source-{}.py", std::process::id()));
    std::fs::write(&file, "x = 'a\\tb'.split('\\t')\n").expect("the source is written");
    let mut p = Python::new(false);
    let (names, lines) = (p.tuple(&[]), p.bytes(&[0x80 | 7, 0]));
    let code = p.code(&CodeParts {
        name: "f",
        file: &file.to_string_lossy(),
        first_line: 1,
        arguments: 0,
        names,
        name_count: 0,
        lines,
    });
    let frame = p.frame(code, 0, &[]);
    p.thread(77, frame);
    let text = backtrace("a source line", p.finish(true), false);
    let _ = std::fs::remove_file(&file);
    assert!(text.contains("x = 'a\\tb'.split('\\t')"), "{text:?}");
}

/// The host may ask before Python runs in the target, or while it cannot be read, and again later.
#[test]
fn a_failed_attach_can_be_tried_again() {
    let mut p = Python::new(false);
    p.thread(77, 0);
    let one = p.int(1);
    let target = p.finish(true);
    let works = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let session = target.session_while(Arc::clone(&works));
    let request = request(json!({"command": "value", "options": {"address": one}}));
    let first = session.answer(&request).map(|r| r.text).expect_err("nothing can be read");
    let second = session.answer(&request).map(|r| r.text).expect_err("nothing can be read");
    assert_eq!(first.to_string(), second.to_string());
    works.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(session.answer(&request).expect("now it can").text, "1");
}

/// However much the host asks for, what the target claims is not allocated.
#[test]
fn a_value_without_limit() {
    let mut p = Python::new(false);
    let text = p.unicode("x");
    p.b.word(text + 16, 1 << 29);
    p.thread(77, 0);
    let target = p.finish(true);
    quickly("a str of 2^29 characters, in full", move || {
        let request = request(json!({"command": "value", "options": {"address": text, "chars": 1u64 << 62}}));
        target.session().answer(&request).map(|r| r.text.len()).is_ok()
    });
}
