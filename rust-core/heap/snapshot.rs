//! A census in a file: which objects were where, and of which kinds.
//!
//! | Bytes | |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | [`VERSION`] |
//! | 4 | length of what follows |
//! | n | [`Head`] as JSON |
//! | 2 or 3 each | objects in address order: how far from the one before, and the number of its kind |
//! | 1 | 0, where the next distance would be |
//! | 8 | the number of objects |
//! | 4 | CRC-32 (IEEE) of all before it |
//!
//! Numbers are little-endian. Those of objects are LEB128: 7 bits a byte, the lowest first, the top bit
//! tells that more follow. Distances are rotated right by 3 bits: objects are aligned, and the few that are
//! not, in a damaged heap, are kept too.

use super::Census;
use crate::bytes::uint;
use crate::error::{Error, Result};
use crate::limits;
use crate::process::files::open_regular;
use crate::process::output::{file_error, replace};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How such a file begins. The first byte is none of a text.
pub const MAGIC: [u8; 8] = *b"\x89PyHeap\n";

/// The version of the format. Version 1 had types only.
pub const VERSION: u32 = 2;

/// Bytes before the head.
const BEFORE: u64 = 16;
/// Bytes after the objects: their end, their number, the checksum.
const AFTER: u64 = 1 + 8 + CHECKSUM;
const CHECKSUM: u64 = 4;

const CUT_OFF: &str = "it is cut off";

/// Objects between two questions whether to go on.
const POLL: u64 = 1 << 12;

/// What a snapshot is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    /// When it was saved, in seconds since 1970.
    pub saved: u64,
    /// The process.
    pub origin: Origin,
    /// The types.
    pub types: Vec<Type>,
    /// The kinds, by the number that objects have.
    pub kinds: Vec<Kind>,
}

impl Head {
    fn is_sound(&self) -> bool {
        self.kinds.iter().all(|kind| kind.type_number < self.types.len())
    }

    /// The type of objects of a kind of this head.
    pub fn type_of<'a>(&'a self, kind: &Kind) -> &'a Type {
        &self.types[kind.type_number]
    }
}

/// Which process it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Origin {
    /// Its process id.
    pub pid: Option<i32>,
    /// The core that it was read from.
    pub core: Option<String>,
    /// The version of Python.
    pub python: String,
    /// The build id of the image that has CPython.
    pub build_id: Option<String>,
    /// What is added to that image's addresses.
    pub bias: u64,
    /// The random number that it got when it was started.
    pub guard: Option<u64>,
}

impl Origin {
    /// Whether addresses mean the same in both: one process, or forks of one.
    pub fn is_same(&self, other: &Origin) -> bool {
        let of = |origin: &Origin| (origin.guard, origin.bias, origin.build_id.clone(), origin.python.clone());
        self.guard.is_some() && of(self) == of(other)
    }
}

/// A type.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Type {
    /// The type object.
    pub addr: u64,
    /// Its name with the module.
    pub name: String,
}

/// A kind of objects, and what was counted of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kind {
    /// The number of their type in [`Head::types`].
    #[serde(rename = "type")]
    pub type_number: usize,
    /// What they are called, if not as their type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Objects.
    pub count: u64,
    /// Bytes, as `sys.getsizeof` says.
    pub size: u64,
}

