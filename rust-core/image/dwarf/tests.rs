//! Layouts of compiled C against what the same compiler's program says of itself, and hand-written
//! DWARF, assembled, for what gcc does not produce.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failing test may panic

use std::fmt::Write as _;
use std::fs;

use super::*;
use crate::image::debug_file::testing::Scratch;

const STRUCTS: &str = r"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
typedef struct _opaque opaque_t;
typedef unsigned long word;
enum colour { RED, GREEN };
struct tagged {
    char first; const volatile word second; enum colour third; void (*call)(int);
    opaque_t *link; double reals[3][2]; long double wide; _Bool flag; struct tagged *next;
};
typedef struct { struct tagged one; struct tagged many[2]; int tail[]; } anonymous_t;
struct deep { int d0; struct { int d1; struct { int d2; struct { int d3; struct { int d4; } e; } d; } c; } b; };
struct mixed {
    unsigned before;
    union { struct { short low, high; }; int both; union { char deepest; } named; };
    unsigned b1 : 3, b2 : 7, : 5, b3 : 20;
    unsigned char c1 : 1, c2 : 1;
    struct { unsigned kind : 2, ready : 1; } state;
    char zero[0], one[1], many[255], more[256];
};
typedef union both { struct tagged t; word bits; } both_t;
typedef both_t alias_t;
struct _opaque { int inside; opaque_t *self; };
";

/// Prints `name size` per struct and `struct.path offset size bit width` per member; a bit-field's
/// place is found by filling it with ones.
const TRUTH: &str = r#"
#define S(T, n) printf("%s %zu\n", n, sizeof(T));
#define M(T, n, m) printf("%s.%s %zu %zu 0 0\n", n, #m, offsetof(T, m), sizeof(((T *)0)->m));
#define B(T, n, m, size) { T t; unsigned char *p = (void *)&t; memset(&t, 0, sizeof t); t.m = -1; \
    int low = 0, width = 0; while (!(p[low / 8] >> low % 8 & 1)) low++; \
    while (low + width < 8 * (int)sizeof t && p[(low + width) / 8] >> (low + width) % 8 & 1) width++; \
    printf("%s.%s %d %d %d %d\n", n, #m, low / 8, (int)(size), low % 8, width); }
struct tagged a; anonymous_t b; struct deep c; struct mixed d; alias_t e; opaque_t f;
int main(void) {
    S(struct tagged, "tagged") M(struct tagged, "tagged", first) M(struct tagged, "tagged", second)
    M(struct tagged, "tagged", third) M(struct tagged, "tagged", call) M(struct tagged, "tagged", link)
    M(struct tagged, "tagged", reals) M(struct tagged, "tagged", wide) M(struct tagged, "tagged", flag)
    M(struct tagged, "tagged", next)
    S(anonymous_t, "anonymous_t") M(anonymous_t, "anonymous_t", one) M(anonymous_t, "anonymous_t", many)
    M(anonymous_t, "anonymous_t", one.first) M(anonymous_t, "anonymous_t", one.second)
    M(anonymous_t, "anonymous_t", one.third) M(anonymous_t, "anonymous_t", one.call)
    M(anonymous_t, "anonymous_t", one.link) M(anonymous_t, "anonymous_t", one.reals)
    M(anonymous_t, "anonymous_t", one.wide) M(anonymous_t, "anonymous_t", one.flag)
    M(anonymous_t, "anonymous_t", one.next)
    printf("anonymous_t.tail %zu 0 0 0\n", offsetof(anonymous_t, tail));
    S(struct deep, "deep") M(struct deep, "deep", d0) M(struct deep, "deep", b) M(struct deep, "deep", b.d1)
    M(struct deep, "deep", b.c) M(struct deep, "deep", b.c.d2) M(struct deep, "deep", b.c.d)
    M(struct deep, "deep", b.c.d.d3) M(struct deep, "deep", b.c.d.e)
    S(struct mixed, "mixed") M(struct mixed, "mixed", before) M(struct mixed, "mixed", low)
    M(struct mixed, "mixed", high) M(struct mixed, "mixed", both) M(struct mixed, "mixed", named)
    M(struct mixed, "mixed", named.deepest) M(struct mixed, "mixed", state)
    M(struct mixed, "mixed", zero) M(struct mixed, "mixed", one) M(struct mixed, "mixed", many)
    M(struct mixed, "mixed", more)
    B(struct mixed, "mixed", b1, sizeof(unsigned)) B(struct mixed, "mixed", b2, sizeof(unsigned))
    B(struct mixed, "mixed", b3, sizeof(unsigned)) B(struct mixed, "mixed", c1, 1)
    B(struct mixed, "mixed", c2, 1) B(struct mixed, "mixed", state.kind, sizeof(unsigned))
    B(struct mixed, "mixed", state.ready, sizeof(unsigned))
    S(alias_t, "alias_t") M(alias_t, "alias_t", bits) M(alias_t, "alias_t", t)
    M(alias_t, "alias_t", t.first) M(alias_t, "alias_t", t.second) M(alias_t, "alias_t", t.third)
    M(alias_t, "alias_t", t.call) M(alias_t, "alias_t", t.link) M(alias_t, "alias_t", t.reals)
    M(alias_t, "alias_t", t.wide) M(alias_t, "alias_t", t.flag) M(alias_t, "alias_t", t.next)
    S(opaque_t, "opaque_t") M(opaque_t, "opaque_t", inside) M(opaque_t, "opaque_t", self)
    return 0;
}
"#;
const WANTED: [&str; 6] = ["tagged", "anonymous_t", "deep", "mixed", "alias_t", "opaque_t"];

/// The same words that `TRUTH` prints.
fn describe(layouts: &HashMap<String, StructLayout>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, layout) in layouts {
        lines.push(format!("{name} {}", layout.size));
        for (path, Member { offset, size, bit }) in &layout.members {
            let (low, width) = bit.unwrap_or((0, 0));
            lines.push(format!("{name}.{path} {offset} {size} {low} {width}"));
        }
    }
    lines.sort();
    lines
}

