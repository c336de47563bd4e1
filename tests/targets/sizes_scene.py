"""Objects of every type of the standard library that has a `__sizeof__` of its own.

A child of the process, which is as it was when it was forked, writes how many objects of each such type there are in
malloc's memory, and what sys.getsizeof says of them, for the types of which it knows all objects.
"""

import bisect
import ctypes
import decimal
import gc
import io
import itertools
import json
import os
import pickle
import signal
import struct
import sys
import types
from array import array
from collections import OrderedDict, deque
from xml.etree import ElementTree

import heaplib

PYTHON2 = sys.version_info[0] == 2
MODULES = """
    _asyncio _bisect _blake2 _bz2 _codecs _contextvars _csv _ctypes _curses _curses_panel _datetime _dbm _decimal
    _elementtree _functools _gdbm _hashlib _heapq _hmac _interpchannels _interpqueues _interpreters _io _json _locale
    _lsprof _lzma _md5 _multibytecodec _multiprocessing _operator _pickle _posixshmem _posixsubprocess _queue _random
    _remote_debugging _sha1 _sha2 _sha256 _sha3 _sha512 _socket _sqlite3 _sre _ssl _stat _statistics _string
    _struct _symtable _thread _tkinter _tracemalloc _typing _uuid _weakref _xxinterpchannels _xxsubinterpreters
    _zoneinfo _zstd array ast audioop binascii bz2 cPickle cStringIO collections concurrent.interpreters contextvars
    datetime
    fcntl functools grp hashlib itertools lzma mmap operator parser pyexpat queue random re readline resource select
    socket sqlite3 ssl string.templatelib syslog termios threading typing unicodedata weakref xml.etree.cElementTree
    zipimport zlib zoneinfo
"""


class Base(object):
    pass


class OwnInPython(object):
    def __sizeof__(self):
        return 12345


class OwnMixin(object):
    def __sizeof__(self):
        return 54321


class MixedList(OwnMixin, list):
    pass


class InheritsOwn(OwnInPython):
    pass


def generate(*many):
    a, b, c = many, 2, [3]
    yield a
    yield (lambda: (a, b, c))
    yield [d for d in c for c in (a, b)]


def closed(a, b):
    def inner(c):
        return a, b, c

    return inner


def own_types():
    """Every type with a `__sizeof__` of its own, and a name for it."""
    for name in MODULES.split():
        try:
            __import__(name)
        except Exception:
            pass
    for module in list(sys.modules.values()):
        for one in list(getattr(module, "__dict__", {}).values()):
            # 2.7 makes some types ready only when they are used.
            if isinstance(one, type):
                try:
                    one.__sizeof__
                except Exception:
                    pass
    seen, todo = set(), [object]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo.extend(type.__subclasses__(one))
    seen.discard(object)
    return [one for one in seen if "__sizeof__" in one.__dict__]


def subclasses(ty, made):
    """The type itself and, where it can be one, two subclasses, of which there are no other objects."""
    found = [ty]
    for slots in ("__dict__", "__weakref__", "number"):
        names = {} if slots == "__dict__" else {"__slots__": (slots,)}
        try:
            found.append(type("%s with %s" % (ty.__name__, slots), (ty,), names))
        except TypeError:
            pass
    made.append(found)
    return found


def spent(one, n):
    for _ in range(n):
        next(one, None)
    return one


