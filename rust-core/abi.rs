//! The C boundary: the only `extern "C"` functions of the library.
//!
//! # Contract
//! - Sessions are keys, not pointers: a closed or unknown key is an error, never undefined.
//! - Every function catches panics; none prints; none keeps a pointer that it was given, except
//!   the host's callbacks, which must stay valid until the session is closed.
//! - One thread at a time; callbacks run on the calling thread. A call from within a callback gets
//!   [`PYEXT_BUSY`].
//! - Buffers that are handed out are freed with [`pyext_buffer_free`].

use crate::bytes::Addr;
use crate::error::{Error, FaultCause, Result};
use crate::process::cache::PollFn;
use crate::process::host::ReadFn;
use crate::process::workers;
use crate::session::{Description, Request, Session};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Mutex, Once, PoisonError};

/// The version of this boundary: the host refuses a library with another one.
pub const PYEXT_ABI_VERSION: u32 = 2;

/// How a call ended. 0 is an error on purpose: a callback or a call that did nothing must not look
/// like a success.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PyextStatus(pub i32);

/// The call succeeded.
pub const PYEXT_OK: PyextStatus = PyextStatus(1);
/// What the user asked for does not exist; the message is for the user.
pub const PYEXT_USER: PyextStatus = PyextStatus(2);
/// The target cannot be read, has no Python, or one that is not known; the message is for the user.
pub const PYEXT_TARGET: PyextStatus = PyextStatus(3);
/// The user interrupted.
pub const PYEXT_INTERRUPTED: PyextStatus = PyextStatus(4);
/// The request is malformed: the host and the library do not fit together.
pub const PYEXT_REQUEST: PyextStatus = PyextStatus(5);
/// A call from within a callback of the same session.
pub const PYEXT_BUSY: PyextStatus = PyextStatus(6);
/// A bug of the library; the message says where.
pub const PYEXT_BUG: PyextStatus = PyextStatus(7);

/// Callbacks of the host. Each may be null.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PyextHost {
    /// Passed to the callbacks.
    pub context: *mut c_void,
    /// Reads `length` bytes of the target at `address` into `buffer`; returns 1 if it got them all.
    pub read: Option<unsafe extern "C" fn(context: *mut c_void, address: u64, buffer: *mut u8, length: u64) -> i32>,
    /// Called now and then during long work, of which so many objects and bytes of the target are done; returns 1
    /// to go on, anything else to stop.
    pub poll: Option<unsafe extern "C" fn(context: *mut c_void, objects: u64, bytes: u64) -> i32>,
}

/// Bytes that the library hands out. Not NUL-terminated.
#[repr(C)]
pub struct PyextBuffer {
    /// The bytes; null for an empty buffer.
    pub data: *mut u8,
    /// How many.
    pub length: u64,
    /// How much was allocated; only for the library.
    pub capacity: u64,
}

#[derive(Default)]
struct Registry {
    next: u64,
    sessions: HashMap<u64, Option<Session>>,
    errors: HashMap<u64, String>,
}

impl Registry {
    /// Under which key messages about `session` are kept: those about no session under 0.
    fn owner(&self, session: u64) -> u64 {
        if self.sessions.contains_key(&session) { session } else { 0 }
    }
}

thread_local! {
    static REGISTRY: RefCell<Registry> = RefCell::default();
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a thread of a scan panicked with: the thread that waits for it panics for that reason alone.
static WORKER_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Keeps the default hook from printing over the debugger's prompt; the message is kept for
/// [`pyext_last_error`]. A cdylib has a hook of its own: other Rust code in the host is not
/// affected.
fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let text = info.to_string();
            if std::thread::current().name() == Some(workers::NAME) {
                *WORKER_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
                return;
            }
            let _ = PANIC.try_with(|slot| {
                if let Ok(mut slot) = slot.try_borrow_mut() {
                    *slot = Some(text);
                }
            });
        }));
    });
}

fn status_of(error: &Error) -> PyextStatus {
    match error {
        Error::User(_) => PYEXT_USER,
        Error::Interrupted => PYEXT_INTERRUPTED,
        Error::Request(_) => PYEXT_REQUEST,
        _ => PYEXT_TARGET,
    }
}

fn remember(session: u64, text: String) {
    let _ = REGISTRY.try_with(|r| {
        if let Ok(mut r) = r.try_borrow_mut() {
            let key = r.owner(session);
            r.errors.insert(key, text);
        }
    });
}

