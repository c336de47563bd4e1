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
    /// Directories for names that are not absolute or do not exist: the target's working
    /// directory, its `sys.path`, GDB's source directories.
    pub directories: Vec<PathBuf>,
    /// Where the target's root is (`/proc/PID/root`), and GDB's sysroot.
    pub roots: Vec<PathBuf>,
}

/// Reads source lines, each file once.
#[derive(Debug, Default)]
pub struct Sources {
    files: RefCell<HashMap<PathBuf, Option<Rc<Vec<String>>>>>,
}

impl Sources {
    /// The lines of `name`, if it can be found and read.
    pub fn lines(&self, name: &Path, places: &Places) -> Option<Rc<Vec<String>>> {
        if let Some(known) = self.files.borrow().get(name) {
            return known.clone();
        }
        let lines = candidates(name, places).iter().find_map(|path| read(path)).map(Rc::new);
        // A file that was not found is looked for again: the user may have said where it is.
        if lines.is_some() {
            self.files.borrow_mut().insert(name.to_path_buf(), lines.clone());
        }
        lines
    }

    /// Forgets all files: they may have changed, or the places to look have.
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
        all.extend(places.directories.iter().map(|dir| dir.join(path)));
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
