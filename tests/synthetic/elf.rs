//! A shared object with nothing in it but its headers and, where wanted, symbols: enough of a file
//! for the library to find an image whose bytes a test makes up.

/// A symbol: name and address relative to the image.
pub type Symbol<'a> = (&'a str, u64);

/// A section: name, address relative to the image, contents.
pub type Section<'a> = (&'a str, u64, &'a [u8]);

/// Where the writable segment of such a file begins, relative to the image.
pub const DATA: u64 = 0x1000;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

fn push(out: &mut Vec<u8>, values: &[(u64, usize)]) {
    for (value, width) in values {
        out.extend_from_slice(&value.to_le_bytes()[..*width]);
    }
}

fn section(out: &mut Vec<u8>, name: u64, kind: u64, place: (u64, u64, u64), link: u64, entry: u64) {
    let (address, offset, size) = place;
    let info = u64::from(kind == 11);
    push(out, &[(name, 4), (kind, 4), (2, 8), (address, 8), (offset, 8), (size, 8), (link, 4), (info, 4), (8, 8)]);
    push(out, &[(entry, 8)]);
}

/// The file: a read-only segment with the headers, a writable one of `data_size` bytes at [`DATA`].
/// Without symbols it has no section headers either, as after `sstrip`.
/// `sections`: more of them, which need symbols.
pub fn shared_object(data_size: u64, symbols: &[Symbol<'_>], sections: &[Section<'_>]) -> Vec<u8> {
    let mut strings = vec![0u8];
    let mut table = vec![0u8; 24];
    for (name, value) in symbols {
        // st_info: global object; st_shndx: any section that is not 0.
        push(&mut table, &[(strings.len() as u64, 4), (0x11, 1), (0, 1), (1, 2), (*value, 8), (8, 8)]);
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    let mut named = Vec::new();
    let mut contents = Vec::new();
    for (name, address, bytes) in sections {
        named.push((strings.len() as u64, *address, contents.len(), bytes.len() as u64));
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
        contents.extend_from_slice(bytes);
    }
    let table_at = (HEADER + 2 * PROGRAM_HEADER).next_multiple_of(8);
    let strings_at = table_at + table.len();
    let contents_at = strings_at + strings.len();
    let sections_at = (contents_at + contents.len()).next_multiple_of(8);
    let count = if symbols.is_empty() { 0 } else { 3 + named.len() as u64 };
    let table_place = if count == 0 { 0 } else { sections_at as u64 };

    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_DYN, EM_X86_64.
    push(&mut out, &[(3, 2), (62, 2), (1, 4), (0, 8), (HEADER as u64, 8), (table_place, 8), (0, 4)]);
    push(&mut out, &[(64, 2), (56, 2), (2, 2), (64, 2), (count, 2), (if count == 0 { 0 } else { 2 }, 2)]);
    for (flags, at, size) in [(4, 0, DATA), (6, DATA, data_size)] {
        push(&mut out, &[(1, 4), (flags, 4), (at, 8), (at, 8), (at, 8), (size, 8), (size, 8), (0x1000, 8)]);
    }
    out.resize(table_at, 0);
    if count > 0 {
        out.extend_from_slice(&table);
        out.extend_from_slice(&strings);
        out.extend_from_slice(&contents);
        out.resize(sections_at, 0);
        section(&mut out, 0, 0, (0, 0, 0), 0, 0);
        // SHT_DYNSYM, then the SHT_STRTAB that it names.
        section(&mut out, 0, 11, (table_at as u64, table_at as u64, table.len() as u64), 2, 24);
        section(&mut out, 0, 3, (strings_at as u64, strings_at as u64, strings.len() as u64), 0, 0);
        for (name, address, skip, size) in named {
            section(&mut out, name, 1, (address, (contents_at + skip) as u64, size), 0, 0);
        }
    }
    out
}
