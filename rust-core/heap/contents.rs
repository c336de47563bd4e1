//! What is in many objects: the bytes of all objects of some types, in address order, and the text of
//! those that have one.
//!
//! Pools are read in runs, as the census reads them: a page cache would cost more than the reads.

use super::Census;
use super::scan::Pool;
use super::types::TypeId;
use crate::allocators::glibc::HEAD;
use crate::bytes::{Addr, uint, word};
use crate::error::Result;
use crate::layout::Ints;
use crate::limits;
use crate::objects::number::{Integer, repr_float};
use crate::objects::{Kind, Objects};
use crate::process::{Bulk, Cache, Source};
use std::io::Write;
use std::sync::Arc;

/// Bytes that are read at a time.
const RUN: usize = 1 << 20;
/// Objects between two questions to the user: what is done with one may take long.
const POLL_EVERY: u64 = 1 << 12;
/// Bytes that are read ahead between chunks of malloc.
const AHEAD: usize = 1 << 16;

/// An object that a pass meets.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Where it is.
    pub addr: Addr,
    /// The number of its type.
    pub id: TypeId,
    /// Its first bytes: those up to the end of its block in a pool; of a larger one at most [`HEAD`].
    pub bytes: &'a [u8],
    /// Whether it is in a pool; else `bytes` may go beyond its end.
    pub pool: bool,
}

impl Census {
    /// Calls `f` with every object of the types that `wanted` has at their number, until it returns false;
    /// how many of them could not be read.
    ///
    /// # Errors
    /// [`crate::error::Error::Interrupted`].
    pub fn read_each(&self, objects: &Objects, wanted: &[bool], f: &mut dyn FnMut(&Seen<'_>) -> bool) -> Result<u64> {
        let memory = &objects.memory;
        let bulk = memory.bulk();
        let source = source(bulk.as_ref(), memory);
        let is_wanted = |id: TypeId| wanted.get(usize::from(id)).copied().unwrap_or(false);
        let pool_size = objects.layout.rules.pool;
        let mut buffer = vec![0; RUN];
        let mut unreadable = 0;
        let mut met = 0u64;
        let mut tell = |seen: &Seen<'_>| -> Result<bool> {
            met += 1;
            if met.is_multiple_of(POLL_EVERY) {
                memory.poll()?;
            }
            Ok(f(seen))
        };
        for window in &self.scanned.windows {
            memory.poll()?;
            let has_wanted = |pool: &Pool| window.objects_of(pool).any(|(_, id)| is_wanted(id));
            let mut i = 0;
            while let Some(first) = window.pools.get(i) {
                if !has_wanted(first) {
                    i += 1;
                    continue;
                }
                // Pools side by side are read together.
                let start = i;
                let place = |i: usize| first.addr + ((i - start) * pool_size) as u64;
                while window
                    .pools
                    .get(i)
                    .is_some_and(|pool| pool.addr == place(i) && (i + 1 - start) * pool_size <= RUN && has_wanted(pool))
                {
                    i += 1;
                }
                let have = source.read_some(first.addr, &mut buffer[..((i - start) * pool_size).min(RUN)]);
                for pool in &window.pools[start..i] {
                    for (block, id) in window.objects_of(pool).filter(|(_, id)| is_wanted(*id)) {
                        let addr = self.object_at(pool, block, id);
                        let end = pool.block(block + 1);
                        let inside = (addr.0 - first.addr) as usize..(end - first.addr) as usize;
                        let Some(bytes) = buffer[..have].get(inside) else {
                            unreadable += 1;
                            continue;
                        };
                        if !tell(&Seen { addr, id, bytes, pool: true })? {
                            return Ok(unreadable);
                        }
                    }
                }
            }
        }
        let (mut at, mut have) = (0, 0);
        for (i, one) in self.scanned.loose.iter().enumerate() {
            if i % 1024 == 0 {
                memory.poll()?;
            }
            let (addr, id) = (one.addr(), one.id());
            if !is_wanted(id) {
                continue;
            }
            let inside = |at: u64, have: usize| {
                addr.checked_sub(at).map(|offset| offset as usize).filter(|offset| offset.saturating_add(HEAD) <= have)
            };
            if inside(at, have).is_none() {
                (at, have) = (addr, source.read_some(addr, &mut buffer[..AHEAD]));
            }
            let offset = (addr - at) as usize;
            let bytes = &buffer[offset..have.min(offset + HEAD).max(offset)];
            if bytes.is_empty() {
                unreadable += 1;
                continue;
            }
            if !tell(&Seen { addr: Addr(addr), id, bytes, pool: false })? {
                break;
            }
        }
        Ok(unreadable)
    }
}

/// Reads what is beyond the bytes that a pass has of an object.
struct Beyond<'a> {
    objects: &'a Objects,
    bulk: Option<Arc<dyn Bulk>>,
    piece: Vec<u8>,
    /// Bytes that may still be read.
    room: usize,
}

