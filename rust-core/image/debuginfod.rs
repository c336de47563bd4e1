//! Asks debuginfod servers for debug information, through the system's libdebuginfod.
//!
//! What it does: loads `libdebuginfod.so.1` on first use and calls it. What it does not do: it
//! speaks no HTTP itself, looks into no cache, and does not decide whether asking is allowed. The
//! library takes servers, cache and time limits from the environment (man page
//! debuginfod-client-config(7)) and does nothing without `DEBUGINFOD_URLS`.
//!
//! Invariant: all foreign code of the image layer is called here. The calls run on the caller's
//! thread, one at a time, and end after the given time or when the caller cancels.

use std::ffi::{CStr, OsStr, c_char, c_int, c_long, c_uchar, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libloading::Library;
use thiserror::Error;

/// `MAX_BUILD_ID_BYTES` of elfutils' debuginfod.h.
const MAX_BUILD_ID: usize = 64;
const ENOENT: i32 = 2;
const ENOMEM: i32 = 12;
const ENOSYS: i32 = 38;

/// Why a server gave no file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DebuginfodError {
    /// `libdebuginfod.so.1` is not installed, or is older than elfutils 0.180.
    #[error("libdebuginfod.so.1 is not available: {0}")]
    NoLibrary(String),
    /// `DEBUGINFOD_URLS` is not set.
    #[error("no debuginfod server is configured (DEBUGINFOD_URLS)")]
    NoServers,
    /// Not a build id: empty, or longer than 64 bytes.
    #[error("not a build id")]
    BadBuildId,
    /// The servers do not have it.
    #[error("the debuginfod servers do not have it")]
    NotFound,
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The time ran out.
    #[error("the debuginfod servers took too long")]
    TimedOut,
    /// Any other refusal, as an `errno` value.
    #[error("debuginfod failed: {}", std::io::Error::from_raw_os_error(*.0))]
    Failed(i32),
}

type Client = c_void;
type Progress = unsafe extern "C" fn(*mut Client, c_long, c_long) -> c_int;

/// The functions of debuginfod.h that are used, as of elfutils 0.180 (unchanged up to 0.188, which
/// has the same soname).
struct Api {
    begin: unsafe extern "C" fn() -> *mut Client,
    set_progress: unsafe extern "C" fn(*mut Client, Option<Progress>),
    set_user_data: unsafe extern "C" fn(*mut Client, *mut c_void),
    get_user_data: unsafe extern "C" fn(*mut Client) -> *mut c_void,
    find: unsafe extern "C" fn(*mut Client, *const c_uchar, c_int, *mut *mut c_char) -> c_int,
    end: unsafe extern "C" fn(*mut Client),
    /// Keeps the code in memory. It stays for good: curl and its TLS library leave thread-local
    /// destructors behind, which unloading would turn into dangling pointers.
    _library: Library,
}

unsafe extern "C" {
    fn free(pointer: *mut c_void);
}

fn api() -> Result<&'static Api, DebuginfodError> {
    static API: OnceLock<Result<Api, String>> = OnceLock::new();
    API.get_or_init(|| load().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|error| DebuginfodError::NoLibrary(error.clone()))
}

fn load() -> Result<Api, libloading::Error> {
    // SAFETY: loading runs the library's initialisers. This is the system's own library, by the
    // name that debuggers load it by, and its initialisers only set up curl and elfutils.
    let library = unsafe { Library::new("libdebuginfod.so.1") }?;
    // SAFETY: the types are those of debuginfod.h, whose soname fixes them. The function pointers
    // outlive their `Symbol`s because the library is kept beside them in a static.
    unsafe {
        Ok(Api {
            begin: *library.get(b"debuginfod_begin\0")?,
            set_progress: *library.get(b"debuginfod_set_progressfn\0")?,
            set_user_data: *library.get(b"debuginfod_set_user_data\0")?,
            get_user_data: *library.get(b"debuginfod_get_user_data\0")?,
            find: *library.get(b"debuginfod_find_debuginfo\0")?,
            end: *library.get(b"debuginfod_end\0")?,
            _library: library,
        })
    }
}

/// The state of a running call, which the callback finds as the client's user data.
struct Watch<'a> {
    deadline: Instant,
    cancelled: &'a mut dyn FnMut() -> bool,
    stopped: Option<DebuginfodError>,
}

impl Watch<'_> {
    fn stop(&mut self) -> bool {
        if self.stopped.is_none() {
            if (self.cancelled)() {
                self.stopped = Some(DebuginfodError::Cancelled);
            } else if Instant::now() >= self.deadline {
                self.stopped = Some(DebuginfodError::TimedOut);
            }
        }
        self.stopped.is_some()
    }
}

/// Called by libdebuginfod at least once a second; anything but 0 ends the transfer.
unsafe extern "C" fn on_progress(client: *mut Client, _done: c_long, _total: c_long) -> c_int {
    let Ok(api) = api() else { return 1 };
    // SAFETY: `client` is the live client of the `find` call that calls us.
    let watch = unsafe { (api.get_user_data)(client) }.cast::<Watch<'_>>();
    // SAFETY: `find_debuginfo` has set it to its own `Watch`, which it does not touch during the
    // call, and clears the callback before it ends; libdebuginfod calls back on the same thread.
    let Some(watch) = (unsafe { watch.as_mut() }) else {
        return 1;
    };
    // A panic must not cross into C; it ends the transfer.
    c_int::from(catch_unwind(AssertUnwindSafe(|| watch.stop())).unwrap_or(true))
}

