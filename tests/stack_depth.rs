//! The depth of the value stack, computed for the standard library of each interpreter that
//! `tools/setup.sh` has found, against what its compiler says (`co_stacksize`).
//!
//! `PYEXT_WHOLE_STDLIB=1` takes all of the library, its own tests too, and not the modules of its
//! folder only.

use pyext::layout::opcodes::Opcodes;
use pyext::objects::depth::Depths;
use std::path::Path;
use std::process::Command;

/// What the code objects of one interpreter gave.
#[derive(Debug, Default)]
struct Tally {
    functions: usize,
    /// The deepest stack is what the compiler says.
    equal: usize,
    /// Some instruction has several depths.
    ambiguous: usize,
    unknown: Vec<String>,
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).map_or(0, |d| d as u8);
    match hexadecimal {
        "-" => Vec::new(),
        text => text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect(),
    }
}

fn tally(opcodes: &Opcodes, text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines() {
        let cells: Vec<&str> = line.splitn(4, ' ').collect();
        let [stacksize, code, exceptions, name] = cells.as_slice() else { panic!("not a code object: {line}") };
        let stacksize: u32 = stacksize.parse().expect("a number");
        tally.functions += 1;
        let mut budget = usize::MAX;
        match Depths::new(opcodes, &bytes(code), &bytes(exceptions), stacksize, &mut budget) {
            Some(depths) => {
                let (deepest, one_depth) = depths.summary();
                tally.equal += usize::from(deepest == stacksize);
                tally.ambiguous += usize::from(!one_depth);
            }
            None => tally.unknown.push((*name).to_owned()),
        }
    }
    tally
}

#[test]
fn the_standard_libraries_depths_are_what_the_compiler_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(found) = std::fs::read_to_string(root.join(".cache/interpreters.json")) else {
        println!("not run: no .cache/interpreters.json (make setup)");
        return;
    };
    let found: serde_json::Value = serde_json::from_str(&found).expect("interpreters.json is JSON");
    let whole = std::env::var_os("PYEXT_WHOLE_STDLIB").is_some();
    let mut tried = 0;
    for entry in found.as_array().expect("a list") {
        let text = |key: &str| entry[key].as_str().unwrap_or("");
        let (major, minor) = text("minor").split_once('.').expect("a minor version");
        let minor: u8 = minor.parse().expect("a number");
        let Some(opcodes) = Opcodes::of(major.parse().expect("a number"), minor) else { continue };
        // The pyenv builds and the distribution's; other entries are copies of them.
        if !text("id").ends_with("-pyenv") && !text("id").contains("-deb") || text("exe").is_empty() {
            continue;
        }
        let mut command = Command::new(text("exe"));
        for (name, value) in entry["env"].as_object().into_iter().flatten() {
            command.env(name, value.as_str().unwrap_or(""));
        }
        let output = command
            .arg("-S")
            .arg(root.join("tests/targets/code_objects.py"))
            .args(whole.then_some("."))
            .output()
            .expect("the interpreter can be run");
        assert!(output.status.success(), "{}: {}", text("id"), String::from_utf8_lossy(&output.stderr));
        let tally = tally(opcodes, &String::from_utf8_lossy(&output.stdout));
        println!(
            "{}: {} functions, {} as deep as the compiler says, {} with several depths, {} not understood",
            text("id"),
            tally.functions,
            tally.equal,
            tally.ambiguous,
            tally.unknown.len()
        );
        // 3.9 and older fold constants after they computed the stack's size; 3.8 and older take the most
        // that a `finally` can need; 3.13 makes it one at least. No function is deeper than they say.
        let all = tally.functions;
        assert!(tally.equal * 100 >= all * if minor >= 10 { 95 } else { 50 }, "{}: {tally:?}", text("id"));
        assert!(tally.ambiguous == 0 || minor <= 8, "{}: {} functions", text("id"), tally.ambiguous);
        assert!(tally.functions > 1000, "{}: {} functions", text("id"), tally.functions);
        assert_eq!(tally.unknown, [""; 0], "{}", text("id"));
        tried += 1;
    }
    assert!(tried > 0, "no interpreter whose depths are computed");
}
