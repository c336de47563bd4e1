//! Snapshots of heaps: files that a user names, and may have from anybody.

use super::files::MemoryFile;
use pyext::heap::snapshot::{Head, Kind, MAGIC, Origin, Snapshot, VERSION};
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
        assert!(addr > last && kind < snapshot.head.types.len());
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
    let kind = |addr, name: &str| Kind { addr, name: name.to_owned(), count: 2, size: 96 };
    let whole = |types: Vec<Kind>, objects: &[u8], count: u64| {
        let head = serde_json::to_vec(&Head { saved: 1, origin: origin(), types }).expect("it can be written");
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
    vec![whole(Vec::new(), &[], 0), whole(vec![kind(0x100, "int"), kind(0x200, "__main__.Node")], &objects, 4)]
}
