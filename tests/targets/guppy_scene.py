"""What guppy3 says of a heap: a forked child asks it, and the parent stands still to be looked at.

The parent has asked it once before: what guppy makes as it looks (dicts of attributes, its own objects) is in both.
"""

import collections
import datetime
import functools
import gc
import json
import os
import signal
import sys
import types

import guppy
import heaplib


class Node(object):
    def __init__(self, i, after):
        self.number = i + 1000
        self.after = after


class Slot(object):
    __slots__ = ("number", "__weakref__")

    def __init__(self, i):
        self.number = i + 1000


class Words(dict):
    pass


Point = collections.namedtuple("Point", "x y")


def outer(i):
    def inner():
        return i

    return inner


def build(n):
    nodes = []
    for i in range(n):
        nodes.append(Node(i, nodes[-1] if i % 8 else None))
    return [
        nodes,
        [Slot(i) for i in range(n)],
        [Words(number=i) for i in range(n // 4)],
        [Point(i, str(i)) for i in range(n // 2)],
        [outer(i) for i in range(n // 4)],
        [functools.partial(outer, i) for i in range(n // 8)],
        [datetime.date(2026, 1 + i % 12, 1) for i in range(n // 8)],
        [{"number": i, "text": "text %d" % i} for i in range(n // 2)],
        [{i, float(i)} for i in range(n // 4)],
        [bytearray(b"x" * (i % 100)) for i in range(n // 8)],
        [complex(i, 1) for i in range(n // 8)],
        [type("Made%d" % i, (Node,), {"method": outer}) for i in range(n // 100)],
        [types.ModuleType("made%d" % i) for i in range(n // 100)],
        "\u20ac" * n,
        1 << n,
    ]


def called(name):
    """A name of guppy's as py-heap has it: it knows many types by their names in the module types."""
    of = "dict of " if name.startswith("dict of ") else ""
    module, _, last = name[len(of) :].partition(".")
    if module not in ("types", "builtins"):
        return name
    ty = getattr(sys.modules[module], last, None)
    if isinstance(ty, type):
        return of + heaplib.type_name(ty)
    # It has the types of C code that are in no module among the builtins.
    return of + last if module == "builtins" else name


def main(out, fifo, mode):
    held = build(2000)
    heapy = guppy.hpy()
    heapy.heap()
    gc.collect()
    if os.fork() == 0:
        rows = {}
        for row in heapy.heap().partition.get_rows():
            kind = called(row.name)
            count, size = rows.get(kind, (0, 0))
            rows[kind] = count + row.count, size + row.size
        with open(out, "w") as file:
            json.dump(rows, file)
        heaplib.end_child(fifo, mode)
    signal.pause()
    return held


main(*sys.argv[1:4])
