//! Files of bytes in memory: ELF files with sections, cores with notes. The bytes are this file's
//! own, from the ELF specification.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};

/// A file that exists only in memory, with a path to open it by.
pub struct MemoryFile(File);

impl MemoryFile {
    /// A file with these contents.
    pub fn new(bytes: &[u8]) -> MemoryFile {
        // SAFETY: the name is a C string; the call touches nothing else.
        let descriptor = unsafe { libc::memfd_create(c"fuzzing".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(descriptor >= 0, "a file in memory can be made");
        // SAFETY: the descriptor is open, and nobody else has it.
        let mut file = unsafe { File::from_raw_fd(descriptor) };
        file.write_all(bytes).expect("memory can be written");
        MemoryFile(file)
    }

    /// Makes it this long, without taking room.
    #[cfg(test)]
    pub fn extend(&self, size: u64) {
        self.0.set_len(size).expect("the file grows");
    }

    /// Where it can be opened in this process.
    pub fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }
}

fn push(out: &mut Vec<u8>, values: &[(u64, usize)]) {
    for (value, width) in values {
        out.extend_from_slice(&value.to_le_bytes()[..*width]);
    }
}

fn header(kind: u64, programs: (u64, u64), sections: (u64, u64), names: u64) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // EM_X86_64; entry, flags.
    push(&mut out, &[(kind, 2), (62, 2), (1, 4), (0, 8), (programs.0, 8), (sections.0, 8), (0, 4)]);
    push(&mut out, &[(64, 2), (56, 2), (programs.1, 2), (64, 2), (sections.1, 2), (names, 2)]);
    out
}

/// A section to be made: name, type, address, contents.
pub type Section<'a> = (&'a str, u64, u64, &'a [u8]);

