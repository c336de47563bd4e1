"""Objects that tests overwrite in a core, and where they are; counted by a forked child before.

The truth: {"counts", "sizes", "frozen"} of gc.get_objects() by type. OUT.victims: {name: [{"address", "type", "size",
"fixed"}]}, the last without items and without what is apart from the object.
"""

import gc
import json
import os
import signal
import sys

import heaplib

if sys.version_info[0] == 2:
    int = long  # noqa: F821


class Untouched(object):
    def __init__(self, number):
        self.number = number


class Lost(Untouched):
    """Some lose their type."""


class Doomed(Untouched):
    """The class loses its own type, so that none of its objects has one."""


class Wide(object):
    """Blocks of 400 bytes and more, so few in a pool."""
    __slots__ = ["slot%d" % i for i in range(50)]


class Text(str):
    pass


class Number(int):
    pass


def build():
    made = {"untouched": [Untouched(i) for i in range(500)], "lost": [Lost(i) for i in range(50)],
            "doomed": [Doomed(i) for i in range(20)], "class": [Doomed], "wide": [Wide() for _ in range(100)],
            "lists": [[i, [i]] for i in range(100)], "tuples": [([i], i) for i in range(100)],
            "dicts": [{i: [i], "k": i} for i in range(100)], "sets": [set(range(i, i + 20)) for i in range(100)],
            "texts": [Text("text-%d" % i) for i in range(100)], "numbers": [Number(i) for i in range(100)]}
    # Blocks for the chains of free ones.
    del made["wide"][::3]
    return made


def fixed(one):
    return type(one).__basicsize__ + sys.getsizeof(one) - one.__sizeof__()


def main():
    path, fifo, mode = sys.argv[1:4]
    made = build()
    victims = {}
    for name in made:
        victims[name] = [{"address": id(one), "type": heaplib.type_name(type(one)), "size": sys.getsizeof(one),
                          "fixed": fixed(one) if name != "class" else 0} for one in made[name]]
    with open(path + ".victims", "w") as out:
        json.dump(victims, out)
    del victims
    # In 2.7 a first sys.getsizeof makes types ready, which makes the list of object's subclasses longer.
    heaplib.count(gc.get_objects(), path + ".warm")
    gc.collect()
    gc.disable()
    child = os.fork()
    if child == 0:
        heaplib.count(gc.get_objects(), path)
        heaplib.end_child(fifo, mode)
    if mode == "sleep":
        signal.pause()
    os.waitpid(child, 0)
    os.abort()
    return made


main()
