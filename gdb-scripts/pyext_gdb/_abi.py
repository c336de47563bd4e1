"""The C boundary in ctypes: what include/pyext.h declares, and nothing else (a test compares the two)."""

import ctypes

ABI_VERSION = 2

OK = 1
USER = 2
TARGET = 3
INTERRUPTED = 4
REQUEST = 5
BUSY = 6
BUG = 7

READ = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)
POLL = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64)


class Host(ctypes.Structure):
    _fields_ = [("context", ctypes.c_void_p), ("read", READ), ("poll", POLL)]


class Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_uint64), ("capacity", ctypes.c_uint64)]


FUNCTIONS = {
    "pyext_abi_version": (ctypes.c_uint32, []),
    "pyext_session_open": (
        ctypes.c_int32,
        [ctypes.c_char_p, ctypes.c_uint64, ctypes.POINTER(Host), ctypes.POINTER(ctypes.c_uint64)],
    ),
    "pyext_session_invalidate": (ctypes.c_int32, [ctypes.c_uint64]),
    "pyext_session_close": (ctypes.c_int32, [ctypes.c_uint64]),
    "pyext_query": (
        ctypes.c_int32,
        [ctypes.c_uint64, ctypes.c_char_p, ctypes.c_uint64, ctypes.POINTER(Buffer)],
    ),
    "pyext_buffer_free": (None, [ctypes.POINTER(Buffer)]),
    "pyext_last_error": (ctypes.c_int32, [ctypes.c_uint64, ctypes.POINTER(Buffer)]),
}
