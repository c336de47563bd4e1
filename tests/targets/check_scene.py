"""Objects that hold each other in every way that CPython's own types have, and some whose count is falsified.

Python 2.7 and 3.6 to 3.15.
"""

import argparse
import collections
import ctypes
import datetime
import decimal
import email.parser
import functools
import json
import logging
import os
import re
import signal
import sys
import threading
import unittest
import weakref
import xml.etree.ElementTree

import heaplib


class Node(object):
    def __init__(self, n):
        self.n = n
        self.s = str(n) * 2
        self.l = [n]


class Slot(object):
    __slots__ = ("a", "b")

    def __init__(self):
        self.a = object()
        self.b = {1: 2}


class More(object):
    """Counted more often than it is held."""


class Less(object):
    """Counted less often than it is held."""


class Asked(object):
    """The last whose property was asked for: 3.5 to 3.7 keep a tuple with it that does not count it (cached_args in
    property_descr_get, Objects/descrobject.c)."""

    @property
    def name(self):
        return None


class InFrame(object):
    """Held by a variable of a frame that runs, and by nothing else."""


class Zone(datetime.tzinfo):
    """Held by what has a place for it; what has none is often where such a thing was."""

    def utcoffset(self, _):
        return datetime.timedelta(0)


class Number(int):
    """Has its attributes behind its digits."""


Pair = collections.namedtuple("Pair", "a b")


def generate(n):
    a = object()
    b = [a]
    for i in range(n):
        yield (i, a, b)


def times(n):
    zones = [Zone() for _ in range(n)]
    kept = [datetime.datetime(2026, 1, 1, tzinfo=zone) for zone in zones]
    kept += [datetime.time(1, 2, tzinfo=zone) for zone in zones]
    del kept[::2]
    kept += [datetime.datetime(2026, 1, 1, 1, 1, i % 60) for i in range(n)]
    return zones, kept, [datetime.time(1, i % 60) for i in range(n)]


def closure(value):
    return lambda: value


def errors(n):
    kept = []
    for i in range(n):
        try:
            raise ValueError(i)
        except ValueError as e:
            kept.append(e)
    return kept


def cached(n):
    @functools.lru_cache(maxsize=n)
    def double(x):
        return [x]

    for i in range(2 * n):
        double(i)
    return double


def everything():
    nodes = [Node(i) for i in range(30000)]
    kept = [
        nodes,
        [Slot() for _ in range(1000)],
        collections.OrderedDict((i, str(i)) for i in range(1000)),
        collections.deque(object() for _ in range(1000)),
        collections.deque(maxlen=5),
        {str(i) + "x" for i in range(1000)},
        frozenset(float(i) for i in range(1000)),
        set([object()]),
        [weakref.ref(n) for n in nodes[:500]],
        [weakref.proxy(n, lambda _: None) for n in nodes[:100]],
        weakref.WeakValueDictionary(enumerate(nodes[:300])),
        weakref.WeakKeyDictionary((n, [n.s]) for n in nodes[:300]),
        [closure(object()) for _ in range(500)],
        [n.__init__ for n in nodes[:300]],
        [Pair(object(), i) for i in range(300)],
        errors(50),
        [type("T%d" % i, (Node,), {"x": object()})(1) for i in range(50)],
        [type("S%d" % i, (Slot,), {})() for i in range(50)],
        [Number(i << 40) for i in range(100)],
        [functools.partial(Node, n) for n in nodes[:100]],
        [property(lambda self: self), staticmethod(len), classmethod(len)],
        {"a": {"b": {"c": nodes}}},
        iter(nodes),
        {i: i for i in range(100)},
        [decimal.Decimal(i) for i in range(100)],
        bytearray(b"x" * 1000),
        memoryview(bytearray(b"y" * 1000)),
        slice(object(), object()),
        times(1000),
    ]
    defaults = collections.defaultdict(list)
    for i in range(1000):
        defaults[i % 100].append((i,))
    kept.append(defaults)
    for number in kept[18]:
        number.name = "n%d" % number
    for n in nodes[:200]:
        n.__dict__["more"] = object()
    generators = [generate(5) for _ in range(300)]
    for one in generators[:200]:
        next(one)
    for one in generators[:50]:
        list(one)
    kept.append(generators)
    if hasattr(functools, "lru_cache"):
        kept.append(cached(100))
    if sys.version_info >= (3, 7):
        import asyncio
        import contextvars

        variable = contextvars.ContextVar("variable")
        context = contextvars.copy_context()
        context.run(variable.set, [1, 2])
        kept.append((variable, context, asyncio))
    cycle = []
    cycle.append(cycle)
    kept.append(cycle)
    # One key with one value that is the same object and no interned string.
    same = object()
    kept.append({same: same, "k": "k"})
    return kept


def main():
    # As tests/rig/target.py calls it.
    path, fifo, mode = sys.argv[1:4]
    heaplib.beside_4_gib()
    kept = everything()
    # Their flags are an int, with four bytes behind it that nobody sets.
    flags = getattr(re, "ASCII", re.DOTALL | re.VERBOSE)
    kept.append([re.compile("%d" % number, flags) for number in range(300)])
    kept.append(Asked())
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept[-1]))
    kept.append(kept[-1].name)
    kept.append((argparse, email.parser, logging, threading, unittest, xml.etree.ElementTree))
    kept.append([[More() for _ in range(7)], [Less() for _ in range(5)]])
    for one in kept[-1][0]:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))
    # In a C array too, so that each count stays above 0.
    held = [[one, one] for one in kept[-1][1]]
    for one in kept[-1][1]:
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(one))
    del one
    in_frame = InFrame()
    with open(path, "w") as out:
        json.dump({"more": 7, "less": 5, "nodes": 30000}, out)
    if mode == "abort":
        os.kill(os.getpid(), signal.SIGABRT)
    heaplib.ready(fifo)
    while True:
        signal.pause()
    return kept, held, in_frame


main()
