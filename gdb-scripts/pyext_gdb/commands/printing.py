"""py-list, py-locals, py-print."""

import re

import gdb

from .. import session
from ..command import CHARS, JSON, command, number, write


@command("py-list", [JSON], rest="[N | N,M]")
def py_list(rest, json):
    """List the Python source around the selected frame's line; from line N; or lines N to M."""
    match = re.fullmatch(r"(?:(\d+)(?:\s*,?\s*(\d+))?)?", rest.strip())
    if not match:
        raise gdb.GdbError("py-list: '%s' is neither N nor N,M. Type: help py-list" % rest)
    start, end = (number("py-list", n, None) for n in match.groups())
    write(session.ask("list", start=start, end=end, json=json)["text"])


@command("py-locals", [CHARS, JSON])
def py_locals(_rest, chars, json):
    """Print all local variables of the selected Python frame, cell and free variables among them."""
    write(session.ask("locals", chars=chars, json=json)["text"])


@command("py-print", [CHARS, JSON], rest="NAME | PATH", complete=session.names)
def py_print(rest, chars, json):
    """Look up a Python name in the selected frame and print its value.

    Locals come first, then cells and free variables, globals, builtins. A path goes on from there:
    py-print self.pool._queue[0]['key']
    Between brackets stands a literal. Nothing is called: what only code could compute is refused.
    """
    if not rest and not session.is_stock():
        raise gdb.GdbError("py-print: which name or path, such as self.pool[0]? Type: help py-print")
    write(session.ask("print", name=rest, chars=chars, json=json)["text"])
