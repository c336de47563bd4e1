//! What the instructions of each CPython version do to the value stack (`tables/opcodes.tsv`, which
//! `tools/gen_opcodes.py` makes from the interpreters themselves).
//!
//! Knows nothing of code objects: `objects/depth.rs` follows the instructions. An opcode that the
//! table does not have has no known effect: those that hide what they stand for among them.

use once_cell::sync::Lazy;
use std::collections::HashMap;

const TEXT: &str = include_str!("tables/opcodes.tsv");

/// A number that depends on an instruction's argument: a sum of terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Formula {
    constant: i32,
    /// Factor of the argument.
    argument: i32,
    /// Factors of its lowest byte and of the rest.
    bytes: (i32, i32),
    /// Factors of its lowest bits.
    bits: [i32; 4],
}

impl Formula {
    /// The number for `argument`.
    pub fn of(&self, argument: u32) -> i64 {
        let n = i64::from(argument);
        let bits = self.bits.iter().enumerate().map(|(bit, factor)| i64::from(*factor) * (n >> bit & 1));
        i64::from(self.constant)
            + i64::from(self.argument) * n
            + i64::from(self.bytes.0) * (n & 0xff)
            + i64::from(self.bytes.1) * (n >> 8)
            + bits.sum::<i64>()
    }

    fn parse(text: &str) -> Option<Formula> {
        let mut terms = text.split(' ');
        let mut formula = Formula { constant: terms.next()?.parse().ok()?, ..Formula::default() };
        for term in terms {
            let (factor, variable) = term.split_once('*')?;
            let slot = match variable {
                "n" => &mut formula.argument,
                "lo" => &mut formula.bytes.0,
                "hi" => &mut formula.bytes.1,
                bit => formula.bits.get_mut(bit.strip_prefix('b')?.parse::<usize>().ok()?)?,
            };
            *slot = factor.parse().ok()?;
        }
        Some(formula)
    }
}

/// Where an instruction jumps to. The number is that of bytes that one step of the argument means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nowhere.
    None,
    /// Forward from the next instruction.
    Forward(u32),
    /// Backward from the next instruction.
    Backward(u32),
    /// From the start of the code.
    Absolute(u32),
}

/// What an instruction calls, and where that lies. Numbers count slots from the top of the stack
/// down, the slot itself counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing that the stack shows.
    None,
    /// `EXTENDED_ARG`: a part of the next instruction's argument.
    Extended,
    /// `[callable, arguments…]`.
    Call(Formula),
    /// `[callable, …]` with the arguments in a tuple.
    CallPacked(Formula),
    /// `[method, self, arguments…]`, or `[null, callable, arguments…]`: the place of the first (3.7,
    /// bpo-26110).
    CallMethod(Formula),
    /// `[callable, self or null, arguments…]`: the place of the first (3.13).
    CallPair(Formula),
    /// `with`: `__enter__` of the object on top, whose place its `__exit__` may have taken.
    Enter,
    /// `async with`: `__aenter__`.
    EnterAsync,
    /// The end of a `with`: an exit function among the topmost slots.
    Exit,
}

/// What an instruction does with the blocks of 3.8 and older, where the depth in a `finally` depends
/// on how it was entered. 3.9 compiles each way on its own (bpo-33387).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Nothing.
    None,
    /// Its jump is that of an exception.
    Handler,
    /// The same, and control goes on into the handler too, with what says why on the stack.
    Finally,
    /// `BEGIN_FINALLY` (3.8): the next instruction begins a `finally`.
    Begin,
    /// `CALL_FINALLY` (3.8): a `finally` that comes back here.
    Call,
    /// `END_FINALLY`.
    End,
    /// `POP_FINALLY` (3.8): a `finally` is left early; the argument says whether a value stays.
    Pop,
    /// `WITH_CLEANUP` (2.7).
    Cleanup,
    /// `WITH_CLEANUP_START`.
    CleanupStart,
    /// `WITH_CLEANUP_FINISH`.
    CleanupFinish,
    /// Enters every `finally` around it with two values: `return`, `continue` (3.7 and older).
    Leave,
    /// Enters every `finally` around it with one value: `break` (3.7 and older).
    Break,
}

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opcode {
    /// Code units behind it that are data.
    pub caches: u32,
    /// What it adds to the depth where control goes on; `None` where it never does.
    pub next: Option<Formula>,
    /// What it adds to the depth where it jumps.
    pub jump: Option<Formula>,
    /// Where it jumps to.
    pub target: Target,
    /// What it calls.
    pub role: Role,
    /// What it does with blocks.
    pub block: Block,
}

/// How instructions are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// One byte, and from this opcode on two more for the argument (2.7).
    Bytes {
        /// `HAVE_ARGUMENT`.
        have_argument: u8,
    },
    /// Two bytes each (3.6, bpo-26647).
    Words,
}

/// The instructions of one minor version.
#[derive(Debug)]
pub struct Opcodes {
    /// How they are laid out.
    pub coding: Coding,
    /// Values that an exception pushes: itself, and since 3.0 the one handled so far.
    pub exception: u32,
    table: [Option<Opcode>; 256],
}

