//! Objects in blocks that nobody can list: those of another allocator than glibc's malloc, or where malloc's chunks
//! are broken.
//!
//! They are found by who knows them: the garbage collector's lists, other objects, C variables, frames that run. What
//! is found leads on to more. An address is taken for an object if what is there can be one: its type is a type, its
//! count that of a living object, and if it claims to be in the collector's lists, it was met there. Missing are
//! objects that nobody refers to, and those that only C code holds. What their blocks take is not known.

use super::area::Area;
use super::edges::{Visitor, Ways, budget};
use super::groups::Key;
use super::holders::of;
use super::loose::Loose;
use super::pools::Pools;
use super::reader::{Reader, Share};
use super::roots;
use super::scan::{Held, Plan, Scanned, Window, Worker};
use super::statics;
use super::tables::Table;
use super::troubles::Trouble;
use super::types::{Local, TypeId, Types};
use super::walk::{LOOSE, Left, Walker};
use crate::bytes::{Addr, word};
use crate::diag::{Diagnostic, Diagnostics};
use crate::error::{Error, Result};
use crate::objects::Objects;
use crate::process::progress::Progress;
use crate::process::{Region, Source};
use crate::runtime::{Runtime, gc};
use crate::stack::walk;
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

/// Libraries that take the place of glibc's malloc, and C libraries with another one, by how their files' names begin.
const ALLOCATORS: [&str; 8] = [
    "libjemalloc.",
    "libtcmalloc.",
    "libtcmalloc_",
    "libmimalloc.",
    "libmimalloc-",
    "libsnmalloc",
    "ld-musl-",
    "libc.musl-",
];

/// Bytes of an object that are read, and what can lie before one.
const LARGE: usize = 4096;
const BEFORE: u64 = 64;
const PAGE: u64 = 4096;
/// Bytes that are read at a time, and gaps between objects that are read with them.
const RUN: usize = 1 << 18;
const GAP: u64 = 1 << 12;
/// Places that one thread takes at a time.
const UNIT: usize = 1 << 14;
/// Places that wait until they are looked at together.
const WAITING: usize = 1 << 17;
/// Rounds in which types that were new lead to more: each needs one.
const ROUNDS: usize = 1 << 16;

/// What was found where blocks cannot be listed.
#[derive(Debug, Default, Clone)]
pub struct Reached {
    /// The file of the allocator, as far as it is known.
    pub allocator: Option<String>,
    /// Whether blocks outside of pools are chunks of glibc's malloc all the same.
    pub of_glibc: bool,
    /// Objects that only the garbage collector's lists showed.
    pub listed: u64,
    /// Objects that only references showed.
    pub referenced: u64,
    /// Whether one of the collector's lists could not be followed to its end.
    pub cut: bool,
    /// Bytes of tables that could not be read, or places that were more than could be kept.
    pub missing: u64,
}

impl Reached {
    /// What is missing, for the user.
    pub(super) fn remark(&self) -> Option<Diagnostic> {
        let Reached { allocator, of_glibc, listed, referenced, cut, missing } = self;
        let why = match (allocator, of_glibc) {
            // Memory of its own is not that of objects.
            (Some(_), true) if listed + referenced == 0 => return None,
            (Some(name), _) => format!("the blocks of {name} cannot be listed"),
            (None, true) => "malloc's chunks are broken".to_owned(),
            (None, false) => "no heap of glibc's malloc was found, and blocks of others cannot be listed".to_owned(),
        };
        let and = match (cut, missing) {
            (true, _) => ", and of the collector's lists what is behind a break",
            (_, 1..) => ", and what tables refer to that could not be read",
            _ => "",
        };
        let what = format!(
            "{why}: outside of pools are those objects that the garbage collector tracks ({listed}), and those found by \
             references alone ({referenced}). What is neither is missing: what nobody refers to, and what only C code \
             holds{and}. Sizes of such blocks are not known, and count as 0"
        );
        Some(Diagnostic { what, at: allocator.clone().unwrap_or_else(|| "malloc".to_owned()) })
    }
}

/// What the scan of pools and chunks worked with.
pub(super) struct Known<'a> {
    pub pools: &'a Pools,
    pub types: &'a Types,
    pub plan: &'a Plan,
    pub key: Option<&'a Key<'a>>,
    /// Bytes that the process has.
    pub memory: u64,
    pub progress: &'a Progress,
    /// The file of an allocator that is not glibc's.
    pub allocator: Option<String>,
}

/// The file of an allocator that is not glibc's.
pub(super) fn allocator(regions: &[Region]) -> Option<String> {
    let name = |region: &Region| region.path.rsplit('/').next().unwrap_or("").to_owned();
    let all = regions.iter().filter(|region| region.executable).map(name);
    all.into_iter().find(|name| ALLOCATORS.iter().any(|known| name.starts_with(known)))
}

