"""Objects of many types, and what one of each takes, in blocks: the process makes more of them and looks.

Blocks of pymalloc are counted by its own statistics, what is too large for it by malloc.
"""

import array
import collections
import ctypes
import gc
import json
import mmap
import os
import re
import signal
import sys

import heaplib

PYTHON2 = sys.version_info[0] == 2
#: Objects that are made to see what one takes.
PROBES = 1000
try:
    from numpy import arange
except ImportError:
    arange = None


class Node(object):
    def __init__(self):
        self.number = self.name = self.parent = None


class Holder(object):
    """With a dict that is no table of values."""

    def __init__(self):
        self.__dict__ = dict((number, None) for number in range(40))


def parts(one):
    """The objects that are made with it."""
    return [one, one.__dict__] if type(one) is Holder else [one]


def subclass(base, name):
    """A type of its own for each case, without a dict."""
    return type(name, (base,), {"__slots__": ()})


class Case(object):
    """Objects of one type: `make` makes one; what they have beside their own blocks is raw memory or tables."""

    def __init__(self, kind, make, native=False):
        self.kind, self.make, self.native = kind, make, native


def grown(cls, items):
    one = cls()
    for item in range(items):
        one.append(None)
    return one


def cases():
    found = []
    numbers, keys = list(range(700)), ["key-%d" % i for i in range(700)]

    def add(base, name, fill, native=False):
        cls = subclass(base, name)
        found.append(Case("__main__." + name, lambda: fill(cls), native))

    for number in (0, 1, 10, 5000):
        add(list, "List%d" % number, lambda cls, n=number: grown(cls, n))
    for number in (0, 3, 9, 40, 700):
        add(dict, "Dict%d" % number, lambda cls, n=number: cls((i, None) for i in numbers[:n]))
    for number in (3, 700):
        add(dict, "Named%d" % number, lambda cls, n=number: cls((key, None) for key in keys[:n]))
    for number in (3, 9, 700):
        add(set, "Set%d" % number, lambda cls, n=number: cls(numbers[:n]))
    for number in (0, 10, 700):
        add(bytearray, "Bytearray%d" % number, lambda cls, n=number: cls(b"x" * n), True)
        add(array.array, "Array%d" % number, lambda cls, n=number: cls("d", [0.0] * n), True)
        add(collections.deque, "Deque%d" % number, lambda cls, n=number: cls([None] * n), True)
    if sys.version_info >= (3, 11):
        # Before, attributes are in dicts, which are objects of their own.
        found.append(Case("__main__.Node", Node))
    found.append(Case("__main__.Holder", Holder))
    return found


def handed_out(path):
    """Bytes of pymalloc's blocks in use, by their size."""
    with open(path, "w+") as out:
        saved = os.dup(2)
        os.dup2(out.fileno(), 2)
        sys._debugmallocstats()
        os.dup2(saved, 2)
        os.close(saved)
        out.seek(0)
        rows = re.findall(r"^ *\d+ +(\d+) +\d+ +(\d+) +\d+$", out.read(), re.MULTILINE)
    return dict((int(size), int(blocks)) for size, blocks in rows)


class Mallinfo(ctypes.Structure):
    """struct mallinfo2 of <malloc.h>."""

    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd u f uordblks free keep".split()]


mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Mallinfo


def malloced(make):
    """Bytes of malloc's chunks for one object. Most that are made get no chunk that others have given back."""
    kept, used = [None] * 61, [0] * 61
    for i in range(len(kept)):
        before = mallinfo()
        kept[i] = make()
        after = mallinfo()
        used[i] = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd
    return collections.Counter(used).most_common(1)[0][0]


def taken(make, path):
    """(bytes in pymalloc's blocks, bytes in malloc's chunks with their headers) of one object."""
    chunks = malloced(make)
    kept = [None] * PROBES
    before = {} if PYTHON2 else handed_out(path)
    for i in range(PROBES):
        kept[i] = make()
    if PYTHON2:
        # Its pools have objects only: tables are malloc's.
        classes = [type(part) for part in parts(kept[0])]
        sizes = [cls.__basicsize__ + (32 if cls.__flags__ >> 14 & 1 else 0) for cls in classes]
        return sum((size + 15) // 16 * 16 for size in sizes), chunks
    after = handed_out(path)
    return sum((after[size] - before[size] + PROBES // 2) // PROBES * size for size in after), chunks


def main():
    path, fifo, mode = sys.argv[1:4]
    truth, made = {}, {}
    for case in cases():
        # Before: the first instances of a class get larger values.
        truth[case.kind] = {"native": case.native, "taken": taken(case.make, path + ".stats")}
        made[case.kind] = [case.make() for _ in range(30)]
    made["maps"] = [mmap.mmap(-1, 4096 * i + 100) for i in range(1, 6)]
    usable = ctypes.CDLL(None).malloc_usable_size
    usable.argtypes, usable.restype = [ctypes.c_void_p], ctypes.c_size_t
    made["arrays"] = [array.array("i", range(i * 1000)) for i in range(1, 30)]
    extra = {
        "mmap.mmap": sum(len(one) for one in made["maps"]),
    }
    # Behind marks of a debug allocator nothing begins that malloc knows.
    if "PYTHONMALLOC" not in os.environ:
        extra["array.array"] = sum(usable(one.buffer_info()[0]) for one in made["arrays"])
    if arange and "PYTHONMALLOC" not in os.environ:
        made["numpy"] = [arange(i * 100) for i in range(1, 20)]
        extra["numpy.ndarray"] = sum(usable(one.ctypes.data) for one in made["numpy"])
        # They own nothing.
        made["views"] = [one[3:] for one in made["numpy"]]
    gc.collect()
    gc.disable()
    with open(path, "w") as out:
        json.dump({"cases": truth, "native": extra, "deque_block": truth["__main__.Deque0"]["taken"][1]}, out)
    if mode == "sleep":
        heaplib.ready(fifo)
        signal.pause()
    os.abort()
    return made


main()
