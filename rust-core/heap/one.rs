//! One object of the census: its size, its block, and which object an address lies in.

use super::Census;
use super::scan::{Pool, Window, debug_marks};
use super::sizes::{self, MOST, Sizes};
use super::types::{Info, TypeId};
use crate::allocators::glibc::HEAD;
use crate::allocators::mimalloc::Page;
use crate::bytes::Addr;
use crate::limits;
use crate::objects::Objects;
use crate::process::Source;

/// A block of memory that an allocator handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Where it begins.
    pub addr: Addr,
    /// Its bytes.
    pub size: u64,
    /// Whether it is in a pool, or in a page of mimalloc's; else it is a chunk of malloc.
    pub pool: bool,
}

/// Bytes of the ints and floats that 2.7 keeps side by side in chunks of malloc.
const NUMBER: u64 = 24;

/// Steps from an object to all that its size depends on.
const PENDING: usize = 64;

impl Census {
    /// What `sys.getsizeof` says of the object at `addr` of the type with number `id`, as far as its memory
    /// can be read.
    pub fn size_of(&self, objects: &Objects, addr: Addr, id: TypeId) -> u64 {
        let Some(info) = self.info(id) else { return 0 };
        let room = self
            .block(objects, addr, id)
            .map_or(u64::MAX, |block| block.size.saturating_sub(addr.0.saturating_sub(block.addr.0)));
        let mut bytes = [0; HEAD];
        let have = objects.memory.read_some(addr.0, &mut bytes[..HEAD.min(usize::try_from(room).unwrap_or(HEAD))]);
        size(
            objects,
            &Sizes::new(&objects.layout.fields, &objects.layout.rules),
            (id, info),
            addr,
            &bytes[..have],
            room,
        )
    }

    /// The block of the object at `addr` of the type with number `id`; `None` if it is not known, or in static memory.
    pub fn block(&self, objects: &Objects, addr: Addr, id: TypeId) -> Option<Block> {
        if self.in_static(addr).is_some() {
            return None;
        }
        let info = self.info(id)?;
        let start = addr - u64::from(info.before);
        let number = info.basicsize == NUMBER && info.before == 0 && info.itemsize == 0;
        if objects.layout.rules.python2 && number && self.pool(start).is_none() {
            return Some(Block { addr: start, size: NUMBER, pool: false });
        }
        self.memory(objects, start)
    }

    /// The block of memory that begins at `addr`, whatever is in it; of a pool also one that `addr` lies in.
    pub fn memory(&self, objects: &Objects, addr: Addr) -> Option<Block> {
        if let Some((_, pool)) = self.pool(addr) {
            return block_in(pool, addr);
        }
        if let Some(page) = self.large(addr) {
            let i = (addr.0 - page.block(0)) / page.size;
            return Some(Block { addr: Addr(page.block(i as usize)), size: page.size, pool: true });
        }
        // Of another allocator's block nobody knows where it begins, nor where it ends.
        chunk(objects, addr).filter(|_| !self.has_other_blocks())
    }

    /// Whether blocks outside of pools are those of an allocator that is not glibc's.
    pub fn has_other_blocks(&self) -> bool {
        self.scanned.reached.as_ref().is_some_and(|reached| !reached.of_glibc)
    }

    /// The pool that `addr` lies in.
    pub fn pool(&self, addr: Addr) -> Option<(&Window, &Pool)> {
        let after = self.scanned.windows.partition_point(|w| w.pools.first().is_some_and(|p| p.addr <= addr.0));
        let window = self.scanned.windows.get(after.checked_sub(1)?)?;
        let after = window.pools.partition_point(|p| p.addr <= addr.0);
        let pool = window.pools.get(after.checked_sub(1)?)?;
        let end = pool.block(usize::from(pool.carved));
        (addr.0 < end).then_some((window, pool))
    }

    /// The page of mimalloc's that is no pool and has a block that `addr` lies in.
    fn large(&self, addr: Addr) -> Option<&Page> {
        let after = self.scanned.large.partition_point(|(page, _)| page.addr <= addr.0);
        let (page, _) = self.scanned.large.get(after.checked_sub(1)?)?;
        (page.block(0)..page.block(page.capacity)).contains(&addr.0).then_some(page)
    }

    /// The object whose block `addr` lies in, the object's own start and its header included.
    pub fn around(&self, objects: &Objects, addr: Addr) -> Option<(Addr, TypeId)> {
        let inside = |at: Addr, id: TypeId| {
            if let Some(bytes) = self.in_static(at) {
                return (at <= addr && addr.0 - at.0 < bytes).then_some((at, id));
            }
            let block = self.block(objects, at, id)?;
            (block.addr <= addr && addr.0 - block.addr.0 < block.size).then_some((at, id))
        };
        if let Some((_, pool)) = self.pool(addr) {
            let Block { addr: start, size, .. } = block_in(pool, addr)?;
            // Where objects can begin in a block.
            return (0..=size.min(64) / 8).find_map(|i| self.find(start + i * 8).map(|id| (start + i * 8, id)));
        }
        let after = self.scanned.loose.partition_point(|one| one.addr() <= addr.0);
        let near = self.scanned.loose.get(after.saturating_sub(1)..(after + 1).min(self.scanned.loose.len()))?;
        near.iter().find_map(|one| inside(Addr(one.addr()), one.id()))
    }
}

/// The block of `pool` that `addr` lies in.
fn block_in(pool: &Pool, addr: Addr) -> Option<Block> {
    let size = u64::from(pool.size);
    let first = pool.block(0);
    Some(Block { addr: Addr(first + addr.0.checked_sub(first)? / size * size), size, pool: true })
}

/// The part that a program may use of the chunk of malloc whose memory begins at `addr`, if its header can be true.
fn chunk(objects: &Objects, mut addr: Addr) -> Option<Block> {
    // What pymalloc passes on with `PYTHONMALLOC=debug` is marked twice.
    for _ in 0..2 {
        let mut before = [0; 16];
        objects.memory.read(addr - 16, &mut before).ok()?;
        addr = addr - debug_marks(&before) as u64;
    }
    let raw = objects.memory.uint(addr - 8, 8).ok()?;
    let size = (raw & !7).checked_sub(if raw & 2 == 0 { 8 } else { 16 })?;
    (addr.0.is_multiple_of(16) && size > 0 && size < 1 << 47).then_some(Block { addr, size, pool: false })
}

/// What `sys.getsizeof` says of the object at `addr`, of the type `info` with number `id`, that begins with
/// `bytes` and has `room` in its block.
pub fn size(objects: &Objects, sizes: &Sizes, (id, info): (TypeId, &Info), addr: Addr, bytes: &[u8], room: u64) -> u64 {
    let mut later = Vec::new();
    let mut total = sizes.size((id, info), addr.0, bytes, room, &mut later);
    if total >= MOST {
        total = info.fixed();
    }
    let mut effort = limits::SIZE_EFFORT;
    for _ in 0..PENDING {
        let Some(one) = later.pop() else { break };
        let mut head = [0; sizes::HEAD];
        // What cannot be read counts nothing, as in the census.
        if objects.memory.read(Addr(one.at), &mut head).is_err() {
            head.fill(0);
        }
        let more = sizes.more(&one, &head, &*objects.memory, &mut effort, &mut later);
        total = total.saturating_add(more.unwrap_or(0));
    }
    total
}
