"""Objects with room for more than they have, and classes that could have __slots__.

What an object wastes the process finds out by making a copy of it, what instances take by making more of them.
"""

import gc
import json
import os
import re
import signal
import sys
import sysconfig

import heaplib

PYTHON2 = sys.version_info[0] == 2
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
#: Instances that are made to see what one takes.
PROBES = 1000


class Plain(object):
    """More instances than are looked at."""

    def __init__(self):
        self.number = self.name = self.parent = None


class Derived(Plain):
    def __init__(self):
        Plain.__init__(self)
        self.more = None


class Asked(object):
    """Somebody has asked for the dicts."""

    def __init__(self):
        self.left = self.right = None
        vars(self)


class Half(object):
    __slots__ = ("first", "second", "__dict__")

    def __init__(self):
        self.first = self.second = self.third = None


class Wide(object):
    def __init__(self):
        for i in range(20):
            setattr(self, "wide_%d" % i, None)


class Rows(list):
    def __init__(self):
        list.__init__(self)
        self.title = None


class Bare(object):
    pass


class SlotPlain(object):
    __slots__ = ("number", "name", "parent")


class SlotDerived(SlotPlain):
    __slots__ = ("more",)


class SlotAsked(object):
    __slots__ = ("left", "right")


class SlotHalf(object):
    __slots__ = ("first", "second", "third")


class SlotWide(object):
    __slots__ = tuple("wide_%d" % i for i in range(20))


class SlotRows(list):
    __slots__ = ("title",)


class SlotBare(object):
    __slots__ = ()


#: Classes, the same with __slots__, and how many instances there are.
COULD = [
    (Plain, SlotPlain, 2500),
    (Derived, SlotDerived, 30),
    (Asked, SlotAsked, 40),
    (Half, SlotHalf, 50),
    (Wide, SlotWide, 20),
    (Rows, SlotRows, 60),
]
if sys.version_info >= (3, 8):
    # Before, the garbage collector does not know such objects.
    COULD.append((Bare, SlotBare, 70))


class Different(object):
    def __init__(self, number):
        setattr(self, "odd" if number % 2 else "even", number)


class Spaces(object):
    def __init__(self, number):
        setattr(self, "no name", number)


class Failure(Exception):
    def __init__(self, number):
        Exception.__init__(self)
        self.number = number


class Key(tuple):
    def __init__(self, _items):
        tuple.__init__(self)
        self.number = None


class Meta(type):
    pass


def containers():
    lists = [[] for _ in range(40)]
    for i, one in enumerate(lists):
        for j in range(i * i):
            one.append(j)
    lists += [[None] * 10000, [None] * 5000, Rows()]
    del lists[-3][6000:]
    for i in range(10):
        lists[-1].append(i)
    dicts = [dict((i, None) for i in range(n)) for n in (1, 5, 6, 11, 70, 1000, 20000, 1000, 300)]
    dicts += [dict(("key-%d" % i, None) for i in range(n)) for n in (5, 6, 70, 1000, 400)]
    for one, left in ((dicts[6], 12), (dicts[7], 0), (dicts[12], 500), (dicts[13], 1)):
        for key in list(one)[left:]:
            del one[key]
    sets = [set() for _ in range(30)]
    for i, one in enumerate(sets):
        for j in range(i * 3):
            one.add(j)
    sets += [set(range(3000)), set(range(3000)), set(range(70000)), frozenset(iter(range(25)))]
    for i in range(7, 3000):
        sets[-4].discard(i)
    sets[-3].difference_update(range(3000))
    bytearrays = [bytearray(n) for n in (0, 1, 100, 1000, 100000, 50)]
    del bytearrays[3][600:]
    del bytearrays[4][60000:]
    del bytearrays[5][:]
    for i in range(300):
        bytearrays[2].append(i % 256)
    return {"list": lists, "dict": dicts, "set": sets, "bytearray": bytearrays}


