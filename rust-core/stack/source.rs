//! Source files on this machine, found from the names that the target has.

use crate::limits;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where to look for files that the target names.
#[derive(Debug, Default, Clone)]
pub struct Places {
    /// What replaces the front of a path (GDB's `set substitute-path`).
    pub substitute: Vec<(String, String)>,
    /// GDB's source directories: for names that are not absolute, and for the last part of those
    /// that do not exist.
    pub directories: Vec<PathBuf>,
    /// The target's working directory and `sys.path`: for names that are not absolute only. Another
    /// file of the same name there is another file.
    pub search_path: Vec<PathBuf>,
    /// Where the target's root is (`/proc/PID/root`), and GDB's sysroot.
    pub roots: Vec<PathBuf>,
}

/// Reads source lines, each file once.
#[derive(Debug, Default)]
pub struct Sources {
    files: RefCell<HashMap<PathBuf, Rc<Vec<String>>>>,
}

impl Sources {
    /// The lines of `name`, if it can be found and read. Where to look may change between two
    /// calls, so only what was read is remembered.
    pub fn lines(&self, name: &Path, places: &Places) -> Option<Rc<Vec<String>>> {
        candidates(name, places).into_iter().find_map(|path| {
            if let Some(known) = self.files.borrow().get(&path) {
                return Some(Rc::clone(known));
            }
            let lines = Rc::new(read(&path)?);
            self.files.borrow_mut().insert(path, Rc::clone(&lines));
            Some(lines)
        })
    }

    /// Forgets all files: they may have changed.
    pub fn clear(&self) {
        self.files.borrow_mut().clear();
    }
}

fn candidates(path: &Path, places: &Places) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let text = path.to_str().unwrap_or("");
    // CPython's own names for code without a file: <string>, <stdin>, <frozen …>.
    if path.as_os_str().is_empty() || text.starts_with('<') && text.ends_with('>') {
        return all;
    }
    for (from, to) in &places.substitute {
        if let Some(rest) = text.strip_prefix(from.as_str())
            && (rest.is_empty() || rest.starts_with('/') || from.ends_with('/'))
        {
            all.push(PathBuf::from(format!("{to}{rest}")));
        }
    }
    if path.is_absolute() {
        let inside = path.strip_prefix("/").unwrap_or(path);
        all.extend(places.roots.iter().map(|root| root.join(inside)));
        all.push(path.to_owned());
        if let Some(base) = path.file_name() {
            all.extend(places.directories.iter().map(|dir| dir.join(base)));
        }
    } else {
        all.extend(places.search_path.iter().chain(&places.directories).map(|dir| dir.join(path)));
    }
    all
}

fn read(path: &Path) -> Option<Vec<String>> {
    // The name comes from the target: it may be a device, a pipe, or a file of the kernel that has
    // no end and says that it has no size.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.len() == 0 || meta.len() > limits::SOURCE_FILE {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(limits::SOURCE_FILE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}