fn compile(dir: &Scratch, flags: &str) -> PathBuf {
    dir.write("truth.c", format!("{STRUCTS}{TRUTH}"));
    // A unit that comes first and knows only declarations.
    dir.write("first.c", "typedef struct _opaque opaque_t; opaque_t *first; struct deep; struct deep *p;");
    dir.run("gcc", &format!("{flags} first.c truth.c -o truth"));
    dir.path().join("truth")
}

#[test]
fn layouts_are_what_the_compiler_made() {
    let dir = Scratch::new("layouts");
    for flags in [
        "-g",
        "-g -O2 -flto",
        "-g -gz=zlib",
        "-gdwarf-5 -fdebug-types-section",
        "-gdwarf-5 -gdwarf64",
        "-gdwarf-4",
        "-gdwarf-4 -gstrict-dwarf",
        "-gdwarf-3 -gstrict-dwarf",
        "-gdwarf-2 -gstrict-dwarf",
    ] {
        let program = compile(&dir, flags);
        let mut truth: Vec<String> = dir.run("./truth", "").lines().map(Into::into).collect();
        truth.sort();
        assert_eq!(describe(&struct_layouts(&program, &WANTED).unwrap()), truth, "{flags}");
    }
}

#[test]
fn what_is_not_defined_is_absent_and_what_has_no_dwarf_is_an_error() {
    let dir = Scratch::new("absent");
    let program = compile(&dir, "-g");
    let found = struct_layouts(&program, &["no_such", "word", "colour", "deep", "deep"]).unwrap();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), ["deep"]);
    assert!(struct_layouts(&program, &[]).unwrap().is_empty());
    dir.run("strip", "truth");
    let error = struct_layouts(&program, &WANTED).unwrap_err();
    assert!(matches!(error, DwarfError::NoDwarf { .. }), "{error}");
    let error = struct_layouts(&dir.path().join("nothing"), &WANTED).unwrap_err();
    assert!(matches!(error, DwarfError::Elf(ElfError::Io { .. })), "{error}");
}

#[test]
fn a_typedef_beside_a_declaration_leads_to_the_definition() {
    let dir = Scratch::new("alias");
    dir.write("a.c", "struct hidden { int a, b; } hidden;");
    dir.write("b.c", "typedef struct hidden hidden_t; hidden_t *user;");
    dir.run("gcc", "-g -shared -fPIC a.c b.c -o both.so");
    let found = struct_layouts(&dir.path().join("both.so"), &["hidden_t"]).unwrap();
    assert_eq!(found["hidden_t"].members["b"], Member { offset: 4, size: 4, bit: None });
}

#[test]
fn damage_costs_an_answer_and_never_the_debugger() {
    let dir = Scratch::new("damage");
    let program = compile(&dir, "-g -O0");
    let good = fs::read(program).unwrap();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut answers = 0;
    for round in 0..400 {
        let mut bad = good.clone();
        for _ in 0..=round % 8 {
            let at = random(bad.len());
            bad[at] = [0, 0xff, 0x7f, u8::try_from(random(256)).unwrap()][random(4)];
        }
        bad.truncate(if round % 5 == 0 { random(good.len()) } else { good.len() });
        let path = dir.write("bad", bad);
        answers += usize::from(struct_layouts(&path, &WANTED).is_ok());
    }
    // Most bytes of the file are not DWARF of these structs.
    assert!(answers > 200, "{answers}");
}