/// Runs `body`; errors and panics become a status and a message for `session`.
fn guard(session: u64, body: impl FnOnce() -> std::result::Result<(), (PyextStatus, String)>) -> PyextStatus {
    install_panic_hook();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => PYEXT_OK,
        Ok(Err((status, text))) => {
            remember(session, text);
            status
        }
        Err(_) => {
            let of_worker = WORKER_PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
            let text = of_worker.or(PANIC.with(|slot| slot.borrow_mut().take()));
            let text = text.unwrap_or_else(|| "a panic".to_owned());
            remember(session, format!("internal error: {text}"));
            PYEXT_BUG
        }
    }
}

type Failure = (PyextStatus, String);

fn failure(error: &Error) -> Failure {
    (status_of(error), error.to_string())
}

fn bad(text: &str) -> Failure {
    (PYEXT_REQUEST, text.to_owned())
}

/// The bytes that the host passed.
///
/// # Safety
/// `data` is null or valid for reads of `length` bytes for `'a`.
unsafe fn slice<'a>(data: *const u8, length: u64) -> std::result::Result<&'a [u8], Failure> {
    let length = usize::try_from(length).map_err(|_| bad("the length is out of range"))?;
    if data.is_null() || length > isize::MAX as usize {
        return Err(bad("a null pointer where text is needed"));
    }
    // SAFETY: the caller's contract, and the length was checked against `isize::MAX`.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

/// Hands `bytes` out.
///
/// # Safety
/// `out` is null or valid for a write.
unsafe fn hand_out(bytes: Vec<u8>, out: *mut PyextBuffer) -> std::result::Result<(), Failure> {
    if out.is_null() {
        return Err(bad("a null pointer where the answer should go"));
    }
    let bytes = if bytes.is_empty() { Vec::new() } else { bytes };
    let mut bytes = std::mem::ManuallyDrop::new(bytes);
    // An empty Vec's pointer dangles: there is nothing to hand out and nothing to free.
    let data = if bytes.is_empty() { std::ptr::null_mut() } else { bytes.as_mut_ptr() };
    let buffer = PyextBuffer { data, length: bytes.len() as u64, capacity: bytes.capacity() as u64 };
    // SAFETY: `out` is not null and, by the caller's contract, valid for a write.
    unsafe { out.write(buffer) };
    Ok(())
}

/// The host's read function as a safe closure.
fn reader(host: PyextHost) -> Option<ReadFn> {
    let read = host.read?;
    let context = host.context;
    Some(Rc::new(move |addr: Addr, buffer: &mut [u8]| -> Result<()> {
        // SAFETY: the host promised that `read` and `context` are valid until the session is
        // closed, and the session owns this closure; `buffer` is valid for writes of its length.
        let status = unsafe { read(context, addr.0, buffer.as_mut_ptr(), buffer.len() as u64) };
        if status == 1 { Ok(()) } else { Err(Error::Fault { addr, cause: FaultCause::Refused }) }
    }))
}

/// The host's poll function as a safe closure: whether to go on.
fn poller(host: PyextHost) -> Option<PollFn> {
    let poll = host.poll?;
    let context = host.context;
    // SAFETY: the host promised that `poll` and `context` are valid until the session is closed,
    // and the session owns this closure.
    Some(Rc::new(move |objects, bytes| unsafe { poll(context, objects, bytes) } == 1))
}

/// The version of the boundary.
#[unsafe(no_mangle)]
pub extern "C" fn pyext_abi_version() -> u32 {
    PYEXT_ABI_VERSION
}

/// Opens a session with the target that `description` (JSON, UTF-8) describes; its key goes to
/// `session`. Nothing of the target is touched yet. On failure the message is that of session 0.
///
/// # Safety
/// `description` is valid for reads of `length` bytes, `host` is null or points at a
/// [`PyextHost`] whose callbacks stay valid until the session is closed, `session` is valid for a
/// write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pyext_session_open(
    description: *const u8,
    length: u64,
    host: *const PyextHost,
    session: *mut u64,
) -> PyextStatus {
    guard(0, || {
        if session.is_null() {
            return Err(bad("a null pointer where the session's key should go"));
        }
        // SAFETY: the caller's contract.
        let text = unsafe { slice(description, length) }?;
        let description: Description =
            serde_json::from_slice(text).map_err(|e| bad(&format!("the description: {e}")))?;
        // SAFETY: null is checked by `as_ref`; otherwise the caller's contract.
        let host = unsafe { host.as_ref() }.copied();
        let opened = Session::open(description, host.and_then(reader), host.and_then(poller));
        let key = REGISTRY.with(|r| {
            let mut r = r.borrow_mut();
            r.next += 1;
            let key = r.next;
            r.sessions.insert(key, Some(opened));
            key
        });
        // SAFETY: not null, and the caller's contract.
        unsafe { session.write(key) };
        Ok(())
    })
}