/// Adds to what was `scanned` the objects that lie elsewhere, where there can be any.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn complete(objects: &Objects, known: Known<'_>, reader: &Reader<'_>, scanned: &mut Scanned) -> Result<()> {
    let allocator = known.allocator.clone();
    // mimalloc's pages of free-threaded builds have all objects.
    let Some(walked) = &scanned.walked else { return Ok(()) };
    let has_heaps = walked.heaps > 0;
    if has_heaps && walked.breaks.is_empty() && allocator.is_none() {
        return Ok(());
    }
    let mut populated = objects.memory.populated();
    populated.retain(|(_, end)| *end <= Loose::END);
    let area = Area::new(&populated, &statics::data(objects));
    for one in &scanned.loose {
        area.claim(one.addr());
    }
    let ways = Ways::new(objects, known.types.from(0).iter());
    let budget = budget(&populated);
    let mut pass = Pass { known, area, ways, must_be_listed: false, budget };
    let mut reached = Reached { allocator, ..Reached::default() };
    pass.all((objects, reader), scanned, &mut reached)?;
    let alone = reached.listed + reached.referenced;
    reached.of_glibc = has_heaps && (reached.allocator.is_none() || alone == 0);
    scanned.reached = Some(reached);
    scanned.sort();
    Ok(())
}

/// Places that references lead to, each once.
struct Claims<'a> {
    pools: &'a Pools,
    area: &'a Area,
    found: Mutex<Vec<u64>>,
}

impl Claims<'_> {
    fn new<'a>(pools: &'a Pools, area: &'a Area) -> Claims<'a> {
        Claims { pools, area, found: Mutex::default() }
    }

    fn is_new(&self, addr: u64) -> bool {
        !self.pools.contains(addr) && self.area.claim(addr)
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn len(&self) -> usize {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Visitor for Claims<'_> {
    fn object(&self, _number: u32, _bytes: &[u8]) {}

    #[inline]
    fn reference(&self, _from: u32, to: u64) {
        if self.is_new(to) {
            self.found.lock().unwrap_or_else(PoisonError::into_inner).push(to);
        }
    }
}

/// What there is to do in one round.
#[derive(Default)]
struct Round {
    /// Whether the objects in pools are to be followed.
    pools: bool,
    /// Objects that are counted and are to be followed, in address order.
    counted: Vec<Loose>,
    /// What the collector's lists have, in address order.
    listed: Vec<u64>,
    /// What references lead to, in address order.
    referenced: Vec<u64>,
    /// Tables of keys that several dicts have.
    tables: Vec<Table>,
}

/// What one thread found in a round.
#[derive(Default)]
struct Met {
    /// Objects of types that were new: they are followed in the next round.
    later: Vec<Loose>,
    listed: u64,
    referenced: u64,
}

/// What the threads of all rounds share.
struct Pass<'a> {
    known: Known<'a>,
    area: Area,
    ways: Ways,
    /// Whether what says that it is in one of the collector's lists was met there.
    must_be_listed: bool,
    /// Bytes of tables that may still be read.
    budget: AtomicU64,
}

