#!/usr/bin/env python
"""bigheap.py N: a heap of about 7 * N objects, and what tools in the process say of it.

Instances with and without slots, dicts, tuples, strs (one in 16 not ASCII), ints, lists, floats, bytes and sets that
lead to each other. It says "@@ ready", then reads names of tools from its standard input, runs each, and says
"@@ SECONDS PROCESSOR-SECONDS KILOBYTES": the time without the tool's import, and the peak of memory that it took.
Python 2.7 and 3.6 to 3.15.
"""

from __future__ import print_function

import collections
import gc
import os
import sys
import time

if sys.version_info[0] == 2:
    range = xrange  # noqa: F821
    clock = time.time
else:
    clock = time.perf_counter


class Node(object):
    def __init__(self, ident, name, nxt):
        self.ident = ident
        self.name = name
        self.nxt = nxt


class Slot(object):
    __slots__ = ("ident", "payload", "__weakref__")

    def __init__(self, ident, payload):
        self.ident = ident
        self.payload = payload


def build(n):
    made = {}
    names = made["names"] = [u"n\xe4me-%d\u20ac" % i if i % 16 == 15 else "name-%d" % i for i in range(n)]
    nodes = made["nodes"] = []
    last = None
    for i in range(n):
        last = Node(i + 1000, names[i], last if i % 8 else None)
        nodes.append(last)
    slots = made["slots"] = [Slot(i, nodes[i]) for i in range(n // 2)]
    dicts = made["dicts"] = []
    for i in range(n // 2):
        one = {"id": i, "slot": slots[i]}
        if i % 50 == 0:
            one.update(("key%d" % k, k) for k in range(38))
        dicts.append(one)
    made["tuples"] = [(nodes[i].ident, names[i]) for i in range(n)]
    lists = made["lists"] = []
    for i in range(n // 4):
        one = [nodes[i], slots[i], dicts[i], i]
        if i % 1000 == 0:
            for k in range(100):
                one.append(k)
        lists.append(one)
    made["floats"] = [i * 0.5 for i in range(n // 10)]
    made["blobs"] = [b"x" * (i % 700) + str(i).encode() for i in range(n // 20)]
    made["sets"] = [{i, names[i]} for i in range(n // 100)]
    made["index"] = dict(zip(names, nodes))
    return made


def with_gc():
    def run():
        print(collections.Counter(type(one) for one in gc.get_objects()).most_common(10))
    return run


def with_objgraph():
    import objgraph

    return lambda: objgraph.show_most_common_types(limit=10)


def with_pympler():
    from pympler import muppy, summary

    return lambda: summary.print_(summary.summarize(muppy.get_objects()), limit=10)


def with_guppy():
    from guppy import hpy

    return lambda: print(hpy().heap())


TOOLS = {"gc": with_gc, "objgraph": with_objgraph, "pympler": with_pympler, "guppy": with_guppy}


def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name + ":"))


def measure(tool):
    run = TOOLS[tool]()
    with open("/proc/self/clear_refs", "w") as clear:
        # VmHWM begins anew.
        clear.write("5")
    before, start, processor = kilobytes("VmRSS"), clock(), sum(os.times()[:2])
    run()
    return clock() - start, sum(os.times()[:2]) - processor, kilobytes("VmHWM") - before


def main():
    gc.disable()
    made = build(int(sys.argv[1]))
    gc.enable()
    print("@@ ready")
    sys.stdout.flush()
    for line in iter(sys.stdin.readline, ""):
        try:
            print("@@ %.6f %.2f %d" % measure(line.strip()))
        except ImportError as error:
            print("@@ missing: %s" % error)
        sys.stdout.flush()
    return made


main()
