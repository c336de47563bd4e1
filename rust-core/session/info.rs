//! `py-info`: what was found, from where, and how it was verified.

use super::attach::Attached;
use super::request::{Request, Response};
use super::unreadable;
use crate::error::{Error, Result};
use crate::image::elf::hex;
use crate::layout::Origin;
use crate::locate::Found;
use crate::report::model::MappedFile;
use crate::report::{model, text};

fn found(found: Found) -> &'static str {
    match found {
        Found::Symbol => "symbol",
        Found::Section => "section .PyRuntime",
        Found::Cookie => "the cookie of _Py_DebugOffsets",
        Found::Structure => "structure",
    }
}

/// Answers `py-info`. Says what it can even where no interpreter runs.
///
/// # Errors
/// None of its own.
pub fn info(attached: &Attached, request: &Request) -> Result<Response> {
    let (located, layout) = (attached.located(), attached.layout());
    let stopped = attached.stopped();
    let mut diagnostics = attached.diagnostics.all();
    match &stopped {
        Ok(stopped) => diagnostics.extend(stopped.diagnostics.all()),
        Err(e) => diagnostics.push(crate::diag::Diagnostic { what: e.to_string(), at: located.image.path.clone() }),
    }
    let runtime = stopped.as_ref().ok().map(|s| &s.runtime);
    let flavour = match (layout.rules.free_threaded, located.header) {
        (true, _) => "free-threaded",
        (false, 32) => "reference-tracing (Py_TRACE_REFS)",
        _ => "standard build",
    };
    let verbose = request.options.verbose;
    let times = &attached.times;
    let milliseconds = |d: std::time::Duration| d.as_secs_f64() * 1000.0;
    let missing_files: Vec<_> = attached.mapped_files().into_iter().filter(|f| f.file.is_none()).collect();
    let unreadable = unreadable::gaps(attached, stopped.as_deref().ok(), request, &missing_files);
    let answer = model::Info {
        version: located.version.to_string(),
        version_found: match located.version.found {
            Found::Structure => "the text of Py_GetVersion()".to_owned(),
            other => found(other).to_owned(),
        },
        flavour: flavour.to_owned(),
        image: located.image.path.clone(),
        file: located.image.file.display().to_string(),
        build_id: located.image.build_id.as_deref().map(hex),
        build_id_verified: located.image.verified,
        runtime: runtime.and_then(|r| r.addr).or(located.runtime.map(|(a, _)| a)),
        runtime_found: runtime.map(|r| r.found).or(located.runtime.map(|(_, f)| f)).map_or("nothing", found).to_owned(),
        type_type: located.type_type,
        type_type_found: found(located.type_type_found).to_owned(),
        table: layout.table.clone(),
        dwarf: layout.dwarf.as_ref().map(|f| f.display().to_string()),
        missing_files,
        unreadable,
        debug_offsets: located.has_debug_offsets,
        sources: sources(layout.fields),
        verified_sizes: layout.verified.sizes,
        verified_members: layout.verified.members,
        static_types: located.statics.all(&located.image, &attached.objects.memory).len(),
        interpreters: runtime.map_or(0, |r| r.interpreters.len()),
        threads: runtime.map_or(0, |r| r.threads.len()),
        counters: verbose.then(|| attached.objects.memory.counters()),
        milliseconds: verbose.then(|| {
            vec![
                ("finding CPython".to_owned(), milliseconds(times.locate)),
                ("debug info".to_owned(), milliseconds(times.debug_info)),
                ("layout and its verification".to_owned(), milliseconds(times.layout)),
            ]
        }),
        diagnostics,
    };
    Ok(request.respond(&answer, |answer| text::info(answer, verbose)))
}

/// Answers `py-info` where CPython was not found: why, and which files would help. With all files
/// here there is nothing to add to the error.
///
/// # Errors
/// `error` itself.
pub fn without_python(error: &Error, mapped: &[MappedFile], request: &Request) -> Result<Response> {
    let missing = mapped.iter().filter(|f| f.file.is_none()).cloned().collect::<Vec<_>>();
    let Some(gap) = unreadable::files(&missing) else { return Err(error.clone()) };
    let answer = model::NoPython { error: error.to_string(), missing_files: missing, unreadable: vec![gap] };
    Ok(request.respond(&answer, text::no_python))
}

fn sources(mut fields: crate::layout::Fields) -> Vec<model::Source> {
    let mut all: Vec<model::Source> = Vec::new();
    fields.visit(&mut |structs, _, slot| {
        let Some(field) = slot.field else { return };
        // `(2.7)` is the table's mark, not C's.
        let name = structs.first().map_or("", |name| name.trim_end_matches("(2.7)"));
        if all.last().is_none_or(|s| s.name != name) {
            all.push(model::Source { name: name.to_owned(), debug_offsets: 0, dwarf: 0, table: 0 });
        }
        let Some(source) = all.last_mut() else { return };
        match field.origin {
            Origin::DebugOffsets => source.debug_offsets += 1,
            Origin::Dwarf => source.dwarf += 1,
            Origin::Table => source.table += 1,
        }
    });
    all
}
