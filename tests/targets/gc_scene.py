"""A garbage collector in a known state, which a forked child tells: counting changes what is counted.

The parent sits in a C call that takes no arguments and so no tuple. In mode "abort" the child kills it there.
"""

import gc
import json
import os
import signal
import sys

import heaplib


class Node(object):
    pass


class Finalized(object):
    """With this, a cycle is garbage that CPython 2 does not dare to free."""

    def __del__(self):
        pass


def on_collection(phase, info):
    pass


def main():
    # As tests/rig/target.py calls it.
    path, fifo, mode = sys.argv[1:4]
    options = sys.argv[4:]
    modern = sys.version_info >= (3, 8)
    thresholds = (7001, 11, 12)
    if "interpreters" in options:
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        number = interpreters.create()
        run = getattr(interpreters, "run_string", None) or getattr(interpreters, "exec")  # noqa: B009  (a statement in Python 2)
        run(number, "import gc; gc.collect(); gc.disable(); gc.set_threshold(123, 4, 5); gc.callbacks.append(len)")

    # What the writing below needs is there before the fork.
    with open(path, "w") as out:
        json.dump({"warm": [1, "a", None, True]}, out)

    kept = [[i] for i in range(3000)]
    gc.collect()
    if hasattr(gc, "freeze") and "collected" not in options:
        gc.freeze()
    gc.set_threshold(*thresholds)
    nodes = [Node() for _ in range(500)]
    # Cycles that are found and freed.
    for i in range(40):
        cycle = [i]
        cycle.append(cycle)
    gc.collect(1)
    # Cycles that are found and kept.
    gc.set_debug(gc.DEBUG_SAVEALL)
    for i in range(15):
        cycle = [i, "text"]
        cycle.append(cycle)
    words = {"a": 1}
    words["self"] = words
    cycle = words = None
    if sys.version_info[0] == 2:
        one = Finalized()
        one.me = one
        one = None
    gc.collect(1)
    if hasattr(gc, "callbacks"):
        gc.callbacks.append(len)
        gc.callbacks.append(on_collection)
    if "off" in options:
        gc.disable()
        gc.set_debug(0)
    kept.extend([i] for i in range(200))
    count0 = count1 = count2 = total = number0 = number1 = number2 = child = 0

    # Not with other interpreters: CPython ends them in a child, and itself where it cannot.
    if "interpreters" in options:
        heaplib.ready(fifo)
    else:
        child = os.fork()
    if child == 0 and "interpreters" not in options:
        # The order matters: each answer makes objects that the next one would count.
        count0, count1, count2 = gc.get_count()
        if modern:
            number0 = len(gc.get_objects(0))
            number1 = len(gc.get_objects(1))
            number2 = len(gc.get_objects(2))
        else:
            total = len(gc.get_objects())
        truth = {
            "count": [count0, count1, count2],
            "objects": [number0, number1, number2] if modern else None,
            "total": None if modern else total,
            "threshold": gc.get_threshold(),
            "enabled": gc.isenabled(),
            "debug": gc.get_debug(),
            "frozen": gc.get_freeze_count() if hasattr(gc, "get_freeze_count") else None,
            "stats": gc.get_stats() if hasattr(gc, "get_stats") else None,
            "garbage": [[id(one), type(one).__name__, repr(one)] for one in gc.garbage],
            "callbacks": [[id(one), type(one).__name__] for one in gc.callbacks] if hasattr(gc, "callbacks") else None,
        }
        with open(path, "w") as out:
            json.dump(truth, out)
        if mode == "sleep":
            heaplib.ready(fifo)
        else:
            os.kill(os.getppid(), signal.SIGABRT)
        os._exit(0)
    signal.pause()
    return kept, nodes


main()