/// The abbreviations of the hand-written units. Attributes: 3 name, 0x0b byte size, 0x49 type,
/// 0x38 member location, 0x37 count, 0x72 string offsets base. Forms: 8 string, 0x0f udata, 0x13
/// ref4, 0x17 section offset, 0x18 exprloc, 0x25 string index, 0x1f20 and 0x1f21 a reference and a
/// string of the supplementary file.
const ABBREVIATIONS: &str = r#"
.section .debug_abbrev,"",@progbits
.uleb128 1,0x11,1,0,0
.uleb128 2,0x13,1,3,8,0x0b,0x0f,0,0
.uleb128 3,0x0d,0,3,8,0x49,0x13,0x38,0x0f,0,0
.uleb128 4,0x24,0,3,8,0x0b,0x0f,0,0
.uleb128 5,0x16,0,3,8,0x49,0x13,0,0
.uleb128 6,0x34,0,2,0x18,0x0b,0x0b,0,0
.uleb128 7,0x16,0,3,0x1f21,0x49,0x1f20,0,0
.uleb128 8,0x0d,0,0x49,0x13,0x38,0x0f,0,0
.uleb128 9,0x01,1,0x49,0x13,0,0
.uleb128 10,0x21,0,0x37,0x0f,0,0
.uleb128 11,0x11,1,0x72,0x17,0,0
.uleb128 12,0x13,1,3,0x25,0x0b,0x0f,0,0
.byte 0
"#;

/// Assembles a DWARF 5 unit from the entries below its root (which are at offset 13 on).
fn assemble(dir: &Scratch, name: &str, entries: &str, more: &str, id: &str) -> PathBuf {
    let source = format!(
        "{ABBREVIATIONS}.section .debug_info,\"\",@progbits\n\
         unit: .long end - start\nstart: .value 5\n.byte 1, 8\n.long 0\n.uleb128 1\n\
         {entries}\n.byte 0\nend:\n{more}\n"
    );
    dir.write(&format!("{name}.s"), source);
    dir.run("gcc", &format!("-shared -nostdlib -Wl,--build-id={id} {name}.s -o {name}"));
    dir.path().join(name)
}

fn parse(dir: &Scratch, entries: &str) -> Result<HashMap<String, StructLayout>, DwarfError> {
    let path = assemble(dir, "unit", entries, "", "none");
    struct_layouts(&path, &["wanted"])
}

/// clang numbers its strings.
#[test]
fn names_may_be_numbers() {
    let dir = Scratch::new("strx");
    let strings = ".section .debug_str,\"MS\",@progbits,1\n.asciz \"x\"\n.asciz \"wanted\"\n\
                   .section .debug_str_offsets,\"\",@progbits\n.long 12\n.value 5, 0\n.long 0, 2";
    let wanted = ".uleb128 12\n.byte 1\n.uleb128 24\n.byte 0";
    let path = assemble(&dir, "default", wanted, strings, "none");
    assert_eq!(struct_layouts(&path, &["wanted"]).unwrap()["wanted"].size, 24);
    // A second root that gives the base, one entry further on.
    let root = ".byte 0\nend:\n.long end2 - start2\nstart2: .value 5\n.byte 1, 8\n.long 0\n\
                .uleb128 11\n.long 12\n.uleb128 12\n.byte 0\n.uleb128 24\n.byte 0\n.byte 0\nend2:\n";
    let source = fs::read_to_string(dir.path().join("default.s")).unwrap();
    let (head, tail) = source.split_once(".byte 0\nend:\n").unwrap();
    let head = head.replace(".byte 1\n.uleb128 24", ".byte 0\n.uleb128 24");
    let second = dir.write("base.s", format!("{head}{root}{tail}"));
    dir.run("gcc", &format!("-shared -nostdlib {} -o base", second.display()));
    let found = struct_layouts(&dir.path().join("base"), &["wanted", "x"]).unwrap();
    assert_eq!((found["wanted"].size, found["x"].size), (24, 24));
}

#[test]
fn types_that_refer_to_themselves_end() {
    let dir = Scratch::new("cycles");
    let own = "own: .uleb128 5\n.asciz \"wanted\"\n.long own - unit";
    assert!(matches!(parse(&dir, own), Err(DwarfError::Malformed { .. })));
    let member = "own: .uleb128 2\n.asciz \"wanted\"\n.uleb128 8\n\
                  .uleb128 3\n.asciz \"a\"\n.long own - unit\n.uleb128 1\n.byte 0";
    // As deep as paths go, and no further.
    let found = parse(&dir, member).unwrap();
    assert_eq!(found["wanted"].members["a.a.a.a"], Member { offset: 4, size: 8, bit: None });
    assert_eq!(found["wanted"].members.len(), 4);
    let nameless = "own: .uleb128 2\n.asciz \"wanted\"\n.uleb128 8\n\
                    .uleb128 8\n.long own - unit\n.uleb128 0\n.byte 0";
    assert!(matches!(parse(&dir, nameless), Err(DwarfError::Limit { .. })));
}

