"""Dicts with and without an owner, which a forked child of the process finds in its own way.

The child takes what gc.get_objects() holds. Then it asks every object for its `__dict__`. That makes a dict of
attributes that are in none (3.11 and later): only one that was there before counts. The collector knew it, or (where
it holds nothing that the collector cares for) gc.get_referents() of the object did.
"""

import functools
import gc
import json
import os
import signal
import sys
import types

import heaplib

PYTHON2 = sys.version_info[0] == 2


class Held(object):
    """Instances whose dict was asked for."""

    def __init__(self, i):
        self.number = i
        self.items = [i]


class Bare(object):
    """Instances whose dict nobody has asked for."""

    def __init__(self, i):
        self.number = i
        self.words = {"i": [i]}


class Wide(object):
    """More attributes than have a place in an instance."""

    def __init__(self, i):
        for j in range(60):
            setattr(self, "attribute%d" % j, [i])


class Meta(type):
    pass


Classes = Meta("Classes", (object,), {})


class Mixed(object):
    __slots__ = ("__dict__", "slot")


class Words(dict):
    pass


class Row(list):
    pass


class Key(tuple):
    pass


class Number(type(1 << 70)):
    pass


class Text(str):
    pass


class Raw(bytes):
    pass


class Failure(Exception):
    pass


class Lively(object):
    """Attributes in a dict that is none of dict's own type."""


class Shared(object):
    """All instances have one dict."""


class Old:
    """In Python 2 a class of another kind."""

    def __init__(self, i):
        self.items = [i]


def with_attributes(make, n):
    made = []
    for i in range(n):
        one = make(i)
        one.extra = [i]
        vars(one)
        made.append(one)
    return made


def build():
    made = {"held": [Held(i) for i in range(300)], "bare": [Bare(i) for i in range(200)]}
    for one in made["held"]:
        vars(one)["more"] = [one.number]
    made["wide"] = [Wide(i) for i in range(20)]
    made["mixed"] = with_attributes(lambda i: Mixed(), 30)
    made["words"] = with_attributes(lambda i: Words(a=[i]), 40)
    made["rows"] = with_attributes(lambda i: Row([i]), 41)
    made["keys"] = with_attributes(lambda i: Key([i] * (i % 20)), 42)
    made["numbers"] = with_attributes(lambda i: Number(-(7 ** i)), 43)
    made["texts"] = with_attributes(lambda i: Text("text" * i), 44)
    made["raws"] = with_attributes(lambda i: Raw(b"raw" * i), 45)
    made["failures"] = with_attributes(lambda i: Failure([i]), 46)
    made["functions"] = with_attributes(lambda i: lambda: i, 47)
    made["partials"] = with_attributes(lambda i: functools.partial(with_attributes, [i]), 48)
    made["olds"] = [Old(i) for i in range(49)]
    for one in made["olds"]:
        vars(one)
    made["modules"] = [types.ModuleType("module%d" % i) for i in range(50)]
    made["classes"] = [Meta("Made%d" % i, (Classes,), {"extra": [i]}) for i in range(51)]
    made["lively"] = [Lively() for _ in range(5)]
    for i, one in enumerate(made["lively"]):
        one.__dict__ = Words(attribute=[i])
    made["shared"] = [Shared() for _ in range(6)]
    for one in made["shared"]:
        one.__dict__ = made["shared"][0].__dict__
        one.items = [one]
    made["free"] = [{"i": [i]} for i in range(500)]
    made["a, b"] = [Raw(b"]")]
    made["atoms"] = [{i: i} for i in range(100)]
    return made


#: Dicts of what is in no module but this, where nothing but `build` makes them.
KNOWN = {
    "__main__.Held": 300, "__main__.Wide": 20, "__main__.Mixed": 30, "__main__.Words": 40, "__main__.Row": 41,
    "__main__.Key": 42, "__main__.Number": 43, "__main__.Text": 44, "__main__.Raw": 45, "__main__.Failure": 46,
    "__main__.Meta": 52, "__main__.Shared": 1, "functools.partial": 48,
}  # fmt: skip


