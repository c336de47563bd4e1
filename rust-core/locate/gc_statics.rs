//! Finds the static variables of `Modules/gcmodule.c`, in which CPython 3.6 and older keep the state
//! of their garbage collector.
//!
//! None of them is exported. Where there is no symbol table, the lists of the generations are known by
//! `_PyGC_generation0`, which is exported because a macro of the headers uses it, or by their structure;
//! the others by the functions that do nothing but return them: `gc.isenabled()` loads `enabled`,
//! `gc.get_debug()` loads `debug`, `gc.get_stats()` copies `generation_stats`, and the function that
//! makes the module loads `garbage` and then `callbacks`. Those functions come before symbols: other
//! files of CPython may have a variable `debug` too.

use super::{scan_windows, scan_words};
use crate::bytes::{Addr, sign_extend, uint, word};
use crate::image::Image;
use crate::process::Cache;

/// How a `gc_generation` is laid out: its size, and where `head`, `threshold` and `count` are.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// `sizeof(struct gc_generation)`.
    pub size: u64,
    /// `head`, which begins with the two pointers of the list.
    pub head: u64,
    /// `threshold`, an `int`.
    pub threshold: u64,
    /// `count`, an `int`.
    pub count: u64,
    /// Bits of the pointers that are none of the address.
    pub tag: u64,
}

impl Shape {
    /// Whether a `gc_generation` can be at `at`: its list leads back to it at both ends, and its numbers
    /// are possible.
    pub fn fits(&self, at: Addr, memory: &Cache) -> bool {
        let head = at + self.head;
        let link = |at: Addr| memory.uint(at, 8).map(|value| Addr(value & !self.tag)).ok();
        let (Some(next), Some(previous)) = (link(head), link(head + 8)) else { return false };
        let number = |offset: u64| memory.int(at + offset, 4).is_ok_and(|value| value >= 0);
        next.is_plausible()
            && previous.is_plausible()
            && link(next + 8) == Some(head)
            && link(previous) == Some(head)
            && number(self.threshold)
            && number(self.count)
    }

    /// Whether the three generations can be at `at`.
    pub fn fits_all(&self, at: Addr, memory: &Cache) -> bool {
        self.size > 0 && (0..3).all(|i| self.fits(at + i * self.size, memory))
    }
}

/// Where the variables are, as far as they were found.
#[derive(Debug, Default)]
pub struct GcStatics {
    /// `generations`.
    pub generations: Option<Addr>,
    /// `enabled`, an `int`.
    pub enabled: Option<Addr>,
    /// `debug`, an `int`.
    pub debug: Option<Addr>,
    /// `generation_stats` (3.4 and later).
    pub stats: Option<Addr>,
    /// What can be `garbage` and, behind it, `callbacks` (3.3 and later): pointers that the function
    /// that makes the module loads, in its order.
    pub lists: Vec<Addr>,
    /// `garbage` and `callbacks` by their symbols.
    pub named_lists: [Option<Addr>; 2],
}

impl GcStatics {
    /// Looks for them. `stats` is the size of `generation_stats`.
    pub fn find(image: &Image, memory: &Cache, shape: Shape, stats: Option<u64>) -> GcStatics {
        let symbol = |name: &str| image.symbol(name).filter(|at| image.has_data(*at));
        let fits = |at: &Addr| image.has_data(*at) && shape.fits_all(*at, memory);
        let exported = || memory.pointer(symbol("_PyGC_generation0")?).ok().map(|head| head - shape.head);
        let generations = symbol("generations")
            .filter(fits)
            .or_else(|| exported().filter(fits))
            .or_else(|| scan(image, memory, shape));
        let code = |at: Option<Addr>, len: usize| at.and_then(|at| Some((at, memory.bytes(at, len).ok()?)));
        let loads = |at: Option<Addr>, len: usize| {
            let all = code(at, len).map_or_else(Vec::new, |(at, bytes)| loads_of(&bytes, at));
            all.into_iter().filter(|load| image.has_data(load.from)).collect::<Vec<_>>()
        };
        let methods = Methods::find(image, memory);
        let flag =
            |at: Option<Addr>| loads(at, FLAG_FUNCTION).first().filter(|load| load.bytes == 4).map(|load| load.from);
        let init = image.symbol("PyInit_gc").or_else(|| image.symbol("initgc"));
        GcStatics {
            generations,
            enabled: flag(methods.isenabled).or_else(|| symbol("enabled")),
            debug: flag(methods.get_debug).or_else(|| symbol("debug")),
            stats: stats.and_then(|size| {
                copied(&loads(methods.get_stats, STATS_FUNCTION), size).or_else(|| symbol("generation_stats"))
            }),
            lists: loads(init, INIT_FUNCTION).iter().filter(|load| load.bytes == 8).map(|load| load.from).collect(),
            named_lists: [symbol("garbage"), symbol("callbacks")],
        }
    }
}

