"""py-bt, py-bt-full, py-up, py-down, py-frame."""

import gdb

from .. import session
from ..command import CHARS, JSON, LIMIT, command, number, option, write

ALL = option("--all", action="store_true", help="every thread, each under a heading")
LOCALS = option("--locals", action="store_true", help="all local variables under each frame")


COUNT = option("count", nargs="?", metavar="N | full", help="as GDB's own bt: N frames, or all with their locals")


def _backtrace(all, json, **options):
    write(session.ask("bt", all, native=json, all=all, json=json, **options)["text"])


@command("py-bt", [ALL, LOCALS, LIMIT, CHARS, JSON, COUNT])
def py_bt(_rest, all, locals, limit, chars, json, count):
    """Display the Python stack of the selected thread, innermost frame first.

    Each frame has the index that py-frame takes, its arguments, file and line, and the line's text.
    """
    if count == "full":
        locals = True
    elif count is not None:
        limit = number("py-bt", count, None)
        if limit < 1:
            raise gdb.GdbError("py-bt: N is 1 or more: the innermost N frames. Type: help py-bt")
    _backtrace(all, json, locals=locals, limit=limit, chars=chars)


@command("py-bt-full", [ALL, LIMIT, CHARS, JSON])
def py_bt_full(_rest, all, limit, chars, json):
    """Display the Python stack of the selected thread with all local variables of each frame."""
    _backtrace(all, json, locals=True, limit=limit, chars=chars)


@command("py-up", [CHARS, JSON], rest="[N]")
def py_up(rest, chars, json):
    """Select and print the Python stack frame that called this one (if any), or the Nth one up."""
    write(session.ask("frame", index=number("py-up", rest, 1), relative=True, chars=chars, json=json)["text"])


@command("py-down", [CHARS, JSON], rest="[N]")
def py_down(rest, chars, json):
    """Select and print the Python stack frame called by this one (if any), or the Nth one down."""
    write(session.ask("frame", index=-number("py-down", rest, 1), relative=True, chars=chars, json=json)["text"])


@command("py-frame", [CHARS, JSON], rest="[N]")
def py_frame(rest, chars, json):
    """Select and print the Python stack frame with index N of py-bt; without N, print the selected one."""
    write(session.ask("frame", index=number("py-frame", rest, None), chars=chars, json=json)["text"])
