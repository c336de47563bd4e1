//! Reads the objects of a census one after the other, and tells of their references: what one thread does of
//! [`super::edges`].

use super::edges::{NOWHERE, Visitor, Ways};
use super::holders::{Holder, Shape, Values, of};
use super::loose::Loose;
use super::pools::{part_with, read_pools};
use super::scan::{Pool, Window};
use super::statics;
use super::tables::{More, Table, What};
use super::types::TypeId;
use crate::bytes::{uint, word};
use crate::limits;
use crate::objects::flag;
use crate::process::Source;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Objects outside of pools that one thread takes at a time.
pub(super) const LOOSE: usize = 1024;
/// Bytes of such an object that are read: its struct, and some items.
const LARGE: usize = 4096;
/// Tables that wait until they are read together.
const WAITING: usize = 1 << 17;
/// Bytes that are read at a time of tables, and gaps between tables that are read with them.
const RUN: usize = 1 << 18;
const GAP: u64 = 1 << 12;
/// Bytes that are read of a chain beyond its next link.
const AHEAD: usize = 1 << 14;
/// Strings whose state is asked for at a time, and the bytes of them that have it.
const BATCH: usize = 4096;
const STRING: usize = 40;
/// Tables between two questions to the user.
const TOLD: usize = 256;
/// Bytes of the budget that a thread takes at a time.
const PURSE: u64 = 1 << 20;
/// Results that one `functools.lru_cache` can have here.
const LINKS: u64 = 1 << 32;

/// One thread's walk.
pub(super) struct Walker<'a, V> {
    ways: &'a Ways,
    visitor: &'a V,
    source: &'a dyn Source,
    /// Bytes of tables that may still be read: hostile ones could be read again and again.
    budget: &'a AtomicU64,
    /// What this thread has already taken of it.
    purse: u64,
    buffer: Vec<u8>,
    tables: Vec<Table>,
    left: Left,
}

/// What is left to do when all objects were read: what several of them have together.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Tables of keys that several dicts and a class have, by address.
    pub shared: HashMap<u64, Table>,
    /// Entries whose key is their value, and who has them.
    pub same: Vec<(u32, u64)>,
    /// Bytes that could not be read.
    pub missing: u64,
}

impl Left {
    /// Adds what another thread left.
    pub fn add(&mut self, other: Left) {
        self.shared.extend(other.shared);
        self.same.extend(other.same);
        self.missing = self.missing.saturating_add(other.missing);
    }
}