impl<'a> Beyond<'a> {
    fn new(objects: &'a Objects) -> Beyond<'a> {
        Beyond { objects, bulk: objects.memory.bulk(), piece: Vec::new(), room: limits::LONG_BYTES }
    }

    /// Calls `f` with the `length` bytes from `at` bytes into the object, piece by piece: a length is a
    /// claim. `None` if they cannot be read.
    fn each(&mut self, seen: &Seen<'_>, at: u64, length: usize, f: &mut dyn FnMut(&[u8])) -> Option<()> {
        if let Some(bytes) = seen.bytes.get(at as usize..).and_then(|rest| rest.get(..length)) {
            f(bytes);
            return Some(());
        }
        if seen.pool {
            // It cannot be longer than its block.
            return None;
        }
        let source = source(self.bulk.as_ref(), &self.objects.memory);
        self.room = self.room.checked_sub(length)?;
        self.piece.resize(AHEAD, 0);
        let mut done = 0;
        while done < length {
            self.objects.memory.poll().ok()?;
            let piece = &mut self.piece[..(length - done).min(AHEAD)];
            if source.read_some((seen.addr + at).0.wrapping_add(done as u64), piece) < piece.len() {
                return None;
            }
            f(piece);
            done += piece.len();
        }
        Some(())
    }
}

/// The target's memory past the page cache.
pub(super) fn source<'a>(bulk: Option<&'a Arc<dyn Bulk>>, memory: &'a Cache) -> &'a dyn Source {
    match bulk {
        Some(bulk) => &**bulk,
        None => memory,
    }
}

/// Where the characters of a compact string are in it, how many, and the bytes of each.
struct Compact {
    ascii: bool,
    at: u64,
    length: u64,
    width: u64,
}

impl Compact {
    /// That of the string that begins with `bytes`; `Some(None)` if its characters are apart from it.
    fn of(objects: &Objects, bytes: &[u8]) -> Option<Option<Compact>> {
        let layout = &objects.layout;
        if layout.ascii.compact.get(bytes)? == 0 {
            return Some(None);
        }
        let ascii = layout.ascii.ascii.get(bytes)? != 0;
        let at = if ascii { layout.ascii.size.at() } else { layout.compact.size.at() }.ok()?;
        let (length, width) = (layout.ascii.length.get(bytes)?, layout.ascii.kind.get(bytes)?);
        Some(Some(Compact { ascii, at, length, width }))
    }
}

/// Whether the int that begins with `bytes` is negative, and how many digits it has.
fn digits(objects: &Objects, bytes: &[u8]) -> Option<(bool, u64)> {
    Some(match objects.layout.rules.ints {
        Ints::SignedSize => {
            let size = objects.layout.var.ob_size.get(bytes)? as i64;
            (size < 0, size.unsigned_abs())
        }
        Ints::Tagged => {
            let tag = objects.layout.long.lv_tag.get(bytes)?;
            (tag & 3 == 2, tag >> 3)
        }
    })
}

/// Reads the texts of objects.
pub struct Texts<'a> {
    objects: &'a Objects,
    beyond: Beyond<'a>,
    raw: Vec<u8>,
    out: Vec<u8>,
}

