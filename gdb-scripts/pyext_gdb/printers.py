"""Printers for C values that are Python objects, and staying in charge where CPython's own script is loaded too."""

import weakref

import gdb

import __main__

from . import command, native, session, tokens

_told = False
_watch = None


class _Printer:
    def __init__(self, text):
        self.text = text

    def to_string(self):
        return command.for_gdb(self.text)


_types = {}


def _type_names(stock):
    """The C types that the library can show, asked for once."""
    if stock not in _types:
        _types[stock] = frozenset(session.ask_plain("types")["data"])
    return _types[stock]


def lookup(value):
    """GDB calls this for every value that it prints."""
    try:
        printer = tokens.lookup(value)
        if printer is not None:
            return printer
        kind = value.type.strip_typedefs()
        if kind.code != gdb.TYPE_CODE_PTR:
            return None
        pointed = kind.target().unqualified()
        name = str(pointed)
        if name.startswith("struct "):
            name = name[len("struct ") :]
        if name not in _type_names(session.is_stock()) or value.is_optimized_out:
            return None
        address = int(value) & 0xFFFFFFFFFFFFFFFF
        return _Printer(session.ask_plain("value", address=address, ctype=name)["text"])
    except (gdb.error, gdb.GdbError, RuntimeError, native.Bug):
        return None  # GDB prints the pointer itself


lookup.__name__ = "pyext"


def _is_stock(printer):
    return getattr(printer, "__module__", "") == "__main__" and printer.__name__ == "pretty_printer_lookup"


class _Placeholder:
    """Stands where CPython's own script puts its first command's class: it dies when that script runs."""


def _stay_in_charge(_event=None):
    """CPython's own script, loaded by GDB with an interpreter or by the user, must not take our place.

    It puts its printers at the objfile, which beats global ones, and its commands have the names of ours.
    """
    global _told, _watch
    for objfile in gdb.objfiles():
        printers = objfile.pretty_printers
        if any(_is_stock(p) for p in printers) and lookup not in printers:
            printers.insert(0, lookup)
    found = getattr(__main__, "PyBacktrace", None)
    if isinstance(found, _Placeholder):
        return
    if found is not None:
        command.register_all()
        if not _told:
            _told = True
            gdb.write("pyext: CPython's own GDB script is loaded too; the py-* commands and printers stay pyext's.\n")
    # No event tells of a script that the user sources. A handler for each prompt would see it, but that is where
    # Python notices a Ctrl-C in a typed line, and GDB prints its exception.
    __main__.PyBacktrace = _Placeholder()
    _watch = weakref.finalize(__main__.PyBacktrace, _at_next_prompt)
    _watch.atexit = False


def _at_next_prompt():
    gdb.events.before_prompt.connect(_prompt)


def _prompt():
    gdb.events.before_prompt.disconnect(_prompt)
    _stay_in_charge()


def register():
    """Register the printers."""
    gdb.pretty_printers[:] = [p for p in gdb.pretty_printers if getattr(p, "__name__", "") != "pyext"]
    gdb.pretty_printers.insert(0, lookup)
    _stay_in_charge()
    gdb.events.new_objfile.connect(_stay_in_charge)


def unregister():
    """Forget them, before the script is loaded again."""
    gdb.events.new_objfile.disconnect(_stay_in_charge)
    if _watch.detach():
        del __main__.PyBacktrace
    for holder in [gdb] + list(gdb.objfiles()):
        holder.pretty_printers[:] = [p for p in holder.pretty_printers if p is not lookup]