impl Opcodes {
    /// The instruction with this number; `None` for one whose effect is not known.
    pub fn get(&self, code: u8) -> Option<&Opcode> {
        self.table[usize::from(code)].as_ref()
    }

    /// Those of `major.minor`; `None` for a version without rows.
    pub fn of(major: u8, minor: u8) -> Option<&'static Opcodes> {
        OPCODES.get(&(major, minor))
    }
}

static OPCODES: Lazy<HashMap<(u8, u8), Opcodes>> = Lazy::new(|| {
    let mut all: HashMap<(u8, u8), Opcodes> = HashMap::new();
    let mut names: HashMap<((u8, u8), &str), Opcode> = HashMap::new();
    let mut aliases = Vec::new();
    for line in TEXT.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [version, code, name, base, cells @ ..] = cells.as_slice() else { continue };
        let Some(version) = parse_version(version) else { continue };
        let Ok(code) = code.parse::<u8>() else { continue };
        let opcodes = all.entry(version).or_insert_with(|| Opcodes {
            coding: if version.0 == 2 { Coding::Bytes { have_argument: 90 } } else { Coding::Words },
            exception: if version.0 == 2 { 3 } else { 6 },
            table: [None; 256],
        });
        if *base != "-" {
            aliases.push((version, code, *base));
        } else if let Some(opcode) = parse(cells) {
            opcodes.table[usize::from(code)] = Some(opcode);
            names.insert((version, name), opcode);
        }
    }
    for (version, code, base) in aliases {
        if let Some(opcodes) = all.get_mut(&version) {
            opcodes.table[usize::from(code)] = names.get(&(version, base)).copied();
        }
    }
    all
});

fn parse_version(text: &str) -> Option<(u8, u8)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn parse(cells: &[&str]) -> Option<Opcode> {
    let [caches, next, jump, target, role, callee, block] = cells else { return None };
    let callee = || Formula::parse(callee);
    let step = || target.get(1..)?.parse::<u32>().ok();
    Some(Opcode {
        caches: caches.parse().ok()?,
        next: Formula::parse(next),
        jump: Formula::parse(jump),
        target: match target.as_bytes() {
            [b'-'] => Target::None,
            [b'+', ..] => Target::Forward(step()?),
            [b'-', ..] => Target::Backward(step()?),
            [b'@', ..] => Target::Absolute(step()?),
            _ => return None,
        },
        role: match *role {
            "-" => Role::None,
            "extended" => Role::Extended,
            "call" => Role::Call(callee()?),
            "call_packed" => Role::CallPacked(callee()?),
            "call_method" => Role::CallMethod(callee()?),
            "call_pair" => Role::CallPair(callee()?),
            "enter" => Role::Enter,
            "enter_async" => Role::EnterAsync,
            "exit" => Role::Exit,
            _ => return None,
        },
        block: match *block {
            "-" => Block::None,
            "handler" => Block::Handler,
            "finally" => Block::Finally,
            "begin" => Block::Begin,
            "call" => Block::Call,
            "end" => Block::End,
            "pop" => Block::Pop,
            "cleanup" => Block::Cleanup,
            "cleanup_start" => Block::CleanupStart,
            "cleanup_finish" => Block::CleanupFinish,
            "leave" => Block::Leave,
            "break" => Block::Break,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_understood() {
        for line in TEXT.lines().skip(1) {
            let cells: Vec<&str> = line.split('\t').collect();
            let version = parse_version(cells[0]).expect(line);
            let known = Opcodes::of(version.0, version.1).expect(line).get(cells[1].parse().expect(line));
            let known = known.expect(line);
            assert!(cells[3] != "-" || known.next.is_some() == (cells[5] != "-"), "{line}");
            assert_eq!(known.jump.is_some(), known.target != Target::None, "{line}");
        }
    }

    #[test]
    fn formulas() {
        let value = |text, argument| Formula::parse(text).map(|f| f.of(argument));
        assert_eq!(value("-1", 7), Some(-1));
        assert_eq!(value("1 -2*n", 3), Some(-5));
        assert_eq!(value("0 +1*lo +1*hi", 0x203), Some(5));
        assert_eq!(value("-1 -1*b0 -1*b3", 9), Some(-3));
        assert_eq!(value("-", 0), None);
        assert_eq!(value("1 +1*z", 0), None);
        assert_eq!(value("1 +1*b9", 0), None);
        // No overflow for any argument.
        assert_eq!(value("1 -2*n", u32::MAX), Some(1 - 2 * i64::from(u32::MAX)));
    }

    #[test]
    fn versions_have_their_own_numbers() {
        let role = |minor, code| Opcodes::of(3, minor).and_then(|o| o.get(code)).map(|o| o.role);
        let plain = Formula { constant: 2, argument: 1, ..Formula::default() };
        assert_eq!(role(8, 161), Some(Role::CallMethod(plain)));
        assert_eq!(role(13, 53), Some(Role::CallPair(plain)));
        assert_eq!(role(12, 254), None, "INSTRUMENTED_LINE hides what it stands for");
        assert_eq!(role(12, 241), Some(Role::CallMethod(plain)), "INSTRUMENTED_CALL");
        assert!(Opcodes::of(3, 5).is_none());
    }
}
