//! Finds `collecting`, the static variable by which CPython 3.6 and older know that they collect
//! garbage, in an interpreter without a symbol table.
//!
//! `PyGC_Collect` is exported and does little else than set it: `collecting = 1`, the collection,
//! `collecting = 0` (Modules/gcmodule.c). Both are one x86-64 instruction each. Later versions keep
//! the flag in a struct.

use crate::bytes::{Addr, sign_extend, uint};
use crate::image::Image;
use crate::process::Cache;

/// Bytes of `PyGC_Collect` that are looked at: it has 150 to 250.
const FUNCTION: usize = 512;

/// `mov DWORD PTR [rip+disp32], imm32`.
const STORE: [u8; 2] = [0xc7, 0x05];
const STORE_LEN: usize = 10;

/// The flag's address: the one variable in the image's data to which the function at `collect`
/// stores 1 and then 0.
pub fn find(image: &Image, collect: Addr, memory: &Cache) -> Option<Addr> {
    let code = memory.bytes(collect, FUNCTION).ok()?;
    flag_of(&code, collect).filter(|flag| image.has_data(*flag))
}

fn flag_of(code: &[u8], start: Addr) -> Option<Addr> {
    let store = |at: usize, value: u64| {
        if code.get(at..at + 2)? != STORE || uint(code, at + 6, 4)? != value {
            return None;
        }
        let displacement = sign_extend(uint(code, at + 2, 4)?, 4);
        Some(start + (at + STORE_LEN) as u64 + displacement as u64)
    };
    let (set_at, flag) = (0..code.len()).find_map(|at| Some((at, store(at, 1)?)))?;
    (set_at..code.len()).any(|at| store(at, 0) == Some(flag)).then_some(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PyGC_Collect` of 2.7.18 as gcc 12 compiled it, without the calls between the two stores.
    const COLLECT: &[u8] = &[
        0x53, 0x31, 0xdb, 0x8b, 0x05, 0xf3, 0xdb, 0x0c, 0x00, 0x85, 0xc0, // collecting?
        0xc7, 0x05, 0xf5, 0x0f, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, // collecting = 1
        0x48, 0x89, 0xc3, // what comes between
        0xc7, 0x05, 0xe8, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // collecting = 0
        0x5b, 0xc3,
    ];

    #[test]
    fn the_variable_that_is_set_and_cleared() {
        assert_eq!(flag_of(COLLECT, Addr(0x1000)), Some(Addr(0x1000 + 21 + 0xff5)));
        assert_eq!(flag_of(&COLLECT[..24], Addr(0x1000)), None, "it is never cleared");
        let mut other = COLLECT.to_vec();
        other[26] += 8;
        assert_eq!(flag_of(&other, Addr(0x1000)), None, "another variable is cleared");
        assert_eq!(flag_of(&[0xc7, 0x05], Addr(0)), None);
    }
}