/// Writes `census` to `path`. `numbers` has at each kind's number that of the kind in `head`.
///
/// # Errors
/// [`Error::File`]; [`Error::User`] if another kind of file is there; what `go_on` says.
pub fn save(
    path: &Path,
    head: &Head,
    census: &Census,
    numbers: &[Option<u32>],
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Saved> {
    let fails = |e: std::io::Error| file_error(path, &e);
    if let Ok(mut there) = open_regular(path, u64::MAX) {
        let mut start = [0; MAGIC.len()];
        if there.metadata().is_ok_and(|meta| meta.len() > 0)
            && (there.read_exact(&mut start).is_err() || start != MAGIC)
        {
            let what =
                format!("{} is there already and is no snapshot of py-heap: it is left as it is", path.display());
            return Err(Error::User(what));
        }
    }
    let text = serde_json::to_vec(head).map_err(|e| file_error(path, &e))?;
    let length = u32::try_from(text.len()).ok().filter(|length| u64::from(*length) <= limits::SNAPSHOT_HEAD);
    let length = length.ok_or_else(|| file_error(path, &"there are too many types for a snapshot"))?;
    replace(path, |out| {
        let mut out = Summed { out, hasher: crc32fast::Hasher::new(), bytes: 0 };
        for part in [&MAGIC[..], &VERSION.to_le_bytes(), &length.to_le_bytes(), &text] {
            out.put(part).map_err(fails)?;
        }
        let (mut last, mut objects) = (0, 0u64);
        for (addr, id) in census.in_order() {
            if objects.is_multiple_of(POLL) {
                go_on()?;
            }
            // Of two that claim one place in a damaged heap the first counts.
            let number = numbers.get(census.kind_of(addr, id));
            let (Some(Some(number)), true) = (number, addr.0 > last) else { continue };
            let mut bytes = [0; 20];
            let distance = put_number(&mut bytes, (addr.0 - last).rotate_right(3));
            let length = distance + put_number(&mut bytes[distance..], u64::from(*number));
            out.put(&bytes[..length]).map_err(fails)?;
            (last, objects) = (addr.0, objects + 1);
        }
        out.put(&[0]).map_err(fails)?;
        out.put(&objects.to_le_bytes()).map_err(fails)?;
        let sum = out.hasher.clone().finalize();
        out.put(&sum.to_le_bytes()).map_err(fails)?;
        Ok(Saved { objects, bytes: out.bytes })
    })
}

/// What was written.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Saved {
    /// Objects.
    pub objects: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes, and computes the checksum of what was written.
struct Summed<'a> {
    out: &'a mut dyn Write,
    hasher: crc32fast::Hasher,
    bytes: u64,
}

impl Summed<'_> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// Writes `value` to the start of `out`; how many bytes it takes, at most 10.
fn put_number(out: &mut [u8], mut value: u64) -> usize {
    let mut length = 0;
    for byte in out {
        length += 1;
        if value < 0x80 {
            *byte = value as u8;
            break;
        }
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    length
}

/// A snapshot that is being read.
pub struct Snapshot {
    /// What it is of.
    pub head: Head,
    path: PathBuf,
    /// From the next object to the end of the objects.
    objects: std::io::Take<BufReader<File>>,
    /// Where the last object was.
    last: u64,
    /// How many there were so far.
    count: u64,
}

impl Snapshot {
    /// Opens the file at `path`. Its checksum is verified first.
    ///
    /// # Errors
    /// [`Error::File`], for everything that is no undamaged snapshot of this version; what `go_on` says.
    pub fn open(path: &Path, go_on: &dyn Fn() -> Result<()>) -> Result<Snapshot> {
        let fails = |e: std::io::Error| file_error(path, &e);
        let mut file = open_regular(path, u64::MAX).map_err(fails)?;
        let length = file.metadata().map_err(fails)?.len();
        let mut before = Vec::new();
        Read::by_ref(&mut file).take(BEFORE).read_to_end(&mut before).map_err(fails)?;
        if !before.starts_with(&MAGIC) {
            return Err(file_error(path, &"this is no snapshot of py-heap --save"));
        }
        let number = |at: usize| uint(&before, at, 4).ok_or_else(|| damaged(path, CUT_OFF));
        let (version, head) = (number(8)?, number(12)?);
        if version != u64::from(VERSION) {
            let what = format!("this snapshot has format {version}, and this pyext reads format {VERSION}");
            return Err(file_error(path, &what));
        }
        if head > limits::SNAPSHOT_HEAD || head > length.saturating_sub(BEFORE + AFTER) {
            return Err(damaged(path, CUT_OFF));
        }
        if !is_sound(path, &mut file, length, go_on)? {
            return Err(damaged(path, "its checksum does not fit"));
        }
        let mut reader = BufReader::with_capacity(1 << 16, file);
        reader.seek(SeekFrom::Start(BEFORE)).map_err(fails)?;
        let mut text = Vec::new();
        reader.by_ref().take(head).read_to_end(&mut text).map_err(fails)?;
        let head = serde_json::from_slice(&text).ok().filter(Head::is_sound);
        let head = head.ok_or_else(|| damaged(path, "its head makes no sense"))?;
        let objects = reader.take(length - BEFORE - text.len() as u64 - CHECKSUM);
        Ok(Snapshot { head, path: path.to_owned(), objects, last: 0, count: 0 })
    }

    /// The next object, in address order: where it is, and the number of its kind in [`Head::kinds`].
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn object(&mut self) -> Result<Option<(u64, usize)>> {
        let distance = self.number()?.rotate_left(3);
        if distance == 0 {
            let mut end = Vec::new();
            self.objects.read_to_end(&mut end).map_err(|e| file_error(&self.path, &e))?;
            let fits = end == self.count.to_le_bytes();
            return if fits { Ok(None) } else { Err(damaged(&self.path, "it has not as many objects as it says")) };
        }
        let kind = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let addr = self.last.checked_add(distance).filter(|_| kind < self.head.kinds.len());
        let addr = addr.ok_or_else(|| damaged(&self.path, "an object in it makes no sense"))?;
        self.last = addr;
        self.count += 1;
        Ok(Some((addr, kind)))
    }

    fn number(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = match self.objects.fill_buf().map_err(|e| file_error(&self.path, &e))?.first() {
                Some(byte) => *byte,
                None => break,
            };
            self.objects.consume(1);
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged(&self.path, "a number in it has no end"))
    }
}