impl<'a, V: Visitor> Walker<'a, V> {
    /// One that has read nothing.
    pub fn new(ways: &'a Ways, visitor: &'a V, source: &'a dyn Source, budget: &'a AtomicU64) -> Walker<'a, V> {
        let (buffer, tables, left) = (vec![0; RUN], Vec::new(), Left::default());
        Walker { ways, visitor, source, budget, purse: 0, buffer, tables, left }
    }

    /// Has it read these tables too.
    pub fn add(&mut self, tables: impl Iterator<Item = Table>) {
        self.tables.extend(tables);
    }

    /// What is left to do.
    pub fn into_left(self) -> Left {
        self.left
    }

    /// Tells of what objects have together, once, and gives how many bytes could not be read.
    pub fn finish(mut self, left: Left, go_on: &dyn Fn() -> bool) -> u64 {
        self.tables.extend(left.shared.into_values());
        self.left = Left { shared: HashMap::new(), same: left.same, missing: left.missing };
        self.rest(go_on);
        self.strings(go_on);
        self.left.missing
    }

    /// Whether so many tables wait that they are worth reading.
    pub fn is_full(&self) -> bool {
        self.tables.len() >= WAITING
    }

    /// Tells of the objects of `window`, the first of which has this number.
    pub fn window(&mut self, window: &Window, mut number: u32) {
        let (Some(first), Some(last)) = (window.pools.first(), window.pools.last()) else { return };
        let pool = self.ways.pool;
        let length = (last.addr - first.addr) as usize + pool;
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        let mut pools = window.pools.iter();
        let addresses = window.pools.iter().map(|pool| pool.addr);
        let read = read_pools(self.source, addresses, pool, &mut buffer[..length], &mut |_, bytes| {
            if let Some(one) = pools.next() {
                number = self.pool(window, one, bytes, number);
            }
        });
        self.near(first.addr, &buffer, &read);
        self.buffer = buffer;
    }

    fn pool(&mut self, window: &Window, pool: &Pool, bytes: &[u8], mut number: u32) -> u32 {
        let (size, marks) = (usize::from(pool.size), usize::from(pool.marks));
        for (block, id) in window.objects_of(pool) {
            let start = usize::from(pool.start) + block * size;
            if let Some(block) = bytes.get(start + marks..start + size) {
                self.object(number, id, pool.addr + (start + marks) as u64, block, false);
            }
            number += 1;
        }
        number
    }

    /// Objects outside of pools, from the one with this place among `all` of them, the first of which has this number.
    /// Those in static memory are known by where they begin and end.
    pub fn loose(&mut self, all: &[Loose], first: usize, number: u32, in_static: &[(u64, u64)]) {
        let mut bytes = [0u8; LARGE];
        for (i, one) in all.iter().enumerate().skip(first).take(LOOSE) {
            let (addr, id) = (one.addr(), one.id());
            let Some(holder) = of(&self.ways.holders, id) else { continue };
            let start = addr.wrapping_sub(u64::from(holder.info.before));
            // Up to the next object: that is more than its own.
            let room = all.get(i + 1).map_or(LARGE as u64, |next| next.addr().saturating_sub(start));
            let room = room.min(LARGE as u64) as usize;
            // In static memory something else follows. A static type has no more than its struct.
            let (room, partly) = match statics::length(in_static, addr) {
                Some(own) if holder.shape == Shape::Type => {
                    (room.min(holder.info.before as usize + own as usize), false)
                }
                _ => (room, true),
            };
            let have = self.source.read_some(start, &mut bytes[..room]);
            self.object(number + i as u32, id, start, &bytes[..have], partly);
        }
    }

    #[inline]
    fn reference(&mut self, from: u32, to: u64) {
        if to != 0 {
            self.visitor.reference(from, to);
        }
    }

    fn table(&mut self, at: u64, owner: u32, what: What) {
        if at != 0 {
            self.tables.push(Table { at, owner, what });
        }
    }

    /// The references of the object in the block at `addr` that begins with `block`.
    #[inline]
    pub fn object(&mut self, number: u32, id: TypeId, addr: u64, block: &[u8], partly: bool) {
        let ways = self.ways;
        let Some(holder) = of(&ways.holders, id) else { return };
        let Some(object) = block.get(holder.info.before as usize..) else { return };
        let addr = addr + u64::from(holder.info.before);
        self.visitor.object(number, object);
        // Classes count their instances.
        if holder.info.flags & flag::HEAPTYPE != 0 {
            self.reference(number, holder.info.addr);
        }
        if holder.shape == Shape::Leaf {
            return;
        }
        let (from, mut to) = holder.words;
        if holder.items {
            let items = word(object, ways.inner.ob_size).unwrap_or(0).saturating_mul(8).min(1 << 40) as usize;
            to = to.saturating_add(items);
            if to > object.len() && partly {
                let behind = object.len() as u64 / 8 * 8;
                let more = (to as u64 / 8 * 8).saturating_sub(behind) / 8;
                self.table(addr + behind, number, What::Words(more));
            }
        }
        self.words(number, holder, object, from, to.min(object.len()));
        self.attributes(number, holder, block, object);
        self.shape(number, holder, addr, object);
    }

    #[inline]
    fn words(&mut self, number: u32, holder: &Holder, object: &[u8], from: usize, to: usize) {
        let mut borrowed = holder.borrowed.iter().copied().peekable();
        let mut at = from;
        while at + 8 <= to {
            while borrowed.next_if(|skip| *skip < at).is_some() {}
            if borrowed.peek() != Some(&at) {
                self.reference(number, word(object, at).unwrap_or(0));
            }
            at += 8;
        }
    }

    #[inline]
    fn attributes(&mut self, number: u32, holder: &Holder, block: &[u8], object: &[u8]) {
        let before = i64::from(holder.info.before);
        let at = |place: i64| usize::try_from(before + place).ok().and_then(|at| word(block, at)).unwrap_or(0);
        let dict = holder.dict.place(|| self.ways.sizes.end(&holder.info, object)).map_or(0, at);
        match holder.values {
            Values::Tagged(count) if dict & 1 == 1 => self.table(dict.wrapping_add(1), number, What::Words(count)),
            Values::Nowhere | Values::Tagged(_) => self.reference(number, dict),
            Values::Apart(count) => {
                self.reference(number, dict);
                self.table(at(-32), number, What::Words(count));
            }
            Values::Inline => {
                self.reference(number, dict);
                let (capacity, values) = self.ways.inner.values;
                let start = holder.info.basicsize as usize;
                // PyDictValues: capacity, size, embedded, valid.
                let (count, valid) =
                    (uint(object, start + capacity, 1), uint(object, start + capacity + 3, 1).unwrap_or(0));
                let count = count.filter(|_| valid != 0).unwrap_or(0) as usize;
                for i in 0..count {
                    self.reference(number, word(object, start + values + i * 8).unwrap_or(0));
                }
            }
        }
    }

    #[inline]
    fn shape(&mut self, number: u32, holder: &Holder, addr: u64, object: &[u8]) {
        let inner = &self.ways.inner;
        let get = |at: usize| word(object, at).unwrap_or(0);
        match holder.shape {
            Shape::Leaf | Shape::Words => {}
            Shape::List => self.table(get(inner.list), number, What::Words(get(inner.ob_size))),
            Shape::Dict => self.dict(number, object),
            Shape::OrderedDict => {
                self.dict(number, object);
                let (first, used) = (get(inner.ordered.0), get(inner.ordered.1));
                self.table(first, number, What::Node(used.saturating_sub(1)));
            }
            Shape::Set => {
                let (table, mask) = (get(inner.set.0), get(inner.set.1));
                let what = What::Entries { count: mask.saturating_add(1), size: 16, key: inner.set.2, value: u8::MAX };
                self.table(table, number, what);
            }
            Shape::Deque => {
                let (block, first, items) = inner.deque;
                if get(items) > 0 {
                    self.table(get(block), number, What::Block { first: get(first), items: get(items) });
                }
            }
            Shape::LruCache => {
                // The list begins and ends at the cache.
                let first = get(inner.lru_next);
                if first != addr {
                    self.table(first, number, What::Link { end: addr, most: LINKS });
                }
            }
            Shape::Type => {
                if let Some(keys) = inner.cached_keys.map(get).filter(|keys| *keys != 0) {
                    self.table(keys, number, What::Keys { shared: true, values: 0 });
                }
            }
            Shape::Code => {
                if let Some(cached) = inner.co_cached {
                    // _PyCoCached: co_code, co_varnames, co_cellvars, co_freevars (3.12).
                    self.table(get(cached), number, What::Words(4));
                }
            }
            Shape::Module => {
                let (behind, name) = inner.module;
                // md_state, md_weaklist, md_name, a flag, md_state_size, md_state_traverse (3.15, PEP 793); before, a
                // pointer to the PyModuleDef in front.
                if name == behind + 16 {
                    let words = if get(name + 24) == 0 { 0 } else { get(name + 16) / 8 };
                    self.table(get(behind), number, What::Words(words));
                } else if get(behind + 8) != 0 {
                    self.table(get(behind), number, What::Definition { state: get(behind + 8) });
                }
            }
            Shape::Zoned(zone) => {
                if object.get(inner.hastzinfo).is_some_and(|has| *has != 0) {
                    self.reference(number, get(zone));
                }
            }
            Shape::Frame => self.frame_object(number, addr, object),
            Shape::FrameObject => {
                let frame = get(inner.frame.f_frame).wrapping_sub(addr) as usize;
                if frame < object.len() {
                    self.frame(number, addr, object, frame, true);
                }
            }
            Shape::Generator => {
                let frame = &inner.frame;
                let state = uint(object, frame.state, 1).unwrap_or(0) as u8 as i8;
                let at = frame.gi_iframe;
                self.frame(number, addr, object, at, i64::from(state) <= frame.executing);
            }
        }
    }

    fn dict(&mut self, number: u32, object: &[u8]) {
        let inner = &self.ways.inner;
        let get = |at: usize| word(object, at).unwrap_or(0);
        if let Some((table, mask)) = inner.open_dict {
            let what = What::Entries { count: get(mask).saturating_add(1), size: 24, key: 8, value: 16 };
            return self.table(get(table), number, what);
        }
        let (keys, values) = (inner.dict.0.map_or(0, get), inner.dict.1.map_or(0, get));
        if values != 0 && inner.values.0 != NOWHERE {
            self.table(values, number, What::Values);
            self.table(keys, number, What::Keys { shared: true, values: 0 });
        } else {
            self.table(keys, number, What::Keys { shared: values != 0, values });
        }
    }

    /// A frame that is an object (3.10 and older): variables, and the stack up to its top.
    fn frame_object(&mut self, number: u32, addr: u64, object: &[u8]) {
        let frame = &self.ways.inner.frame;
        let stack = word(object, frame.value_stack).unwrap_or(0).wrapping_sub(addr) as usize;
        let top = match (frame.stack_top, frame.stack_depth) {
            // NULL, or -1, in a frame that runs.
            (Some(top), _) => (word(object, top).unwrap_or(0).wrapping_sub(addr) as usize).min(object.len().max(stack)),
            (_, Some(depth)) => {
                let depth = uint(object, depth, 4).unwrap_or(0) as u32 as i32;
                stack.saturating_add(usize::try_from(depth).unwrap_or(0).saturating_mul(8))
            }
            _ => stack,
        };
        let running = frame.stack_top.is_some_and(|top| word(object, top) == Some(0));
        let end = if running || top > object.len() { stack } else { top };
        let local = frame.local;
        for at in (local..end.min(object.len())).step_by(8) {
            self.reference(number, word(object, at).unwrap_or(0));
        }
    }

    /// A frame in an object, `at` bytes into it: what it counts itself, and if it is `whole` its variables and its
    /// stack.
    fn frame(&mut self, number: u32, addr: u64, object: &[u8], at: usize, whole: bool) {
        let ways = self.ways;
        let frame = &ways.inner.frame;
        let get = |place: usize| word(object, at.saturating_add(place)).unwrap_or(0);
        // Borrowed ones have a tag (3.14, gh-127271).
        let counted = |word: u64| if word & frame.tag == 0 { word } else { 0 };
        // A generator that is done keeps its code only (3.12, gh-100719).
        if !whole {
            if !frame.cleared {
                self.reference(number, counted(get(frame.executable)));
            }
            return;
        }
        self.reference(number, counted(get(frame.executable)));
        for strong in &frame.strong {
            self.reference(number, counted(get(*strong)));
        }
        let first = at + frame.localsplus;
        let count = match (frame.pointer, frame.top) {
            (Some(pointer), _) => get(pointer).wrapping_sub(addr).wrapping_sub(first as u64) / 8,
            (_, Some(top)) => uint(object, at + top, 4).unwrap_or(0),
            _ => 0,
        };
        if count > object.len() as u64 / 8 {
            return;
        }
        for i in 0..count as usize {
            self.reference(number, counted(word(object, first + i * 8).unwrap_or(0)));
        }
    }

    /// Reads those tables that lie in the bytes at `start`, of which these parts were read.
    fn near(&mut self, start: u64, bytes: &[u8], read: &[Range<usize>]) {
        let mut waiting = std::mem::take(&mut self.tables);
        waiting.retain_mut(|table| {
            let Some(part) = part_with(read, table.at.wrapping_sub(start)) else { return true };
            match self.settle(*table, start + part.start as u64, &bytes[part]) {
                Some(other) => {
                    *table = other;
                    true
                }
                None => false,
            }
        });
        self.tables = waiting;
    }

    /// Reads `table`, and those that it leads to, as long as they lie in the bytes at `start`; the first that does
    /// not.
    fn settle(&mut self, mut table: Table, start: u64, bytes: &[u8]) -> Option<Table> {
        loop {
            let at = usize::try_from(table.at.wrapping_sub(start)).unwrap_or(usize::MAX);
            let length = usize::try_from(self.ways.places.length(&table)).unwrap_or(usize::MAX);
            let Some(inside) = at.checked_add(length).and_then(|end| bytes.get(at..end)) else { return Some(table) };
            // What is damaged may be in many tables, and a chain may lead back into itself.
            if !self.afford(length.max(8) as u64) {
                self.left.missing = self.left.missing.saturating_add(length as u64);
                return None;
            }
            let more = self.read(&table, inside);
            table = self.follow(more)?;
        }
    }

    fn follow(&mut self, more: More) -> Option<Table> {
        if let Some(shared) = more.shared {
            self.left.shared.entry(shared.at).or_insert(shared);
        }
        more.next
    }

    /// Tells of the references in a table, or in a part of it.
    #[inline]
    fn read(&mut self, table: &Table, bytes: &[u8]) -> More {
        let (visitor, owner) = (self.visitor, table.owner);
        let Left { same, missing, .. } = &mut self.left;
        let mut single = |to: u64| {
            if to != 0 {
                visitor.reference(owner, to);
            }
        };
        let mut pair = |key: u64, value: u64| {
            if key == value && key != 0 {
                if same.len() < limits::SAME_KEYS {
                    same.push((owner, key));
                } else {
                    *missing = missing.saturating_add(16);
                }
                return;
            }
            for to in [key, value] {
                if to != 0 {
                    visitor.reference(owner, to);
                }
            }
        };
        self.ways.places.each(table, bytes, &mut single, &mut pair)
    }

    /// Reads all tables that wait, and those that they lead to.
    pub fn rest(&mut self, go_on: &dyn Fn() -> bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(RUN.max(buffer.len()), 0);
        while !self.tables.is_empty() {
            let mut tables = std::mem::take(&mut self.tables);
            tables.sort_unstable_by_key(|table| table.at);
            let mut i = 0;
            while let Some(first) = tables.get(i).copied() {
                if !go_on() {
                    return;
                }
                let start = first.at;
                let end = |table: &Table| table.at.saturating_add(self.ways.places.length(table));
                let mut to = end(&first);
                let mut after = i + 1;
                while let Some(next) = tables.get(after) {
                    if next.at > to.saturating_add(GAP) || end(next).max(to) - start > RUN as u64 {
                        break;
                    }
                    to = end(next).max(to);
                    after += 1;
                }
                if to - start > RUN as u64 {
                    if self.afford(to - start) {
                        self.long(&first, &mut buffer[..RUN], go_on);
                    } else {
                        self.left.missing = self.left.missing.saturating_add(to - start);
                    }
                } else {
                    let ahead = if matches!(first.what, What::Node(_)) { AHEAD as u64 } else { 0 };
                    let length = (to - start).max(ahead) as usize;
                    let have = self.source.read_some(start, &mut buffer[..length]);
                    self.left.missing = self.left.missing.saturating_add((to - start).saturating_sub(have as u64));
                    for (number, table) in tables[i..after].iter().enumerate() {
                        if number % TOLD == TOLD - 1 && !go_on() {
                            return;
                        }
                        let other = self.settle(*table, start, &buffer[..have]);
                        // The same one again cannot be read.
                        self.tables.extend(other.filter(|other| other.at != table.at));
                    }
                }
                i = after;
            }
        }
        self.buffer = buffer;
    }

    fn afford(&mut self, bytes: u64) -> bool {
        if self.purse < bytes {
            // Threads that take little at a time wait for each other.
            let budget = self.budget;
            let take = |amount: u64| {
                let less = |left: u64| left.checked_sub(amount);
                budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok().then_some(amount)
            };
            self.purse += take(bytes.max(PURSE)).or_else(|| take(bytes)).unwrap_or(0);
        }
        let rest = self.purse.checked_sub(bytes);
        self.purse = rest.unwrap_or(self.purse);
        rest.is_some()
    }

    /// Reads a table that is longer than the buffer.
    fn long(&mut self, table: &Table, buffer: &mut [u8], go_on: &dyn Fn() -> bool) {
        let length = self.ways.places.length(table);
        let entry = match table.what {
            What::Entries { size, .. } => u64::from(size),
            _ => 8,
        };
        let step = buffer.len() as u64 / entry.max(1) * entry.max(1);
        let mut done = 0;
        while done < length && go_on() {
            let part = (length - done).min(step) as usize;
            let have = self.source.read_some(table.at.wrapping_add(done), &mut buffer[..part]);
            self.read(table, &buffer[..have]);
            if have < part {
                self.left.missing = self.left.missing.saturating_add(length - done - have as u64);
                return;
            }
            done += part as u64;
        }
    }

    /// Tells of the references of entries whose key is their value, but for mortal interned strings: there the dict
    /// is that of the interned strings.
    fn strings(&mut self, go_on: &dyn Fn() -> bool) {
        let (at, width, mask) = self.ways.interned;
        let mut same = std::mem::take(&mut self.left.same);
        same.sort_unstable_by_key(|(_, key)| *key);
        let mut heads = vec![0u8; BATCH * STRING];
        for batch in same.chunks(BATCH) {
            if !go_on() {
                return;
            }
            let places: Vec<u64> = batch.iter().map(|(_, key)| *key).collect();
            let heads = &mut heads[..places.len() * STRING];
            self.source.gather(&places, STRING, heads);
            for ((from, key), head) in batch.iter().zip(heads.chunks_exact(STRING)) {
                if uint(head, at, width).map(|state| state & mask) != Some(1) {
                    self.visitor.reference(*from, *key);
                    self.visitor.reference(*from, *key);
                }
            }
        }
    }
}
