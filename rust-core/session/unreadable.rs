//! What of this target could not be read, and what the user can do about it: the end of `py-info`.
//!
//! Not here: what was noticed on the way, which rides along with every answer as diagnostics.

use super::attach::{Attached, Stopped};
use super::request::Request;
use crate::image::elf::hex;
use crate::report::model::{Gap, MappedFile};
use std::collections::BTreeSet;

/// Names that a sentence lists before it says how many more there are.
const LISTED: usize = 5;

/// Everything that is missing, each with its remedy.
pub fn gaps(
    attached: &Attached,
    stopped: Option<&Stopped>,
    request: &Request,
    missing_files: &[MappedFile],
) -> Vec<Gap> {
    let mut all = Vec::new();
    all.extend(debug_info(attached));
    all.extend(files(missing_files));
    if let Some(stopped) = stopped {
        all.extend(collection(stopped));
        all.extend(stacks(attached, stopped));
        all.extend(sources(attached, stopped, request));
    }
    all
}

/// Without DWARF everything comes from tables, and static functions have no names.
fn debug_info(attached: &Attached) -> Option<Gap> {
    if attached.layout().dwarf.is_some() {
        return None;
    }
    let image = &attached.located().image;
    let path = &image.path;
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut remedy = String::new();
    if path.starts_with("/usr/bin/") || path.starts_with("/usr/lib/") {
        let package = name.trim_start_matches("lib").split(".so").next().unwrap_or(name);
        remedy.push_str(&format!(
            "Debian and Ubuntu: package {package}-dbg (or -dbgsym); Fedora: debuginfo-install {package}. "
        ));
    }
    match image.build_id.as_deref().map(hex) {
        Some(id) if id.len() > 2 => remedy.push_str(&format!(
            "Its file is .build-id/{}/{}.debug below a debug-file-directory.",
            &id[..2],
            &id[2..]
        )),
        _ => remedy.push_str("This image has no build id: only an unstripped copy of the same file would do."),
    }
    Some(Gap { what: format!("debug info of {path}: offsets come from elsewhere (above)"), remedy })
}

/// Mapped files that are not on this machine, or are other builds here.
pub fn files(missing: &[MappedFile]) -> Option<Gap> {
    let missing: Vec<String> = missing
        .iter()
        .map(|f| format!("{} (build id {})", f.path, f.build_id.as_deref().unwrap_or("not known")))
        .collect();
    (!missing.is_empty()).then(|| Gap {
        what: format!(
            "{} mapped file(s) that are not here as they were mapped: {}",
            missing.len(),
            listed(missing.iter().map(String::as_str))
        ),
        remedy: "Where the target ran, `py-info --collect FILES.tar` packs them. Unpack that into DIR and type \
                 `set sysroot DIR`; or copy them there with their folders."
            .into(),
    })
}

fn collection(stopped: &Stopped) -> Option<Gap> {
    let known = stopped.runtime.interpreters.iter().any(|i| i.collecting.is_some());
    (!known).then(|| Gap {
        what: "whether garbage is being collected: a static variable that nothing in this image leads to".into(),
        remedy: "Its debug info, or an unstripped copy of the image, would show it.".into(),
    })
}

/// Python stacks that end before their end.
fn stacks(attached: &Attached, stopped: &Stopped) -> Option<Gap> {
    let cut: Vec<String> = (stopped.runtime.threads.iter())
        .filter_map(|thread| {
            let why = stopped.stack(&attached.objects, thread.addr).cut.clone()?;
            Some(format!("thread id 0x{:x} ({why})", thread.thread_id))
        })
        .collect();
    (!cut.is_empty()).then(|| Gap {
        what: format!("the whole stack of {} thread(s): {}", cut.len(), listed(cut.iter().map(String::as_str))),
        remedy: "What was read of them is shown. If the process lives, stop it elsewhere or write another core.".into(),
    })
}

/// Source files of the frames that there are.
fn sources(attached: &Attached, stopped: &Stopped, request: &Request) -> Option<Gap> {
    let places = attached.places(&request.places(), &stopped.runtime.search_path(&attached.objects));
    let mut missing = BTreeSet::new();
    for thread in &stopped.runtime.threads {
        for frame in &stopped.stack(&attached.objects, thread.addr).frames {
            let Some(file) = frame.code.as_ref().ok().and_then(|code| code.file.as_ref()) else { continue };
            let name = file.plain();
            if !name.starts_with('<') && attached.sources.lines(&file.to_path(), &places).is_none() {
                missing.insert(name);
            }
        }
    }
    (!missing.is_empty()).then(|| Gap {
        what: format!("{} source file(s): {}", missing.len(), listed(missing.iter().map(String::as_str))),
        remedy: "`directory DIR` or `set substitute-path FROM TO` tells where they are.".into(),
    })
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let mut text = names.take(LISTED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(", and {more} more"));
    }
    text
}