#: Objects by their paths in `main`, and their kinds.
CHOSEN = [
    ("made['held'][0]", "__main__.Held"),
    ("made['held'][1]", "__main__.Held"),
    ("made['held'][0].__dict__", "dict of __main__.Held"),
    ("made['shared'][3].__dict__", "dict of __main__.Shared"),
    ("made['lively'][0].__dict__", "__main__.Words"),
    ("made['modules'][0].__dict__", "dict of module"),
    ("made['bare'][0].words", "dict (no owner)"),
    ("made['atoms'][9]", "dict (no owner)"),
    ("made['keys'][7]", "__main__.Key"),
    ("made['numbers'][40]", "__main__.Number"),
    ("made['a, b'][0]", "__main__.Raw"),
    ("main", "function"),
    ("None", "NoneType"),
]


def own_dict(one):
    """The `__dict__` that C code gives, or None."""
    if isinstance(one, type):
        # The one that the proxy stands for.
        return gc.get_referents(type.__dict__["__dict__"].__get__(one))[0]
    if PYTHON2 and isinstance(one, (types.InstanceType, types.ClassType)):
        return one.__dict__
    for base in type(one).__mro__:
        found = base.__dict__.get("__dict__")
        if isinstance(found, (types.GetSetDescriptorType, types.MemberDescriptorType)):
            return found.__get__(one) if type(one).__dictoffset__ else None
    return None


def static_types():
    """In no list of the collector."""
    seen, rest = {object}, [object]
    while rest:
        for one in type.__subclasses__(rest.pop()):
            if not one.__flags__ & 1 << 9 and one not in seen:
                seen.add(one)
                rest.append(one)
    return seen


def tell(objects, path, chosen):
    """In the child."""
    memory = heaplib.static_memory()
    owners = {}
    there = set(id(one) for one in objects if type(one) is dict)
    for one in objects:
        referred = [id(found) for found in gc.get_referents(one) if type(found) is dict]
        found = own_dict(one)
        if type(found) is dict and (id(found) in there or id(found) in referred):
            owners.setdefault(id(found), []).append((id(one), one, found))
    for one in static_types():
        found = own_dict(one)
        owners.setdefault(id(found), []).append((id(one), one, found))
    kinds, sizes = {}, {}
    for found in owners.values():
        _, owner, owned = min(found, key=lambda entry: entry[0])
        name = heaplib.type_name(type(owner))
        kinds[name] = kinds.get(name, 0) + 1
        sizes[name] = sizes.get(name, 0) + sys.getsizeof(owned)
    dicts = [one for one in objects if type(one) is dict]
    truth = {
        "kinds": kinds,
        "sizes": sizes,
        "tracked": len(dicts),
        "free": sum(id(one) not in owners for one in dicts),
        "modules": sum(type(one) is types.ModuleType for one in objects),
        "known": KNOWN,
        "individual": {},
        "chosen": [
            [name, kind, sys.getsizeof(one), gc.is_tracked(one), any(start <= id(one) < end for start, end in memory)]
            for (name, kind), one in zip(CHOSEN, chosen)
        ],
    }
    for one in objects:
        if heaplib.type_name(type(one)).startswith("__main__."):
            size = str(sys.getsizeof(one))
            truth["individual"][size] = truth["individual"].get(size, 0) + 1
    with open(path, "w") as out:
        json.dump(truth, out)


def main():
    # As tests/rig/target.py calls it.
    path, fifo, mode = sys.argv[1:4]
    made = build()
    gc.collect()
    gc.disable()
    # What is made by a first use is there before the fork: Python 2 makes dicts of static types when these are asked.
    tell([build, main, made["held"][0]], path, [main])
    for one in gc.get_objects():
        type(one).__mro__
    one = None
    child = os.fork()
    if child == 0:
        tell(gc.get_objects(), path, [eval(name, globals(), {"made": made}) for name, _ in CHOSEN])
        heaplib.end_child(fifo, mode)
    if mode == "sleep":
        signal.pause()
    os.waitpid(child, 0)
    os.abort()
    return made


main()
