"""Texts in places where GDB wants a value.

GDB prints a Python string as a C string, in quotes. A text is therefore handed over as a pointer of a type that no
program has a value of, and a printer of ours gives the text back for it.
"""

import collections

import gdb

from . import command

_FIRST = 0x7079657874000000
_MOST = 4096
_texts = collections.OrderedDict()
_next = _FIRST


def _type():
    return gdb.lookup_type("unsigned long").const().volatile().pointer()


def value(text):
    """A gdb.Value that prints as `text`."""
    global _next
    _next += 1
    _texts[_next] = text
    if len(_texts) > _MOST:
        _texts.popitem(last=False)
    return gdb.Value(_next).cast(_type())


class _Text:
    def __init__(self, text):
        self.text = text

    def to_string(self):
        return command.for_gdb(self.text)


def lookup(value):
    """The printer for a text, or None for every other value."""
    kind = value.type
    if kind.code == gdb.TYPE_CODE_PTR and str(kind) == str(_type()):
        text = _texts.get(int(value))
        if text is not None:
            return _Text(text)
    return None