/// Takes a session out of the registry while `f` uses it, so that a call from a callback finds it
/// busy.
fn with_session<T>(key: u64, f: impl FnOnce(&mut Session) -> T) -> std::result::Result<T, Failure> {
    let taken = REGISTRY.with(|r| match r.borrow_mut().sessions.get_mut(&key) {
        Some(slot) => slot.take().ok_or((PYEXT_BUSY, "the session is busy".to_owned())),
        None => Err(bad("there is no such session")),
    });
    let mut session = taken?;
    let result = catch_unwind(AssertUnwindSafe(|| f(&mut session)));
    REGISTRY.with(|r| {
        if let Some(slot) = r.borrow_mut().sessions.get_mut(&key) {
            *slot = Some(session);
        }
    });
    result.map_err(|panic| std::panic::resume_unwind(panic))
}

/// The target of `session` has run or changed: everything read from its memory is forgotten.
#[unsafe(no_mangle)]
pub extern "C" fn pyext_session_invalidate(session: u64) -> PyextStatus {
    guard(session, || with_session(session, Session::invalidate))
}

/// Closes `session`. Its key is never used again.
#[unsafe(no_mangle)]
pub extern "C" fn pyext_session_close(session: u64) -> PyextStatus {
    guard(0, || {
        let removed = REGISTRY.with(|r| {
            let mut r = r.borrow_mut();
            match r.sessions.get(&session) {
                None => Err(bad("there is no such session")),
                Some(None) => Err((PYEXT_BUSY, "the session is busy".to_owned())),
                Some(Some(_)) => {
                    r.errors.remove(&session);
                    Ok(r.sessions.remove(&session))
                }
            }
        });
        removed.map(drop)
    })
}

/// Answers `request` (JSON, UTF-8); the answer (JSON, UTF-8) goes to `out`, which is written only
/// on success.
///
/// # Safety
/// `request` is valid for reads of `length` bytes, `out` for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pyext_query(
    session: u64,
    request: *const u8,
    length: u64,
    out: *mut PyextBuffer,
) -> PyextStatus {
    guard(session, || {
        // SAFETY: the caller's contract.
        let text = unsafe { slice(request, length) }?;
        let request: Request = serde_json::from_slice(text).map_err(|e| bad(&format!("the request: {e}")))?;
        let response = with_session(session, |s| s.answer(&request))?.map_err(|e| failure(&e))?;
        let bytes = serde_json::to_vec(&response).map_err(|e| (PYEXT_BUG, e.to_string()))?;
        // SAFETY: the caller's contract.
        unsafe { hand_out(bytes, out) }
    })
}

/// Frees what a buffer holds and empties it.
///
/// # Safety
/// `buffer` is null or points at a buffer that this library filled and that was not changed since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pyext_buffer_free(buffer: *mut PyextBuffer) {
    // SAFETY: null is checked by `as_mut`; otherwise the caller's contract.
    let Some(buffer) = (unsafe { buffer.as_mut() }) else { return };
    let data = std::mem::replace(&mut buffer.data, std::ptr::null_mut());
    if !data.is_null() {
        // SAFETY: pointer, length and capacity come from the `Vec` that `hand_out` took apart.
        drop(unsafe { Vec::from_raw_parts(data, buffer.length as usize, buffer.capacity as usize) });
    }
    buffer.length = 0;
    buffer.capacity = 0;
}

/// The message of the last call on `session` that failed, in UTF-8; of a key that is no session
/// (any more), that of the last call without a session.
///
/// # Safety
/// `out` is valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pyext_last_error(session: u64, out: *mut PyextBuffer) -> PyextStatus {
    guard(0, || {
        let text = REGISTRY.with(|r| {
            let r = r.borrow();
            r.errors.get(&r.owner(session)).cloned().unwrap_or_default()
        });
        // SAFETY: the caller's contract.
        unsafe { hand_out(text.into_bytes(), out) }
    })
}
