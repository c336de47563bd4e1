//! Files of this machine whose names come from the target: opened so that they cannot block, read so
//! that they cannot fill the memory.

use std::fs::{File, OpenOptions};
use std::io::{Error, Read, Result, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens `path` for reading if it is a regular file of at most `most` bytes.
///
/// A FIFO would block in `open`, a device may do something when it is opened, and a sparse file
/// claims any size without taking room.
///
/// # Errors
/// What the operating system says; that it is no regular file, or too large.
pub fn open_regular(path: &Path, most: u64) -> Result<File> {
    // Devices are not even opened; without blocking, because the name may lead elsewhere by now.
    if !std::fs::metadata(path)?.is_file() {
        return Err(Error::other("not a regular file"));
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Error::other("not a regular file"));
    }
    if meta.len() > most {
        return Err(Error::other("larger than any file of its kind"));
    }
    Ok(file)
}

/// A file that gives only so many bytes over all reads.
///
/// `object` keeps what it has read of a file, each range for itself: headers whose ranges overlap
/// make that any multiple of the file.
#[derive(Debug)]
pub struct Limited {
    file: File,
    left: u64,
}

impl Limited {
    /// `file`, of which `most` bytes can be read.
    pub fn new(file: File, most: u64) -> Limited {
        Limited { file, left: most }
    }
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.left = self
            .left
            .checked_sub(buffer.len() as u64)
            .ok_or_else(|| Error::other("its tables are larger than is believed"))?;
        self.file.read(buffer)
    }
}

impl Seek for Limited {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_regular_files_of_a_believable_size() {
        let directory = std::env::temp_dir().join(format!("pyext-files-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (file, fifo) = (directory.join("file"), directory.join("fifo"));
        File::create(&file).unwrap().write_all(b"12345678").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(open_regular(&file, 8).is_ok());
        assert!(open_regular(&file, 7).is_err());
        assert!(open_regular(&fifo, 1 << 20).is_err());
        assert!(open_regular(Path::new("/dev/zero"), u64::MAX).is_err());
        assert!(open_regular(&directory, u64::MAX).is_err());
        let mut limited = Limited::new(File::open(&file).unwrap(), 10);
        let mut buffer = [0; 8];
        assert!(limited.read_exact(&mut buffer).is_ok());
        limited.seek(SeekFrom::Start(0)).unwrap();
        assert!(limited.read_exact(&mut buffer).is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