impl Pass<'_> {
    fn all(
        &mut self,
        (objects, reader): (&Objects, &Reader<'_>),
        scanned: &mut Scanned,
        reached: &mut Reached,
    ) -> Result<()> {
        let (listed, referenced) = self.roots(objects)?;
        reached.cut = !self.must_be_listed;
        let mut round = Round { pools: true, counted: scanned.loose.clone(), listed, referenced, tables: Vec::new() };
        let mut seen = HashSet::new();
        for _ in 0..ROUNDS {
            round.counted.sort_unstable();
            round.listed.sort_unstable();
            round.referenced.sort_unstable();
            let (met, left) = self.round(&round, (objects, reader), scanned)?;
            self.ways.extend(objects, self.known.types.from(self.ways.holders.len()).iter());
            reached.listed += met.listed;
            reached.referenced += met.referenced;
            reached.missing = reached.missing.saturating_add(left.missing);
            let claims = Claims::new(self.known.pools, &self.area);
            let same = left.same.into_iter().map(|(_, key)| key);
            round = Round {
                referenced: same.filter(|key| claims.is_new(*key)).collect(),
                counted: met.later,
                tables: left.shared.into_values().filter(|table| seen.insert(table.at)).collect(),
                ..Round::default()
            };
            if round.referenced.is_empty() && round.counted.is_empty() && round.tables.is_empty() {
                break;
            }
        }
        reached.missing = reached.missing.saturating_add(self.area.is_full().into());
        Ok(())
    }

    /// Places that the collector's lists have, and those that C variables and frames lead to.
    fn roots(&mut self, objects: &Objects) -> Result<(Vec<u64>, Vec<u64>)> {
        let quiet = Diagnostics::default();
        let claims = Claims::new(self.known.pools, &self.area);
        let listed = RefCell::new(Vec::new());
        let runtime = match Runtime::read(objects, &quiet) {
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            other => other.ok(),
        };
        let mut whole = false;
        if let Some(runtime) = &runtime {
            let visit = |_: &'static str, addr: Addr| {
                if claims.is_new(addr.0) {
                    listed.borrow_mut().push(addr.0);
                }
            };
            match gc::visit(objects, runtime, 0, &quiet, &visit) {
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(_) => {}
                Ok(collectors) => {
                    let is_whole = |one: &gc::Collector| {
                        let counts = one.generations.iter().map(|generation| generation.objects.as_ref());
                        let all = counts.chain(one.permanent.as_ref().map(Some));
                        one.collecting == Some(false)
                            && !one.generations.is_empty()
                            && all.into_iter().all(|count| count.is_some_and(|count| count.cut.is_none()))
                    };
                    whole = !collectors.is_empty() && collectors.iter().all(is_whole);
                }
            }
        }
        self.must_be_listed = whole;
        let mut referenced = Vec::new();
        let mut parts = statics::data(objects);
        let threads = runtime.iter().flat_map(|runtime| &runtime.threads);
        if let Ok(size) = objects.layout.tstate.size.at() {
            parts.extend(threads.clone().map(|thread| (thread.addr.0, thread.addr.0.saturating_add(size))));
        }
        roots::each_word(objects, &parts, &mut |_, word| {
            if claims.is_new(word) {
                referenced.push(word);
            }
        })?;
        for thread in threads {
            objects.memory.poll()?;
            let held =
                walk(objects, thread.addr).frames.iter().flat_map(|frame| objects.held(frame)).collect::<Vec<_>>();
            referenced.extend(held.into_iter().map(|addr| addr.0).filter(|addr| claims.is_new(*addr)));
        }
        objects.memory.poll()?;
        Ok((listed.into_inner(), referenced))
    }

    /// Looks at what a round has to do, by several threads, and at what that leads to.
    fn round(
        &self,
        round: &Round,
        (objects, reader): (&Objects, &Reader<'_>),
        scanned: &mut Scanned,
    ) -> Result<(Met, Left)> {
        let memory = &objects.memory;
        let statics = &scanned.statics[..];
        let windows = if round.pools { &scanned.windows[..] } else { &[] };
        let mut pieces = vec![Piece::Tables; usize::from(!round.tables.is_empty())];
        pieces.extend(windows.iter().map(Piece::Window));
        pieces.extend((0..round.counted.len()).step_by(LOOSE).map(Piece::Counted));
        pieces.extend(round.listed.chunks(UNIT).map(Piece::Listed));
        pieces.extend(round.referenced.chunks(UNIT).map(Piece::Referenced));
        let work = |source: &dyn Source, share: &Share<'_>| {
            let go_on = || share.goes_on();
            let claims = Claims::new(self.known.pools, &self.area);
            let mut one = Follower {
                pass: self,
                worker: self.worker(source),
                walker: Walker::new(&self.ways, &claims, source, &self.budget),
                buffer: vec![0; RUN],
                met: Met::default(),
            };
            while let Some(piece) = share.next().and_then(|number| pieces.get(number)) {
                match *piece {
                    Piece::Tables => one.walker.add(round.tables.iter().copied()),
                    Piece::Window(window) => one.walker.window(window, 0),
                    Piece::Counted(first) => one.walker.loose(&round.counted, first, 0, statics),
                    Piece::Listed(listed) => one.look(listed, true, &go_on),
                    Piece::Referenced(referenced) => one.look(referenced, false, &go_on),
                }
                if one.walker.is_full() {
                    one.walker.rest(&go_on);
                }
                if claims.len() >= WAITING {
                    one.look_at(claims.take(), &go_on);
                }
            }
            loop {
                one.walker.rest(&go_on);
                let found = claims.take();
                if found.is_empty() || !go_on() {
                    break;
                }
                one.look_at(found, &go_on);
            }
            let Follower { worker, walker, met, .. } = one;
            (worker.finish(&go_on), walker.into_left(), met)
        };
        let made = reader.share(pieces.len(), &work, &|| memory.poll().is_ok());
        memory.poll()?;
        let (mut met, mut left) = (Met::default(), Left::default());
        for (part, more, one) in made.parts {
            scanned.add(part);
            left.add(more);
            met.later.extend(one.later);
            met.listed += one.listed;
            met.referenced += one.referenced;
        }
        Ok((met, left))
    }

    fn worker<'s>(&'s self, source: &'s dyn Source) -> Worker<'s> {
        let Known { pools, types, plan, key, memory, .. } = &self.known;
        Worker::new((pools, plan), *key, Local::new(types, pools, source), source, *memory)
    }
}