def copy(one):
    if isinstance(one, list):
        return one[:]
    if isinstance(one, bytearray):
        return bytearray(bytes(one))
    if isinstance(one, dict):
        other = one.copy() if PYTHON2 else {key: one[key] for key in one}
        if not one:
            # 3.6 and 3.7 give every new dict a table.
            other.clear()
        return other
    return set(one).copy()


def apart(one):
    """Bytes that are in no struct."""
    return one.__sizeof__() - type(one).__basicsize__


def wasted(one):
    # A copy of a dense table can be larger.
    return max(0, apart(one) - apart(copy(one)))


def handed_out(path):
    """Blocks of pymalloc in use, by their size."""
    with open(path, "w+") as out:
        saved = os.dup(2)
        os.dup2(out.fileno(), 2)
        sys._debugmallocstats()
        os.dup2(saved, 2)
        os.close(saved)
        out.seek(0)
        rows = re.findall(r"^ *\d+ +(\d+) +\d+ +(\d+) +\d+$", out.read(), re.MULTILINE)
    return dict((int(size), int(blocks)) for size, blocks in rows)


def taken(cls, path):
    """Bytes of the blocks of one instance, with its attributes; None where they are not known."""
    if PYTHON2:

        def block(size):
            return (size + 15) // 16 * 16

        # list.__sizeof__ does not count slots.
        size = block(sys.getsizeof(cls()) - cls().__sizeof__() + cls.__basicsize__)
        if hasattr(cls(), "__dict__"):
            table = sys.getsizeof(cls().__dict__) - sys.getsizeof({})
            # Larger blocks are malloc's, which puts 8 bytes before them.
            size += block(sys.getsizeof({})) + (block(table) if table <= 512 else block(table + 8) - 8)
        return size
    if FREE_THREADED:
        if cls in (Asked, Half, Rows):
            # They have dicts. Nothing tells how large those blocks are.
            return None
        places = sorted(map(id, [cls() for _ in range(PROBES)]))
        return min(after - before for before, after in zip(places, places[1:]))
    kept = [None] * PROBES
    before = handed_out(path)
    for i in range(PROBES):
        kept[i] = cls()
    after = handed_out(path)
    assert len(after) == 32
    return sum((after[size] - before[size] + PROBES // 2) // PROBES * size for size in after)


def total(kinds):
    """What all objects of these types waste that the garbage collector knows."""
    objects = gc.get_objects()
    found = {}
    for kind in kinds:
        of_kind = [one for one in objects if type(one) is kind]
        found[kind.__name__] = (len(of_kind), sum(wasted(one) for one in of_kind))
    return found


def main():
    path, fifo, mode = sys.argv[1:4]
    # The first instances of a class have keys that are not shared yet.
    taken_now = [taken(cls, path + ".stats") for cls, _, _ in COULD]
    made = containers()
    classes = {}
    for (cls, slotted, count), each in zip(COULD, taken_now):
        made[cls.__name__] = [cls() for _ in range(count)]
        classes["__main__." + cls.__name__] = {
            "instances": count + (cls is Rows),
            # Asking for the dict of one that is looked at would make it.
            "attributes": sorted(vars(cls())),
            "now": each,
            "slots": taken(slotted, path + ".stats"),
        }
    could_not = (Different, Spaces, Failure)
    made["other"] = [cls(i) for cls in could_not for i in range(20)]
    made["other"] += [Key([i]) for i in range(20)] + [Meta("Made", (), {}) for _ in range(20)]
    gc.collect()
    gc.disable()
    truth = {
        "objects": dict(
            (name, [[hex(id(one)).rstrip("L"), wasted(one), len(one)] for one in made[name]])
            for name in ("list", "dict", "set", "bytearray")
        ),
        "classes": classes,
        "not": ["__main__." + cls.__name__ for cls in could_not + (Key, Meta)],
    }
    if mode == "sleep":
        total(())
        child = os.fork()
        if child == 0:
            truth["total"] = total((list, set))
            with open(path, "w") as out:
                json.dump(truth, out)
            heaplib.end_child(fifo, mode)
        signal.pause()
    with open(path, "w") as out:
        json.dump(truth, out)
    os.abort()
    return made


main()