/// The generations by their structure.
fn scan(image: &Image, memory: &Cache, shape: Shape) -> Option<Addr> {
    let mut hit = None;
    scan_words(image, memory, &mut |at, value| {
        let head = Addr(value);
        if head.is_plausible() && shape.fits_all(at - shape.head, memory) {
            hit = Some(at - shape.head);
        }
        hit.is_none()
    });
    hit
}

/// Bytes that are looked at of the functions that return one number: the load is their first
/// instruction.
const FLAG_FUNCTION: usize = 24;
/// Of `gc.get_stats()`, whose loop begins after some 80 bytes.
const STATS_FUNCTION: usize = 128;
/// Of the function that makes the module, as far as both lists: 100 bytes.
const INIT_FUNCTION: usize = 192;

/// C functions of the module `gc`.
#[derive(Debug, Default)]
struct Methods {
    isenabled: Option<Addr>,
    get_debug: Option<Addr>,
    get_stats: Option<Addr>,
}

impl Methods {
    /// By their entries in the module's table of `PyMethodDef`, which is there whether or not the module
    /// was imported: pointers to a name and to a function, and `METH_NOARGS`.
    fn find(image: &Image, memory: &Cache) -> Methods {
        const METH_NOARGS: u64 = 4;
        const ENTRY: u64 = 32;
        /// Entries of the table.
        const MOST: u64 = 24;
        let mut found: [Option<(Addr, Addr)>; 3] = [None; 3];
        scan_windows(image, memory, &mut |start, bytes| {
            for at in (0..bytes.len()).step_by(8) {
                let (Some(name), Some(function), Some(METH_NOARGS)) =
                    (word(bytes, at), word(bytes, at + 8), word(bytes, at + 16))
                else {
                    continue;
                };
                if !image.contains(Addr(name)) || !image.contains(Addr(function)) {
                    continue;
                }
                let Ok(name) = memory.c_string(Addr(name)) else { continue };
                if let Some(i) = ["isenabled", "get_debug", "get_stats"].iter().position(|known| *known == name) {
                    let near =
                        found[0].is_some_and(|(entry, _)| (start + at as u64).0.wrapping_sub(entry.0) < MOST * ENTRY);
                    if i == 0 && found[0].is_none() || i > 0 && near {
                        found[i] = Some((start + at as u64, Addr(function)));
                    }
                }
            }
            true
        });
        let [isenabled, get_debug, get_stats] = found.map(|entry| entry.map(|(_, function)| function));
        Methods { isenabled, get_debug, get_stats }
    }
}

/// An instruction that loads from a fixed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    from: Addr,
    bytes: u64,
}