/// What one thread looks at in one go.
#[derive(Clone, Copy)]
enum Piece<'a> {
    /// The tables that are left of the round before.
    Tables,
    Window(&'a Window),
    /// So many of the counted ones, from this one on.
    Counted(usize),
    Listed(&'a [u64]),
    Referenced(&'a [u64]),
}

/// One thread of a round.
struct Follower<'a> {
    pass: &'a Pass<'a>,
    worker: Worker<'a>,
    walker: Walker<'a, Claims<'a>>,
    buffer: Vec<u8>,
    met: Met,
}

impl Follower<'_> {
    fn look_at(&mut self, mut places: Vec<u64>, go_on: &dyn Fn() -> bool) {
        places.sort_unstable();
        self.look(&places, false, go_on);
    }

    /// Counts the objects at `places`, which are in address order, and follows them.
    fn look(&mut self, places: &[u64], listed: bool, go_on: &dyn Fn() -> bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut found = 0;
        let mut i = 0;
        while let Some(first) = places.get(i).copied().filter(|_| go_on()) {
            let last = |places: &[u64], i: usize| places.get(i).copied().unwrap_or(u64::MAX);
            let mut start = first.saturating_sub(BEFORE);
            let mut after = i + 1;
            while after < places.len()
                && last(places, after) - last(places, after - 1) <= GAP
                && last(places, after).saturating_add(LARGE as u64) - start <= RUN as u64
            {
                after += 1;
            }
            let length = (last(places, after - 1) - start) as usize + LARGE;
            let mut have = self.worker.source.read_some(start, &mut buffer[..length]);
            if have as u64 <= first - start {
                // What is before it may be in a page that is not there.
                start = start.max(first / PAGE * PAGE);
                have = self.worker.source.read_some(start, &mut buffer[..length]);
            }
            let begun = i;
            while i < after && places[i] - start < have as u64 {
                let at = (places[i] - start) as usize;
                found += u64::from(self.one(places[i], &buffer[..have.min(at + LARGE)], at, listed));
                i += 1;
            }
            // Behind a gap it goes on; what cannot be read is no object.
            i = i.max(begun + 1);
        }
        self.buffer = buffer;
        let sum = if listed { &mut self.met.listed } else { &mut self.met.referenced };
        *sum += found;
        self.pass.known.progress.add_objects(found);
    }

    /// Counts what is at `addr`, `at` bytes into `bytes`, if it is an object.
    fn one(&mut self, addr: u64, bytes: &[u8], at: usize, listed: bool) -> bool {
        let room = self.pass.area.end(addr).saturating_sub(addr);
        let expected = !listed && self.pass.must_be_listed;
        let Some((id, before)) = self.worker.referenced(addr, (bytes, at), room, (listed, expected)) else {
            if listed {
                self.worker.part.troubles.note(Trouble::Untyped, addr);
            }
            return false;
        };
        if of(&self.pass.ways.holders, id).is_some() {
            self.walker.object(0, id, addr - before as u64, &bytes[at - before..], true);
        } else {
            self.met.later.push(Loose::new(addr, id));
        }
        true
    }
}

impl Worker<'_> {
    /// Counts the object at `addr`, which is `at` bytes into `bytes`, if there can be one with `room` bytes; its type,
    /// and what lies before it. One that says that it is in the collector's lists is none if it should have been met
    /// there.
    fn referenced(
        &mut self,
        addr: u64,
        (bytes, at): (&[u8], usize),
        room: u64,
        (listed, must_be_listed): (bool, bool),
    ) -> Option<(TypeId, usize)> {
        let object = bytes.get(at..)?;
        let pointer = word(object, self.plan.type_place())?;
        if !self.plan.alive(object) {
            return None;
        }
        let id = self.local.get(pointer)?;
        let info = *self.local.info(id)?;
        let before = info.before as usize;
        let block = bytes.get(at.checked_sub(before)?..)?;
        if self.doubtful(object) && !self.linked(addr, block, before)
            || self.plan.sizes.least(&info) > room
            || must_be_listed && info.has_gc() && self.plan.tracked(block, before)
        {
            return None;
        }
        if !listed {
            let waiting = self.part.pending.len();
            let size = self.plan.sizes.size((id, &info), addr, object, room, &mut self.part.pending);
            self.part.pending.truncate(waiting);
            if size > self.memory {
                return None;
            }
        }
        self.count(id, (addr - before as u64, before), block, (room, Held::Unknown));
        self.part.loose.push(Loose::new(addr, id));
        Some((id, before))
    }
}
