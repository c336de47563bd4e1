# -*- coding: utf-8 -*-
"""A value of each kind, and the places of what leads to them, for tests that overwrite a core.

OUT.places: {"kinds": {name: address}, "types": [address], "chains": {name: address}, "lwps": [id]}.
"""

import collections
import ctypes
import datetime
import decimal
import functools
import json
import os
import sys
import time

import truthlib

try:
    import enum
except ImportError:  # Python 2.7
    enum = None

PY2 = sys.version_info[0] == 2
PLACES = {"kinds": {}, "types": [], "chains": {}, "lwps": []}


class Plain(object):
    def __init__(self):
        self.first, self.second = 1, ["attribute"]


class Slots(object):
    __slots__ = ("left", "right")

    def __init__(self):
        self.left, self.right = "l", 2


class Child(Plain):
    pass


class Tagged(dict):
    pass


class Old:
    kind = "of the class"

    def __init__(self):
        self.value = 1


class Computed(Plain):
    @property
    def computed(self):
        return 1


Point = collections.namedtuple("Point", "x y")

if enum:
    class Colour(enum.Enum):
        RED = 1


class Looped(object):
    """Its bases, mro and dict are what tests overwrite: nothing else uses it."""


def generator():
    yield 1


def kinds(park):
    number, negative, big, real, cplx = 7, -8, 3 ** 400, 2.5, 1 + 2j
    latin, wide, astral, raw = u"caf\xe9", u"\u0436\u20ac", u"\U0001f600x", b"\x00bytes"
    array, pair, single, items = bytearray(b"array"), (1, "two"), (3,), [1, [2, [3]]]
    mapping, unique, frozen = {"k": 1, 2: "v", (1, 2): None}, set(["a", "b"]), frozenset([1, 2])
    sparse = dict((i, i) for i in range(100))
    for i in range(95):
        del sparse[i]
    queue, ordered = collections.deque([1, 2, 3]), collections.OrderedDict([("one", 1), ("two", 2)])
    plain, slots, child, tagged, looped = Plain(), Slots(), Child(), Tagged(a=1), Looped()
    suspended, error, piece = generator(), ValueError("boom", 3), slice(1, 2, 3)
    point, moment, price = Point(1, 2), datetime.datetime(2026, 11, 25, 13), decimal.Decimal("1.50")
    span, partial = datetime.timedelta(1, 2), functools.partial(int, "1", base=2)
    default, bounded = collections.defaultdict(list, k=[1]), collections.deque([1, 2], 2)
    colour, olds, computed, numbers = Colour.RED if enum else None, [Old()], Computed(), range(3, 9)
    method, builtin, bound = plain.__init__, len, items.append
    cyclic = [1]
    cyclic.append(cyclic)
    deep = []
    for i in range(1000):
        deep = [deep]

    def closure():
        return number, deep
    for name, value in sorted(locals().items()):
        if name not in ("name", "value", "park", "i"):
            PLACES["kinds"][name] = id(value)
    PLACES["types"] = sorted(set(id(type(value)) for value in locals().values()) | set([id(type)]))
    chains = PLACES["chains"]
    chains["frame"] = id(sys._getframe())
    chains["code"] = id(sys._getframe().f_code)
    chains["mro"] = id(Looped.__mro__)
    chains["class"] = id(Looped)
    chains["module_dict"] = id(globals())
    chains["modules"] = id(sys.modules)
    park(1000000)
    return (negative, big, real, cplx, latin, wide, astral, raw, array, pair, single, mapping, unique, frozen, sparse,
            queue, ordered, slots, child, tagged, looped, suspended, error, piece, method, builtin, bound, closure,
            point, moment, price, span, partial, default, bounded, colour, olds, computed, numbers)


def calls(argument, park):
    local = ["of the call", argument]
    park(1000000)
    return local


def caller(park):
    note = "in the caller"
    return calls({"of": note}, park)


def untouched(park):
    """Nothing of this thread is overwritten on purpose."""
    local = {"thread": ["untouched"]}
    park(1000000)
    return local


def states():
    """The interpreter and its thread states, as the C API tells them."""
    api = ctypes.pythonapi
    for name in ("PyInterpreterState_Head", "PyInterpreterState_ThreadHead", "PyThreadState_Next"):
        getattr(api, name).restype = ctypes.c_void_p
        getattr(api, name).argtypes = [ctypes.c_void_p] if "Head" not in name or "Thread" in name else []
    interpreter = api.PyInterpreterState_Head()
    threads, one = [], api.PyInterpreterState_ThreadHead(interpreter)
    while one:
        threads.append(one)
        one = api.PyThreadState_Next(one)
    return interpreter, threads


def main():
    scene = truthlib.Scene(sys.argv)
    for function in (kinds, caller, untouched):
        scene.start(function.__name__, function, lambda: time.sleep)
    truthlib.settle(scene.count)
    PLACES["chains"]["interpreter"], PLACES["threads"] = states()
    PLACES["lwps"] = sorted(int(lwp) for lwp in os.listdir("/proc/self/task"))
    with open(scene.out + ".places", "w") as out:
        json.dump(PLACES, out)
    scene.stop()


if __name__ == "__main__":
    main()