/// The x86-64 instructions in `code` that load from an address relative to their own: `mov`, `movsxd`,
/// `cmp` with a byte, and loads of 16 bytes. Operands that look like instructions may be among them:
/// their addresses are anywhere.
fn loads_of(code: &[u8], start: Addr) -> Vec<Load> {
    /// Opcode with its prefixes, whether a register operand follows that is of no interest, bytes
    /// loaded, and bytes of an immediate operand behind the address.
    const KINDS: &[(&[u8], u64, u64)] = &[
        (&[0x48, 0x8b], 8, 0),
        (&[0x4c, 0x8b], 8, 0),
        (&[0x48, 0x83], 8, 1),
        (&[0x48, 0x63], 4, 0),
        (&[0x66, 0x0f, 0x6f], 16, 0),
        (&[0xf3, 0x0f, 0x6f], 16, 0),
        (&[0x0f, 0x28], 16, 0),
        (&[0x0f, 0x10], 16, 0),
        (&[0x8b], 4, 0),
    ];
    let mut all = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let load = KINDS.iter().find_map(|(opcode, bytes, immediate)| {
            let behind = at + opcode.len();
            // ModRM: no register but the instruction pointer in the address.
            let relative = code[at..].starts_with(opcode) && code.get(behind)? & 0xc7 == 5;
            let displacement = sign_extend(uint(code, behind + 1, 4).filter(|_| relative)?, 4);
            let next = behind as u64 + 5 + immediate;
            Some((next, Load { from: start + next + displacement as u64, bytes: *bytes }))
        });
        at = match load {
            Some((next, load)) => {
                all.push(load);
                next as usize
            }
            None => at + 1,
        };
    }
    all
}

/// The variable of `size` bytes that these loads take as a whole.
fn copied(loads: &[Load], size: u64) -> Option<Addr> {
    loads.iter().map(|load| load.from).find(|first| {
        let mut parts: Vec<(u64, u64)> = loads
            .iter()
            .filter_map(|load| Some((load.from.0.checked_sub(first.0)?, load.bytes)))
            .filter(|(skip, _)| *skip < size)
            .collect();
        parts.sort_unstable();
        parts.iter().try_fold(0, |done, (skip, bytes)| (*skip == done).then_some(skip + bytes)) == Some(size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of `gc_get_stats` of 3.6.15 as gcc 12 compiled it.
    const GET_STATS: &[u8] = &[
        0x48, 0x83, 0xec, 0x58, // sub rsp, 0x58
        0x66, 0x0f, 0x6f, 0x05, 0xf4, 0x0f, 0x00, 0x00, // movdqa xmm0, [0x2000]
        0x66, 0x0f, 0x6f, 0x0d, 0xfc, 0x0f, 0x00, 0x00, // movdqa xmm1, [0x2010]
        0x66, 0x0f, 0x6f, 0x15, 0x04, 0x10, 0x00, 0x00, // movdqa xmm2, [0x2020]
        0x66, 0x0f, 0x6f, 0x1d, 0x0c, 0x10, 0x00, 0x00, // movdqa xmm3, [0x2030]
        0x48, 0x8b, 0x05, 0x15, 0x10, 0x00, 0x00, // mov rax, [0x2040]
    ];

    #[test]
    fn loads_from_fixed_addresses() {
        let all = loads_of(GET_STATS, Addr(0x1000));
        assert_eq!(all.len(), 5);
        assert_eq!(all[0], Load { from: Addr(0x2000), bytes: 16 });
        assert_eq!(all[4], Load { from: Addr(0x2040), bytes: 8 });
        assert_eq!(copied(&all, 72), Some(Addr(0x2000)));
        assert_eq!(copied(&all, 80), None, "a part is missing");
        assert_eq!(copied(&all[..4], 72), None, "a part is missing");
        // movsxd rdi, [rip+disp32]; cmp qword ptr [rip+disp32], 0
        assert_eq!(loads_of(&[0x48, 0x63, 0x3d, 0, 1, 0, 0], Addr(0)), [Load { from: Addr(0x107), bytes: 4 }]);
        assert_eq!(loads_of(&[0x48, 0x83, 0x3d, 0, 1, 0, 0, 0], Addr(0)), [Load { from: Addr(0x108), bytes: 8 }]);
        assert!(loads_of(&[0x48, 0x8b, 0x05, 0, 1], Addr(0)).is_empty(), "cut off");
    }
}