/// A shared object whose one segment is the file itself, with these sections. Notes get a program
/// header of their own.
pub fn shared_object(sections: &[Section<'_>]) -> Vec<u8> {
    const NOTE: u64 = 7;
    const STRINGS: u64 = 3;
    let mut names = vec![0u8];
    let mut body = Vec::new();
    let mut table = vec![0u8; 64];
    let mut notes = Vec::new();
    // The ELF header and two program headers come first.
    let start = 64 + 2 * 56;
    let all = sections.iter().copied().chain([(".shstrtab", STRINGS, 0, &[][..])]);
    for (name, kind, address, contents) in all {
        while body.len() % 8 != 0 {
            body.push(0);
        }
        let (at, name_at) = (start + body.len() as u64, names.len() as u64);
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        let contents = if name == ".shstrtab" { names.clone() } else { contents.to_vec() };
        body.extend_from_slice(&contents);
        let size = contents.len() as u64;
        if kind == NOTE {
            notes = vec![(4, 4), (4, 4), (at, 8), (at, 8), (at, 8), (size, 8), (size, 8), (4, 8)];
        }
        let address = if address == 0 { at } else { address };
        // A symbol table is followed by its strings.
        let (link, entry) = if kind == 11 || kind == 2 { (table.len() as u64 / 64 + 1, 24) } else { (0, 0) };
        push(&mut table, &[(name_at, 4), (kind, 4), (2, 8), (address, 8), (at, 8), (size, 8), (link, 4), (1, 4)]);
        push(&mut table, &[(1, 8), (entry, 8)]);
    }
    while body.len() % 8 != 0 {
        body.push(0);
    }
    let count = table.len() as u64 / 64;
    let size = start + body.len() as u64 + table.len() as u64;
    let mut out = header(3, (64, 2), (start + body.len() as u64, count), count - 1);
    push(&mut out, &[(1, 4), (7, 4), (0, 8), (0, 8), (0, 8), (size, 8), (size, 8), (0x1000, 8)]);
    if notes.is_empty() {
        notes = vec![(0, 4), (0, 4), (0, 8), (0, 8), (0, 8), (0, 8), (0, 8), (0, 8)];
    }
    push(&mut out, &notes);
    out.extend_from_slice(&body);
    out.extend_from_slice(&table);
    out
}

/// A note, as kernels write it.
pub fn note(out: &mut Vec<u8>, name: &[u8], kind: u64, contents: &[u8]) {
    push(out, &[(name.len() as u64, 4), (contents.len() as u64, 4), (kind, 4)]);
    for part in [name, contents] {
        out.extend_from_slice(part);
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// A mapped file, as `NT_FILE` has it: first address, end, offset in pages, path.
pub type MappedFile = (u64, u64, u64, String);

/// The notes of a core with these threads and files.
pub fn core_notes(threads: &[u32], files: &[MappedFile]) -> Vec<u8> {
    let mut out = Vec::new();
    for thread in threads {
        // struct elf_prstatus: pr_pid at 32.
        let mut status = vec![0u8; 336];
        status[32..36].copy_from_slice(&thread.to_le_bytes());
        note(&mut out, b"CORE\0", 1, &status);
    }
    let mut auxiliary = Vec::new();
    push(&mut auxiliary, &[(6, 8), (4096, 8), (9, 8), (files.first().map_or(0, |f| f.0), 8), (0, 8), (0, 8)]);
    note(&mut out, b"CORE\0", 6, &auxiliary);
    let mut table = Vec::new();
    push(&mut table, &[(files.len() as u64, 8), (4096, 8)]);
    for (start, end, offset, _) in files {
        push(&mut table, &[(*start, 8), (*end, 8), (*offset, 8)]);
    }
    for (_, _, _, path) in files {
        table.extend_from_slice(path.as_bytes());
        table.push(0);
    }
    note(&mut out, b"CORE\0", 0x4649_4c45, &table);
    out
}

/// A core: its notes, and what it saved: (address, bytes, size in memory).
pub fn core(notes: &[u8], saved: &[(u64, &[u8], u64)]) -> Vec<u8> {
    let count = saved.len() as u64 + 1;
    let mut at = 64 + 56 * count;
    let mut out = header(4, (64, count), (0, 0), 0);
    let size = notes.len() as u64;
    push(&mut out, &[(4, 4), (0, 4), (at, 8), (0, 8), (0, 8), (size, 8), (size, 8), (4, 8)]);
    at += size;
    for (start, bytes, memory) in saved {
        let size = bytes.len() as u64;
        push(&mut out, &[(1, 4), (6, 4), (at, 8), (*start, 8), (0, 8), (size, 8), (*memory, 8), (0x1000, 8)]);
        at += size;
    }
    out.extend_from_slice(notes);
    saved.iter().for_each(|(_, bytes, _)| out.extend_from_slice(bytes));
    out
}

/// A build id's note.
pub fn build_id() -> Vec<u8> {
    let mut out = Vec::new();
    note(&mut out, b"GNU\0", 3, &[0x5a; 20]);
    out
}

/// An unsigned LEB128.
fn leb(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Code, tag, children, then (attribute, form) pairs.
type Abbreviation<'a> = (u64, u64, u8, &'a [(u64, u64)]);

/// `.debug_abbrev`, `.debug_info` and `.debug_str` of one unit of DWARF 4: a struct with three
/// members (one of them a nested struct, one a bit field), a typedef of it, an array.
pub fn debug_info() -> [Vec<u8>; 3] {
    let mut abbrev = Vec::new();
    let table: &[Abbreviation<'_>] = &[
        (1, 0x11, 1, &[(0x03, 0x0e)]),
        (2, 0x24, 0, &[(0x03, 0x0e), (0x0b, 0x0b)]),
        (3, 0x13, 1, &[(0x03, 0x0e), (0x0b, 0x0b), (0x01, 0x13)]),
        (4, 0x0d, 0, &[(0x03, 0x0e), (0x49, 0x13), (0x38, 0x0b)]),
        (5, 0x0d, 0, &[(0x03, 0x0e), (0x49, 0x13), (0x0d, 0x0b), (0x6b, 0x0b)]),
        (6, 0x16, 0, &[(0x03, 0x0e), (0x49, 0x13)]),
        (7, 0x01, 1, &[(0x49, 0x13)]),
        (8, 0x21, 0, &[(0x37, 0x0b)]),
        (9, 0x0f, 0, &[(0x49, 0x13)]),
    ];
    for (code, tag, children, attributes) in table {
        leb(&mut abbrev, *code);
        leb(&mut abbrev, *tag);
        abbrev.push(*children);
        for (name, form) in *attributes {
            leb(&mut abbrev, *name);
            leb(&mut abbrev, *form);
        }
        abbrev.extend_from_slice(&[0, 0]);
    }
    abbrev.push(0);

    let mut strings = vec![0u8];
    let mut string = |text: &str| {
        let at = strings.len() as u64;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    // Length, version, abbreviations, address size: 11 bytes, filled in at the end.
    let mut info = vec![0u8; 11];
    let mut starts: Vec<u64> = Vec::new();
    let mut entry = |info: &mut Vec<u8>, code: u64, values: &[(u64, usize)]| {
        starts.push(info.len() as u64);
        info.push(code as u8);
        push(info, values);
        info.len() as u64
    };
    let (int, object, typedef) = (string("int"), string("_object"), string("PyObject"));
    let (count, kind, var) = (string("ob_refcnt"), string("ob_type"), string("PyVarObject"));
    let (base, bits, size) = (string("ob_base"), string("bits"), string("ob_size"));
    entry(&mut info, 1, &[(object, 4)]);
    let int_at = info.len() as u64;
    entry(&mut info, 2, &[(int, 4), (8, 1)]);
    let pointer_at = info.len() as u64;
    entry(&mut info, 9, &[(int_at, 4)]);
    let object_at = info.len() as u64;
    entry(&mut info, 3, &[(object, 4), (16, 1), (0, 4)]);
    entry(&mut info, 4, &[(count, 4), (int_at, 4), (0, 1)]);
    entry(&mut info, 4, &[(kind, 4), (pointer_at, 4), (8, 1)]);
    info.push(0);
    let sibling = info.len() as u64;
    info[object_at as usize + 6..object_at as usize + 10].copy_from_slice(&(sibling as u32).to_le_bytes());
    entry(&mut info, 6, &[(typedef, 4), (object_at, 4)]);
    let array_at = info.len() as u64;
    entry(&mut info, 7, &[(int_at, 4)]);
    entry(&mut info, 8, &[(3, 1)]);
    info.push(0);
    let var_at = info.len() as u64;
    entry(&mut info, 3, &[(var, 4), (40, 1), (0, 4)]);
    entry(&mut info, 4, &[(base, 4), (object_at, 4), (0, 1)]);
    entry(&mut info, 5, &[(bits, 4), (int_at, 4), (3, 1), (130, 1)]);
    entry(&mut info, 4, &[(size, 4), (array_at, 4), (24, 1)]);
    info.push(0);
    let end = info.len() as u32;
    info[var_at as usize + 6..var_at as usize + 10].copy_from_slice(&end.to_le_bytes());
    info.push(0);
    let length = info.len() as u32 - 4;
    info[..4].copy_from_slice(&length.to_le_bytes());
    info[4..6].copy_from_slice(&4u16.to_le_bytes());
    info[10] = 8;
    [abbrev, info, strings]
}

/// `.eh_frame_hdr` and `.eh_frame` at these addresses, of functions of 256 bytes: where each begins, and
/// the bytes of its frame.
pub fn unwind_tables(header_at: u64, frame_at: u64, functions: &[(u64, u64)]) -> [Vec<u8>; 2] {
    let mut frame = Vec::new();
    // CIE: version 1, "zR", alignments 1 and -8, return address in 16, pcrel sdata4;
    // DW_CFA_def_cfa r7 8, DW_CFA_offset r16 1, padding.
    push(&mut frame, &[(20, 4), (0, 4), (1, 1)]);
    frame.extend_from_slice(b"zR\0\x01\x78\x10\x01\x1b\x0c\x07\x08\x90\x01\0\0");
    let mut header = vec![1, 0x1b, 0x03, 0x3b];
    push(&mut header, &[(frame_at.wrapping_sub(header_at + 4), 4), (functions.len() as u64, 4)]);
    for (start, size) in functions {
        let entry = frame.len() as u64;
        push(&mut header, &[(start.wrapping_sub(header_at), 4), ((frame_at + entry).wrapping_sub(header_at), 4)]);
        push(&mut frame, &[(20, 4), (entry + 4, 4)]);
        let from = start.wrapping_sub(frame_at + frame.len() as u64);
        // DW_CFA_advance_loc 1, DW_CFA_def_cfa_offset.
        push(&mut frame, &[(from, 4), (256, 4), (0, 1), (0x41, 1), (0x0e, 1)]);
        push(&mut frame, &[(size & 0x7f | 0x80, 1), (size >> 7, 1), (0, 3)]);
    }
    [header, frame]
}
