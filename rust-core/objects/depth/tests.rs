//! Code by hand: what is understood, and what must not be.

use super::*;

fn depths(minor: (u8, u8), code: &[u8], exceptions: &[u8], stacksize: u32) -> Option<Depths> {
    let opcodes = Opcodes::of(minor.0, minor.1).expect("a known version");
    Depths::new(opcodes, code, exceptions, stacksize, &mut 1_000_000)
}

/// The depths at `offset`.
fn at(depths: &Depths, offset: i64) -> Vec<u32> {
    depths.at(offset).iter().map(|site| site.depth).collect()
}

#[test]
fn a_method_call_of_3_8() {
    // note(a.acquire, b.acquire()): LOAD_GLOBAL, LOAD_FAST, LOAD_ATTR, LOAD_FAST, LOAD_METHOD, CALL_METHOD 0,
    // CALL_FUNCTION 2, RETURN_VALUE.
    let code = [116, 0, 124, 0, 106, 1, 124, 1, 160, 2, 161, 0, 131, 2, 83, 0];
    let found = depths((3, 8), &code, &[], 4).expect("understood");
    assert_eq!(at(&found, 10), [4]);
    assert_eq!(at(&found, 12), [3]);
    assert_eq!(at(&found, 14), [1]);
    assert_eq!(at(&found, 16), [0u32; 0]);
    assert_eq!(at(&found, -2), [0u32; 0]);
    // Deeper than the compiler says: not this code.
    assert!(depths((3, 8), &code, &[], 3).is_none());
}

#[test]
fn caches_are_no_instructions() {
    // 3.13: RESUME, LOAD_FAST, LOAD_ATTR with a method and 9 units of cache, CALL 0 and 3 units, RETURN_VALUE.
    let mut code = vec![149, 0, 85, 0, 82, 3];
    code.extend([0xff; 18]);
    code.extend([53, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 36, 0]);
    let found = depths((3, 13), &code, &[], 2).expect("understood");
    assert_eq!(at(&found, 24), [2]);
    assert_eq!(at(&found, 26), [0u32; 0], "within the caches of CALL");
    assert_eq!(at(&found, 32), [1]);
    assert!(matches!(found.at(24)[0].role, Role::CallPair(_)));
}

#[test]
fn a_long_argument() {
    // 3.8: EXTENDED_ARG 1, BUILD_TUPLE 0 with nothing on the stack: below its bottom.
    assert!(depths((3, 8), &[144, 1, 102, 0, 83, 0], &[], 9).is_none());
    // LOAD_CONST 256: the frame can be at either of its instructions.
    let found = depths((3, 8), &[144, 1, 100, 0, 83, 0], &[], 9).expect("understood");
    assert_eq!((at(&found, 0), at(&found, 2), at(&found, 4)), (vec![0], vec![0], vec![1]));
    assert_eq!(found.at(2)[0].argument, 256);
    // Five bytes of argument, and an argument that is cut off.
    assert!(depths((3, 8), &[144, 1, 144, 1, 144, 1, 144, 1, 100, 0, 83, 0], &[], 9).is_none());
    assert!(depths((3, 8), &[144, 1], &[], 9).is_none());
}

#[test]
fn instructions_of_2_7_have_one_byte_or_three() {
    // LOAD_FAST 0, DUP_TOP, CALL_FUNCTION 1, RETURN_VALUE.
    let found = depths((2, 7), &[124, 0, 0, 4, 131, 1, 0, 83], &[], 2).expect("understood");
    assert_eq!((at(&found, 0), at(&found, 3), at(&found, 4), at(&found, 7)), (vec![0], vec![1], vec![2], vec![1]));
    assert!(depths((2, 7), &[124, 0], &[], 2).is_none());
}

/// 3.7: try: return f() finally: g().
const FINALLY: &[u8] = &[
    122, 8, // SETUP_FINALLY to 10
    116, 0, 131, 0, 83, 0, // f(), RETURN_VALUE
    100, 0, // LOAD_CONST None, where nothing comes to
    116, 1, 131, 0, 1, 0, // g(), POP_TOP
    88, 0, // END_FINALLY
    100, 0, 83, 0, // behind it
];

#[test]
fn a_finally_has_a_depth_for_each_way_into_it() {
    let found = depths((3, 7), FINALLY, &[], 8).expect("understood");
    let ways = |offset| found.at(offset).iter().map(|s| (s.depth, found.marks(s).to_vec())).collect::<Vec<_>>();
    let mark = |why| vec![Mark { at: 0, why }];
    // By `return`, with the value and the reason; by an exception, with six values.
    assert_eq!(ways(12), [(3, mark(Why::Leaving(1))), (7, mark(Why::Exception))]);
    // Neither comes out.
    assert_eq!(ways(18), []);
    // The same with POP_BLOCK instead of RETURN_VALUE: control comes in and goes on.
    let mut code = FINALLY.to_vec();
    code[6] = 87;
    let found = depths((3, 7), &code, &[], 8).expect("understood");
    assert_eq!(at(&found, 12), [3, 7]);
    assert_eq!(found.marks(&found.at(12)[0]), [Mark { at: 1, why: Why::Through }]);
    assert_eq!(at(&found, 18), [1], "what f() returned was not popped");
}

#[test]
fn handlers_of_3_11_tell_their_depth() {
    // start 0, length 1, target 2, depth 3 and the instruction; a number of two bytes.
    assert_eq!(handlers(&[0x80, 1, 2, 7]), Some(vec![Handler { target: 4, depth: 5 }]));
    assert_eq!(handlers(&[0x80, 1, 0x41, 0, 2]), Some(vec![Handler { target: 128, depth: 2 }]));
    assert_eq!(handlers(&[]), Some(vec![]));
    assert_eq!(handlers(&[0x80, 1, 2]), None);
    assert_eq!(handlers(&[0xff; 64]), None);
    // A handler outside of the code.
    assert!(depths((3, 11), &[83, 0], &[0x80, 1, 40, 0], 9).is_none());
}

#[test]
fn what_is_not_understood_has_no_depths() {
    // Below the bottom; an opcode that 3.12 does not tell (INSTRUMENTED_LINE); a jump out of the code; nothing.
    assert!(depths((3, 8), &[1, 0, 83, 0], &[], 9).is_none());
    assert!(depths((3, 12), &[151, 0, 254, 0], &[], 9).is_none());
    assert!(depths((3, 8), &[110, 200, 83, 0], &[], 9).is_none());
    assert!(depths((3, 8), &[], &[], 9).is_none());
}

#[test]
fn hostile_code_ends() {
    // A loop that pushes: the stack's size ends it.
    assert!(depths((3, 8), &[100, 0, 113, 0], &[], u32::MAX).is_none());
    // Any bytes, in any version: an answer, whatever it is, within the budget.
    let mut seed = 12345u64;
    let mut byte = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    for round in 0..20_000 {
        let code: Vec<u8> = (0..round % 97).map(|_| byte()).collect();
        let table: Vec<u8> = (0..round % 7).map(|_| byte()).collect();
        for version in [(2, 7), (3, 6), (3, 8), (3, 10), (3, 11), (3, 13), (3, 15)] {
            let opcodes = Opcodes::of(version.0, version.1).expect("a known version");
            let mut budget = 10_000;
            let _ = Depths::new(opcodes, &code, &table, u32::MAX, &mut budget);
        }
    }
    let opcodes = Opcodes::of(3, 8).expect("a known version");
    let mut budget = 5;
    assert!(Depths::new(opcodes, &[100, 0, 1, 0, 100, 0, 83, 0], &[], 9, &mut budget).is_none());
}
