//! Segments of mimalloc: headers, and chains of free blocks.

use super::input::Input;
use pyext::allocators::mimalloc::{LAYOUTS, SEGMENT, SLICE, free_blocks};
use pyext::allocators::pymalloc::Blocks;

const AT: u64 = 0x7f00_0000_0000;
/// Bytes of a page of 3.13, and where the first one is.
const PAGE: usize = 96;
const FIRST: usize = 264;

/// A segment with pages, which is then changed; what is left of the input is where chains lead.
pub fn mimalloc_segment(data: &[u8]) {
    let mut input = Input(data);
    let mut bytes = vec![0; FIRST + 513 * PAGE];
    let mut put = |at: usize, value: u64, width: usize| {
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    };
    for (at, value) in [(216, AT), (224, 512), (232, 1), (248, 512)] {
        put(at, value, 8);
    }
    put(FIRST, 1, 4);
    let (mut next, mut pages) = (1, 0);
    for _ in 0..input.u8() % 16 {
        let slices = usize::from(input.u8() % 12).max(1);
        let (at, size, capacity) = (FIRST + next * PAGE, u64::from(input.u16()) * 8, u64::from(input.u16() % 2048));
        put(at, slices as u64, 4);
        put(at + 8, u64::from(input.u8() % 5) << 3, 1);
        put(at + 10, capacity, 2);
        put(at + 12, capacity, 2);
        put(at + 24, u64::from(input.u16()).min(capacity), 4);
        put(at + 28, size, 4);
        for list in [16, 32, 40] {
            put(at + list, AT + (next * SLICE) as u64 + u64::from(input.u16()), 8);
        }
        next += slices;
        pages += u64::from(size > 0);
    }
    put(FIRST + next * PAGE, 512 - next as u64, 4);
    put(208, pages, 8);
    input.patch(&mut bytes[..FIRST + (next + 1) * PAGE]);
    let links: Vec<u64> = (0..8).map(|_| AT + u64::from(input.u16()) * 8).collect();
    let mut delayed: Vec<u64> = (0..4).map(|_| input.word(&links)).collect();
    delayed.sort_unstable();
    for layout in LAYOUTS {
        let Some((pages, _)) = layout.key(AT, &bytes).and_then(|_| layout.pages(AT, &bytes)) else { continue };
        let mut free = Blocks::default();
        for page in &pages {
            assert!(page.addr >= AT + SLICE as u64 && page.used <= page.capacity && page.used > 0);
            assert!(page.block(page.capacity) <= page.addr + page.bytes);
            assert!(!page.is_small() || page.addr < AT + SEGMENT);
            let next = |at: u64| links.get((at / 8 % 9) as usize).copied();
            free_blocks(page, &delayed, &next, &mut free);
        }
    }
}

/// Pages of each kind.
#[cfg(test)]
pub fn seeds() -> Vec<Vec<u8>> {
    let page = |slices: u8, words: u16, tag: u8, capacity: u16, used: u16| {
        let numbers = [words, capacity].map(u16::to_le_bytes).concat();
        [&[slices][..], &numbers, &[tag], &used.to_le_bytes(), &[144, 0, 0, 1, 0, 2]].concat()
    };
    let whole = |pages: &[Vec<u8>]| [&[pages.len() as u8][..], &pages.concat(), &[0; 24]].concat();
    vec![
        whole(&[]),
        whole(&[page(1, 6, 2, 100, 99)]),
        whole(&[page(1, 6, 1, 100, 100), page(8, 2560, 3, 25, 1), page(11, 0, 0, 0, 0), page(1, 10, 0, 9, 9)]),
    ]
}
