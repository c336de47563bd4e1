//! The only files that this library writes: those that the user names. Whole, or not at all.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What went wrong with the file at `path`.
pub fn file_error(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::File { path: path.display().to_string(), why: why.to_string() }
}

/// A file that is not there yet under its name; dropped, it is gone.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes the file at `path` what `write` writes. Until all of it is on the disk, the old file stays what it
/// was; through a link, the file that it leads to is meant.
///
/// # Errors
/// [`Error::File`]; what `write` says.
pub fn replace<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let failed = |e: std::io::Error| file_error(path, &e);
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&target).is_ok_and(|meta| !meta.is_file()) {
        return Err(file_error(path, &"not a regular file"));
    }
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let other = directory.join(format!(".pyext-{}-{stamp:x}", std::process::id()));
    let file = File::create_new(&other).map_err(failed)?;
    let unfinished = Unfinished(other);
    let mut out = BufWriter::with_capacity(1 << 16, file);
    let result = write(&mut out)?;
    let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
    file.sync_all().map_err(failed)?;
    fs::rename(&unfinished.0, &target).map_err(failed)?;
    // The new name too; not every file system can.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_failure_leaves_what_was_there() {
        let directory = std::env::temp_dir().join(format!("pyext-output-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (file, link) = (directory.join("file"), directory.join("link"));
        symlink(&file, &link).unwrap();
        let put = |text: &'static str| {
            move |out: &mut dyn Write| {
                out.write_all(text.as_bytes()).unwrap();
                Ok(())
            }
        };
        replace(&file, put("one")).unwrap();
        replace(&link, put("two")).unwrap();
        let fails = |out: &mut dyn Write| {
            out.write_all(b"three").unwrap();
            Err::<(), _>(Error::Interrupted)
        };
        assert!(matches!(replace(&file, fails), Err(Error::Interrupted)));
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert!(link.is_symlink());
        assert!(replace(Path::new("/dev/full"), put("x")).is_err());
        assert!(replace(&directory, put("x")).is_err());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
        fs::remove_dir_all(&directory).unwrap();
    }
}
