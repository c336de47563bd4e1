//! Reads the links of long chains: millions of small structs, each of which says where the next one is.
//!
//! A page cache that is looked up in a table and holds 16 MiB is too slow and too small for that. Here
//! blocks are read ahead into places that follow from the address. The allocator puts structs that were
//! made one after the other next to each other, and chains are mostly in that order; where they are
//! not, more blocks are held, and where that does not help either, the blocks become pages. Invariant:
//! what is held is bounded, whatever the chain does, and gone when it was followed.

use super::Cache;
use crate::bytes::{Addr, word};
use crate::error::{Error, Result};
use crate::limits;

/// The smallest block.
const PAGE: u64 = 4096;
/// Links that a block should have given. One of 64 KiB costs as much as some 8 pages.
const WORTH: u64 = 8;
/// Links between two questions to the user.
const POLL_EVERY: u64 = 1 << 16;

/// A block of the target's memory.
#[derive(Default)]
struct Block {
    /// Its number, one more than that: 0 where nothing was read.
    tag: u64,
    /// Its bytes; none where they cannot be read together.
    bytes: Vec<u8>,
}

/// How blocks are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The chain goes on near the place where it was: few blocks are needed.
    Near,
    /// It goes anywhere: many blocks, each of which is met again.
    Anywhere,
    /// It goes anywhere in more memory than is held.
    Lost,
}

/// Reads pairs of words, one after the other.
pub struct Chain<'a> {
    memory: &'a Cache,
    order: Order,
    size: u64,
    blocks: Vec<Block>,
    asked: u64,
    /// Since the order was last judged.
    loaded: u64,
    answered: u64,
}

impl<'a> Chain<'a> {
    /// A reader that has read nothing.
    pub fn new(memory: &'a Cache) -> Chain<'a> {
        let mut chain =
            Chain { memory, order: Order::Near, size: 0, blocks: Vec::new(), asked: 0, loaded: 0, answered: 0 };
        chain.reorder(Order::Near);
        chain
    }

    fn reorder(&mut self, order: Order) {
        self.order = order;
        let (size, held) = match order {
            Order::Near => (self.memory.ahead(), limits::CHAIN_NEAR),
            Order::Anywhere => (self.memory.ahead(), limits::CHAIN),
            Order::Lost => (PAGE, limits::CHAIN),
        };
        self.size = size.next_power_of_two().clamp(PAGE, limits::CHAIN_NEAR);
        self.blocks.clear();
        self.blocks.resize_with((held / self.size) as usize, Block::default);
        (self.loaded, self.answered) = (0, 0);
    }

    /// Blocks after which it is asked whether they are worth their cost: the first ones are new whatever
    /// the order is.
    fn judged(&self) -> u64 {
        match self.order {
            Order::Near => self.blocks.len() as u64,
            Order::Anywhere => 2 * self.blocks.len() as u64,
            Order::Lost => u64::MAX,
        }
    }

    /// The two words at `addr`.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Interrupted`].
    pub fn pair(&mut self, addr: Addr) -> Result<(u64, u64)> {
        self.asked += 1;
        if self.asked.is_multiple_of(POLL_EVERY) {
            self.memory.poll()?;
        }
        let (number, skip) = (addr.0 / self.size, (addr.0 % self.size) as usize);
        let place = (number % self.blocks.len() as u64) as usize;
        if self.blocks[place].tag != number + 1 {
            self.load(number, place)?;
            if self.loaded == 0 {
                return self.pair(addr);
            }
        }
        self.answered += 1;
        let bytes = &self.blocks[place].bytes;
        match (word(bytes, skip), word(bytes, skip + 8)) {
            (Some(first), Some(second)) => Ok((first, second)),
            // A block that is only partly mapped, or a pair that two blocks share.
            _ => Ok((self.memory.uint(addr, 8)?, self.memory.uint(addr + 8, 8)?)),
        }
    }

    /// Reads a block. Leaves `loaded` at 0 where blocks are held in another way from now on.
    fn load(&mut self, number: u64, place: usize) -> Result<()> {
        if self.loaded >= self.judged() && self.memory.bulk().is_some() {
            if self.answered / self.loaded < WORTH {
                self.reorder(if self.order == Order::Near { Order::Anywhere } else { Order::Lost });
                return Ok(());
            }
            (self.loaded, self.answered) = (0, 0);
        }
        self.loaded += 1;
        let block = &mut self.blocks[place];
        block.tag = number + 1;
        block.bytes.resize(self.size as usize, 0);
        match self.memory.read_uncached(Addr(number * self.size), &mut block.bytes) {
            Ok(()) => Ok(()),
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(_) => {
                block.bytes.clear();
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn pairs_anywhere() {
        let mut fake = Fake::default();
        let words: Vec<u8> = (0..5000u64).flat_map(u64::to_le_bytes).collect();
        fake.add(0x10000, words);
        let memory = Cache::new(Box::new(fake), None);
        let mut chain = Chain::new(&memory);
        assert_eq!(chain.pair(Addr(0x10000)).unwrap(), (0, 1));
        assert_eq!(chain.pair(Addr(0x10ff8)).unwrap(), (511, 512), "two pages share it");
        // The last page is only half there.
        assert_eq!(chain.pair(Addr(0x10000 + 8 * 4998)).unwrap(), (4998, 4999));
        assert!(matches!(chain.pair(Addr(0x10000 + 8 * 4999)), Err(Error::Fault { .. })));
        assert!(chain.pair(Addr(u64::MAX - 7)).is_err());
    }

    #[test]
    fn an_interrupt_ends_it() {
        let memory = |answers: bool| {
            let mut fake = Fake::default();
            fake.add(0x10000, vec![0; 0x10000]);
            let asked = std::cell::Cell::new(0);
            let poll = move |_, _| answers && asked.replace(asked.get() + 1) < 1;
            Cache::new(Box::new(fake), Some(std::rc::Rc::new(poll)))
        };
        assert!(matches!(Chain::new(&memory(false)).pair(Addr(0x10000)), Err(Error::Interrupted)));
        // What is held already is no way around it.
        let memory = memory(true);
        let mut chain = Chain::new(&memory);
        let ended = (0..2 * POLL_EVERY).any(|_| matches!(chain.pair(Addr(0x10000)), Err(Error::Interrupted)));
        assert!(ended);
    }
}
