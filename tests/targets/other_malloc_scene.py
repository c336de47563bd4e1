"""A heap in blocks of another allocator than glibc's malloc: what a forked child counts, and where objects are that the
collector does not know, one for each way to be held. Python 2.7 and 3.6 to 3.15.
"""

import collections
import functools
import gc
import json
import os
import signal
import sys

import heaplib

PYTHON2 = sys.version_info[0] == 2
TEXT, BYTES, INT, FLOAT = "unicode" if PYTHON2 else "str", "str" if PYTHON2 else "bytes", "int", "float"
#: By type: what py-find is asked for, and where each is and its size.
MARKS = {
    TEXT: ["/^text-[0-9]+-x*$/", {}],
    BYTES: ["/^bytes-[0-9]+-x*$/", {}],
    INT: ["/^7[0-9]{13}$/", {}],
    FLOAT: ["/^7[0-9]{9}[.]125$/", {}],
}


def mark(number, ty=None):
    """A new object that nobody else has. Numbers tell values apart."""
    ty = ty or (TEXT, BYTES, INT, FLOAT)[number % 4]
    if ty == INT:
        made = int("7%013d" % number)
    elif ty == FLOAT:
        made = float("7%09d.125" % number)
    else:
        made = ("%s-%d-" % ("text" if ty == TEXT else "bytes", number)).ljust(600, "x")
        made = made.decode() if PYTHON2 and ty == TEXT else made if PYTHON2 or ty == TEXT else made.encode()
    MARKS[ty][1][id(made)] = sys.getsizeof(made)
    return made


class Node(object):
    shared = mark(1)

    def __init__(self, number):
        self.number = mark(number)


class Slotted(object):
    __slots__ = ("text",)

    def __init__(self, number):
        self.text = mark(number)


def suspended():
    local = mark(2)
    yield
    yield local


def closure():
    inner = mark(3)
    return lambda: inner


def build():
    """Objects by the many ways in which one can refer to another."""
    made = {"lists": [[mark(i, ty) for i in range(1000, 6000)] for ty in (TEXT, BYTES, INT, FLOAT)]}
    made["nodes"] = [Node(i) for i in range(10000, 12000)]
    made["slotted"] = [Slotted(i) for i in range(12000, 14000)]
    made["tuple"] = tuple(mark(i) for i in range(14000, 15000))
    made["dict"] = dict((mark(i), mark(i + 4)) for i in range(15000, 16000, 8))
    made["set"] = set(mark(i) for i in range(16000, 17000))
    made["frozen"] = frozenset(mark(i) for i in range(17000, 18000))
    made["deque"] = collections.deque(mark(i) for i in range(18000, 19000))
    made["ordered"] = collections.OrderedDict((mark(i), mark(i + 4)) for i in range(19000, 20000, 8))
    # A tuple of what the collector does not know is none of its own after a collection.
    made["deep"] = functools.reduce(lambda inner, i: (mark(i), inner), range(20000, 20300), ())
    made["partial"] = functools.partial(len, mark(4))
    made["function"] = lambda x=mark(5): x  # noqa: B008
    made["generator"] = suspended()
    next(made["generator"])
    made["closure"] = closure()
    made["error"] = ValueError(mark(6))
    made["method"] = mark(7, BYTES).strip
    made["view"] = memoryview(mark(8, BYTES))
    if not PYTHON2:
        cached = functools.lru_cache(None)(lambda key: mark(9 + key))
        made["cached"] = cached, cached(0), cached(1)
    return made


def stand_still(path, fifo, mode):
    """The child and the parent have the same frames."""
    child = os.fork()
    if child == 0:
        heaplib.count(gc.get_objects(), path)
        testify(path, fifo, mode)
    if mode == "sleep":
        signal.pause()
    os.waitpid(child, 0)
    os.abort()


def testify(path, fifo, mode):
    with open(path) as out:
        truth = json.load(out)
    truth["marks"] = MARKS
    with open(path, "w") as out:
        json.dump(truth, out)
    heaplib.end_child(fifo, mode)


def main():
    # As tests/rig/target.py calls it.
    path, fifo, mode = sys.argv[1:4]
    made = build()
    # A variable of a frame that runs, and its value stack below what is called.
    variable = mark(100)
    gc.collect()
    gc.disable()
    with open(path + ".warm", "w") as out:
        json.dump({"a": heaplib.type_name(Node)}, out)
    return [mark(101), mark(102), stand_still(path, fifo, mode), made, variable]


main()
