"""A heap that is counted twice: by a child of the process, which is as it was when it was forked, and from outside.

The child writes what gc.get_objects() holds: objects and their sizes by type. The parent sits in a C call meanwhile.
"""

import collections
import gc
import json
import os
import signal
import sys
import weakref

import heaplib

PYTHON2 = sys.version_info[0] == 2


class Node(object):
    def __init__(self, number, parent):
        self.number = number
        self.parent = parent


class Slotted(object):
    __slots__ = ("number", "text", "__weakref__")

    def __init__(self, number):
        self.number = number
        self.text = "slotted-%d" % number


class Words(dict):
    pass


class Row(list):
    pass


class Key(tuple):
    pass


class Number(int):
    pass


class Text(str):
    pass


Pair = collections.namedtuple("Pair", "left right")


def generate(n):
    for i in range(n):
        yield i


def build(n):
    """Objects of many kinds, with a place for each in what is returned."""
    made = {"nodes": [], "cycles": []}
    parent = None
    for i in range(n):
        parent = Node(i + 1000, parent if i % 5 else None)
        made["nodes"].append(parent)
    made["slotted"] = [Slotted(i) for i in range(n // 2)]
    made["words"] = [Words(a=i, b=[i]) for i in range(n // 10)]
    made["rows"] = [Row(range(i % 40)) for i in range(n // 10)]
    made["keys"] = [Key(([i], i)) for i in range(n // 10)]
    made["numbers"] = [Number(i) for i in range(n // 10)]
    made["texts"] = [Text("text-%d" % i) for i in range(n // 10)]
    made["pairs"] = [Pair([i], i) for i in range(n // 10)]
    made["dicts"] = [{"id": i, "self": made["nodes"][i]} for i in range(n // 2)]
    made["wide"] = [dict((j, [j]) for j in range(i)) for i in range(0, 300, 7)]
    made["sets"] = [set([(i, j) for j in range(i % 50)]) for i in range(n // 20)]
    made["frozen"] = [frozenset([i, str(i)]) for i in range(n // 20)]
    made["functions"] = [lambda i=i: made for i in range(n // 20)]
    made["generators"] = [generate(i) for i in range(100)]
    made["weak"] = [weakref.ref(node) for node in made["nodes"][: n // 10]]
    made["big tuples"] = [tuple([[j] for j in range(60 + i)]) for i in range(50)]
    made["big lists"] = [[[j] for j in range(1000 + i)] for i in range(5)]
    made["classes"] = [type("Made%d" % i, (Node,), {"extra": [i]}) for i in range(50)]
    made["deques"] = [collections.deque([[i]] * (i % 100)) for i in range(50)]
    made["defaults"] = [collections.defaultdict(list, {i: []}) for i in range(50)]
    made["ordered"] = [collections.OrderedDict([(i, []), (str(i), [])]) for i in range(50)]
    made["blobs"] = [bytearray(i * 10) for i in range(100)]
    for i in range(50):
        # Unreachable, and not collected.
        made["cycles"].append([i])
        cycle = [made]
        cycle.append(cycle)
    return made


def main():
    # As tests/rig/target.py calls it.
    path, fifo, mode = sys.argv[1:4]
    made = build(int(os.environ.get("HEAP_SCENE", "2000")))
    gc.collect()
    gc.disable()
    # What is made by a first use is there before the fork.
    with open(path + ".warm", "w") as out:
        json.dump({"a": heaplib.type_name(Node)}, out)
    child = os.fork()
    if child == 0:
        # Neither a frame nor a tuple of arguments is made before the objects are in the list.
        heaplib.count(gc.get_objects(), path)
        heaplib.end_child(fifo, mode)
    if mode == "sleep":
        signal.pause()
    os.waitpid(child, 0)
    os.abort()
    return made


main()
