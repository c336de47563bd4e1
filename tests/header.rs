//! The committed C header: it is the one that the build generates, and C and C++ compilers take it
//! without a warning.

use std::path::{Path, PathBuf};
use std::process::Command;

const COMMITTED: &str = include_str!("../include/pyext.h");

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include/pyext.h")
}

/// What build.rs wrote for the build of this test: cargo tells a build script's directory to the
/// package itself only, so it is looked for next to the test.
fn generated() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    let profile = test.ancestors().nth(2).expect("the test lies in deps of the profile's directory");
    let build = profile.join("build");
    let headers = std::fs::read_dir(&build).unwrap_or_else(|e| panic!("{}: {e}", build.display()));
    headers
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("pyext-"))
        .map(|entry| entry.path().join("out/pyext.h"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .unwrap_or_else(|| panic!("no build of pyext in {} has written pyext.h", build.display()))
        .1
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = generated();
    let text = std::fs::read_to_string(&path).expect("the generated header can be read");
    let difference = text.lines().zip(COMMITTED.lines()).find(|(new, old)| new != old);
    assert!(
        text == COMMITTED,
        "include/pyext.h is not {}: run `make header`. First difference: {difference:?}",
        path.display()
    );
}

fn compile(compiler: &str, language: &str, standard: &str, source: &str) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join(format!("header-{compiler}-{}.{language}", std::process::id()));
    let source = format!("#include \"{}\"\n#include \"{}\"\n{source}", committed().display(), committed().display());
    std::fs::write(&file, source).expect("the source is written");
    let output = Command::new(compiler)
        .args(["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", standard])
        .arg(&file)
        .output()
        .unwrap_or_else(|e| panic!("this test needs {compiler}: {e}"));
    let _ = std::fs::remove_file(&file);
    assert!(output.status.success(), "{compiler} {standard}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Uses everything that the header declares.
const USE: &str = r#"
static int32_t on_read(void *context, uint64_t address, uint8_t *buffer, uint64_t length) {
  (void)context; (void)address; (void)buffer; (void)length;
  return PYEXT_OK;
}
static int32_t on_poll(void *context, uint64_t objects, uint64_t bytes) {
  (void)context; (void)objects; (void)bytes;
  return PYEXT_OK;
}

int use(void);
int use(void) {
  static const uint8_t text[] = {'{', '}'};
  pyext_host host;
  pyext_buffer buffer;
  uint64_t session = 0;
  pyext_status status;
  host.context = NULL;
  host.read = on_read;
  host.poll = on_poll;
  if (pyext_abi_version() != PYEXT_ABI_VERSION) return 1;
  status = pyext_session_open(text, sizeof text, &host, &session);
  if (status == PYEXT_OK) status = pyext_query(session, text, sizeof text, &buffer);
  switch (status) {
    case PYEXT_USER: case PYEXT_TARGET: case PYEXT_INTERRUPTED: case PYEXT_REQUEST: case PYEXT_BUSY: case PYEXT_BUG:
      status = pyext_last_error(session, &buffer);
      break;
    default:
      break;
  }
  pyext_buffer_free(&buffer);
  return pyext_session_invalidate(session) + pyext_session_close(session) + (int)buffer.length + (buffer.data == NULL);
}
"#;

#[test]
fn c_compilers_take_it() {
    for standard in ["-std=c99", "-std=c11", "-std=gnu17"] {
        compile("gcc", "c", standard, USE);
    }
}

#[test]
fn cpp_compilers_take_it() {
    for standard in ["-std=c++11", "-std=c++20"] {
        compile("g++", "cpp", standard, USE);
    }
}
