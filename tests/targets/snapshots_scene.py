"""A heap that grows by known objects, and loses some, between two stops.

At each stop a child, which is as the process was when it was forked, writes where the objects of its own classes are.
"""

import gc
import json
import os
import signal
import sys

import heaplib


class Node(object):
    def __init__(self, number):
        self.number = number


class Leaf(Node):
    pass


class Slotted(object):
    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number


class Words(dict):
    pass


class Row(list):
    pass


class Key(tuple):
    pass


class Number(int):
    __slots__ = ()


class Text(str):
    pass


class Holder(object):
    """With a dict of its own on every version, whether values have a place in the instance or not."""

    def __init__(self, number):
        self.__dict__ = dict((i, number) for i in range(9))


class Large(object):
    """Larger than the blocks of pools."""

    __slots__ = ["slot_%d" % i for i in range(100)]


def first():
    return {
        "nodes": [Node(i) for i in range(3000)],
        "leaves": [Leaf(i) for i in range(200)],
        "slotted": [Slotted(i) for i in range(1000)],
        "words": [Words(a=i) for i in range(500)],
        "rows": [Row(range(i % 30)) for i in range(300)],
        "keys": [Key([i, i]) for i in range(400)],
        "numbers": [Number(i + 1000) for i in range(600)],
        "texts": [Text("text-%d" % i) for i in range(250)],
        "large": [Large() for i in range(60)],
        "holders": [Holder(i) for i in range(500)],
        "lonely": [Holder(i).__dict__ for i in range(40)],
    }


def second(made):
    """More, less, other ones, and of a class that was not there."""
    made["nodes"] += [Node(i) for i in range(1500)]
    made["leaves"] += [Leaf(i) for i in range(17)]
    del made["words"][100:]
    made["words"] += [Words(b=i, c=i) for i in range(30)]
    del made["rows"][::2]
    made["keys"] = [Key([i]) for i in range(410)]
    for one in made["rows"]:
        one.extend(range(100))
    del made["numbers"][:]
    made["large"] += [Large() for i in range(25)]
    del made["large"][10:20]
    del made["holders"][:50]
    made["holders"] += [Holder(i) for i in range(80)]
    # Two that are of another kind then.
    lost = made["holders"][7].__dict__
    made["holders"][7].__dict__ = made["lonely"].pop()
    made["lonely"].append(lost)
    late = type("Late", (Node,), {"extra": []})
    late.__module__ = "__main__"
    made["late"] = [late(i) for i in range(70)]


def count(made, path):
    """In the child."""
    truth = {}

    def add(name, one):
        kind = truth.setdefault(name, {"addresses": [], "size": 0})
        kind["addresses"].append(hex(id(one)).rstrip("L"))
        kind["size"] += sys.getsizeof(one)

    for name in made:
        for one in made[name] if name != "lonely" else ():
            add(heaplib.type_name(type(one)), one)
            if type(one) is Holder:
                add("dict of __main__.Holder", one.__dict__)
    with open(path, "w") as out:
        json.dump(truth, out)


def stop(made, path, fifo, mode):
    gc.collect()
    child = os.fork()
    if child == 0:
        count(made, path)
        heaplib.end_child(fifo, mode)
    return child


def main():
    path, fifo, mode = sys.argv[1:4]
    extra = sys.argv[4] if len(sys.argv) > 4 else None
    made = first()
    gc.disable()
    with open(path + ".warm", "w") as out:
        json.dump({"a": heaplib.type_name(Node)}, out)
    child = stop(made, path + ".first", fifo, "sleep")
    # Until then it stands still.
    os.read(0, 1)
    os.waitpid(child, 0)
    if extra == "fork":
        forked = os.fork()
        if forked:
            os.waitpid(forked, 0)
            os._exit(0)
        with open(path + ".pid", "w") as out:
            out.write(str(os.getpid()))
    second(made)
    child = stop(made, path, fifo, "sleep")
    if extra == "trap":
        os.waitpid(child, 0)
        os.kill(os.getpid(), signal.SIGTRAP)
    if mode == "ask":
        signal.pause()
    os.waitpid(child, 0)
    os.abort()
    return made


main()
