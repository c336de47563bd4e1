"""py-obj."""

import re

import gdb

from .. import session
from ..command import CHARS, JSON, command, option, positive, write

SHOWN = option("--limit", type=positive, metavar="N", default=50, help="at most N attributes (50)")


def _address(text):
    """What GDB makes of an expression: a pointer, an integer, or a struct, whose address counts."""
    value = gdb.parse_and_eval(text)
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT and value.address is not None:
        value = value.address
    return int(value) & (1 << 64) - 1


def which(text):
    """The object that was typed, for the library: an address, or a path."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", text):
        return {"address": int(text, 0) & (1 << 64) - 1}
    if text[0] in "$*(" or text[:2] in ("0x", "0X"):
        return {"address": _address(text)}
    return {"name": text}


@command("py-obj", [SHOWN, CHARS, JSON], rest="ADDR | EXPR | PATH", complete=session.heap_names)
def py_obj(rest, limit, chars, json):
    """Tell everything about one object: type and bases, references, size and memory, value, attributes.

    It is named by its address, by an expression of GDB that begins with $, * or (, or by a path as in py-print:
    py-obj 0x7fce0ade68f0
    py-obj $rdi
    py-obj self.pool._queue[0]
    """
    if not rest:
        raise gdb.GdbError("py-obj: which object? An address, such as 0x7fce0ade68f0, or a path. Type: help py-obj")
    write(session.ask_heap("object", named=True, limit=limit, chars=chars, json=json, **which(rest))["text"])
