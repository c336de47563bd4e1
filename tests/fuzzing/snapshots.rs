//! Snapshots of heaps: files that a user names, and may have from anybody.

use super::files::MemoryFile;
use pyext::heap::snapshot::{Head, Kind, MAGIC, Origin, Snapshot, Type, VERSION};
use std::path::Path;

/// Reads the snapshot to its end, with its checksum as it is and with one that fits.
pub fn snapshot(data: &[u8]) {
    read(data);
    if let Some(rest) = data.len().checked_sub(4) {
        let mut sealed = data[..rest].to_vec();
        sealed.extend_from_slice(&crc32fast::hash(&sealed).to_le_bytes());
        read(&sealed);
    }
}

fn read(data: &[u8]) {
    let file = MemoryFile::new(data);
    let Ok(mut snapshot) = Snapshot::open(Path::new(&file.path()), &|| Ok(())) else { return };
    let mut last = 0;
    while let Ok(Some((addr, kind))) = snapshot.object() {
        assert!(addr > last);
        let _ = snapshot.head.type_of(&snapshot.head.kinds[kind]);
        last = addr;
    }
}

/// Small valid snapshots.
#[cfg(test)]
pub fn seeds() -> Vec<Vec<u8>> {
    let origin = || Origin {
        pid: Some(7),
        core: None,
        python: "3.13.0".to_owned(),
        build_id: Some("0123".to_owned()),
        bias: 1 << 40,
        guard: Some(u64::MAX),
    };
    let ty = |addr, name: &str| Type { addr, name: name.to_owned() };
    let kind =
        |type_number, name: Option<&str>| Kind { type_number, name: name.map(str::to_owned), count: 2, size: 96 };
    let whole = |types, kinds, objects: &[u8], count: u64| {
        let head = serde_json::to_vec(&Head { saved: 1, origin: origin(), types, kinds }).expect("it can be written");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(objects);
        bytes.push(0);
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes
    };
    let objects = [0x80, 0x80, 0x80, 0x08, 0, 2, 1, 4, 0, 0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 1];
    let types = vec![ty(0x100, "int"), ty(0x200, "__main__.Node"), ty(0x300, "dict")];
    let kinds = vec![kind(0, None), kind(2, Some("dict of __main__.Node")), kind(1, None)];
    vec![whole(Vec::new(), Vec::new(), &[], 0), whole(types, kinds, &objects, 4)]
}
