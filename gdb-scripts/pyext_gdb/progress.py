"""One line on the terminal that tells how far long work is, and goes away with the answer."""

import os
import time

import gdb

from . import styles

#: Seconds before the first line, and between two.
FIRST, AGAIN = 1, 0.2
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(number):
    """12.3 M: a number in three or four characters, and the letter of its unit."""
    for unit, letter in UNITS:
        if number >= unit:
            return "%.*f %s" % (1 if number < 10 * unit else 0, number / unit, letter)
    return "%d " % number


def text(objects, size, seconds):
    """What the line says; of what nobody counts, nothing."""
    parts = ["%s objects" % short(objects).rstrip()] if objects else []
    parts += ["%sB" % short(size)] if size else []
    return "pyext: %s..." % ", ".join(parts + ["%.1f s" % seconds])


class Line:
    """While it is entered, `update` may write the line. Only to who typed the command, and not between JSON."""

    def __init__(self, request):
        self.json = request["options"].get("json")
        self.next = time.monotonic() + FIRST
        self.start = time.monotonic()
        self.shown = False

    def __enter__(self):
        return self

    def update(self, objects, size):
        """Write the line anew, if it is time to."""
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + AGAIN
        if not self.shown and (self.json or not styles.to_terminal() or styles.is_full_screen()):
            self.next = float("inf")
            return
        self.shown = True
        # Past GDB's own output, whose pager would count lines.
        gdb.flush()
        os.write(1, ("\r%s\x1b[K" % text(objects, size, now - self.start)).encode("ascii"))

    def __exit__(self, *_):
        if self.shown:
            os.write(1, b"\r\x1b[K")