def build():
    made, keep = [], []

    def many(ty, *makers):
        for one in subclasses(ty, keep):
            for make in makers:
                made.append(make(one))

    long_type = long if PYTHON2 else int  # noqa: F821
    text_type = unicode if PYTHON2 else str  # noqa: F821
    numbers = [0, 1, -1, 2**29, 2**30, 2**31, -(2**60), 2**62, 3**500]
    many(long_type, *[lambda ty, n=n: ty(n) for n in numbers])
    texts = ["", "a", "x" * 1000, "\xe9", "\xe9" * 50]
    if not PYTHON2:
        texts += ["\u20ac" * 30, "\U0001f600" * 10]
    if PYTHON2:
        many(str, *[lambda ty, t=t: ty(t) for t in texts])
    many(text_type, *[lambda ty, t=t: ty(t.decode("latin-1") if PYTHON2 else t) for t in texts])
    cached = [text_type(t * 40) for t in ("ab", "cd")]
    if not PYTHON2:
        cached = ["\xe9\u20ac" * 20, "\U0001f600" * 8]
        for t in cached:
            # Fills the cache of the encoded text.
            ctypes.pythonapi.PyUnicode_AsUTF8(ctypes.py_object(t))
    made.append(cached)

    def grown(one, n):
        for i in range(n):
            one.append(i)
        return one

    def shrunk(one, n):
        grown(one, n)
        while len(one) > 3:
            one.pop()
        return one

    many(list, lambda ty: ty(), lambda ty: ty([1]), lambda ty: grown(ty(), 100), lambda ty: shrunk(ty(), 100))
    many(
        bytearray,
        lambda ty: ty(),
        lambda ty: ty(1),
        lambda ty: ty(5000),
        lambda ty: grown(ty(), 100),
        lambda ty: shrunk(ty(), 200),
    )

    def drained(one, n):
        for i in range(n):
            one.append(i)
        for i in range(n - 2):
            one.popleft()
        return one

    many(
        deque,
        lambda ty: ty(),
        lambda ty: ty([1]),
        lambda ty: ty(range(64)),
        lambda ty: ty(range(65)),
        lambda ty: ty(range(1000)),
        lambda ty: ty(range(100), 10),
        lambda ty: drained(ty(), 500),
        lambda ty: shrunk(ty(), 500),
    )

    def less(one, n):
        for i in range(n):
            one[i] = str(i)
        for i in range(n - 2):
            del one[i]
        return one

    dicts = [dict, OrderedDict] + ([] if sys.version_info < (3, 15) else [frozendict])  # noqa: F821
    for ty in dicts:
        makers = [lambda ty: ty(), lambda ty: ty(a=1), lambda ty: ty([(i, i) for i in range(100)])]
        if ty.__name__ != "frozendict":
            makers += [lambda ty: less(ty(), 100), lambda ty: less(ty(a=1), 7)]
        many(ty, *makers)
    makers = [lambda ty: ty(), lambda ty: ty([1]), lambda ty: ty(range(100))]
    many(set, *makers)
    many(frozenset, *makers)
    if not PYTHON2:
        many(type, lambda ty: ty("Made", (), {}), lambda ty: ty("Made", (Base,), {"__slots__": ("a", "b")}))

    many(
        struct.Struct,
        lambda ty: ty(""),
        lambda ty: ty("i"),
        lambda ty: ty("3i2sxx?"),
        lambda ty: ty("icic" * 100),
        lambda ty: ty("ic" * 7 + "i"),
    )

    def buffered(ty, size):
        return ty(io.FileIO(os.devnull, "r+b" if ty is io.BufferedRandom else "rb"), size)

    many(io.BufferedReader, *[lambda ty, n=n: ty(io.FileIO(os.devnull, "rb"), n) for n in (1, 100, 8192)])
    many(io.BufferedWriter, *[lambda ty, n=n: ty(io.FileIO(os.devnull, "wb"), n) for n in (1, 100, 8192)])
    random = [lambda ty, n=n: ty(io.FileIO("/dev/zero", "r+b"), n) for n in (1, 100, 8192)]
    if hasattr(os, "memfd_create"):
        random = [lambda ty, n=n: ty(io.FileIO(os.memfd_create("a"), "r+b"), n) for n in (1, 100, 8192)]
    else:
        random = [lambda ty, n=n: ty(io.FileIO("random", "w+b"), n) for n in (1, 100, 8192)]
    many(io.BufferedRandom, *random)

    shared = b"shared" * 100

    def written(one, n):
        one.write(b"x" * n)
        return one

    many(
        io.BytesIO,
        lambda ty: ty(),
        lambda ty: ty(shared),
        lambda ty: written(ty(), 1),
        lambda ty: written(ty(shared), 5),
        lambda ty: written(ty(), 5000),
    )
    makers = [lambda ty: ty("i"), lambda ty: ty("b", b"abc"), lambda ty: ty("d", [1.0] * 100)]
    many(array, *(makers + [lambda ty: grown(ty("h"), 50), lambda ty: shrunk(ty("q" if not PYTHON2 else "l"), 50)]))

    if not PYTHON2:
        for digits in (1, 30, 80, 200, 3000):
            many(decimal.Decimal, lambda ty, n=digits: ty("1" * n))
        made.extend([decimal.Decimal(3) ** 200, decimal.Decimal("Infinity"), decimal.Decimal("NaN")])

        def tree(one, n):
            one.text = "text"
            for i in range(n):
                ElementTree.SubElement(one, "child")
            return one

        many(
            ElementTree.Element,
            lambda ty: ty("a"),
            lambda ty: ty("a", {"key": "value"}),
            lambda ty: tree(ty("b"), 1),
            lambda ty: tree(ty("c"), 4),
            lambda ty: tree(ty("d"), 50),
        )
        for n in (1, 3, 7):
            pool = list(range(n))
            many(itertools.product, lambda ty: ty(*[pool] * n), lambda ty: spent(ty(pool, pool), 2))
            many(itertools.combinations, lambda ty: ty(pool, 2), lambda ty: spent(ty(pool, n), 2))
            many(itertools.combinations_with_replacement, lambda ty: ty(pool, n), lambda ty: spent(ty(pool, 2), 99))
            many(itertools.permutations, lambda ty: ty(pool), lambda ty: ty(pool, 2), lambda ty: spent(ty(pool, 1), 9))

        import _pickle

        def dumped(one, n):
            for i in range(n):
                one.dump(["text %d" % i, "x" * n])
            return one

        many(
            _pickle.Pickler,
            lambda ty: ty(io.BytesIO()),
            lambda ty: dumped(ty(io.BytesIO(), 2), 1),
            lambda ty: dumped(ty(io.BytesIO()), 100),
        )
        parts = pickle.dumps([["text %d" % i for i in range(100)]] * 3, 2)
        lines = pickle.dumps(["text", 5, 2.0, ["x" * 5000]], 0)

        def loaded(one):
            one.load()
            return one

        many(
            _pickle.Unpickler,
            lambda ty: ty(io.BytesIO(parts)),
            lambda ty: loaded(ty(io.BytesIO(parts), encoding="latin-1", errors="surrogateescape")),
            lambda ty: loaded(ty(io.BytesIO(lines))),
        )
    if sys.version_info >= (3, 15):
        import _queue

        def put(one, n):
            for i in range(n):
                one.put(i)
            return one

        many(_queue.SimpleQueue, lambda ty: ty(), lambda ty: put(ty(), 9), lambda ty: put(ty(), 100))

    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double), ("name", ctypes.c_char * 7)]

    class Either(ctypes.Union):
        _fields_ = [("x", ctypes.c_int), ("point", Point), ("a_very_long_name_of_a_field" * 3, ctypes.c_long)]

    keep.append([Point, Either, (ctypes.c_int * 3) * 4, Point * 5, ctypes.POINTER(Point), ctypes.CFUNCTYPE(None)])

    made.extend(generate(*range(i)) for i in range(10))
    made.extend(spent(generate(i), 1) for i in range(3))
    made.extend(spent(generate(i), 9) for i in range(3))
    if not PYTHON2:
        space = {}
        exec("async def wait(a, b):\n    c = [a, b]\n    return c", space)
        made.append([space["wait"](1, 2) for _ in range(5)])
        exec("async def wait(a, b):\n    c = [a, b]\n    yield c", space)
        made.append([space["wait"](1, 2) for _ in range(5)])
    made.append(closed(1, 2))
    # 3.8 to 3.10 give the code of functions that are often called a cache.
    for _ in range(3000):
        made[-1](3)
    if hasattr(ctypes.pythonapi, "_PyEval_RequestCodeExtraIndex"):
        free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda at: None)
        index = ctypes.pythonapi._PyEval_RequestCodeExtraIndex(free)
        put = ctypes.pythonapi._PyCode_SetExtra
        put.argtypes = [ctypes.py_object, ctypes.c_ssize_t, ctypes.c_void_p]
        put(generate.__code__, index, 1)
        put(closed.__code__, index, 1)
        keep.append(free)

    def raising(n):
        try:
            if n:
                return raising(n - 1)
            raise ValueError(n)
        except ValueError:
            return sys.exc_info()

    made.append(raising(5))
    made.extend(cls() for cls in (OwnInPython, MixedList, InheritsOwn))
    if sys.version_info < (3, 10):
        import parser

        made.append(parser.expr("a + b"))
    return made, keep