#[test]
fn structs_that_multiply_end() {
    let dir = Scratch::new("multiply");
    // Each of 14 anonymous levels holds the next one 300 times.
    let mut entries = String::new();
    for level in 0..14 {
        let name = if level == 0 { "wanted" } else { "inner" };
        write!(entries, "s{level}: .uleb128 2\n.asciz \"{name}\"\n.uleb128 8\n").unwrap();
        for _ in 0..300 {
            write!(entries, ".uleb128 8\n.long s{} - unit\n.uleb128 0\n", level + 1).unwrap();
        }
        entries.push_str(".byte 0\n");
    }
    entries.push_str("s14: .uleb128 4\n.asciz \"int\"\n.uleb128 4");
    assert!(matches!(parse(&dir, &entries), Err(DwarfError::Limit { .. })));
}

#[test]
fn sizes_and_lengths_that_overflow_are_no_numbers() {
    let dir = Scratch::new("overflow");
    let found = parse(
        &dir,
        "own: .uleb128 2\n.asciz \"wanted\"\n.uleb128 8\n\
         .uleb128 3\n.asciz \"a\"\n.long array - unit\n.uleb128 0\n.byte 0\n\
         int: .uleb128 4\n.asciz \"int\"\n.uleb128 4\n\
         array: .uleb128 9\n.long int - unit\n.uleb128 10, 0x7fffffffffffffff\n\
         .uleb128 10, 0x7fffffffffffffff\n.byte 0",
    );
    assert_eq!(found.unwrap()["wanted"].members["a"].size, 0);
    let far = "own: .uleb128 2\n.asciz \"wanted\"\n.uleb128 8\n\
               .uleb128 3\n.asciz \"a\"\n.long int - unit\n.uleb128 0xffffffffffffffff\n.byte 0\n\
               int: .uleb128 4\n.asciz \"int\"\n.uleb128 4\n";
    assert!(matches!(parse(&dir, far), Err(DwarfError::Malformed { .. })));
    // The length of a block that is skipped, with a byte of another attribute after it.
    let block = ".uleb128 6, 0xffffffffffffffff\n.byte 1";
    assert!(matches!(parse(&dir, block), Err(DwarfError::Malformed { .. })));
    // A section that inflates to 2^60 bytes.
    let path = compile(&dir, "-g -gz=zlib");
    let mut bytes = fs::read(&path).unwrap();
    let header = [1_u8, 0, 0, 0, 0, 0, 0, 0];
    let found: Vec<usize> =
        (0..bytes.len() - 26).filter(|&i| bytes[i..i + 8] == header && bytes[i + 24] == 0x78).collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at + 8..at + 16].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    }
    fs::write(&path, bytes).unwrap();
    let error = struct_layouts(&path, &WANTED).unwrap_err().to_string();
    assert!(error.contains("larger than this program accepts"), "{error}");
}

#[test]
fn types_and_names_may_be_in_the_supplementary_file() {
    let dir = Scratch::new("dwz");
    let shared = "own: .uleb128 2\n.asciz \"shared\"\n.uleb128 8\n\
                  .uleb128 3\n.asciz \"a\"\n.long int - unit\n.uleb128 4\n.byte 0\n\
                  int: .uleb128 4\n.asciz \"int\"\n.uleb128 4";
    let strings = ".section .debug_str,\"MS\",@progbits,1\n.asciz \"x\"\n.asciz \"wanted\"";
    assemble(&dir, "common", shared, strings, "0xabcd");
    let link = ".section .gnu_debugaltlink,\"\",@progbits\n.asciz \"common\"\n.byte 0xab, 0xcd";
    let entry = ".uleb128 7\n.long 2, 13";
    let main = assemble(&dir, "main", entry, link, "none");
    let found = struct_layouts(&main, &["wanted", "shared"]).unwrap();
    let a = Member { offset: 4, size: 4, bit: None };
    assert_eq!(found["wanted"].members["a"], a);
    assert_eq!(found["shared"].members["a"], a);
    fs::remove_file(dir.path().join("common")).unwrap();
    let error = struct_layouts(&main, &["wanted"]).unwrap_err();
    assert!(error.to_string().contains("supplementary debug file common"), "{error}");
}