/// The first use of curl initialises it, which is not thread-safe in its older versions.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Gets the debug file of a build id from the servers, into libdebuginfod's own cache, and returns
/// its path there. A file that is in the cache already is returned at once.
///
/// Blocks for `limit` at most (give or take the second that libdebuginfod waits on a socket, and the
/// time that resolving a host name takes), and asks `cancelled` about every second. The contents are
/// what the server says they are: check the build id.
///
/// # Errors
/// See [`DebuginfodError`]. Without `DEBUGINFOD_URLS` this is [`DebuginfodError::NoServers`], within
/// microseconds.
pub fn find_debuginfo(
    build_id: &[u8],
    limit: Duration,
    cancelled: &mut dyn FnMut() -> bool,
) -> Result<PathBuf, DebuginfodError> {
    // A length of 0 would mean a C string of hexadecimal digits.
    if build_id.is_empty() || build_id.len() > MAX_BUILD_ID {
        return Err(DebuginfodError::BadBuildId);
    }
    let length = c_int::try_from(build_id.len()).map_err(|_| DebuginfodError::BadBuildId)?;
    let api = api()?;
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let deadline = now.checked_add(limit).unwrap_or(now);
    let mut watch = Watch { deadline, cancelled, stopped: None };
    let mut path: *mut c_char = std::ptr::null_mut();
    // SAFETY: the functions are called as debuginfod.h says. The client is used by this thread only
    // and ends before `watch` goes out of scope; `build_id` has `length` bytes; `path` is written
    // before `find` returns a descriptor.
    let status = unsafe {
        let client = (api.begin)();
        if client.is_null() {
            return Err(DebuginfodError::Failed(ENOMEM));
        }
        (api.set_user_data)(client, (&raw mut watch).cast());
        (api.set_progress)(client, Some(on_progress));
        let status = (api.find)(client, build_id.as_ptr(), length, &raw mut path);
        (api.end)(client);
        status
    };
    let found = take_path(path);
    if status >= 0 {
        // SAFETY: a status that is not negative is a descriptor that was opened for us.
        drop(unsafe { OwnedFd::from_raw_fd(status) });
        return found.ok_or(DebuginfodError::NotFound);
    }
    Err(match (watch.stopped, status.wrapping_neg()) {
        (Some(reason), _) => reason,
        (None, ENOENT) => DebuginfodError::NotFound,
        (None, ENOSYS) => DebuginfodError::NoServers,
        (None, errno) => DebuginfodError::Failed(errno),
    })
}

/// Copies a path that libdebuginfod allocated, and frees it.
fn take_path(path: *mut c_char) -> Option<PathBuf> {
    if path.is_null() {
        return None;
    }
    // SAFETY: a path that libdebuginfod returns is a string from `strdup`, ours to free, once; the
    // copy is made before.
    unsafe {
        let copy = PathBuf::from(OsStr::from_bytes(CStr::from_ptr(path).to_bytes()));
        free(path.cast());
        Some(copy)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failing test may panic

    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::process::Command;

    #[test]
    fn what_is_no_build_id_is_refused() {
        let ask = |id: &[u8]| find_debuginfo(id, Duration::from_secs(1), &mut || false);
        assert_eq!(ask(&[]), Err(DebuginfodError::BadBuildId));
        assert_eq!(ask(&[7; 65]), Err(DebuginfodError::BadBuildId));
    }

    /// Runs `child` below in a process of its own, because libdebuginfod reads the environment.
    fn run_child(urls: Option<&str>, cache: &std::path::Path, seconds: &str) -> String {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let (_crate, module) = module_path!().split_once("::").unwrap();
        let child = format!("{module}::child");
        command.args(["--exact", &child, "--nocapture"]);
        command.env_remove("DEBUGINFOD_URLS").env("DEBUGINFOD_CACHE_PATH", cache);
        command.env("PYEXT_TEST_DEBUGINFOD_SECONDS", seconds);
        if let Some(urls) = urls {
            command.env("DEBUGINFOD_URLS", urls);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn child() {
        let Ok(seconds) = std::env::var("PYEXT_TEST_DEBUGINFOD_SECONDS") else {
            return;
        };
        let limit = Duration::from_secs(seconds.parse().unwrap());
        let mut asked = 0;
        let got = find_debuginfo(&[0xab; 20], limit, &mut || {
            asked += 1;
            false
        });
        println!("RESULT {got:?}");
    }

    #[test]
    fn a_server_is_asked_once_and_then_its_answer_is_cached() {
        let cache = crate::image::debug_file::testing::Scratch::new("debuginfod");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Not joined: it waits for a second connection that must not come.
        std::thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let wanted = format!("GET /buildid/{}/debuginfo ", "ab".repeat(20));
                let status = if count == 0 && request.starts_with(&wanted) { "200 OK" } else { "500 No" };
                let body = "the debug file";
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + body).as_bytes()).unwrap();
            }
        });
        for _ in 0..2 {
            let said = run_child(Some(&url), cache.path(), "30");
            let path = cache.path().join("ab".repeat(20)).join("debuginfo");
            assert!(said.contains(&format!("RESULT Ok({path:?})")), "{said}");
            assert_eq!(std::fs::read_to_string(path).unwrap(), "the debug file");
        }
    }

    #[test]
    fn without_servers_nothing_is_asked() {
        let cache = crate::image::debug_file::testing::Scratch::new("debuginfod-none");
        let said = run_child(None, cache.path(), "30");
        assert!(said.contains("RESULT Err(NoServers)"), "{said}");
    }

    #[test]
    fn a_server_that_never_answers_costs_the_limit_and_no_more() {
        let cache = crate::image::debug_file::testing::Scratch::new("debuginfod-slow");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // The kernel accepts the connection; nobody reads it.
        let said = run_child(Some(&url), cache.path(), "1");
        assert!(said.contains("RESULT Err(TimedOut)"), "{said}");
    }
}
