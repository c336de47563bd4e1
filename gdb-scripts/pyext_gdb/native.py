"""Loads the library and calls it: JSON in, JSON out, status codes become exceptions."""

import ctypes
import json
import os

import gdb

from . import _abi, interrupts, progress

HERE = ""
_library = None


class Bug(Exception):
    """The library says that it is its own fault."""


def _candidates():
    if os.environ.get("PYEXT_LIB"):
        yield os.environ["PYEXT_LIB"]
        return
    yield os.path.join(HERE, "libpyext.so")
    yield os.path.join(os.path.dirname(HERE), "target", "release", "libpyext.so")


def library():
    """The library, loaded once. A missing or unfitting one is an error of one line that says what to type."""
    global _library
    if _library is not None:
        return _library
    path = next((p for p in _candidates() if os.path.exists(p)), None)
    root = os.path.dirname(HERE)
    if path is None and os.environ.get("PYEXT_LIB"):
        text = "PYEXT_LIB names %s, which does not exist. Unset it, or type: shell cd %s && make build"
        raise gdb.GdbError(text % (os.environ["PYEXT_LIB"], root))
    if path is None:
        raise gdb.GdbError("pyext's library is not built. Type: shell cd %s && make build" % root)
    try:
        lib = ctypes.CDLL(path)
        for name, (result, arguments) in _abi.FUNCTIONS.items():
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
        version = lib.pyext_abi_version()
    except (OSError, AttributeError) as e:
        raise gdb.GdbError("%s cannot be used (%s). Type: shell cd %s && make build" % (path, e, root))
    if version != _abi.ABI_VERSION:
        raise gdb.GdbError(
            "%s has interface %d, these scripts need %d. Type: shell cd %s && make build, and restart GDB."
            % (path, version, _abi.ABI_VERSION, root)
        )
    _library = lib
    return lib


def _take(lib, buffer):
    """The text in a buffer of the library, which is freed."""
    try:
        return ctypes.string_at(buffer.data, buffer.length).decode("utf-8", "replace") if buffer.data else ""
    finally:
        lib.pyext_buffer_free(ctypes.byref(buffer))


def _check(lib, status, session):
    if status == _abi.OK:
        return
    buffer = _abi.Buffer()
    message = "unknown error"
    if lib.pyext_last_error(session, ctypes.byref(buffer)) == _abi.OK:
        message = _take(lib, buffer) or message
    if status == _abi.INTERRUPTED:
        raise KeyboardInterrupt
    if status in (_abi.USER, _abi.TARGET):
        raise gdb.GdbError(message)
    raise Bug(message)


class Session:
    """A session of the library with one target."""

    def __init__(self, description, read=None):
        """`read(address, length)` gives bytes or None, for targets that only GDB can read."""
        self.lib = library()
        self.key = ctypes.c_uint64(0)
        self.interrupted = ctypes.c_int(0)
        self.line = None
        self._host = _abi.Host(None, _abi.READ(self._reader(read)) if read else _abi.READ(), _abi.POLL(self._poll))
        text = json.dumps(description).encode("ascii")
        status = self.lib.pyext_session_open(text, len(text), ctypes.byref(self._host), ctypes.byref(self.key))
        _check(self.lib, status, 0)

    def _poll(self, _context, objects, size):
        # An exception that leaves a callback gives garbage to native code.
        try:
            self.line.update(objects, size)
        except KeyboardInterrupt:
            self.interrupted.value = 1
        except BaseException:
            pass
        return 0 if self.interrupted.value else _abi.OK

    def _reader(self, read):
        def callback(_context, address, buffer, length):
            # As above.
            try:
                data = read(address, length)
                if data is None or len(data) != length:
                    return 0
                ctypes.memmove(buffer, data, length)
                return _abi.OK
            except KeyboardInterrupt:
                # GDB noticed the Ctrl-C first, while it waited for the other machine.
                self.interrupted.value = 1
                return 0
            except BaseException:
                return 0

        return callback

    def query(self, request):
        """The library's answer to a request, as a dict."""
        text = json.dumps(request).encode("ascii")
        buffer = _abi.Buffer()
        answer = None
        with interrupts.Quiet() as self.interrupted, progress.Line(request) as self.line:
            status = self.lib.pyext_query(self.key, text, len(text), ctypes.byref(buffer))
            if status == _abi.OK:
                answer = _take(self.lib, buffer)
        _check(self.lib, status, self.key)
        return json.loads(answer)

    def invalidate(self):
        """The target has run."""
        self.lib.pyext_session_invalidate(self.key)

    def close(self):
        """Forget the target."""
        self.lib.pyext_session_close(self.key)
