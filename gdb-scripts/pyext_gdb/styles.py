"""What GDB's `set style` and `set width` say, for the library's text."""

import os
import re
import sys

import gdb

from .target import parameter

#: The kinds of words that both GDB and the library have.
KINDS = ("function", "filename", "variable", "address", "title")
COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
INTENSITIES = {"bold": "1", "dim": "2"}

_typed = False


class typed:
    """While it is entered, a command answers somebody who typed it, and not a script."""

    def __init__(self, from_tty):
        self.from_tty = from_tty and not self._is_script()

    @staticmethod
    def _is_script():
        """A script's gdb.execute() can say from_tty too: then there is Python below the command's `invoke`."""
        try:
            return sys._getframe(3) is not None
        except ValueError:
            return False

    def __enter__(self):
        global _typed
        _typed = self.from_tty

    def __exit__(self, *_):
        global _typed
        _typed = False


def to_terminal():
    """Whether what is written now reaches a terminal, and nothing else. `style enabled` is true on a pipe too."""
    if not _typed or not os.isatty(1) or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return not parameter("logging enabled", False) and not _piped()


def is_full_screen():
    """Whether GDB's text user interface has the terminal."""
    try:
        return "not active" not in gdb.execute("info win", to_string=True)
    except gdb.error:
        return False  # built without it


def _piped():
    """Whether the last line that was typed sends what it prints to a program: GDB's `pipe COMMAND | PROGRAM`."""
    typed_last = gdb.execute("show commands", to_string=True).rstrip("\n").rpartition("\n")[2]
    return re.match(r" *\d+ +(?:pipe\b|\|)", typed_last) is not None


def _colour(value, ground):
    """The SGR parameter of a colour: a name, a number of the 256, #RRGGBB, or (GDB 17) a gdb.Color."""
    text = str(value)
    if text.startswith("#") and len(text) == 7:
        red, green, blue = (int(text[i : i + 2], 16) for i in (1, 3, 5))
        return "%s8;2;%d;%d;%d" % (ground, red, green, blue)
    if text in COLOURS:
        return "%s%d" % (ground, COLOURS.index(text))
    return "%s8;5;%s" % (ground, text) if text.isdigit() else None


def _sgr(kind):
    parts = [
        INTENSITIES.get(parameter("style %s intensity" % kind)),
        _colour(parameter("style %s foreground" % kind, "none"), "3"),
        _colour(parameter("style %s background" % kind, "none"), "4"),
    ]
    return ";".join(part for part in parts if part)


def for_request():
    """The keys of a request about the terminal: SGR parameters for each kind of word, and columns (0: no limit).

    Empty and 0 where what is written reaches no terminal.
    """
    if not to_terminal():
        return {"paint": {}, "width": 0}
    coloured = parameter("style enabled", False)
    return {"paint": {kind: _sgr(kind) for kind in KINDS} if coloured else {}, "width": gdb.parameter("width") or 0}
