"""Ctrl-C where it must not be an exception: inside the library, and while threads and frames are switched."""

import ctypes
import signal


class Quiet:
    """Within it Ctrl-C only sets the flag that it gives; a KeyboardInterrupt follows at its end.

    Otherwise KeyboardInterrupt could be raised between any two instructions: on entering a callback, before its
    `try`, so that native code gets garbage back; or before a `finally` has put back what it should.

    GDB's own functions still raise it, as they ask for the signal themselves.
    """

    def __init__(self):
        self.interrupted = ctypes.c_int(0)
        self.old = None

    def __enter__(self):
        try:
            self.old = signal.signal(signal.SIGINT, lambda *_: setattr(self.interrupted, "value", 1))
        except ValueError:
            self.old = None  # not on the main thread
        return self.interrupted

    def __exit__(self, kind, *_):
        if self.old is not None:
            signal.signal(signal.SIGINT, self.old)
        if kind is None and self.interrupted.value:
            raise KeyboardInterrupt