def mapped():
    """Parts of memory in which malloc's memory and pools are: not in a file."""
    parts = []
    with open("/proc/self/maps") as lines:
        for line in lines:
            words = line.split()
            if len(words) == 5 or words[5] == "[heap]":
                start, end = words[0].split("-")
                parts.append((int(start, 16), int(end, 16)))
    return parts


def everything(known):
    """All objects that lead from the known ones."""
    found = {}
    todo = list(known)
    while todo:
        one = todo.pop()
        if id(one) in found:
            continue
        found[id(one)] = one
        todo.extend(gc.get_referents(one))
        if isinstance(one, types.CodeType):
            todo.extend(one.co_consts)
    return found


def count(objects, path, owns, parts):
    """In the child."""
    mine = (objects, owns, parts)
    # First the sizes: a BytesIO does not count bytes that somebody else has too.
    known = dict(zip(map(id, objects), map(sys.getsizeof, objects)))
    found = everything(objects)
    starts = [start for start, _end in parts]
    own = set(owns)
    truth = {"counts": {}, "sizes": {}, "own": {}}
    for one in owns:
        truth["own"][heaplib.type_name(one)] = []
    names, sizes = {}, {}
    for at, one in list(found.items()):
        ty = type(one)
        if ty not in names:
            bases = [base for base in ty.__mro__ if base in own]
            names[ty] = heaplib.type_name(ty) if bases else None
            if bases:
                truth["own"][heaplib.type_name(bases[0])].append(names[ty])
        name = names[ty]
        # No function of Python here: what is called often gets a larger code object (3.8 to 3.10).
        part = bisect.bisect(starts, at) - 1
        if name is None or part < 0 or at >= parts[part][1]:
            continue
        sizes.setdefault(name, []).append(known[at] if at in known else sys.getsizeof(one))
    for name, all_sizes in sizes.items():
        truth["counts"][name] = len(all_sizes)
        truth["sizes"][name] = sum(all_sizes)
    with open(path, "w") as out:
        json.dump(truth, out)
    return mine


def main():
    # As tests/rig/target.py calls it.
    path, fifo, mode = sys.argv[1:4]
    made = build()
    owns = own_types()
    gc.collect()
    gc.disable()
    with open(path + ".warm", "w") as out:
        json.dump({"a": heaplib.type_name(Base)}, out)
    parts = sorted(mapped())
    # Code that runs is found by its frames.
    frames = sys._getframe()
    child = os.fork()
    if child == 0:
        count(gc.get_objects(), path, owns, parts)
        heaplib.end_child(fifo, mode)
    if mode == "sleep":
        signal.pause()
    os.waitpid(child, 0)
    os.abort()
    return made, frames


main()