impl<'a> Texts<'a> {
    /// A reader for the objects of a target.
    pub fn new(objects: &'a Objects) -> Texts<'a> {
        Texts { objects, beyond: Beyond::new(objects), raw: Vec::new(), out: Vec::new() }
    }

    /// The text of the object, which is of this kind, as far as [`limits::FIND_BYTES`] go: that of a `str` as
    /// UTF-8, `bytes` as they are, numbers in decimal. `None` if it has none, or cannot be read.
    pub fn of(&mut self, kind: Kind, seen: &Seen<'_>) -> Option<&[u8]> {
        self.out.clear();
        let (objects, bytes) = (self.objects, seen.bytes);
        let layout = &objects.layout;
        match kind {
            Kind::Str => self.flexible(seen)?,
            Kind::Unicode2 => self.points(&objects.text(seen.addr, limits::FIND_BYTES / 4).ok()?.points),
            Kind::Str2 | Kind::Bytes => {
                let at = if kind == Kind::Str2 { &layout.str2.ob_sval } else { &layout.bytes.ob_sval }.at().ok()?;
                let length = layout.var.ob_size.get(bytes)?;
                self.data(seen, at, length)?;
                std::mem::swap(&mut self.raw, &mut self.out);
            }
            Kind::Int2 => {
                let _ = write!(self.out, "{}", layout.int.ob_ival.get(bytes)? as i64);
            }
            Kind::Int => {
                let _ = match small(objects, bytes) {
                    Some(value) => write!(self.out, "{value}"),
                    None => write!(self.out, "{}", objects.integer(seen.addr).as_ref().map(Integer::decimal).ok()?),
                };
            }
            Kind::Float => {
                let value = f64::from_bits(word(bytes, layout.float.ob_fval.at().ok()? as usize)?);
                self.out.extend_from_slice(repr_float(value).as_bytes());
            }
            _ => return None,
        }
        Some(&self.out)
    }

    fn flexible(&mut self, seen: &Seen<'_>) -> Option<()> {
        let Some(Compact { ascii, at, length, width }) = Compact::of(self.objects, seen.bytes)? else {
            let text = self.objects.text(seen.addr, limits::FIND_BYTES / 4).ok()?;
            self.points(&text.points);
            return Some(());
        };
        if !matches!(width, 1 | 2 | 4) {
            return None;
        }
        self.data(seen, at, length.checked_mul(width)?)?;
        if ascii {
            std::mem::swap(&mut self.raw, &mut self.out);
            return Some(());
        }
        let raw = std::mem::take(&mut self.raw);
        for unit in raw.chunks_exact(width as usize) {
            self.push(uint(unit, 0, width as usize).unwrap_or(0) as u32);
        }
        self.raw = raw;
        Some(())
    }

    fn points(&mut self, points: &[u32]) {
        points.iter().for_each(|point| self.push(*point));
    }

    /// Lone surrogates are no characters: U+FFFD stands for them.
    fn push(&mut self, point: u32) {
        let c = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Puts `length` bytes from `at` bytes into the object into `raw`.
    fn data(&mut self, seen: &Seen<'_>, at: u64, length: u64) -> Option<()> {
        let length = usize::try_from(length).ok()?.min(limits::FIND_BYTES);
        let Texts { beyond, raw, .. } = self;
        raw.clear();
        beyond.each(seen, at, length, &mut |piece| raw.extend_from_slice(piece))
    }
}

/// The value of an int of at most two digits.
fn small(objects: &Objects, bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = digits(objects, bytes)?;
    let at = objects.layout.long.ob_digit.at().ok()? as usize;
    let value = match digits {
        0 => 0,
        1 => uint(bytes, at, 4)?,
        2 => (uint(bytes, at + 4, 4)? << 30) + uint(bytes, at, 4)?,
        _ => return None,
    } as i64;
    Some(if negative { -value } else { value })
}

/// Reads the contents of objects that can be equal, piece by piece.
pub struct Contents<'a> {
    objects: &'a Objects,
    beyond: Beyond<'a>,
}

impl<'a> Contents<'a> {
    /// A reader for the objects of a target.
    pub fn new(objects: &'a Objects) -> Contents<'a> {
        Contents { objects, beyond: Beyond::new(objects) }
    }

    /// Calls `f` with bytes that tell the value of the object, which is of this kind, from all others of its
    /// type. `None` if it has no such bytes, or they cannot be read.
    pub fn each(&mut self, kind: Kind, seen: &Seen<'_>, f: &mut dyn FnMut(&[u8])) -> Option<()> {
        let (layout, bytes) = (&self.objects.layout, seen.bytes);
        let compact = if kind == Kind::Str { Compact::of(self.objects, bytes)? } else { None };
        let (length, width, at) = match kind {
            Kind::Str | Kind::Unicode2 if compact.is_none() => {
                let text = self.objects.text(seen.addr, limits::FIND_BYTES / 4).ok()?;
                if text.points.len() < text.len {
                    return None;
                }
                // Written as one of the compact form is, for 3.11 and older have both.
                let widest = text.points.iter().copied().max().unwrap_or(0);
                let width = match widest {
                    0..=0xff => 1,
                    0x100..=0xffff => 2,
                    _ => 4,
                };
                f(&[u8::from(widest < 0x80)]);
                f(&[width as u8]);
                f(&(text.len as u64).to_le_bytes());
                let units = text.points.iter().flat_map(|point| point.to_le_bytes().into_iter().take(width));
                f(&units.collect::<Vec<u8>>());
                return Some(());
            }
            Kind::Str | Kind::Unicode2 => {
                let Compact { ascii, at, length, width } = compact?;
                f(&[u8::from(ascii)]);
                (length, width, at)
            }
            Kind::Str2 => (layout.var.ob_size.get(bytes)?, 1, layout.str2.ob_sval.at().ok()?),
            Kind::Bytes => (layout.var.ob_size.get(bytes)?, 1, layout.bytes.ob_sval.at().ok()?),
            Kind::Tuple => (layout.var.ob_size.get(bytes)?, 8, layout.tuple.ob_item.at().ok()?),
            Kind::Float => (1, 8, layout.float.ob_fval.at().ok()?),
            Kind::Int2 => (1, 8, layout.int.ob_ival.at().ok()?),
            Kind::Int => {
                let (negative, digits) = digits(self.objects, bytes)?;
                f(&[u8::from(negative)]);
                (digits, 4, layout.long.ob_digit.at().ok()?)
            }
            _ => return None,
        };
        let size = usize::try_from(length.checked_mul(width)?).ok().filter(|size| *size < 1 << 40)?;
        f(&[width as u8]);
        f(&length.to_le_bytes());
        self.beyond.each(seen, at, size, f)
    }
}