/// Whether the checksum at the end of a file of `length` bytes is that of all before it.
fn is_sound(path: &Path, file: &mut File, length: u64, go_on: &dyn Fn() -> Result<()>) -> Result<bool> {
    let fails = |e: std::io::Error| file_error(path, &e);
    let mut buffer = vec![0; 1 << 16];
    let mut hasher = crc32fast::Hasher::new();
    file.rewind().map_err(fails)?;
    let mut left = length - CHECKSUM;
    while left > 0 {
        go_on()?;
        let part = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.read_exact(&mut buffer[..part]).map_err(fails)?;
        hasher.update(&buffer[..part]);
        left -= part as u64;
    }
    let mut sum = [0; CHECKSUM as usize];
    file.read_exact(&mut sum).map_err(fails)?;
    Ok(u32::from_le_bytes(sum) == hasher.finalize())
}

fn damaged(path: &Path, why: &str) -> Error {
    file_error(path, &format!("this snapshot is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::owners::{DictAt, Owners};
    use super::super::scan::{Pool, Scanned, Tally, Window};
    use super::super::sizes::Rule;
    use super::super::types::Info;
    use super::*;
    use crate::heap::loose::Loose;
    use crate::heap::types::TypeId;
    use crate::heap::window::Ids;
    use std::time::Duration;

    /// Two pools, with objects outside of them before, between and behind; one type that is not saved.
    fn census() -> Census {
        let info = |addr, before| Info {
            addr,
            flags: 0,
            basicsize: 16,
            itemsize: 0,
            least: 16,
            before,
            rule: Rule::Fixed,
            sized_as: None,
            flags_at: 0,
            dict: DictAt::Nowhere,
            is_dict: false,
        };
        let pool =
            |addr, word, object| Pool { addr, start: 48, size: 64, carved: 10, used: 10, marks: 0, word, object };
        let pools = vec![pool(0x1000, 0, 0), pool(0x4000, 1, 3)];
        let window = Window { pools, words: vec![0b10_0000_0011, 0b100], types: Ids::Narrow(vec![0, 1, 0, 2]) };
        let loose =
            [(0x800, 1), (0x2008, 0), (0x7fff_ffff_fff8, 1)].map(|(addr, id)| Loose::new(addr, TypeId(id))).to_vec();
        let types = [(0x100, 0), (0x200, 16), (0x300, 0)].map(|(addr, before)| (info(addr, before), Tally::default()));
        Census {
            types: types.to_vec(),
            scanned: Scanned { windows: vec![window], loose, ..Scanned::default() },
            owners: Owners::default(),
            time: Duration::ZERO,
        }
    }

    const EXPECTED: [(u64, usize); 6] =
        [(0x800, 0), (0x1030, 1), (0x1080, 0), (0x1270, 1), (0x2008, 1), (0x7fff_ffff_fff8, 0)];

    fn head() -> Head {
        let ty = |addr, name: &str| Type { addr, name: name.to_owned() };
        let kind = |type_number| Kind { type_number, name: None, count: 3, size: 48 };
        let python = "3.13.0".to_owned();
        let origin = Origin { pid: Some(7), core: None, python, build_id: None, bias: 0, guard: Some(9) };
        Head { saved: 1, origin, types: vec![ty(0x200, "b"), ty(0x100, "a")], kinds: vec![kind(0), kind(1)] }
    }

    fn read(path: &Path) -> Result<Vec<(u64, usize)>> {
        let mut snapshot = Snapshot::open(path, &|| Ok(()))?;
        let mut all = Vec::new();
        while let Some(one) = snapshot.object()? {
            all.push(one);
        }
        Ok(all)
    }

    /// A file in a directory that goes away with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let directory = std::env::temp_dir().join(format!("pyext-snapshot-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            Place(directory)
        }

        fn file(&self) -> PathBuf {
            self.0.join("heap")
        }

        /// The file with the census, and its bytes.
        fn saved(&self) -> Vec<u8> {
            let saved = save(&self.file(), &head(), &census(), &[Some(1), Some(0), None], &|| Ok(())).unwrap();
            let bytes = std::fs::read(self.file()).unwrap();
            assert_eq!((saved.objects, saved.bytes), (6, bytes.len() as u64));
            bytes
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_was_saved_comes_back() {
        let place = Place::new("round");
        place.saved();
        assert_eq!(read(&place.file()).unwrap(), EXPECTED);
        let found = Snapshot::open(&place.file(), &|| Ok(())).unwrap().head;
        assert!(found.origin.is_same(&head().origin) && found.types[1].name == "a");
        assert!(!Origin { guard: None, ..head().origin }.is_same(&Origin { guard: None, ..head().origin }));
        assert!(!Origin { bias: 4096, ..head().origin }.is_same(&head().origin));
    }

    #[test]
    fn numbers_of_any_size() {
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX >> 1, u64::MAX] {
            let mut bytes = [0; 20];
            let length = put_number(&mut bytes, value);
            let back = bytes[..length].iter().rev().fold(0u64, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
            assert_eq!(back, value);
            assert!(length <= 10);
        }
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let place = Place::new("damaged");
        let bytes = place.saved();
        let fails = |bytes: &[u8], words: &str| {
            std::fs::write(place.file(), bytes).unwrap();
            let why = read(&place.file()).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        };
        for length in 0..bytes.len() {
            fails(&bytes[..length], if length < MAGIC.len() { "is no snapshot" } else { "is damaged" });
        }
        for i in 0..bytes.len() {
            for bit in [0, 7] {
                let mut other = bytes.clone();
                other[i] ^= 1 << bit;
                fails(&other, ["is no snapshot", "has format", "is damaged"][(i >= 8) as usize + (i >= 12) as usize]);
            }
        }
        fails(&[&bytes[..], b"x"].concat(), "is damaged");
    }

    /// As somebody would make it who wants to do harm.
    #[test]
    fn damage_with_a_right_checksum_does_no_harm() {
        let place = Place::new("hostile");
        let bytes = place.saved();
        let sealed = |mut bytes: Vec<u8>| {
            let end = bytes.len() - CHECKSUM as usize;
            let sum = crc32fast::hash(&bytes[..end]);
            bytes[end..].copy_from_slice(&sum.to_le_bytes());
            std::fs::write(place.file(), bytes).unwrap();
            read(&place.file())
        };
        let mut refused = 0;
        for i in 8..bytes.len() - CHECKSUM as usize {
            for value in [0, 0x7f, 0x80, 0xff, b'9', b'['] {
                let mut other = bytes.clone();
                other[i] = value;
                refused += usize::from(sealed(other).is_err());
            }
        }
        assert!(refused > bytes.len());
        let start = bytes.len() - 20;
        for count in 1..200 {
            let mut other = bytes[..start].to_vec();
            other.extend(std::iter::repeat_n(0xff, count));
            assert!(sealed(other).is_err());
        }
    }

    #[test]
    fn other_files_are_not_overwritten() {
        let place = Place::new("other");
        std::fs::write(place.file(), "precious").unwrap();
        let again = || save(&place.file(), &head(), &census(), &[], &|| Ok(()));
        assert!(matches!(again(), Err(Error::User(_))));
        std::fs::write(place.file(), "").unwrap();
        again().unwrap();
        again().unwrap();
        let stopped = save(&place.file(), &head(), &census(), &[], &|| Err(Error::Interrupted));
        assert!(matches!(stopped, Err(Error::Interrupted)));
        assert_eq!(read(&place.file()).unwrap(), []);
    }
}
